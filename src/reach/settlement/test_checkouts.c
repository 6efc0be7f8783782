/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "reach/settlement/checkouts.h"

static struct checkouts *c;

static struct order_id order_no(unsigned n)
{
    struct order_id id = {{0}};
    put_u32be(id.b + ID_BYTES - 4, n);
    return id;
}

/* An id that was made at that time. */
static struct payment_id payment_at(uint64_t ms)
{
    struct payment_id id = {{0}};
    for (size_t i = 0; i < 6; i++)
        id.b[i] = (uint8_t)(ms >> (40 - 8 * i));
    return id;
}

static void keep(unsigned n, uint64_t ms, const char *word)
{
    struct checkout checkout = {.payment = payment_at(ms)};
    (void)snprintf(checkout.session_ref, sizeof checkout.session_ref, "cs_%s", word);
    (void)snprintf(checkout.url, sizeof checkout.url, "https://pay.example/%s", word);
    checkouts_keep(c, order_no(n), &checkout);
}

static bool has(unsigned n, const char *word)
{
    struct checkout found;
    char url[100];

    (void)snprintf(url, sizeof url, "https://pay.example/%s", word);
    return checkouts_find(c, order_no(n), &found) && strcmp(found.session_ref + 3, word) == 0 &&
           strcmp(found.url, url) == 0;
}

static bool missing(unsigned n)
{
    struct checkout found;
    return !checkouts_find(c, order_no(n), &found);
}

static int open_three(void **state)
{
    (void)state;
    return checkouts_new(1000, 3, &c) == OK ? 0 : -1;
}

static int done(void **state)
{
    (void)state;
    checkouts_free(c);
    return 0;
}

static void what_was_kept_is_found_until_it_is_forgotten(void **state)
{
    struct checkout found;
    (void)state;

    keep(1, 1001, "one");
    keep(16385, 1002, "same-bucket");
    assert_true(has(1, "one"));
    assert_true(has(16385, "same-bucket"));
    assert_true(missing(2));
    assert_true(checkouts_find(c, order_no(1), &found));
    assert_int_equal(id_made_ms(found.payment.b), 1001);
    checkouts_forget(c, order_no(2));
    checkouts_forget(c, order_no(1));
    assert_true(missing(1));
    assert_true(has(16385, "same-bucket"));
    checkouts_forget(c, order_no(16385));
    assert_true(missing(16385));
    /* On purpose: nothing is missed by that. */
    assert_false(checkouts_may_miss(c, payment_at(1001)));
}

static void a_later_attempt_takes_the_place_of_the_first(void **state)
{
    (void)state;

    keep(1, 1001, "first");
    keep(1, 1005, "second");
    assert_true(has(1, "second"));
    keep(2, 1006, "two");
    keep(3, 1007, "three");
    assert_true(has(1, "second")); /* it is one, not two */
    assert_true(checkouts_may_miss(c, payment_at(1001)));
    assert_false(checkouts_may_miss(c, payment_at(1002)));
    keep(1, 1005, "again"); /* the same attempt: nothing is missed */
    assert_false(checkouts_may_miss(c, payment_at(1005)));
}

static void what_was_made_before_the_start_may_be_missing(void **state)
{
    (void)state;

    assert_true(checkouts_may_miss(c, payment_at(999)));
    assert_false(checkouts_may_miss(c, payment_at(1000)));
}

static void the_oldest_is_crowded_out_and_may_be_missing_then(void **state)
{
    (void)state;

    keep(1, 1001, "one");
    keep(2, 1009, "two");
    keep(3, 1003, "three");
    assert_false(checkouts_may_miss(c, payment_at(1001)));
    keep(4, 1004, "four");
    assert_true(missing(1));
    assert_true(has(2, "two") && has(3, "three") && has(4, "four"));
    assert_true(checkouts_may_miss(c, payment_at(1001)));
    assert_false(checkouts_may_miss(c, payment_at(1002)));
    keep(5, 1005, "five");
    assert_true(missing(2));
    assert_true(checkouts_may_miss(c, payment_at(1009)));
    checkouts_forget(c, order_no(4)); /* in the middle of the queue */
    keep(6, 1010, "six");
    assert_true(has(3, "three") && has(5, "five") && has(6, "six"));
    keep(7, 1011, "seven");
    assert_true(missing(3));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_three, done)
    const struct CMUnitTest tests[] = {
        T(what_was_kept_is_found_until_it_is_forgotten),
        T(a_later_attempt_takes_the_place_of_the_first),
        T(what_was_made_before_the_start_may_be_missing),
        T(the_oldest_is_crowded_out_and_may_be_missing_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
