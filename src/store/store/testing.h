/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_TESTING_H
#define STORE_STORE_TESTING_H

/*
 * testing - a fresh database for one test: in a directory of its own, with a clock that stands still and repeatable
 * randomness. Only tests link it (store_test_dep). Implemented in store/sqlite/testing.c, above both rooms. What a test cannot
 * go on without ends the process with a sentence.
 *
 *     struct store_testing t;
 *     store_testing_open(&t);
 *     assert_int_equal(store_testing_run(&t, place_a_hold, &context), OK);
 *     assert_int_equal(store_testing_number(&t, "SELECT count(*) FROM hold"), 1);
 *     store_testing_close(&t);
 */
#include "store/store/store.h"

enum { STORE_TESTING_PATH_MAX = 256 };

struct store_testing {
    struct store *store;
    struct store_reader *reader;
    struct clock_fixed clock; /* starts at STORE_TESTING_NOW_MS; clock_fixed_set moves it */
    struct rng_seeded rng;
    char dir[STORE_TESTING_PATH_MAX];  /* removed with everything in it at close */
    char path[STORE_TESTING_PATH_MAX]; /* of the database */
    struct store_note *notes;          /* of the last run that was OK; valid until the next run */
    size_t note_count;
    void *raw;                         /* of store_testing_sql */
    const struct store_driver *driver; /* of the next store_testing_reopen; NULL: SQLite's */
};

#define STORE_TESTING_NOW_MS INT64_C(1790000000000) /* 2026-09-21T14:13:20Z */

/* The directory is made in $TMPDIR or /tmp. */
void store_testing_open(struct store_testing *t);
void store_testing_close(struct store_testing *t);
/* Close the store and open it again, as a restart does. */
void store_testing_reopen(struct store_testing *t);
/* Only close it, for another process to open; store_testing_reopen goes on. */
void store_testing_suspend(struct store_testing *t);

/* Run one command on this thread: savepoint, D1 check, commit. What it fails with is in err_last(). */
RESULT store_testing_run(struct store_testing *t,
                         enum err (*run)(struct store_tx *tx, void *context), void *context);
/* The same in a read snapshot. */
RESULT store_testing_read(struct store_testing *t,
                          enum err (*run)(struct store_tx *tx, void *context), void *context);

/*
 * Raw SQL past the store, for setting rows up and for looking (SQLite dialect; foreign keys and all constraints on; D1 is not
 * checked). x'..' literals write blobs. store_testing_try gives ERR_CONFLICT "constraint" with the kind of the constraint in
 * the sentence ("uniqueness", "reference", "check", "presence", "type").
 */
void store_testing_sql(struct store_testing *t, const char *sql);
RESULT store_testing_try(struct store_testing *t, const char *sql);
int64_t store_testing_number(struct store_testing *t, const char *sql);
/* How SQLite would go about it, a line for each table it looks into. */
void store_testing_plan(struct store_testing *t, const char *sql, struct buf *out);
/*
 * One consistent row of every table of a sale, all numbered 1, ids x'..' of one repeated byte: organiser 0A, account 0B (person
 * 0C), venue 0D, plan 0E, event 0F (on sale, EUR, places 0 to 3, category 0 at 1000 + 50), hold 10, order 11 (paid, hold 10,
 * place 0), payment 12 (captured), refund 13 (asked), ticket 14 (valid, place 0), device 15, scan 16 (admitted, ticket 14),
 * grant 17. Place 1 is held by hold 18, places 2 and 3 are free.
 */
void store_testing_rows(struct store_testing *t);

#endif
