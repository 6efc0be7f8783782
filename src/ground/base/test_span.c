/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ground/base/span.h"

static void spans_compare_and_cut_within_their_bounds(void **state)
{
    struct span s = SPAN_LIT("abcdef");
    (void)state;
    assert_true(span_eq(s, span_text("abcdef")));
    assert_false(span_eq(s, span_text("abcdeg")));
    assert_false(span_eq(s, span_text("abcde")));
    assert_true(span_eq((struct span){0}, span_text(NULL)));
    assert_true(span_ieq_text(s, "ABCdef"));
    assert_false(span_ieq_text(s, "ABCde"));
    assert_true(span_starts(s, "abc"));
    assert_true(span_starts(s, ""));
    assert_false(span_starts(s, "abcdefg"));
    assert_true(span_eq_text(span_sub(s, 2, 2), "cd"));
    assert_true(span_eq_text(span_sub(s, 4, 99), "ef"));
    assert_int_equal(span_sub(s, 7, SIZE_MAX).len, 0);
    assert_int_equal(span_sub((struct span){0}, 1, 1).len, 0);
    assert_int_equal(span_find(s, 'c'), 2);
    assert_int_equal(span_find(s, 'z'), 6);
    assert_int_equal(span_find((struct span){0}, 'z'), 0);
}

static void text_is_copied_whole_or_not_at_all(void **state)
{
    char out[4] = "???";
    (void)state;
    assert_int_equal(span_to_text(SPAN_LIT("abcd"), out, sizeof out), ERR_LIMIT);
    assert_int_equal(span_to_text(SPAN_LIT("a\0b"), out, sizeof out), ERR_INVALID);
    assert_string_equal(out, "???");
    assert_int_equal(span_to_text(SPAN_LIT("abc"), out, sizeof out), OK);
    assert_string_equal(out, "abc");
    assert_int_equal(span_to_text((struct span){0}, out, sizeof out), OK);
    assert_string_equal(out, "");
}

static void a_cursor_never_passes_the_end(void **state)
{
    struct cursor c = {
        SPAN_LIT("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10")};
    uint8_t v8 = 0, two[2];
    uint16_t v16 = 0;
    uint32_t v32 = 0;
    uint64_t v64 = 0;
    struct span s;
    (void)state;
    assert_int_equal(cursor_u8(&c, &v8), OK);
    assert_int_equal(cursor_u16be(&c, &v16), OK);
    assert_int_equal(cursor_u32be(&c, &v32), OK);
    assert_int_equal(cursor_u64be(&c, &v64), OK);
    assert_int_equal(v8, 1);
    assert_int_equal(v16, 0x0203);
    assert_int_equal(v32, 0x04050607);
    assert_true(v64 == UINT64_C(0x08090a0b0c0d0e0f));
    assert_int_equal(cursor_u16be(&c, &v16), ERR_INVALID);
    assert_int_equal(cursor_copy(&c, two, 2), ERR_INVALID);
    assert_int_equal(cursor_take(&c, SIZE_MAX, &s), ERR_INVALID);
    assert_int_equal(v16, 0x0203);
    assert_int_equal(c.rest.len, 1);
    assert_int_equal(cursor_take(&c, 1, &s), OK);
    assert_int_equal(cursor_take(&c, 0, &s), OK);
    assert_int_equal(cursor_u8(&c, &v8), ERR_INVALID);
}

static void a_buf_is_sticky_at_its_maximum(void **state)
{
    AUTO(buf_done) struct buf b;
    (void)state;
    buf_init(&b, 10);
    assert_string_equal(buf_text(&b), "");
    buf_put_text(&b, "12345");
    buf_put_i64_text(&b, -67);
    assert_int_equal(buf_check(&b), OK);
    buf_put_text(&b, "8901");
    assert_int_equal(buf_check(&b), ERR_LIMIT);
    buf_put_u8(&b, 'x');
    assert_int_equal(b.len, 8);
    assert_string_equal(buf_text(&b), "");
    assert_null(buf_grow(&b, 1));
    buf_reset(&b);
    buf_put_text(&b, "0123456789");
    assert_int_equal(buf_check(&b), OK);
    assert_string_equal(buf_text(&b), "0123456789");
    assert_null(buf_grow(&b, SIZE_MAX));
    assert_int_equal(buf_check(&b), ERR_LIMIT);
}

