/* SPDX-License-Identifier: Apache-2.0 */
/* Raising, merging, acknowledging, and finding what changed, on a real database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/store/notes.h"
#include "store/store/testing.h"
#include "watch/alert/alert.h"

static struct store_testing t;

static int setup(void **state)
{
    (void)state;
    store_testing_open(&t);
    store_testing_rows(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_testing_close(&t);
    return 0;
}

static enum err run_raise(struct store_tx *tx, void *context)
{
    return alert_raise(tx, context, NULL);
}

static enum err raise_it(enum alert_kind kind, int64_t organiser_no, const char *subject,
                         const char *facts)
{
    struct alert_cause c = {.kind = kind,
                            .organiser_no = organiser_no,
                            .event_no = 1,
                            .subject = subject,
                            .facts = span_text(facts)};
    return store_testing_run(&t, run_raise, &c);
}

struct changes {
    struct arena arena;
    int64_t after;
    struct alert_row *rows;
    size_t count;
};

static enum err run_changed(struct store_tx *tx, void *context)
{
    struct changes *c = context;
    return store_alerts_changed(tx, &c->arena, c->after, 100, &c->rows, &c->count);
}

static struct changes changed_after(int64_t after)
{
    struct changes c = {.after = after};
    arena_init(&c.arena, 1 << 20);
    assert_int_equal(store_testing_read(&t, run_changed, &c), OK);
    return c;
}

static int64_t number(const char *sql)
{
    return store_testing_number(&t, sql);
}

static void an_alert_is_a_row_and_a_note(void **state)
{
    (void)state;
    assert_int_equal(raise_it(ALERT_forged, 1, "dev_1", "{\"gate\":\"A\"}"), OK);
    assert_int_equal(t.note_count, 1);
    assert_int_equal(t.notes[0].kind, NOTE_ALERT);
    assert_int_equal(t.notes[0].c, 1);
    struct changes c = changed_after(0);
    assert_int_equal(c.count, 1);
    assert_int_equal(t.notes[0].a, c.rows[0].alert_no);
    assert_string_equal(c.rows[0].kind, "forged");
    assert_string_equal(c.rows[0].facts, "{\"count\":1,\"gate\":\"A\"}");
    assert_string_equal(c.rows[0].state, "open");
    assert_int_equal(c.rows[0].severity, 4);
    assert_int_equal(c.rows[0].event.b[0], 0x0F);
    assert_int_equal(c.rows[0].at_ms, STORE_TESTING_NOW_MS);
    arena_done(&c.arena);
}

static void a_flood_about_one_thing_is_one_alert_for_a_minute(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(raise_it(ALERT_duplicate, 1, "tkt_1", "{}"), OK);
    struct changes c = changed_after(4);
    assert_int_equal(c.count, 1);
    assert_int_equal(c.rows[0].change_no, 5);
    assert_string_equal(c.rows[0].facts, "{\"count\":5}");
    arena_done(&c.arena);
    clock_fixed_set(&t.clock, STORE_TESTING_NOW_MS + ALERT_MERGE_MS + 1);
    assert_int_equal(raise_it(ALERT_duplicate, 1, "tkt_1", ""), OK);
    assert_int_equal(number("SELECT count(*) FROM alert"), 2);
}

static void other_kinds_subjects_and_organisers_are_not_merged(void **state)
{
    (void)state;
    assert_int_equal(raise_it(ALERT_duplicate, 1, "tkt_1", ""), OK);
    assert_int_equal(raise_it(ALERT_refunded, 1, "tkt_1", ""), OK);
    assert_int_equal(raise_it(ALERT_duplicate, 1, "tkt_2", ""), OK);
    assert_int_equal(raise_it(ALERT_duplicate, 2, "tkt_1", ""), OK);
    assert_int_equal(number("SELECT count(*) FROM alert"), 4);
}

static void facts_that_are_no_object_or_count_themselves_are_refused(void **state)
{
    static const char *const bad[] = {"[]", "{", "1", "{\"count\":9}", "{\"a\":1}}", " {\"a\":1}"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(raise_it(ALERT_forged, 1, "x", bad[i]), ERR_INVALID);
    assert_int_equal(number("SELECT count(*) FROM alert"), 0);
}

static enum err run_acknowledge(struct store_tx *tx, void *context)
{
    return alert_acknowledge(tx, *(struct alert_id *)context, 1);
}

static void an_acknowledged_alert_changes_once_and_takes_no_more(void **state)
{
    struct alert_id id, none = {{9}};
    (void)state;

    assert_int_equal(raise_it(ALERT_forged, 1, "dev_1", ""), OK);
    struct changes c = changed_after(0);
    id = c.rows[0].id;
    arena_done(&c.arena);
    assert_int_equal(store_testing_run(&t, run_acknowledge, &id), OK);
    assert_int_equal(t.note_count, 1);
    c = changed_after(1);
    assert_int_equal(c.count, 1);
    assert_string_equal(c.rows[0].state, "acknowledged");
    assert_int_equal(c.rows[0].handled_ms, STORE_TESTING_NOW_MS);
    arena_done(&c.arena);
    assert_int_equal(store_testing_run(&t, run_acknowledge, &id), OK);
    assert_int_equal(t.note_count, 0);
    c = changed_after(2);
    assert_int_equal(c.count, 0);
    arena_done(&c.arena);
    assert_int_equal(raise_it(ALERT_forged, 1, "dev_1", ""), OK);
    assert_int_equal(number("SELECT count(*) FROM alert"), 2);
    assert_int_equal(store_testing_run(&t, run_acknowledge, &none), ERR_NOT_FOUND);
}

static enum err run_list(struct store_tx *tx, void *context)
{
    struct arena a;
    struct store_page page = {.limit = 2};
    struct alert_row *rows;
    size_t count;
    int64_t newest;
    (void)context;

    arena_init(&a, 1 << 20);
    assert_int_equal(store_alert_newest_change(tx, &newest), OK);
    assert_int_equal(newest, 4);
    assert_int_equal(store_alert_list(tx, &a, 1, &page, &rows, &count), OK);
    assert_int_equal(count, 2);
    assert_string_equal(rows[0].subject, "c");
    assert_string_equal(rows[1].subject, "b");
    page.after_no = rows[1].alert_no;
    assert_int_equal(store_alert_list(tx, &a, 1, &page, &rows, &count), OK);
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].subject, "a");
    assert_int_equal(store_alert_list(tx, &a, 2, &(struct store_page){.limit = 9}, &rows, &count),
                     OK);
    assert_int_equal(count, 1);
    assert_int_equal(store_alert_list(tx, &a, 0, &(struct store_page){.limit = 9}, &rows, &count),
                     OK);
    assert_int_equal(count, 4);
    arena_done(&a);
    return OK;
}

static void lists_are_newest_first_paged_and_by_organiser(void **state)
{
    (void)state;
    assert_int_equal(raise_it(ALERT_forged, 1, "a", ""), OK);
    assert_int_equal(raise_it(ALERT_forged, 1, "b", ""), OK);
    assert_int_equal(raise_it(ALERT_forged, 2, "z", ""), OK);
    assert_int_equal(raise_it(ALERT_forged, 1, "c", ""), OK);
    assert_int_equal(store_testing_read(&t, run_list, NULL), OK);
}

static void every_kind_says_what_to_do(void **state)
{
    enum alert_kind kind;
    (void)state;
    for (int i = 0; i < ALERT_KIND_COUNT; i++) {
        enum alert_kind k = (enum alert_kind)i;
        assert_true(strlen(alert_title(k)) > 0 && strlen(alert_todo(k)) > 0);
        assert_true(alert_severity(k) >= 1 && alert_severity(k) <= 4);
        assert_int_equal(alert_kind_parse(span_text(alert_kind_name(k)), &kind), OK);
        assert_int_equal(kind, k);
    }
    assert_int_equal(alert_kind_parse(SPAN_LIT("no_such"), &kind), ERR_NOT_FOUND);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(an_alert_is_a_row_and_a_note),
        STORE_TEST(a_flood_about_one_thing_is_one_alert_for_a_minute),
        STORE_TEST(other_kinds_subjects_and_organisers_are_not_merged),
        STORE_TEST(facts_that_are_no_object_or_count_themselves_are_refused),
        STORE_TEST(an_acknowledged_alert_changes_once_and_takes_no_more),
        STORE_TEST(lists_are_newest_first_paged_and_by_organiser),
        cmocka_unit_test(every_kind_says_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
