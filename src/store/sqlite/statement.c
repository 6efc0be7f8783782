/* SPDX-License-Identifier: Apache-2.0 */
/* statement - running statements: prepared once for a connection, bound, stepped, read. */
#include <stdlib.h>
#include <string.h>

#include "store/sqlite/conn.h"

/* A query's values are asked for again after the call has returned: short ones are kept in the slot, long ones by SQLite. */
static sqlite3_destructor_type keep_value(struct slot *s, const char **data, size_t len)
{
    if (len > sizeof s->kept - s->kept_len)
        return SQLITE_TRANSIENT;
    if (len > 0)
        memcpy(s->kept + s->kept_len, *data, len);
    *data = (const char *)s->kept + s->kept_len;
    s->kept_len += (uint8_t)len;
    return SQLITE_STATIC;
}

static enum err bind_one(struct slot *s, int at, const struct store_value *v, bool keep)
{
    sqlite3_destructor_type life = SQLITE_STATIC;
    /* Why "": a NULL pointer would bind NULL. */
    const char *data = v->s.data ? (const char *)v->s.data : "";
    int code = SQLITE_MISUSE;

    if (keep && (v->type == STORE_TEXT || v->type == STORE_BLOB))
        life = keep_value(s, &data, v->s.len);
    switch (v->type) {
    case STORE_NULL:
        code = sqlite3_bind_null(s->stmt, at);
        break;
    case STORE_INT:
        code = sqlite3_bind_int64(s->stmt, at, v->i);
        break;
    case STORE_TEXT:
        code = sqlite3_bind_text64(s->stmt, at, data, v->s.len, life, SQLITE_UTF8);
        break;
    case STORE_BLOB:
        code = sqlite3_bind_blob64(s->stmt, at, data, v->s.len, life);
        break;
    }
    return code == SQLITE_OK ? OK : sqlite_fail(s->conn, code, "bind");
}

static enum err find_slot(struct store_conn *c, enum store_sql sql, struct slot **ret_slot)
{
    if (sql != SQL_COUNT) {
        *ret_slot = &c->slots[sql];
        return OK;
    }
    *ret_slot = calloc(1, sizeof **ret_slot);
    ENSURE(*ret_slot, ERR_NOMEM, "no_memory", "No memory for a statement.");
    (*ret_slot)->once = true;
    return OK;
}

static void slot_end(struct slot *s)
{
    if (s->once) {
        sqlite3_finalize(s->stmt);
        free(s);
        return;
    }
    /* Why bindings stay: each run binds every parameter anew before it steps (asserted). */
    if (s->stmt)
        sqlite3_reset(s->stmt);
    s->busy = s->has_row = false;
    s->kept_len = 0;
}

static enum err prepare(struct store_conn *c, struct slot *s, const char *text,
                        const struct store_value *args, size_t count, bool keep)
{
    s->conn = c;
    /* Q3: the transaction may be gone without anybody having asked. */
    ENSURE(c->in_tx, ERR_CORRUPT, "no_transaction", "A statement outside of a transaction.");
    if (sqlite3_get_autocommit(c->db))
        return sqlite_fail(c, c->lost_code ? c->lost_code : SQLITE_IOERR, "transaction");
    if (!s->stmt) {
        int code = sqlite3_prepare_v3(c->db, text, -1, s->once ? 0 : SQLITE_PREPARE_PERSISTENT,
                                      &s->stmt, NULL);
        if (code != SQLITE_OK)
            return sqlite_fail(c, code, "prepare");
        s->parameters = (uint8_t)sqlite3_bind_parameter_count(s->stmt);
    }
    INVARIANT(s->parameters == count, "a statement gets as many values as it has parameters");
    for (size_t i = 0; i < count; i++)
        TRY(bind_one(s, (int)i + 1, &args[i], keep));
    return OK;
}

static enum err start(struct store_conn *c, enum store_sql sql, const char *text,
                      const struct store_value *args, size_t count, bool keep,
                      struct slot **ret_slot)
{
    struct slot *s;

    TRY(find_slot(c, sql, &s));
    ENSURE(!s->busy, ERR_CORRUPT, "statement_in_use", "A query is begun anew before its end.");
    enum err code = prepare(c, s, text, args, count, keep);
    if (code != OK) {
        slot_end(s);
        return err_trace(code, __FILE__, __LINE__);
    }
    s->busy = true;
    *ret_slot = s;
    return OK;
}

enum err sqlite_exec(struct store_conn *c, enum store_sql sql, const char *text,
                     const struct store_value *args, size_t count, int64_t *ret_changed)
{
    struct slot *s;
    sqlite3_int64 before = sqlite3_total_changes64(c->db);

    TRY(start(c, sql, text, args, count, false, &s));
    int code = sqlite3_step(s->stmt);
    while (code == SQLITE_ROW)
        code = sqlite3_step(s->stmt);
    enum err result = code == SQLITE_DONE ? OK : sqlite_fail(c, code, "statement");
    slot_end(s);
    if (result == OK && ret_changed)
        *ret_changed = sqlite3_total_changes64(c->db) - before;
    return result;
}

enum err sqlite_query(struct store_conn *c, enum store_sql sql, const char *text,
                      const struct store_value *args, size_t count, void **ret_cursor)
{
    struct slot *s;

    TRY(start(c, sql, text, args, count, true, &s));
    int code = sqlite3_step(s->stmt);
    s->has_row = code == SQLITE_ROW;
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        enum err result = sqlite_fail(c, code, "query");
        slot_end(s);
        return result;
    }
    *ret_cursor = s;
    return OK;
}

/* busy and has_row together tell where the cursor is: the first row waits, or it is being read, or there are no more. */
enum err sqlite_next(void *cursor, bool *ret_row)
{
    struct slot *s = cursor;

    if (s->has_row) { /* the row that the query stepped to */
        s->has_row = false;
        *ret_row = true;
        return OK;
    }
    *ret_row = false;
    if (!sqlite3_stmt_busy(s->stmt))
        return OK; /* ended */
    int code = sqlite3_step(s->stmt);
    *ret_row = code == SQLITE_ROW;
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return sqlite_fail(s->conn, code, "query");
    return OK;
}

void sqlite_end(void *cursor)
{
    slot_end(cursor);
}

bool sqlite_is_null(void *cursor, int column)
{
    return sqlite3_column_type(((struct slot *)cursor)->stmt, column) == SQLITE_NULL;
}

int64_t sqlite_get_int(void *cursor, int column)
{
    return sqlite3_column_int64(((struct slot *)cursor)->stmt, column);
}

struct span sqlite_get_bytes(void *cursor, int column)
{
    sqlite3_stmt *stmt = ((struct slot *)cursor)->stmt;
    const void *data = sqlite3_column_blob(stmt, column);
    int len = sqlite3_column_bytes(stmt, column);

    return span_of(data, data && len > 0 ? (size_t)len : 0);
}

void sqlite_forget_statements(struct store_conn *c)
{
    for (size_t i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(c->slots[i].stmt);
    memset(c->slots, 0, sizeof c->slots);
    for (size_t i = 0; i < CONTROL_COUNT; i++)
        sqlite3_finalize(c->controls[i]);
    memset(c->controls, 0, sizeof c->controls);
}
