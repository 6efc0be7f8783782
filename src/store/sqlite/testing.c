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
    struct store_config config = {.driver = store_sqlite(),
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

enum err store_testing_run(struct store_testing *t,
                           enum err (*run)(struct store_tx *tx, void *context), void *context)
{
    struct store_tx *tx;
    struct err_info why;
    size_t first_note;
    bool lost;

    TRY(tx_begin(t->store, &tx));
    enum err code = tx_command(tx, run, context, &first_note, &lost);
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

static sqlite3 *raw(struct store_testing *t)
{
    sqlite3 *db = t->raw;

    if (db)
        return db;
    INVARIANT(sqlite3_open_v2(t->path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
                  sqlite3_exec(db, "PRAGMA foreign_keys=ON", NULL, NULL, NULL) == SQLITE_OK &&
                  sqlite3_extended_result_codes(db, 1) == SQLITE_OK,
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
