/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/store_core.h"

#include <string.h>

#include "store/store/notes.h"

enum err store_meta_get(struct store_tx *tx, const char *name, struct buf *ret_value)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, SQL_meta_get, SQL_ARGS(sv_str(name)), &rows));
    bool found = store_next(&rows);
    if (found)
        buf_put_span(ret_value, store_text(&rows, 0));
    TRY(store_rows_end(&rows));
    ENSURE(found, ERR_NOT_FOUND, "no_row", "The setting %s was never stored.", name);
    return buf_check(ret_value);
}

enum err store_meta_set(struct store_tx *tx, const char *name, struct span value)
{
    TRY(store_exec(tx, SQL_meta_set, SQL_ARGS(sv_str(name), sv_text(value)), NULL));
    return OK;
}

static struct store_value hash_value(const uint8_t hash[STORE_HASH_BYTES])
{
    return sv_blob(span_of(hash, STORE_HASH_BYTES));
}

enum err store_idempotency_get(struct store_tx *tx, const uint8_t key_hash[STORE_HASH_BYTES],
                               struct store_answer *ret_answer, struct buf *ret_body)
{
    AUTO(store_rows_done) struct store_rows rows = {0};
    struct store_answer answer = {0};

    TRY(store_query(tx, SQL_idempotency_get,
                    SQL_ARGS(hash_value(key_hash), sv_int(store_now_ms(tx))), &rows));
    bool found = store_next(&rows);
    if (found) {
        struct cursor fingerprint = {store_blob(&rows, 0)};
        TRY(cursor_copy(&fingerprint, answer.fingerprint, STORE_HASH_BYTES));
        answer.status = (int)store_int(&rows, 1);
        buf_put_span(ret_body, store_blob(&rows, 2));
        answer.expires_ms = store_int(&rows, 3);
    }
    TRY(store_rows_end(&rows));
    ENSURE(found, ERR_NOT_FOUND, "no_row", "There is no answer to this request yet.");
    TRY(buf_check(ret_body));
    *ret_answer = answer;
    return OK;
}

enum err store_idempotency_put(struct store_tx *tx, const uint8_t key_hash[STORE_HASH_BYTES],
                               const struct store_answer *answer, struct span body)
{
    TRY(store_exec(tx, SQL_idempotency_drop,
                   SQL_ARGS(hash_value(key_hash), sv_int(store_now_ms(tx))), NULL));
    TRY(store_exec(tx, SQL_idempotency_put,
                   SQL_ARGS(hash_value(key_hash), hash_value(answer->fingerprint),
                            sv_int(answer->status), sv_blob(body), sv_int(answer->expires_ms)),
                   NULL));
    return OK;
}

enum err store_idempotency_expire(struct store_tx *tx, int64_t rows_max, int64_t *ret_rows)
{
    TRY(store_exec(tx, SQL_idempotency_expire, SQL_ARGS(sv_int(store_now_ms(tx)), sv_int(rows_max)),
                   ret_rows));
    return OK;
}

enum err store_access_record_add(struct store_tx *tx, int64_t account_no, int64_t organiser_no,
                                 const char *action, struct span subject)
{
    TRY(store_exec(tx, SQL_access_record_add,
                   SQL_ARGS(sv_int(store_now_ms(tx)), sv_int(account_no), sv_int(organiser_no),
                            sv_str(action), sv_text(subject)),
                   NULL));
    return OK;
}

enum err store_job_add(struct store_tx *tx, struct job_id id, const char *kind,
                       const uint8_t subject_id[ID_BYTES], int64_t due_ms)
{
    INVARIANT(strlen(kind) < STORE_JOB_KIND_MAX, "the kinds of jobs are short");
    TRY(store_exec(tx, SQL_job_add,
                   SQL_ARGS(sv_id(id), sv_str(kind), sv_blob(span_of(subject_id, ID_BYTES)),
                            sv_int(due_ms), sv_int(store_now_ms(tx))),
                   NULL));
    store_note(tx, (struct store_note){.kind = NOTE_JOB, .a = due_ms});
    return OK;
}

