/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger - how fast entries are written down and how soon the public log has them: through the API with its cheapest write that
 * appends one, and inside, without a server (ledger_inside.h).
 *
 * The cheapest is a new venue: one row, one entry. Its answer does not say which entry it is, but no other entry is made
 * meanwhile, so the n-th answer is held to the n-th entry after those of the seeding: it is integrated when a checkpoint that the
 * server gives out is that large. Answers of one batch change places; that moves times by a batch, not their distribution.
 */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "floors.h"
#include "ledger_inside.h"
#include "loop.h"
#include "seed.h"

enum { POLL_US = 2000, SETTLE_US = 600000, INTEGRATED_MAX_US = 30000000, ANSWER_MAX = 65536 };

struct ledger_run {
    struct rig *rig;
    struct house house;
    unsigned wanted, sent;
    int64_t *answered_us;
    size_t answered, integrated;
    uint64_t first, size; /* of the log: before it, and as last read */
    bool polling;
    struct wire_pool *poll_pool;
    struct samples lag;
    int64_t checkpoints, last_us;
};

/* --- the checkpoint ------------------------------------------------------------------------------------------------------------- */

static const char checkpoint_path[] = "/log/checkpoint";

/* Its second line. */
static uint64_t size_of(struct span checkpoint)
{
    size_t first = span_find(checkpoint, '\n');
    struct span rest = span_sub(checkpoint, first + 1, checkpoint.len);
    uint64_t size;

    must(text_to_u64(span_sub(rest, 0, span_find(rest, '\n')), &size), "checkpoint");
    return size;
}

/* The size once nothing is added any more. */
static uint64_t settled_size(struct rig *r)
{
    uint64_t size = 0, before;

    do {
        before = size;
        wire_turn_until(r->wire, now_us() + SETTLE_US);
        size = size_of(seed_ask(r, NULL, "GET", checkpoint_path, "", 200));
    } while (size != before);
    return size;
}

static void poll_again(void *context);

static void polled(void *context, const struct wire_answer *a)
{
    struct ledger_run *l = context;
    int64_t now = now_us();

    if (a->status != 200)
        die("the checkpoint was answered %d", a->status);
    uint64_t size = size_of(a->body);
    l->checkpoints += size > l->size;
    l->size = size;
    for (; l->integrated < l->answered && l->first + l->integrated < size; l->integrated++) {
        samples_add(&l->lag, now - l->answered_us[l->integrated]);
        l->last_us = now;
    }
    wire_after(l->rig->wire, POLL_US, poll_again, l);
}

static void poll_again(void *context)
{
    struct ledger_run *l = context;
    struct buf *request = wire_scratch(l->poll_pool);

    l->polling = l->integrated < l->wanted;
    if (!l->polling)
        return;
    request_write(request, l->rig->world.port, "GET", checkpoint_path, NULL, (struct span){0});
    wire_send(l->poll_pool, buf_span(request), polled, l);
}

/* --- venues ---------------------------------------------------------------------------------------------------------------------- */

static bool venue_ask(void *context, unsigned slot, struct buf *request)
{
    struct ledger_run *l = context;
    char path[96], json[256], id[ID_TEXT_MAX];

    (void)slot;
    if (l->sent == l->wanted)
        return false;
    l->sent++;
    new_id(id, "ven");
    (void)snprintf(path, sizeof path, "/api/v1/organisers/%s/venues", l->house.organiser);
    (void)snprintf(
        json, sizeof json,
        "{\"id\":\"%s\",\"name\":\"Hall\",\"address\":\"\",\"time_zone\":\"Europe/Berlin\"}", id);
    request_write(request, l->rig->world.port, "POST", path, l->house.owner_token, span_text(json));
    return true;
}

static void venue_answered(void *context, unsigned slot, const struct wire_answer *a)
{
    struct ledger_run *l = context;

    (void)slot;
    if (a->status != 201)
        die("a venue was answered %d: " SPAN_FMT, a->status, SPAN_ARG(a->body));
    l->answered_us[l->answered++] = now_us();
}

/* --- through the API ---------------------------------------------------------------------------------------------------------- */

static void wait_for_log(struct ledger_run *l)
{
    int64_t until = now_us() + INTEGRATED_MAX_US;

    while (l->polling && now_us() < until)
        wire_turn(l->rig->wire, 100);
    if (l->polling)
        die("%zu of %u entries are in the log after 30 s", l->integrated, l->wanted);
}

static void write_api(struct ledger_run *l, struct loop *loop, const struct cost *cost,
                      struct json_writer *w)
{
    json_w_kv_object(w, "api");
    json_w_kv_cstr(w, "write", "POST /organisers/{organiser}/venues");
    json_w_kv_i64(w, "in_flight", loop->slots);
    json_w_kv_i64(w, "entries", (int64_t)l->answered);
    write_number(w, "appended_per_s", loop_rate(loop));
    write_number(w, "integrated_per_s",
                 (double)l->integrated * 1e6 / (double)(l->last_us - loop->began_us));
    json_w_kv_i64(w, "checkpoints", l->checkpoints);
    samples_write(&loop->times, w, "append");
    samples_write(&l->lag, w, "accepted_to_integrated");
    cost_write(cost, w);
    json_w_end(w);
}

