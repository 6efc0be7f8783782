/* SPDX-License-Identifier: Apache-2.0 */
#include "sale.h"

#include <stdlib.h>
#include <string.h>

enum { RETRY_US = 100000, BUSY_US = 5000, STALLED_US = 60000000 };

struct buyer {
    struct sale *sale;
    const char *token;
    char hold[ID_TEXT_MAX], order[ID_TEXT_MAX];
    uint32_t places[SALE_PER_ORDER_MAX];
    uint32_t place_count, want;
    uint32_t promise; /* index of the order in sale->promises */
    int64_t version;
    bool best, done;
    uint32_t category; /* of best */
};

struct sale {
    struct rig *rig;
    const struct sale_wish *wish;
    uint32_t places;
    struct buyer *buyers;
    uint32_t *next; /* of a place: itself while it is free, else some place after it */
    uint8_t *paid;  /* a byte a place */
    uint32_t free, hot;
    uint64_t choices;
    uint32_t best_category; /* where best is looked for */
    uint32_t best_gone;     /* categories that have nothing together any more */
    struct promise *promises;
    size_t promise_count, buyers_done;
    uint64_t random;
    char holds_path[128];
    struct buf json;
    struct sale_score score;
    struct samples hold_times, order_times, checkout_times;
};

static uint32_t dice(struct sale *s, uint32_t sides)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (uint32_t)((s->random >> 16) % sides);
}

static void ask(struct buyer *b, const char *method, const char *path, struct span json,
                wire_answer_fn *answered)
{
    struct rig *r = b->sale->rig;
    struct buf *request = wire_scratch(r->pool);

    request_write(request, r->world.port, method, path, b->token, json);
    wire_send(r->pool, buf_span(request), answered, b);
}

/* --- choosing -------------------------------------------------------------------------------------------------------------- */

static void mark(struct sale *s, uint32_t place)
{
    if (place < s->places && s->next[place] == place) {
        s->next[place] = place + 1;
        s->free--;
    }
}

/* The first free place from here on; s->places when there is none. Halves the way for those who come after. */
static uint32_t next_free(struct sale *s, uint32_t at)
{
    while (s->next[at] != at) {
        s->next[at] = s->next[s->next[at]];
        at = s->next[at];
    }
    return at;
}

static uint32_t next_free_around(struct sale *s, uint32_t at)
{
    at = next_free(s, at);
    return at == s->places ? next_free(s, 0) : at;
}

static void choose_hot(struct buyer *b)
{
    struct sale *s = b->sale;

    b->place_count = 0;
    for (uint32_t i = 0; i < b->want && s->hot + i < s->places; i++)
        b->places[b->place_count++] = s->hot + i;
}

static void choose_free(struct buyer *b)
{
    struct sale *s = b->sale;
    uint32_t first = next_free_around(s, dice(s, s->places)), at = first;

    b->place_count = 0;
    do {
        b->places[b->place_count++] = at;
        at = next_free_around(s, at + 1);
    } while (b->place_count < b->want && at != first);
    s->hot = first;
}

static void hold_send(void *context);

static void choose(struct buyer *b)
{
    struct sale *s = b->sale;

    if (s->free == 0) {
        if (!b->done)
            s->buyers_done++;
        b->done = true;
        return;
    }
    new_id(b->hold, "hld");
    b->want = s->wish->per_order;
    /* Half of all choices collide, those included that only looked free. */
    bool collides = (uint64_t)s->score.conflicts * 2 < s->choices++;
    b->best = !collides && s->best_gone < s->wish->stage->categories && dice(s, 2) == 0;
    b->category = s->best_category;
    if (collides)
        choose_hot(b);
    else if (!b->best)
        choose_free(b);
    hold_send(b);
}

/* --- the steps of a sale ------------------------------------------------------------------------------------------------------- */

static void order_send(void *context);
static void order_watch(void *context);

/* Nothing was refused: the server was gone or too busy. The same ids are sent again. */
static bool try_again(struct buyer *b, int status, wire_timer_fn *step)
{
    if (status != 0 && status != 503)
        return false;
    b->sale->score.retries++;
    wire_after(b->sale->rig->wire, status ? BUSY_US : RETRY_US, step, b);
    return true;
}

