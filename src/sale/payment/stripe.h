/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_PAYMENT_STRIPE_H
#define SALE_PAYMENT_STRIPE_H

/*
 * stripe - the words of the Stripe API that Gatehouse speaks: requests as values, answers as facts. No network here: the
 * courier carries what these functions build, and settlement feeds back what came. The same words work against
 * gatehouse-sandbox and the real provider. Source: Stripe API reference (checkout sessions, refunds, events, webhook
 * signatures), version pinned in STRIPE_API_VERSION.
 *
 * Whatever came back is outside input: bounded, checked, and never trusted for an amount without comparing it with ours.
 */
#include "ground/base/base.h"

#define STRIPE_API_VERSION "2024-06-20"

enum {
    STRIPE_REF_MAX = 128,    /* ids such as cs_..., pi_..., re_..., evt_... */
    STRIPE_URL_MAX = 1024,   /* checkout address */
    STRIPE_BODY_MAX = 65536, /* answers and webhooks */
    STRIPE_KEY_MAX = 80,     /* idempotency key of ours */
    STRIPE_TOLERANCE_MS = 300000,
    STRIPE_KEY_KEPT_MS = 23 * 3600 * 1000 /* a day, and an hour less for the clocks */
};

/* One call: "POST" or "GET", path with leading slash, form body (empty for GET), our idempotency key (empty for GET). */
struct stripe_request {
    const char *method;
    char path[256];
    char idempotency_key[STRIPE_KEY_MAX];
    struct buf form; /* done by the caller: buf_done */
};

enum stripe_session_status { STRIPE_OPEN, STRIPE_COMPLETE, STRIPE_EXPIRED };

/* What a checkout session says. */
struct stripe_session {
    char ref[STRIPE_REF_MAX];
    char intent_ref[STRIPE_REF_MAX];    /* empty while there is none */
    char url[STRIPE_URL_MAX];           /* http or https; empty once it is over */
    char client_reference[ID_TEXT_MAX]; /* our payment id as text (metadata.payment), or empty */
    enum stripe_session_status status;
    bool paid;
    struct money amount;
};

struct stripe_session_wish {
    struct payment_id payment; /* becomes metadata.payment and the idempotency key */
    struct money amount;
    const char *title; /* what the page shows, UTF-8 */
    const char *success_url;
    const char *cancel_url;
    int64_t expires_ms; /* at least 30 minutes from now, the provider's minimum */
};

RESULT stripe_session_create(const struct stripe_session_wish *wish,
                             struct stripe_request *ret_request);
RESULT stripe_session_ask(const char *session_ref, struct stripe_request *ret_request);
RESULT stripe_session_expire(const char *session_ref, struct stripe_request *ret_request);
RESULT stripe_refund_create(struct refund_id refund, const char *intent_ref, struct money amount,
                            struct stripe_request *ret_request);

/* ERR_INVALID "bad_provider_answer" when it is not such an object. */
RESULT stripe_session_read(struct span json, struct stripe_session *ret_session);
struct stripe_refund {
    char ref[STRIPE_REF_MAX];
    char intent_ref[STRIPE_REF_MAX];
    char client_reference[ID_TEXT_MAX]; /* our refund id as text (metadata.refund), or empty */
    bool done;                          /* status succeeded */
    bool failed;                        /* status failed or canceled */
    struct money amount;
};
RESULT stripe_refund_read(struct span json, struct stripe_refund *ret_refund);

/*
 * What the body of an answer of 400 to 499 says. STRIPE_REFUSED, to a question with a key: nothing was made under it, because the
 * provider answers a key that succeeded as it did the first time, for at least STRIPE_KEY_KEPT_MS. What is not the provider's own
 * error object (a proxy's, say) is no refusal.
 */
enum stripe_refusal {
    STRIPE_NO_REFUSAL,
    STRIPE_REFUSED,
    STRIPE_KEY_REUSED, /* with other words than the first time */
};
enum stripe_refusal stripe_refusal_read(struct span json);

enum stripe_event_kind {
    STRIPE_EVENT_OTHER, /* known to be signed, of no interest (or without an id of ours): acknowledge and forget */
    STRIPE_EVENT_SESSION_COMPLETED,
    STRIPE_EVENT_SESSION_EXPIRED,
    STRIPE_EVENT_REFUND /* refund.created, .updated, .failed, charge.refund.updated */
};
struct stripe_event {
    char ref[STRIPE_REF_MAX];
    enum stripe_event_kind kind;
    struct stripe_session session;
    struct stripe_refund refund;
};

/*
 * Check the Stripe-Signature header (t=..., one or more v1=...) over the raw body with HMAC-SHA256, in constant time, the
 * time within STRIPE_TOLERANCE_MS of now, then read the event. ERR_DENIED "bad_webhook_signature", also for an empty secret.
 */
RESULT stripe_webhook_read(struct span secret, struct span header, struct span body, int64_t now_ms,
                           struct stripe_event *ret_event);
/* The header a provider would send; for the sandbox, the bench and tests. */
void stripe_webhook_sign(struct span secret, struct span body, int64_t now_ms, struct buf *out);

#endif
