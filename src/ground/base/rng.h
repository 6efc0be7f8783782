/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_RNG_H
#define GROUND_BASE_RNG_H

/* rng - randomness as an injected part. The system source is the kernel's; it aborts rather than return weak bytes. */
#include <stddef.h>
#include <stdint.h>

struct rng {
    void (*fill)(void *self, void *out, size_t len);
    void *self;
};

static inline void rng_fill(const struct rng *r, void *out, size_t len)
{
    r->fill(r->self, out, len);
}

const struct rng *rng_system(void);

/* A repeatable source for tests and the simulator only (splitmix64); never for keys. */
struct rng_seeded {
    struct rng rng; /* pass &x.rng */
    uint64_t state;
};
void rng_seeded_init(struct rng_seeded *r, uint64_t seed);
/* Uniform in [0, bound); bound > 0. */
uint64_t rng_below(const struct rng *r, uint64_t bound);

#endif
