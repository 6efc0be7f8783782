/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grow - the same small sell-out, and some scans, with more and more tickets in the file. The first time with none: that sale is
 * what the past events of the later sizes are copies of (fill.h). Every size begins with the server started on a file
 * that the kernel has forgotten.
 */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "doors.h"
#include "fill.h"
#include "sale.h"

enum { SIZES_MAX = 8, TICKETS_MAX = 20000000, FANS_MIN = 4 };

struct grow_wish {
    size_t sizes[SIZES_MAX];
    size_t size_count;
    unsigned seats, buyers, per_order, scans, scanners;
};

struct grow {
    const struct grow_wish *wish;
    struct rig rig;
    struct house house;
    struct fan *fans;
    struct stage stages
        [SIZES_MAX]; /* one sale a size: a session of the owner does not outlive a long fill */
    struct stage door_stage;
    struct pass *passes;
    size_t pass_count, pass_next;
    struct doors *doors;
    struct fill fill;
    double floor, sales_per_s[SIZES_MAX], cpu_per_sale_s[SIZES_MAX];
    int64_t tickets; /* sold through the API */
    int64_t violations;
};

/* What one size showed. */
struct figures {
    double fill_s, start_s, first_scan_s;
    int64_t file_bytes;
    long rss_start_kb, rss_end_kb;
};

static void prepare(struct grow *g, const struct rig_wish *rig_wish)
{
    const struct grow_wish *wish = g->wish;
    unsigned fans = wish->buyers < FANS_MIN ? FANS_MIN : wish->buyers;
    double codes_per_s;

    g->pass_count = wish->size_count * (wish->scans + 1);
    g->passes = calloc(g->pass_count, sizeof *g->passes);
    g->fans = calloc(fans, sizeof *g->fans);
    if (!g->passes || !g->fans)
        die("no memory");
    rig_begin(&g->rig, rig_wish);
    say("seeding: %zu shows, %zu tickets with their codes, %u fans", wish->size_count + 1,
        g->pass_count, fans);
    seed_house(&g->rig, &g->house);
    seed_fans(&g->rig, g->fans, fans);
    for (size_t i = 0; i < wish->size_count; i++)
        seed_show(&g->rig, &g->house,
                  &(struct show){.name = "Sell-out",
                                 .seats = wish->seats,
                                 .per_order_max = SALE_PER_ORDER_MAX},
                  &g->stages[i]);
    seed_show(&g->rig, &g->house,
              &(struct show){.name = "Doors open",
                             .seats = (unsigned)(g->pass_count + g->pass_count / 50 + 100),
                             .per_order_max = PASSES_PER_ORDER,
                             .gratis = true,
                             .doors_open = true},
              &g->door_stage);
    passes_buy(&g->rig, &g->door_stage, g->fans, FANS_MIN, g->passes, g->pass_count, &codes_per_s);
    g->tickets = (int64_t)g->pass_count;
    g->doors = doors_new(&g->rig, &g->house, &g->door_stage, g->passes, wish->scanners);
    world_stop(&g->rig.world);
    g->floor = floor_sales(g->rig.world.dir, wish->per_order, 2.0);
}

static void scan(struct grow *g, unsigned scanners, size_t count, struct round_score *ret_score)
{
    struct round_wish wish = {.first = g->pass_next, .fresh = count, .scanners = scanners};

    g->pass_next += count;
    doors_round(g->doors, &wish, ret_score);
    g->violations += ret_score->wrong;
}

/* Until a scanner has its first answer: the time of the start, and that of the scan, which was made before. */
static void start(struct grow *g, struct figures *f)
{
    struct round_score score;
    int64_t began = now_us();

    wire_pool_close(g->rig.pool);
    world_start(&g->rig.world);
    f->start_s = (double)(now_us() - began) / 1e6;
    scan(g, 1, 1, &score);
    f->first_scan_s = f->start_s + (double)score.times.us[0] / 1e6;
    f->rss_start_kb = world_rss_now_kb(&g->rig.world);
    round_done(&score);
}

static void write_check(struct grow *g, size_t size, const struct sale *sale, struct json_writer *w)
{
    struct findings f;
    struct scan_findings sf;
    size_t promise_count, scan_count;
    const struct promise *promises = sale_promises(sale, &promise_count);
    const struct scan_promise *scans = doors_promises(g->doors, &scan_count);
    bool audit = g->fill.tickets == 0;

    say("checking what was promised");
    g->tickets += sale_score(sale)->tickets;
    check_promises(&g->rig.world, promises, promise_count, audit, &f);
    check_scans(&g->rig.world, scans, scan_count, g->fill.scans, &sf);
    findings_write(&f, w);
    scan_findings_write(&sf, w);
    if (audit)
        json_w_kv_cstr(w, "audit", f.audit == 0 ? "clean" : "not clean");
    else
        json_w_kv_cstr(w, "audit", "not asked: filled rows have no entries");
    int64_t findings = findings_total(&f) + scan_findings_total(&sf) +
                       sale_score(sale)->double_sold + (f.tickets != g->tickets + g->fill.tickets);
    json_w_kv_i64(w, "findings", findings);
    json_w_kv_i64(w, "unsold", (int64_t)g->stages[size].places - sale_score(sale)->tickets);
    g->violations += findings;
}

static void write_start(const struct grow *g, const struct figures *f, struct json_writer *w)
{
    json_w_kv_i64(w, "tickets_before", g->tickets + g->fill.tickets);
    json_w_kv_i64(w, "tickets_filled", g->fill.tickets);
    json_w_kv_i64(w, "file_bytes", f->file_bytes);
    write_number(w, "fill_s", f->fill_s);
    write_number(w, "start_s", f->start_s);
    write_number(w, "first_scan_s", f->first_scan_s);
    json_w_kv_i64(w, "rss_start_kb", f->rss_start_kb);
}

