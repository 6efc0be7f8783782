/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_LEDGER_INSIDE_H
#define BENCH_LEDGER_INSIDE_H

/*
 * ledger_inside - the ledger without a server around it: a store, keys, the writer's thread and the sequencer of the product, in
 * this process and a folder of their own, durable as in a server. What a request costs is not in it.
 */
#include "bench.h"

struct inside {
    int64_t entries, batches, steps;
    double append_s, integrate_s;
    double append_cpu_s, integrate_cpu_s;
    int64_t sealed_bytes; /* of an entry, on average */
    int64_t missing;      /* not in the log as it verifies */
};
/*
 * Append count entries, so many commands in flight as the writer puts into a batch, each a ticket_issued with a buyer: three keys.
 * Then let the sequencer take them, as it does after a start. dir is made.
 */
void inside_measure(const char *dir, unsigned count, struct inside *ret_inside);
/* Rows of that size into a bare SQLite table, as many a commit as the writer's batch. */
double inside_floor_rows(const char *dir, unsigned count, int64_t sealed_bytes);

#endif
