/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_STORE_H
#define STORE_STORE_STORE_H

/*
 * store - the one place where rows live: a driver-neutral interface, the statements, the migrations, the write path.
 *
 * What it is: connections, transactions, named statements (sql_*.def hold every SQL text of the product, in the subset that
 * SQLite and PostgreSQL share, parameters written ?1 ?2 ...), numbered migrations, and the writer (writer.h), which runs
 * commands in batches. Typed row functions for the rooms above are in store_<area>.h; rooms above never see SQL.
 * What it is not: it knows no rule of ticketing beyond the constraints of the schema. The drivers are in store/sqlite
 * (and later store/postgres) behind struct store_driver (driver.h).
 *
 * Invariants:
 *   D1  an audited row (audit.def) changes only together with a ledger entry that names it, in the same savepoint: checked
 *       before each release, whatever the driver (ERR_CORRUPT "unaudited_change", the command is undone);
 *   D2  `now` is read once per transaction and never moves backwards between transactions of one process;
 *   D3  a command that fails leaves no trace; a commit that fails takes the whole batch with it;
 *   D4  readers never write.
 */
#include "ground/base/base.h"

struct store;    /* an open database */
struct store_tx; /* a write transaction (only inside a command) or a read snapshot */

/* Every named statement: SQL_<name>. The .def files are included by statements.def. */
enum store_sql {
#define STATEMENT(name, audit, sql) SQL_##name,
#include "store/store/statements.def"
#undef STATEMENT
    SQL_COUNT
};

/* Tables whose rows may not change without a ledger entry. AUDIT_none marks statements on other tables and queries. */
enum store_audit {
    AUDIT_none = 0,
#define AUDITED(table) AUDIT_##table,
#include "store/store/audit.def"
#undef AUDITED
    AUDIT_COUNT
};

enum store_type { STORE_NULL, STORE_INT, STORE_TEXT, STORE_BLOB };

struct store_value {
    enum store_type type;
    int64_t i;
    struct span s; /* borrowed until the call returns */
};

static inline struct store_value sv_null(void)
{
    return (struct store_value){.type = STORE_NULL};
}
static inline struct store_value sv_int(int64_t i)
{
    return (struct store_value){.type = STORE_INT, .i = i};
}
static inline struct store_value sv_text(struct span s)
{
    return (struct store_value){.type = STORE_TEXT, .s = s};
}
static inline struct store_value sv_str(const char *s)
{
    return sv_text(span_text(s));
}
static inline struct store_value sv_blob(struct span s)
{
    return (struct store_value){.type = STORE_BLOB, .s = s};
}
#define sv_id(id) sv_blob(span_of((id).b, ID_BYTES))
/* The id, or NULL when it is all zero. */
#define sv_id_or_null(id) (id_is_zero((id).b) ? sv_null() : sv_id(id))
#define SQL_ARGS(...)                                                                              \
    (const struct store_value[]){__VA_ARGS__},                                                     \
        sizeof((const struct store_value[]){__VA_ARGS__}) / sizeof(struct store_value)

/*
 * Run a statement that returns no rows. ret_changed (may be NULL) is the number of rows it changed. Expected failures:
 * ERR_CONFLICT "constraint" when a constraint refuses it; ERR_IO; ERR_CORRUPT. A statement tagged with an audited table must
 * go through store_exec_audited.
 */
RESULT store_exec(struct store_tx *tx, enum store_sql sql, const struct store_value *args,
                  size_t count, int64_t *ret_changed);
/*
 * The same for an audited table: when a row changed, (table of the statement, row id) is owed an entry. One call changes at
 * most one row (each row owes its own entry): more of them is ERR_CORRUPT "unaudited_change" and the command is undone.
 */
RESULT store_exec_audited(struct store_tx *tx, enum store_sql sql, const uint8_t row_id[ID_BYTES],
                          const struct store_value *args, size_t count, int64_t *ret_changed);
/* Called by trust/ledger when an entry naming this row has been appended in this savepoint. */
void store_audit_paid(struct store_tx *tx, enum store_audit table, const uint8_t row_id[ID_BYTES]);

/* Rows of a query; at most one open per statement and transaction. Columns are borrowed until the next store_next. */
struct store_rows {
    struct store_tx *tx;
    enum store_sql sql;
    void *cursor;
    enum err error;
};
/* Also for INSERT, UPDATE or DELETE with RETURNING on tables that are not audited. */
RESULT store_query(struct store_tx *tx, enum store_sql sql, const struct store_value *args,
                   size_t count, struct store_rows *ret_rows);
