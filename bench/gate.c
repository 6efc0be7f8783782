/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate - the doors of one event: scanners as fast as they are answered, one alone, at a fixed rate, at that rate while another
 * event sells out, and then all the scans that scanners had stored. Each round has tickets of its own that nobody showed before.
 */
#include <stdlib.h>

#include "command.h"
#include "doors.h"
#include "sale.h"

enum { ALONE_MAX = 1000, FANS = 16, STORED_S = 4 * 3600 };

struct gate_wish {
    unsigned tickets, scanners, rate, seconds, offline, seats, buyers;
    bool sellout;
};

/* Which of the passes each round has. */
struct shares {
    size_t saturated, alone, open, open_in_sale, offline;
};

struct gate {
    const struct gate_wish *wish;
    struct rig rig;
    struct house house;
    struct shares shares;
    struct pass *passes;
    size_t pass_count, pass_next;
    struct fan *fans;
    struct stage stage, sale_stage;
    struct doors *doors;
    struct sale *sale;
    struct sale_wish sale_wish;
    double codes_per_s, scans_per_s;
    int64_t wrong;
};

static struct shares share(const struct gate_wish *wish)
{
    struct shares s = {.saturated = wish->tickets,
                       .alone = wish->tickets < ALONE_MAX ? wish->tickets : ALONE_MAX,
                       .open = (size_t)wish->rate * wish->seconds};

    s.open_in_sale = wish->sellout ? s.open : 0;
    s.offline = wish->offline < wish->tickets ? wish->offline : wish->tickets;
    return s;
}

static unsigned fan_count(const struct gate_wish *wish)
{
    return wish->sellout && wish->buyers > FANS ? wish->buyers : FANS;
}

static void prepare(struct gate *g, const struct rig_wish *rig_wish)
{
    const struct gate_wish *wish = g->wish;
    struct shares *s = &g->shares;

    *s = share(wish);
    g->pass_count = s->saturated + s->alone + s->open + s->open_in_sale + s->offline;
    if (g->pass_count > PASSES_MAX)
        die("that takes %zu tickets; the bench sells %d for one event", g->pass_count, PASSES_MAX);
    g->passes = calloc(g->pass_count, sizeof *g->passes);
    g->fans = calloc(fan_count(wish), sizeof *g->fans);
    if (!g->passes || !g->fans)
        die("no memory");
    rig_begin(&g->rig, rig_wish);
    say("seeding: %zu tickets with their codes, %u scanners", g->pass_count, wish->scanners);
    seed_house(&g->rig, &g->house);
    seed_fans(&g->rig, g->fans, fan_count(wish));
    seed_show(&g->rig, &g->house,
              &(struct show){.name = "Doors open",
                             .seats = (unsigned)(g->pass_count + g->pass_count / 50 + 100),
                             .per_order_max = PASSES_PER_ORDER,
                             .gratis = true,
                             .doors_open = true},
              &g->stage);
    g->doors = doors_new(&g->rig, &g->house, &g->stage, g->passes, wish->scanners);
    if (wish->sellout)
        seed_show(&g->rig, &g->house,
                  &(struct show){.name = "Sell-out",
                                 .seats = wish->seats,
                                 .per_order_max = SALE_PER_ORDER_MAX},
                  &g->sale_stage);
    /* Last, because it may take longer than a session of the owner lasts. */
    passes_buy(&g->rig, &g->stage, g->fans, FANS, g->passes, g->pass_count, &g->codes_per_s);
}

/* Takes the round's passes from those that are left. */
static void begin_round(struct gate *g, struct round_wish *wish, size_t fresh, const char *key,
                        struct round_score *score)
{
    wish->first = g->pass_next;
    wish->fresh = fresh;
    g->pass_next += fresh;
    say("round: %s", key);
    doors_begin(g->doors, wish, score);
}

/* Writes it. Returns scans a second. */
static double end_round(struct gate *g, struct round_score *score, const char *key,
                        struct json_writer *w)
{
    doors_end(g->doors);
    double per_s = (double)score->scans / score->seconds;
    round_write(score, w, key);
    g->wrong += score->wrong;
    round_done(score);
    return per_s;
}

static double run_round(struct gate *g, struct round_wish *wish, size_t fresh, const char *key,
                        struct json_writer *w)
{
    struct round_score score;

    begin_round(g, wish, fresh, key, &score);
    return end_round(g, &score, key, w);
}

/* The open round beside a sale, and the rest of the sale. */
static void round_in_sale(struct gate *g, struct json_writer *w)
{
    const struct gate_wish *wish = g->wish;
    struct round_wish round_wish = {.scanners = wish->scanners,
                                    .mixed = true,
                                    .scans = g->shares.open_in_sale,
                                    .rate = wish->rate};
    struct round_score score;

    g->sale_wish = (struct sale_wish){
        .stage = &g->sale_stage, .fans = g->fans, .buyers = wish->buyers, .per_order = 2};
    g->sale = sale_new(&g->rig, &g->sale_wish);
    begin_round(g, &round_wish, g->shares.open_in_sale, "open_in_sale", &score);
    sale_begin(g->sale);
    while (sale_running(g->sale) && doors_running(g->doors))
        wire_turn(g->rig.wire, 1000);
    double beside_per_s = sale_per_s(g->sale);
    doors_enough(g->doors);
    while (sale_running(g->sale))
        wire_turn(g->rig.wire, 1000);
    (void)end_round(g, &score, "open_in_sale", w);
    json_w_kv_object(w, "sale");
    write_number(w, "sales_per_s_beside_scans", beside_per_s);
    sale_write(g->sale, w);
    json_w_end(w);
}

