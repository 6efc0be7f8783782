/* SPDX-License-Identifier: Apache-2.0 */
/* one_time - tokens that work once, and what the first of them is for: the owner's set-up. */
#include "trust/auth/inner.h"

#include <string.h>

#include "store/store/store_access.h"

static const char *const one_time_kinds[] = {
    [ONE_TIME_OWNER] = "owner",
    [ONE_TIME_INVITE] = "invite",
    [ONE_TIME_DEVICE] = "device",
    [ONE_TIME_RESET] = "reset",
};

enum err auth_one_time_make(struct store_tx *tx, enum one_time_kind kind, struct span subject,
                            int64_t lasts_ms, char ret_token[AUTH_TOKEN_TEXT])
{
    uint8_t hash[SHA256_BYTES];
    char token[AUTH_TOKEN_TEXT];

    ENSURE(subject.len <= AUTH_ONE_TIME_SUBJECT_MAX, ERR_LIMIT, "too_large",
           "The subject of a one-time token has at most %d bytes.", AUTH_ONE_TIME_SUBJECT_MAX);
    TRY(token_make(tx, token, hash));
    TRY(store_one_time_insert(tx, hash, one_time_kinds[kind], subject,
                              store_now_ms(tx) + lasts_ms));
    memcpy(ret_token, token, sizeof token);
    wipe(token, sizeof token);
    return OK;
}

enum err auth_one_time_use(struct store_tx *tx, enum one_time_kind kind, struct span token,
                           struct buf *out)
{
    uint8_t hash[SHA256_BYTES];
    enum err e = ERR_NOT_FOUND;

    if (token_hash(token, hash))
        e = store_one_time_use(tx, hash, one_time_kinds[kind], out);
    ENSURE(e != ERR_NOT_FOUND, ERR_EXPIRED, "link_used",
           "The link is unknown, was used before, or its time is over.");
    TRY(e);
    return OK;
}

enum err auth_owner_missing(struct store_tx *tx, bool *ret_missing)
{
    static const struct grant_id none;
    int64_t owners;

    TRY(store_grant_owners_besides(tx, store_now_ms(tx), none, 0, &owners));
    *ret_missing = owners == 0;
    return OK;
}

enum err auth_owner_setup(struct store_tx *tx, const struct auth *auth, struct span token,
                          const struct account_request *req, struct session_opened *ret_session)
{
    struct grant_request grant = {.id = grant_id_make(store_clock(tx), store_rng(tx)),
                                  .role = ROLE_OWNER};
    AUTO(buf_done) struct buf subject = {0};
    bool missing;

    buf_init(&subject, AUTH_ONE_TIME_SUBJECT_MAX);
    TRY(auth_one_time_use(tx, ONE_TIME_OWNER, token, &subject));
    TRY(auth_owner_missing(tx, &missing));
    ENSURE(missing, ERR_EXPIRED, "link_used", "This installation has an owner already.");
    TRY(auth_account_create(tx, auth, req, &grant.account_no));
    TRY(access_grant_give(tx, auth->ledger, NULL, &grant));
    return auth_session_open(tx, auth, grant.account_no, 1, ret_session);
}
