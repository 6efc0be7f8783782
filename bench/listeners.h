/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_LISTENERS_H
#define BENCH_LISTENERS_H

/*
 * listeners - many open seat maps: streams of availability that are read on a thread of their own, so that what arrives is not
 * behind the buyers' work in this program's one loop.
 *
 * All are told the same events, so an event is known by its version and each listener has a place in the row of them. The first
 * listener is the witness: its changes are kept, and put on the map it began with they must give the map of the end.
 */
#include "churn.h"

struct listeners;

/* Opens them; returns when all have been greeted. Dies when that takes a minute. */
struct listeners *listeners_open(const struct world *world, const struct stage *stage,
                                 unsigned count);
/* How often the witness was told to fetch the map afresh; then listeners_map, with an answer asked for after that. */
unsigned listeners_refreshes(const struct listeners *l);
/* The witness's map: an availability.bin fetched after it was greeted. */
void listeners_map(struct listeners *l, struct span availability);

struct listening {
    uint64_t events, delivered, bytes; /* events of the witness; events of all */
    uint64_t refreshes, dropped;       /* dropped: streams that the server ended */
    uint64_t gaps;    /* an event that others were given and this one not, or not in order */
    uint64_t unheard; /* holds answered that no event told of */
    uint64_t seats_differing;
    int64_t last_us; /* of the last delivery */
    double cpu_s;    /* of the thread */
};
/*
 * Waits, at most some seconds, until the witness has heard of the version of this availability.bin (fetched when nothing changes
 * any more), closes them and reckons. lag: from the answer of a hold to its arrival, one sample a delivery, of the event's holds
 * in turn.
 */
void listeners_close(struct listeners *l, struct span availability, const struct churn_log *log,
                     struct samples *lag, struct listening *ret_listening);

#endif
