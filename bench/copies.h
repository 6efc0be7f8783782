/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_COPIES_H
#define BENCH_COPIES_H

/*
 * copies - a backup that runs all the time: the server's database is copied by SQLite's online backup, from a process of its own as
 * any backup program would, one copy after the other while the sale goes on. A copy is of one moment, and counts once it is on the disk.
 */
#include "bench.h"

struct copies;

struct copying {
    unsigned count;
    double seconds; /* of all of them */
    int64_t bytes;  /* of the last */
    bool sound;     /* the last one passes SQLite's own check */
};

struct copies *copies_begin(const struct world *w);
/* After the copy that has begun. The copy is removed. */
void copies_end(struct copies *c, struct copying *ret_copying);

#endif
