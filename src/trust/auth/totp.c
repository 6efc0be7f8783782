/* SPDX-License-Identifier: Apache-2.0 */
/* totp - the second factor: RFC 6238 with SHA-1, 6 digits, 30 s, as every authenticator app does it. */
#include "trust/auth/inner.h"

#include <liboath/oath.h>
#include <string.h>

#include "ground/encode/base32.h"

enum {
    URI_ISSUER_MAX = 90, /* bytes after percent-encoding */
    URI_MAIL_MAX = 200,
    SEALED_SECRET_MAX = 1 + TOTP_SECRET_BYTES + KEYRING_SEAL_OVERHEAD,
};

/* The state is part of the name under which it is sealed, so that a pending secret cannot be made active in the database. */
static const char *const secret_columns[] = {
    [TOTP_PENDING] = "account.totp.pending",
    [TOTP_ACTIVE] = "account.totp.active",
};

enum err totp_code(const uint8_t secret[TOTP_SECRET_BYTES], int64_t step, char *ret_code)
{
    char code[TOTP_DIGITS + 1];

    ENSURE(oath_init() == OATH_OK, ERR_IO, "crypto_unavailable", "liboath does not start.");
    int result = oath_totp_generate((const char *)secret, TOTP_SECRET_BYTES,
                                    (time_t)(step * (TOTP_STEP_MS / 1000)), TOTP_STEP_MS / 1000, 0,
                                    TOTP_DIGITS, code);
    ENSURE(result == OATH_OK, ERR_IO, "crypto_unavailable", "A code could not be computed.");
    memcpy(ret_code, code, sizeof code);
    wipe(code, sizeof code);
    return OK;
}

enum err totp_match(const uint8_t secret[TOTP_SECRET_BYTES], int64_t at_ms, struct span code,
                    bool *ret_found, int64_t *ret_step)
{
    int64_t now = at_ms / TOTP_STEP_MS, match = 0;
    bool found = false;
    char right[TOTP_DIGITS + 1];

    if (code.len != TOTP_DIGITS) {
        *ret_found = false;
        return OK;
    }
    for (int64_t step = now > 0 ? now - 1 : 0; step <= now + 1; step++) {
        TRY(totp_code(secret, step, right));
        bool equal = crypto_eq(right, code.data, TOTP_DIGITS);
        match = equal ? step : match;
        found = found || equal;
    }
    wipe(right, sizeof right);
    *ret_found = found;
    *ret_step = match;
    return OK;
}

/* ---- showing the secret ---- */

static bool is_unreserved(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != 0 && strchr("-._~", c));
}

/* RFC 3986 percent-encoding of at most max bytes; cut between characters. */
static void put_percent(struct buf *b, const char *text, size_t max)
{
    struct span rest = span_text(text);
    size_t used = 0;

    while (rest.len > 0) {
        size_t n = 1, cost = 0;
        while (n < rest.len && (rest.data[n] & 0xc0) == 0x80)
            n++;
        for (size_t i = 0; i < n; i++)
            cost += is_unreserved(rest.data[i]) ? 1 : 3;
        if (used + cost > max)
            return;
        used += cost;
        for (size_t i = 0; i < n; i++) {
            if (is_unreserved(rest.data[i]))
                buf_put_u8(b, rest.data[i]);
            else
                buf_printf(b, "%%%02X", rest.data[i]);
        }
        rest = span_sub(rest, n, rest.len);
    }
}

enum err totp_present(const uint8_t secret[TOTP_SECRET_BYTES], const char *issuer, const char *mail,
                      struct totp_enrolment *ret)
{
    AUTO(buf_done) struct buf text = {0};
    AUTO(buf_done) struct buf uri = {0};

    buf_init(&text, sizeof ret->secret - 1);
    buf_init(&uri, sizeof ret->uri - 1);
    base32_put(&text, span_of(secret, TOTP_SECRET_BYTES));
    buf_put_text(&uri, "otpauth://totp/");
    put_percent(&uri, issuer, URI_ISSUER_MAX);
    buf_put_text(&uri, ":");
    put_percent(&uri, mail, URI_MAIL_MAX);
    buf_put_text(&uri, "?secret=");
    buf_put_span(&uri, buf_span(&text));
    buf_put_text(&uri, "&issuer=");
    put_percent(&uri, issuer, URI_ISSUER_MAX);
    buf_put_text(&uri, "&algorithm=SHA1&digits=6&period=30");
    TRY(buf_check(&text));
    TRY(buf_check(&uri));
    TRY(span_to_text(buf_span(&text), ret->secret, sizeof ret->secret));
    return span_to_text(buf_span(&uri), ret->uri, sizeof ret->uri);
}

/* ---- the account's secret ---- */

static enum err seal_secret(struct store_tx *tx, const struct auth *auth,
                            const struct account_row *a, enum totp_state state,
                            const uint8_t secret[TOTP_SECRET_BYTES], int64_t step)
{
    AUTO(buf_done) struct buf sealed = {0};

    buf_init(&sealed, SEALED_SECRET_MAX);
    buf_put_u8(&sealed, (uint8_t)state);
    TRY(keyring_seal_column(tx, auth->keyring, a->person_no, secret_columns[state],
                            span_of(secret, TOTP_SECRET_BYTES), &sealed));
    return store_account_set_totp(tx, a->id, buf_span(&sealed), step);
}

