/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login - passwords at full speed: sign-ins in a closed loop, beside the bare Argon2id rate of this machine; with --sales also what
 * they take away from a sale: the same stadium is sold twice, the second time beside sign-ins at full speed.
 */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "floors.h"
#include "loop.h"
#include "sale.h"

struct login_wish {
    unsigned accounts, in_flight, seconds, seats, buyers;
    bool sales;
};

struct signing {
    const struct rig *rig;
    unsigned accounts;
    unsigned next; /* account */
    int64_t busy;  /* told to come back */
};

static bool sign_in_ask(void *context, unsigned slot, struct buf *request)
{
    struct signing *s = context;

    (void)slot;
    seed_sign_in(request, s->rig->world.port, s->next);
    s->next = s->next + 1 == s->accounts ? 0 : s->next + 1;
    return true;
}

static void sign_in_answered(void *context, unsigned slot, const struct wire_answer *a)
{
    struct signing *s = context;

    (void)slot;
    if (a->status == 503)
        s->busy++;
    else if (a->status != 200)
        die("a sign-in was answered %d: " SPAN_FMT, a->status, SPAN_ARG(a->body));
}

/* Connections of their own: the buyers' would wait behind them. */
static void loop_make(struct loop *l, struct signing *s, const struct rig *r,
                      const struct login_wish *wish)
{
    *s = (struct signing){.rig = r, .accounts = wish->accounts};
    *l = (struct loop){.wire = r->wire,
                       .pool = wire_pool_new(r->wire, r->world.port, wish->in_flight),
                       .slots = wish->in_flight,
                       .until_us = INT64_MAX,
                       .ask = sign_in_ask,
                       .answered = sign_in_answered,
                       .context = s};
}

static void loop_free(struct loop *l)
{
    wire_pool_free(l->pool);
    loop_done(l);
}

/* Returns sign-ins a second. */
static double write_signing(const struct signing *s, struct loop *l, struct json_writer *w)
{
    double rate =
        loop_rate(l) * (double)(l->answers - s->busy) / (double)(l->answers ? l->answers : 1);

    write_number(w, "sign_ins_per_s", rate);
    json_w_kv_i64(w, "busy", s->busy);
    samples_write(&l->times, w, "sign_in");
    return rate;
}

/* --- nothing else goes on ------------------------------------------------------------------------------------------------------- */

static void idle(struct rig *r, const struct login_wish *wish, struct json_writer *w)
{
    struct signing s;
    struct loop l;

    loop_make(&l, &s, r, wish);
    say("signing in");
    struct cost cost = cost_now(r);
    l.until_us = now_us() + wish->seconds * 1000000LL;
    loop_run(&l);
    cost = cost_since(r, &cost);
    double floor = floor_passwords(floor_processors(), wish->seconds < 3 ? wish->seconds : 3);
    json_w_kv_object(w, "idle");
    double rate = write_signing(&s, &l, w);
    cost_write(&cost, w);
    json_w_kv_i64(w, "floor_threads", floor_processors());
    write_number(w, "floor_argon2id_per_s", floor);
    write_number(w, "ratio_to_floor", rate / floor);
    json_w_end(w);
    loop_free(&l);
}

/* --- beside a sale --------------------------------------------------------------------------------------------------------------- */

/* What was promised in all sales of the run. */
struct kept {
    struct promise *list;
    size_t count;
    int64_t tickets, double_sold;
};

static void keep_promises(struct kept *kept, const struct sale *s)
{
    size_t count;
    const struct promise *promises = sale_promises(s, &count);

    kept->list = realloc(kept->list, (kept->count + count + 1) * sizeof *kept->list);
    if (!kept->list)
        die("no memory");
    memcpy(kept->list + kept->count, promises, count * sizeof *promises);
    kept->count += count;
    kept->tickets += sale_score(s)->tickets;
    kept->double_sold += sale_score(s)->double_sold;
}

/* Turn until the stadium is sold, beside sign-ins when there are any, and then until those are answered. */
static struct cost turn(struct rig *r, struct sale *s, struct loop *beside)
{
    struct cost cost = cost_now(r);

    if (beside)
        loop_begin(beside);
    sale_begin(s);
    while (sale_running(s))
        wire_turn(r->wire, 1000);
    cost = cost_since(r, &cost);
    if (!beside)
        return cost;
    beside->until_us = 0;
    while (!loop_is_over(beside))
        wire_turn(r->wire, 1000);
    return cost;
}

