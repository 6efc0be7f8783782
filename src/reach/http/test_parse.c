/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes may stand where, one by one; and that a head is judged alike in whatever pieces it comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "ground/base/rng.h"
#include "reach/http/parse.h"

static int judge(struct span bytes)
{
    AUTO(arena_done) struct arena arena;
    struct http_scan scan = {0};
    static struct http_request request;
    const char *why;
    int status = http_scan(&scan, bytes);

    if (status != HTTP_SCAN_COMPLETE)
        return status;
    arena_init(&arena, 256 * 1024);
    return http_parse(span_of(bytes.data, scan.at), &arena, &request, &why);
}

/* The byte in place of the %c. */
static int judge_with(const char *format, int byte)
{
    char text[200];
    size_t at = (size_t)(strchr(format, '@') - format);

    memcpy(text, format, strlen(format));
    text[at] = (char)byte;
    return judge(span_of(text, strlen(format)));
}

static bool is_in(int byte, const char *set)
{
    return byte != 0 && ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                         (byte >= '0' && byte <= '9') || strchr(set, byte));
}

static void a_field_name_is_a_token_without_an_underscore(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool lawful = is_in(c, "!#$%&'*+-.^`|~");
        /* A colon ends the name early, and the rest is its value. */
        lawful |= c == ':';
        int status = judge_with("GET / HTTP/1.1\r\nHost: h\r\nX@Y: v\r\n\r\n", c);
        assert_int_equal(status, lawful ? 0 : 400);
    }
}

static void a_field_value_has_no_controls_but_the_tab(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool lawful = c == '\t' || (c >= 0x20 && c != 0x7f);
        int status = judge_with("GET / HTTP/1.1\r\nHost: h\r\nX: a@b\r\n\r\n", c);
        assert_int_equal(status, lawful ? 0 : 400);
    }
}

static void a_path_takes_what_need_not_be_encoded(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        /* These end the path, begin a code that is not one, or end the line's word. */
        bool lawful = c == '/' || c == '?' || is_in(c, "-._~!$&'()*+,=:@");
        int status = judge_with("GET /a@b HTTP/1.1\r\nHost: h\r\n\r\n", c);
        assert_int_equal(status, lawful ? 0 : 400);
    }
}

static void a_query_takes_a_slash_and_a_question_mark_besides(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool lawful = is_in(c, "-._~!$&'()*+,=:@/?;");
        int status = judge_with("GET /?q=a@b HTTP/1.1\r\nHost: h\r\n\r\n", c);
        assert_int_equal(status, lawful ? 0 : 400);
    }
}

static void a_code_has_two_hex_digits(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        /* %4c is a letter; with c for a nibble of it: %40 to %4f. */
        int status = judge_with("GET /%4@ HTTP/1.1\r\nHost: h\r\n\r\n", c);
        assert_int_equal(status, hex ? 0 : 400);
    }
}

/* In pieces of the sizes that the dice say. */
static int judge_in_pieces(struct span bytes, const struct rng *dice, size_t *ret_at)
{
    struct http_scan scan = {0};
    int status = HTTP_SCAN_MORE;
    size_t len = 0;

    while (status == HTTP_SCAN_MORE && len < bytes.len) {
        len += 1 + (size_t)rng_below(dice, 9);
        status = http_scan(&scan, span_sub(bytes, 0, len));
    }
    *ret_at = scan.at;
    return status;
}

static int judge_byte_by_byte(struct span bytes, size_t *ret_at)
{
    struct http_scan scan = {0};
    int status = HTTP_SCAN_MORE;

    for (size_t len = 1; status == HTTP_SCAN_MORE && len <= bytes.len; len++)
        status = http_scan(&scan, span_sub(bytes, 0, len));
    *ret_at = scan.at;
    return status;
}

static void pieces_change_nothing(void **state)
{
    static const char *const parts[] = {
        "GET / HTTP/1.1", "\r\n", "\r",      "\n", "X: ", "value", " ", "\t", ":",
        "\x7f",           "\x01", "\xc3\xa4"};
    struct rng_seeded dice;

    (void)state;
    rng_seeded_init(&dice, 11);
    for (int round = 0; round < 20000; round++) {
        AUTO(buf_done) struct buf head;
        size_t at[3];

        buf_init(&head, 4096);
        buf_put_text(&head, parts[0]);
        for (uint64_t i = rng_below(&dice.rng, 14); i > 0; i--)
            buf_put_text(&head, parts[rng_below(&dice.rng, COUNT_OF(parts))]);
        buf_put_text(&head, "\r\n\r\n");
        struct http_scan whole = {0};
        int status = http_scan(&whole, buf_span(&head));
        at[0] = whole.at;
        assert_int_equal(judge_in_pieces(buf_span(&head), &dice.rng, &at[1]), status);
        assert_int_equal(judge_byte_by_byte(buf_span(&head), &at[2]), status);
        assert_int_equal(at[0], at[1]);
        assert_int_equal(at[0], at[2]);
    }
}

/* The limits to the byte, whole and byte by byte. */
static void limits_are_the_same_in_pieces(void **state)
{
    (void)state;
    for (int over = -1; over <= 1; over++) {
        for (int part = 0; part < 2; part++) {
            AUTO(buf_done) struct buf head;
            size_t room = part == 0 ? HTTP_LINE_MAX - strlen("GET / HTTP/1.1")
                                    : HTTP_FIELD_BYTES_MAX - strlen("X: \r\n"),
                   at;

            buf_init(&head, 65536);
            buf_put_text(&head, part == 0 ? "GET /" : "GET / HTTP/1.1\r\nX: ");
            for (size_t i = 0; i < room + (size_t)(over + 1) - 1; i++)
                buf_put_u8(&head, 'a');
            buf_put_text(&head, part == 0 ? " HTTP/1.1\r\n\r\n" : "\r\n\r\n");
            struct http_scan whole = {0};
            int status = http_scan(&whole, buf_span(&head));
            assert_int_equal(judge_byte_by_byte(buf_span(&head), &at), status);
            assert_int_equal(at, whole.at);
            if (part == 0)
                assert_int_equal(status, over > 0 ? 414 : HTTP_SCAN_COMPLETE);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_name_is_a_token_without_an_underscore),
        cmocka_unit_test(a_field_value_has_no_controls_but_the_tab),
        cmocka_unit_test(a_path_takes_what_need_not_be_encoded),
        cmocka_unit_test(a_query_takes_a_slash_and_a_question_mark_besides),
        cmocka_unit_test(a_code_has_two_hex_digits),
        cmocka_unit_test(pieces_change_nothing),
        cmocka_unit_test(limits_are_the_same_in_pieces),
    };
    return cmocka_run_group_tests_name("http/parse", tests, NULL, NULL);
}
