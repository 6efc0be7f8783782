/* SPDX-License-Identifier: Apache-2.0 */
/* people - registering, signing in, the second factor, sessions. */
#include <stdio.h>
#include <string.h>

#include "ground/encode/qr.h"
#include "reach/api/list.h"

enum { SESSIONS_SHOWN_MAX = 50 };

/* Hand the browser its token. SameSite=Lax: a link from a mail may arrive signed in; writes are checked by origin besides. */
static void give_cookie(struct call *c, const struct session_opened *s)
{
    bool secure = c->x->request.secure;

    (void)snprintf(c->set_cookie, sizeof c->set_cookie, "%s=%s; Path=/; HttpOnly; SameSite=Lax%s",
                   secure ? "__Host-gatehouse" : "gatehouse-dev", s->token,
                   secure ? "; Secure" : "");
}

static void take_cookie(struct call *c)
{
    bool secure = c->x->request.secure;

    (void)snprintf(c->set_cookie, sizeof c->set_cookie,
                   "%s=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0%s",
                   secure ? "__Host-gatehouse" : "gatehouse-dev", secure ? "; Secure" : "");
}

static enum err answer_me(struct call *c, int status, int64_t account_no,
                          const struct session_opened *opened)
{
    struct json_writer w;

    call_begin(c, status, &w);
    TRY(shape_me(c, &w, account_no, opened));
    if (opened)
        give_cookie(c, opened);
    return call_end(c, &w);
}

/* --- registering ----------------------------------------------------------------------------------------------------------- */

struct sign_up {
    struct account_request account;
    struct span token; /* owner set-up */
};

static enum err read_sign_up(struct call *c, struct sign_up *s, bool owner)
{
    struct json_object root;
    struct span password;

    TRY(call_json(c, &root));
    if (owner)
        TRY(json_need_text(&root, "token", 100, &s->token));
    TRY(JSON_ID(&root, "id", account, &s->account.id));
    TRY(json_need_text(&root, "mail", AUTH_MAIL_MAX, &s->account.mail));
    TRY(json_need_text(&root, "name", 4 * AUTH_NAME_MAX, &s->account.name));
    TRY(json_need_text(&root, "password", AUTH_PASSWORD_MAX, &password));
    TRY(json_object_end(&root));
    char mail[AUTH_MAIL_MAX + 1];
    TRY(auth_mail_check(s->account.mail, mail));
    TRY(utf8_check_line(s->account.name, AUTH_NAME_MAX, "#/name"));
    TRY(auth_password_check(password, s->account.mail, s->account.name, owner));
    /* Hashing takes long enough that the snapshot must not be held open over it. */
    call_close_snapshot(c);
    return auth_password_hash(password, owner, s->account.password_hash);
}

static enum err account_write(struct call *c)
{
    struct sign_up *s = c->args;
    struct session_opened opened;
    int64_t account_no;

    TRY(auth_account_create(c->tx, &c->api->auth, &s->account, &account_no));
    struct job_id job = job_id_make(store_clock(c->tx), store_rng(c->tx));
    TRY(store_job_add(c->tx, job, "mail.account_created", s->account.id.b, store_now_ms(c->tx)));
    TRY(auth_session_open(c->tx, &c->api->auth, account_no, 1, &opened));
    return answer_me(c, 201, account_no, &opened);
}

enum err api_account_post(struct call *c)
{
    struct sign_up *s;

    TRY(call_alloc(c, sizeof *s, &s));
    TRY(read_sign_up(c, s, false));
    return call_write(c, account_write, s);
}

static enum err owner_write(struct call *c)
{
    struct sign_up *s = c->args;
    struct session_opened opened;

    TRY(auth_owner_setup(c->tx, &c->api->auth, s->token, &s->account, &opened));
    return answer_me(c, 201, opened.account_no, &opened);
}

enum err api_setup_owner_post(struct call *c)
{
    struct sign_up *s;

    TRY(call_alloc(c, sizeof *s, &s));
    TRY(read_sign_up(c, s, true));
    return call_write(c, owner_write, s);
}

/* --- signing in ------------------------------------------------------------------------------------------------------------ */

struct sign_in {
    struct auth_candidate candidate;
    bool verified;
};

/* A refused sign-in commits, so that it is counted, and answers with the error that the command raised. */
static enum err refuse(struct call *c)
{
    err_save(&c->failure);
    c->refused = true;
    return OK;
}

static enum err session_write(struct call *c)
{
    struct sign_in *s = c->args;
    struct session_opened opened;

    TRY(auth_sign_in_done(c->tx, &c->api->auth, s->candidate.account_no, s->verified, &opened));
    return opened.level == 0 ? refuse(c) : answer_me(c, 200, s->candidate.account_no, &opened);
}

enum err api_session_post(struct call *c)
{
    struct span mail, password;
    struct json_object root;
    struct sign_in *s;

