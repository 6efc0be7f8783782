/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/*
 * bench - what the files of gatehouse-bench share: the clock, errors that end the program, samples, and the world (a server of
 * its own in a fresh directory, with an event on sale). A tool of one thread and one epoll set (wire.h): buyers, provider and
 * webhooks run in it side by side, so that nothing here needs a lock and the client takes one core at most.
 *
 * Figures are measured where the client stands: from the moment a request is wanted to the last byte of its answer.
 */
#include <stdio.h>
#include <sys/types.h>

#include "ground/base/base.h"
#include "ground/encode/json.h"

enum { BENCH_PATH_MAX = 512, BENCH_TOKEN_MAX = 128, BENCH_LINE_MAX = 4096 };

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
int64_t now_us(void);
/* Die when the product's own function fails. */
void must(enum err e, const char *what);

/* --- samples ---------------------------------------------------------------------------------------------------------- */

struct samples {
    uint32_t *us;
    size_t count, cap;
};
void samples_add(struct samples *s, int64_t us);
/* {"count":..,"p50_ms":..,"p99_ms":..,"p999_ms":..,"max_ms":..} as a member of the object being written */
void samples_write(struct samples *s, struct json_writer *w, const char *key);
void samples_done(struct samples *s);
/* A number with decimals; the writer itself has whole numbers only. */
void write_number(struct json_writer *w, const char *key, double value);

/* --- the server under test -------------------------------------------------------------------------------------------- */

struct world {
    char program[BENCH_PATH_MAX];
    char dir[BENCH_PATH_MAX];
    uint16_t port, provider_port;
    pid_t pid;
    int out; /* the server's standard output */
    char owner_link_token[BENCH_TOKEN_MAX];
    char webhook_secret[256];
    double cpu_before_kill_s; /* of servers that were killed */
    long rss_peak_kb;
    int64_t begun_us;
    char line[BENCH_LINE_MAX]; /* what of the ready line has come */
    size_t line_len;
};

struct world_wish {
    const char *program;
    const char *dir; /* where the data directory is made; NULL: $TMPDIR or /var/tmp */
    uint16_t provider_port;
};
void world_make(const struct world_wish *wish, struct world *ret_world);
void world_start(struct world *w);
/* The same in parts, for who has to go on meanwhile: begun, and ready or not yet. */
void world_begin(struct world *w);
bool world_ready(struct world *w);
/* SIGKILL; gone and reaped, or not yet. */
void world_kill(struct world *w);
bool world_gone(struct world *w);
void world_stop(struct world *w); /* SIGTERM, reaped; dies when that takes longer than it may */
void world_remove(struct world *w);
/* User and system time of the server and its children so far; peak resident memory of all of them in kB. */
double world_cpu_s(struct world *w);
long world_rss_kb(struct world *w);
/* The same now, not at its peak. */
long world_rss_now_kb(const struct world *w);
/* Run the program with these arguments; standard output goes to out. Returns its exit status. */
int world_run(const struct world *w, const char *const *arguments, struct buf *out);

/* --- what is looked up after the run (check.c) -------------------------------------------------------------------------- */

struct promise {
    char order[ID_TEXT_MAX];
    uint8_t places;
    bool paid; /* its webhook was acknowledged */
};
struct findings {
    int64_t double_sold, orders_missing, tickets_missing, money, audit, log, sold_places, tickets,
        entries;
};
/* Server stopped. Compares the database with what was acknowledged, and asks ledger verify, and ledger audit if wished. */
void check_promises(const struct world *w, const struct promise *promises, size_t count, bool audit,
                    struct findings *ret_findings);
int64_t findings_total(const struct findings *f);
/* The members of the findings, without a total. */
void findings_write(const struct findings *f, struct json_writer *w);

struct scan_promise {
    const char *device, *ticket; /* ticket NULL: the code named none */
    const char *reason;          /* "ok" or a word of trust/credential/reasons.def */
    int64_t sequence;
};
struct scan_findings {
    int64_t admitted_twice, missing, other_verdict, unasked;
};
/* The same of scans. count is all scans that were ever acknowledged, others are rows made otherwise: what is more is unasked. */
void check_scans(const struct world *w, const struct scan_promise *promises, size_t count,
                 int64_t others, struct scan_findings *ret_findings);
int64_t scan_findings_total(const struct scan_findings *f);
void scan_findings_write(const struct scan_findings *f, struct json_writer *w);

/* --- floors (floor.c) --------------------------------------------------------------------------------------------------- */

struct floors {
    double sales_per_s, fsyncs_per_s, verifies_per_s;
};
/* dir: on the disk that is measured. seconds: how long each may take. */
void floors_measure(const char *dir, unsigned per_order, double seconds, struct floors *ret_floors);
double floor_sales(const char *dir, unsigned per_order, double seconds);
/* Ed25519 signatures of a scan's size checked a second, on one core. */
double floor_verifies(double seconds);

/* --- the machine --------------------------------------------------------------------------------------------------------- */

/* loadavg over one per core: figures would be about somebody else. */
void machine_write(struct json_writer *w);

#endif