static void measure(struct grow *g, size_t size, struct json_writer *w)
{
    const struct grow_wish *wish = g->wish;
    struct sale_wish sale_wish = {.stage = &g->stages[size],
                                  .fans = g->fans,
                                  .buyers = wish->buyers,
                                  .per_order = wish->per_order};
    struct round_score score;
    struct figures f = {0};
    int64_t began = now_us();

    fill_to(&g->rig.world, &g->fill, (int64_t)wish->sizes[size]);
    f.file_bytes = fill_settle(&g->rig.world);
    f.fill_s = (double)(now_us() - began) / 1e6;
    say("with %lld tickets filled", (long long)g->fill.tickets);
    start(g, &f);
    json_w_object(w);
    write_start(g, &f, w);
    struct cost cost = cost_now(&g->rig);
    struct sale *sale = sale_new(&g->rig, &sale_wish);
    sale_begin(sale);
    while (sale_running(sale))
        wire_turn(g->rig.wire, 1000);
    cost = cost_since(&g->rig, &cost);
    sale_write(sale, w);
    cost_write(&cost, w);
    g->sales_per_s[size] = sale_per_s(sale);
    g->cpu_per_sale_s[size] = cost.server_s / (double)sale_score(sale)->sales;
    write_number(w, "ratio_to_floor", g->sales_per_s[size] / g->floor);
    scan(g, wish->scanners, wish->scans, &score);
    round_write(&score, w, "scans");
    round_done(&score);
    json_w_kv_i64(w, "rss_end_kb", world_rss_now_kb(&g->rig.world));
    json_w_kv_i64(w, "rss_peak_kb", world_rss_kb(&g->rig.world));
    g->rig.world.rss_peak_kb = 0;
    world_stop(&g->rig.world);
    write_check(g, size, sale, w);
    json_w_end(w);
    sale_free(sale);
    if (size == 0) {
        g->fill = (struct fill){0};
        memcpy(g->fill.event, g->stages[0].event, sizeof g->fill.event);
        fill_plan(&g->rig.world, &g->fill, (int64_t)wish->sizes[wish->size_count - 1]);
    }
}

static void write_ratios(const double *values, size_t count, const char *key, struct json_writer *w)
{
    json_w_kv_array(w, key);
    for (size_t i = 0; i < count; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "%.3f", values[0] > 0 ? values[i] / values[0] : 0);
        json_w_raw(w, span_of(text, (size_t)n));
    }
    json_w_end(w);
}

static void grow(const struct grow_wish *wish, const struct rig_wish *rig_wish,
                 struct json_writer *w)
{
    struct grow g = {.wish = wish};

    prepare(&g, rig_wish);
    write_number(w, "floor_sales_per_s", g.floor);
    json_w_kv_array(w, "sizes");
    for (size_t i = 0; i < wish->size_count; i++)
        measure(&g, i, w);
    json_w_end(w);
    write_ratios(g.sales_per_s, wish->size_count, "sales_per_s_to_first", w);
    write_ratios(g.cpu_per_sale_s, wish->size_count, "server_cpu_per_sale_to_first", w);
    json_w_kv_i64(w, "violations", g.violations);
    doors_free(g.doors);
    free(g.fans);
    free(g.passes);
    rig_end(&g.rig);
}

/* "0,1000000": ascending. The size 0 comes first, also where it was not named. */
static void read_sizes(const char *text, struct grow_wish *wish)
{
    struct span rest = span_text(text);
    uint64_t n, last = 0;

    wish->sizes[wish->size_count++] = 0;
    while (rest.len) {
        size_t end = span_find(rest, ',');
        if (text_to_u64(span_sub(rest, 0, end), &n) != OK || n > TICKETS_MAX || n < last ||
            (n > last && wish->size_count == SIZES_MAX))
            die("--tickets takes ascending numbers up to %d with commas between them", TICKETS_MAX);
        if (n > last)
            wish->sizes[wish->size_count++] = (size_t)n;
        last = n;
        rest = span_sub(rest, end + 1, rest.len);
    }
}

static void grow_command_run(struct arguments *a, struct json_writer *w)
{
    struct rig_wish rig_wish = {.program = arguments_program(a),
                                .dir = arguments_text(a, "--dir", NULL),
                                .keep = arguments_flag(a, "--keep")};
    struct grow_wish wish = {.seats = arguments_number(a, "--seats", 4000, 100, 100000),
                             .buyers = arguments_number(a, "--buyers", 64, 1, 10000),
                             .per_order =
                                 arguments_number(a, "--per-order", 2, 1, SALE_PER_ORDER_MAX),
                             .scans = arguments_number(a, "--scans", 1000, 1, 20000),
                             .scanners = arguments_number(a, "--scanners", 16, 1, SCANNERS_MAX)};

    read_sizes(arguments_text(a, "--tickets", "0,1000000,10000000"), &wish);
    rig_wish.connections = wish.buyers > 64 ? wish.buyers : 64;
    arguments_end(a);
    grow(&wish, &rig_wish, w);
}

const struct bench_command grow_command = {
    .name = "grow",
    .summary = "the same sale with more and more tickets in the file",
    .options =
        "  --tickets A,B,C   sizes, ascending; 0 always comes first (0,1000000,10000000)\n"
        "  --seats N         places of each sale, and of the events that fill the file (4000)\n"
        "  --buyers M        buyers in a closed loop (64)\n"
        "  --per-order K     seats a buyer takes, 1 to 10 (2)\n"
        "  --scans N         scans after each sale (1000)\n"
        "  --scanners S      by so many scanners (16)\n"
        "  --keep            leave the data directory where it is\n",
    .run = grow_command_run,
};
