/* SPDX-License-Identifier: Apache-2.0 */
/* The schema alone, without any rule in C, refuses to break S1, S2, T1 and the money rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "store/store/testing.h"

#define B4(x) x x x x
#define B16(x) "x'" B4(B4(x)) "'"
#define B32(x) "x'" B4(B4(x)) B4(B4(x)) "'"
/* clang-format off */
#define TICKET(id, place, generation, past, status) \
    "INSERT INTO ticket (id, organiser_no, event_no, place_no, generation, past_generation, order_id, account_no, category_no," \
    " price_minor, fee_minor, currency, status, last_entry_id, issued_ms) VALUES (" \
    B16(id) ", 1, 1, " place ", " generation ", " past ", " B16("11") ", 1, 0, 1000, 50, 'EUR', '" status "', " B16("1A") ", 1)"
#define SCAN(id, sequence, admission, admitted, conflict) \
    "INSERT INTO scan (id, organiser_no, event_no, device_no, sequence, code_hash, ticket_id, admission_no, admitted," \
    " conflict, reason, scanned_ms, received_ms) VALUES (" \
    B16(id) ", 1, 1, 1, " sequence ", " B32("20") ", " B16("14") ", " admission ", " admitted ", " conflict ", 'ok', 1, 1)"
#define PAYMENT(id, attempt, past, state) \
    "INSERT INTO payment (id, order_id, organiser_no, attempt, past_attempt, state, amount_minor, currency," \
    " title, return_origin, next_ms, created_ms) VALUES (" \
    B16(id) ", " B16("11") ", 1, " attempt ", " past ", '" state "', 1050, 'EUR', '', '', 1, 1)"
#define ORDER(id, hold, amount) \
    "INSERT INTO sale_order (id, organiser_no, event_no, account_no, hold_id, status, amount_minor, currency, created_ms," \
    " pay_until_ms) VALUES (" B16(id) ", 1, 1, 1, " hold ", 'awaiting_payment', " amount ", 'EUR', 1, 2)"
#define POSTING(ledger_account, amount) \
    "INSERT INTO posting (booking_id, line, order_id, ledger_account, amount_minor, currency, at_ms) VALUES (" \
    B16("12") ", 1, " B16("11") ", '" ledger_account "', " amount ", 'EUR', 1)"
/* clang-format on */

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

/* kind NULL: the statement is accepted. */
static void expect(struct store_testing *t, const char *sql, const char *kind)
{
    enum err code = store_testing_try(t, sql);

    if (!kind) {
        if (code != OK)
            fail_msg("refused: %s: %s", sql, err_last()->detail);
        return;
    }
    if (code != ERR_CONFLICT || strcmp(err_last()->slug, "constraint") != 0 ||
        !strstr(err_last()->detail, kind))
        fail_msg("not refused by a %s: %s: %d %s", kind, sql, (int)code,
                 code == OK ? "" : err_last()->detail);
}

static void s1_a_place_is_in_one_state_with_what_belongs_to_it(void **state)
{
    struct store_testing *t = *state;

    expect(t, "UPDATE place SET hold_id = " B16("18") " WHERE place_no = 0", "check");
    expect(t, "UPDATE place SET state = 3 WHERE place_no = 1", "check");
    expect(t, "UPDATE place SET ticket_id = " B16("21") " WHERE place_no = 1", "check");
    expect(t, "UPDATE place SET state = 1 WHERE place_no = 2", "check");
    expect(t, "UPDATE place SET state = 5 WHERE place_no = 2", "check");
    expect(t, "UPDATE place SET state = 0 WHERE place_no = 1", "check");
    expect(t,
           "UPDATE place SET state = 1, until_ms = 0, hold_id = " B16("18") " WHERE place_no = 2",
           "check");
    expect(t,
           "UPDATE place SET state = 2, order_id = " B16("11") ", hold_id = " B16(
               "18") " WHERE place_no = 2",
           "check");
    expect(t, "UPDATE place SET state = 4 WHERE place_no = 1", "check");
    expect(t, "INSERT INTO place (event_no, place_no, category_no, state) VALUES (1, 2, 0, 0)",
           "uniqueness");
    expect(t,
           "UPDATE place SET state = 1, until_ms = 9, hold_id = " B16("18") " WHERE place_no = 2",
           NULL);
    expect(t, "UPDATE place SET state = 4 WHERE place_no = 3", NULL);
}

