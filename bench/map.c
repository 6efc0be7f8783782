/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map - what the sale looks like to the crowd: the seat map read over and over, whole and by its tag, the event's page, and
 * streams of what changes; all while seats are held and released.
 *
 * One phase after the other, so that each figure stands for one thing. Only "unchanged" lets the sale rest, since a tag that a
 * reader has just seen is old a moment later when a thousand holds a second change the map.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bare.h"
#include "churn.h"
#include "command.h"
#include "listeners.h"
#include "loop.h"

enum { TAG_MAX = 48, FDS_SPARE = 512, SETTLE_US = 400000, ANSWER_MAX = 1 << 22 };

struct map_wish {
    const char *program, *dir;
    unsigned seats, readers, rate, listeners, seconds;
};

struct map_run {
    const struct map_wish *wish;
    struct rig rig;
    struct stage stage;
    struct churn *churn;
};

/* --- readers --------------------------------------------------------------------------------------------------------------- */

struct reading {
    const char *path;
    uint16_t port;
    bool tagged; /* If-None-Match with the tag seen last */
    char (*tags)[TAG_MAX];
    int64_t whole, not_modified, bytes;
    struct buf sample; /* the last answer with its head */
};

static bool reader_ask(void *context, unsigned slot, struct buf *request)
{
    struct reading *r = context;

    buf_printf(request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n", r->path, r->port);
    if (r->tagged && r->tags[slot][0])
        buf_printf(request, "If-None-Match: %s\r\n", r->tags[slot]);
    buf_put_text(request, "\r\n");
    return true;
}

static void reader_answered(void *context, unsigned slot, const struct wire_answer *a)
{
    struct reading *r = context;

    if (a->status != 200 && a->status != 304)
        die("GET %s was answered %d: " SPAN_FMT, r->path, a->status, SPAN_ARG(a->body));
    *(a->status == 304 ? &r->not_modified : &r->whole) += 1;
    r->bytes += (int64_t)(a->head.len + a->body.len);
    if (r->tagged && a->status == 200)
        must(span_to_text(answer_field(a, "ETag"), r->tags[slot], TAG_MAX), "ETag");
    if (r->sample.len == 0 || (a->status == 304 && r->not_modified == 1)) {
        buf_reset(&r->sample);
        buf_put_span(&r->sample, a->head);
        buf_put_span(&r->sample, a->body);
    }
}

static void write_phase(const struct reading *r, struct loop *l, struct json_writer *w)
{
    write_number(w, "reads_per_s", loop_rate(l));
    samples_write(&l->times, w, "read");
    json_w_kv_i64(w, "whole", r->whole);
    json_w_kv_i64(w, "not_modified", r->not_modified);
    write_number(w, "bytes_per_read", l->answers ? (double)r->bytes / (double)l->answers : 0);
}

/*
 * FLOOR: all answers were of one kind, so a process that repeats one of them is their floor. It is measured while the sale rests,
 * which would else wait for this program.
 */
enum { TAGGED = 1, SELLING = 2, FLOOR = 4 };

static void phase(struct map_run *m, const char *name, const char *path, unsigned how,
                  struct json_writer *w)
{
    struct reading r = {.path = path, .port = m->rig.world.port, .tagged = how & TAGGED};
    struct loop l = {.wire = m->rig.wire,
                     .pool = m->rig.pool,
                     .slots = m->wish->readers,
                     .ask = reader_ask,
                     .answered = reader_answered,
                     .context = &r};

    say("reading: %s", name);
    r.tags = calloc(m->wish->readers, sizeof *r.tags);
    if (!r.tags)
        die("no memory");
    buf_init(&r.sample, ANSWER_MAX);
    if (how & SELLING)
        churn_go(m->churn);
    int64_t held = churn_held(m->churn);
    struct cost cost = cost_now(&m->rig);
    l.until_us = now_us() + m->wish->seconds * 1000000LL;
    loop_run(&l);
    json_w_kv_object(w, name);
    write_number(w, "holds_per_s",
                 (double)(churn_held(m->churn) - held) / (double)m->wish->seconds);
    cost = cost_since(&m->rig, &cost);
    cost_write(&cost, w);
    churn_rest(m->churn);
    write_phase(&r, &l, w);
    if (how & FLOOR) {
        double floor = bare_requests_per_s(buf_span(&r.sample), m->wish->readers, 1.0);
        write_number(w, "floor_reads_per_s", floor);
        write_number(w, "ratio_to_floor", loop_rate(&l) / floor);
    }
    json_w_end(w);
    buf_done(&r.sample);
    free(r.tags);
    loop_done(&l);
}

/* --- listeners -------------------------------------------------------------------------------------------------------------- */

/* While the seconds pass, the witness fetches the map afresh when it is told to. */
static void listen_for(struct map_run *m, struct listeners *l, const char *availability)
{
    int64_t until = now_us() + m->wish->seconds * 1000000LL;
    unsigned refreshes = 0;

    listeners_map(l, seed_ask(&m->rig, NULL, "GET", availability, "", 200));
    while (now_us() < until) {
        wire_turn(m->rig.wire, 20);
        if (listeners_refreshes(l) == refreshes)
            continue;
        refreshes = listeners_refreshes(l);
        listeners_map(l, seed_ask(&m->rig, NULL, "GET", availability, "", 200));
    }
}

static void write_listening(const struct map_run *m, const struct listening *f, int64_t began_us,
                            struct json_writer *w)
{
    int64_t us = f->last_us - began_us; /* what came late was not delivered in time */
    double seconds = us > m->wish->seconds * 1000000LL ? (double)us / 1e6 : m->wish->seconds;

    json_w_kv_i64(w, "listeners", m->wish->listeners);
    json_w_kv_i64(w, "events", (int64_t)f->events);
    json_w_kv_i64(w, "delivered", (int64_t)f->delivered);
    write_number(w, "delivered_per_s", (double)f->delivered / seconds);
    write_number(w, "megabytes_per_s", (double)f->bytes / 1e6 / seconds);
    json_w_kv_i64(w, "refreshes", (int64_t)f->refreshes);
    json_w_kv_i64(w, "dropped", (int64_t)f->dropped);
    write_number(w, "listener_cpu_s", f->cpu_s);
}

static void write_memory(const struct map_run *m, const long kb[3], struct json_writer *w)
{
    json_w_kv_i64(w, "server_rss_before_kb", kb[0]);
    json_w_kv_i64(w, "server_rss_listeners_kb", kb[1]);
    json_w_kv_i64(w, "server_rss_after_kb", kb[2]);
    write_number(w, "server_bytes_per_listener",
                 (double)(kb[1] - kb[0]) * 1024 / (double)m->wish->listeners);
}

/* Returns how many promises were broken. */
static int64_t streams(struct map_run *m, const char *availability, struct json_writer *w)
{
    struct samples lag = {0};
    struct listening f;
    long kb[3];

    say("listening: %u streams", m->wish->listeners);
    wire_turn_until(m->rig.wire, now_us() + SETTLE_US);
    churn_log_reset(m->churn);
    kb[0] = world_rss_now_kb(&m->rig.world);
    struct listeners *l = listeners_open(&m->rig.world, &m->stage, m->wish->listeners);
    kb[1] = world_rss_now_kb(&m->rig.world);
    struct cost cost = cost_now(&m->rig);
    int64_t began = now_us();
    churn_go(m->churn);
    listen_for(m, l, availability);
    churn_rest(m->churn);
    kb[2] = world_rss_now_kb(&m->rig.world);
    listeners_close(l, seed_ask(&m->rig, NULL, "GET", availability, "", 200), churn_log(m->churn),
                    &lag, &f);
    json_w_kv_object(w, "streams");
    write_listening(m, &f, began, w);
    write_memory(m, kb, w);
    samples_write(&lag, w, "lag");
    cost = cost_since(&m->rig, &cost);
    cost_write(&cost, w);
    json_w_kv_i64(w, "seats_differing", (int64_t)f.seats_differing);
    json_w_kv_i64(w, "gaps", (int64_t)f.gaps);
    json_w_kv_i64(w, "unheard_holds", (int64_t)f.unheard);
    json_w_end(w);
    samples_done(&lag);
    return (int64_t)(f.seats_differing + f.gaps + (f.refreshes ? 0 : f.unheard));
}

/* --- the run ---------------------------------------------------------------------------------------------------------------- */

static void allow_connections(unsigned wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < wanted)
        die("%u connections need as many descriptors: raise the hard limit (ulimit -Hn)", wanted);
    limit.rlim_cur = limit.rlim_max; /* the server is given it too */
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("the limit of descriptors cannot be raised");
}

