/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/store_auth.h"

#include <string.h>

#include "store/store/notes.h"

#define HASH(h) sv_blob(span_of((h), 32))

static const char *const statuses[] = {"pending", "active", "suspended", "erased"};

static enum err read_account(struct store_rows *rows, struct account_row *ret_row)
{
    struct span status = store_text(rows, 3), totp = store_blob(rows, 5);
    size_t s = 0;

    memset(ret_row, 0, sizeof *ret_row);
    ret_row->no = store_int(rows, 0);
    store_id(rows, 1, ret_row->id.b);
    ret_row->person_no = store_int(rows, 2);
    while (s < COUNT_OF(statuses) && !span_eq_text(status, statuses[s]))
        s++;
    ENSURE(s < COUNT_OF(statuses), ERR_CORRUPT, "bad_row", "An account of an unknown status.");
    ret_row->status = (enum account_status)s;
    ret_row->staff = store_int(rows, 4) != 0;
    if (totp.len > 0) {
        ENSURE(totp.data[0] == TOTP_PENDING || totp.data[0] == TOTP_ACTIVE, ERR_CORRUPT, "bad_row",
               "A second factor of an unknown state.");
        ret_row->totp = (enum totp_state)totp.data[0];
    }
    ret_row->totp_step = store_int(rows, 6);
    ret_row->failures = store_int(rows, 7);
    ret_row->locked_until_ms = store_int(rows, 8);
    return store_is_null(rows, 9) ? OK
                                  : span_to_text(store_text(rows, 9), ret_row->password_hash,
                                                 sizeof ret_row->password_hash);
}

static enum err one_account(struct store_tx *tx, enum store_sql sql, struct store_value key,
                            struct account_row *ret_row)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, sql, &key, 1, &rows));
    bool found = store_next(&rows);
    if (found)
        TRY(read_account(&rows, ret_row));
    TRY(store_rows_end(&rows));
    ENSURE(found, ERR_NOT_FOUND, "no_account", "There is no such account.");
    return OK;
}

enum err store_account_insert(struct store_tx *tx, const struct account_new *account,
                              int64_t *ret_account_no)
{
    struct account_row row;

    TRY(store_exec_audited(
        tx, SQL_account_insert, account->id.b,
        SQL_ARGS(sv_id(account->id), sv_int(account->person_no), HASH(account->mail_hash),
                 sv_blob(account->mail_sealed), sv_blob(account->name_sealed),
                 account->password_hash[0] ? sv_str(account->password_hash) : sv_null(),
                 sv_int(store_now_ms(tx))),
        NULL));
    TRY(store_account_by_id(tx, account->id, &row));
    *ret_account_no = row.no;
    return OK;
}

enum err store_account_by_no(struct store_tx *tx, int64_t account_no, struct account_row *ret_row)
{
    return one_account(tx, SQL_account_by_no, sv_int(account_no), ret_row);
}

enum err store_account_by_id(struct store_tx *tx, struct account_id id, struct account_row *ret_row)
{
    return one_account(tx, SQL_account_by_id, sv_id(id), ret_row);
}

enum err store_account_by_mail(struct store_tx *tx, const uint8_t mail_hash[32],
                               struct account_row *ret_row)
{
    return one_account(tx, SQL_account_by_mail, HASH(mail_hash), ret_row);
}

enum err store_account_sealed(struct store_tx *tx, int64_t account_no, struct buf *mail,
                              struct buf *name, struct buf *totp)
{
    AUTO(store_rows_done) struct store_rows rows = {0};
    struct buf *const outs[] = {mail, name, totp};

    TRY(store_query(tx, SQL_account_sealed, SQL_ARGS(sv_int(account_no)), &rows));
    bool found = store_next(&rows);
    for (int i = 0; found && i < (int)COUNT_OF(outs); i++)
        if (outs[i]) {
            buf_put_span(outs[i], store_blob(&rows, i));
            TRY(buf_check(outs[i]));
        }
    TRY(store_rows_end(&rows));
    ENSURE(found, ERR_NOT_FOUND, "no_account", "There is no such account.");
    return OK;
}

/* Here and not in the rooms above: a statement that changes what a session may do cannot be run without saying so. */
static void sessions_changed(struct store_tx *tx, int64_t account_no)
{
    store_note(tx, (struct store_note){.kind = NOTE_SESSION, .a = account_no});
}

enum err store_account_set_status(struct store_tx *tx, const struct account_row *account,
                                  enum account_status status, bool *ret_changed)
{
    int64_t changed;

    TRY(store_exec_audited(tx, SQL_account_set_status, account->id.b,
                           SQL_ARGS(sv_id(account->id), sv_str(statuses[status])), &changed));
    sessions_changed(tx, account->no);
    *ret_changed = changed == 1;
    return OK;
}

enum err store_account_set_totp(struct store_tx *tx, struct account_id id, struct span sealed,
                                int64_t step)
{
    return store_exec_audited(tx, SQL_account_set_totp, id.b,
                              SQL_ARGS(sv_id(id), sv_blob(sealed), sv_int(step)), NULL);
}

enum err store_account_failed(struct store_tx *tx, int64_t account_no, int64_t locked_until_ms)
{
    return store_exec(tx, SQL_account_failed, SQL_ARGS(sv_int(account_no), sv_int(locked_until_ms)),
                      NULL);
}

enum err store_account_cleared(struct store_tx *tx, int64_t account_no)
{
    return store_exec(tx, SQL_account_cleared, SQL_ARGS(sv_int(account_no)), NULL);
}