bool store_next(struct store_rows *rows); /* false at the end and on error */
RESULT
store_rows_end(struct store_rows *rows); /* always call; gives the error that ended it, if any */
void store_rows_done(
    struct store_rows
        *rows); /* for AUTO: ends what an early return left open; harmless after the other */
/* Columns count from 0. A NULL reads as 0 or an empty span. */
bool store_is_null(struct store_rows *rows, int column);
int64_t store_int(struct store_rows *rows, int column);
struct span store_text(struct store_rows *rows, int column);
struct span store_blob(struct store_rows *rows, int column);
/* A 16-byte blob; zeros when NULL. INVARIANT on another length (the schema checks lengths). */
void store_id(struct store_rows *rows, int column, uint8_t ret_id[ID_BYTES]);
/* One integer of a query that returns at most one row; ERR_NOT_FOUND "no_row" when there is none. */
RESULT store_query_int(struct store_tx *tx, enum store_sql sql, const struct store_value *args,
                       size_t count, int64_t *ret_value);

bool store_writes(const struct store_tx *tx); /* a command's, not a snapshot */
/*
 * Write transaction only: grows whenever changes were undone, a command's or a batch's. Who remembers what it read in one
 * transaction for the next forgets it when this number is another one: what it saw may never have happened.
 */
uint64_t store_undone(const struct store_tx *tx);
/* Unix milliseconds, the same for the whole transaction. */
int64_t store_now_ms(const struct store_tx *tx);
/* The randomness of the transaction's store. */
const struct rng *store_rng(const struct store_tx *tx);
const struct clock *store_clock(const struct store_tx *tx);

/*
 * Notes: what a command tells the rest of the process about its changes. Kept with the savepoint: dropped when the command
 * fails, handed to writer_config.released when its savepoint is released (still inside the batch) and to
 * writer_config.committed once they are durable.
 */
struct store_note {
    uint32_t kind; /* enum note_kind in notes.h */
    uint32_t b;
    int64_t a, c, d;
};
void store_note(struct store_tx *tx, struct store_note note);

struct store_driver; /* driver.h */

struct store_config {
    const struct store_driver *driver;
    const char *url; /* SQLite: the path of the file */
    const struct clock *clock;
    const struct rng *rng;
    const char *backup_dir; /* where a copy is put before a migration runs; must exist */
    bool read_only; /* only readers; beside a process that writes it, or alone; never migrates */
};

/*
 * Open, migrate when needed (a copy is taken first). ERR_INVALID "newer_schema" for a database newer than this program,
 * "not_ours" for one of another program, "older_schema" for one that read_only may not migrate; ERR_BUSY "in_use" while
 * another process has it open for writing.
 */
RESULT store_open(const struct store_config *config, struct store **ret_store);
void store_close(struct store *s);
int store_schema_version(void); /* of this program */

/* Unix milliseconds without a transaction, by the rule of D2. */
int64_t store_time_ms(struct store *s);

/* A reader is a read-only connection owned by one thread. */
struct store_reader;
RESULT store_reader_open(struct store *s, struct store_reader **ret_reader);
void store_reader_close(struct store_reader *r);
/* A snapshot; end it soon (a long snapshot holds back checkpoints). */
RESULT store_read_begin(struct store_reader *r, struct store_tx **ret_tx);
void store_read_end(struct store_tx *tx);

/*
 * The writer's newest commit is seen by snapshots a moment before it is durable (writer.h). store_read_begin waits for that moment.
 * store_read_early does not: whoever uses it lets nothing of what was read leave the process, nor acts on it, before the commit that
 * the snapshot may hold (store_seen) is durable. A reader in another process than the writer's never waits.
 */
RESULT store_read_early(struct store_reader *r, struct store_tx **ret_tx);
uint64_t store_seen(const struct store_tx *tx); /* a snapshot's */
bool store_is_durable(const struct store *s, uint64_t commit);
/* All that the snapshot holds is durable by now. Who remembers what an early one read, for others, asks this first. */
bool store_sees_durable(const struct store_tx *tx);
struct store_waiter {
    uint64_t commit;
    /* Once it is durable, on the thread that made it so. Must not block; the waiter is free for anything from here on. */
    void (*durable)(struct store_waiter *w);
    struct store_waiter *next; /* the store's */
};
/* False: it is durable already, and nobody is called. */
bool store_await(struct store *s, struct store_waiter *w);

#endif
