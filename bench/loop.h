/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

/*
 * loop - requests in a closed loop: each slot asks again as soon as it was answered, until the time is over or it has nothing
 * more to ask. A connection that breaks ends the program: no command that uses this kills its server.
 */
#include "wire.h"

struct loop {
    struct wire *wire;
    struct wire_pool *pool; /* at least slots connections, or waiting for one counts */
    unsigned slots;
    int64_t until_us; /* no question after it */
    /* The slot's next request; false when there is none any more. */
    bool (*ask)(void *context, unsigned slot, struct buf *request);
    void (*answered)(void *context, unsigned slot, const struct wire_answer *answer);
    void *context;
    /* What came of it; times are the caller's to free (loop_done). */
    struct samples times;
    int64_t answers, began_us, last_us;
    /* its own */
    struct loop_slot *slot_list;
    unsigned busy;
    struct buf request;
};

void loop_begin(struct loop *l);
bool loop_is_over(const struct loop *l);
/*
 * Begin, and turn until it is over. After each turn it stands aside: who asks is another machine in life, and does not keep the
 * server from a processor until the kernel's next tick, 4 ms later.
 */
void loop_run(struct loop *l);
double loop_rate(const struct loop *l); /* answers a second */
void loop_done(struct loop *l);

/* The value of a field of the answer's head, as it is spelt there; empty when it has none. */
struct span answer_field(const struct wire_answer *answer, const char *name);
/* Until then, whatever happens is handled. */
void wire_turn_until(struct wire *w, int64_t until_us);

#endif
