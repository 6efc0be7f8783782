/* SPDX-License-Identifier: Apache-2.0 */
/* Orders just placed are found until they change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reach/api/recent.h"
#include "store/store/notes.h"

static struct recent *recent;

static int open_all(void **state)
{
    (void)state;
    assert_int_equal(recent_new(&recent), OK);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    recent_free(recent);
    return 0;
}

static struct order_id id_of(uint64_t n)
{
    struct order_id id = {{1}};
    put_u64be(id.b + 8, n);
    return id;
}

static void keep(uint64_t n, int64_t version)
{
    struct recent_order o = {.line_count = 1};

    o.row.id = id_of(n);
    o.row.account_no = 7;
    o.row.event_no = 8;
    o.row.version = version;
    recent_keep(recent, &o);
}

static void changed(enum note_kind kind, uint64_t n)
{
    struct order_id id = id_of(n);
    const struct store_note note = {.kind = kind,
                                    .a = 8,
                                    .b = ORDER_CHANGE,
                                    .c = (int64_t)get_u64be(id.b),
                                    .d = (int64_t)get_u64be(id.b + 8)};

    recent_committed(recent, &note, 1);
}

static int64_t version_of(uint64_t n)
{
    struct recent_order o;

    if (!recent_find(recent, id_of(n), &o))
        return 0;
    assert_int_equal(o.row.account_no, 7);
    assert_int_equal(o.row.event_no, 8);
    assert_true(order_id_eq(o.row.id, id_of(n)));
    return o.row.version;
}

static void an_order_is_found_until_it_changes(void **state)
{
    (void)state;
    assert_int_equal(version_of(1), 0);
    keep(1, 1);
    keep(2, 1);
    assert_int_equal(version_of(1), 1);
    changed(NOTE_PLACE, 1);
    assert_int_equal(version_of(1), 1);
    changed(NOTE_ORDER, 1);
    assert_int_equal(version_of(1), 0);
    assert_int_equal(version_of(2), 1);
    changed(NOTE_ORDER, 3); /* not here */
    keep(1, 5);
    assert_int_equal(version_of(1), 5);
}

static void an_order_has_one_place(void **state)
{
    (void)state;
    keep(1, 1);
    keep(1, 2);
    assert_int_equal(version_of(1), 2);
    changed(NOTE_ORDER, 1);
    assert_int_equal(version_of(1), 0);
}

static void orders_of_one_set_crowd_each_other_out(void **state)
{
    size_t found = 0;

    (void)state;
    for (uint64_t i = 0; i < 10; i++)
        keep(1 + i * 2048, 1);
    for (uint64_t i = 0; i < 10; i++)
        found += version_of(1 + i * 2048) == 1;
    assert_int_equal(found, 4);
    assert_int_equal(version_of(1 + UINT64_C(9) * 2048), 1);
}

static void a_forgotten_order_is_not_found(void **state)
{
    (void)state;
    recent_forget(recent, id_of(1)); /* not here: nothing */
    keep(1, 1);
    keep(2, 1);
    recent_forget(recent, id_of(1));
    assert_int_equal(version_of(1), 0);
    assert_int_equal(version_of(2), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {T(an_order_is_found_until_it_changes),
                                       T(an_order_has_one_place), T(a_forgotten_order_is_not_found),
                                       T(orders_of_one_set_crowd_each_other_out)};
    return cmocka_run_group_tests_name("recent", tests, NULL, NULL);
}
