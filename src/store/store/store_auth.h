/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_STORE_AUTH_H
#define STORE_STORE_STORE_AUTH_H

/*
 * store_auth - rows of account, session and one_time. For trust/auth; trust/access reads accounts.
 *
 * account.totp_sealed is one byte, enum totp_state, and the sealed secret. The state is bound into the seal by trust/auth.
 *
 * What changes a session that is found, or who owns it, leaves NOTE_SESSION. A new session needs none: nobody has found it yet;
 * one that is forgotten neither: its time is over.
 */
#include "store/store/store.h"

enum { STORE_PASSWORD_HASH_MAX = 128 };

enum account_status { ACCOUNT_PENDING, ACCOUNT_ACTIVE, ACCOUNT_SUSPENDED, ACCOUNT_ERASED };
enum totp_state { TOTP_NONE, TOTP_PENDING, TOTP_ACTIVE };

struct account_row {
    int64_t no, person_no;
    struct account_id id;
    enum account_status status;
    bool staff;
    enum totp_state totp;
    int64_t totp_step; /* the last one used */
    int64_t failures, locked_until_ms;
    char password_hash[STORE_PASSWORD_HASH_MAX]; /* empty: none */
};

struct account_new {
    struct account_id id;
    int64_t person_no;
    const uint8_t *mail_hash; /* 32 bytes */
    struct span mail_sealed, name_sealed;
    const char *password_hash; /* empty: none */
};

/* ERR_CONFLICT "constraint" for a used id or mail hash. */
RESULT store_account_insert(struct store_tx *tx, const struct account_new *account,
                            int64_t *ret_account_no);
/* ERR_NOT_FOUND "no_account". */
RESULT store_account_by_no(struct store_tx *tx, int64_t account_no, struct account_row *ret_row);
RESULT store_account_by_id(struct store_tx *tx, struct account_id id, struct account_row *ret_row);
RESULT store_account_by_mail(struct store_tx *tx, const uint8_t mail_hash[32],
                             struct account_row *ret_row);
/* Appends the sealed columns; NULL for what is not wanted, nothing for a column that is NULL. */
RESULT store_account_sealed(struct store_tx *tx, int64_t account_no, struct buf *mail,
                            struct buf *name, struct buf *totp);
/* Audited: the caller appends the entry. ret_changed: it had another one. */
RESULT store_account_set_status(struct store_tx *tx, const struct account_row *account,
                                enum account_status status, bool *ret_changed);
RESULT store_account_set_totp(struct store_tx *tx, struct account_id id, struct span sealed,
                              int64_t step);
/* Not audited: see audit_exempt.def. */
RESULT store_account_failed(struct store_tx *tx, int64_t account_no, int64_t locked_until_ms);
RESULT store_account_cleared(struct store_tx *tx, int64_t account_no);
/* ret_won is false when this step or a later one was used before. Also clears the failures. */
RESULT store_account_totp_used(struct store_tx *tx, int64_t account_no, int64_t step,
                               bool *ret_won);

/* ---- sessions; those that are revoked or of an account that is not active are never found ---- */
struct session_row {
    struct session_id id;
    int64_t account_no, level;
    int64_t created_ms, seen_ms, stepped_up_ms, expires_ms;
    bool staff; /* of the account; not written */
};
RESULT store_session_insert(struct store_tx *tx, const uint8_t token_hash[32],
                            const struct session_row *row);
/* ERR_NOT_FOUND "no_row". */
RESULT store_session_by_token(struct store_tx *tx, const uint8_t token_hash[32],
                              struct session_row *ret_row);
RESULT store_session_by_id(struct store_tx *tx, struct session_id id, struct session_row *ret_row);
/* Calls visit for each, the last seen first, until it returns false. */
RESULT store_session_each(struct store_tx *tx, int64_t account_no,
                          bool (*visit)(void *context, const struct session_row *row),
                          void *context);
/* Calls visit for those that are found among the newest `looks` rows, in no order. Its error ends it. */
RESULT store_session_some(struct store_tx *tx, size_t looks,
                          enum err (*visit)(void *context, const uint8_t token_hash[32],
                                            const struct session_row *row),
                          void *context);
/* Seen now, unless it was last seen at or before least_ms. */
RESULT store_session_touch(struct store_tx *tx, struct session_id id, int64_t least_ms);
RESULT store_session_end(struct store_tx *tx, int64_t account_no, struct session_id id,
                         bool *ret_ended);
RESULT store_session_end_all(struct store_tx *tx, int64_t account_no);
/* Forget the account's sessions whose time was over by now. */
RESULT store_session_forget(struct store_tx *tx, int64_t account_no);

/* ---- one-time tokens; kind is a word of the schema ---- */
RESULT store_one_time_insert(struct store_tx *tx, const uint8_t token_hash[32], const char *kind,
                             struct span subject, int64_t expires_ms);
/* ERR_NOT_FOUND "no_row" when unknown, used or over. Appends the subject. */
RESULT store_one_time_use(struct store_tx *tx, const uint8_t token_hash[32], const char *kind,
                          struct buf *out);

#endif
