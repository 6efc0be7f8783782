/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "trust/ledger/audit.h"
#include "trust/ledger/test_log.h"

enum { FINDINGS_MAX = 64 };
static struct ledger_finding findings[FINDINGS_MAX];
static size_t finding_count;
static struct ledger_audit_result result;
static uint64_t visited;

static void found(void *context, const struct ledger_finding *finding)
{
    (void)context;
    if (finding_count < FINDINGS_MAX)
        findings[finding_count++] = *finding;
}
static enum err visit(void *context, const struct entry_view *entry)
{
    (void)context;
    (void)entry;
    visited++;
    return OK;
}

static enum err audit_(struct store_tx *tx, void *context)
{
    struct ledger_audit_config c = {&log_disk.real, &signer.vkey, found, visit, NULL};
    (void)context;
    finding_count = 0;
    visited = 0;
    return ledger_audit(tx, f.ledger, &c, &result);
}

static void audit(void)
{
    assert_int_equal(store_testing_read(&f.t, audit_, NULL), OK);
}

static bool says(enum ledger_finding_kind kind, const char *subject, const char *words)
{
    for (size_t i = 0; i < finding_count; i++)
        if (findings[i].kind == kind && strstr(findings[i].subject, subject) &&
            strstr(findings[i].sentence, words))
            return true;
    for (size_t i = 0; i < finding_count; i++)
        print_message("# %d %s: %s\n", (int)findings[i].kind, findings[i].subject,
                      findings[i].sentence);
    return false;
}

#define ID_OF(n) "x'000000000000000000000000000000" #n "'"
static const uint8_t ids[16][ID_BYTES] = {{0},        {[15] = 1}, {[15] = 2},    {[15] = 3},
                                          {[15] = 4}, {[15] = 5}, {[15] = 6},    {[15] = 7},
                                          {[15] = 8}, {[15] = 9}, {[15] = 0x10}, {[15] = 0x11}};

/* One sale in all its rows. */
static const char *const rows[] = {
    "INSERT INTO organiser VALUES (1, " ID_OF(01) ", 'Club', 'club', 0)",
    "INSERT INTO venue VALUES (1, " ID_OF(02) ", 1, 'Hall', 'Street 1', 'Europe/Berlin', 0)",
    "INSERT INTO plan VALUES (1, " ID_OF(
        03) ", 1, 1, 'Plan', zeroblob(32), 2, '[]', 0, zeroblob(12), x'02', x'01')",
    "INSERT INTO event (event_no, id, organiser_no, venue_no, plan_no, name, description, "
    "time_zone, "
    "currency, starts_ms, ends_ms, doors_ms, sale_from_ms, sale_until_ms, status, per_order_max, "
    "entries_max, capacity, created_ms) VALUES (1, " ID_OF(
        04) ", 1, 1, 1, 'Show', '', 'Europe/Berlin', "
            "'EUR', 10, 20, 5, 1, 9, 'on_sale', 4, 1, 2, 0)",
    "INSERT INTO category VALUES (1, 0, " ID_OF(05) ", 'Stalls', '#112233', 4000, 200)",
    "INSERT INTO sale_order (id, organiser_no, event_no, account_no, hold_id, status, "
    "amount_minor, "
    "currency, created_ms, pay_until_ms) VALUES (" ID_OF(
        06) ", 1, 1, 1, zeroblob(16), 'paid', 4200, "
            "'EUR', 0, 0)",
    "INSERT INTO order_line VALUES (" ID_OF(06) ", 0, 0, 4000, 200)",
    "INSERT INTO payment (id, order_id, organiser_no, attempt, state, session_ref, "
    "intent_ref, "
    "amount_minor, currency, title, return_origin, captured_minor, next_ms, created_ms) VALUES "
    "(" ID_OF(07) ", " ID_OF(06) ", 1, 1, 'captured', 'cs', 'pi', 4200, 'EUR', '', '', 4200, 0, 0)",
    "INSERT INTO posting VALUES (" ID_OF(07) ", 0, " ID_OF(06) ", 'provider', 4200, 'EUR', 0)",
    "INSERT INTO posting VALUES (" ID_OF(07) ", 1, " ID_OF(06) ", 'sales', -4200, 'EUR', 0)",
    "INSERT INTO ticket (id, organiser_no, event_no, place_no, generation, "
    "order_id, "
    "account_no, category_no, price_minor, fee_minor, currency, status, last_entry_id, issued_ms) "
    "VALUES "
    "(" ID_OF(08) ", 1, 1, 0, 1, " ID_OF(06) ", 1, 0, 4000, 200, 'EUR', 'valid', zeroblob(16), 0)",
    "INSERT INTO place (event_no, place_no, category_no, state, generation, ticket_id) VALUES (1, "
    "0, 0, 3, 1, " ID_OF(08) ")",
    "INSERT INTO place (event_no, place_no, category_no, state) VALUES (1, 1, 0, 0)",
    "INSERT INTO account (account_no, id, person_no, status, created_ms) VALUES (1, " ID_OF(
        09) ", 1, 'active', 0)",
    "INSERT INTO role_grant (id, account_no, organiser_no, role, granted_by, created_ms) VALUES "
    "(" ID_OF(10) ", 1, 1, 'gate', 0, 0)",
    "INSERT INTO device VALUES (1, " ID_OF(
        11) ", 1, 1, 'Phone', 'North', zeroblob(32), 'active', 1, 0)",
};