enum err store_account_totp_used(struct store_tx *tx, int64_t account_no, int64_t step,
                                 bool *ret_won)
{
    int64_t changed;

    TRY(store_exec(tx, SQL_account_totp_used, SQL_ARGS(sv_int(account_no), sv_int(step)),
                   &changed));
    *ret_won = changed == 1;
    return OK;
}

/* ---- sessions ---- */

static void read_session(struct store_rows *rows, struct session_row *ret_row)
{
    memset(ret_row, 0, sizeof *ret_row);
    store_id(rows, 0, ret_row->id.b);
    ret_row->account_no = store_int(rows, 1);
    ret_row->level = store_int(rows, 2);
    ret_row->created_ms = store_int(rows, 3);
    ret_row->seen_ms = store_int(rows, 4);
    ret_row->stepped_up_ms = store_int(rows, 5);
    ret_row->expires_ms = store_int(rows, 6);
    ret_row->staff = store_int(rows, 7) != 0;
}

static enum err one_session(struct store_tx *tx, enum store_sql sql, struct store_value key,
                            struct session_row *ret_row)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, sql, &key, 1, &rows));
    bool found = store_next(&rows);
    if (found)
        read_session(&rows, ret_row);
    TRY(store_rows_end(&rows));
    ENSURE(found, ERR_NOT_FOUND, "no_row", "There is no such session.");
    return OK;
}

enum err store_session_insert(struct store_tx *tx, const uint8_t token_hash[32],
                              const struct session_row *row)
{
    return store_exec(tx, SQL_session_insert,
                      SQL_ARGS(HASH(token_hash), sv_id(row->id), sv_int(row->account_no),
                               sv_int(row->level), sv_int(row->created_ms), sv_int(row->seen_ms),
                               sv_int(row->stepped_up_ms), sv_int(row->expires_ms)),
                      NULL);
}

enum err store_session_by_token(struct store_tx *tx, const uint8_t token_hash[32],
                                struct session_row *ret_row)
{
    return one_session(tx, SQL_session_by_token, HASH(token_hash), ret_row);
}

enum err store_session_by_id(struct store_tx *tx, struct session_id id, struct session_row *ret_row)
{
    return one_session(tx, SQL_session_by_id, sv_id(id), ret_row);
}

enum err store_session_each(struct store_tx *tx, int64_t account_no,
                            bool (*visit)(void *context, const struct session_row *row),
                            void *context)
{
    AUTO(store_rows_done) struct store_rows rows = {0};
    struct session_row row;
    bool more = true;

    TRY(store_query(tx, SQL_session_by_account, SQL_ARGS(sv_int(account_no)), &rows));
    while (more && store_next(&rows)) {
        read_session(&rows, &row);
        more = visit(context, &row);
    }
    return store_rows_end(&rows);
}

enum err store_session_some(struct store_tx *tx, size_t looks,
                            enum err (*visit)(void *context, const uint8_t token_hash[32],
                                              const struct session_row *row),
                            void *context)
{
    AUTO(store_rows_done) struct store_rows rows = {0};
    struct session_row row;
    enum err e = OK;

    TRY(store_query(tx, SQL_session_some, SQL_ARGS(sv_int((int64_t)looks)), &rows));
    while (e == OK && store_next(&rows)) {
        struct span hash = store_blob(&rows, 8);
        INVARIANT(hash.len == 32, "the schema knows how long it is");
        read_session(&rows, &row);
        e = visit(context, hash.data, &row);
    }
    TRY(e);
    return store_rows_end(&rows);
}

enum err store_session_touch(struct store_tx *tx, struct session_id id, int64_t least_ms)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, SQL_session_touch,
                    SQL_ARGS(sv_id(id), sv_int(store_now_ms(tx)), sv_int(least_ms)), &rows));
    if (store_next(&rows))
        sessions_changed(tx, store_int(&rows, 0));
    return store_rows_end(&rows);
}

enum err store_session_end(struct store_tx *tx, int64_t account_no, struct session_id id,
                           bool *ret_ended)
{
    int64_t changed;

    TRY(store_exec(tx, SQL_session_end,
                   SQL_ARGS(sv_id(id), sv_int(account_no), sv_int(store_now_ms(tx))), &changed));
    sessions_changed(tx, account_no);
    *ret_ended = changed == 1;
    return OK;
}

enum err store_session_end_all(struct store_tx *tx, int64_t account_no)
{
    sessions_changed(tx, account_no);
    return store_exec(tx, SQL_session_end_all,
                      SQL_ARGS(sv_int(account_no), sv_int(store_now_ms(tx))), NULL);
}

enum err store_session_forget(struct store_tx *tx, int64_t account_no)
{
    return store_exec(tx, SQL_session_forget,
                      SQL_ARGS(sv_int(account_no), sv_int(store_now_ms(tx))), NULL);
}

/* ---- one-time tokens ---- */

enum err store_one_time_insert(struct store_tx *tx, const uint8_t token_hash[32], const char *kind,
                               struct span subject, int64_t expires_ms)
{
    return store_exec(tx, SQL_one_time_insert,
                      SQL_ARGS(HASH(token_hash), sv_str(kind), sv_blob(subject),
                               sv_int(store_now_ms(tx)), sv_int(expires_ms)),
                      NULL);
}

enum err store_one_time_use(struct store_tx *tx, const uint8_t token_hash[32], const char *kind,
                            struct buf *out)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, SQL_one_time_use,
                    SQL_ARGS(HASH(token_hash), sv_str(kind), sv_int(store_now_ms(tx))), &rows));
    bool found = store_next(&rows);
    if (found) {
        buf_put_span(out, store_blob(&rows, 0));
        TRY(buf_check(out));
    }
    TRY(store_rows_end(&rows));
    ENSURE(found, ERR_NOT_FOUND, "no_row", "There is no such token, or its time is over.");
    return OK;
}
