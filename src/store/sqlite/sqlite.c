/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite/sqlite.h"

#include "store/sqlite/conn.h"

enum {
    RESTART_WAIT_MS =
        50, /* how long a restart of the log may wait for readers: the writer stands still */
};

static const char *constraint_kind(int code)
{
    switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return "uniqueness";
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return "reference";
    case SQLITE_CONSTRAINT_CHECK:
        return "check";
    case SQLITE_CONSTRAINT_NOTNULL:
        return "presence";
    case SQLITE_CONSTRAINT_DATATYPE:
        return "type";
    default:
        return "schema";
    }
}

enum err sqlite_fail(struct store_conn *c, int code, const char *doing)
{
    int basic = code & 0xff;

    /* Why abort: after a failed fsync the page cache may lie, and a second fsync would say that all is well. */
    INVARIANT(code != SQLITE_IOERR_FSYNC && code != SQLITE_IOERR_DIR_FSYNC,
              "a failed fsync cannot be repaired by a second one");
    if (basic == SQLITE_FULL || basic == SQLITE_IOERR || basic == SQLITE_NOMEM)
        c->lost_code = code;
    switch (basic) {
    case SQLITE_CONSTRAINT:
        FAIL(ERR_CONFLICT, "constraint", "A %s constraint refuses it.", constraint_kind(code));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        FAIL(ERR_BUSY, "database_busy", "%s: the database is busy.", doing);
    case SQLITE_FULL:
        FAIL(ERR_IO, "disk_full", "%s: the disk is full.", doing);
    case SQLITE_IOERR:
        if (code == SQLITE_IOERR_NOMEM)
            FAIL(ERR_NOMEM, "no_memory", "%s: no memory.", doing);
        FAIL(ERR_IO, "disk_failed", "%s: the disk failed (SQLite code %d, system error %d).", doing,
             code, c->db ? sqlite3_system_errno(c->db) : 0);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        FAIL(ERR_CORRUPT, "database_corrupt", "%s: the database file is damaged.", doing);
    case SQLITE_NOMEM:
        FAIL(ERR_NOMEM, "no_memory", "%s: no memory.", doing);
    case SQLITE_TOOBIG:
        FAIL(ERR_LIMIT, "too_big", "%s: a value is too large.", doing);
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        FAIL(ERR_IO, "cannot_open", "%s: the database file cannot be opened.", doing);
    case SQLITE_READONLY:
        FAIL(ERR_IO, "read_only", "%s: the database is open for reading only.", doing);
    default: /* a statement that does not fit the schema: the message holds SQL words, no values */
        FAIL(ERR_CORRUPT, "statement", "%s: %s", doing,
             c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(code));
    }
}

enum err sqlite_text(struct store_conn *c, const char *sql)
{
    int code = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? OK : sqlite_fail(c, code, "set-up");
}

enum err sqlite_number(struct store_conn *c, const char *sql, int64_t *ret_value)
{
    sqlite3_stmt *stmt;
    int code = sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL);

    if (code != SQLITE_OK)
        return sqlite_fail(c, code, "set-up");
    code = sqlite3_step(stmt);
    if (code == SQLITE_ROW)
        *ret_value = sqlite3_column_int64(stmt, 0);
    int ended = sqlite3_finalize(stmt);
    if (code != SQLITE_ROW)
        return sqlite_fail(c, ended == SQLITE_OK ? code : ended, "set-up");
    return OK;
}

