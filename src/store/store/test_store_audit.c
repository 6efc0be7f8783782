/* SPDX-License-Identifier: Apache-2.0 */
/* D1: an audited row changes only together with a ledger entry that names it. What a command knows of it is what is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "store/store/internal.h"
#include "store/store/store_ledger.h"
#include "store/store/store_order.h"
#include "store/store/testing.h"

/* A harmless change of the row that store_testing_rows made. */
static const char *const changes[AUDIT_COUNT] = {
    [AUDIT_organiser] = "UPDATE organiser SET name = 'changed' WHERE organiser_no = 1",
    [AUDIT_venue] = "UPDATE venue SET name = 'changed' WHERE venue_no = 1",
    [AUDIT_plan] = "UPDATE plan SET name = 'changed' WHERE plan_no = 1",
    [AUDIT_event] = "UPDATE event SET name = 'changed' WHERE event_no = 1",
    [AUDIT_category] = "UPDATE category SET name = 'changed' WHERE event_no = 1",
    [AUDIT_sale_order] = "UPDATE sale_order SET version = 77",
    [AUDIT_payment] = "UPDATE payment SET session_ref = 'changed'",
    [AUDIT_refund] = "UPDATE refund SET refund_ref = 'changed'",
    [AUDIT_ticket] = "UPDATE ticket SET sequence = 77",
    [AUDIT_scan] = "UPDATE scan SET reason = 'changed' WHERE scan_no = 1",
    [AUDIT_account] = "UPDATE account SET failures = 77 WHERE account_no = 1",
    [AUDIT_role_grant] = "UPDATE role_grant SET expires_ms = 77",
    [AUDIT_device] = "UPDATE device SET name = 'changed' WHERE device_no = 1",
};

struct change {
    enum store_audit table;
    bool pay_before, pay_after, wrong_row, wrong_table, swallow;
    const char *sql;
};

static const uint8_t row[ID_BYTES] = {1, 2, 3}, other[ID_BYTES] = {1, 2, 4};

static enum err make_change(struct store_tx *tx, void *context)
{
    const struct change *c = context;
    struct statement st = {"test", c->table, c->sql ? c->sql : changes[c->table]};
    int64_t changed = -1;

    if (c->pay_before)
        store_audit_paid(tx, c->table, row);
    enum err code = tx_exec_text(tx, &st, row, NULL, 0, &changed);
    if (c->swallow)
        return OK;
    TRY(code);
    if (c->wrong_row)
        store_audit_paid(tx, c->table, other);
    if (c->wrong_table)
        store_audit_paid(tx, c->table == AUDIT_event ? AUDIT_venue : AUDIT_event, row);
    if (c->pay_after)
        store_audit_paid(tx, c->table, row);
    return OK;
}

static int set_up(void **state)
{
    static struct store_testing t;
    store_testing_open(&t);
    store_testing_rows(&t);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    store_testing_close(*state);
    return 0;
}

static int64_t changed_rows(struct store_testing *t)
{
    return store_testing_number(t, "SELECT (SELECT count(*) FROM organiser WHERE name = 'changed')"
                                   " + (SELECT count(*) FROM venue WHERE name = 'changed')"
                                   " + (SELECT count(*) FROM plan WHERE name = 'changed')"
                                   " + (SELECT count(*) FROM event WHERE name = 'changed')"
                                   " + (SELECT count(*) FROM category WHERE name = 'changed')"
                                   " + (SELECT count(*) FROM sale_order WHERE version = 77)"
                                   " + (SELECT count(*) FROM payment WHERE session_ref = 'changed')"
                                   " + (SELECT count(*) FROM refund WHERE refund_ref = 'changed')"
                                   " + (SELECT count(*) FROM ticket WHERE sequence = 77)"
                                   " + (SELECT count(*) FROM scan WHERE reason = 'changed')"
                                   " + (SELECT count(*) FROM account WHERE failures = 77)"
                                   " + (SELECT count(*) FROM role_grant WHERE expires_ms = 77)"
                                   " + (SELECT count(*) FROM device WHERE name = 'changed')");
}

static void refused(struct store_testing *t, struct change c)
{
    assert_int_equal(store_testing_run(t, make_change, &c), ERR_CORRUPT);
    assert_string_equal(err_last()->slug, "unaudited_change");
    assert_int_equal(changed_rows(t), 0);
}

static void every_audited_table_refuses_a_change_without_its_entry(void **state)
{
    for (int table = 1; table < AUDIT_COUNT; table++) {
        enum store_audit a = (enum store_audit)table;
        assert_non_null(changes[a]);
        refused(*state, (struct change){.table = a});
        refused(*state, (struct change){.table = a, .wrong_row = true});
        refused(*state, (struct change){.table = a, .wrong_table = true});
    }
}

