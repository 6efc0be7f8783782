/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_RNG_H
#define GROUND_BASE_RNG_H

/* rng - randomness as an injected part. The system source is the kernel's; it aborts rather than return weak bytes. */
#include <stddef.h>
#include <stdint.h>

#include "ground/base/result.h"

struct rng {
    void (*fill)(void *self, void *out, size_t len);
    void *self;
};

static inline void rng_fill(const struct rng *r, void *out, size_t len)
{
    r->fill(r->self, out, len);
}

const struct rng *rng_system(void);

/*
 * Another source, drawn from a page at a time: for the ids and nonces of a busy process, which would be a system call each. Any
 * thread. What is longer than RNG_BUFFERED_MAX, so every key and token, comes straight from the source and is never in the page.
 * Bytes are wiped as they are given. After a fork the child finds the page empty (it must not have been forked while another
 * thread drew; children of this program are made before there are threads).
 */
enum { RNG_BUFFERED_MAX = 24 };
struct rng_buffered;
RESULT rng_buffered_open(const struct rng *source, struct rng_buffered **ret_buffered);
void rng_buffered_close(struct rng_buffered *b); /* NULL is fine */
const struct rng *rng_buffered_rng(const struct rng_buffered *b);

/* A repeatable source for tests and the simulator only (splitmix64); never for keys. */
struct rng_seeded {
    struct rng rng; /* pass &x.rng */
    uint64_t state;
};
void rng_seeded_init(struct rng_seeded *r, uint64_t seed);
/* Uniform in [0, bound); bound > 0. */
uint64_t rng_below(const struct rng *r, uint64_t bound);

#endif
