/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <time.h>

#include "store/store/store_ledger.h"
#include "trust/ledger/test_fixture.h"

#define TICKET "x'00112233445566778899aabbccddeeff'"
static const uint8_t ticket[ID_BYTES] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                         0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
static const uint8_t order[ID_BYTES] = {1, 2, 3};
static const uint8_t account[ID_BYTES] = {'c', 'a', 'n', 'a', 'r', 'y', '-', 'a', 'c', 'c'};

static void ticket_row(void)
{
    store_testing_sql(
        &f.t, "INSERT INTO ticket (id, organiser_no, event_no, place_no, generation, order_id, "
              "account_no, category_no, price_minor, fee_minor, currency, status, last_entry_id, "
              "issued_ms) VALUES (" TICKET
              ", 1, 5, 17, 1, x'01020300000000000000000000000000', 1, 0, 4500, 250, 'EUR', "
              "'valid', zeroblob(16), 0)");
}

struct issue {
    int64_t person_no;
    struct entry_id id;
    int64_t entry_no;
};

static enum err issue(struct store_tx *tx, void *context)
{
    struct issue *i = context;
    struct entry_draft d;

    entry_begin(&d, tx, ENTRY_ticket_issued, 1, 5);
    entry_person(&d, FIELD_account, i->person_no, SPAN_ARRAY(account));
    entry_money(&d, FIELD_price, (struct money){4500, {"EUR"}});
    entry_id(&d, FIELD_order, order);
    entry_id(&d, FIELD_ticket, ticket);
    entry_int(&d, FIELD_place, 17);
    entry_str(&d, FIELD_channel, "canary-channel");
    entry_names(&d, AUDIT_ticket, ticket);
    entry_names(&d, AUDIT_ticket, ticket);
    i->id = d.id;
    return ledger_append(tx, f.ledger, &d, &i->entry_no);
}

static struct entry_view view;

static enum err look(struct store_tx *tx, void *context)
{
    return ledger_entry_open(tx, f.ledger, *(int64_t *)context, &view);
}
static enum err look_by_id(struct store_tx *tx, void *context)
{
    return ledger_entry_open_by_id(tx, f.ledger, context, &view);
}

static enum err open_no(int64_t no)
{
    return store_testing_read(&f.t, look, &no);
}

static int setup(void **state)
{
    entry_view_init(&view);
    return fixture_open(state);
}
static int teardown(void **state)
{
    entry_view_done(&view);
    return fixture_close(state);
}

static void what_was_appended_opens_again(void **state)
{
    struct issue i = {fixture_person(), {{0}}, -1};
    struct money price;
    int64_t place;
    uint8_t id[ID_BYTES], digest[32];

    (void)state;
    ticket_row();
    assert_int_equal(store_testing_run(&f.t, issue, &i), OK);
    assert_int_equal(i.entry_no, 0);
    bool noted = false;
    for (size_t n = 0; n < f.t.note_count; n++)
        noted = noted || (f.t.notes[n].kind == 2 && f.t.notes[n].a == 0);
    assert_true(noted);
    assert_int_equal(store_testing_read(&f.t, look_by_id, i.id.b), OK);
    assert_int_equal(open_no(0), OK);
    assert_int_equal(view.kind, ENTRY_ticket_issued);
    assert_int_equal(view.event_no, 5);
    assert_int_equal(entry_view_money(&view, FIELD_price, &price), OK);
    assert_true(price.amount_minor == 4500 && strcmp(price.currency.code, "EUR") == 0);
    assert_int_equal(entry_view_int(&view, FIELD_place, &place), OK);
    assert_int_equal(place, 17);
    assert_int_equal(entry_view_id(&view, FIELD_account, id), OK);
    assert_memory_equal(id, account, ID_BYTES);
    assert_int_equal(entry_view_int(&view, FIELD_channel, &place), ERR_CORRUPT);
    assert_int_equal(entry_view_int(&view, FIELD_count, &place), ERR_NOT_FOUND);
    assert_int_equal(view.rows.len, ENTRY_ROW_BYTES);
    assert_int_equal(view.rows.data[0], AUDIT_ticket);
    assert_memory_equal(view.rows.data + 1, ticket, ID_BYTES);
    (void)digest;
    assert_int_equal(open_no(1), ERR_NOT_FOUND);
}

