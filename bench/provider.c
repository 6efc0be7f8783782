/* SPDX-License-Identifier: Apache-2.0 */
#include "provider.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ground/base/clock.h"
#include "sale/payment/stripe.h"

enum { RETRY_US = 100000, BUSY_US = 20000, SLOTS_FIRST = 1024, JSON_MAX = 8192 };

struct session {
    struct provider *provider;
    uint32_t number;
    char payment[ID_TEXT_MAX];
    char currency[8];
    int64_t amount_minor;
    bool paid, expired, acknowledged;
    wire_timer_fn *done;
    void *context;
};

struct later {
    struct provider *provider;
    uint64_t from;
    int status;
    struct buf json;
};

struct provider {
    struct wire *wire;
    struct wire_pool *hooks;
    uint16_t port, target;
    unsigned latency_ms;
    char secret[256];
    struct session **sessions;
    size_t count, cap;
    uint32_t *slots; /* open addressing by payment id: number + 1 */
    size_t slot_count;
    int64_t refunds;
    struct samples times;
    struct buf json; /* the answer or event being written */
};

/* --- sessions -------------------------------------------------------------------------------------------------------------- */

static uint32_t hash_text(const char *text)
{
    uint32_t h = 2166136261u;

    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 16777619u;
    return h;
}

static void slot_put(struct provider *p, uint32_t number)
{
    size_t i = hash_text(p->sessions[number]->payment) & (p->slot_count - 1);

    while (p->slots[i])
        i = (i + 1) & (p->slot_count - 1);
    p->slots[i] = number + 1;
}

static struct session *find_payment(struct provider *p, const char *payment)
{
    for (size_t i = hash_text(payment) & (p->slot_count - 1); p->slots[i];
         i = (i + 1) & (p->slot_count - 1))
        if (strcmp(p->sessions[p->slots[i] - 1]->payment, payment) == 0)
            return p->sessions[p->slots[i] - 1];
    return NULL;
}

static void grow(struct provider *p)
{
    if (p->count < p->cap)
        return;
    p->cap = p->cap ? p->cap * 2 : SLOTS_FIRST;
    p->sessions = realloc(p->sessions, p->cap * sizeof(struct session *));
    free(p->slots);
    p->slot_count = p->cap * 2;
    p->slots = calloc(p->slot_count, sizeof *p->slots);
    if (!p->sessions || !p->slots)
        die("no memory for sessions");
    for (uint32_t i = 0; i < p->count; i++)
        slot_put(p, i);
}

/* "cs_bench_17..." in any text */
static struct session *find_ref(struct provider *p, struct span text)
{
    const uint8_t *at = memmem(text.data, text.len, "cs_bench_", 9);
    uint32_t number = 0;