/* Sell a stadium; returns sales a second. */
static double sell(struct rig *r, const struct login_wish *wish, const struct sale_wish *sale_wish,
                   bool beside, struct kept *kept, struct json_writer *w)
{
    struct sale *s = sale_new(r, sale_wish);
    struct signing signing;
    struct loop l;

    loop_make(&l, &signing, r, wish);
    say("selling %u seats%s", sale_wish->stage->places, beside ? " beside sign-ins" : "");
    struct cost cost = turn(r, s, beside ? &l : NULL);
    json_w_kv_object(w, beside ? "sale_beside_sign_ins" : "sale_alone");
    sale_write(s, w);
    samples_done(provider_webhook_times(r->provider)); /* the next sale begins anew */
    if (beside)
        (void)write_signing(&signing, &l, w);
    cost_write(&cost, w);
    json_w_end(w);
    double rate = sale_per_s(s);
    keep_promises(kept, s);
    sale_free(s);
    loop_free(&l);
    return rate;
}

/* The same stadium twice, to the same buyers. */
static void sales(struct rig *r, const struct login_wish *wish, const struct fan *fans,
                  struct kept *kept, struct json_writer *w)
{
    struct show show = {.name = "Alone", .seats = wish->seats, .per_order_max = SALE_PER_ORDER_MAX};
    struct sale_wish sale_wish = {.fans = fans, .buyers = wish->buyers, .per_order = 2};
    struct house house;
    struct stage stage;
    double rates[2];

    seed_house(r, &house);
    sale_wish.stage = &stage;
    for (int beside = 0; beside < 2; beside++) {
        seed_show(r, &house, &show, &stage);
        rates[beside] = sell(r, wish, &sale_wish, beside, kept, w);
        show.name = "Beside";
    }
    write_number(w, "sales_lost_part", 1 - rates[1] / rates[0]);
}

/* --- the run ---------------------------------------------------------------------------------------------------------------------- */

static void login(const struct rig_wish *rig_wish, const struct login_wish *wish,
                  struct json_writer *w)
{
    size_t fan_count = wish->sales && wish->buyers > wish->accounts ? wish->buyers : wish->accounts;
    struct fan *fans = calloc(fan_count, sizeof *fans);
    struct kept kept = {0};
    struct findings f;
    struct rig r;

    if (!fans)
        die("no memory");
    rig_begin(&r, rig_wish);
    say("seeding: %zu fans", fan_count);
    seed_fans(&r, fans, fan_count);
    json_w_kv_i64(w, "accounts", wish->accounts);
    json_w_kv_i64(w, "in_flight", wish->in_flight);
    idle(&r, wish, w);
    if (wish->sales)
        sales(&r, wish, fans, &kept, w);
    (void)world_rss_kb(&r.world);
    world_stop(&r.world);
    say("checking what was promised");
    check_promises(&r.world, kept.list, kept.count, true, &f);
    json_w_kv_i64(w, "server_rss_peak_kb", r.world.rss_peak_kb);
    json_w_kv_i64(w, "violations",
                  findings_total(&f) + kept.double_sold + (f.tickets != kept.tickets));
    free(kept.list);
    free(fans);
    rig_end(&r);
}

static void login_command_run(struct arguments *a, struct json_writer *w)
{
    struct rig_wish rig_wish = {.program = arguments_program(a),
                                .dir = arguments_text(a, "--dir", NULL)};
    struct login_wish wish = {.accounts = arguments_number(a, "--accounts", 64, 1, 100000),
                              .in_flight = arguments_number(a, "--concurrency", 8, 1, 1000),
                              .seconds = arguments_number(a, "--seconds", 5, 1, 600),
                              .sales = arguments_flag(a, "--sales"),
                              .seats = arguments_number(a, "--seats", 4000, 100, 250000),
                              .buyers = arguments_number(a, "--buyers", 64, 1, 10000)};

    arguments_end(a);
    rig_wish.connections = wish.buyers;
    login(&rig_wish, &wish, w);
}

const struct bench_command login_command = {
    .name = "login",
    .summary = "sign in with passwords, alone and beside a sale",
    .options = "  --accounts N      that sign in by turns (64)\n"
               "  --concurrency C   sign-ins in flight (8)\n"
               "  --seconds T       of sign-ins alone (5)\n"
               "  --sales           then sell a stadium twice, alone and beside sign-ins\n"
               "  --seats S         of that stadium (4000)\n"
               "  --buyers M        of that stadium (64)\n",
    .run = login_command_run,
};
