/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROG_SANDBOX_SANDBOX_H
#define PROG_SANDBOX_SANDBOX_H

/*
 * sandbox - gatehouse-sandbox: a payment provider to test against. It moves no money.
 *
 * What it is: the subset of the Stripe API that Gatehouse speaks, with memory (one SQLite file), a hosted payment page, signed
 * webhooks, a clock that can be moved, and misbehaviour on request. For people it is documented in docs/sandbox.md.
 * What it is not: part of Gatehouse. It shares no file, key or origin with serve, which must treat it as the stranger that the
 * real provider is.
 *
 * Files: main.c options and life · api.c requests and answers · checkout.c, refunds.c the resources · page.c what a person sees ·
 * hooks.c events and their delivery · state.c database, clock, faults · objects.c, form.c the formats.
 *
 * Invariants:
 *   B1  a request's effect, its events and the answer kept for its Idempotency-Key are one transaction;
 *   B2  a session is open, and then complete or expired, never both; it is charged at most once;
 *   B3  no more is refunded of a payment than was taken;
 *   B4  a card number lives in the request's memory only: brand and last four digits are all that is kept, nothing is logged.
 *
 * Threads: the http loops run handlers; one thread expires sessions and lets go of answers held back; one delivers webhooks.
 * Everything behind `lock`, the database too.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "prog/sandbox/form.h"
#include "prog/sandbox/objects.h"
#include "reach/http/http.h"
#include "store/sqlite/kv.h"

enum { KEY_TEXT_MAX = 256 };

enum fault_kind {
    FAULT_slow,
    FAULT_timeout_after_charge,
    FAULT_duplicate_webhook,
    FAULT_reorder,
    FAULT_error_500_once,
    FAULT_proxy_404_once,
    FAULT_no_webhook,
    FAULT_wrong_amount,
    FAULT_KINDS
};

struct fault {
    int64_t times, delay_ms;
    char path[128]; /* only requests whose path begins so; "" is all */
};

/* An exchange whose answer waits. */
struct held {
    struct held *next;
    struct http_exchange *x;
    int64_t due_ms; /* monotonic */
    bool answered;  /* else the request is still to be run */
};

struct sandbox {
    char key[KEY_TEXT_MAX];            /* the secret key of the API */
    char webhook_secret[KEY_TEXT_MAX]; /* "" when there is none */
    const char *webhook_url;           /* NULL: none are sent */
    const char *ca_file;
    char public_url[OBJECT_URL_MAX];
    char plain_url[OBJECT_URL_MAX]; /* of the listener for this machine; "" when there is none */
    struct http_server *server;

    pthread_mutex_t lock;
    pthread_cond_t some_held, some_hook; /* monotonic */
    bool stopping;
    struct kv *kv;
    int64_t clock_offset_ms, last_id_ms;
    struct fault faults[FAULT_KINDS];
    struct held *held;
};

/* One request on its way to an answer. */
struct call {
    struct sandbox *sb;
    struct http_exchange *x;
    struct form form;
    int status; /* of the answer */
    struct buf body;
};

/* --- state.c (all under the lock) ------------------------------------------------------------------------------------ */

RESULT state_open(struct sandbox *sb, const char *path);
int64_t state_now_ms(const struct sandbox *sb);
/* Kept over a restart. */
RESULT state_set_now(struct sandbox *sb, int64_t now_ms);
/* prefix and 26 characters, in the order they were made; out holds OBJECT_ID_MAX. */
void state_new_id(struct sandbox *sb, const char *prefix, char *out);
/* Uses the fault up once; path may be NULL. delay_ms may be NULL. */
bool state_fault(struct sandbox *sb, enum fault_kind kind, struct span path, int64_t *ret_delay_ms);
const char *state_fault_name(enum fault_kind kind);
/* ERR_NOT_FOUND "no_row" when there is none. */
RESULT state_session(struct sandbox *sb, const char *id, struct session *ret_session);
RESULT state_session_put(struct sandbox *sb, const struct session *s);
RESULT state_intent(struct sandbox *sb, const char *id, struct intent *ret_intent);
RESULT state_intent_put(struct sandbox *sb, const struct intent *i);
RESULT state_refund(struct sandbox *sb, const char *id, struct refund *ret_refund);
RESULT state_refund_put(struct sandbox *sb, const struct refund *r);
/* open -> expired, with its event. In a transaction. */
RESULT state_session_expire(struct sandbox *sb, struct session *s);
/* Every open session whose time is over; its own transactions. */
RESULT state_expire_due(struct sandbox *sb);

/* --- hooks.c --------------------------------------------------------------------------------------------------------- */

/* Keep an event about the object, to be delivered. In a transaction. */
RESULT hooks_emit(struct sandbox *sb, const char *type, struct span object_json);
void *hooks_deliver(void *sandbox); /* thread */

/* --- api.c ----------------------------------------------------------------------------------------------------------- */

void api_handle(void *sandbox, struct http_exchange *x);
void *api_let_go(void *sandbox); /* thread: held answers, expiry */

/* Fill the answer with Stripe's error object; OK, since an answer was made. code and param may be NULL. */
RESULT api_error(struct call *c, int status, const char *type, const char *code, const char *param,
                 const char *format, ...) __attribute__((format(printf, 6, 7)));
/* 400 invalid_request_error when a parameter was sent that nobody asked for; *ret_refused tells. */
RESULT api_refuse_unused(struct call *c, bool *ret_refused);
/* A whole number parameter within bounds; *ret_refused when it is not (and the answer is made). Absent: unchanged. */
RESULT api_int_param(struct call *c, const char *name, int64_t min, int64_t max, int64_t *value,
                     bool *ret_refused);
/* metadata[key]=value, all of them. */
RESULT api_metadata(struct call *c, struct meta *ret_meta, bool *ret_refused);
/* {"object":"list",...} of a bucket, newest first; keep (may be NULL) says which objects are meant. */
RESULT api_list(struct call *c, const char *bucket, const char *url,
                enum err (*keep)(struct call *c, struct span json, bool *ret_keep));

/* --- checkout.c, refunds.c ------------------------------------------------------------------------------------------- */

RESULT checkout_create(struct call *c);
RESULT checkout_get(struct call *c, struct span id);
RESULT checkout_expire(struct call *c, struct span id);
RESULT checkout_list(struct call *c);
/* Charge: payment, session complete, events. In a transaction. */
RESULT checkout_pay(struct sandbox *sb, struct session *s, const char *brand, const char *last4);
RESULT intent_get(struct call *c, struct span id);
RESULT refund_create(struct call *c);
RESULT refund_get(struct call *c, struct span id);
RESULT refund_list(struct call *c);

/* --- page.c ---------------------------------------------------------------------------------------------------------- */

/* GET and POST /pay/{session}, GET /pay/style.css, GET /. */
void page_handle(struct sandbox *sb, struct http_exchange *x);

#endif
