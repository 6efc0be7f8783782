/* SPDX-License-Identifier: Apache-2.0 */
/* sellout - one sale (sale.h) on a server of its own, if wished with the server killed on the way. */
#include <stdlib.h>

#include "command.h"
#include "copies.h"
#include "sale.h"

enum { KILLS = 10, KILLS_MAX = 1000, LOOK_US = 1000 };

/* Buyers and provider go on while the server is down, as they would. */
struct killer {
    struct rig *rig;
    const struct sale *sale;
    const unsigned *at; /* tickets sold, ascending; of those still to come */
    size_t left;
    int64_t killed_us;    /* 0: it is up */
    struct samples *down; /* from each kill until it is ready again */
};

static void await_instant(void *context);

static void await_ready(void *context)
{
    struct killer *k = context;

    if (!world_ready(&k->rig->world)) {
        wire_after(k->rig->wire, LOOK_US, await_ready, k);
        return;
    }
    samples_add(k->down, now_us() - k->killed_us);
    k->killed_us = 0;
    await_instant(k);
}

static void await_end(void *context)
{
    struct killer *k = context;

    if (world_gone(&k->rig->world)) {
        world_begin(&k->rig->world);
        await_ready(k);
    } else {
        wire_after(k->rig->wire, LOOK_US, await_end, k);
    }
}

static void await_instant(void *context)
{
    struct killer *k = context;

    if (k->left == 0 || !sale_running(k->sale))
        return;
    if (sale_score(k->sale)->tickets < *k->at) {
        wire_after(k->rig->wire, LOOK_US, await_instant, k);
        return;
    }
    k->at++;
    k->left--;
    k->killed_us = now_us();
    world_kill(&k->rig->world);
    await_end(k);
}

