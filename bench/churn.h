/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_CHURN_H
#define BENCH_CHURN_H

/*
 * churn - a sale that goes on for ever, in an open loop: at a fixed rate fans hold two free seats side by side and release them a
 * tenth of a second after the answer. Two durable commits each, and the map changes at both; the house never sells out.
 *
 * Times are measured from when a hold was due, so a server that falls behind cannot hide it. What cannot be begun because every
 * fan is still waiting is counted, not made up for.
 */
#include "seed.h"

enum { CHURN_SEATS = 2, CHURN_KEPT_MS = 100 };

struct churn;

/* Registers fans of its own. rate: holds a second; 0: nothing ever happens. */
struct churn *churn_new(struct rig *r, const struct stage *stage, unsigned rate);
void churn_free(struct churn *c);
void churn_go(struct churn *c);
/* Begins no more and waits until every seat is free again. */
void churn_rest(struct churn *c);

/* Each seat of each hold since churn_log_reset, in the order of the answers. */
struct held_seat {
    uint32_t place;
    int64_t answered_us;
};
struct churn_log {
    struct held_seat *seats;
    size_t count, cap;
};
const struct churn_log *churn_log(const struct churn *c);
void churn_log_reset(struct churn *c);

/* Holds that were answered so far. */
int64_t churn_held(const struct churn *c);
/* Members of the object being written. */
void churn_write(struct churn *c, struct json_writer *w);

#endif