static const struct {
    enum store_audit table;
    size_t id;
} named[] = {{AUDIT_organiser, 1}, {AUDIT_venue, 2},       {AUDIT_plan, 3},    {AUDIT_event, 4},
             {AUDIT_category, 5},  {AUDIT_sale_order, 6},  {AUDIT_payment, 7}, {AUDIT_ticket, 8},
             {AUDIT_account, 9},   {AUDIT_role_grant, 10}, {AUDIT_device, 11}};

static enum err name_all(struct store_tx *tx, void *context)
{
    struct entry_draft d;
    (void)context;
    entry_begin(&d, tx, ENTRY_key_rotated, 1, 1);
    entry_str(&d, FIELD_key_id, "k");
    for (size_t i = 0; i < COUNT_OF(named); i++)
        entry_names(&d, named[i].table, ids[named[i].id]);
    return ledger_append(tx, f.ledger, &d, NULL);
}

static void sell(void)
{
    (void)fixture_person();
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        store_testing_sql(&f.t, rows[i]);
    fixture_append(2);
    assert_int_equal(store_testing_run(&f.t, name_all, NULL), OK);
    fixture_append(2);
    assert_int_equal(log_step(), OK);
}

static void an_honest_database_has_no_findings(void **state)
{
    (void)state;
    sell();
    audit();
    (void)says(FINDING_LOG, "?", ""); /* prints what there is */
    assert_int_equal(result.findings, 0);
    assert_int_equal(result.entries, 5);
    assert_int_equal(result.leaves, 5);
    assert_int_equal(result.rows, COUNT_OF(named));
    assert_int_equal(visited, 5);
    fixture_append(1); /* not published yet */
    audit();
    assert_int_equal(result.findings, 0);
    assert_int_equal(result.leaves, 5);
}

