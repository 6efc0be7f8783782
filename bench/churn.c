/* SPDX-License-Identifier: Apache-2.0 */
#include "churn.h"

#include <stdlib.h>
#include <string.h>

enum {
    LIVE_PER_FAN = 4, /* the server allows five */
    FANS_MIN = 4,
    FANS_MAX = 1024,
    RATE_PER_FAN = 8, /* a hold of half a second is kept up with */
    TICK_US = 1000,
    RETRY_US = 5000,
    REST_MAX_US = 30000000
};

struct slot {
    struct churn *churn;
    const char *token;
    char hold[ID_TEXT_MAX];
    uint32_t place; /* the first */
    int64_t due_us;
};

struct churn {
    struct wire *wire;
    struct wire_pool *pool;
    uint16_t port;
    const struct stage *stage;
    unsigned rate;
    struct fan *fans;
    struct slot *slots, **idle;
    size_t slot_count, idle_count;
    uint8_t *live; /* a byte a place */
    uint32_t next_place;
    bool going, ticking;
    int64_t began_us, begun; /* of this going */
    int64_t held, released, behind, busy;
    struct churn_log log;
    struct samples times;
};

static void log_put(struct churn_log *l, uint32_t place, int64_t answered_us)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 4096;
        l->seats = realloc(l->seats, l->cap * sizeof *l->seats);
        if (!l->seats)
            die("no memory for holds");
    }
    l->seats[l->count++] = (struct held_seat){place, answered_us};
}

static void send(struct slot *s, const char *method, const char *path, const char *json,
                 wire_answer_fn *answered)
{
    struct buf *request = wire_scratch(s->churn->pool);

    request_write(request, s->churn->port, method, path, s->token, span_text(json));
    wire_send(s->churn->pool, buf_span(request), answered, s);
}

static void slot_free(struct slot *s)
{
    struct churn *c = s->churn;

    for (uint32_t i = 0; i < CHURN_SEATS; i++)
        c->live[s->place + i] = 0;
    c->idle[c->idle_count++] = s;
}

/* --- a hold's life --------------------------------------------------------------------------------------------------------- */

static void release(void *context);

static void released(void *context, const struct wire_answer *a)
{
    struct slot *s = context;

    if (a->status == 503) {
        s->churn->busy++;
        wire_after(s->churn->wire, RETRY_US, release, s);
        return;
    }
    if (a->status != 204)
        die("a release was answered %d: " SPAN_FMT, a->status, SPAN_ARG(a->body));
    s->churn->released++;
    slot_free(s);
}

static void release(void *context)
{
    struct slot *s = context;
    char path[128];

    (void)snprintf(path, sizeof path, "/api/v1/holds/%s", s->hold);
    send(s, "DELETE", path, "", released);
}

static void held(void *context, const struct wire_answer *a)
{
    struct slot *s = context;
    struct churn *c = s->churn;
    int64_t now = now_us();

    if (a->status == 503) {
        c->busy++;
        slot_free(s);
        return;
    }
    if (a->status != 201)
        die("a hold was answered %d: " SPAN_FMT, a->status, SPAN_ARG(a->body));
    c->held++;
    samples_add(&c->times, now - s->due_us);
    for (uint32_t i = 0; i < CHURN_SEATS; i++)
        log_put(&c->log, s->place + i, now);
    wire_after(c->wire, CHURN_KEPT_MS * 1000, release, s);
}

/* The next two free seats, round and round; false when the house is full. */
static bool choose(struct churn *c, uint32_t *ret_place)
{
    for (uint32_t looked = 0; looked < c->stage->places; looked += CHURN_SEATS) {
        uint32_t at = c->next_place;
        c->next_place += CHURN_SEATS;
        if (c->next_place + CHURN_SEATS > c->stage->places)
            c->next_place = 0;
        if (!c->live[at] && !c->live[at + 1]) {
            *ret_place = at;
            return true;
        }
    }
    return false;
}