static void the_stored_form_reads_as_noise(void **state)
{
    struct issue i = {fixture_person(), {{0}}, -1};

    (void)state;
    ticket_row();
    assert_int_equal(store_testing_run(&f.t, issue, &i), OK);
    assert_int_equal(store_testing_number(&f.t, "SELECT instr(sealed, CAST('canary' AS BLOB)) + "
                                                "instr(sealed, " TICKET ") FROM entry"),
                     0);
    /* The same entry twice gives neither the same box nor the same commitment. */
    assert_int_equal(store_testing_run(&f.t, issue, &i), OK);
    assert_int_equal(store_testing_number(&f.t, "SELECT count(DISTINCT commitment) FROM entry"), 2);
}

static enum err erase(struct store_tx *tx, void *context)
{
    return keyring_person_erase(tx, f.keyring, *(int64_t *)context);
}

static void an_erased_person_closes_only_that_persons_fields(void **state)
{
    struct issue i = {fixture_person(), {{0}}, -1};
    uint8_t id[ID_BYTES];

    (void)state;
    ticket_row();
    assert_int_equal(store_testing_run(&f.t, issue, &i), OK);
    assert_int_equal(store_testing_run(&f.t, erase, &i.person_no), OK);
    assert_int_equal(open_no(0), OK); /* the commitment still holds */
    assert_int_equal(entry_view_id(&view, FIELD_account, id), ERR_EXPIRED);
    assert_int_equal(entry_view_id(&view, FIELD_ticket, id), OK);
    assert_int_equal(store_testing_run(&f.t, issue, &i), ERR_EXPIRED);
    store_testing_sql(&f.t,
                      "DELETE FROM scope_key WHERE scope = 4"); /* the tickets' time is over */
    assert_int_equal(open_no(0), OK);
    assert_int_equal(entry_view_id(&view, FIELD_ticket, id), ERR_EXPIRED);
    assert_int_equal(entry_view_id(&view, FIELD_order, id), OK);
    store_testing_sql(&f.t, "DELETE FROM scope_key WHERE scope = 3");
    assert_int_equal(open_no(0), OK);
    assert_int_equal(entry_view_id(&view, FIELD_order, id), ERR_EXPIRED);
}

static void every_altered_column_is_noticed(void **state)
{
    static const char *const edits[] = {
        "UPDATE entry SET kind = 41",
        "UPDATE entry SET organiser_no = 2",
        "UPDATE entry SET event_no = 6",
        "UPDATE entry SET at_ms = at_ms + 1",
        "UPDATE entry SET id = randomblob(16)",
        "UPDATE entry SET commitment = randomblob(32)",
        "UPDATE entry SET sealed = zeroblob(length(sealed))",
        "UPDATE entry SET sealed = substr(sealed, 1, length(sealed) - 1)",
        "UPDATE entry SET sealed = CAST(sealed || x'00' AS BLOB)",
        "UPDATE scope_key SET wrapped_key = randomblob(72) WHERE scope = 3",
    };
    struct issue i = {fixture_person(), {{0}}, -1};
    const char *restore =
        "UPDATE entry SET kind = s.kind, organiser_no = s.organiser_no, event_no = "
        "s.event_no, at_ms = s.at_ms, id = s.id, commitment = s.commitment, sealed "
        "= s.sealed FROM saved s";

    (void)state;
    ticket_row();
    assert_int_equal(store_testing_run(&f.t, issue, &i), OK);
    store_testing_sql(&f.t, "CREATE TABLE saved AS SELECT * FROM entry");
    for (size_t n = 0; n < COUNT_OF(edits); n++) {
        store_testing_sql(&f.t, edits[n]);
        if (open_no(0) != ERR_CORRUPT)
            fail_msg("not noticed: %s", edits[n]);
        store_testing_sql(&f.t, restore);
    }
}

