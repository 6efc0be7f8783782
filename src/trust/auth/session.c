/* SPDX-License-Identifier: Apache-2.0 */
/* session - tokens that stand for a sign-in. */
#include "trust/auth/inner.h"

#include <string.h>

#include "ground/encode/base64.h"

enum { TOUCH_AFTER_MS = 60 * 1000 };

enum err token_make(struct store_tx *tx, char ret_text[AUTH_TOKEN_TEXT],
                    uint8_t ret_hash[SHA256_BYTES])
{
    uint8_t raw[AUTH_TOKEN_BYTES];
    AUTO(buf_done) struct buf text = {0};

    buf_init(&text, AUTH_TOKEN_TEXT);
    rng_fill(store_rng(tx), raw, sizeof raw);
    sha256(SPAN_ARRAY(raw), ret_hash);
    base64url_put(&text, SPAN_ARRAY(raw));
    wipe(raw, sizeof raw);
    TRY(buf_check(&text));
    return span_to_text(buf_span(&text), ret_text, AUTH_TOKEN_TEXT);
}

bool token_hash(struct span text, uint8_t ret_hash[SHA256_BYTES])
{
    uint8_t raw[AUTH_TOKEN_BYTES];
    size_t len;

    if (text.len != AUTH_TOKEN_TEXT - 1 || base64url_decode(text, raw, sizeof raw, &len) != OK ||
        len != sizeof raw)
        return false;
    sha256(SPAN_ARRAY(raw), ret_hash);
    wipe(raw, sizeof raw);
    return true;
}

static int64_t absolute_end(const struct session_row *s)
{
    int64_t most = s->created_ms + (s->staff ? AUTH_STAFF_MAX_MS : AUTH_FAN_MAX_MS);

    return s->expires_ms < most ? s->expires_ms : most;
}

/* Why the account's present flag decides: who became staff is held to the shorter limits at once. */
bool session_is_live(const struct session_row *s, int64_t now_ms)
{
    int64_t idle_ms = s->staff ? AUTH_STAFF_IDLE_MS : AUTH_FAN_IDLE_MS;

    return now_ms < absolute_end(s) && now_ms - s->seen_ms < idle_ms;
}

void session_fill(const struct session_row *row, int64_t now_ms, struct session *ret_session)
{
    *ret_session = (struct session){.id = row->id,
                                    .account_no = row->account_no,
                                    .level = (int)row->level,
                                    .staff = row->staff,
                                    .created_ms = row->created_ms,
                                    .seen_ms = row->seen_ms,
                                    .stepped_up_ms = row->stepped_up_ms,
                                    .expires_ms = absolute_end(row),
                                    .needs_touch = now_ms - row->seen_ms > TOUCH_AFTER_MS};
}

static enum err session_insert(struct store_tx *tx, struct session_row *row,
                               struct session_opened *ret_session)
{
    struct session_opened opened = {.level = (int)row->level, .account_no = row->account_no};
    uint8_t hash[SHA256_BYTES];

    row->id = session_id_make(store_clock(tx), store_rng(tx));
    row->seen_ms = store_now_ms(tx);
    row->stepped_up_ms = row->level == 2 ? row->seen_ms : 0;
    TRY(token_make(tx, opened.token, hash));
    TRY(store_session_insert(tx, hash, row));
    opened.id = row->id;
    opened.expires_ms = absolute_end(row);
    *ret_session = opened;
    wipe(&opened, sizeof opened);
    return OK;
}

enum err auth_session_open(struct store_tx *tx, const struct auth *auth, int64_t account_no,
                           int level, struct session_opened *ret_session)
{
    struct account_row a;
    struct session_row row = {
        .account_no = account_no, .level = level, .created_ms = store_now_ms(tx)};

    (void)auth;
    TRY(account_active(tx, account_no, &a));
    row.staff = a.staff;
    row.expires_ms = row.created_ms + (a.staff ? AUTH_STAFF_MAX_MS : AUTH_FAN_MAX_MS);
    TRY(store_session_forget(tx, account_no));
    return session_insert(tx, &row, ret_session);
}

enum err session_need(struct store_tx *tx, int64_t account_no, struct session_id id,
                      struct session_row *ret_row)
{
    struct session_row row;
    enum err e = store_session_by_id(tx, id, &row);

    if (e != ERR_NOT_FOUND)
        TRY(e);
    ENSURE(e == OK && row.account_no == account_no && session_is_live(&row, store_now_ms(tx)),
           ERR_UNAUTHENTICATED, "no_session", "The session is over; sign in.");
    *ret_row = row;
    return OK;
}

enum err session_raise(struct store_tx *tx, const struct session_row *old,
                       struct session_opened *ret_session)
{
    struct session_row row = *old;
    bool ended;

    TRY(store_session_end(tx, old->account_no, old->id, &ended));
    ENSURE(ended, ERR_UNAUTHENTICATED, "no_session", "The session is over; sign in.");
    row.level = 2;
    return session_insert(tx, &row, ret_session);
}

enum err session_row_by_token(struct store_tx *tx, struct span token,
                              uint8_t ret_hash[SHA256_BYTES], struct session_row *ret_row)
{
    struct session_row row = {0};
    enum err e = ERR_NOT_FOUND;

    if (token_hash(token, ret_hash))
        e = store_session_by_token(tx, ret_hash, &row);
    if (e != ERR_NOT_FOUND)
        TRY(e);
    ENSURE(e == OK && session_is_live(&row, store_now_ms(tx)), ERR_UNAUTHENTICATED, "no_session",
           "Sign in first.");
    *ret_row = row;
    return OK;
}

enum err auth_session_find(struct store_tx *tx, struct span token, struct session *ret_session)
{
    uint8_t hash[SHA256_BYTES];
    struct session_row row;

    TRY(session_row_by_token(tx, token, hash, &row));
    session_fill(&row, store_now_ms(tx), ret_session);
    return OK;
}

enum err auth_session_touch(struct store_tx *tx, struct session_id id)
{
    return store_session_touch(tx, id, store_now_ms(tx) - AUTH_FAN_IDLE_MS);
}

enum err auth_session_end(struct store_tx *tx, int64_t account_no, struct session_id id)
{
    bool ended;

    TRY(store_session_end(tx, account_no, id, &ended));
    ENSURE(ended, ERR_NOT_FOUND, "no_session", "There is no such session.");
    return OK;
}

struct collecting {
    struct session *sessions;
    size_t max, count;
    int64_t now_ms;
};

static bool collect(void *context, const struct session_row *row)
{
    struct collecting *c = context;

    if (c->count < c->max && session_is_live(row, c->now_ms))
        session_fill(row, c->now_ms, &c->sessions[c->count++]);
    return c->count < c->max;
}

enum err auth_sessions_of(struct store_tx *tx, int64_t account_no, struct session *sessions,
                          size_t max, size_t *ret_count)
{
    struct collecting c = {.sessions = sessions, .max = max, .now_ms = store_now_ms(tx)};

    TRY(store_session_each(tx, account_no, collect, &c));
    *ret_count = c.count;
    return OK;
}