static void every_audited_table_takes_a_change_with_its_entry_before_or_after(void **state)
{
    for (int table = 1; table < AUDIT_COUNT; table++) {
        struct change c = {.table = (enum store_audit)table,
                           .pay_before = table % 2 == 0,
                           .pay_after = table % 2 == 1};
        assert_int_equal(store_testing_run(*state, make_change, &c), OK);
        assert_int_equal(changed_rows(*state), table);
    }
}

static void an_entry_of_an_earlier_command_pays_for_nothing(void **state)
{
    struct change paid = {.table = AUDIT_venue, .pay_after = true};

    assert_int_equal(store_testing_run(*state, make_change, &paid), OK);
    store_testing_sql(*state, "UPDATE venue SET name = 'Hall'");
    refused(*state, (struct change){.table = AUDIT_venue});
}

static void a_change_of_no_row_owes_nothing(void **state)
{
    struct change c = {.table = AUDIT_venue,
                       .sql = "UPDATE venue SET name = 'x' WHERE venue_no = 9"};
    assert_int_equal(store_testing_run(*state, make_change, &c), OK);
}

static void two_rows_in_one_call_are_refused_even_when_the_command_looks_away(void **state)
{
    struct change c = {.table = AUDIT_venue,
                       .pay_before = true,
                       .swallow = true,
                       .sql = "UPDATE venue SET name = 'changed'"};

    store_testing_sql(*state,
                      "INSERT INTO venue (id, organiser_no, name, address, time_zone, created_ms)"
                      " VALUES (x'00112233445566778899aabbccddeeff', 1, 'Hall', '', 'UTC', 1)");
    refused(*state, c);
}

static enum err untagged(struct store_tx *tx, void *context)
{
    struct statement st = {"test", AUDIT_venue, changes[AUDIT_venue]};
    return tx_exec_text(tx, &st, context, NULL, 0, NULL);
}

static enum err tagged_none(struct store_tx *tx, void *context)
{
    struct statement st = {"test", AUDIT_none, "DELETE FROM meta"};
    return tx_exec_text(tx, &st, context, NULL, 0, NULL);
}

static void the_audited_call_and_the_plain_one_cannot_be_mixed_up(void **state)
{
    uint8_t id[ID_BYTES] = {1};

    assert_int_equal(store_testing_run(*state, untagged, NULL), ERR_CORRUPT);
    assert_int_equal(changed_rows(*state), 0);
    assert_int_equal(store_testing_run(*state, tagged_none, id), ERR_CORRUPT);
    assert_int_equal(store_testing_run(*state, tagged_none, NULL), OK);
}

static enum err many(struct store_tx *tx, void *context)
{
    static const struct statement add = {
        "test", AUDIT_refund,
        "INSERT INTO refund (id, payment_id, order_id, organiser_no, amount_minor, reason, state, "
        "next_ms, created_ms)"
        " SELECT ?1, payment_id, order_id, organiser_no, 1, reason, state, 1, 1 FROM refund WHERE "
        "amount_minor = 50"};
    const int *paid = context;

    for (int i = 0; i < 1000; i++) {
        uint8_t id[ID_BYTES] = {(uint8_t)(i % 251), (uint8_t)(i / 251), 9};
        TRY(tx_exec_text(tx, &add, id, SQL_ARGS(sv_blob(SPAN_ARRAY(id))), NULL));
    }
    for (int i = 999; i >= 1000 - *paid; i--) {
        uint8_t id[ID_BYTES] = {(uint8_t)(i % 251), (uint8_t)(i / 251), 9};
        store_audit_paid(tx, AUDIT_refund, id);
    }
    return OK;
}

static void of_a_thousand_rows_each_owes_its_own_entry(void **state)
{
    int paid = 999;

    assert_int_equal(store_testing_run(*state, many, &paid), ERR_CORRUPT);
    assert_int_equal(store_testing_number(*state, "SELECT count(*) FROM refund"), 1);
    paid = 1000;
    assert_int_equal(store_testing_run(*state, many, &paid), OK);
    assert_int_equal(store_testing_number(*state, "SELECT count(*) FROM refund"), 1001);
}

/* --- known rows ---------------------------------------------------------------------------------------------------------- */

#define B4(x) x, x, x, x
#define ROW_ID(x)                                                                                  \
    {                                                                                              \
        B4(x), B4(x), B4(x), B4(x)                                                                 \
    }
static const uint8_t venue[ID_BYTES] = ROW_ID(0x0d);

struct knowing {
    bool wrong, again;
    struct buf encoded;
};

