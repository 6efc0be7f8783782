/* SPDX-License-Identifier: Apache-2.0 */
/* calls - the question to the provider, and which deed its answer is. */
#include <string.h>

#include "reach/settlement/inner.h"

enum {
    URL_MAX = 512,
    RETRY_MAX_S = 60, /* as far as we go at the provider's wish: an order may have to end */
    BROKEN_TRIES = 8, /* so often it answered with its own failure, */
    BROKEN_AFTER_MS = 5 * 60 * 1000, /* past the session's time, before nobody is asked any more */
    REFUND_TRIES =
        12 /* some seven minutes; then a person is told, and it is asked for all the same */
};

/* 1 s, 2 s, 4 s, ... at most a minute. */
static int64_t backoff_ms(int64_t tries)
{
    return tries < 6 ? INT64_C(1000) << (tries < 0 ? 0 : tries) : 60 * 1000;
}

static void set_wait(struct flight *f, int64_t at_least_ms)
{
    f->wait_ms = backoff_ms(f->tries);
    if (f->wait_ms < at_least_ms)
        f->wait_ms = at_least_ms;
}

void flight_later(struct flight *f, int64_t at_least_ms)
{
    set_wait(f, at_least_ms);
    flight_submit(f, f->question == ASK_REFUND ? DEED_REFUND_LATER : DEED_LATER);
}

/* The provider understood, and will not. What may be our configuration, or its load, is not that. */
static bool is_refusal(int status)
{
    return status >= 400 && status < 500 && status != 401 && status != 403 && status != 409 &&
           status != 429;
}

/* In the provider's own words: a proxy's 404 says nothing of the money. */
static enum stripe_refusal refusal_of(const struct courier_answer *a)
{
    return a->outcome == COURIER_ANSWERED && is_refusal(a->status) ? stripe_refusal_read(a->body)
                                                                   : STRIPE_NO_REFUSAL;
}

/* When the provider wants to be asked again. */
static int64_t retry_ms(const struct courier_answer *a)
{
    return (a->retry_after_s < RETRY_MAX_S ? a->retry_after_s : RETRY_MAX_S) * 1000;
}

static void log_answer(const struct flight *f, const struct courier_answer *a)
{
    static const char *const words[] = {"making a session", "asking about a session",
                                        "expiring a session", "a refund"};
    log_warn("%s: %s, status %d, request %s", words[f->question], a->why, a->status,
             a->request_id[0] ? a->request_id : "unknown");
}

/* The session that was asked about, or made for, is this attempt's. */
static bool is_ours(const struct flight *f)
{
    struct payment_id id;

    return payment_id_parse(span_text(f->session.client_reference), &id) == OK &&
           memcmp(id.b, f->id, ID_BYTES) == 0;
}

static bool is_as_wished(const struct flight *f)
{
    return is_ours(f) && f->session.amount.amount_minor == f->amount.amount_minor &&
           currency_eq(f->session.amount.currency, f->amount.currency) &&
           (f->session.status != STRIPE_OPEN || f->session.url[0]);
}

static void tell(struct flight *f, const char *url)
{
    struct settlement *s = f->s;

    pthread_mutex_lock(&s->telling);
    if (!s->silent && s->config.opened) {
        s->config.opened(s->config.opened_context, f->order, url);
        s->told = true;
    }
    pthread_mutex_unlock(&s->telling);
}

void settlement_rested(void *settlement)
{
    struct settlement *s = settlement;

    pthread_mutex_lock(&s->telling);
    if (s->told)
        s->config.told(s->config.opened_context);
    s->told = false;
    pthread_mutex_unlock(&s->telling);
}

/* From here on somebody may see it. */
static void made(struct flight *f)
{
    struct checkout checkout;

    memcpy(checkout.payment.b, f->id, ID_BYTES);
    memcpy(checkout.session_ref, f->session.ref, sizeof checkout.session_ref);
    memcpy(checkout.url, f->session.url, sizeof checkout.url);
    checkouts_keep(f->s->checkouts, f->order, &checkout);
    if (!f->over)
        tell(f, checkout.url);
    if (!f->due) {
        flight_end(f);
        return;
    }
    memcpy(f->session_ref, checkout.session_ref, sizeof f->session_ref);
    f->question = f->over ? ASK_EXPIRE : ASK_STATE;
    flight_ask_soon(f);
}

/*
 * A session that somebody may have seen is not to be had now. A provider that keeps its own failure under the key gives it again each
 * time: that ends too.
 */
static void seen_before(struct flight *f, const struct courier_answer *a, enum stripe_refusal why)
{
    bool broken = a->outcome == COURIER_ANSWERED && a->status >= 500 && f->tries >= BROKEN_TRIES &&
                  f->until_ms + BROKEN_AFTER_MS <= clock_now_ms(f->s->config.clock);

    if (why == STRIPE_REFUSED)
        flight_submit(f, DEED_NEVER);
    else if (broken)
        flight_submit(f, DEED_OVER);
    else
        flight_later(f, retry_ms(a));
}