static void every_row_altered_by_hand_is_named(void **state)
{
    static const struct {
        const char *sql, *undo, *subject;
    } edits[] = {
        {"UPDATE organiser SET name = 'x'", "UPDATE organiser SET name = 'Club'", "org_"},
        {"UPDATE venue SET address = 'x'", "UPDATE venue SET address = 'Street 1'", "ven_"},
        {"UPDATE plan SET packed = x'03'", "UPDATE plan SET packed = x'02'", "pln_"},
        {"UPDATE event SET capacity = 3", "UPDATE event SET capacity = 2", "evt_"},
        {"UPDATE category SET price_minor = 1", "UPDATE category SET price_minor = 4000", "cat_"},
        {"UPDATE sale_order SET account_no = 2", "UPDATE sale_order SET account_no = 1", "ord_"},
        {"UPDATE order_line SET category_no = 1", "UPDATE order_line SET category_no = 0", "ord_"},
        {"UPDATE payment SET intent_ref = 'x'", "UPDATE payment SET intent_ref = 'pi'", "pay_"},
        {"UPDATE ticket SET account_no = 7", "UPDATE ticket SET account_no = 1", "tkt_"},
        {"UPDATE account SET staff = 1", "UPDATE account SET staff = 0", "acc_"},
        {"UPDATE role_grant SET role = 'owner'", "UPDATE role_grant SET role = 'gate'", "grt_"},
        {"UPDATE device SET gate = 'x'", "UPDATE device SET gate = 'North'", "dev_"},
    };

    (void)state;
    sell();
    for (size_t i = 0; i < COUNT_OF(edits); i++) {
        store_testing_sql(&f.t, edits[i].sql);
        audit();
        assert_int_equal(result.findings, 1);
        assert_true(says(FINDING_ROW, edits[i].subject, "differs from entry 2"));
        store_testing_sql(&f.t, edits[i].undo);
    }
    audit();
    assert_int_equal(result.findings, 0);
    /* What carries no fact may change. */
    store_testing_sql(&f.t, "UPDATE account SET failures = 3, locked_until_ms = 4, totp_step = 5");
    store_testing_sql(&f.t, "UPDATE payment SET tries = 3, next_ms = 4");
    audit();
    assert_int_equal(result.findings, 0);
}

static void a_row_is_named_also_when_its_entry_was_altered_with_it(void **state)
{
    (void)state;
    sell();
    /* The intruder has the keys, forges an entry in the old one's place, and moves the row. */
    store_testing_sql(&f.t, "UPDATE ticket SET account_no = 7");
    assert_int_equal(store_testing_run(&f.t, name_all, NULL), OK);
    store_testing_sql(&f.t, "DELETE FROM entry WHERE entry_no = 2");
    store_testing_sql(&f.t, "UPDATE entry SET entry_no = 2 WHERE entry_no = 5");
    audit();
    assert_true(says(FINDING_ENTRY, "entry 2", "not the one in the log"));
    assert_true(says(FINDING_ROW_UNKNOWN, "tkt_", "no sound entry"));
    /* The log altered as well: then the log itself does not verify. */
    assert_int_equal(log_disk.real.remove(log_disk.real.self, "tile/entries/000.p/5"), OK);
    audit();
    assert_true(says(FINDING_LOG, "tile/entries/000.p/5", "missing"));
}

static void an_altered_entry_alone_is_named(void **state)
{
    (void)state;
    sell();
    store_testing_sql(&f.t, "UPDATE entry SET at_ms = at_ms + 1 WHERE entry_no = 1");
    audit();
    assert_int_equal(result.findings, 1);
    assert_true(says(FINDING_ENTRY, "entry 1", "changed"));
}

static void missing_entries_and_rows_are_named(void **state)
{
    (void)state;
    sell();
    store_testing_sql(&f.t, "DELETE FROM entry WHERE entry_no = 1");
    audit();
    assert_true(says(FINDING_ENTRY_MISSING, "entry 1", "gone"));
    assert_int_equal(result.findings, 1);
    store_testing_sql(&f.t, "DELETE FROM entry WHERE entry_no = 4");
    audit();
    assert_true(says(FINDING_ENTRY_MISSING, "entries", "the database 4"));
    store_testing_sql(&f.t, "DELETE FROM device");
    audit();
    assert_true(says(FINDING_ROW_MISSING, "dev_", "gone"));
    store_testing_sql(&f.t, "INSERT INTO device VALUES (2, " ID_OF(
                                12) ", 1, 1, 'Mine', 'North', zeroblob(32), 'active', 1, 0)");
    audit();
    assert_true(says(FINDING_ROW_UNKNOWN, "dev_", "no sound entry"));
}

