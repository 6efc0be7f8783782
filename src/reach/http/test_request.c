/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/http/test_support.h"

#include "reach/http/inner.h"

static struct arena arena;
static struct http_request request;

static int parse(const char *text)
{
    struct http_scan scan = {0};
    const char *why = NULL;
    arena_done(&arena);
    arena_init(&arena, 1 << 20);
    int verdict = http_scan(&scan, span_text(text));
    if (verdict != HTTP_SCAN_COMPLETE)
        return verdict;
    return http_parse(span_sub(span_text(text), 0, scan.at), &arena, &request, &why);
}

static void a_target_is_decoded_once(void **state)
{
    (void)state;
    assert_int_equal(
        parse("GET /a%20b/%C3%A9/?q=1+2%2B3&empty=&flag&%61=b HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    assert_true(span_eq_text(request.path, "/a b/\xc3\xa9/"));
    assert_int_equal(request.segment_count, 3);
    assert_true(span_eq_text(request.segments[0], "a b"));
    assert_int_equal(request.segments[2].len, 0);
    assert_true(span_eq_text(http_param(&request, "q"), "1 2+3"));
    assert_non_null(http_param(&request, "empty").data);
    assert_non_null(http_param(&request, "flag").data);
    assert_true(span_eq_text(http_param(&request, "a"), "b"));
    assert_null(http_param(&request, "b").data);
    assert_int_equal(parse("GET /a+b HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    assert_true(span_eq_text(request.path, "/a+b"));
    assert_int_equal(parse("GET /? HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    assert_int_equal(request.param_count, 0);
}

static void fields_are_found_without_case_and_trimmed(void **state)
{
    (void)state;
    assert_int_equal(parse("GET / HTTP/1.1\r\nhOsT: h:8080\r\nX-A: \t b c\t \r\nX-Empty:\r\n\r\n"),
                     0);
    assert_true(span_eq_text(http_field(&request, "x-a"), "b c"));
    assert_non_null(http_field(&request, "X-Empty").data);
    assert_null(http_field(&request, "X-B").data);
    assert_true(span_eq_text(request.host, "h:8080"));
}

static void connection_close_is_heard_in_a_list(void **state)
{
    (void)state;
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: foo, Close\r\n\r\n"), 0);
    assert_false(request.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n"), 0);
    assert_true(request.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"), 0);
    assert_false(request.keep_alive);
}

static void a_cookie_is_found_and_a_planted_second_one_refused(void **state)
{
    struct span value = {0};
    (void)state;
    assert_int_equal(
        parse("GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; __Host-s=x=y ;b=; a=2\r\n\r\n"), 0);
    assert_int_equal(http_cookie(&request, "__Host-s", &value), OK);
    assert_true(span_eq_text(value, "x=y"));
    assert_int_equal(http_cookie(&request, "b", &value), OK);
    assert_int_equal(value.len, 0);
    assert_int_equal(http_cookie(&request, "a", &value), ERR_INVALID);
    assert_int_equal(http_cookie(&request, "c", &value), ERR_NOT_FOUND);
    assert_int_equal(http_cookie(&request, "__host-s", &value), ERR_NOT_FOUND);
}

static void entity_tags_match_weakly_and_by_star(void **state)
{
    (void)state;
    assert_true(http_etag_matches(SPAN_LIT("\"a\""), SPAN_LIT("\"a\"")));
    assert_true(http_etag_matches(SPAN_LIT("W/\"a\" , \"b\""), SPAN_LIT("\"a\"")));
    assert_true(http_etag_matches(SPAN_LIT(" * "), SPAN_LIT("\"a\"")));
    assert_false(http_etag_matches(SPAN_LIT("a"), SPAN_LIT("\"a\"")));
    assert_false(http_etag_matches(SPAN_LIT("\"ab\""), SPAN_LIT("\"a\"")));
    assert_false(http_etag_matches((struct span){0}, SPAN_LIT("\"a\"")));
}

static void a_media_type_is_compared_without_its_parameters(void **state)
{
    (void)state;
    assert_int_equal(
        parse(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: Application/JSON ; charset=utf-8\r\n\r\n"),
        0);
    assert_true(http_is_type(&request, "application/json"));
    assert_false(http_is_type(&request, "application/jsonx"));
    assert_int_equal(parse("POST / HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    assert_false(http_is_type(&request, "application/json"));
}

static void addresses_and_networks_are_read_strictly(void **state)
{
    struct http_address a;
    struct http_network n;
    char text[HTTP_ADDRESS_TEXT_MAX];
    (void)state;
    assert_int_equal(http_address_parse(SPAN_LIT("::ffff:192.0.2.1"), &a), OK);
    http_address_format(a, text);
    assert_string_equal(text, "192.0.2.1");
    assert_int_equal(http_address_parse(SPAN_LIT("192.0.2.1 "), &a), ERR_INVALID);
    assert_int_equal(http_address_parse(SPAN_LIT("192.0.2"), &a), ERR_INVALID);
    assert_int_equal(http_address_parse(SPAN_LIT("192.0.2.1\0"), &a), ERR_INVALID);
    assert_int_equal(http_network_parse(SPAN_LIT("192.0.2.0/25"), &n), OK);
    assert_int_equal(http_address_parse(SPAN_LIT("192.0.2.127"), &a), OK);
    assert_true(http_network_holds(&n, a));
    assert_int_equal(http_address_parse(SPAN_LIT("192.0.2.128"), &a), OK);
    assert_false(http_network_holds(&n, a));
    assert_int_equal(http_address_parse(SPAN_LIT("::1"), &a), OK);
    assert_false(http_network_holds(&n, a));
    assert_true(http_address_is_loopback(a));
    assert_int_equal(http_network_parse(SPAN_LIT("192.0.2.0/33"), &n), ERR_INVALID);
    assert_int_equal(http_network_parse(SPAN_LIT("192.0.2.0/"), &n), ERR_INVALID);
    /* Neighbours in one /64 are one client; neighbours in IPv4 are not. */
    struct http_address b;
    assert_int_equal(http_address_parse(SPAN_LIT("2001:db8::1"), &a), OK);
    assert_int_equal(http_address_parse(SPAN_LIT("2001:db8::ffff"), &b), OK);
    assert_true(http_address_key(a) == http_address_key(b));
    assert_int_equal(http_address_parse(SPAN_LIT("192.0.2.1"), &a), OK);
    assert_int_equal(http_address_parse(SPAN_LIT("192.0.2.2"), &b), OK);
    assert_true(http_address_key(a) != http_address_key(b));
}

static void the_crowd_counts_everyone_in_and_out(void **state)
{
    enum { PEOPLE = 500 };
    struct http_crowd *crowd;
    struct rng_seeded rng;
    size_t counts[40] = {0};
    uint64_t present[PEOPLE];
    size_t people = 0;
    (void)state;
    rng_seeded_init(&rng, 3);
    assert_int_equal(http_crowd_open(PEOPLE, &rng.rng, &crowd), OK);
    for (int i = 0; i < 200000; i++) {
        if (people < PEOPLE && rng_below(&rng.rng, 2)) {
            uint64_t key = rng_below(&rng.rng, COUNT_OF(counts));
            bool entered = http_crowd_enter(crowd, key, 10);
            assert_int_equal(entered, counts[key] < 10);
            if (entered) {
                counts[key]++;
                present[people++] = key;
            }
        } else if (people > 0) {
            size_t who = rng_below(&rng.rng, people);
            http_crowd_leave(crowd, present[who]);
            counts[present[who]]--;
            present[who] = present[--people];
        }
    }
    http_crowd_close(crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_is_decoded_once),
        cmocka_unit_test(fields_are_found_without_case_and_trimmed),
        cmocka_unit_test(connection_close_is_heard_in_a_list),
        cmocka_unit_test(a_cookie_is_found_and_a_planted_second_one_refused),
        cmocka_unit_test(entity_tags_match_weakly_and_by_star),
        cmocka_unit_test(a_media_type_is_compared_without_its_parameters),
        cmocka_unit_test(addresses_and_networks_are_read_strictly),
        cmocka_unit_test(the_crowd_counts_everyone_in_and_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
