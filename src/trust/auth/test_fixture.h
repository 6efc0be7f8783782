/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_AUTH_TEST_FIXTURE_H
#define TRUST_AUTH_TEST_FIXTURE_H

/* test_fixture - the ledger's database fixture with accounts on it; each step of this room as one command of the store. */
#include "trust/auth/inner.h"
#include "trust/ledger/test_fixture.h"

static struct auth auth;

static inline int auth_open(void **state)
{
    (void)fixture_open(state);
    auth = (struct auth){.keyring = f.keyring, .ledger = f.ledger, .issuer = "Gatehouse"};
    return 0;
}

#define PASSWORD "a long enough password"

/* What a step is given and what it gives back. */
struct step {
    int64_t account_no;
    const char *mail, *name, *password, *code, *token;
    struct account_id id;
    struct session_id session;
    int level;
    bool verified, refused, missing;
    enum one_time_kind kind;
    int64_t lasts_ms;
    char password_hash[PASSWORD_HASH_MAX];
    char made[AUTH_TOKEN_TEXT];
    struct account account;
    struct auth_candidate candidate;
    struct session_opened opened;
    struct session found;
    struct totp_enrolment enrolment;
    struct session list[8];
    size_t count;
    struct grant_request grant;
};

#define STEP(name_, call)                                                                          \
    static inline enum err do_##name_(struct store_tx *tx, void *context)                          \
    {                                                                                              \
        struct step *s = context;                                                                  \
        return (call);                                                                             \
    }
#define TEXT(t) span_text(t)

static inline struct account_request request_of(const struct step *s)
{
    struct account_request r = {.id = s->id, .mail = TEXT(s->mail), .name = TEXT(s->name)};
    memcpy(r.password_hash, s->password_hash, sizeof r.password_hash);
    return r;
}
#define REQUEST (&(const struct account_request[]){request_of(s)}[0])

STEP(create, auth_account_create(tx, &auth, REQUEST, &s->account_no))
STEP(by_no, auth_account_by_no(tx, &auth, s->account_no, &s->account))
STEP(by_mail, auth_account_by_mail(tx, &auth, TEXT(s->mail), &s->account))
STEP(suspend, auth_account_suspend(tx, &auth, s->account_no))
STEP(unlock, auth_unlock(tx, &auth, s->account_no))
STEP(find, auth_sign_in_find(tx, &auth, TEXT(s->mail), &s->candidate))
STEP(done, auth_sign_in_done(tx, &auth, s->account_no, s->verified, &s->opened))
STEP(open, auth_session_open(tx, &auth, s->account_no, s->level, &s->opened))
STEP(totp_begin, auth_totp_begin(tx, &auth, s->account_no, &s->enrolment))
STEP(totp_confirm,
     auth_totp_confirm(tx, &auth, s->account_no, s->session, TEXT(s->code), &s->opened))
STEP(totp_sign_in, auth_totp_sign_in(tx, &auth, s->account_no, s->session, TEXT(s->code),
                                     &s->refused, &s->opened))
STEP(session_find, auth_session_find(tx, TEXT(s->token), &s->found))
STEP(touch, auth_session_touch(tx, s->session))
STEP(session_end, auth_session_end(tx, s->account_no, s->session))
STEP(sessions, auth_sessions_of(tx, s->account_no, s->list, COUNT_OF(s->list), &s->count))
STEP(one_time_make, auth_one_time_make(tx, s->kind, SPAN_LIT("subject"), s->lasts_ms, s->made))
STEP(owner_setup, auth_owner_setup(tx, &auth, TEXT(s->token), REQUEST, &s->opened))
STEP(owner_missing, auth_owner_missing(tx, &s->missing))
STEP(grant, access_grant_give(tx, f.ledger, NULL, &s->grant))

static inline enum err run(enum err (*step)(struct store_tx *, void *), struct step *s)
{
    return store_testing_run(&f.t, step, s);
}
static inline enum err look(enum err (*step)(struct store_tx *, void *), struct step *s)
{
    return store_testing_read(&f.t, step, s);
}
#define assert_ok(code) assert_int_equal((code), OK)
#define assert_slug(code, expected, slug_)                                                         \
    do {                                                                                           \
        assert_int_equal((code), (expected));                                                      \
        assert_string_equal(err_last()->slug, (slug_));                                            \
    } while (0)

static inline void at(int64_t ms)
{
    clock_fixed_set(&f.t.clock, STORE_TESTING_NOW_MS + ms);
}

/* An account without a password: cheap. */
static inline int64_t account(const char *mail)
{
    struct step s = {
        .mail = mail, .name = "Ada", .id = account_id_make(&f.t.clock.clock, &f.t.rng.rng)};
    assert_ok(run(do_create, &s));
    return s.account_no;
}

static inline struct session_opened session_of(int64_t account_no, int level)
{
    struct step s = {.account_no = account_no, .level = level};
    assert_ok(run(do_open, &s));
    return s.opened;
}

/* The code of the account's secret at that time. */
static inline void code_at(const char *secret, int64_t ms, char ret_code[TOTP_DIGITS + 1]);

/* With an active factor, confirmed by the code of this moment; gives the session of level 2. */
static inline struct session_opened enrol(int64_t account_no, char ret_secret[40])
{
    struct step s = {.account_no = account_no};
    char code[TOTP_DIGITS + 1];

    s.session = session_of(account_no, 1).id;
    assert_ok(run(do_totp_begin, &s));
    code_at(s.enrolment.secret, f.t.clock.at_ms, code);
    s.code = code;
    assert_ok(run(do_totp_confirm, &s));
    memcpy(ret_secret, s.enrolment.secret, 40);
    return s.opened;
}

#include "ground/encode/base32.h"

static inline void code_at(const char *secret, int64_t ms, char ret_code[TOTP_DIGITS + 1])
{
    uint8_t raw[TOTP_SECRET_BYTES];
    size_t len;

    assert_ok(base32_decode(span_text(secret), raw, sizeof raw, &len));
    assert_int_equal(len, sizeof raw);
    assert_ok(totp_code(raw, ms / TOTP_STEP_MS, ret_code));
}

#endif
