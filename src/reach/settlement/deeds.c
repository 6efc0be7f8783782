/* SPDX-License-Identifier: Apache-2.0 */
/* deeds - what an answer changes, as commands of the writer; and the table of flights. */
#include <stdlib.h>
#include <string.h>

#include "reach/settlement/inner.h"
#include "watch/alert/alert.h"

enum { MISMATCH_LOOK_MS = 10 * 60 * 1000, DOUBT_LOOK_MS = 60 * 60 * 1000 };

void settlement_drop_reference(struct settlement *s)
{
    pthread_mutex_lock(&s->lock);
    bool last = --s->references == 0;
    pthread_mutex_unlock(&s->lock);
    if (!last)
        return;
    while (s->spare) {
        struct flight *f = s->spare;
        s->spare = f->next;
        free(f);
    }
    checkouts_free(s->checkouts);
    pthread_cond_destroy(&s->some);
    pthread_mutex_destroy(&s->telling);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct flight **bucket_of(struct settlement *s, const uint8_t id[ID_BYTES])
{
    return &s->flights[get_u16be(&id[ID_BYTES - 2]) % FLIGHT_BUCKETS];
}

/* Under the lock. */
static struct flight *take_spare(struct settlement *s)
{
    struct flight *f = s->spare;

    if (!f)
        return calloc(1, sizeof *f);
    s->spare = f->next;
    memset(f, 0, sizeof *f);
    return f;
}

bool flight_is_out(struct settlement *s, const uint8_t id[ID_BYTES])
{
    const struct flight *f = *bucket_of(s, id);

    while (f && memcmp(f->id, id, ID_BYTES) != 0)
        f = f->next;
    return f != NULL;
}

bool flight_known(struct settlement *s, const uint8_t id[ID_BYTES])
{
    pthread_mutex_lock(&s->lock);
    bool known = flight_is_out(s, id);
    pthread_mutex_unlock(&s->lock);
    return known;
}

/* Under the lock. An offer that waits must not be asked for once this flight is over. */
static void take_offers(struct settlement *s, const uint8_t id[ID_BYTES])
{
    for (size_t i = 0; i < s->offer_count; i++) {
        struct offer *o = &s->offers[(s->offers_first + i) % OFFERS_MAX];
        if (memcmp(o->attempt.id.b, id, ID_BYTES) == 0)
            o->taken = true;
    }
}

struct flight *flight_begin(struct settlement *s, const uint8_t id[ID_BYTES])
{
    struct flight **bucket = bucket_of(s, id), *f = NULL;

    pthread_mutex_lock(&s->lock);
    bool room = !s->stopped && s->flight_count < s->config.calls_max && !flight_is_out(s, id);
    if (room && (f = take_spare(s)) != NULL) {
        f->s = s;
        memcpy(f->id, id, ID_BYTES);
        f->next = *bucket;
        *bucket = f;
        take_offers(s, id);
        s->flight_count++;
        s->references++;
    }
    pthread_mutex_unlock(&s->lock);
    return f;
}

void flight_end(struct flight *f)
{
    struct settlement *s = f->s;

    pthread_mutex_lock(&s->lock);
    struct flight **at = bucket_of(s, f->id);
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    if (s->flight_count-- == s->offer_flights_max && s->offer_count > 0)
        pthread_cond_signal(&s->some);
    f->next = s->spare;
    s->spare = f;
    pthread_mutex_unlock(&s->lock);
    settlement_drop_reference(s);
}

struct flight *flight_next(struct settlement *s, const struct flight *before)
{
    size_t i = before ? (size_t)(bucket_of(s, before->id) - s->flights) + 1 : 0;

    if (before && before->next)
        return before->next;
    while (i < FLIGHT_BUCKETS && !s->flights[i])
        i++;
    return i < FLIGHT_BUCKETS ? s->flights[i] : NULL;
}

void flight_ask_soon(struct flight *f)
{
    struct settlement *s = f->s;

    pthread_mutex_lock(&s->lock);
    bool stopped = s->stopped;
    f->ask_soon = !stopped;
    s->stirred = true;
    pthread_cond_signal(&s->some);
    pthread_mutex_unlock(&s->lock);
    if (stopped)
        flight_end(f);
}

/* --- On the writer --------------------------------------------------------------------------------------------------- */

static enum err raise(struct store_tx *tx, const struct flight *f, enum alert_kind kind,
                      const char *subject)
{
    const struct alert_cause cause = {
        .kind = kind, .organiser_no = f->organiser_no, .event_no = f->event_no, .subject = subject};
    return alert_raise(tx, &cause, NULL);
}

/* Another amount than ours changes nothing of the order; a person must look. */
static enum err session_says(struct store_tx *tx, const struct flight *f, struct payment_id payment)
{
    char subject[ID_TEXT_MAX];
    enum err e = order_session_says(tx, f->s->config.ledger, &f->session);

    if (!order_wants_person(e))
        return e;
    payment_id_format(payment, subject);
    TRY(raise(tx, f, ALERT_payment_mismatch, subject));
    return store_payment_later(tx, payment, store_now_ms(tx) + MISMATCH_LOOK_MS);
}

/* Whether the session was paid cannot be asked. */
static enum err in_doubt(struct store_tx *tx, const struct flight *f, struct payment_id payment,
                         bool over)
{
    char subject[ID_TEXT_MAX];
    struct payment_row row;

    TRY(store_payment_by_id(tx, payment, &row));
    if (row.state != PAYMENT_OPEN) /* somebody said meanwhile */
        return OK;
    payment_id_format(payment, subject);
    TRY(raise(tx, f, ALERT_payment_unknown, subject));
    return over ? order_session_over(tx, f->s->config.ledger, payment)
                : store_payment_later(tx, payment, store_now_ms(tx) + DOUBT_LOOK_MS);
}

static enum err refund_says(struct store_tx *tx, const struct flight *f, struct refund_id refund)
{
    char subject[ID_TEXT_MAX];

    refund_id_format(refund, subject);
    enum err e = order_refund_says(tx, f->s->config.ledger, refund, &f->refund);
    if (order_wants_person(e)) {
        TRY(raise(tx, f, ALERT_payment_mismatch, subject));
        return store_refund_later(tx, refund, store_now_ms(tx) + MISMATCH_LOOK_MS);
    }
    TRY(e);
    return f->refund.failed ? raise(tx, f, ALERT_refund_failed, subject) : OK;
}

/* Whether money went back cannot be asked; the question stays. */
static enum err refund_in_doubt(struct store_tx *tx, const struct flight *f,
                                struct refund_id refund)
{
    char subject[ID_TEXT_MAX];

    refund_id_format(refund, subject);
    TRY(raise(tx, f, ALERT_refund_unknown, subject));
    return store_refund_later(tx, refund, store_now_ms(tx) + DOUBT_LOOK_MS);
}

static enum err do_deed(struct store_tx *tx, struct command *command)
{
    const struct flight *f = (const struct flight *)command;
    struct ledger *ledger = f->s->config.ledger;
    int64_t next_ms = store_now_ms(tx) + f->wait_ms;
    struct payment_id payment;
    struct refund_id refund;

    memcpy(payment.b, f->id, ID_BYTES);
    memcpy(refund.b, f->id, ID_BYTES);
    switch (f->deed) {
    case DEED_FAILED:
        return order_session_failed(tx, ledger, payment, f->again, next_ms);
    case DEED_NEVER:
        return order_session_over(tx, ledger, payment);
    case DEED_OVER:
    case DEED_DOUBT:
        return in_doubt(tx, f, payment, f->deed == DEED_OVER);
    case DEED_SAYS:
        return session_says(tx, f, payment);
    case DEED_LATER:
        return store_payment_later(tx, payment, next_ms);
    case DEED_REFUND_SAYS:
        return refund_says(tx, f, refund);
    case DEED_REFUND_LATER:
        return store_refund_later(tx, refund, next_ms);
    case DEED_REFUND_DOUBT:
        return refund_in_doubt(tx, f, refund);
    }
    FAIL(ERR_CORRUPT, "bad_deed", "Nobody knows this deed.");
}

static void deed_done(struct command *command, const struct err_info *error)
{
    struct flight *f = (struct flight *)command;

    if (error)
        log_error_info(LOG_ERROR, "settling", error);
    flight_end(f);
}

void flight_submit(struct flight *f, enum deed deed)
{
    struct settlement *s = f->s;

    f->deed = deed;
    f->command = (struct command){.run = do_deed, .done = deed_done, .lane = LANE_SALE};
    /* Why under the lock: after settlement_stop nothing may reach the writer. */
    pthread_mutex_lock(&s->lock);
    bool stopped = s->stopped;
    /* A full queue must not lose an answer that comes only once: the thread submits it again. */
    if (!stopped && writer_submit(s->config.writer, &f->command) != OK)
        f->waits = true; /* else the flight may be gone already */
    pthread_mutex_unlock(&s->lock);
    if (stopped)
        flight_end(f);
}