static void a_buf_grows_and_keeps_what_it_holds(void **state)
{
    AUTO(buf_done) struct buf b;
    (void)state;
    buf_init(&b, 100000);
    for (unsigned i = 0; i < 20000; i++)
        buf_put_u32be(&b, i);
    assert_int_equal(buf_check(&b), OK);
    for (unsigned i = 0; i < 20000; i++)
        assert_int_equal(get_u32be(b.data + 4 * i), i);
    buf_done(&b);
    buf_done(&b);
    buf_done(NULL);
    buf_printf(&b, "%s-%d", "a", 7);
    assert_string_equal(buf_text(&b), "a-7");
}

static void numbers_are_put_big_endian_and_in_decimal(void **state)
{
    AUTO(buf_done) struct buf b;
    (void)state;
    buf_init(&b, 100);
    buf_put_u8(&b, 1);
    buf_put_u16be(&b, 0x0203);
    buf_put_u32be(&b, 0x04050607);
    buf_put_u64be(&b, UINT64_C(0x08090a0b0c0d0e0f));
    assert_true(span_eq(buf_span(&b),
                        SPAN_LIT("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f")));
    assert_int_equal(get_u16be(b.data + 1), 0x0203);
    assert_true(get_u64be(b.data + 7) == UINT64_C(0x08090a0b0c0d0e0f));
    buf_reset(&b);
    buf_put_i64_text(&b, INT64_MIN);
    buf_put_i64_text(&b, 0);
    assert_string_equal(buf_text(&b), "-92233720368547758080");
}

static void decimal_is_read_strictly(void **state)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      "01",
                                      "-0",
                                      "--1",
                                      " 1",
                                      "1 ",
                                      "0x10",
                                      "1e3",
                                      "1.0",
                                      "9223372036854775808",
                                      "-01",
                                      "-9223372036854775809",
                                      "123456789012345678901"};
    int64_t v = 5;
    uint64_t u = 5;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (text_to_i64(span_text(bad[i]), &v) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(v, 5);
    assert_int_equal(text_to_i64(SPAN_LIT("-9223372036854775808"), &v), OK);
    assert_true(v == INT64_MIN);
    assert_int_equal(text_to_i64(SPAN_LIT("9223372036854775807"), &v), OK);
    assert_true(v == INT64_MAX);
    assert_int_equal(text_to_i64(SPAN_LIT("0"), &v), OK);
    assert_int_equal(v, 0);
    assert_int_equal(text_to_u64(SPAN_LIT("18446744073709551615"), &u), OK);
    assert_true(u == UINT64_MAX);
    assert_int_equal(text_to_u64(SPAN_LIT("18446744073709551616"), &u), ERR_INVALID);
    assert_int_equal(text_to_u64(SPAN_LIT("-1"), &u), ERR_INVALID);
}

static void wiped_memory_is_zero(void **state)
{
    uint8_t secret[16], zero[16] = {0};
    (void)state;
    memset(secret, 0xaa, sizeof secret);
    wipe(secret, sizeof secret);
    wipe(NULL, 0);
    assert_memory_equal(secret, zero, sizeof zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_compare_and_cut_within_their_bounds),
        cmocka_unit_test(text_is_copied_whole_or_not_at_all),
        cmocka_unit_test(a_cursor_never_passes_the_end),
        cmocka_unit_test(a_buf_is_sticky_at_its_maximum),
        cmocka_unit_test(a_buf_grows_and_keeps_what_it_holds),
        cmocka_unit_test(numbers_are_put_big_endian_and_in_decimal),
        cmocka_unit_test(decimal_is_read_strictly),
        cmocka_unit_test(wiped_memory_is_zero),
    };
    return cmocka_run_group_tests_name("base/span", tests, NULL, NULL);
}
