/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/base/rng.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "ground/base/span.h"

enum { PAGE_BYTES = 4096 };

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

/* A page of its own, which the kernel gives to a child as zeros: nothing is left there. */
struct pool {
    size_t left; /* bytes[0 .. left) are not given yet */
    uint8_t bytes[PAGE_BYTES - sizeof(size_t)];
};

struct rng_buffered {
    struct rng rng;
    const struct rng *source;
    pthread_mutex_t lock; /* pool */
    struct pool *pool;
};

static void buffered_fill(void *self, void *out, size_t len)
{
    struct rng_buffered *b = self;

    if (len > RNG_BUFFERED_MAX) {
        rng_fill(b->source, out, len);
        return;
    }
    pthread_mutex_lock(&b->lock);
    if (b->pool->left < len) {
        rng_fill(b->source, b->pool->bytes, sizeof b->pool->bytes);
        b->pool->left = sizeof b->pool->bytes;
    }
    b->pool->left -= len;
    memcpy(out, b->pool->bytes + b->pool->left, len);
    wipe(b->pool->bytes + b->pool->left, len);
    pthread_mutex_unlock(&b->lock);
}

enum err rng_buffered_open(const struct rng *source, struct rng_buffered **ret_buffered)
{
    struct rng_buffered *b = calloc(1, sizeof *b);
    void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    _Static_assert(sizeof(struct pool) == PAGE_BYTES, "the pool is its page");
    if (!b || page == MAP_FAILED || madvise(page, PAGE_BYTES, MADV_WIPEONFORK) != 0) {
        if (page != MAP_FAILED)
            (void)munmap(page, PAGE_BYTES);
        free(b);
        FAIL(ERR_NOMEM, "no_memory", "No page for randomness that is kept from children.");
    }
    *b = (struct rng_buffered){.rng = {buffered_fill, b}, .source = source, .pool = page};
    INVARIANT(pthread_mutex_init(&b->lock, NULL) == 0, "a mutex can be made");
    *ret_buffered = b;
    return OK;
}

void rng_buffered_close(struct rng_buffered *b)
{
    if (!b)
        return;
    wipe(b->pool, sizeof *b->pool);
    (void)munmap(b->pool, PAGE_BYTES);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

const struct rng *rng_buffered_rng(const struct rng_buffered *b)
{
    return &b->rng;
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
