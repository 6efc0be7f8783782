/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_STORE_ACCESS_H
#define STORE_STORE_STORE_ACCESS_H

/* store_access - rows of role_grant. For trust/access only; what a grant means is said there. Each change leaves NOTE_SESSION. */
#include "store/store/store_auth.h"

enum { STORE_ROLE_MAX = 16 };

struct grant_row {
    struct grant_id id;
    int64_t account_no, organiser_no, event_no;
    char role[STORE_ROLE_MAX];
    int64_t granted_by;                         /* account_no, 0: the installation */
    int64_t created_ms, expires_ms, revoked_ms; /* 0: none */
};

/* created_ms is the transaction's now, revoked_ms is not written. ERR_CONFLICT "constraint" for a used id. */
RESULT store_grant_insert(struct store_tx *tx, const struct grant_row *row);
/* ret_revoked: it was live until now. */
RESULT store_grant_revoke(struct store_tx *tx, const struct grant_row *grant, bool *ret_revoked);
/* ERR_NOT_FOUND "no_row". */
RESULT store_grant_by_id(struct store_tx *tx, struct grant_id id, struct grant_row *ret_row);
/* Grants that count now (not revoked, not expired, of an active account); oldest first. */
RESULT store_grants_by_account(struct store_tx *tx, int64_t account_no, struct grant_row *ret_rows,
                               size_t max, size_t *ret_count);
/* Grants neither revoked nor expired, newest first: calls visit for each of at most max; what it fails with ends it. */
RESULT store_grants_by_organiser(struct store_tx *tx, int64_t organiser_no, size_t max,
                                 enum err (*visit)(void *context, const struct grant_row *row),
                                 void *context);
/*
 * Owners' grants of active accounts that still count at at_ms (INT64_MAX: only those without an end), without the grant and
 * without the account given (zeros: none left out).
 */
RESULT store_grant_owners_besides(struct store_tx *tx, int64_t at_ms, struct grant_id grant,
                                  int64_t account_no, int64_t *ret_count);
/* ret_changed: it was not staff before. */
RESULT store_grant_set_staff(struct store_tx *tx, const struct account_row *account,
                             bool *ret_changed);
/* Is there such an organiser, and (event_no not 0) is the event its own? */
RESULT store_grant_place_exists(struct store_tx *tx, int64_t organiser_no, int64_t event_no,
                                bool *ret_exists);

#endif