static void map(const struct map_wish *wish, struct json_writer *w)
{
    struct map_run m = {.wish = wish};
    char event[64], availability[96];
    int64_t violations = 0;
    struct house house;

    allow_connections(wish->listeners + 2 * wish->readers + 4 * (wish->rate / 8) + FDS_SPARE);
    rig_begin(&m.rig, &(struct rig_wish){.program = wish->program,
                                         .dir = wish->dir,
                                         .connections = wish->readers});
    say("seeding: a stadium of %u", wish->seats);
    seed_house(&m.rig, &house);
    seed_show(&m.rig, &house,
              &(struct show){.name = "Map", .seats = wish->seats, .per_order_max = CHURN_SEATS},
              &m.stage);
    m.churn = churn_new(&m.rig, &m.stage, wish->rate);
    (void)snprintf(event, sizeof event, "/api/v1/events/%s", m.stage.event);
    (void)snprintf(availability, sizeof availability, "%s/availability.bin", event);
    json_w_kv_i64(w, "seats", m.stage.places);
    json_w_kv_i64(w, "readers", wish->readers);
    json_w_kv_i64(w, "sales_rate", wish->rate);
    json_w_kv_cstr(w, "sale", "a hold of 2 seats, released 100 ms after its answer");
    json_w_kv_i64(w, "phase_seconds", wish->seconds);
    phase(&m, "full", availability, SELLING | FLOOR, w);
    phase(&m, "tagged", availability, SELLING | TAGGED, w);
    phase(&m, "event", event, SELLING | FLOOR, w);
    phase(&m, "unchanged", availability, TAGGED | FLOOR, w);
    if (wish->listeners > 0)
        violations = streams(&m, availability, w);
    churn_write(m.churn, w);
    (void)world_rss_kb(&m.rig.world);
    json_w_kv_i64(w, "server_rss_peak_kb", m.rig.world.rss_peak_kb);
    json_w_kv_i64(w, "violations", violations);
    churn_free(m.churn);
    rig_end(&m.rig);
}

static void map_command_run(struct arguments *a, struct json_writer *w)
{
    struct map_wish wish = {.program = arguments_program(a),
                            .dir = arguments_text(a, "--dir", NULL),
                            .seats = arguments_number(a, "--seats", 80000, 100, 250000),
                            .readers = arguments_number(a, "--readers", 64, 1, 4000),
                            .rate = arguments_number(a, "--sales-rate", 1000, 0, 8000),
                            .listeners = arguments_number(a, "--listeners", 1000, 0, 10000),
                            .seconds = arguments_number(a, "--seconds", 5, 1, 600)};

    arguments_end(a);
    map(&wish, w);
}

const struct bench_command map_command = {
    .name = "map",
    .summary = "read the seat map and listen to its changes while seats are held and released",
    .options = "  --seats N         places of the stadium (80000)\n"
               "  --readers R       keep-alive connections that read in a closed loop (64)\n"
               "  --sales-rate S    holds a second, each released again; 0: none (1000)\n"
               "  --listeners L     open streams, at most 10000 (1000)\n"
               "  --seconds T       of each phase (5)\n",
    .run = map_command_run,
};