static void every_flipped_byte_of_the_sealed_form_is_noticed(void **state)
{
    struct issue i = {fixture_person(), {{0}}, -1};
    (void)fixture_person();

    (void)state;
    ticket_row();
    assert_int_equal(store_testing_run(&f.t, issue, &i), OK);
    int64_t len = store_testing_number(&f.t, "SELECT length(sealed) FROM entry");
    store_testing_sql(&f.t, "CREATE TABLE saved AS SELECT * FROM entry");
    for (int64_t at = 1; at <= len; at++) {
        char sql[300];
        snprintf(sql, sizeof sql,
                 "UPDATE entry SET sealed = (SELECT CAST(substr(sealed, 1, %d) || CASE WHEN "
                 "substr(sealed, %d, 1) = x'5a' THEN x'5b' ELSE x'5a' END || substr(sealed, %d) AS "
                 "BLOB) FROM saved)",
                 (int)at - 1, (int)at, (int)at + 1);
        store_testing_sql(&f.t, sql);
        if (open_no(0) != ERR_CORRUPT)
            fail_msg("byte %d of %d not noticed", (int)at, (int)len);
    }
}

static enum err then_fail(struct store_tx *tx, void *context)
{
    TRY(issue(tx, context));
    FAIL(ERR_CONFLICT, "test", "undone");
}

static void undone_commands_leave_no_gap(void **state)
{
    struct issue i = {fixture_person(), {{0}}, -1};

    (void)state;
    ticket_row();
    assert_int_equal(store_testing_run(&f.t, issue, &i), OK);
    assert_int_equal(store_testing_run(&f.t, then_fail, &i), ERR_CONFLICT);
    assert_int_equal(i.entry_no, 1);
    assert_int_equal(store_testing_run(&f.t, issue, &i), OK);
    assert_int_equal(i.entry_no, 1);
    assert_int_equal(store_testing_number(&f.t, "SELECT max(entry_no) + 1 - count(*) FROM entry"),
                     0);
}

static enum err incomplete(struct store_tx *tx, void *context)
{
    struct entry_draft d;
    (void)context;
    entry_begin(&d, tx, ENTRY_ticket_issued, 1, 5);
    entry_id(&d, FIELD_order, order);
    return ledger_append(tx, f.ledger, &d, NULL);
}
static enum err too_large(struct store_tx *tx, void *context)
{
    static uint8_t much[ENTRY_VALUES_MAX];
    struct entry_draft d;
    (void)context;
    entry_begin(&d, tx, ENTRY_key_rotated, 0, 0);
    entry_str(&d, FIELD_key_id, "k");
    entry_bytes(&d, FIELD_digest, SPAN_ARRAY(much));
    return ledger_append(tx, f.ledger, &d, NULL);
}
static enum err no_such_row(struct store_tx *tx, void *context)
{
    struct entry_draft d;
    (void)context;
    entry_begin(&d, tx, ENTRY_key_rotated, 0, 0);
    entry_str(&d, FIELD_key_id, "k");
    entry_names(&d, AUDIT_ticket, order);
    return ledger_append(tx, f.ledger, &d, NULL);
}

static void incomplete_and_impossible_drafts_are_refused(void **state)
{
    (void)state;
    assert_int_equal(store_testing_run(&f.t, incomplete, NULL), ERR_INVALID);
    assert_string_equal(err_last()->slug, "entry_incomplete");
    assert_int_equal(store_testing_run(&f.t, too_large, NULL), ERR_LIMIT);
    assert_int_equal(store_testing_run(&f.t, no_such_row, NULL), ERR_NOT_FOUND);
    assert_int_equal(store_testing_number(&f.t, "SELECT count(*) FROM entry"), 0);
    /* Nothing of them is left for the next. */
    struct issue i = {fixture_person(), {{0}}, -1};
    ticket_row();
    assert_int_equal(store_testing_run(&f.t, issue, &i), OK);
    assert_int_equal(open_no(i.entry_no), OK);
}

