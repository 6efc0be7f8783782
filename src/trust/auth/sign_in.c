/* SPDX-License-Identifier: Apache-2.0 */
/* sign_in - a password in three steps: read, verify outside of the writer, count or open a session. */
#include "trust/auth/inner.h"

#include <string.h>

#include "store/store/store_core.h"

enum err auth_sign_in_find(struct store_tx *tx, const struct auth *auth, struct span mail,
                           struct auth_candidate *ret)
{
    char normal[AUTH_MAIL_MAX + 1] = "";
    uint8_t hash[SHA256_BYTES];
    struct auth_candidate candidate = {0};
    struct account_row a;

    /* What is no address is nobody's; it takes the same way. */
    if (auth_mail_check(mail, normal) != OK)
        normal[0] = '\0';
    mail_hash(auth, normal, hash);
    enum err e = store_account_by_mail(tx, hash, &a);
    if (e != ERR_NOT_FOUND)
        TRY(e);
    if (e == ERR_NOT_FOUND) {
        /* Why some unknown addresses cost as much as staff: a long answer must not name a member of staff. */
        candidate.staff = hash[0] % 8 == 0;
    } else {
        candidate.staff = a.staff;
        candidate.locked_until_ms = a.locked_until_ms;
        if (a.status == ACCOUNT_ACTIVE && a.password_hash[0] != '\0')
            candidate.account_no = a.no;
        memcpy(candidate.password_hash, a.password_hash, sizeof candidate.password_hash);
    }
    *ret = candidate;
    return OK;
}

enum err auth_sign_in_verify(const struct auth_candidate *candidate, struct span password,
                             int64_t now_ms)
{
    struct password_cost cost = candidate->staff ? CRYPTO_PASSWORD_STAFF : CRYPTO_PASSWORD_FAN;
    enum err e;
    bool rehash;

    if (password.len > AUTH_PASSWORD_MAX)
        password.len = 0; /* nobody's; the rest takes its time */
    if (candidate->password_hash[0] != '\0')
        e = password_verify(password, candidate->password_hash, cost, &rehash);
    else
        e = password_waste(password, cost);
    if (e != OK && e != ERR_DENIED)
        TRY(e);
    ENSURE(e == OK && candidate->account_no != 0 && now_ms >= candidate->locked_until_ms,
           ERR_UNAUTHENTICATED, "sign_in_failed",
           "The mail address or the password is wrong, or the account is locked.");
    return OK;
}

/* Refused without an account to count it on. Why write at all: a commit without a change is quicker, and that could be seen. */
static enum err count_miss(struct store_tx *tx)
{
    static const char name[] = "auth.sign_ins_not_counted";
    AUTO(buf_done) struct buf text = {0};
    int64_t count = 0;

    buf_init(&text, 32);
    enum err e = store_meta_get(tx, name, &text);
    if (e != ERR_NOT_FOUND) {
        TRY(e);
        TRY(text_to_i64(buf_span(&text), &count));
    }
    buf_reset(&text);
    buf_put_i64_text(&text, count < INT64_MAX ? count + 1 : 0);
    return store_meta_set(tx, name, buf_span(&text));
}

static enum err refuse(struct session_opened *ret_session)
{
    *ret_session = (struct session_opened){0};
    (void)err_raise(ERR_UNAUTHENTICATED, NULL, __FILE__, __LINE__, "sign_in_failed",
                    "The mail address or the password is wrong, or the account is locked.");
    return OK;
}

enum err auth_sign_in_done(struct store_tx *tx, const struct auth *auth, int64_t account_no,
                           bool verified, struct session_opened *ret_session)
{
    struct account_row a = {0};

    if (account_no != 0)
        TRY(store_account_by_no(tx, account_no, &a));
    if (a.no == 0 || a.status != ACCOUNT_ACTIVE || account_locked(&a, store_now_ms(tx))) {
        TRY(count_miss(tx));
        return refuse(ret_session);
    }
    if (!verified) {
        TRY(account_count_failure(tx, &a));
        return refuse(ret_session);
    }
    /* Why not always: a thief of the password could else clear the count between guesses of the code. */
    if (a.totp != TOTP_ACTIVE)
        TRY(store_account_cleared(tx, account_no));
    return auth_session_open(tx, auth, account_no, 1, ret_session);
}
