/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_FILL_H
#define BENCH_FILL_H

/*
 * fill - past events by the million, made in SQL while the server is stopped: through the API ten million tickets take hours.
 *
 * Each is a copy of one event that was sold through the API, an hour earlier than the next, closed and over: event,
 * prices, places, holds, orders, lines, payments, postings, provider events, tickets, done mails, a scanner and one admission
 * a ticket. Rows refer to rows of the same copy; buyers, venue and plan are those of the original. Ids keep their random part and
 * move back in time, so that they fall into the trees as they would have: at the end. There is no ledger entry for
 * any of it, which `ledger audit` would say of each row; `ledger verify` and every other rule hold.
 */
#include "bench.h"

struct fill {
    char event[ID_TEXT_MAX]; /* what is copied; sold to the last seat */
    int64_t copies, copies_max;
    int64_t tickets, scans; /* made so far */
};
/* Counts the copies that so many tickets may ever take. */
void fill_plan(const struct world *w, struct fill *f, int64_t tickets_max);
/* Adds whole events until this many tickets were made. */
void fill_to(const struct world *w, struct fill *f, int64_t tickets);
/* Writes the file to disk and has the kernel forget it, so that every size begins cold. Returns its bytes. */
int64_t fill_settle(const struct world *w);

#endif