static enum err digest_all(struct store_tx *tx, void *context)
{
    (void)context;
    for (int table = 1; table < AUDIT_COUNT; table++) {
        uint8_t digest[32];
        enum err e = ledger_row_digest(tx, (enum store_audit)table, order, digest);
        ENSURE(e == ERR_NOT_FOUND, ERR_CORRUPT, "test", "table %d", table);
    }
    for (int check = 0; check < STORE_CHECK_COUNT; check++)
        TRY(store_check_run(tx, (enum store_check)check, NULL, NULL));
    return OK;
}

static void every_table_and_rule_can_be_asked(void **state)
{
    (void)state;
    assert_int_equal(store_testing_read(&f.t, digest_all, NULL), OK);
}

static enum err ticket_digest(struct store_tx *tx, void *context)
{
    return ledger_row_digest(tx, AUDIT_ticket, ticket, context);
}

static void every_column_of_a_row_changes_its_digest(void **state)
{
    static const char *const edits[] = {
        "organiser_no = 9",
        "event_no = 9",
        "place_no = 9",
        "generation = 9",
        "order_id = zeroblob(16)",
        "account_no = 9",
        "category_no = 9",
        "price_minor = 9",
        "fee_minor = 9",
        "currency = 'USD'",
        "status = 'suspended'",
        "status = 'revoked', past_generation = 1",
        "sequence = 9",
        "issued_ms = 9",
        "last_entry_id = randomblob(16)",
    };
    uint8_t first[32], now[32];

    (void)state;
    ticket_row();
    assert_int_equal(store_testing_read(&f.t, ticket_digest, first), OK);
    store_testing_sql(&f.t, "CREATE TABLE saved AS SELECT * FROM ticket");
    for (size_t i = 0; i < COUNT_OF(edits); i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "UPDATE ticket SET %s", edits[i]);
        store_testing_sql(&f.t, sql);
        assert_int_equal(store_testing_read(&f.t, ticket_digest, now), OK);
        assert_memory_not_equal(first, now, 32);
        store_testing_sql(&f.t, "DELETE FROM ticket");
        store_testing_sql(&f.t, "INSERT INTO ticket SELECT * FROM saved");
    }
    assert_int_equal(store_testing_read(&f.t, ticket_digest, now), OK);
    assert_memory_equal(first, now, 32);
}

struct many {
    struct issue i;
    int count;
};
static enum err issue_many(struct store_tx *tx, void *context)
{
    struct many *m = context;
    for (int i = 0; i < m->count; i++)
        TRY(issue(tx, &m->i));
    return OK;
}

/* Prints what an entry costs; a limit here would only make slow machines fail. */
static void what_an_entry_costs(void **state)
{
    struct many m = {{fixture_person(), {{0}}, -1}, 20000};
    struct timespec from, to;

    (void)state;
    ticket_row();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    assert_int_equal(store_testing_run(&f.t, issue_many, &m), OK);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    double us =
        ((double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3) /
        m.count;
    print_message("# %.1f us of CPU an entry\n", us);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_appended_opens_again),
        TEST(the_stored_form_reads_as_noise),
        TEST(an_erased_person_closes_only_that_persons_fields),
        TEST(every_altered_column_is_noticed),
        TEST(every_flipped_byte_of_the_sealed_form_is_noticed),
        TEST(undone_commands_leave_no_gap),
        TEST(incomplete_and_impossible_drafts_are_refused),
        TEST(every_table_and_rule_can_be_asked),
        TEST(every_column_of_a_row_changes_its_digest),
        TEST(what_an_entry_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
