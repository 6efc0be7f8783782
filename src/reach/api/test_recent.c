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

static void keep_lines(uint64_t n, int64_t version, size_t line_count)
{
    struct recent_order o = {.line_count = line_count};

    o.row.id = id_of(n);
    o.row.account_no = 7;
    o.row.event_no = 8;
    o.row.version = version;
    recent_keep(recent, &o);
}

static void keep(uint64_t n, int64_t version)
{
    keep_lines(n, version, 1);
}

static void changed_so(enum note_kind kind, uint64_t n, enum order_change change)
{
    struct order_id id = id_of(n);
    const struct store_note note = {.kind = kind,
                                    .a = 8,
                                    .b = change,
                                    .c = (int64_t)get_u64be(id.b),
                                    .d = (int64_t)get_u64be(id.b + 8)};

    recent_committed(recent, &note, 1);
}

static void changed(enum note_kind kind, uint64_t n)
{
    changed_so(kind, n, ORDER_CHANGE);
}

static void opened(uint64_t n)
{
    changed_so(NOTE_ORDER, n, ORDER_CHANGE_OPENED);
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

static int64_t taken_version(uint64_t n)
{
    struct recent_order o;

    return recent_take_opened(recent, id_of(n), &o) ? o.row.version : 0;
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

static void an_opened_order_is_taken_once_and_found_no_more(void **state)
{
    (void)state;
    keep(1, 1);
    keep(2, 1);
    opened(1);
    assert_int_equal(version_of(1), 0);
    assert_int_equal(version_of(2), 1);
    assert_int_equal(taken_version(1), 2);
    assert_int_equal(taken_version(1), 0);
    assert_int_equal(taken_version(2),
                     0); /* was not opened: gone all the same, its rows know better */
}

static void an_order_that_was_opened_and_changed_is_not_taken(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) { /* whichever note comes first */
        keep(1, 1);
        if (order == 0)
            opened(1);
        changed(NOTE_ORDER, 1);
        if (order == 1)
            opened(1);
        assert_int_equal(taken_version(1), 0);
    }
    keep(1, 1);
    opened(1);
    opened(1);
    assert_int_equal(taken_version(1), 0);
}

static void a_forgotten_order_is_neither_found_nor_taken(void **state)
{
    (void)state;
    recent_forget(recent, id_of(1)); /* not here: nothing */
    keep(1, 1);
    keep(2, 1);
    recent_forget(recent, id_of(1));
    assert_int_equal(version_of(1), 0);
    assert_int_equal(version_of(2), 1);
    opened(1);
    assert_int_equal(taken_version(1), 0);
}

static void an_order_of_too_many_lines_is_found_and_never_taken(void **state)
{
    (void)state;
    keep_lines(1, 1, 0);
    assert_int_equal(version_of(1), 1);
    opened(1);
    assert_int_equal(taken_version(1), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {T(an_order_is_found_until_it_changes),
                                       T(an_order_has_one_place),
                                       T(an_opened_order_is_taken_once_and_found_no_more),
                                       T(an_order_that_was_opened_and_changed_is_not_taken),
                                       T(a_forgotten_order_is_neither_found_nor_taken),
                                       T(an_order_of_too_many_lines_is_found_and_never_taken),
                                       T(orders_of_one_set_crowd_each_other_out)};
    return cmocka_run_group_tests_name("recent", tests, NULL, NULL);
}