enum err store_job_due(struct store_tx *tx, struct store_job *ret_jobs, size_t jobs_max,
                       size_t *ret_count)
{
    AUTO(store_rows_done) struct store_rows rows = {0};
    size_t n = 0;

    TRY(store_query(tx, SQL_job_due, SQL_ARGS(sv_int(store_now_ms(tx)), sv_int((int64_t)jobs_max)),
                    &rows));
    while (n < jobs_max && store_next(&rows)) {
        struct store_job *job = &ret_jobs[n++];
        store_id(&rows, 0, job->id.b);
        TRY(span_to_text(store_text(&rows, 1), job->kind, sizeof job->kind));
        store_id(&rows, 2, job->subject_id);
        job->attempts = store_int(&rows, 3);
        job->due_ms = store_int(&rows, 4);
        job->created_ms = store_int(&rows, 5);
    }
    TRY(store_rows_end(&rows));
    *ret_count = n;
    return OK;
}

enum err store_job_next_due(struct store_tx *tx, int64_t *ret_due_ms)
{
    TRY(store_query_int(tx, SQL_job_next_due, NULL, 0, ret_due_ms));
    return OK;
}

static enum err end_attempt(struct store_tx *tx, enum store_sql sql, const struct store_value *args,
                            size_t count)
{
    int64_t changed;

    TRY(store_exec(tx, sql, args, count, &changed));
    ENSURE(changed == 1, ERR_NOT_FOUND, "no_row", "There is no such job waiting.");
    return OK;
}

enum err store_job_done(struct store_tx *tx, struct job_id id)
{
    TRY(end_attempt(tx, SQL_job_done, SQL_ARGS(sv_id(id))));
    return OK;
}

enum err store_job_retry(struct store_tx *tx, struct job_id id, int64_t due_ms, const char *why)
{
    TRY(end_attempt(tx, SQL_job_retry, SQL_ARGS(sv_id(id), sv_int(due_ms), sv_str(why))));
    return OK;
}

enum err store_job_dead(struct store_tx *tx, struct job_id id, const char *why)
{
    TRY(end_attempt(tx, SQL_job_dead, SQL_ARGS(sv_id(id), sv_str(why))));
    return OK;
}

enum err store_job_count(struct store_tx *tx, const char *state, int64_t *ret_count)
{
    TRY(store_query_int(tx, SQL_job_count, SQL_ARGS(sv_str(state)), ret_count));
    return OK;
}

enum err store_access_record_list(struct store_tx *tx, struct arena *a, int64_t organiser_no,
                                  int64_t before, size_t max, struct access_record_row **ret_rows,
                                  size_t *ret_count)
{
    AUTO(store_rows_done) struct store_rows rows = {0};
    struct access_record_row *list = arena_array(a, max, sizeof *list);
    size_t count = 0;

    ENSURE(list, ERR_NOMEM, "no_memory", "The request needs more memory than it may have.");
    TRY(store_query(tx, SQL_access_record_list,
                    SQL_ARGS(sv_int(organiser_no), sv_int(before), sv_int((int64_t)max)), &rows));
    while (count < max && store_next(&rows)) {
        struct access_record_row *r = &list[count++];
        r->record_no = store_int(&rows, 0);
        r->at_ms = store_int(&rows, 1);
        store_id(&rows, 2, r->account.b);
        r->action = arena_text(a, store_text(&rows, 3));
        r->subject = arena_text(a, store_text(&rows, 4));
        ENSURE(r->action && r->subject, ERR_NOMEM, "no_memory",
               "The request needs more memory than it may have.");
    }
    TRY(store_rows_end(&rows));
    *ret_rows = list;
    *ret_count = count;
    return OK;
}