/* "#/places/1" in the problem names the seat. */
static void note_conflict(struct buyer *b, struct span body)
{
    const uint8_t *at = memmem(body.data, body.len, "#/places/", 9);
    struct sale *s = b->sale;

    if (memmem(body.data, body.len, "none_left", 9)) {
        s->score.none_left++;
        if (b->category == s->best_category) { /* the first to hear of it */
            s->best_category = (s->best_category + 1) % s->wish->stage->categories;
            s->best_gone++;
        }
        return;
    }
    s->score.conflicts++;
    if (at && at[9] >= '0' && (uint32_t)(at[9] - '0') < b->place_count)
        mark(s, b->places[at[9] - '0']);
}

static void hold_answered(void *context, const struct wire_answer *a)
{
    struct buyer *b = context;
    struct span rest = a->body;
    int64_t place;

    if (try_again(b, a->status, hold_send))
        return;
    samples_add(&b->sale->hold_times, a->took_us);
    if (a->status == 409) {
        note_conflict(b, a->body);
        choose(b);
        return;
    }
    if (a->status != 201)
        die("a hold was answered %d: " SPAN_FMT, a->status, SPAN_ARG(a->body));
    b->place_count = 0;
    while (b->place_count < SALE_PER_ORDER_MAX && next_number(&rest, "place", &place)) {
        mark(b->sale, (uint32_t)place);
        b->places[b->place_count++] = (uint32_t)place;
    }
    new_id(b->order, "ord");
    order_send(b);
}

static void hold_send(void *context)
{
    struct buyer *b = context;
    struct sale *s = b->sale;
    struct buf *json = &s->json;

    buf_reset(json);
    buf_put_text(json, "{\"id\":\"");
    buf_put_text(json, b->hold);
    if (b->best) {
        buf_put_text(json, "\",\"best\":{\"category\":");
        buf_put_i64_text(json, b->category);
        buf_put_text(json, ",\"count\":");
        buf_put_i64_text(json, b->want);
        buf_put_text(json, "}}");
    } else {
        buf_put_text(json, "\",\"places\":[");
        for (uint32_t i = 0; i < b->place_count; i++) {
            if (i)
                buf_put_u8(json, ',');
            buf_put_i64_text(json, b->places[i]);
        }
        buf_put_text(json, "]}");
    }
    ask(b, "POST", s->holds_path, buf_span(json), hold_answered);
}

static void sold(void *context)
{
    struct buyer *b = context;
    struct sale *s = b->sale;

    s->promises[b->promise].paid = true;
    for (uint32_t i = 0; i < b->place_count; i++) {
        s->score.double_sold += s->paid[b->places[i]] != 0;
        s->paid[b->places[i]] = 1;
    }
    s->score.sales++;
    s->score.tickets += b->place_count;
    s->score.last_us = now_us();
    choose(b);
}

/* What the order says now: where to pay, or that it is over. */
static void order_look(struct buyer *b, struct span body)
{
    struct span status, url;

    if (!find_text(body, "status", &status) || !find_number(body, "version", &b->version))
        die("an order is not understood: " SPAN_FMT, SPAN_ARG(body));
    if (span_eq_text(status, "paid")) {
        sold(b);
    } else if (!span_eq_text(status, "awaiting_payment")) {
        b->sale->score.lost++;
        choose(b);
    } else if (find_text(body, "checkout_url", &url)) {
        provider_pay(b->sale->rig->provider, url, sold, b);
    } else {
        order_watch(b);
    }
}

static void watch_answered(void *context, const struct wire_answer *a)
{
    struct buyer *b = context;

    if (try_again(b, a->status, order_watch))
        return;
    if (a->status != 200)
        die("an order was answered %d: " SPAN_FMT, a->status, SPAN_ARG(a->body));
    samples_add(&b->sale->checkout_times, a->took_us);
    order_look(b, a->body);
}

static void order_watch(void *context)
{
    struct buyer *b = context;
    char path[160];

    (void)snprintf(path, sizeof path, "/api/v1/orders/%s?wait=20&version=%lld", b->order,
                   (long long)b->version);
    ask(b, "GET", path, (struct span){0}, watch_answered);
}

static void order_answered(void *context, const struct wire_answer *a)
{
    struct buyer *b = context;
    struct sale *s = b->sale;

    if (try_again(b, a->status, order_send))
        return;
    if (a->status != 201)
        die("an order was answered %d: " SPAN_FMT, a->status, SPAN_ARG(a->body));
    samples_add(&s->order_times, a->took_us);
    if (s->promise_count == s->places)
        die("more orders than seats");
    b->promise = (uint32_t)s->promise_count++;
    s->promises[b->promise].places = (uint8_t)b->place_count;
    memcpy(s->promises[b->promise].order, b->order, sizeof b->order);
    order_look(b, a->body);
}