/* A venue gets another name, and its command says what the row is now. */
static enum err rename_venue(struct store_tx *tx, void *context)
{
    static const struct statement rename = {"test", AUDIT_venue,
                                            "UPDATE venue SET name = ?2 WHERE id = ?1"};
    struct knowing *k = context;
    struct store_value id = sv_blob(SPAN_ARRAY(venue)), name = sv_str("Arena");

    store_audit_paid(tx, AUDIT_venue, venue);
    TRY(tx_exec_text(tx, &rename, venue, SQL_ARGS(id, name), NULL));
    tx_row_known(tx, AUDIT_venue, venue,
                 SQL_ARGS(id, sv_int(1), sv_int(1), k->wrong ? sv_null() : name, sv_str("Street 1"),
                          sv_str("Europe/Berlin"), sv_int(1)));
    if (k->again)
        TRY(tx_exec_text(tx, &rename, venue, SQL_ARGS(id, sv_str("Dome")), NULL));
    TRY(store_row_encode(tx, AUDIT_venue, venue, &k->encoded));
    return tx_known_check(tx);
}

static enum err read_venue(struct store_tx *tx, void *context)
{
    struct knowing *k = context;

    buf_reset(&k->encoded);
    return store_row_encode(tx, AUDIT_venue, venue, &k->encoded);
}

static void a_known_row_is_taken_until_the_next_change(void **state)
{
    for (int again = 0; again <= 1; again++) {
        struct knowing told = {.again = again}, seen = {0};

        buf_init(&told.encoded, 1000);
        buf_init(&seen.encoded, 1000);
        assert_int_equal(store_testing_run(*state, rename_venue, &told), OK);
        assert_int_equal(store_testing_read(*state, read_venue, &seen), OK);
        assert_true(span_eq(buf_span(&told.encoded), buf_span(&seen.encoded)));
        buf_done(&told.encoded);
        buf_done(&seen.encoded);
    }
}

static void a_row_that_is_known_wrongly_is_found(void **state)
{
    struct knowing k = {.wrong = true};

    buf_init(&k.encoded, 1000);
    assert_int_equal(store_testing_run(*state, rename_venue, &k), ERR_CORRUPT);
    assert_string_equal(err_last()->slug, "known_wrong");
    buf_reset(&k.encoded);
    k.again = true; /* nobody relies on it any more */
    assert_int_equal(store_testing_run(*state, rename_venue, &k), OK);
    buf_done(&k.encoded);
}

struct ordering {
    struct order_row order;
    bool stale;
};

/* An order whose lines are not by place, and one change of it. */
static enum err order_backwards(struct store_tx *tx, void *context)
{
    static const struct order_line lines[] = {{3, 0, 1000, 50}, {2, 0, 1000, 50}};
    struct ordering *o = context;

    store_audit_paid(tx, AUDIT_sale_order, o->order.id.b);
    TRY(store_order_insert(tx, &o->order, lines, COUNT_OF(lines)));
    TRY(tx_known_check(tx));
    if (o->stale)
        o->order.version++;
    TRY(store_order_touch(tx, &o->order, lines, COUNT_OF(lines)));
    return tx_known_check(tx);
}

static struct ordering an_order(void)
{
    struct ordering o = {.order = {.id = {ROW_ID(0x21)},
                                   .organiser_no = 1,
                                   .event_no = 1,
                                   .account_no = 1,
                                   .hold = {ROW_ID(0x18)},
                                   .amount = {2100, {"EUR"}},
                                   .created_ms = 1,
                                   .pay_until_ms = 2,
                                   .version = 1}};
    return o;
}

static void lines_in_any_order_are_the_same_row(void **state)
{
    struct ordering o = an_order();

    assert_int_equal(store_testing_run(*state, order_backwards, &o), OK);
    assert_int_equal(o.order.version, 2);
}

static void an_order_that_is_not_as_it_was_read_is_not_changed(void **state)
{
    struct ordering o = an_order();

    o.stale = true;
    assert_int_equal(store_testing_run(*state, order_backwards, &o), ERR_CONFLICT);
    assert_string_equal(err_last()->slug, "order_state");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_audited_table_refuses_a_change_without_its_entry),
        CASE(every_audited_table_takes_a_change_with_its_entry_before_or_after),
        CASE(an_entry_of_an_earlier_command_pays_for_nothing),
        CASE(a_change_of_no_row_owes_nothing),
        CASE(two_rows_in_one_call_are_refused_even_when_the_command_looks_away),
        CASE(the_audited_call_and_the_plain_one_cannot_be_mixed_up),
        CASE(of_a_thousand_rows_each_owes_its_own_entry),
        CASE(a_known_row_is_taken_until_the_next_change),
        CASE(a_row_that_is_known_wrongly_is_found),
        CASE(lines_in_any_order_are_the_same_row),
        CASE(an_order_that_is_not_as_it_was_read_is_not_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
