/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sellout - a stadium sold to the last seat by buyers in a closed loop: hold, order, come back with the checkout address, pay,
 * signed webhook; next. A sale counts when its webhook was acknowledged: the tickets are durable then.
 *
 * Choices: one in two is "best available", the others name seats; of the named, every second one aims at the very seats that
 * another buyer has just asked for. After a conflict the buyer chooses anew, as people do. All buyers see one map, as fresh as
 * their own answers.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "provider.h"
#include "seed.h"

enum {
    PER_ORDER_MAX = 10,
    BEST_TRIES_MAX = 3,
    RETRY_US = 20000,
    BUSY_US = 5000,
    KILL_FIRST_US = 400000,
    KILL_EVERY_US = 1500000,
    STALLED_US = 60000000
};

struct sellout_wish {
    const char *program, *dir;
    unsigned seats, buyers, per_order, provider_ms, connections;
    bool kill, keep;
};

struct sale;

struct buyer {
    struct sale *sale;
    const char *token;
    char hold[ID_TEXT_MAX], order[ID_TEXT_MAX];
    uint32_t places[PER_ORDER_MAX];
    uint32_t place_count, want;
    uint32_t promise; /* index of the order in sale->promises */
    int64_t version;
    bool best, done;
};

struct sale {
    const struct sellout_wish *wish;
    struct world world;
    struct wire *wire;
    struct wire_pool *pool;
    struct provider *provider;
    struct stage stage;
    struct fan *fans;
    struct buyer *buyers;
    uint8_t *taken, *paid; /* a byte a place */
    uint32_t free, hot, best_category, best_failures;
    struct promise *promises;
    size_t promise_count, buyers_done;
    uint64_t random;
    int64_t sales, tickets, conflicts, none_left, retries, lost, client_double, last_sale_us;
    unsigned kills;
    struct samples hold_times, order_times, checkout_times;
};

static uint32_t dice(struct sale *s, uint32_t sides)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (uint32_t)((s->random >> 16) % sides);
}

static void post(struct buyer *b, const char *path, const char *json, wire_answer_fn *answered)
{
    AUTO(buf_done) struct buf request = {0};

    buf_init(&request, 8192);
    request_write(&request, b->sale->world.port, "POST", path, b->token, span_text(json));
    wire_send(b->sale->pool, buf_span(&request), answered, b);
}

/* --- choosing -------------------------------------------------------------------------------------------------------------- */

static void mark(struct sale *s, uint32_t place)
{
    if (place < s->stage.places && !s->taken[place]) {
        s->taken[place] = 1;
        s->free--;
    }
}

static void choose_hot(struct buyer *b)
{
    struct sale *s = b->sale;

    b->place_count = 0;
    for (uint32_t i = 0; i < b->want && s->hot + i < s->stage.places; i++)
        b->places[b->place_count++] = s->hot + i;
}

static void choose_free(struct buyer *b)
{
    struct sale *s = b->sale;
    uint32_t at = dice(s, s->stage.places);

    b->place_count = 0;
    for (uint32_t looked = 0; looked < s->stage.places && b->place_count < b->want; looked++) {
        if (!s->taken[at])
            b->places[b->place_count++] = at;
        at = at + 1 == s->stage.places ? 0 : at + 1;
    }
    if (b->place_count)
        s->hot = b->places[0];
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
    new_id(b->order, "ord");
    b->want = s->wish->per_order;
    b->best = s->best_failures < BEST_TRIES_MAX * s->stage.categories && dice(s, 2) == 0;
    if (!b->best && dice(s, 2) == 0)
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
    b->sale->retries++;
    wire_after(b->sale->wire, status ? BUSY_US : RETRY_US, step, b);
    return true;
}

/* "#/places/1" in the problem names the seat. */
static void note_conflict(struct buyer *b, struct span body)
{
    const uint8_t *at = memmem(body.data, body.len, "#/places/", 9);
    struct sale *s = b->sale;

    if (memmem(body.data, body.len, "none_left", 9)) {
        s->none_left++;
        s->best_failures++;
        s->best_category = (s->best_category + 1) % s->stage.categories;
        return;
    }
    s->conflicts++;
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
    while (b->place_count < PER_ORDER_MAX && find_number(rest, "place", &place)) {
        const uint8_t *at = memmem(rest.data, rest.len, "\"place\":", 8);
        rest = span_of(at + 8, (size_t)(rest.data + rest.len - at) - 8);
        mark(b->sale, (uint32_t)place);
        b->places[b->place_count++] = (uint32_t)place;
    }
    order_send(b);
}

