/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_DRIVER_H
#define STORE_STORE_DRIVER_H

/*
 * driver - what a database must offer. Implemented by store/sqlite; written so that PostgreSQL (libpq) fits behind it.
 * A connection is used by one thread at a time. Statements are prepared once per connection and cached by index.
 */
#include "store/store/store.h"

struct store_conn;

enum conn_kind {
    CONN_WRITER, /* owns the database: a second one, of any process, is refused with ERR_BUSY "in_use" */
    CONN_CHECKPOINT, /* beside the writer of the same process, only for checkpoint */
    CONN_READER,     /* refuses writes */
};

struct store_driver {
    const char *name;
    enum err (*open)(const struct store_config *config, enum conn_kind kind,
                     struct store_conn **ret_conn);
    void (*close)(struct store_conn *c);
    /* Schema version of the file, 0 when empty. */
    enum err (*version)(struct store_conn *c, int *ret_version);
    /* Check the database, run one migration script (the driver replaces the tokens of migrations.h) and set the version, in
       one transaction. */
    enum err (*migrate)(struct store_conn *c, const char *script, int version);
    /* ERR_INVALID "other_schema" unless this very script brought the file to this version. */
    enum err (*migrated)(struct store_conn *c, const char *script, int version);
    /* Copy the whole database, as of one moment, to a new file. ERR_CONFLICT when that is there already. */
    enum err (*backup)(struct store_conn *c, const char *to_path);
    /* A read transaction is a snapshot of this moment. */
    enum err (*begin)(struct store_conn *c, bool write);
    enum err (*commit)(struct store_conn *c);
    /*
     * Commit, to be made durable by sync: readers see it, and what comes after builds on it, but until then a loss of power undoes
     * it. sync may run on another thread beside the connection's own, though not beside its next commit; a failure ends the process.
     * A database that cannot do this commits as ever, and its sync is empty.
     */
    enum err (*commit_early)(struct store_conn *c);
    void (*sync)(struct store_conn *c);
    void (*rollback)(struct store_conn *c);
    /*
     * A number that differs from an earlier answer once anything was changed that a rollback of the transaction would undo: a
     * statement that failed and changed nothing leaves it. A driver whose transaction does not survive a failed statement must
     * let it differ after one.
     */
    uint64_t (*changes)(struct store_conn *c);
    enum err (*savepoint)(struct store_conn *c);
    enum err (*release)(struct store_conn *c);
    /* ERR_IO when the whole transaction is gone (disk full, I/O error): then no command of the batch succeeded. */
    enum err (*rollback_to)(struct store_conn *c);
    /* sql is SQL_COUNT for a statement that is not to be cached. */
    enum err (*exec)(struct store_conn *c, enum store_sql sql, const char *text,
                     const struct store_value *args, size_t count, int64_t *ret_changed);
    /* Runs to the first row; next gives it. */
    enum err (*query)(struct store_conn *c, enum store_sql sql, const char *text,
                      const struct store_value *args, size_t count, void **ret_cursor);
    enum err (*next)(void *cursor, bool *ret_row);
    void (*end)(void *cursor);
    bool (*is_null)(void *cursor, int column);
    int64_t (*get_int)(void *cursor, int column);
    struct span (*get_bytes)(void *cursor, int column);
    /* Copy what can be copied of the log into the file without waiting (passive), or all of it and begin the log anew (writer,
       between batches; ERR_BUSY while a reader needs the old one). */
    enum err (*checkpoint)(struct store_conn *c, bool restart);
    /* Any thread: whether the copying of this connection, also one that goes on, is as fast as it can be, or spares the disk (first). */
    void (*hurry)(struct store_conn *c, bool on);
    /* Of the log that has not begun anew, as of the writer's last commit; 0 where there is none to mind. */
    uint64_t (*log_bytes)(struct store_conn *c);
};

#endif
