/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite/kv.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "ground/base/base.h"
#include "store/sqlite/conn.h"

enum { KV_APPLICATION_ID = 0x47544B56 /* "GTKV" */ };

enum word { BEGIN, COMMIT, ROLLBACK, PUT, GET, DELETE, SCAN_UP, SCAN_DOWN, WORD_COUNT };

static const char *const words[WORD_COUNT] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [PUT] = "INSERT INTO kv (bucket, name, value) VALUES (?1, ?2, ?3)"
            " ON CONFLICT (bucket, name) DO UPDATE SET value = excluded.value",
    [GET] = "SELECT value FROM kv WHERE bucket = ?1 AND name = ?2",
    [DELETE] = "DELETE FROM kv WHERE bucket = ?1 AND name = ?2",
    /* ?2 is where the prefix begins, ?3 where it has ended. */
    [SCAN_UP] = "SELECT name, value FROM kv WHERE bucket = ?1 AND name >= ?2 AND name < ?3 AND"
                " (?4 IS NULL OR name > ?4) ORDER BY name LIMIT ?5",
    [SCAN_DOWN] = "SELECT name, value FROM kv WHERE bucket = ?1 AND name >= ?2 AND name < ?3 AND"
                  " (?4 IS NULL OR name < ?4) ORDER BY name DESC LIMIT ?5",
};

struct kv {
    sqlite3 *db;
    sqlite3_stmt *statements[WORD_COUNT];
};

static enum err fail(struct kv *kv, const char *doing)
{
    int code = sqlite3_errcode(kv->db) & 0xFF;

    ENSURE(code != SQLITE_BUSY && code != SQLITE_LOCKED, ERR_BUSY, "in_use",
           "The database is in use by another process (%s).", doing);
    FAIL(ERR_IO, "database", "The database refuses %s: %s", doing, sqlite3_errmsg(kv->db));
}

static enum err run_text(struct kv *kv, const char *sql)
{
    return sqlite3_exec(kv->db, sql, NULL, NULL, NULL) == SQLITE_OK ? OK : fail(kv, "a setting");
}

static int first_number(void *context, int columns, char **values, char **names)
{
    (void)names;
    uint64_t n = 0;
    if (columns == 1 && values[0] && text_to_u64(span_text(values[0]), &n) == OK)
        *(uint64_t *)context = n;
    return 0;
}

static enum err check_owner(struct kv *kv)
{
    uint64_t application = 0, objects = 0;

    if (sqlite3_exec(kv->db, "PRAGMA application_id", first_number, &application, NULL) ||
        sqlite3_exec(kv->db, "SELECT count(*) FROM sqlite_schema", first_number, &objects, NULL))
        return fail(kv, "the file");
    ENSURE(application == KV_APPLICATION_ID || (application == 0 && objects == 0), ERR_INVALID,
           "not_ours", "The file is a database of another program.");
    return OK;
}

static enum err set_up(struct kv *kv, const char *path)
{
    TRY(sqlite_make_file(path, false));
    int code = sqlite3_open_v2(
        path, &kv->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
        NULL);
    if (code != SQLITE_OK)
        return fail(kv, "to be opened");
    sqlite3_busy_timeout(kv->db, 2000);
    TRY(check_owner(kv));
    TRY(run_text(kv, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF;"
                     "CREATE TABLE IF NOT EXISTS kv (bucket TEXT NOT NULL, name TEXT NOT NULL,"
                     " value BLOB NOT NULL, PRIMARY KEY (bucket, name)) WITHOUT ROWID, STRICT;"
                     "PRAGMA application_id=1196706646;"));
    _Static_assert(KV_APPLICATION_ID == 1196706646, "written out in the line above");
    for (size_t i = 0; i < WORD_COUNT; i++)
        if (sqlite3_prepare_v3(kv->db, words[i], -1, SQLITE_PREPARE_PERSISTENT, &kv->statements[i],
                               NULL) != SQLITE_OK)
            return fail(kv, "a statement");
    return OK;
}

enum err kv_open(const char *path, struct kv **ret_kv)
{
    struct kv *kv = calloc(1, sizeof *kv);

    ENSURE(kv, ERR_NOMEM, "no_memory", "No memory for the database.");
    enum err e = set_up(kv, path);
    if (e != OK) {
        kv_close(kv);
        return e;
    }
    *ret_kv = kv;
    return OK;
}

void kv_close(struct kv *kv)
{
    if (!kv)
        return;
    for (size_t i = 0; i < WORD_COUNT; i++)
        sqlite3_finalize(kv->statements[i]);
    sqlite3_close(kv->db);
    free(kv);
}

