/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ground/base/money.h"

static struct money money_of(const char *code, int64_t minor)
{
    struct money m = {.amount_minor = minor};
    assert_int_equal(currency_parse(span_text(code), &m.currency), OK);
    return m;
}

static void currencies_are_known_or_refused(void **state)
{
    static const char *const bad[] = {"", "eur", "EU", "EURO", "XXX", "EU\xff", " EUR"};
    struct currency c;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(currency_parse(span_text(bad[i]), &c), ERR_INVALID);
    assert_int_equal(currency_exponent(money_of("EUR", 0).currency), 2);
    assert_int_equal(currency_exponent(money_of("JPY", 0).currency), 0);
    assert_int_equal(currency_exponent(money_of("KWD", 0).currency), 3);
    assert_true(currency_eq(money_of("EUR", 0).currency, money_of("EUR", 1).currency));
    assert_false(currency_eq(money_of("EUR", 0).currency, money_of("USD", 0).currency));
}

static void sums_keep_to_one_currency_and_never_wrap(void **state)
{
    struct money sum = money_of("USD", 7);
    (void)state;
    assert_int_equal(money_add(money_of("EUR", 1250), money_of("EUR", -250), &sum), OK);
    assert_int_equal(sum.amount_minor, 1000);
    assert_true(currency_eq(sum.currency, money_of("EUR", 0).currency));
    assert_int_equal(money_add(money_of("EUR", 1), money_of("USD", 1), &sum), ERR_INVALID);
    assert_int_equal(money_add(money_of("EUR", INT64_MAX), money_of("EUR", 1), &sum), ERR_LIMIT);
    assert_int_equal(money_add(money_of("EUR", INT64_MIN), money_of("EUR", -1), &sum), ERR_LIMIT);
    assert_int_equal(sum.amount_minor, 1000);
}

static void products_never_wrap(void **state)
{
    struct money p = money_of("EUR", 7);
    (void)state;
    assert_int_equal(money_times(money_of("EUR", 1999), 3, &p), OK);
    assert_int_equal(p.amount_minor, 5997);
    assert_int_equal(money_times(money_of("EUR", INT64_MAX / 2), 3, &p), ERR_LIMIT);
    assert_int_equal(money_times(money_of("EUR", INT64_MIN), -1, &p), ERR_LIMIT);
    assert_int_equal(p.amount_minor, 5997);
}

static void check_text(const char *code, int64_t minor, const char *text)
{
    char out[MONEY_TEXT_MAX];
    money_format(money_of(code, minor), out);
    assert_string_equal(out, text);
}

static void amounts_are_written_by_their_exponent(void **state)
{
    (void)state;
    check_text("EUR", 1234, "EUR 12.34");
    check_text("EUR", 5, "EUR 0.05");
    check_text("EUR", -5, "EUR -0.05");
    check_text("JPY", 1500, "JPY 1500");
    check_text("KWD", 1005, "KWD 1.005");
    check_text("EUR", INT64_MIN, "EUR -92233720368547758.08");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(currencies_are_known_or_refused),
        cmocka_unit_test(sums_keep_to_one_currency_and_never_wrap),
        cmocka_unit_test(products_never_wrap),
        cmocka_unit_test(amounts_are_written_by_their_exponent),
    };
    return cmocka_run_group_tests_name("base/money", tests, NULL, NULL);
}