static void hold_send(void *context)
{
    struct buyer *b = context;
    struct sale *s = b->sale;
    char path[128], json[512];
    int n;

    (void)snprintf(path, sizeof path, "/api/v1/events/%s/holds", s->stage.event);
    if (b->best) {
        (void)snprintf(json, sizeof json, "{\"id\":\"%s\",\"best\":{\"category\":%u,\"count\":%u}}",
                       b->hold, s->best_category, b->want);
    } else {
        n = snprintf(json, sizeof json, "{\"id\":\"%s\",\"places\":[", b->hold);
        for (uint32_t i = 0; i < b->place_count; i++)
            n += snprintf(json + n, sizeof json - (size_t)n, "%s%u", i ? "," : "", b->places[i]);
        (void)snprintf(json + n, sizeof json - (size_t)n, "]}");
    }
    post(b, path, json, hold_answered);
}

static void sold(void *context)
{
    struct buyer *b = context;
    struct sale *s = b->sale;

    s->promises[b->promise].paid = true;
    for (uint32_t i = 0; i < b->place_count; i++) {
        s->client_double += s->paid[b->places[i]] != 0;
        s->paid[b->places[i]] = 1;
    }
    s->sales++;
    s->tickets += b->place_count;
    s->last_sale_us = now_us();
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
        b->sale->lost++;
        choose(b);
    } else if (find_text(body, "checkout_url", &url)) {
        provider_pay(b->sale->provider, url, sold, b);
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
    AUTO(buf_done) struct buf request = {0};
    struct buyer *b = context;
    char path[160];

    (void)snprintf(path, sizeof path, "/api/v1/orders/%s?wait=20&version=%lld", b->order,
                   (long long)b->version);
    buf_init(&request, 8192);
    request_write(&request, b->sale->world.port, "GET", path, b->token, (struct span){0});
    wire_send(b->sale->pool, buf_span(&request), watch_answered, b);
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
    if (s->promise_count == s->stage.places)
        die("more orders than seats");
    b->promise = (uint32_t)s->promise_count++;
    s->promises[b->promise].places = (uint8_t)b->place_count;
    memcpy(s->promises[b->promise].order, b->order, sizeof b->order);
    order_look(b, a->body);
}

static void order_send(void *context)
{
    struct buyer *b = context;
    char json[160];

    (void)snprintf(json, sizeof json, "{\"id\":\"%s\",\"hold\":\"%s\"}", b->order, b->hold);
    post(b, "/api/v1/orders", json, order_answered);
}

/* --- the run ---------------------------------------------------------------------------------------------------------------- */

static void kill_now(void *context)
{
    struct sale *s = context;

    if (s->buyers_done == s->wish->buyers)
        return;
    world_kill(&s->world);
    world_start(&s->world);
    s->kills++;
    wire_after(s->wire, KILL_FIRST_US + dice(s, KILL_EVERY_US), kill_now, s);
}

static void prepare(struct sale *s)
{
    const struct sellout_wish *wish = s->wish;

    s->wire = wire_new();
    s->provider = provider_new(s->wire, wish->provider_ms);
    world_make(&(struct world_wish){.program = wish->program,
                                    .dir = wish->dir,
                                    .provider_port = provider_port(s->provider)},
               &s->world);
    world_start(&s->world);
    s->pool = wire_pool_new(s->wire, s->world.port, wish->connections);
    size_t hooks = wish->connections < 256 ? wish->connections : 256;
    provider_aim(s->provider, s->world.port, s->world.webhook_secret, hooks);
    say("seeding: a stadium of %u, %u fans", wish->seats, wish->buyers);
    seed_stage(s->wire, s->pool, &s->world, wish->seats, PER_ORDER_MAX, &s->stage);
    s->fans = calloc(wish->buyers, sizeof *s->fans);
    s->buyers = calloc(wish->buyers, sizeof *s->buyers);
    s->taken = calloc(s->stage.places, 1);
    s->paid = calloc(s->stage.places, 1);
    s->promises = calloc(s->stage.places, sizeof *s->promises);
    if (!s->fans || !s->buyers || !s->taken || !s->paid || !s->promises)
        die("no memory");
    seed_fans(s->wire, s->pool, s->world.port, s->fans, wish->buyers);
    s->free = s->stage.places;
    rng_fill(rng_system(), &s->random, sizeof s->random);
    s->random |= 1;
}

static void sell(struct sale *s)
{
    for (unsigned i = 0; i < s->wish->buyers; i++) {
        s->buyers[i] = (struct buyer){.sale = s, .token = s->fans[i].token};
        choose(&s->buyers[i]);
    }
    if (s->wish->kill)
        wire_after(s->wire, KILL_FIRST_US, kill_now, s);
    s->last_sale_us = now_us();
    while (s->buyers_done < s->wish->buyers) {
        wire_turn(s->wire, 1000);
        if (now_us() - s->last_sale_us > STALLED_US)
            die("nothing was sold for a minute; %lld of %u tickets so far", (long long)s->tickets,
                s->stage.places);
    }
}