/* A statement without rows, bound before. */
static enum err finish(struct kv *kv, enum word word, const char *doing)
{
    sqlite3_stmt *s = kv->statements[word];
    int code = sqlite3_step(s);
    enum err e = code == SQLITE_DONE ? OK : fail(kv, doing);

    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return e;
}

enum err kv_begin(struct kv *kv)
{
    return finish(kv, BEGIN, "to begin");
}

enum err kv_commit(struct kv *kv)
{
    return finish(kv, COMMIT, "to commit");
}

void kv_rollback(struct kv *kv)
{
    if (sqlite3_get_autocommit(kv->db))
        return;
    sqlite3_step(kv->statements[ROLLBACK]);
    sqlite3_reset(kv->statements[ROLLBACK]);
}

static enum err bind_name(struct kv *kv, enum word word, const char *bucket, const char *key)
{
    sqlite3_stmt *s = kv->statements[word];

    ENSURE(strlen(key) <= KV_KEY_MAX, ERR_LIMIT, "key_too_long", "The key is too long.");
    if (sqlite3_bind_text(s, 1, bucket, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(s, 2, key, -1, SQLITE_STATIC) != SQLITE_OK)
        return fail(kv, "a name");
    return OK;
}

enum err kv_put(struct kv *kv, const char *bucket, const char *key, struct span value)
{
    ENSURE(value.len <= KV_VALUE_MAX, ERR_LIMIT, "value_too_long", "The value is too long.");
    TRY(bind_name(kv, PUT, bucket, key));
    int code = value.len == 0 ? sqlite3_bind_zeroblob(kv->statements[PUT], 3, 0)
                              : sqlite3_bind_blob(kv->statements[PUT], 3, value.data,
                                                  (int)value.len, SQLITE_STATIC);
    if (code != SQLITE_OK)
        return fail(kv, "a value");
    return finish(kv, PUT, "to keep a value");
}

enum err kv_delete(struct kv *kv, const char *bucket, const char *key)
{
    TRY(bind_name(kv, DELETE, bucket, key));
    return finish(kv, DELETE, "to forget a value");
}

enum err kv_get(struct kv *kv, const char *bucket, const char *key, struct buf *out)
{
    sqlite3_stmt *s = kv->statements[GET];

    TRY(bind_name(kv, GET, bucket, key));
    int code = sqlite3_step(s);
    enum err e = code == SQLITE_ROW || code == SQLITE_DONE ? OK : fail(kv, "to read");
    if (code == SQLITE_ROW)
        buf_put(out, sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0));
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    TRY(e);
    ENSURE(code == SQLITE_ROW, ERR_NOT_FOUND, "no_row", "There is no such value.");
    return buf_check(out);
}

static enum err visit_rows(struct kv *kv, sqlite3_stmt *s,
                           enum err (*visit)(void *context, const char *key, struct span value),
                           void *context)
{
    int code;

    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        const char *key = (const char *)sqlite3_column_text(s, 0);
        ENSURE(key, ERR_NOMEM, "no_memory", "No memory for a row.");
        TRY(visit(context, key,
                  span_of(sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1))));
    }
    return code == SQLITE_DONE ? OK : fail(kv, "to read");
}

enum err kv_scan(struct kv *kv, const struct kv_scan *scan,
                 enum err (*visit)(void *context, const char *key, struct span value),
                 void *context)
{
    enum word word = scan->descending ? SCAN_DOWN : SCAN_UP;
    sqlite3_stmt *s = kv->statements[word];
    const char *prefix = scan->prefix ? scan->prefix : "";
    char end[KV_KEY_MAX + 8];

    TRY(bind_name(kv, word, scan->bucket, prefix));
    /* U+10FFFF, which no key holds. */
    (void)snprintf(end, sizeof end, "%s\xF4\x8F\xBF\xBF", prefix);
    int limit = scan->rows_max < 100000 ? (int)scan->rows_max : 100000;
    bool bad = sqlite3_bind_text(s, 3, end, -1, SQLITE_STATIC) != SQLITE_OK;
    bad |= scan->after && sqlite3_bind_text(s, 4, scan->after, -1, SQLITE_STATIC) != SQLITE_OK;
    bad |= sqlite3_bind_int(s, 5, limit) != SQLITE_OK;
    enum err e = bad ? fail(kv, "a name") : visit_rows(kv, s, visit, context);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return e;
}