static void created(struct flight *f, const struct courier_answer *a)
{
    bool answered = a->outcome == COURIER_ANSWERED;

    if (a->outcome == COURIER_NOT_SENT) {
        flight_later(f, 0);
        return;
    }
    if (answered && a->status == 200 && stripe_session_read(a->body, &f->session) == OK &&
        is_as_wished(f)) {
        if (f->session.status == STRIPE_OPEN)
            made(f);
        else
            flight_submit(f, DEED_SAYS);
        return;
    }
    enum stripe_refusal why = refusal_of(a);
    if (why == STRIPE_KEY_REUSED) {
        flight_submit(f, DEED_DOUBT);
        return;
    }
    if (f->seen) { /* T2 */
        seen_before(f, a, why);
        return;
    }
    f->again = why != STRIPE_REFUSED;
    set_wait(f, retry_ms(a));
    flight_submit(f, DEED_FAILED);
}

static void said(struct flight *f, const struct courier_answer *a)
{
    bool answered = a->outcome == COURIER_ANSWERED;

    if (answered && a->status == 200 && stripe_session_read(a->body, &f->session) == OK &&
        strcmp(f->session.ref, f->session_ref) == 0 && is_ours(f)) {
        flight_submit(f, DEED_SAYS);
        return;
    }
    if (f->question == ASK_EXPIRE && answered && is_refusal(a->status)) {
        /* It cannot be expired: paid, or expired before. The session itself says which. */
        f->question = ASK_STATE;
        flight_ask_soon(f);
        return;
    }
    flight_later(f, retry_ms(a));
}

static void refunded(struct flight *f, const struct courier_answer *a)
{
    bool answered = a->outcome == COURIER_ANSWERED;
    enum stripe_refusal why = refusal_of(a);

    memset(&f->refund, 0, sizeof f->refund);
    if (answered && a->status == 200 && stripe_refund_read(a->body, &f->refund) == OK) {
        flight_submit(f, DEED_REFUND_SAYS);
    } else if (why == STRIPE_REFUSED) {
        f->refund = (struct stripe_refund){.failed = true};
        flight_submit(f, DEED_REFUND_SAYS);
    } else if (why == STRIPE_KEY_REUSED || f->tries + 1 >= REFUND_TRIES) {
        flight_submit(f, DEED_REFUND_DOUBT);
    } else {
        flight_later(f, retry_ms(a));
    }
}

/* On the courier client's thread. */
static void answered(void *context, const struct courier_answer *a)
{
    struct flight *f = context;

    if (a->outcome != COURIER_ANSWERED || a->status != 200)
        log_answer(f, a);
    if (f->question == ASK_CREATE)
        created(f, a);
    else if (f->question == ASK_REFUND)
        refunded(f, a);
    else
        said(f, a);
}

/* T2: of the row alone, and nothing of the time, the settings or the event as they are now. */
static enum err build_create(const struct payment_row *p, struct stripe_request *r)
{
    char url[URL_MAX], order[ID_TEXT_MAX];

    order_id_format(p->order, order);
    (void)snprintf(url, sizeof url, "%s/orders/%s", p->return_origin, order);
    const struct stripe_session_wish wish = {.payment = p->id,
                                             .amount = p->amount,
                                             .title = p->title,
                                             .success_url = url,
                                             .cancel_url = url,
                                             .expires_ms = p->created_ms + ORDER_SESSION_MS};
    return stripe_session_create(&wish, r);
}

static enum err build(const struct flight *f, const struct payment_row *attempt,
                      const char *intent_ref, struct stripe_request *r)
{
    struct refund_id refund;

    if (f->question == ASK_CREATE)
        return build_create(attempt, r);
    if (f->question == ASK_STATE)
        return stripe_session_ask(f->session_ref, r);
    if (f->question == ASK_EXPIRE)
        return stripe_session_expire(f->session_ref, r);
    memcpy(refund.b, f->id, ID_BYTES);
    return stripe_refund_create(refund, intent_ref, f->amount, r);
}

static enum err send_call(struct flight *f, const struct stripe_request *r)
{
    struct courier_call call = {.target = COURIER_PROVIDER,
                                .method = r->method,
                                .path = r->path,
                                .body = buf_span(&r->form),
                                .deadline_ms = f->s->config.call_ms,
                                .done = answered,
                                .context = f};

    call.headers[call.header_count++] =
        (struct courier_header){"Stripe-Version", STRIPE_API_VERSION};
    if (r->idempotency_key[0])
        call.headers[call.header_count++] =
            (struct courier_header){"Idempotency-Key", r->idempotency_key};
    return courier_submit(f->s->config.courier, &call);
}

enum err flight_ask(struct flight *f, const struct payment_row *attempt, const char *intent_ref)
{
    struct stripe_request r = {0};
    enum err e = build(f, attempt, intent_ref, &r);

    if (e == OK) {
        e = send_call(f, &r);
        buf_done(&r.form);
    }
    if (e == OK)
        return OK;
    if (e != ERR_BUSY)
        log_error_info(LOG_ERROR, "asking the provider", err_last());
    flight_end(f); /* nothing was sent: it is due still */
    return e;
}