static int ascending(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

/* Why tickets and not seconds: else a slower machine is killed more often, and two of them cannot be compared. Not of the last, which go at once. */
static void draw_instants(unsigned *at, size_t count, unsigned tickets)
{
    for (size_t i = 0; i < count; i++)
        at[i] = (unsigned)rng_below(rng_system(), tickets - tickets / 10);
    qsort(at, count, sizeof *at, ascending);
}

/* What goes on beside the sale. */
struct beside {
    unsigned kills, at[KILLS_MAX];
    struct killer killer;
    bool backup;
    struct samples down; /* one of each kill */
    struct copying copying;
};

static void write_violations(const struct sale *s, const struct stage *stage,
                             const struct findings *f, const struct beside *beside,
                             struct json_writer *w)
{
    const struct sale_score *score = sale_score(s);

    findings_write(f, w);
    json_w_kv_i64(w, "double_sold_seen", score->double_sold);
    json_w_kv_bool(w, "audit_clean", f->audit == 0);
    json_w_kv_i64(w, "unsold", (int64_t)stage->places - f->sold_places);
    json_w_kv_i64(w, "violations",
                  findings_total(f) + score->double_sold + (f->tickets != score->tickets) +
                      (beside->backup && !beside->copying.sound));
}

static void sell(struct rig *r, struct sale *s, unsigned tickets, struct beside *beside)
{
    struct killer *killer = &beside->killer;
    struct copies *copies = beside->backup ? copies_begin(&r->world) : NULL;

    draw_instants(beside->at, beside->kills, tickets);
    *killer = (struct killer){
        .rig = r, .sale = s, .at = beside->at, .left = beside->kills, .down = &beside->down};
    sale_begin(s);
    await_instant(killer);
    while (sale_running(s) || killer->killed_us)
        wire_turn(r->wire, 1000);
    if (copies)
        copies_end(copies, &beside->copying);
}

static void write_beside(struct beside *b, struct json_writer *w)
{
    json_w_kv_i64(w, "kills", (int64_t)b->down.count);
    if (b->down.count)
        samples_write(&b->down, w, "down");
    if (!b->backup)
        return;
    json_w_kv_object(w, "backup");
    json_w_kv_i64(w, "copies", b->copying.count);
    write_number(w, "seconds", b->copying.seconds);
    json_w_kv_i64(w, "bytes", b->copying.bytes);
    json_w_kv_bool(w, "sound", b->copying.sound);
    json_w_end(w);
}

static void sellout(const struct rig_wish *rig_wish, unsigned seats, struct sale_wish *wish,
                    struct beside *beside, struct json_writer *w)
{
    struct rig r;
    struct house house;
    struct stage stage;
    struct findings f;
    size_t promise_count;
    struct fan *fans = calloc(wish->buyers, sizeof *fans);

    if (!fans)
        die("no memory");
    rig_begin(&r, rig_wish);
    say("seeding: a stadium of %u, %u fans", seats, wish->buyers);
    seed_house(&r, &house);
    seed_show(
        &r, &house,
        &(struct show){.name = "Sell-out", .seats = seats, .per_order_max = SALE_PER_ORDER_MAX},
        &stage);
    seed_fans(&r, fans, wish->buyers);
    wish->stage = &stage;
    wish->fans = fans;
    struct sale *s = sale_new(&r, wish);
    say("selling %u seats", stage.places);
    struct cost cost = cost_now(&r);
    sell(&r, s, stage.places, beside);
    cost = cost_since(&r, &cost);
    (void)world_rss_kb(&r.world);
    world_stop(&r.world);
    say("checking what was promised");
    const struct promise *promises = sale_promises(s, &promise_count);
    check_promises(&r.world, promises, promise_count, true, &f);
    double floor = floor_sales(r.world.dir, wish->per_order, 2.0);
    sale_write(s, w);
    json_w_kv_i64(w, "provider_ms", rig_wish->provider_ms);
    json_w_kv_i64(w, "connections", (int64_t)rig_wish->connections);
    write_beside(beside, w);
    samples_done(&beside->down);
    json_w_kv_i64(w, "refunds", provider_refunds(r.provider));
    cost_write(&cost, w);
    json_w_kv_i64(w, "server_rss_peak_kb", r.world.rss_peak_kb);
    write_number(w, "floor_sales_per_s", floor);
    write_number(w, "ratio_to_floor", sale_per_s(s) / floor);
    write_violations(s, &stage, &f, beside, w);
    sale_free(s);
    free(fans);
    rig_end(&r);
}

static void sellout_command_run(struct arguments *a, struct json_writer *w)
{
    struct rig_wish rig_wish = {.program = arguments_program(a),
                                .dir = arguments_text(a, "--dir", NULL),
                                .provider_ms = arguments_number(a, "--provider-ms", 0, 0, 60000),
                                .keep = arguments_flag(a, "--keep")};
    struct sale_wish wish = {.buyers = arguments_number(a, "--buyers", 64, 1, 10000),
                             .per_order =
                                 arguments_number(a, "--per-order", 2, 1, SALE_PER_ORDER_MAX)};
    unsigned seats = arguments_number(a, "--seats", 2000, 100, 250000);
    bool kill = arguments_flag(a, "--kill");
    struct beside beside = {.kills = arguments_number(a, "--kills", kill ? KILLS : 0, 0, KILLS_MAX),
                            .backup = arguments_flag(a, "--backup")};

    wish.apart = arguments_flag(a, "--apart");
    rig_wish.connections = arguments_number(a, "--connections", wish.buyers, 1, 10000);
    arguments_end(a);
    sellout(&rig_wish, seats, &wish, &beside, w);
}

const struct bench_command sellout_command = {
    .name = "sellout",
    .summary = "sell a stadium to the last seat through the API",
    .options =
        "  --seats N         places of the stadium (2000)\n"
        "  --buyers M        buyers in a closed loop (64)\n"
        "  --per-order K     seats a buyer takes, 1 to 10 (2)\n"
        "  --provider-ms L   the provider's latency (0)\n"
        "  --connections C   keep-alive connections (as many as buyers)\n"
        "  --apart           order first, then wait for the payment page by a request of its own\n"
        "  --backup          the database is backed up again and again meanwhile\n"
        "  --kill            kill -9 the server at ten random instants of the sale, start it "
        "again, go on\n"
        "  --kills N         the same N times\n"
        "  --keep            leave the data directory where it is\n",
    .run = sellout_command_run,
};
