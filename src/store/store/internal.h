/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_INTERNAL_H
#define STORE_STORE_INTERNAL_H

/*
 * internal - what store.c shares with the writer, the areas and the tests of this wing. No other room includes it.
 *
 * A write transaction is a row of commands: tx_begin, tx_command for each, tx_commit; one at a time for a store.
 */
#include "store/store/driver.h"
#include "store/store/migrations.h"
#include "store/store/store.h"

enum {
    TX_CURSORS_MAX = 16,      /* queries open at the same time */
    TX_NOTES_MAX = 1 << 20,   /* of one transaction */
    TX_AUDITED_MAX = 65536,   /* audited changes, and entries, of one command */
    TX_KNOWN_MAX = 64 * 1024, /* bytes of known rows of one command; those beyond are read */
};

struct audit_mark {
    enum store_audit table;
    uint8_t row_id[ID_BYTES];
    uint32_t known_at,
        known_len; /* of an owed mark: the row after the change, in tx->known; no bytes: not known */
};

struct audit_marks {
    struct audit_mark *items;
    size_t count, cap;
};

struct store_tx {
    struct store *store;
    const struct store_driver *driver;
    struct store_conn *conn;
    bool write;
    int64_t now_ms;
    void *cursors[TX_CURSORS_MAX]; /* open ones, NULL elsewhere */
    struct store_note *notes;      /* of the transaction so far */
    size_t note_count, note_cap;
    struct audit_marks owed, paid; /* of the command that runs */
    struct buf known;              /* rows as store_row_encode gives them */
    struct err_info broken; /* the command must fail, whatever it returns; code OK: not broken */
    uint64_t seen;          /* of a snapshot: the newest commit that it may hold */
};

struct statement {
    const char *name;
    enum store_audit audit;
    const char *sql;
};
const struct statement *store_statement(enum store_sql sql);
const char *store_audit_name(enum store_audit table);

/* store_open with other migrations than the program's own. */
RESULT store_open_migrations(const struct store_config *config,
                             const struct store_migration *migrations, size_t count,
                             struct store **ret_store);

const struct store_config *store_config_of(const struct store *s);

RESULT tx_begin(struct store *s, struct store_tx **ret_tx);
/*
 * Run one command and check D1; on any failure nothing of it is left, or *ret_lost is set: the whole transaction must go, call
 * tx_rollback, none of its commands happened. The notes of a command that succeeded are tx->notes[ret_first..].
 *   tx_command   in a savepoint, which undoes it alone; lost means that the database gave the transaction up.
 *   tx_attempt   without one: a command that failed after it had changed something loses the transaction with it. Much cheaper: a
 *                savepoint makes SQLite copy each page that the command touches.
 */
RESULT tx_command(struct store_tx *tx, enum err (*run)(struct store_tx *tx, void *context),
                  void *context, size_t *ret_first_note, bool *ret_lost);
RESULT tx_attempt(struct store_tx *tx, enum err (*run)(struct store_tx *tx, void *context),
                  void *context, size_t *ret_first_note, bool *ret_lost);
/* On failure the transaction is rolled back. */
RESULT tx_commit(struct store_tx *tx);
/*
 * The same, but durable only after tx_sync, which any thread may call once, before the next commit (not before the next
 * transaction). Readers see the commit at once, and wait for tx_sync (store.h).
 */
RESULT tx_commit_early(struct store_tx *tx);
void tx_sync(struct store *s);
void tx_rollback(struct store_tx *tx);
uint64_t tx_log_bytes(const struct store *s);
RESULT tx_restart_log(struct store *s);

/*
 * The row that store_exec_audited has just changed, as it stands now: its columns in the order of sql_ledger.def, and with
 * tx_row_known_more what store_row_encode puts behind them. store_row_encode then gives this until the row's next change,
 * instead of reading the row again, which was a fifth of the database's work in a sale.
 * Only for who cannot be wrong: an INSERT's own values, or what was read in this transaction and is a condition of the UPDATE
 * (the version of an order, the state of a payment). A row that is not known is read, which is right for everybody else.
 */
void tx_row_known(struct store_tx *tx, enum store_audit table, const uint8_t row_id[ID_BYTES],
                  const struct store_value *columns, size_t count);
void tx_row_known_more(struct store_tx *tx, const struct store_value *columns, size_t count);
/* For tests, after a command: ERR_CORRUPT "known_wrong" unless every row known at the end is the row that is read. */
RESULT tx_known_check(struct store_tx *tx);

/* Any statement text, tagged; not cached. Why: the tests of D1 need a change of each audited table without the rooms above. */
RESULT tx_exec_text(struct store_tx *tx, const struct statement *statement,
                    const uint8_t row_id[ID_BYTES], const struct store_value *args, size_t count,
                    int64_t *ret_changed);

#endif
