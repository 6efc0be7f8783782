/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_SQLITE_CONN_H
#define STORE_SQLITE_CONN_H

/* conn - a connection, shared by the files of this folder. */
#include <sqlite3.h>

#include "store/store/driver.h"

enum {
    SQLITE_APPLICATION_ID = 0x47544B54, /* "GTKT" */
    KEPT_BYTES_MAX = 128,
    SQLITE_WAIT_MS = 2000, /* for a lock: only a person with a shell, or a recovery, can hold one */
};

/* A cached statement and, while busy, its cursor. */
struct slot {
    struct store_conn *conn;
    sqlite3_stmt *stmt;
    bool busy, has_row, once; /* once: finalized at its end */
    uint8_t parameters;       /* of the statement, once prepared */
    uint8_t kept_len;
    uint8_t kept[KEPT_BYTES_MAX]; /* short values of a query, which outlive the call */
};

enum control {
    CONTROL_BEGIN_READ,
    CONTROL_SNAPSHOT,
    CONTROL_BEGIN_WRITE,
    CONTROL_COMMIT,
    CONTROL_SAVEPOINT,
    CONTROL_RELEASE,
    CONTROL_ROLLBACK_TO,
    CONTROL_COUNT
};

struct store_conn {
    sqlite3 *db;
    enum conn_kind kind;
    int lock_fd; /* CONN_WRITER; -1 elsewhere */
    bool in_tx;
    int lost_code; /* the SQLite code that may have ended the transaction */
    uint64_t log_bytes;
    sqlite3_file *log;        /* CONN_WRITER, once found: log_buffer.c */
    struct sqlite_pace *pace; /* CONN_CHECKPOINT: paced_copy.c; freed after the connection's end */
    struct slot slots[SQL_COUNT];
    sqlite3_stmt *controls[CONTROL_COUNT];
};

/* Turns an SQLite code into an error; doing names the step, in words without data. */
RESULT sqlite_fail(struct store_conn *c, int code, const char *doing);
RESULT sqlite_text(struct store_conn *c, const char *sql); /* statements without rows to read */
RESULT sqlite_number(struct store_conn *c, const char *sql, int64_t *ret_value);
RESULT sqlite_control(struct store_conn *c, enum control what);
void sqlite_rollback(struct store_conn *c);

/* statement.c */
enum err sqlite_exec(struct store_conn *c, enum store_sql sql, const char *text,
                     const struct store_value *args, size_t count, int64_t *ret_changed);
enum err sqlite_query(struct store_conn *c, enum store_sql sql, const char *text,
                      const struct store_value *args, size_t count, void **ret_cursor);
enum err sqlite_next(void *cursor, bool *ret_row);
void sqlite_end(void *cursor);
bool sqlite_is_null(void *cursor, int column);
int64_t sqlite_get_int(void *cursor, int column);
struct span sqlite_get_bytes(void *cursor, int column);
void sqlite_forget_statements(struct store_conn *c);

/* migrate.c */
enum err sqlite_version(struct store_conn *c, int *ret_version);
enum err sqlite_migrate(struct store_conn *c, const char *script, int version);
enum err sqlite_migrated(struct store_conn *c, const char *script, int version);
enum err sqlite_backup(struct store_conn *c, const char *to_path);

/* log_buffer.c: makes the layer, above what is SQLite's default now, known to it; its name, or NULL. */
const char *sqlite_log_layer(void);
/* From here on (not) may a commit of this connection leave its sync, for sqlite_log_sync: SQLite's code, on any thread. */
void sqlite_log_owe(struct store_conn *c, bool may);
int sqlite_log_sync(struct store_conn *c);

/* paced_copy.c: from here on this connection's checkpoints go to the disk in portions. */
RESULT sqlite_pace_copies(struct store_conn *c);
void sqlite_hurry_copies(struct store_conn *c, bool on);

/* page_cache.c: before SQLite is used at all; false when it is too late, and SQLite's own cache serves as it is. */
bool sqlite_page_cache_install(void);

/* open.c */
enum err sqlite_open(const struct store_config *config, enum conn_kind kind,
                     struct store_conn **ret_conn);
void sqlite_close(struct store_conn *c);
/* Make a file of mode 0600 when there is none, and its directory entry durable. ERR_CONFLICT with exclusive when there is. */
RESULT sqlite_make_file(const char *path, bool exclusive);

#endif
