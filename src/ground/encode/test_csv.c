/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ground/encode/csv.h"

static void check_field(struct span text, const char *written)
{
    AUTO(buf_done) struct buf b;
    struct csv_writer w;

    buf_init(&b, 1000);
    csv_init(&w, &b);
    csv_text(&w, text);
    assert_true(span_eq_text(buf_span(&b), written));
}

static void rows_are_as_rfc_4180_says(void **state)
{
    AUTO(buf_done) struct buf b;
    struct csv_writer w;
    (void)state;

    buf_init(&b, 1000);
    csv_init(&w, &b);
    csv_cstr(&w, "name");
    csv_cstr(&w, "amount");
    csv_row_end(&w);
    csv_cstr(&w, "O\"Neil, Ann");
    csv_i64(&w, -1250);
    csv_cstr(&w, NULL);
    csv_row_end(&w);
    assert_string_equal(buf_text(&b), "name,amount\r\n\"O\"\"Neil, Ann\",-1250,\r\n");
}

static void formulas_get_an_apostrophe(void **state)
{
    (void)state;
    check_field(SPAN_LIT("=1+1"), "'=1+1");
    check_field(SPAN_LIT("+1"), "'+1");
    check_field(SPAN_LIT("-1"), "'-1");
    check_field(SPAN_LIT("@SUM(A1)"), "'@SUM(A1)");
    check_field(SPAN_LIT("\t=1"), "\"'\t=1\"");
    check_field(SPAN_LIT("\r=1"), "\"'\r=1\"");
    check_field(SPAN_LIT("\n=1"), "\"'\n=1\"");
    check_field(SPAN_LIT("  =1"), "\"'  =1\"");
    check_field(SPAN_LIT("\xef\xbc\x9d"
                         "1"),
                "'\xef\xbc\x9d"
                "1");
    check_field(SPAN_LIT("\xef\xbc\x8b"), "'\xef\xbc\x8b");
    check_field(SPAN_LIT("=HYPERLINK(\"http://x\",\"y\")"),
                "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
    AUTO(buf_done) struct buf b;
    struct csv_writer w;
    buf_init(&b, 100);
    csv_init(&w, &b);
    csv_text(&w, SPAN_LIT("\0=1"));
    assert_true(span_eq(buf_span(&b), SPAN_LIT("\"'\0=1\"")));
}

static void plain_text_stays_plain(void **state)
{
    (void)state;
    check_field(SPAN_LIT("Row 3 = good"), "Row 3 = good");
    check_field(SPAN_LIT("a-b"), "a-b");
    check_field(SPAN_LIT("J\xc3\xbcrgen"), "J\xc3\xbcrgen");
    check_field(SPAN_LIT(""), "");
    check_field(SPAN_LIT("   "), "\"   \"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_as_rfc_4180_says),
        cmocka_unit_test(formulas_get_an_apostrophe),
        cmocka_unit_test(plain_text_stays_plain),
    };
    return cmocka_run_group_tests_name("encode/csv", tests, NULL, NULL);
}
