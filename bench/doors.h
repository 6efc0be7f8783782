/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_DOORS_H
#define BENCH_DOORS_H

/*
 * doors - scanners at work: enrolled through the API with keys of their own, each with one scan on its way at a time.
 *
 * A round is a list of scans, dealt to the scanners in turn. They are made and signed before it begins: in the world that is
 * the work of the scanners' own processors; for the same reason a thread of their own with sockets of its own sends them and goes before
 * all others, so that a scan does not wait here for buyers who are asked about in the same process. In a closed loop a scanner sends its
 * next scan when the last was answered, and times count from the sending; at a rate, scan n is due n / rate after the beginning,
 * whatever became of those before it, and times count from when it was due.
 *
 * What must be answered: an altered code is forged. A ticket is let in once: a scan of it that is sent after any
 * answer about it gets already_admitted; of those under way together exactly one gets ok. Everything else is counted as wrong.
 */
#include "passes.h"

enum { SCANNERS_MAX = 1000 };

struct doors;

/* Enrols scanners for the event; in each round every one has a connection. The passes must outlive it. */
struct doors *doors_new(struct rig *r, const struct house *h, const struct stage *stage,
                        struct pass *passes, unsigned scanners);
void doors_free(struct doors *d);

struct round_wish {
    size_t first, fresh; /* passes that nobody has shown before */
    size_t scans;        /* 0: until each of them was shown */
    unsigned scanners;   /* how many of them work */
    unsigned stored_s;   /* scanned at these seconds before now and later, and kept until now */
    unsigned rate;       /* a second; 0: closed loop */
    bool mixed; /* codes are shown again or were altered; needed where scans are more than fresh */
};

struct round_score {
    int64_t scans, admitted, again, forged, wrong, retries;
    double seconds;
    struct samples times;
    struct samples late; /* at a rate: how late a scan was sent whose scanner was free */
    struct cost cost;
};
/* The scans are made, and the first is about to be sent. */
void doors_begin(struct doors *d, const struct round_wish *wish, struct round_score *score);
bool doors_running(const struct doors *d);
/* At a rate: what is not due yet is not sent any more. */
void doors_enough(struct doors *d);
/* Waits for the last answer; the score is complete. */
void doors_end(struct doors *d);
void doors_round(struct doors *d, const struct round_wish *wish, struct round_score *ret_score);
/* As one member of the object being written. */
void round_write(struct round_score *score, struct json_writer *w, const char *key);
void round_done(struct round_score *score);

/* All that was acknowledged, round by round. */
const struct scan_promise *doors_promises(const struct doors *d, size_t *ret_count);

#endif