static void order_send(void *context)
{
    struct buyer *b = context;
    struct buf *json = &b->sale->json;

    buf_reset(json);
    buf_put_text(json, "{\"id\":\"");
    buf_put_text(json, b->order);
    buf_put_text(json, "\",\"hold\":\"");
    buf_put_text(json, b->hold);
    buf_put_text(json, "\"}");
    ask(b, "POST", b->sale->wish->apart ? "/api/v1/orders" : "/api/v1/orders?wait=20",
        buf_span(json), order_answered);
}

/* --- the whole --------------------------------------------------------------------------------------------------------------- */

struct sale *sale_new(struct rig *r, const struct sale_wish *wish)
{
    struct sale *s = calloc(1, sizeof *s);
    uint32_t places = wish->stage->places;

    if (!s)
        die("no memory");
    s->rig = r;
    s->wish = wish;
    s->places = s->free = places;
    s->buyers = calloc(wish->buyers, sizeof *s->buyers);
    s->next = calloc((size_t)places + 1, sizeof *s->next);
    s->paid = calloc(places, 1);
    s->promises = calloc(places, sizeof *s->promises);
    if (!s->buyers || !s->next || !s->paid || !s->promises)
        die("no memory");
    for (uint32_t i = 0; i <= places; i++)
        s->next[i] = i;
    (void)snprintf(s->holds_path, sizeof s->holds_path, "/api/v1/events/%s/holds",
                   wish->stage->event);
    buf_init(&s->json, 1024);
    rng_fill(rng_system(), &s->random, sizeof s->random);
    s->random |= 1;
    return s;
}

void sale_begin(struct sale *s)
{
    samples_done(provider_webhook_times(s->rig->provider)); /* those of a sale before this one */
    s->score.began_us = s->score.last_us = now_us();
    for (unsigned i = 0; i < s->wish->buyers; i++) {
        s->buyers[i] = (struct buyer){.sale = s, .token = s->wish->fans[i].token};
        choose(&s->buyers[i]);
    }
}

bool sale_running(const struct sale *s)
{
    if (s->buyers_done == s->wish->buyers)
        return false;
    if (now_us() - s->score.last_us > STALLED_US)
        die("nothing was sold for a minute; %lld of %u tickets so far", (long long)s->score.tickets,
            s->places);
    return true;
}

const struct sale_score *sale_score(const struct sale *s)
{
    return &s->score;
}

const struct promise *sale_promises(const struct sale *s, size_t *ret_count)
{
    *ret_count = s->promise_count;
    return s->promises;
}

static double seconds(const struct sale *s)
{
    return (double)(s->score.last_us - s->score.began_us) / 1e6;
}

double sale_per_s(const struct sale *s)
{
    return (double)s->score.sales / seconds(s);
}

void sale_write(struct sale *s, struct json_writer *w)
{
    const struct sale_score *score = &s->score;

    json_w_kv_i64(w, "seats", s->places);
    json_w_kv_i64(w, "buyers", s->wish->buyers);
    json_w_kv_i64(w, "per_order", s->wish->per_order);
    write_number(w, "seconds", seconds(s));
    json_w_kv_i64(w, "sales", score->sales);
    write_number(w, "sales_per_s", sale_per_s(s));
    write_number(w, "tickets_per_s", (double)score->tickets / seconds(s));
    samples_write(&s->hold_times, w, "hold");
    samples_write(&s->order_times, w, "order");
    if (s->wish->apart)
        samples_write(&s->checkout_times, w, "checkout_wait");
    samples_write(provider_webhook_times(s->rig->provider), w, "webhook");
    json_w_kv_i64(w, "conflicts", score->conflicts);
    json_w_kv_i64(w, "none_left", score->none_left);
    json_w_kv_i64(w, "retries", score->retries);
    json_w_kv_i64(w, "orders_lost", score->lost);
}

void sale_free(struct sale *s)
{
    samples_done(&s->hold_times);
    samples_done(&s->order_times);
    samples_done(&s->checkout_times);
    buf_done(&s->json);
    free(s->buyers);
    free(s->next);
    free(s->paid);
    free(s->promises);
    free(s);
}
