/* SPDX-License-Identifier: Apache-2.0 */
#include "passes.h"

#include <stdlib.h>
#include <string.h>

enum { FETCHERS = 64, BUSY_US = 5000 };

/* --- orders ------------------------------------------------------------------------------------------------------------------ */

struct shopping {
    struct rig *rig;
    const struct stage *stage;
    const struct fan *fans;
    struct pass *passes;
    size_t count, next, shoppers;
};

struct shopper {
    struct shopping *all;
    uint32_t fan;
    size_t first, count; /* of the passes being bought */
    char hold[ID_TEXT_MAX], order[ID_TEXT_MAX];
};

static void ask(struct rig *r, const char *method, const char *path, const char *token,
                struct span json, wire_answer_fn *answered, void *context)
{
    struct buf *request = wire_scratch(r->pool);

    request_write(request, r->world.port, method, path, token, json);
    wire_send(r->pool, buf_span(request), answered, context);
}

static void shop(struct shopper *s);

/* The ids in "tickets":["tkt_...", ...] */
static void take_tickets(struct shopper *s, struct span order)
{
    static const char key[] = "\"tickets\":[";
    const uint8_t *at = memmem(order.data, order.len, key, sizeof key - 1);
    struct span rest = {0};

    if (at)
        rest =
            span_of(at + sizeof key - 1, (size_t)(order.data + order.len - at) - (sizeof key - 1));
    for (size_t i = 0; i < s->count; i++) {
        struct pass *p = &s->all->passes[s->first + i];
        rest = span_sub(rest, span_find(rest, '"') + 1, rest.len);
        size_t end = span_find(rest, '"');
        if (end != ID_TEXT_MAX - 2 || !span_starts(rest, "tkt_"))
            die("a gratis order has no tickets: " SPAN_FMT, SPAN_ARG(order));
        must(span_to_text(span_sub(rest, 0, end), p->ticket, sizeof p->ticket), "ticket");
        p->fan = s->fan;
        rest = span_sub(rest, end + 1, rest.len);
    }
}

static void order_answered(void *context, const struct wire_answer *a)
{
    struct shopper *s = context;

    if (a->status != 201)
        die("a gratis order was answered %d: " SPAN_FMT, a->status, SPAN_ARG(a->body));
    take_tickets(s, a->body);
    shop(s);
}

static void hold_answered(void *context, const struct wire_answer *a)
{
    struct shopper *s = context;
    char json[160];

    if (a->status != 201)
        die("a hold was answered %d: " SPAN_FMT, a->status, SPAN_ARG(a->body));
    new_id(s->order, "ord");
    (void)snprintf(json, sizeof json, "{\"id\":\"%s\",\"hold\":\"%s\"}", s->order, s->hold);
    ask(s->all->rig, "POST", "/api/v1/orders", s->all->fans[s->fan].token, span_text(json),
        order_answered, s);
}

static void shop(struct shopper *s)
{
    struct shopping *all = s->all;
    AUTO(buf_done) struct buf json = {0};
    char path[128];

    s->first = all->next;
    s->count =
        all->count - all->next < PASSES_PER_ORDER ? all->count - all->next : PASSES_PER_ORDER;
    if (s->count == 0) {
        all->shoppers--;
        return;
    }
    all->next += s->count;
    new_id(s->hold, "hld");
    buf_init(&json, 1024);
    buf_printf(&json, "{\"id\":\"%s\",\"places\":[", s->hold);
    for (size_t i = 0; i < s->count; i++)
        buf_printf(&json, "%s%zu", i ? "," : "", s->first + i);
    buf_put_text(&json, "]}");
    (void)snprintf(path, sizeof path, "/api/v1/events/%s/holds", all->stage->event);
    ask(all->rig, "POST", path, all->fans[s->fan].token, buf_span(&json), hold_answered, s);
}

/* --- codes ------------------------------------------------------------------------------------------------------------------- */

struct fetching {
    struct rig *rig;
    const struct fan *fans;
    struct pass *passes;
    size_t count, next, fetchers;
};

struct fetcher {
    struct fetching *all;
    struct pass *pass;
};

static void fetch(void *context);
static void fetch_next(struct fetcher *f);

static void code_answered(void *context, const struct wire_answer *a)
{
    struct fetcher *f = context;
    struct span code;

    if (a->status == 503) {
        wire_after(f->all->rig->wire, BUSY_US, fetch, f);
        return;
    }
    if (a->status != 200 || !find_text(a->body, "code", &code))
        die("a ticket's code was answered %d: " SPAN_FMT, a->status, SPAN_ARG(a->body));
    must(span_to_text(code, f->pass->code, sizeof f->pass->code), "code");
    fetch_next(f);
}

static void fetch(void *context)
{
    struct fetcher *f = context;
    char path[128];

    (void)snprintf(path, sizeof path, "/api/v1/tickets/%s/code", f->pass->ticket);
    ask(f->all->rig, "GET", path, f->all->fans[f->pass->fan].token, (struct span){0}, code_answered,
        f);
}

static void fetch_next(struct fetcher *f)
{
    if (f->all->next == f->all->count) {
        f->all->fetchers--;
        return;
    }
    f->pass = &f->all->passes[f->all->next++];
    fetch(f);
}

/* Returns codes a second. */
static double fetch_codes(struct rig *r, const struct fan *fans, struct pass *passes, size_t count)
{
    struct fetching all = {.rig = r, .fans = fans, .passes = passes, .count = count};
    struct fetcher fetchers[FETCHERS];
    int64_t began = now_us();

    for (size_t i = 0; i < FETCHERS; i++) {
        fetchers[i] = (struct fetcher){.all = &all};
        all.fetchers++;
        fetch_next(&fetchers[i]);
    }
    while (all.fetchers)
        wire_turn(r->wire, 1000);
    return (double)count * 1e6 / (double)(now_us() - began);
}

void passes_buy(struct rig *r, const struct stage *stage, const struct fan *fans, size_t fan_count,
                struct pass *passes, size_t count, double *ret_codes_per_s)
{
    struct shopping all = {
        .rig = r, .stage = stage, .fans = fans, .passes = passes, .count = count};
    struct shopper *shoppers = calloc(fan_count, sizeof *shoppers);

    if (!shoppers)
        die("no memory");
    if (stage->places < count)
        die("the stadium has %u places for %zu tickets", stage->places, count);
    for (uint32_t i = 0; i < fan_count; i++) {
        shoppers[i] = (struct shopper){.all = &all, .fan = i};
        all.shoppers++;
        shop(&shoppers[i]);
    }
    while (all.shoppers)
        wire_turn(r->wire, 1000);
    free(shoppers);
    *ret_codes_per_s = fetch_codes(r, fans, passes, count);
}