enum err sqlite_control(struct store_conn *c, enum control what)
{
    static const char *const words[CONTROL_COUNT] = {
        [CONTROL_BEGIN_READ] = "BEGIN",
        [CONTROL_SNAPSHOT] = "SELECT 1 FROM sqlite_schema LIMIT 1",
        [CONTROL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
        [CONTROL_COMMIT] = "COMMIT",
        [CONTROL_SAVEPOINT] = "SAVEPOINT command",
        [CONTROL_RELEASE] = "RELEASE command",
        [CONTROL_ROLLBACK_TO] = "ROLLBACK TO command",
    };
    sqlite3_stmt **stmt = &c->controls[what];
    int code = SQLITE_OK;

    if (!*stmt)
        code = sqlite3_prepare_v3(c->db, words[what], -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_step(*stmt);
        code = sqlite3_reset(*stmt); /* gives the error of the step */
    }
    return code == SQLITE_OK ? OK : sqlite_fail(c, code, words[what]);
}

/* Q3. The error is the one that made SQLite give the transaction up. */
static enum err still_there(struct store_conn *c)
{
    if (!sqlite3_get_autocommit(c->db))
        return OK;
    return sqlite_fail(c, c->lost_code ? c->lost_code : SQLITE_IOERR, "transaction");
}

void sqlite_rollback(struct store_conn *c)
{
    /* Why ignored: when ROLLBACK itself fails, SQLite has rolled back already, or the next BEGIN fails and reports. */
    if (!sqlite3_get_autocommit(c->db))
        (void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    c->in_tx = false;
    c->lost_code = 0;
}

static enum err begin(struct store_conn *c, bool write)
{
    c->lost_code = 0;
    TRY(sqlite_control(c, write ? CONTROL_BEGIN_WRITE : CONTROL_BEGIN_READ));
    c->in_tx = true;
    if (write)
        return OK;
    /* Why: BEGIN alone takes the snapshot only with the first read, after `now` was read. */
    enum err code = sqlite_control(c, CONTROL_SNAPSHOT);
    if (code != OK)
        sqlite_rollback(c);
    return code;
}

static enum err commit(struct store_conn *c)
{
    TRY(still_there(c));
    TRY(sqlite_control(c, CONTROL_COMMIT));
    c->in_tx = false;
    return OK;
}

static enum err commit_early(struct store_conn *c)
{
    sqlite_log_owe(c, true);
    enum err code = commit(c);
    sqlite_log_owe(c, false);
    return code;
}

static void sync_commits(struct store_conn *c)
{
    /* Why abort: see sqlite_fail. */
    INVARIANT(sqlite_log_sync(c) == SQLITE_OK, "a failed fsync cannot be repaired by a second one");
}

static uint64_t changes(struct store_conn *c)
{
    return (uint64_t)sqlite3_total_changes64(c->db);
}

static enum err savepoint(struct store_conn *c)
{
    TRY(still_there(c));
    return sqlite_control(c, CONTROL_SAVEPOINT);
}

static enum err release(struct store_conn *c)
{
    TRY(still_there(c));
    return sqlite_control(c, CONTROL_RELEASE);
}

static enum err rollback_to(struct store_conn *c)
{
    TRY(still_there(c));
    TRY(sqlite_control(c, CONTROL_ROLLBACK_TO));
    return sqlite_control(c, CONTROL_RELEASE);
}

/*
 * SQLite syncs the database only when it has copied all of the log, which never happens while the writer goes on: without this sync all
 * that was copied would wait for the restart, and the writer with it.
 */
static int copy_and_sync(struct store_conn *c)
{
    sqlite3_file *f = NULL;
    int code = sqlite3_wal_checkpoint_v2(c->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_file_control(c->db, "main", SQLITE_FCNTL_FILE_POINTER, &f);
    return code == SQLITE_OK ? f->pMethods->xSync(f, SQLITE_SYNC_NORMAL) : code;
}

static enum err checkpoint(struct store_conn *c, bool restart)
{
    if (!restart) {
        int code = copy_and_sync(c);
        return code == SQLITE_OK ? OK : sqlite_fail(c, code, "checkpoint");
    }
    sqlite3_busy_timeout(c->db, RESTART_WAIT_MS);
    int code = sqlite3_wal_checkpoint_v2(c->db, "main", SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    sqlite3_busy_timeout(c->db, SQLITE_WAIT_MS);
    return code == SQLITE_OK ? OK : sqlite_fail(c, code, "checkpoint");
}

static uint64_t log_bytes(struct store_conn *c)
{
    return c->log_bytes;
}

const struct store_driver *store_sqlite(void)
{
    static const struct store_driver driver = {
        .name = "sqlite",
        .open = sqlite_open,
        .close = sqlite_close,
        .version = sqlite_version,
        .migrate = sqlite_migrate,
        .migrated = sqlite_migrated,
        .backup = sqlite_backup,
        .begin = begin,
        .commit = commit,
        .commit_early = commit_early,
        .sync = sync_commits,
        .rollback = sqlite_rollback,
        .changes = changes,
        .savepoint = savepoint,
        .release = release,
        .rollback_to = rollback_to,
        .exec = sqlite_exec,
        .query = sqlite_query,
        .next = sqlite_next,
        .end = sqlite_end,
        .is_null = sqlite_is_null,
        .get_int = sqlite_get_int,
        .get_bytes = sqlite_get_bytes,
        .checkpoint = checkpoint,
        .hurry = sqlite_hurry_copies,
        .log_bytes = log_bytes,
    };
    return &driver;
}