static void begin(struct churn *c, int64_t due_us)
{
    char path[128], json[160];
    uint32_t place;

    if (c->idle_count == 0 || !choose(c, &place)) {
        c->behind++;
        return;
    }
    struct slot *s = c->idle[--c->idle_count];
    s->place = place;
    s->due_us = due_us;
    for (uint32_t i = 0; i < CHURN_SEATS; i++)
        c->live[place + i] = 1;
    new_id(s->hold, "hld");
    (void)snprintf(path, sizeof path, "/api/v1/events/%s/holds", c->stage->event);
    (void)snprintf(json, sizeof json, "{\"id\":\"%s\",\"places\":[%u,%u]}", s->hold, place,
                   place + 1);
    send(s, "POST", path, json, held);
}

static void tick(void *context)
{
    struct churn *c = context;

    c->ticking = c->going;
    if (!c->going)
        return;
    int64_t due = (now_us() - c->began_us) * c->rate / 1000000;
    for (; c->begun < due; c->begun++)
        begin(c, c->began_us + c->begun * 1000000 / c->rate);
    wire_after(c->wire, TICK_US, tick, c);
}

/* --- the whole ---------------------------------------------------------------------------------------------------------------- */

static size_t fans_for(unsigned rate)
{
    size_t wanted = rate / RATE_PER_FAN;

    return wanted < FANS_MIN ? FANS_MIN : wanted > FANS_MAX ? FANS_MAX : wanted;
}

struct churn *churn_new(struct rig *r, const struct stage *stage, unsigned rate)
{
    struct churn *c = calloc(1, sizeof *c);
    size_t fans = fans_for(rate);

    if (!c)
        die("no memory");
    *c = (struct churn){.wire = r->wire, .port = r->world.port, .stage = stage, .rate = rate};
    if (rate == 0)
        return c;
    c->slot_count = fans * LIVE_PER_FAN;
    c->pool = wire_pool_new(r->wire, r->world.port, c->slot_count);
    c->fans = calloc(fans, sizeof *c->fans);
    c->slots = calloc(c->slot_count, sizeof *c->slots);
    c->idle = calloc(c->slot_count, sizeof(struct slot *));
    c->live = calloc(stage->places + CHURN_SEATS, 1);
    if (!c->fans || !c->slots || !c->idle || !c->live)
        die("no memory");
    say("seeding: %zu fans", fans);
    seed_fans(r, c->fans, fans);
    for (size_t i = 0; i < c->slot_count; i++) {
        c->slots[i] = (struct slot){.churn = c, .token = c->fans[i % fans].token};
        c->idle[c->idle_count++] = &c->slots[i];
    }
    return c;
}

void churn_free(struct churn *c)
{
    if (c->pool)
        wire_pool_free(c->pool);
    free(c->fans);
    free(c->slots);
    free(c->idle);
    free(c->live);
    free(c->log.seats);
    samples_done(&c->times);
    free(c);
}

void churn_go(struct churn *c)
{
    if (c->rate == 0)
        return;
    c->going = true;
    c->began_us = now_us();
    c->begun = 0;
    tick(c);
}

void churn_rest(struct churn *c)
{
    int64_t until = now_us() + REST_MAX_US;

    c->going = false;
    while (c->idle_count < c->slot_count || c->ticking) {
        wire_turn(c->wire, 100);
        if (now_us() > until)
            die("holds are still open after 30 s");
    }
}

const struct churn_log *churn_log(const struct churn *c)
{
    return &c->log;
}

void churn_log_reset(struct churn *c)
{
    c->log.count = 0;
}

int64_t churn_held(const struct churn *c)
{
    return c->held;
}

void churn_write(struct churn *c, struct json_writer *w)
{
    json_w_kv_i64(w, "holds", c->held);
    json_w_kv_i64(w, "releases", c->released);
    json_w_kv_i64(w, "holds_not_begun", c->behind);
    json_w_kv_i64(w, "holds_busy", c->busy);
    samples_write(&c->times, w, "hold_from_due");
}