static void rounds(struct gate *g, struct json_writer *w)
{
    const struct gate_wish *wish = g->wish;
    const struct shares *s = &g->shares;

    g->scans_per_s = run_round(g, &(struct round_wish){.scanners = wish->scanners, .mixed = true},
                               s->saturated, "saturated", w);
    (void)run_round(g, &(struct round_wish){.scanners = 1}, s->alone, "alone", w);
    (void)run_round(
        g,
        &(struct round_wish){
            .scanners = wish->scanners, .mixed = true, .scans = s->open, .rate = wish->rate},
        s->open, "open", w);
    if (wish->sellout)
        round_in_sale(g, w);
    if (wish->offline)
        (void)run_round(g,
                        &(struct round_wish){.scanners = wish->scanners,
                                             .mixed = true,
                                             .scans = wish->offline,
                                             .stored_s = STORED_S},
                        s->offline, "offline", w);
}

static void write_check(struct gate *g, struct json_writer *w)
{
    const struct promise *promises = NULL;
    const struct scan_promise *scans;
    size_t promise_count = 0, scan_count;
    struct scan_findings sf;
    struct findings f;
    int64_t tickets = (int64_t)g->pass_count, seen = 0;

    if (g->sale) {
        promises = sale_promises(g->sale, &promise_count);
        tickets += sale_score(g->sale)->tickets;
        seen = sale_score(g->sale)->double_sold;
    }
    say("checking what was promised");
    check_promises(&g->rig.world, promises, promise_count, true, &f);
    scans = doors_promises(g->doors, &scan_count);
    check_scans(&g->rig.world, scans, scan_count, 0, &sf);
    findings_write(&f, w);
    json_w_kv_bool(w, "audit_clean", f.audit == 0);
    scan_findings_write(&sf, w);
    json_w_kv_i64(w, "answers_wrong", g->wrong);
    json_w_kv_i64(w, "violations",
                  findings_total(&f) + scan_findings_total(&sf) + g->wrong + seen +
                      (f.tickets != tickets));
}

static void gate(const struct gate_wish *wish, const struct rig_wish *rig_wish,
                 struct json_writer *w)
{
    struct gate g = {.wish = wish};

    prepare(&g, rig_wish);
    json_w_kv_i64(w, "tickets", wish->tickets);
    json_w_kv_i64(w, "scanners", wish->scanners);
    json_w_kv_i64(w, "rate", wish->rate);
    json_w_kv_i64(w, "tickets_sold", (int64_t)g.pass_count);
    write_number(w, "first_codes_per_s", g.codes_per_s);
    rounds(&g, w);
    json_w_kv_i64(w, "server_rss_peak_kb", world_rss_kb(&g.rig.world));
    world_stop(&g.rig.world);
    double floor = floor_verifies(1.0);
    write_number(w, "scans_per_s", g.scans_per_s);
    write_number(w, "floor_verifies_per_s", floor);
    write_number(w, "ratio_to_floor", g.scans_per_s / floor);
    write_check(&g, w);
    if (g.sale)
        sale_free(g.sale);
    doors_free(g.doors);
    free(g.fans);
    free(g.passes);
    rig_end(&g.rig);
}

static void gate_command_run(struct arguments *a, struct json_writer *w)
{
    struct rig_wish rig_wish = {.program = arguments_program(a),
                                .dir = arguments_text(a, "--dir", NULL),
                                .keep = arguments_flag(a, "--keep")};
    struct gate_wish wish = {.tickets = arguments_number(a, "--tickets", 20000, 1, PASSES_MAX),
                             .scanners = arguments_number(a, "--scanners", 64, 1, SCANNERS_MAX),
                             .rate = arguments_number(a, "--rate", 500, 1, 100000),
                             .seconds = arguments_number(a, "--seconds", 5, 1, 600),
                             .offline = arguments_number(a, "--offline", 80000, 0, 1000000),
                             .sellout = arguments_flag(a, "--sellout"),
                             .buyers = arguments_number(a, "--buyers", 64, 1, 10000)};

    wish.seats = arguments_number(a, "--seats", 2500 * wish.seconds, 100, 250000);
    rig_wish.connections = wish.buyers > 64 ? wish.buyers : 64;
    arguments_end(a);
    gate(&wish, &rig_wish, w);
}

const struct bench_command gate_command = {
    .name = "gate",
    .summary = "scan the tickets of an event in several ways",
    .options = "  --tickets N       scanned as fast as it goes (20000)\n"
               "  --scanners S      each with a connection (64)\n"
               "  --rate R          scans a second of the open loop (500)\n"
               "  --seconds T       how long it lasts (5)\n"
               "  --offline N       stored scans delivered at the end, N first shown tickets at "
               "most (80000)\n"
               "  --sellout         the open loop once more while another event sells out\n"
               "  --seats N         places of that event (2500 a second)\n"
               "  --buyers M        its buyers (64)\n"
               "  --keep            leave the data directory where it is\n",
    .run = gate_command_run,
};
