/* SPDX-License-Identifier: Apache-2.0 */
/* hooks - events, and their delivery to one address with retries: after 1 s, 2 s, 4 s, ... of the sandbox's clock. */
#include <string.h>

#include "prog/sandbox/sandbox.h"
#include "reach/courier/fetch.h"
#include "sale/payment/stripe.h"

enum { TRIES_MAX = 16, DELIVER_MS = 5000, WAIT_MS = 200, REORDER_MS = 3000 };

/* A row of the bucket "delivery", under the event's id. */
struct delivery {
    char event[OBJECT_ID_MAX];
    int64_t due_ms, tries, copies;
};

static enum err put_delivery(struct sandbox *sb, const struct delivery *d)
{
    char text[80];

    (void)snprintf(text, sizeof text, "%lld %lld %lld", (long long)d->due_ms, (long long)d->tries,
                   (long long)d->copies);
    return kv_put(sb->kv, "delivery", d->event, span_text(text));
}

static enum err read_delivery(const char *key, struct span value, struct delivery *d)
{
    int64_t *const numbers[] = {&d->due_ms, &d->tries, &d->copies};

    (void)snprintf(d->event, sizeof d->event, "%s", key);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        size_t end = span_find(value, ' ');
        TRY(text_to_i64(span_sub(value, 0, end), numbers[i]));
        value = span_sub(value, end + 1, value.len);
    }
    return OK;
}

enum err hooks_emit(struct sandbox *sb, const char *type, struct span object_json)
{
    AUTO(buf_done) struct buf b;
    struct json_writer w;
    struct delivery d = {.due_ms = state_now_ms(sb), .copies = 1};

    buf_init(&b, OBJECT_JSON_MAX + 1024);
    state_new_id(sb, "evt_", d.event);
    json_w_init(&w, &b);
    json_w_object(&w);
    json_w_kv_cstr(&w, "id", d.event);
    json_w_kv_cstr(&w, "object", "event");
    json_w_kv_cstr(&w, "api_version", STRIPE_API_VERSION);
    json_w_kv_i64(&w, "created", state_now_ms(sb) / 1000);
    json_w_kv_object(&w, "data");
    json_w_key(&w, "object");
    json_w_raw(&w, object_json);
    json_w_end(&w);
    json_w_kv_bool(&w, "livemode", false);
    json_w_kv_i64(&w, "pending_webhooks", sb->webhook_url ? 1 : 0);
    json_w_kv_cstr(&w, "type", type);
    json_w_end(&w);
    TRY(json_w_finish(&w));
    TRY(kv_put(sb->kv, "event", d.event, buf_span(&b)));
    if (!sb->webhook_url || state_fault(sb, FAULT_no_webhook, span_text("/"), NULL))
        return OK;
    if (state_fault(sb, FAULT_duplicate_webhook, span_text("/"), NULL))
        d.copies = 2;
    int64_t delay_ms = 0;
    if (state_fault(sb, FAULT_reorder, span_text("/"), &delay_ms))
        d.due_ms += delay_ms ? delay_ms : REORDER_MS;
    pthread_cond_signal(&sb->some_hook);
    return put_delivery(sb, &d);
}

struct first_due {
    int64_t now_ms;
    bool found;
    struct delivery delivery;
};

static enum err look(void *context, const char *key, struct span value)
{
    struct first_due *f = context;
    struct delivery d;

    TRY(read_delivery(key, value, &d));
    if (d.due_ms <= f->now_ms && (!f->found || d.due_ms < f->delivery.due_ms)) {
        f->found = true;
        f->delivery = d;
    }
    return OK;
}

static enum err find_due(struct sandbox *sb, struct first_due *f)
{
    const struct kv_scan scan = {.bucket = "delivery", .rows_max = 100000};

    *f = (struct first_due){.now_ms = state_now_ms(sb)};
    return kv_scan(sb->kv, &scan, look, f);
}

/*
 * Why the machine's time signs, whatever the sandbox's clock says: a receiver refuses signatures that are minutes off, and it
 * is the sessions that a test wants to age.
 */
static enum err post(struct sandbox *sb, struct span event_json, int *ret_status)
{
    AUTO(buf_done) struct buf signature;

    buf_init(&signature, 512);
    stripe_webhook_sign(span_text(sb->webhook_secret), event_json, clock_now_ms(clock_system()),
                        &signature);
    struct fetch_request r = {
        .url = sb->webhook_url,
        .ca_file = sb->ca_file,
        .body = event_json,
        .deadline_ms = DELIVER_MS,
    };
    r.headers[r.header_count++] = (struct courier_header){"Content-Type", "application/json"};
    r.headers[r.header_count++] = (struct courier_header){"Stripe-Signature", buf_text(&signature)};
    return fetch_post(&r, ret_status);
}

/* After an attempt: forgotten, or due later. */
static enum err note_attempt(struct sandbox *sb, struct delivery *d, bool taken)
{
    d->tries++;
    if (taken)
        d->copies--;
    if (d->copies <= 0 || d->tries >= TRIES_MAX)
        return kv_delete(sb->kv, "delivery", d->event);
    if (!taken)
        d->due_ms = state_now_ms(sb) + (INT64_C(1000) << (d->tries - 1));
    return put_delivery(sb, d);
}

/* Called with the lock held; lets go of it while the network is busy. */
static enum err deliver_one(struct sandbox *sb, struct delivery *d)
{
    AUTO(buf_done) struct buf event;
    int status = 0;

    buf_init(&event, OBJECT_JSON_MAX + 1024);
    TRY(kv_get(sb->kv, "event", d->event, &event));
    pthread_mutex_unlock(&sb->lock);
    enum err e = post(sb, buf_span(&event), &status);
    pthread_mutex_lock(&sb->lock);
    bool taken = e == OK && status >= 200 && status < 300;
    if (!taken)
        log_info("webhook %s was not taken (attempt %lld): %s", d->event, (long long)d->tries + 1,
                 e == OK ? "refused" : err_last()->detail);
    return note_attempt(sb, d, taken);
}

static void wait_some(struct sandbox *sb)
{
    struct timespec until;
    int64_t at_ms = clock_mono_ms(clock_system()) + WAIT_MS;

    until = (struct timespec){.tv_sec = at_ms / 1000, .tv_nsec = (at_ms % 1000) * 1000000};
    (void)pthread_cond_timedwait(&sb->some_hook, &sb->lock, &until);
}

void *hooks_deliver(void *context)
{
    struct sandbox *sb = context;
    struct first_due f;

    pthread_mutex_lock(&sb->lock);
    while (!sb->stopping) {
        enum err e = find_due(sb, &f);
        if (e == OK && f.found)
            e = deliver_one(sb, &f.delivery);
        if (e != OK)
            log_error_info(LOG_ERROR, "delivering webhooks", err_last());
        if (e != OK || !f.found)
            wait_some(sb);
    }
    pthread_mutex_unlock(&sb->lock);
    return NULL;
}