static void write_violations(struct sale *s, const struct findings *f, struct json_writer *w)
{
    json_w_kv_i64(w, "double_sold", f->double_sold + s->client_double);
    json_w_kv_i64(w, "orders_missing", f->orders_missing);
    json_w_kv_i64(w, "tickets_missing", f->tickets_missing);
    json_w_kv_i64(w, "money_out_of_balance", f->money);
    json_w_kv_bool(w, "audit_clean", f->audit == 0);
    json_w_kv_bool(w, "log_verifies", f->log == 0);
    json_w_kv_i64(w, "entries", f->entries);
    json_w_kv_i64(w, "unsold", (int64_t)s->stage.places - f->sold_places);
    json_w_kv_i64(w, "violations",
                  findings_total(f) + s->client_double + (f->tickets != s->tickets));
}

static double own_cpu_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void write_figures(struct sale *s, double seconds, double server_s, double client_s,
                          struct json_writer *w)
{
    json_w_kv_i64(w, "seats", s->stage.places);
    json_w_kv_i64(w, "buyers", s->wish->buyers);
    json_w_kv_i64(w, "per_order", s->wish->per_order);
    json_w_kv_i64(w, "provider_ms", s->wish->provider_ms);
    json_w_kv_i64(w, "connections", s->wish->connections);
    json_w_kv_i64(w, "kills", s->kills);
    write_number(w, "seconds", seconds);
    json_w_kv_i64(w, "sales", s->sales);
    write_number(w, "sales_per_s", (double)s->sales / seconds);
    write_number(w, "tickets_per_s", (double)s->tickets / seconds);
    samples_write(&s->hold_times, w, "hold");
    samples_write(&s->order_times, w, "order");
    samples_write(&s->checkout_times, w, "checkout_wait");
    samples_write(provider_webhook_times(s->provider), w, "webhook");
    json_w_kv_i64(w, "conflicts", s->conflicts);
    json_w_kv_i64(w, "none_left", s->none_left);
    json_w_kv_i64(w, "retries", s->retries);
    json_w_kv_i64(w, "orders_lost", s->lost);
    json_w_kv_i64(w, "refunds", provider_refunds(s->provider));
    write_number(w, "server_cpu_s", server_s);
    write_number(w, "client_cpu_s", client_s);
    json_w_kv_i64(w, "server_rss_peak_kb", s->world.rss_peak_kb);
}

static void finish(struct sale *s)
{
    wire_pool_free(s->pool);
    provider_free(s->provider);
    wire_free(s->wire);
    samples_done(&s->hold_times);
    samples_done(&s->order_times);
    samples_done(&s->checkout_times);
    if (s->wish->keep)
        say("kept: %s", s->world.dir);
    else
        world_remove(&s->world);
    free(s->fans);
    free(s->buyers);
    free(s->taken);
    free(s->paid);
    free(s->promises);
}

static void sellout(const struct sellout_wish *wish, struct json_writer *w)
{
    struct sale s = {.wish = wish};
    struct findings f;

    prepare(&s);
    say("selling %u seats", s.stage.places);
    double server_before = world_cpu_s(&s.world), client_before = own_cpu_s();
    int64_t began = now_us();
    sell(&s);
    double seconds = (double)(s.last_sale_us - began) / 1e6;
    double server_s = world_cpu_s(&s.world) - server_before, client_s = own_cpu_s() - client_before;
    (void)world_rss_kb(&s.world);
    world_stop(&s.world);
    say("checking what was promised");
    check_promises(&s.world, s.promises, s.promise_count, &f);
    double floor = floor_sales(s.world.dir, wish->per_order, 2.0);
    write_figures(&s, seconds, server_s, client_s, w);
    write_number(w, "floor_sales_per_s", floor);
    write_number(w, "ratio_to_floor", (double)s.sales / seconds / floor);
    write_violations(&s, &f, w);
    finish(&s);
}

static void sellout_command_run(struct arguments *a, struct json_writer *w)
{
    struct sellout_wish wish = {.program = arguments_program(a),
                                .dir = arguments_text(a, "--dir", NULL),
                                .seats = arguments_number(a, "--seats", 2000, 100, 250000),
                                .buyers = arguments_number(a, "--buyers", 64, 1, 10000),
                                .per_order =
                                    arguments_number(a, "--per-order", 2, 1, PER_ORDER_MAX),
                                .provider_ms = arguments_number(a, "--provider-ms", 0, 0, 60000),
                                .kill = arguments_flag(a, "--kill"),
                                .keep = arguments_flag(a, "--keep")};

    wish.connections = arguments_number(a, "--connections", wish.buyers, 1, 10000);
    arguments_end(a);
    sellout(&wish, w);
}

const struct bench_command sellout_command = {
    .name = "sellout",
    .summary = "sell a stadium to the last seat through the API",
    .options = "  --seats N         places of the stadium (2000)\n"
               "  --buyers M        buyers in a closed loop (64)\n"
               "  --per-order K     seats a buyer takes, 1 to 10 (2)\n"
               "  --provider-ms L   the provider's latency (0)\n"
               "  --connections C   keep-alive connections (as many as buyers)\n"
               "  --kill            kill -9 the server at random instants, start it again, go on\n"
               "  --keep            leave the data directory where it is\n",
    .run = sellout_command_run,
};
