/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/base/rng.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "ground/base/result.h"

static void system_fill(void *self, void *out, size_t len)
{
    uint8_t *at = out;
    (void)self;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        INVARIANT(n > 0, "the kernel gives random bytes");
        at += n;
        len -= (size_t)n;
    }
}

const struct rng *rng_system(void)
{
    static const struct rng system = {system_fill, NULL};
    return &system;
}

static void seeded_fill(void *self, void *out, size_t len)
{
    struct rng_seeded *r = self;
    uint8_t *at = out;
    while (len > 0) {
        uint64_t z = r->state += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        size_t n = len < sizeof z ? len : sizeof z;
        memcpy(at, &z, n);
        at += n;
        len -= n;
    }
}

void rng_seeded_init(struct rng_seeded *r, uint64_t seed)
{
    *r = (struct rng_seeded){.rng = {seeded_fill, r}, .state = seed};
}

uint64_t rng_below(const struct rng *r, uint64_t bound)
{
    uint64_t v, limit = UINT64_MAX - UINT64_MAX % bound;
    do
        rng_fill(r, &v, sizeof v);
    while (v >= limit);
    return v % bound;
}