    if (!at)
        return NULL;
    for (at += 9; at < text.data + text.len && *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (uint32_t)(*at - '0');
    return number < p->count ? p->sessions[number] : NULL;
}

/* as_made: what its key is answered again, whatever has become of it. */
static void write_session(const struct session *s, bool as_made, struct buf *out)
{
    bool paid = s->paid && !as_made, expired = s->expired && !as_made;
    char text[640];
    int n =
        snprintf(text, sizeof text,
                 "{\"id\":\"cs_bench_%u\",\"object\":\"checkout.session\",\"amount_total\":%lld,"
                 "\"currency\":\"%s\","
                 "\"metadata\":{\"payment\":\"%s\"},\"status\":\"%s\",\"payment_status\":\"%s\",",
                 s->number, (long long)s->amount_minor, s->currency, s->payment,
                 paid      ? "complete"
                 : expired ? "expired"
                           : "open",
                 paid ? "paid" : "unpaid");

    buf_put(out, text, (size_t)n);
    if (paid)
        n = snprintf(text, sizeof text, "\"payment_intent\":\"pi_bench_%u\",\"url\":null}",
                     s->number);
    else
        n = snprintf(text, sizeof text,
                     "\"payment_intent\":null,\"url\":\"http://127.0.0.1:%u/pay/cs_bench_%u\"}",
                     s->provider->port, s->number);
    buf_put(out, text, (size_t)n);
}

/* --- what the courier asks ----------------------------------------------------------------------------------------------- */

static void send_later(void *context)
{
    struct later *l = context;

    wire_reply(l->provider->wire, l->from, l->status, buf_span(&l->json));
    buf_done(&l->json);
    free(l);
}

static struct buf *answer(struct provider *p)
{
    buf_reset(&p->json);
    return &p->json;
}

/* What was written into answer() goes out, after the provider's latency. */
static void finish(struct provider *p, uint64_t from, int status)
{
    if (p->latency_ms == 0) {
        wire_reply(p->wire, from, status, buf_span(&p->json));
        return;
    }
    struct later *l = calloc(1, sizeof *l);
    if (!l)
        die("no memory");
    *l = (struct later){.provider = p, .from = from, .status = status};
    buf_init(&l->json, JSON_MAX);
    buf_put_span(&l->json, buf_span(&p->json));
    wire_after(p->wire, (int64_t)p->latency_ms * 1000, send_later, l);
}

/* A value of a form body; only what needs no unescaping. */
static void form_value(struct span body, const char *key, char *out, size_t size)
{
    size_t len = strlen(key);
    struct span rest = body;

    out[0] = '\0';
    while (rest.len) {
        size_t end = span_find(rest, '&');
        if (end > len && memcmp(rest.data, key, len) == 0 && rest.data[len] == '=') {
            must(span_to_text(span_sub(rest, len + 1, end - len - 1), out, size), key);
            return;
        }
        rest = span_sub(rest, end + 1, rest.len);
    }
}

static void create(struct provider *p, const struct wire_request *r)
{
    char payment[ID_TEXT_MAX], amount[24];
    uint64_t minor;

    form_value(r->body, "client_reference_id", payment, sizeof payment);
    struct session *s = p->count ? find_payment(p, payment) : NULL;
    if (!s) {
        grow(p);
        s = calloc(1, sizeof *s);
        if (!s)
            die("no memory");
        s->provider = p;
        s->number = (uint32_t)p->count;
        memcpy(s->payment, payment, sizeof payment);
        /* Keys with brackets come percent-encoded. */
        form_value(r->body, "line_items%5B0%5D%5Bprice_data%5D%5Bcurrency%5D", s->currency,
                   sizeof s->currency);
        form_value(r->body, "line_items%5B0%5D%5Bprice_data%5D%5Bunit_amount%5D", amount,
                   sizeof amount);
        if (!s->currency[0]) {
            form_value(r->body, "line_items[0][price_data][currency]", s->currency,
                       sizeof s->currency);
            form_value(r->body, "line_items[0][price_data][unit_amount]", amount, sizeof amount);
        }
        must(text_to_u64(span_text(amount), &minor), "unit_amount");
        s->amount_minor = (int64_t)minor;
        p->sessions[p->count++] = s;
        slot_put(p, s->number);
    }
    write_session(s, true, answer(p));
    finish(p, r->from, 200);
}

static void refund(struct provider *p, const struct wire_request *r)
{
    char intent[64], amount[24], id[ID_TEXT_MAX];
    struct session *s;

    form_value(r->body, "payment_intent", intent, sizeof intent);
    form_value(r->body, "amount", amount, sizeof amount);
    form_value(r->body, "metadata%5Brefund%5D", id, sizeof id);
    char ref[80];
    (void)snprintf(ref, sizeof ref, "cs_bench_%s",
                   intent + (strlen(intent) > 9 ? 9 : strlen(intent)));
    s = find_ref(p, span_text(ref));
    p->refunds++;
    buf_printf(answer(p),
               "{\"id\":\"re_bench_%lld\",\"object\":\"refund\",\"payment_intent\":\"%s\","
               "\"amount\":%s,\"currency\":\"%s\","
               "\"status\":\"succeeded\",\"metadata\":{\"refund\":\"%s\"}}",
               (long long)p->refunds, intent, amount, s ? s->currency : "eur", id);
    finish(p, r->from, 200);
}

static void refuse(struct provider *p, uint64_t from, int status, const char *message)
{
    buf_printf(answer(p), "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"%s\"}}",
               message);
    finish(p, from, status);
}

static void asked(void *context, const struct wire_request *r)
{
    struct provider *p = context;
    struct session *s = find_ref(p, span_text(r->path));
    bool post = strcmp(r->method, "POST") == 0;

    if (post && strcmp(r->path, "/v1/checkout/sessions") == 0) {
        create(p, r);
    } else if (post && strcmp(r->path, "/v1/refunds") == 0) {
        refund(p, r);
    } else if (s && post && strstr(r->path, "/expire") && s->paid) {
        refuse(p, r->from, 400, "not open");
    } else if (s && (!post || strstr(r->path, "/expire"))) {
        s->expired |= post;
        write_session(s, false, answer(p));
        finish(p, r->from, 200);
    } else {
        refuse(p, r->from, 404, "no such thing");
    }
}

/* --- webhooks ---------------------------------------------------------------------------------------------------------------- */

static void deliver(void *context);

static void delivered(void *context, const struct wire_answer *a)
{
    struct session *s = context;

    if (a->status < 200 || a->status > 299) {
        if (a->status != 0 && a->status != 503)
            die("the webhook was answered %d: " SPAN_FMT, a->status, SPAN_ARG(a->body));
        wire_after(s->provider->wire, a->status ? BUSY_US : RETRY_US, deliver, s);
        return;
    }
    samples_add(&s->provider->times, a->took_us);
    s->acknowledged = true;
    s->done(s->context);
}

static void deliver(void *context)
{
    struct session *s = context;
    struct provider *p = s->provider;
    struct buf *body = answer(p), *request = wire_scratch(p->hooks);
    char text[160];

    int n = snprintf(text, sizeof text,
                     "{\"id\":\"evt_bench_%u\",\"object\":\"event\",\"type\":\"checkout."
                     "session.completed\",\"data\":{\"object\":",
                     s->number);
    buf_put(body, text, (size_t)n);
    write_session(s, false, body);
    buf_put_text(body, "}}");
    n = snprintf(text, sizeof text,
                 "POST /api/v1/provider/webhook HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: "
                 "application/json\r\n"
                 "Content-Length: %zu\r\nStripe-Signature: ",
                 p->target, body->len);
    buf_put(request, text, (size_t)n);
    stripe_webhook_sign(span_text(p->secret), buf_span(body), clock_now_ms(clock_system()),
                        request);
    buf_put_text(request, "\r\n\r\n");
    buf_put_span(request, buf_span(body));
    wire_send(p->hooks, buf_span(request), delivered, s);
}

void provider_pay(struct provider *p, struct span checkout_url, wire_timer_fn *acknowledged,
                  void *context)
{
    struct session *s = find_ref(p, checkout_url);

    if (!s || s->expired)
        die("a buyer came to pay a session that is not open");
    s->done = acknowledged;
    s->context = context;
    if (s->acknowledged) {
        wire_after(p->wire, 0, acknowledged, context);
        return;
    }
    if (s->paid)
        return; /* its webhook is on its way */
    s->paid = true;
    if (p->latency_ms)
        wire_after(p->wire, (int64_t)p->latency_ms * 1000, deliver, s);
    else
        deliver(s);
}

/* --- the rest ---------------------------------------------------------------------------------------------------------------- */

struct provider *provider_new(struct wire *w, unsigned latency_ms)
{
    struct provider *p = calloc(1, sizeof *p);

    if (!p)
        die("no memory");
    p->wire = w;
    buf_init(&p->json, JSON_MAX);
    p->latency_ms = latency_ms;
    p->port = wire_listen(w, asked, p);
    return p;
}

void provider_free(struct provider *p)
{
    if (p->hooks)
        wire_pool_free(p->hooks);
    for (size_t i = 0; i < p->count; i++)
        free(p->sessions[i]);
    free(p->sessions);
    free(p->slots);
    samples_done(&p->times);
    buf_done(&p->json);
    free(p);
}

uint16_t provider_port(const struct provider *p)
{
    return p->port;
}

void provider_aim(struct provider *p, uint16_t port, const char *secret, size_t connections)
{
    p->target = port;
    must(span_to_text(span_text(secret), p->secret, sizeof p->secret), "secret");
    p->hooks = wire_pool_new(p->wire, port, connections);
}

int64_t provider_refunds(const struct provider *p)
{
    return p->refunds;
}

struct samples *provider_webhook_times(struct provider *p)
{
    return &p->times;
}
