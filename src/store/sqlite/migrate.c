/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate - schema versions: user_version counts them, application_id says that the file is ours, and the table migration keeps the
 * script of each, so that a file of a build whose scripts were others is told at the start and not by a statement that fails later.
 */
#include <stdio.h>
#include <string.h>

#include "store/sqlite/conn.h"

enum { SCRIPT_BYTES_MAX = 1 << 20 };

static const struct {
    const char *token, *words;
} tokens[] = {
    {"INT", "INTEGER"},
    {"TEXT", "TEXT"},
    {"BLOB", "BLOB"},
    /* Why AUTOINCREMENT: without it the number of a deleted last row is given again. */
    {"SERIAL", "INTEGER PRIMARY KEY AUTOINCREMENT"},
    {"TABLE", "STRICT"},
    {"CLUSTERED", "STRICT, WITHOUT ROWID"},
};

static enum err spell(const char *script, struct buf *out)
{
    const char *at = script;

    while (*at) {
        size_t plain = strcspn(at, "@");
        buf_put(out, at, plain);
        at += plain;
        if (!*at)
            break;
        size_t len = strcspn(++at, "@"), i = 0;
        while (i < COUNT_OF(tokens) &&
               (strlen(tokens[i].token) != len || memcmp(tokens[i].token, at, len) != 0))
            i++;
        ENSURE(at[len] == '@' && i < COUNT_OF(tokens), ERR_CORRUPT, "bad_migration",
               "A migration holds an unknown token.");
        buf_put_text(out, tokens[i].words);
        at += len + 1;
    }
    return buf_check(out);
}

enum err sqlite_version(struct store_conn *c, int *ret_version)
{
    int64_t version;

    TRY(sqlite_number(c, "PRAGMA user_version", &version));
    ENSURE(version >= 0 && version < 100000, ERR_CORRUPT, "database_corrupt",
           "The schema version of the database makes no sense.");
    *ret_version = (int)version;
    return OK;
}

static enum err check_whole(struct store_conn *c)
{
    sqlite3_stmt *stmt;
    int code = sqlite3_prepare_v2(c->db, "PRAGMA quick_check(1)", -1, &stmt, NULL);

    if (code != SQLITE_OK)
        return sqlite_fail(c, code, "check");
    bool sound = sqlite3_step(stmt) == SQLITE_ROW &&
                 strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0;
    code = sqlite3_finalize(stmt);
    if (code != SQLITE_OK)
        return sqlite_fail(c, code, "check");
    ENSURE(sound, ERR_CORRUPT, "database_corrupt", "The database file is damaged.");
    return OK;
}

static enum err step_with(struct store_conn *c, const char *sql, const char *script, int version,
                          bool *ret_row)
{
    sqlite3_stmt *stmt;
    int code = sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL);

    if (code != SQLITE_OK)
        return sqlite_fail(c, code, "set-up");
    code = sqlite3_bind_int(stmt, 1, version);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(stmt, 2, script, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    *ret_row = code == SQLITE_ROW;
    (void)sqlite3_finalize(stmt); /* it says what the step said */
    return code == SQLITE_ROW || code == SQLITE_DONE ? OK : sqlite_fail(c, code, "set-up");
}

static enum err keep_script(struct store_conn *c, const char *script, int version)
{
    bool row;

    TRY(sqlite_text(c,
                    "CREATE TABLE IF NOT EXISTS migration (version INTEGER NOT NULL PRIMARY KEY, "
                    "script TEXT NOT NULL) STRICT"));
    return step_with(c, "INSERT INTO migration (version, script) VALUES (?1, ?2)", script, version,
                     &row);
}

enum err sqlite_migrated(struct store_conn *c, const char *script, int version)
{
    int64_t kept;
    bool same = false;

    TRY(sqlite_number(
        c, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'migration'",
        &kept));
    if (kept)
        TRY(step_with(c, "SELECT 1 FROM migration WHERE version = ?1 AND script = ?2", script,
                      version, &same));
    ENSURE(
        same, ERR_INVALID, "other_schema",
        "The database was made by another build of this program, whose migration %d was another: "
        "go on with that build, or make the data anew.",
        version);
    return OK;
}

/* written: as it stands in the program; script: as SQLite spells it. */
static enum err run_script(struct store_conn *c, const char *written, const char *script,
                           int version)
{
    char words[128];
    int64_t orphans;

    TRY(sqlite_text(c, script));
    TRY(keep_script(c, written, version));
    (void)snprintf(words, sizeof words, "PRAGMA application_id=%d; PRAGMA user_version=%d;",
                   SQLITE_APPLICATION_ID, version);
    TRY(sqlite_text(c, words));
    TRY(sqlite_number(c, "SELECT count(*) FROM pragma_foreign_key_check", &orphans));
    ENSURE(orphans == 0, ERR_CORRUPT, "bad_migration",
           "Migration %d leaves rows that refer to nothing.", version);
    return sqlite_control(c, CONTROL_COMMIT);
}

/* Rebuilding a table drops it for a moment: foreign keys are off meanwhile and checked as a whole before the commit. */
enum err sqlite_migrate(struct store_conn *c, const char *script, int version)
{
    AUTO(buf_done) struct buf sql;
    struct err_info why;

    buf_init(&sql, SCRIPT_BYTES_MAX);
    TRY(spell(script, &sql));
    TRY(check_whole(c));
    TRY(sqlite_text(c, "PRAGMA foreign_keys=OFF"));
    enum err code = sqlite_control(c, CONTROL_BEGIN_WRITE);
    if (code == OK)
        code = run_script(c, script, buf_text(&sql), version);
    if (code != OK) {
        err_save(&why);
        sqlite_rollback(c);
    }
    sqlite_forget_statements(c);
    TRY(sqlite_text(c, "PRAGMA foreign_keys=ON"));
    return code == OK ? OK : err_restore(&why);
}

/* Why in one step: a copy in steps begins anew at every commit of another connection, and never ends under load. */
static enum err copy_all(struct store_conn *c, sqlite3 *to)
{
    sqlite3_backup *copy = sqlite3_backup_init(to, "main", c->db, "main");

    if (!copy)
        return sqlite_fail(c, sqlite3_extended_errcode(to), "backup");
    int stepped = sqlite3_backup_step(copy, -1);
    int code = sqlite3_backup_finish(copy);
    if (stepped != SQLITE_DONE)
        return sqlite_fail(c, code == SQLITE_OK ? stepped : code, "backup");
    return OK;
}

enum err sqlite_backup(struct store_conn *c, const char *to_path)
{
    sqlite3 *to = NULL;

    TRY(sqlite_make_file(to_path, true));
    int code = sqlite3_open_v2(to_path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    enum err result = code == SQLITE_OK ? OK : sqlite_fail(c, code, "backup");
    if (result == OK) {
        sqlite3_extended_result_codes(to, 1);
        result = copy_all(c, to);
    }
    code = sqlite3_close(to);
    if (result == OK && code != SQLITE_OK)
        result = sqlite_fail(c, code, "backup");
    return result;
}