static void rows_that_contradict_each_other_are_named(void **state)
{
    static const struct {
        const char *sql, *undo, *subject, *words;
    } edits[] = {
        {"UPDATE posting SET amount_minor = 1 WHERE line = 0",
         "UPDATE posting SET amount_minor = 4200 WHERE line = 0", "pay_", "sum to zero"},
        {"UPDATE order_line SET price_minor = 1", "UPDATE order_line SET price_minor = 4000",
         "ord_", "sum of its lines"},
        {"UPDATE payment SET captured_minor = 1", "UPDATE payment SET captured_minor = 4200",
         "ord_", "not captured"},
        {"UPDATE sale_order SET status = 'expired'", "UPDATE sale_order SET status = 'paid'",
         "pay_", "captured and neither"},
        {"UPDATE sale_order SET status = 'cancelled'", "UPDATE sale_order SET status = 'paid'",
         "tkt_", "not paid"},
        {"UPDATE ticket SET place_no = 1", "UPDATE ticket SET place_no = 0", "tkt_",
         "not sold to it"},
        {"UPDATE place SET generation = 2 WHERE place_no = 0",
         "UPDATE place SET generation = 1 WHERE place_no = 0", "tkt_", "not sold to it"},
        {"UPDATE ticket SET status = 'revoked', past_generation = 1",
         "UPDATE ticket SET status = 'valid', past_generation = 0", "evt_", "no live ticket"},
        {"UPDATE ticket SET order_id = zeroblob(16)", "UPDATE ticket SET order_id = " ID_OF(06),
         "ord_", "has no ticket"},
        {"UPDATE ticket SET price_minor = 3", "UPDATE ticket SET price_minor = 4000", "tkt_",
         "line says"},
        {"UPDATE payment SET refunded_minor = 5", "UPDATE payment SET refunded_minor = 0", "pay_",
         "sum of the refunds"},
        {"UPDATE place SET state = 2, order_id = " ID_OF(06) " WHERE place_no = 1",
         "UPDATE place SET state = 0, order_id = NULL WHERE place_no = 1", "evt_", "does not wait"},
    };

    (void)state;
    sell();
    for (size_t i = 0; i < COUNT_OF(edits); i++) {
        store_testing_sql(&f.t, edits[i].sql);
        audit();
        if (!says(FINDING_RULE, edits[i].subject, edits[i].words))
            fail_msg("not found: %s", edits[i].sql);
        store_testing_sql(&f.t, edits[i].undo);
    }
    audit();
    assert_int_equal(result.findings, 0);
}

static enum err erase(struct store_tx *tx, void *context)
{
    (void)context;
    return keyring_person_erase(tx, f.keyring, 1);
}

static void an_erased_person_breaks_nothing(void **state)
{
    (void)state;
    sell();
    assert_int_equal(store_testing_run(&f.t, erase, NULL), OK);
    audit();
    assert_int_equal(result.findings, 0);
    /* Nor the end of an event's retention: the rows it told of are then vouched for by nothing. */
    store_testing_sql(&f.t, "DELETE FROM scope_key WHERE scope = 3");
    audit();
    assert_int_equal(result.closed, 1);
    assert_int_equal(result.findings, COUNT_OF(named));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, log_open, log_close)
    const struct CMUnitTest tests[] = {
        TEST(an_honest_database_has_no_findings),
        TEST(every_row_altered_by_hand_is_named),
        TEST(a_row_is_named_also_when_its_entry_was_altered_with_it),
        TEST(an_altered_entry_alone_is_named),
        TEST(missing_entries_and_rows_are_named),
        TEST(rows_that_contradict_each_other_are_named),
        TEST(an_erased_person_breaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
