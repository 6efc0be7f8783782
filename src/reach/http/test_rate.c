/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/http/test_support.h"

#include "reach/http/inner.h"
#include "reach/http/rate.h"

static const struct http_rate_class classes[] = {{"sign-in", 5, 60}, {"read", 100, 10}};
static struct clock_fixed clock_of_test;
static struct rng_seeded rng_of_test;

static struct http_rate *open_rate(size_t slots)
{
    struct http_rate *r;
    clock_fixed_init(&clock_of_test, 1000000);
    rng_seeded_init(&rng_of_test, 7);
    assert_int_equal(http_rate_open(classes, 2, slots, &clock_of_test.clock, &rng_of_test.rng, &r),
                     OK);
    return r;
}

static void a_burst_is_allowed_and_then_refused_until_tokens_come_back(void **state)
{
    struct http_rate *r = open_rate(1024);
    struct http_rate_verdict v;
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        v = http_rate_check(r, 0, SPAN_LIT("a"));
        assert_true(v.allowed);
        assert_int_equal(v.remaining, 4 - i);
    }
    v = http_rate_check(r, 0, SPAN_LIT("a"));
    assert_false(v.allowed);
    assert_int_equal(v.wait_s, 12);
    clock_fixed_set(&clock_of_test, 1000000 + 11999);
    assert_false(http_rate_check(r, 0, SPAN_LIT("a")).allowed);
    clock_fixed_set(&clock_of_test, 1000000 + 12000);
    assert_true(http_rate_check(r, 0, SPAN_LIT("a")).allowed);
    assert_false(http_rate_check(r, 0, SPAN_LIT("a")).allowed);
    clock_fixed_set(&clock_of_test, 1000000 + 1000000); /* full again, and no fuller */
    for (unsigned i = 0; i < 5; i++)
        assert_true(http_rate_check(r, 0, SPAN_LIT("a")).allowed);
    assert_false(http_rate_check(r, 0, SPAN_LIT("a")).allowed);
    http_rate_close(r);
}

static void keys_and_classes_do_not_share_tokens(void **state)
{
    struct http_rate *r = open_rate(1024);
    (void)state;
    for (int i = 0; i < 6; i++)
        (void)http_rate_check(r, 0, SPAN_LIT("a"));
    assert_false(http_rate_check(r, 0, SPAN_LIT("a")).allowed);
    assert_true(http_rate_check(r, 0, SPAN_LIT("b")).allowed);
    assert_true(http_rate_check(r, 0, SPAN_LIT("")).allowed);
    assert_true(http_rate_check(r, 1, SPAN_LIT("a")).allowed);
    http_rate_close(r);
}

static void many_fresh_keys_do_not_free_one_that_is_held_back(void **state)
{
    struct http_rate *r = open_rate(512);
    char key[32];
    (void)state;
    for (int i = 0; i < 6; i++)
        (void)http_rate_check(r, 0, SPAN_LIT("victim"));
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(key, sizeof key, "key %d", i);
        (void)http_rate_check(r, 0, span_text(key));
    }
    assert_false(http_rate_check(r, 0, SPAN_LIT("victim")).allowed);
    http_rate_close(r);
}

static void a_class_without_a_quota_is_refused(void **state)
{
    const struct http_rate_class none = {"none", 0, 1}, never = {"never", 1, 0};
    struct http_rate *r = NULL;
    (void)state;
    assert_int_equal(http_rate_open(&none, 1, 64, clock_system(), rng_system(), &r), ERR_INVALID);
    assert_int_equal(http_rate_open(&never, 1, 64, clock_system(), rng_system(), &r), ERR_INVALID);
    assert_null(r);
}

static void the_hash_is_siphash(void **state)
{
    /* First and last vectors of the reference implementation (vectors.h, siphash 2-4 64): key and input count upwards. */
    struct http_hash_key key = {{0x0706050403020100u, 0x0f0e0d0c0b0a0908u}};
    uint8_t in[63];
    (void)state;
    for (uint8_t i = 0; i < sizeof in; i++)
        in[i] = i;
    assert_true(http_hash(&key, span_of(in, 0)) == 0x726fdb47dd0e0e31u);
    assert_true(http_hash(&key, span_of(in, 15)) == 0xa129ca6149be45e5u);
}

static struct http_server *server;
static struct http_rate *limiter;

static void handle(void *context, struct http_exchange *x)
{
    struct http_rate_verdict v = http_rate_check(limiter, 0, SPAN_LIT("k"));
    (void)context;
    if (v.allowed) {
        http_rate_headers(x, &v);
        http_reply_empty(x, 204);
    } else {
        http_rate_refuse(x, &v);
    }
}

static void the_client_is_told(void **state)
{
    struct http_config config;
    AUTO(buf_done) struct buf in;
    (void)state;
    limiter = open_rate(64);
    http_config_init(&config);
    config.listeners[config.listener_count++] = (struct http_listener){"::1", 0, NULL};
    config.listeners[config.listener_count++] = (struct http_listener){"127.0.0.1", 0, NULL};
    config.handle = handle;
    assert_int_equal(http_server_open(&config, &server), OK);
    buf_init(&in, 1 << 16);
    int fd = dial(http_server_port(server, 1));
    for (int i = 0; i < 5; i++)
        assert_true(say(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_true(say(fd, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    hear_all(fd, &in);
    close(fd);
    assert_int_equal(count_of(text_of(&in), "RateLimit-Policy: \"sign-in\";q=5;w=60\r\n"), 6);
    assert_non_null(strstr(text_of(&in), "RateLimit: \"sign-in\";r=4;t=12\r\n"));
    assert_int_equal(count_of(text_of(&in), "Retry-After: 12\r\n"), 1);
    assert_non_null(strstr(text_of(&in), "HTTP/1.1 429 Too Many Requests"));
    assert_non_null(strstr(text_of(&in), "#quota-exceeded\""));
    assert_non_null(strstr(text_of(&in), "\"violated-policies\":[\"sign-in\"]}"));
    http_server_close(server);
    http_rate_close(limiter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_allowed_and_then_refused_until_tokens_come_back),
        cmocka_unit_test(keys_and_classes_do_not_share_tokens),
        cmocka_unit_test(many_fresh_keys_do_not_free_one_that_is_held_back),
        cmocka_unit_test(a_class_without_a_quota_is_refused),
        cmocka_unit_test(the_hash_is_siphash),
        cmocka_unit_test(the_client_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
