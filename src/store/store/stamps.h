/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_STAMPS_H
#define STORE_STORE_STAMPS_H

/*
 * stamps - which remembered rows are void: for memories of rows that must not outlive a change of them.
 *
 * `now` counts changes. A change raises it and stamps the bucket of the row's number with the new count; what is remembered
 * carries a mark, the count of before the snapshot it was read in, and is good while no stamp is above that. The writer's
 * committed callback stamps before any answer is given, so whoever was told of a change meets nothing from before it. Between
 * commit and stamp a reader may still remember the row of before: with a mark below the stamp to come. Rows share buckets:
 * the change of a neighbour costs one more look.
 */
#include <stdatomic.h>

#include "store/store/store.h"

enum { STAMP_BUCKETS = 4096 };

/* Zeros to begin. */
struct stamps {
    _Atomic uint64_t now, all, buckets[STAMP_BUCKETS];
};

struct stamp_mark {
    uint64_t at;
};

/* Take it before the snapshot begins. Any thread. */
static inline struct stamp_mark stamps_mark(const struct stamps *s)
{
    return (struct stamp_mark){atomic_load(&s->now)};
}

/* The row of that number changed; 0: any may have. On the writer thread. */
static inline void stamps_change(struct stamps *s, int64_t no)
{
    uint64_t stamp = atomic_fetch_add(&s->now, 1) + 1;
    atomic_store(no == 0 ? &s->all : &s->buckets[(uint64_t)no % STAMP_BUCKETS], stamp);
}

/* Nothing of it was changed since the mark. Any thread. */
static inline bool stamps_good(const struct stamps *s, int64_t no, struct stamp_mark mark)
{
    return atomic_load(&s->buckets[(uint64_t)no % STAMP_BUCKETS]) <= mark.at &&
           atomic_load(&s->all) <= mark.at;
}

#endif
