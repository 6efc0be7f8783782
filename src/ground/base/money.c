/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/base/money.h"

#include <stdio.h>
#include <string.h>

static const struct {
    char code[4];
    int exponent;
} currencies[] = {
#define CURRENCY(code, exponent) {#code, exponent},
#include "ground/base/currencies.def"
#undef CURRENCY
};

enum err currency_parse(struct span text, struct currency *ret_currency)
{
    for (size_t i = 0; i < COUNT_OF(currencies); i++)
        if (span_eq_text(text, currencies[i].code)) {
            memcpy(ret_currency->code, currencies[i].code, sizeof ret_currency->code);
            return OK;
        }
    FAIL(ERR_INVALID, "bad_currency",
         "Not a currency this installation knows (ISO 4217, upper case).");
}

int currency_exponent(struct currency c)
{
    for (size_t i = 0; i < COUNT_OF(currencies); i++)
        if (memcmp(c.code, currencies[i].code, 4) == 0)
            return currencies[i].exponent;
    return 2;
}

bool currency_eq(struct currency a, struct currency b)
{
    return memcmp(a.code, b.code, sizeof a.code) == 0;
}

enum err money_add(struct money a, struct money b, struct money *ret_sum)
{
    struct money sum = a;
    ENSURE(currency_eq(a.currency, b.currency), ERR_INVALID, "currency_mismatch",
           "Amounts of two currencies.");
    ENSURE(!__builtin_add_overflow(a.amount_minor, b.amount_minor, &sum.amount_minor), ERR_LIMIT,
           "amount_too_large", "The amount is too large.");
    *ret_sum = sum;
    return OK;
}

enum err money_times(struct money a, int64_t factor, struct money *ret_product)
{
    struct money product = a;
    ENSURE(!__builtin_mul_overflow(a.amount_minor, factor, &product.amount_minor), ERR_LIMIT,
           "amount_too_large", "The amount is too large.");
    *ret_product = product;
    return OK;
}

void money_format(struct money m, char *out)
{
    int exponent = currency_exponent(m.currency);
    uint64_t u = m.amount_minor < 0 ? 0 - (uint64_t)m.amount_minor : (uint64_t)m.amount_minor;
    uint64_t unit = exponent == 0 ? 1 : exponent == 3 ? 1000 : 100;
    const char *sign = m.amount_minor < 0 ? "-" : "";

    if (exponent == 0)
        (void)snprintf(out, MONEY_TEXT_MAX, "%s %s%llu", m.currency.code, sign,
                       (unsigned long long)u);
    else
        (void)snprintf(out, MONEY_TEXT_MAX, "%s %s%llu.%0*llu", m.currency.code, sign,
                       (unsigned long long)(u / unit), exponent, (unsigned long long)(u % unit));
}
