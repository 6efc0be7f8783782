/* SPDX-License-Identifier: Apache-2.0 */
/* open - files, locks and settings of a connection. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite/conn.h"

enum { PATH_BYTES_MAX = 4096, VALUE_BYTES_MAX = 64 << 20 };

static enum err sync_parent(const char *path)
{
    char copy[PATH_BYTES_MAX];

    TRY(span_to_text(span_text(path), copy, sizeof copy));
    AUTO(fd_close) int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ENSURE(fd >= 0, ERR_IO, "cannot_open", "The directory of %s cannot be opened: %s.", path,
           strerror(errno));
    INVARIANT(fsync(fd) == 0, "a failed fsync cannot be repaired by a second one");
    return OK;
}

enum err sqlite_make_file(const char *path, bool exclusive)
{
    int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (exclusive ? O_EXCL : 0);
    AUTO(fd_close) int fd = open(path, flags, 0600);

    ENSURE(fd >= 0 || errno != EEXIST, ERR_CONFLICT, "file_exists", "%s is there already.", path);
    ENSURE(fd >= 0, ERR_IO, "cannot_open", "%s cannot be opened: %s.", path, strerror(errno));
    ENSURE(fchmod(fd, 0600) == 0, ERR_IO, "cannot_open", "%s cannot be made private: %s.", path,
           strerror(errno));
    return sync_parent(path);
}

/* Q2. Why a file of its own: closing any descriptor of the database file would drop SQLite's own locks on it. */
static enum err take_lock(struct store_conn *c, const char *path)
{
    char name[PATH_BYTES_MAX];
    int n = snprintf(name, sizeof name, "%s.lock", path);

    ENSURE(n > 0 && (size_t)n < sizeof name, ERR_LIMIT, "path_too_long",
           "The path of the database is too long.");
    c->lock_fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    ENSURE(c->lock_fd >= 0, ERR_IO, "cannot_open", "%s cannot be opened: %s.", name,
           strerror(errno));
    ENSURE(flock(c->lock_fd, LOCK_EX | LOCK_NB) == 0, ERR_BUSY, "in_use",
           "%s is in use by another process; end that one first.", path);
    return OK;
}

static int note_log(void *context, sqlite3 *db, const char *name, int pages)
{
    struct store_conn *c = context;

    (void)db;
    (void)name;
    c->log_bytes = (uint64_t)pages * (4096 + 24); /* a page and its frame header */
    return SQLITE_OK;
}

static enum err protect(struct store_conn *c)
{
    static const struct {
        int what, value;
    } settings[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
        {SQLITE_DBCONFIG_DQS_DML, 0},        {SQLITE_DBCONFIG_DQS_DDL, 0},
        {SQLITE_DBCONFIG_ENABLE_FKEY, 1},    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
    };

    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        int now = -1;
        int code = sqlite3_db_config(c->db, settings[i].what, settings[i].value, &now);
        if (code != SQLITE_OK || now != settings[i].value)
            return sqlite_fail(c, code == SQLITE_OK ? SQLITE_ERROR : code, "set-up");
    }
    sqlite3_limit(c->db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
    sqlite3_extended_result_codes(c->db, 1);
    sqlite3_busy_timeout(c->db, SQLITE_WAIT_MS);
    return OK;
}

/* A file that another program made is left alone. */
static enum err check_owner(struct store_conn *c)
{
    int64_t application, objects;

    TRY(sqlite_number(c, "PRAGMA application_id", &application));
    if (application == SQLITE_APPLICATION_ID)
        return OK;
    TRY(sqlite_number(c, "SELECT count(*) FROM sqlite_schema", &objects));
    ENSURE(application == 0 && objects == 0, ERR_INVALID, "not_ours",
           "The file is a database of another program.");
    return OK;
}

/* Where memory cannot be shared (a network file system) SQLite keeps its old journal, without an error. */
static enum err check_log_mode(struct store_conn *c)
{
    int64_t wal;

    TRY(sqlite_number(c, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &wal));
    ENSURE(wal == 1, ERR_IO, "no_wal",
           "The file system cannot carry the database: it must be a local one.");
    return OK;
}

static enum err set_up(struct store_conn *c)
{
    TRY(protect(c));
    TRY(check_owner(c));
    /* Why no memory map: an I/O error on a mapped page is a SIGBUS, not an error code. */
    TRY(sqlite_text(c, "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON;"));
    if (c->kind == CONN_READER)
        return sqlite_text(c, "PRAGMA query_only=ON; PRAGMA cache_size=-16384;");
    if (c->kind == CONN_CHECKPOINT) {
        TRY(sqlite_pace_copies(c));
        return sqlite_text(c, "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;");
    }
    /* Why not more cache: 64 MB cost a twentieth of the sales, for the processor's own caches, and what is not here the system has. */
    TRY(sqlite_text(c,
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=FAST;"
                    "PRAGMA cache_size=-24576; PRAGMA journal_size_limit=201326592;"
                    "PRAGMA wal_autocheckpoint=0;"));
    sqlite3_wal_hook(c->db, note_log, c);
    return check_log_mode(c);
}

static enum err open_into(struct store_conn *c, const char *path)
{
    bool reader = c->kind == CONN_READER;

    if (c->kind == CONN_WRITER) {
        TRY(take_lock(c, path));
        TRY(sqlite_make_file(path, false));
    }
    const char *layer = c->kind == CONN_WRITER ? sqlite_log_layer() : NULL;
    ENSURE(layer || c->kind != CONN_WRITER, ERR_NOMEM, "no_memory",
           "SQLite's files cannot be set up.");
    /* Why no mutex: a connection belongs to one thread at a time. */
    int code = sqlite3_open_v2(path, &c->db,
                               (reader ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                                   SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
                               layer);
    if (code != SQLITE_OK)
        return sqlite_fail(c, code, "open");
    return set_up(c);
}

static void set_up_library(void)
{
    /* Why: the counters take a process-wide lock at every allocation. It only fails when SQLite is in use already. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)sqlite_page_cache_install(); /* the same */
}

enum err sqlite_open(const struct store_config *config, enum conn_kind kind,
                     struct store_conn **ret_conn)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct store_conn *c;

    pthread_once(&once, set_up_library);
    c = calloc(1, sizeof *c);
    ENSURE(c, ERR_NOMEM, "no_memory", "No memory for a database connection.");
    c->kind = kind;
    c->lock_fd = -1;
    enum err code = open_into(c, config->url);
    if (code != OK) {
        sqlite_close(c);
        return err_trace(code, __FILE__, __LINE__);
    }
    *ret_conn = c;
    return OK;
}

void sqlite_close(struct store_conn *c)
{
    if (!c)
        return;
    sqlite_forget_statements(c);
    INVARIANT(sqlite3_close(c->db) == SQLITE_OK, "a connection is closed after its statements");
    fd_close(&c->lock_fd);
    free(c->pace);
    free(c);
}
