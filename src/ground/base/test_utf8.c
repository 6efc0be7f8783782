/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ground/base/utf8.h"

static void well_formed_text_is_valid(void **state)
{
    static const char *const good[] = {"",
                                       "plain",
                                       "J\xc3\xbcrgen",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xf0\x9f\x8e\xab"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(utf8_valid(span_text(good[i])));
    assert_true(utf8_valid(SPAN_LIT("a\0b")));
    assert_int_equal(utf8_count(SPAN_LIT("J\xc3\xbcr \xf0\x9f\x8e\xab")), 5);
}

static void ill_formed_text_is_not(void **state)
{
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc3",
                                      "\xc3\x28",
                                      "\xe0\x80\x80",
                                      "\xe0\x9f\xbf",
                                      "\xe2\x82",
                                      "\xe2\x28\xa1",
                                      "\xe2\x82\x28",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x80\x80\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf0\x9f\x8e",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "\xfe",
                                      "\xff",
                                      "ok\xff"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (utf8_valid(span_text(bad[i])))
            fail_msg("case %zu is valid", i);
    /* Cut anywhere inside, a character is none. */
    for (size_t n = 1; n < 4; n++)
        assert_false(utf8_valid(span_of("\xf0\x9f\x8e\xab", n)));
}

static void lines_are_what_people_type(void **state)
{
    (void)state;
    assert_int_equal(utf8_check_line(SPAN_LIT("Zo\xc3\xab O'Neil-\xe6\x9d\x8e"), 20, "#/name"), OK);
    assert_int_equal(utf8_check_line(SPAN_LIT("\xc3\xbc\xc3\xbc"), 2, NULL), OK);
    assert_int_equal(utf8_check_line(SPAN_LIT("\xc3\xbc\xc3\xbc\xc3\xbc"), 2, "#/name"),
                     ERR_INVALID);
    assert_string_equal(err_last()->slug, "bad_text");
    assert_string_equal(err_last()->pointer, "#/name");
}

static void hidden_and_turning_characters_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      " a",
                                      "a ",
                                      "a\nb",
                                      "a\tb",
                                      "a\rb",
                                      "\x1b[31m",
                                      "a\x7f",
                                      "a\xc2\x85",
                                      "a\xc2\xad"
                                      "b",
                                      "a\xd8\x9c",
                                      "a\xe1\xa0\x8e"
                                      "b",
                                      "a\xe2\x80\x8b",
                                      "a\xe2\x80\x8d"
                                      "b",
                                      "a\xe2\x80\x8e",
                                      "a\xe2\x80\xa8",
                                      "a\xe2\x80\xa9",
                                      "a\xe2\x80\xaa",
                                      "a\xe2\x80\xae"
                                      "b",
                                      "a\xe2\x81\xa0"
                                      "b",
                                      "a\xe2\x81\xa6",
                                      "a\xe2\x81\xa9",
                                      "\xef\xbb\xbf"
                                      "a",
                                      "a\xef\xbf\xbe",
                                      "a\xf3\xa0\x80\xa1",
                                      "a\xff"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (utf8_check_line(span_text(bad[i]), 99, NULL) != ERR_INVALID)
            fail_msg("case %zu is accepted", i);
    assert_int_equal(utf8_check_line(SPAN_LIT("a\0b"), 99, NULL), ERR_INVALID);
}

static void paragraphs_may_break_and_be_empty(void **state)
{
    (void)state;
    assert_int_equal(utf8_check_paragraph(SPAN_LIT(""), 10, NULL), OK);
    assert_int_equal(utf8_check_paragraph(SPAN_LIT("one\ntwo\n"), 10, NULL), OK);
    assert_int_equal(utf8_check_paragraph(SPAN_LIT("one\r\ntwo"), 10, NULL), ERR_INVALID);
    assert_int_equal(utf8_check_paragraph(SPAN_LIT("one\ttwo"), 10, NULL), ERR_INVALID);
    assert_int_equal(utf8_check_paragraph(SPAN_LIT("eleven long"), 10, NULL), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_text_is_valid),
        cmocka_unit_test(ill_formed_text_is_not),
        cmocka_unit_test(lines_are_what_people_type),
        cmocka_unit_test(hidden_and_turning_characters_are_refused),
        cmocka_unit_test(paragraphs_may_break_and_be_empty),
    };
    return cmocka_run_group_tests_name("base/utf8", tests, NULL, NULL);
}