static void s1_a_live_ticket_is_alone_on_its_place(void **state)
{
    struct store_testing *t = *state;

    expect(t, TICKET("21", "0", "2", "0", "valid"), "uniqueness"); /* a second one */
    expect(t, TICKET("21", "0", "2", "0", "suspended"), "uniqueness");
    expect(t, TICKET("21", "9", "1", "0", "valid"), "reference"); /* no place */
    expect(t, TICKET("21", "2", "1", "0", "valid"), "reference"); /* no line of its order */
    expect(t, TICKET("21", "0", "2", "2", "valid"), "check");
    expect(t, TICKET("21", "0", "2", "0", "revoked"), "check");
    expect(t, TICKET("21", "0", "2", "1", "revoked"), "check");
    expect(t, "DELETE FROM place WHERE place_no = 0", "reference");
    expect(t, "DELETE FROM order_line", "reference");
    /* The lawful way: the old one ends, and a new one takes its place. */
    expect(t, "UPDATE ticket SET status = 'superseded', past_generation = 1 WHERE id = " B16("14"),
           NULL);
    expect(t, TICKET("21", "0", "2", "0", "valid"), NULL);
    /* The old one does not come back beside it; its generation stays its own. */
    expect(t, "UPDATE ticket SET status = 'valid', past_generation = 0 WHERE id = " B16("14"),
           "uniqueness");
    expect(t, TICKET("22", "0", "1", "1", "revoked"), "uniqueness");
}

static void s2_a_hold_becomes_at_most_one_order_and_has_known_ends(void **state)
{
    struct store_testing *t = *state;

    expect(t, ORDER("22", B16("10"), "0"), "uniqueness");
    expect(t, ORDER("22", B16("77"), "0"), "reference");
    expect(t, "UPDATE hold SET status = 'both' WHERE id = " B16("18"), "check");
    expect(t, "UPDATE hold SET expires_ms = 4 WHERE id = " B16("18"), "check");
    expect(t, ORDER("22", B16("18"), "0"), NULL);
}

static void t1_a_numbered_admission_happens_once(void **state)
{
    struct store_testing *t = *state;

    expect(t, SCAN("22", "2", "1", "1", "0"), "uniqueness");
    expect(t, SCAN("22", "2", "1", "1", "1"), NULL);    /* kept as a conflict */
    expect(t, SCAN("23", "3", "NULL", "0", "0"), NULL); /* rejected ones are kept */
    expect(t, SCAN("24", "3", "NULL", "0", "0"), "uniqueness");
    expect(t, SCAN("24", "4", "NULL", "1", "0"), "check");
    expect(t, SCAN("24", "4", "2", "1", "0"), NULL);
    expect(t, "UPDATE scan SET conflict = 0 WHERE id = " B16("22"), "uniqueness");
}