    TRY(call_alloc(c, sizeof *s, &s));
    TRY(call_json(c, &root));
    TRY(json_need_text(&root, "mail", AUTH_MAIL_MAX, &mail));
    TRY(json_need_text(&root, "password", AUTH_PASSWORD_MAX, &password));
    TRY(json_object_end(&root));
    TRY(auth_sign_in_find(c->tx, &c->api->auth, mail, &s->candidate));
    int64_t now_ms = store_now_ms(c->tx);
    call_close_snapshot(c);
    enum err e = auth_sign_in_verify(&s->candidate, password, now_ms);
    if (e != OK && e != ERR_UNAUTHENTICATED)
        return e;
    s->verified = e == OK && s->candidate.account_no != 0;
    return call_write(c, session_write, s);
}

static enum err read_code(struct call *c, struct span *ret_code)
{
    struct json_object root;

    TRY(call_json(c, &root));
    TRY(json_need_text(&root, "code", 10, ret_code));
    return json_object_end(&root);
}

static enum err totp_write(struct call *c)
{
    struct span *code = c->args;
    struct session_opened opened;
    bool refused;

    TRY(auth_totp_sign_in(c->tx, &c->api->auth, c->session.account_no, c->session.id, *code,
                          &refused, &opened));
    if (refused)
        return refuse(c);
    return answer_me(c, 200, c->session.account_no, &opened);
}

enum err api_session_totp_post(struct call *c)
{
    struct span *code;

    TRY(call_alloc(c, sizeof *code, &code));
    TRY(read_code(c, code));
    return call_write(c, totp_write, code);
}

static enum err enrol_write(struct call *c)
{
    struct totp_enrolment enrolment;
    AUTO(buf_done) struct buf svg = {0};
    struct json_writer w;
    struct qr *qr;

    TRY(call_alloc(c, sizeof *qr, &qr));
    TRY(auth_totp_begin(c->tx, &c->api->auth, c->session.account_no, &enrolment));
    TRY(qr_encode(span_text(enrolment.uri), QR_MEDIUM, qr));
    buf_init(&svg, 262144);
    TRY(qr_svg(qr, SPAN_LIT("Code for your authenticator app"), &svg));
    call_begin(c, 200, &w);
    json_w_object(&w);
    json_w_kv_cstr(&w, "secret", enrolment.secret);
    json_w_kv_cstr(&w, "uri", enrolment.uri);
    json_w_kv_text(&w, "qr_svg", buf_span(&svg));
    json_w_end(&w);
    wipe(&enrolment, sizeof enrolment);
    c->has_key = false; /* a secret is not kept for a repeat: asking again gives a new one */
    return call_end(c, &w);
}

enum err api_account_totp_post(struct call *c)
{
    TRY(call_no_members(c));
    return call_write(c, enrol_write, NULL);
}

static enum err confirm_write(struct call *c)
{
    struct span *code = c->args;
    struct session_opened opened;
    enum err e = auth_totp_confirm(c->tx, &c->api->auth, c->session.account_no, c->session.id,
                                   *code, &opened);

    TRY(e);
    return answer_me(c, 200, c->session.account_no, &opened);
}

enum err api_account_totp_confirm_post(struct call *c)
{
    struct span *code;

    TRY(call_alloc(c, sizeof *code, &code));
    TRY(read_code(c, code));
    return call_write(c, confirm_write, code);
}

/* --- sessions ---------------------------------------------------------------------------------------------------------------- */

enum err api_account_get(struct call *c)
{
    return answer_me(c, 200, c->session.account_no, NULL);
}

static enum err sign_out_write(struct call *c)
{
    TRY(auth_session_end(c->tx, c->session.account_no, c->session.id));
    take_cookie(c);
    call_empty(c, 204);
    return OK;
}

enum err api_session_current_delete(struct call *c)
{
    return call_write(c, sign_out_write, NULL);
}

enum err api_account_sessions_get(struct call *c)
{
    struct session sessions[SESSIONS_SHOWN_MAX];
    struct json_writer w;
    size_t count;

    TRY(auth_sessions_of(c->tx, c->session.account_no, sessions, COUNT_OF(sessions), &count));
    list_begin(c, &w);
    for (size_t i = 0; i < count; i++) {
        json_w_object(&w);
        W_ID(&w, "id", session, sessions[i].id);
        json_w_kv_bool(&w, "current", session_id_eq(sessions[i].id, c->session.id));
        json_w_kv_i64(&w, "level", sessions[i].level);
        json_w_kv_time(&w, "created_at", sessions[i].created_ms);
        json_w_kv_time(&w, "seen_at", sessions[i].seen_ms);
        json_w_kv_time(&w, "expires_at", sessions[i].expires_ms);
        json_w_end(&w);
    }
    return list_end(c, &w, false, 0, 0);
}

static enum err session_end_write(struct call *c)
{
    struct session_id *id = c->args;

    TRY(auth_session_end(c->tx, c->session.account_no, *id));
    call_empty(c, 204);
    return OK;
}

enum err api_account_session_delete(struct call *c)
{
    struct session_id *id;

    TRY(call_alloc(c, sizeof *id, &id));
    TRY(CALL_ID(c, session, id));
    return call_write(c, session_end_write, id);
}
