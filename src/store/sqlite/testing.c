/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/testing.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/sqlite/conn.h"
#include "store/sqlite/sqlite.h"
#include "store/store/internal.h"

static void must(enum err code, const char *what)
{
    char words[1024];

    if (code == OK)
        return;
    err_describe(err_last(), words, sizeof words);
    fprintf(stderr, "test set-up: %s: %s\n", what, words);
    abort();
}

static void open_store(struct store_testing *t)
{
    struct store_config config = {.driver = t->driver ? t->driver : store_sqlite(),
                                  .url = t->path,
                                  .clock = &t->clock.clock,
                                  .rng = &t->rng.rng,
                                  .backup_dir = t->dir};

    must(store_open(&config, &t->store), "open");
    must(store_reader_open(t->store, &t->reader), "reader");
}

static void close_store(struct store_testing *t)
{
    sqlite3_close(t->raw);
    t->raw = NULL;
    store_reader_close(t->reader);
    store_close(t->store);
    t->reader = NULL;
    t->store = NULL;
}

void store_testing_open(struct store_testing *t)
{
    const char *base = getenv("TMPDIR");

    memset(t, 0, sizeof *t);
    clock_fixed_init(&t->clock, STORE_TESTING_NOW_MS);
    rng_seeded_init(&t->rng, 1);
    (void)snprintf(t->dir, sizeof t->dir, "%s/store-test-XXXXXX", base && *base ? base : "/tmp");
    INVARIANT(mkdtemp(t->dir), "a test can make a directory");
    int n = snprintf(t->path, sizeof t->path, "%s/test.db", t->dir);
    INVARIANT(n > 0 && (size_t)n < sizeof t->path, "the path of the test directory is short");
    open_store(t);
}

void store_testing_reopen(struct store_testing *t)
{
    close_store(t);
    open_store(t);
}

void store_testing_suspend(struct store_testing *t)
{
    close_store(t);
}

static void remove_all(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    INVARIANT(d, "a test can read its directory");
    while ((entry = readdir(d)) != NULL)
        (void)unlinkat(dirfd(d), entry->d_name, 0); /* "." and ".." refuse it */
    closedir(d);
    (void)rmdir(dir);
}

void store_testing_close(struct store_testing *t)
{
    close_store(t);
    free(t->notes);
    remove_all(t->dir);
    memset(t, 0, sizeof *t);
}

static void keep_notes(struct store_testing *t, const struct store_tx *tx)
{
    free(t->notes);
    t->notes = calloc(tx->note_count + 1, sizeof *t->notes);
    INVARIANT(t->notes, "a test has memory");
    t->note_count = tx->note_count;
    for (size_t i = 0; i < tx->note_count; i++)
        t->notes[i] = tx->notes[i];
}

struct watched {
    enum err (*run)(struct store_tx *tx, void *context);
    void *context;
};

/* Whatever a test does: the rows that its command claims to know are the rows. */
static enum err run_watched(struct store_tx *tx, void *context)
{
    const struct watched *w = context;

    TRY(w->run(tx, w->context));
    must(tx_known_check(tx), "a known row");
    return OK;
}

enum err store_testing_run(struct store_testing *t,
                           enum err (*run)(struct store_tx *tx, void *context), void *context)
{
    struct watched watched = {.run = run, .context = context};
    struct store_tx *tx;
    struct err_info why;
    size_t first_note;
    bool lost;

    TRY(tx_begin(t->store, &tx));
    enum err code = tx_command(tx, run_watched, &watched, &first_note, &lost);
    if (code != OK) {
        err_save(&why);
        tx_rollback(tx);
        return err_restore(&why);
    }
    TRY(tx_commit(tx));
    keep_notes(t, tx);
    return OK;
}

enum err store_testing_read(struct store_testing *t,
                            enum err (*run)(struct store_tx *tx, void *context), void *context)
{
    struct store_tx *tx;
    struct err_info why;

    TRY(store_read_begin(t->reader, &tx));
    enum err code = run(tx, context);
    err_save(&why);
    store_read_end(tx);
    return code == OK ? OK : err_restore(&why);
}

enum { RAW_WAIT_MS = 10000 };

