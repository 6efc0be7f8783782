/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_MONEY_H
#define GROUND_BASE_MONEY_H

/* money - integer minor units and an ISO 4217 code. No floating point; every operation is overflow-checked. */
#include <stdint.h>

#include "ground/base/span.h"

struct currency {
    char code[4]; /* upper case, terminated */
};

struct money {
    int64_t amount_minor;
    struct currency currency;
};

enum { MONEY_MINOR_MAX = 1000000000 }; /* one price, one order: at most this many minor units */

/* ERR_INVALID "bad_currency" unless it is in the built-in list (currencies.def). */
RESULT currency_parse(struct span text, struct currency *ret_currency);
/* Digits after the point: 2 for EUR, 0 for JPY, 3 for KWD; the currency must come from currency_parse. */
int currency_exponent(struct currency c);
bool currency_eq(struct currency a, struct currency b);
/* ERR_INVALID on differing currencies, ERR_LIMIT on overflow. */
RESULT money_add(struct money a, struct money b, struct money *ret_sum);
RESULT money_times(struct money a, int64_t factor, struct money *ret_product);
enum { MONEY_TEXT_MAX = 40 };
/* "EUR 12.34"; out holds MONEY_TEXT_MAX. */
void money_format(struct money m, char *out);

#endif