static enum err open_secret(struct store_tx *tx, const struct auth *auth,
                            const struct account_row *a, struct secret32 *ret_secret)
{
    AUTO(buf_done) struct buf sealed = {0};
    AUTO(buf_done) struct buf plain = {0};

    buf_init(&sealed, SEALED_SECRET_MAX);
    buf_init(&plain, TOTP_SECRET_BYTES);
    TRY(store_account_sealed(tx, a->no, NULL, NULL, &sealed));
    TRY(keyring_open_column(tx, auth->keyring, a->person_no, secret_columns[a->totp],
                            span_sub(buf_span(&sealed), 1, sealed.len), &plain));
    ENSURE(plain.len == TOTP_SECRET_BYTES, ERR_CORRUPT, "bad_row", "A TOTP secret of %zu bytes.",
           plain.len);
    memcpy(ret_secret->b, plain.data, plain.len);
    return OK;
}

/* The step of the code, or found false. */
static enum err judge_code(struct store_tx *tx, const struct auth *auth,
                           const struct account_row *a, struct span code, bool *ret_found,
                           int64_t *ret_step)
{
    AUTO(secret32_wipe) struct secret32 secret = {0};

    TRY(open_secret(tx, auth, a, &secret));
    return totp_match(secret.b, store_now_ms(tx), code, ret_found, ret_step);
}

enum err auth_totp_begin(struct store_tx *tx, const struct auth *auth, int64_t account_no,
                         struct totp_enrolment *ret)
{
    AUTO(secret32_wipe) struct secret32 secret = {0};
    struct account_row a;
    struct account account;

    TRY(account_active(tx, account_no, &a));
    ENSURE(a.totp != TOTP_ACTIVE, ERR_CONFLICT, "totp_active",
           "The account has a second factor already.");
    TRY(auth_account_by_no(tx, auth, account_no, &account));
    /* Why more than are used: what is longer than RNG_BUFFERED_MAX never lies in a buffer. */
    rng_fill(store_rng(tx), secret.b, sizeof secret.b);
    TRY(seal_secret(tx, auth, &a, TOTP_PENDING, secret.b, a.totp_step));
    TRY(account_entry(tx, auth, &a, "totp_begun", NULL, true));
    return totp_present(secret.b, auth->issuer, account.mail, ret);
}

enum err auth_totp_confirm(struct store_tx *tx, const struct auth *auth, int64_t account_no,
                           struct session_id session, struct span code,
                           struct session_opened *ret_session)
{
    AUTO(secret32_wipe) struct secret32 secret = {0};
    struct account_row a;
    struct session_row old;
    bool found;
    int64_t step = 0;

    TRY(account_active(tx, account_no, &a));
    TRY(session_need(tx, account_no, session, &old));
    ENSURE(a.totp != TOTP_ACTIVE, ERR_CONFLICT, "totp_active",
           "The account has a second factor already.");
    ENSURE(a.totp == TOTP_PENDING, ERR_CONFLICT, "no_totp", "Begin with a new secret.");
    /* Not counted: the secret was shown to whoever has this session. */
    TRY(open_secret(tx, auth, &a, &secret));
    TRY(totp_match(secret.b, store_now_ms(tx), code, &found, &step));
    ENSURE(found && step > a.totp_step, ERR_UNAUTHENTICATED, "code_refused",
           "The code is wrong, or was used before.");
    TRY(seal_secret(tx, auth, &a, TOTP_ACTIVE, secret.b, step));
    TRY(account_entry(tx, auth, &a, "totp", NULL, true));
    return session_raise(tx, &old, ret_session);
}

enum err auth_totp_sign_in(struct store_tx *tx, const struct auth *auth, int64_t account_no,
                           struct session_id session, struct span code, bool *ret_refused,
                           struct session_opened *ret_session)
{
    struct account_row a;
    struct session_row old;
    bool found, won = false;
    int64_t step = 0;

    TRY(account_active(tx, account_no, &a));
    TRY(session_need(tx, account_no, session, &old));
    ENSURE(a.totp == TOTP_ACTIVE, ERR_CONFLICT, "no_totp", "The account has no second factor yet.");
    if (!account_locked(&a, store_now_ms(tx))) {
        TRY(judge_code(tx, auth, &a, code, &found, &step));
        if (found)
            TRY(store_account_totp_used(tx, account_no, step, &won));
        if (!won)
            TRY(account_count_failure(tx, &a));
    }
    if (won)
        TRY(session_raise(tx, &old, ret_session));
    else
        (void)err_raise(ERR_UNAUTHENTICATED, NULL, __FILE__, __LINE__, "code_refused",
                        "The code is wrong, was used before, or the account is locked.");
    *ret_refused = !won;
    return OK;
}