static sqlite3 *raw(struct store_testing *t)
{
    sqlite3 *db = t->raw;

    if (db)
        return db;
    INVARIANT(sqlite3_open_v2(t->path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
                  sqlite3_exec(db, "PRAGMA foreign_keys=ON", NULL, NULL, NULL) == SQLITE_OK &&
                  sqlite3_extended_result_codes(db, 1) == SQLITE_OK &&
                  sqlite3_busy_timeout(db, RAW_WAIT_MS) ==
                      SQLITE_OK, /* a writer of the test may be at work */
              "a test can open its database");
    t->raw = db;
    return db;
}

enum err store_testing_try(struct store_testing *t, const char *sql)
{
    sqlite3 *db = raw(t);
    struct store_conn words = {.db = db};
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? OK : sqlite_fail(&words, code, sql);
}

void store_testing_sql(struct store_testing *t, const char *sql)
{
    must(store_testing_try(t, sql), sql);
}

int64_t store_testing_number(struct store_testing *t, const char *sql)
{
    struct store_conn words = {.db = raw(t)};
    int64_t value = 0;

    must(sqlite_number(&words, sql, &value), sql);
    return value;
}

void store_testing_plan(struct store_testing *t, const char *sql, struct buf *out)
{
    AUTO(buf_done) struct buf words;
    sqlite3_stmt *stmt;

    buf_init(&words, 1 << 16);
    buf_printf(&words, "EXPLAIN QUERY PLAN %s", sql);
    INVARIANT(sqlite3_prepare_v2(raw(t), buf_text(&words), -1, &stmt, NULL) == SQLITE_OK,
              "it prepares");
    while (sqlite3_step(stmt) == SQLITE_ROW)
        buf_printf(out, "%s\n", (const char *)sqlite3_column_text(stmt, 3));
    INVARIANT(sqlite3_finalize(stmt) == SQLITE_OK, "it is explained");
}

/* A blob of 16 or 32 equal bytes. */
#define B4(x) x x x x
#define B16(x) "x'" B4(B4(x)) "'"
#define B32(x) "x'" B4(B4(x)) B4(B4(x)) "'"
#define HOLD                                                                                       \
    "hold (id, event_no, organiser_no, account_no, status, fingerprint, places, created_ms,"       \
    " expires_ms, latest_ms) VALUES "
#define PLACE                                                                                      \
    "place (event_no, place_no, category_no, state, generation, until_ms, hold_id, order_id,"      \
    " ticket_id) VALUES "

void store_testing_rows(struct store_testing *t)
{
    static const char *const rows[] = {
        "organiser (organiser_no, id, name, slug, created_ms)"
        " VALUES (1, " B16("0A") ", 'Club', 'club', 1)",
        "person (person_no, id, epoch_no, wrapped_key, created_ms)"
        " VALUES (1, " B16("0C") ", 1, x'00', 1)",
        "account (account_no, id, person_no, mail_hash, status, created_ms)"
        " VALUES (1, " B16("0B") ", 1, " B32("0B") ", 'active', 1)",
        "role_grant (id, account_no, organiser_no, role, granted_by, created_ms)"
        " VALUES (" B16("17") ", 1, 1, 'organiser', 0, 1)",
        "venue (venue_no, id, organiser_no, name, address, time_zone, created_ms)"
        " VALUES (1, " B16("0D") ", 1, 'Hall', 'Street 1', 'Europe/Berlin', 1)",
        "plan (plan_no, id, organiser_no, venue_no, name, source, packed, packed_hash, places, "
        "repairs, created_ms, packed_head)"
        " VALUES (1, " B16("0E") ", 1, 1, 'Plan', x'00', x'00', " B32("0E") ", 4, '[]', 1, "
                                                                            "zeroblob(12))",
        "event (event_no, id, organiser_no, venue_no, plan_no, name, description, time_zone, "
        "currency, starts_ms,"
        " ends_ms, doors_ms, sale_from_ms, sale_until_ms, status, per_order_max, entries_max, "
        "capacity, created_ms)"
        " VALUES (1, " B16(
            "0F") ", 1, 1, 1, 'Show', '', 'Europe/Berlin', 'EUR', 2000, 3000, 1000, 1, 2000,"
                  " 'on_sale', 10, 1, 4, 1)",
        "category (event_no, category_no, id, name, color, price_minor, fee_minor)"
        " VALUES (1, 0, " B16("19") ", 'Normal', '#336699', 1000, 50)",
        HOLD "(" B16("10") ", 1, 1, 1, 'ordered', " B32("10") ", x'00000000', 1, 2, 3)",
        HOLD "(" B16("18") ", 1, 1, 1, 'live', " B32("18") ", x'00000001', 1, 2, 3)",
        "sale_order (id, organiser_no, event_no, account_no, hold_id, status, amount_minor, "
        "currency, created_ms,"
        " pay_until_ms) VALUES (" B16("11") ", 1, 1, 1, " B16("10") ", 'paid', 1050, 'EUR', 1, 2)",
        "order_line (order_id, place_no, category_no, price_minor, fee_minor)"
        " VALUES (" B16("11") ", 0, 0, 1000, 50)",
        "payment (id, order_id, organiser_no, attempt, state, session_ref, "
        "intent_ref, "
        "amount_minor, currency, title, return_origin,"
        " captured_minor, next_ms, created_ms)"
        " VALUES (" B16("12") ", " B16(
            "11") ", 1, 1, 'captured', 'cs_1', 'pi_1', 1050, 'EUR', 'Show', '', 1050, 1, 1)",
        "refund (id, payment_id, order_id, organiser_no, amount_minor, reason, state, next_ms, "
        "created_ms)"
        " VALUES (" B16("13") ", " B16("12") ", " B16("11") ", 1, 50, 'requested', 'asked', 1, 1)",
        PLACE "(1, 0, 0, 3, 1, 0, NULL, NULL, " B16("14") ")",
        PLACE "(1, 1, 0, 1, 0, 2, " B16("18") ", NULL, NULL)",
        PLACE "(1, 2, 0, 0, 0, 0, NULL, NULL, NULL)",
        PLACE "(1, 3, 0, 0, 0, 0, NULL, NULL, NULL)",
        "ticket (id, organiser_no, event_no, place_no, generation, order_id, "
        "account_no, category_no,"
        " price_minor, fee_minor, currency, status, last_entry_id, issued_ms)"
        " VALUES (" B16("14") ", 1, 1, 0, 1, " B16("11") ", 1, 0, 1000, 50, 'EUR', 'valid', " B16(
            "1A") ", 1)",
        "device (device_no, id, organiser_no, event_no, name, gate, public_key, status, "
        "enrolled_by, enrolled_ms)"
        " VALUES (1, " B16("15") ", 1, 1, 'Scanner', 'A', " B32("15") ", 'active', 1, 1)",
        "scan (scan_no, id, organiser_no, event_no, device_no, sequence, code_hash, ticket_id, "
        "admission_no, admitted,"
        " reason, scanned_ms, received_ms)"
        " VALUES (1, " B16("16") ", 1, 1, 1, 1, " B32("16") ", " B16("14") ", 1, 1, 'ok', 1, 1)",
    };
    char sql[1024];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        (void)snprintf(sql, sizeof sql, "INSERT INTO %s", rows[i]);
        store_testing_sql(t, sql);
    }
}
