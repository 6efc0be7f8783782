/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SALE_H
#define BENCH_SALE_H

/*
 * sale - a stadium sold to the last seat by buyers in a closed loop: hold, order, come back with the checkout address, pay,
 * signed webhook; next. A sale counts when its webhook was acknowledged: the tickets are durable then.
 *
 * Choices: one in two is "best available", the others name seats; of the named, every second one aims at the very seats that
 * another buyer has just asked for. After a conflict the buyer chooses anew, as people do. All buyers see one map, as fresh as
 * their own answers.
 *
 * It happens inside wire_turn: begin it, turn while it is running. Other things may go on beside it.
 */
#include "rig.h"
#include "seed.h"

enum { SALE_PER_ORDER_MAX = 10 };

struct sale_wish {
    const struct stage *stage;
    const struct fan *fans; /* as many as buyers */
    unsigned buyers, per_order;
    bool apart; /* the payment page is waited for by a request of its own */
};

struct sale_score {
    int64_t sales, tickets, conflicts, none_left, retries, lost;
    int64_t double_sold; /* what the buyers themselves saw */
    int64_t began_us, last_us;
};

struct sale;

/* The wish, and what it points at, must outlive it. */
struct sale *sale_new(struct rig *r, const struct sale_wish *wish);
void sale_begin(struct sale *s);
/* False once the last seat is sold. Dies when nothing was sold for a minute. */
bool sale_running(const struct sale *s);
const struct sale_score *sale_score(const struct sale *s);
const struct promise *sale_promises(const struct sale *s, size_t *ret_count);
double sale_per_s(const struct sale *s);
/* Rates, and the times of each step, as members of the object being written. */
void sale_write(struct sale *s, struct json_writer *w);
void sale_free(struct sale *s);

#endif
