/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_DRIVER_H
#define STORE_STORE_DRIVER_H

/*
 * driver - what a database must offer. Implemented by store/sqlite; written so that PostgreSQL (libpq) fits behind it.
 * A connection is used by one thread at a time. Statements are prepared once per connection and cached by index.
 */
#include "store/store/store.h"

struct store_conn;

struct store_driver {
    const char *name;
    /* Open; read_only connections refuse writes. */
    enum err (*open)(const struct store_config *config, bool read_only, struct store_conn **ret_conn);
    void (*close)(struct store_conn *c);
    /* Schema version of the file, 0 when empty. */
    enum err (*version)(struct store_conn *c, int *ret_version);
    /*
     * Run one migration script (tokens of migrations.h already meaningful to the driver) and set the version, in one
     * transaction. backup copies the whole database to a new file first.
     */
    enum err (*migrate)(struct store_conn *c, const char *script, int version);
    enum err (*backup)(struct store_conn *c, const char *to_path);
    enum err (*begin)(struct store_conn *c, bool write);
    enum err (*commit)(struct store_conn *c);
    void (*rollback)(struct store_conn *c);
    enum err (*savepoint)(struct store_conn *c);
    enum err (*release)(struct store_conn *c);
    /* ERR_IO when the whole transaction is gone (disk full, I/O error): then no command of the batch succeeded. */
    enum err (*rollback_to)(struct store_conn *c);
    enum err (*exec)(struct store_conn *c, enum store_sql sql, const char *text, const struct store_value *args,
                     size_t count, int64_t *ret_changed);
    enum err (*query)(struct store_conn *c, enum store_sql sql, const char *text, const struct store_value *args,
                      size_t count, void **ret_cursor);
    enum err (*next)(void *cursor, bool *ret_row);
    void (*end)(void *cursor);
    bool (*is_null)(void *cursor, int column);
    int64_t (*get_int)(void *cursor, int column);
    struct span (*get_bytes)(void *cursor, int column);
    /* Copy what can be copied of the log into the file without waiting (passive) or restart it (writer, between batches). */
    enum err (*checkpoint)(struct store_conn *c, bool restart, uint64_t *ret_log_bytes);
};

#endif
