/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_STORE_CORE_H
#define STORE_STORE_STORE_CORE_H

/*
 * store_core - rows that no single room owns: settings of the installation, answers kept for repeated requests, access
 * records, and the outbox of work for the world outside.
 */
#include "store/store/store.h"

/* ---- settings of the installation (meta) ---- */
/* ERR_NOT_FOUND "no_row" when it was never set. Appends to ret_value. */
RESULT store_meta_get(struct store_tx *tx, const char *name, struct buf *ret_value);
RESULT store_meta_set(struct store_tx *tx, const char *name, struct span value);

/* ---- idempotency: answers already given; written in the transaction of their effect ---- */
enum { STORE_HASH_BYTES = 32 };
struct store_answer {
    uint8_t fingerprint[STORE_HASH_BYTES]; /* of the request */
    int status;                            /* HTTP */
    int64_t expires_ms;
};
/* ERR_NOT_FOUND "no_row" when there is none or its time is over. The body is appended to ret_body. */
RESULT store_idempotency_get(struct store_tx *tx, const uint8_t key_hash[STORE_HASH_BYTES],
                             struct store_answer *ret_answer, struct buf *ret_body);
/* Takes the place of an expired one; ERR_CONFLICT "constraint" when a live one is there. */
RESULT store_idempotency_put(struct store_tx *tx, const uint8_t key_hash[STORE_HASH_BYTES],
                             const struct store_answer *answer, struct span body);
/* Forget at most rows_max expired answers. */
RESULT store_idempotency_expire(struct store_tx *tx, int64_t rows_max, int64_t *ret_rows);

/* ---- access records: a staff, vendor or API read of a person, order or ticket (promise A1) ---- */
/* subject is an id in text form or a filter without personal data. */
RESULT store_access_record_add(struct store_tx *tx, int64_t account_no, int64_t organiser_no,
                               const char *action, struct span subject);

struct access_record_row {
    int64_t record_no, at_ms;
    struct account_id account;
    const char *action, *subject; /* in the arena */
};
/* Of an organiser, newest first, numbers below `before` (INT64_MAX for the first page). */
RESULT store_access_record_list(struct store_tx *tx, struct arena *a, int64_t organiser_no,
                                int64_t before, size_t max, struct access_record_row **ret_rows,
                                size_t *ret_count);

/* ---- outbox ---- */
enum { STORE_JOB_KIND_MAX = 40 };
struct store_job {
    struct job_id id;
    char kind[STORE_JOB_KIND_MAX];
    uint8_t subject_id[ID_BYTES];
    int64_t attempts, due_ms, created_ms;
};
/* Leaves NOTE_JOB. kind is shorter than STORE_JOB_KIND_MAX. ERR_CONFLICT when a job of this id is there. */
RESULT store_job_add(struct store_tx *tx, struct job_id id, const char *kind,
                     const uint8_t subject_id[ID_BYTES], int64_t due_ms);
/* Waiting jobs due now, the longest due first. */
RESULT store_job_due(struct store_tx *tx, struct store_job *ret_jobs, size_t jobs_max,
                     size_t *ret_count);
/* When the next one is due; ERR_NOT_FOUND "no_row" when none waits. */
RESULT store_job_next_due(struct store_tx *tx, int64_t *ret_due_ms);
/* The ends of an attempt. ERR_NOT_FOUND "no_row" unless the job waits. why holds no personal data. */
RESULT store_job_done(struct store_tx *tx, struct job_id id);
RESULT store_job_retry(struct store_tx *tx, struct job_id id, int64_t due_ms, const char *why);
RESULT store_job_dead(struct store_tx *tx, struct job_id id, const char *why);
/* state is "waiting", "done" or "dead". */
RESULT store_job_count(struct store_tx *tx, const char *state, int64_t *ret_count);

#endif
