/* SPDX-License-Identifier: Apache-2.0 */
/* Events that anybody may see are found again until they change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reach/api/shown.h"
#include "store/store/notes.h"

static struct shown *shown;
static char some_map; /* only its address counts */

static int open_all(void **state)
{
    (void)state;
    assert_int_equal(shown_new(&shown), OK);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    shown_free(shown);
    return 0;
}

static struct event_id id_of(int64_t no)
{
    struct event_id id = {{0}};
    put_u64be(id.b + 8, (uint64_t)no);
    return id;
}

static void keep(struct stamp_mark mark, int64_t no)
{
    shown_keep(shown, mark,
               &(struct shown_event){.id = id_of(no), .event_no = no, .map = (void *)&some_map});
}

static bool finds(int64_t no)
{
    struct shown_event e;
    bool found = shown_find(shown, id_of(no), &e);

    if (found) {
        assert_int_equal(e.event_no, no);
        assert_ptr_equal(e.map, &some_map);
    }
    return found;
}

static void committed(enum note_kind kind, int64_t no)
{
    shown_committed(shown, &(struct store_note){.kind = kind, .a = no}, 1);
}

static void an_event_is_found_until_it_changes(void **state)
{
    (void)state;
    assert_false(finds(7));
    keep(shown_mark(shown), 7);
    keep(shown_mark(shown), 8);
    assert_true(finds(7));
    committed(NOTE_PLACE, 7);
    assert_true(finds(7));
    committed(NOTE_EVENT, 7);
    assert_false(finds(7));
    assert_true(finds(8));
    keep(shown_mark(shown), 7);
    assert_true(finds(7));
}

static void what_was_read_before_a_change_is_not_found_after_it(void **state)
{
    (void)state;
    struct stamp_mark before = shown_mark(shown);
    committed(NOTE_EVENT, 7);
    keep(before, 7);
    assert_false(finds(7));
    /* Nor does it drive out what was read later. */
    keep(shown_mark(shown), 7);
    keep(before, 7);
    assert_true(finds(7));
}

static void events_of_one_set_crowd_each_other_out(void **state)
{
    size_t found = 0;

    (void)state;
    for (int64_t i = 0; i < 20; i++)
        keep(shown_mark(shown), 1 + i * 1024);
    for (int64_t i = 0; i < 20; i++)
        found += finds(1 + i * 1024);
    assert_int_equal(found, 8);
    assert_true(finds(1 + INT64_C(19) * 1024));
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {T(an_event_is_found_until_it_changes),
                                       T(what_was_read_before_a_change_is_not_found_after_it),
                                       T(events_of_one_set_crowd_each_other_out)};
    return cmocka_run_group_tests_name("shown", tests, NULL, NULL);
}