static void m1_money_stays_within_what_was_asked_and_captured(void **state)
{
    struct store_testing *t = *state;

    expect(t, "UPDATE payment SET captured_minor = 1051", "check");
    expect(t, "UPDATE payment SET captured_minor = -1", "check");
    expect(t, "UPDATE payment SET refunded_minor = 1051", "check");
    expect(t, "UPDATE payment SET refunded_minor = -1", "check");
    expect(t, "UPDATE payment SET amount_minor = 0, captured_minor = 0", "check");
    expect(t, "UPDATE payment SET refunded_minor = 1050", NULL);
    expect(t, "UPDATE payment SET intent_ref = NULL", "check");
    expect(t, "UPDATE payment SET session_ref = NULL", "check");
    expect(t, "UPDATE refund SET amount_minor = 0", "check");
    expect(t, "UPDATE sale_order SET amount_minor = -1", "check");
    expect(t, "UPDATE sale_order SET amount_minor = 1000000001", "check");
    expect(t, "UPDATE order_line SET price_minor = -1", "check");
    expect(t, "UPDATE category SET fee_minor = -1", "check");
    expect(t, POSTING("sales", "0"), "check");
    expect(t, POSTING("pot", "5"), "check");
    expect(t, POSTING("sales", "-5"), NULL);
    expect(t, POSTING("sales", "-5"), "uniqueness");
}

static void m1_one_attempt_of_an_order_can_bring_money(void **state)
{
    struct store_testing *t = *state;

    expect(t, PAYMENT("22", "2", "0", "open"), "uniqueness");
    expect(t, PAYMENT("22", "2", "2", "open"), "check");
    expect(t, PAYMENT("22", "2", "0", "failed"), "check");
    expect(t, PAYMENT("22", "2", "1", "failed"), "check");
    expect(t, PAYMENT("22", "2", "2", "failed"), NULL);
    expect(t, PAYMENT("23", "2", "2", "failed"), "uniqueness");
    expect(t, PAYMENT("23", "3", "3", "expired"), NULL);
    expect(t, "UPDATE payment SET state = 'open' WHERE id = " B16("23"), "check");
    expect(t, "UPDATE payment SET state = 'open', past_attempt = 0 WHERE id = " B16("23"),
           "uniqueness");
    expect(t, "UPDATE payment SET session_ref = 'cs_2' WHERE id = " B16("23"), "check");
    expect(t, "UPDATE payment SET intent_ref = 'pi_2' WHERE id = " B16("23"), "check");
    expect(t, "UPDATE payment SET state = 'creating' WHERE id = " B16("23"), "check");
}

static void columns_hold_the_type_they_are_declared_with(void **state)
{
    struct store_testing *t = *state;

    expect(t, "UPDATE sale_order SET amount_minor = 'much'", "type");
    expect(t, "UPDATE organiser SET name = NULL", "presence");
    expect(t, "UPDATE organiser SET id = x'00'", "check");
    expect(t, "UPDATE event SET ends_ms = starts_ms", "check");
    expect(t, "UPDATE person SET erased_ms = 5", "check");
    expect(t, "UPDATE person SET erased_ms = 5, wrapped_key = NULL", NULL);
}

static void a_number_once_given_is_not_given_again(void **state)
{
    struct store_testing *t = *state;

    expect(t,
           "INSERT INTO organiser (id, name, slug, created_ms) VALUES (" B16("30") ", 'B', 'b', 1)",
           NULL);
    assert_int_equal(store_testing_number(t, "SELECT max(organiser_no) FROM organiser"), 2);
    expect(t, "DELETE FROM organiser WHERE organiser_no = 2", NULL);
    expect(t,
           "INSERT INTO organiser (id, name, slug, created_ms) VALUES (" B16("31") ", 'C', 'c', 1)",
           NULL);
    assert_int_equal(store_testing_number(t, "SELECT max(organiser_no) FROM organiser"), 3);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(s1_a_place_is_in_one_state_with_what_belongs_to_it),
        CASE(s1_a_live_ticket_is_alone_on_its_place),
        CASE(s2_a_hold_becomes_at_most_one_order_and_has_known_ends),
        CASE(t1_a_numbered_admission_happens_once),
        CASE(m1_money_stays_within_what_was_asked_and_captured),
        CASE(m1_one_attempt_of_an_order_can_bring_money),
        CASE(columns_hold_the_type_they_are_declared_with),
        CASE(a_number_once_given_is_not_given_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