static void through_api(struct rig *r, unsigned entries, unsigned in_flight, struct json_writer *w)
{
    struct ledger_run l = {.rig = r, .wanted = entries};
    struct loop loop = {.wire = r->wire,
                        .pool = r->pool,
                        .slots = in_flight,
                        .until_us = INT64_MAX,
                        .ask = venue_ask,
                        .answered = venue_answered,
                        .context = &l};

    l.answered_us = calloc(entries, sizeof *l.answered_us);
    if (!l.answered_us)
        die("no memory");
    seed_house(r, &l.house);
    l.first = l.size = settled_size(r);
    l.poll_pool = wire_pool_new(r->wire, r->world.port, 1);
    say("appending %u entries through the API", entries);
    struct cost cost = cost_now(r);
    poll_again(&l);
    loop_run(&loop);
    cost = cost_since(r, &cost);
    wait_for_log(&l);
    write_api(&l, &loop, &cost, w);
    wire_pool_free(l.poll_pool);
    samples_done(&l.lag);
    loop_done(&loop);
    free(l.answered_us);
}

/* Entries that are not in the log as `ledger verify` knows it. */
static int64_t not_in_log(const struct rig *r, const struct findings *f)
{
    const char *const arguments[] = {"ledger", "verify", "--dir", r->world.dir, "--json", NULL};
    AUTO(buf_done) struct buf out = {0};
    int64_t entries;

    buf_init(&out, ANSWER_MAX);
    if (world_run(&r->world, arguments, &out) != 0 ||
        !find_number(buf_span(&out), "entries", &entries))
        return f->entries;
    return f->entries - entries;
}

/* --- inside ----------------------------------------------------------------------------------------------------------------------- */

static void write_inside(const struct inside *f, double rows, double leaves, struct json_writer *w)
{
    double appended = (double)f->entries / f->append_s;
    double integrated = (double)f->entries / f->integrate_s;

    json_w_kv_object(w, "inside");
    json_w_kv_cstr(w, "entry", "ticket_issued");
    json_w_kv_i64(w, "entries", f->entries);
    json_w_kv_i64(w, "sealed_bytes", f->sealed_bytes);
    json_w_kv_i64(w, "batches", f->batches);
    write_number(w, "appended_per_s", appended);
    write_number(w, "append_cpu_us", f->append_cpu_s * 1e6 / (double)f->entries);
    write_number(w, "floor_rows_per_s", rows);
    write_number(w, "append_ratio_to_floor", appended / rows);
    json_w_kv_i64(w, "steps", f->steps);
    write_number(w, "integrated_per_s", integrated);
    write_number(w, "integrate_cpu_us", f->integrate_cpu_s * 1e6 / (double)f->entries);
    write_number(w, "floor_leaves_per_s", leaves);
    write_number(w, "integrate_ratio_to_floor", integrated / leaves);
    json_w_end(w);
}

static void ledger(const struct rig_wish *wish, unsigned entries, unsigned in_flight,
                   struct json_writer *w)
{
    struct findings f;
    struct inside inside;
    struct rig r;

    rig_begin(&r, wish);
    through_api(&r, entries, in_flight, w);
    (void)world_rss_kb(&r.world);
    world_stop(&r.world);
    say("checking what was promised");
    check_promises(&r.world, NULL, 0, true, &f);
    int64_t violations = findings_total(&f) + not_in_log(&r, &f);
    inside_measure(r.world.dir, entries, &inside);
    write_inside(&inside, inside_floor_rows(r.world.dir, entries, inside.sealed_bytes),
                 floor_leaves(1.0), w);
    json_w_kv_i64(w, "server_rss_peak_kb", r.world.rss_peak_kb);
    json_w_kv_i64(w, "violations", violations + inside.missing);
    rig_end(&r);
}

static void ledger_command_run(struct arguments *a, struct json_writer *w)
{
    struct rig_wish wish = {.program = arguments_program(a),
                            .dir = arguments_text(a, "--dir", NULL)};
    unsigned entries = arguments_number(a, "--entries", 10000, 1, 1000000);
    unsigned in_flight = arguments_number(a, "--concurrency", 64, 1, 4000);

    wish.connections = in_flight;
    arguments_end(a);
    ledger(&wish, entries, in_flight, w);
}

const struct bench_command ledger_command = {
    .name = "ledger",
    .summary = "append entries and see them in the public log",
    .options = "  --entries N       through the API, and as many inside (10000)\n"
               "  --concurrency C   requests in flight (64)\n",
    .run = ledger_command_run,
};
