/* SPDX-License-Identifier: Apache-2.0 */
/* crowd - a table of counters by client network; and the keyed hash that this room's tables share. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "reach/http/inner.h"

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static uint64_t word_le(const uint8_t *at, size_t len)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return word;
}

uint64_t http_hash(const struct http_hash_key *key, struct span data)
{
    uint64_t v[4] = {key->k[0] ^ 0x736f6d6570736575u, key->k[1] ^ 0x646f72616e646f6du,
                     key->k[0] ^ 0x6c7967656e657261u, key->k[1] ^ 0x7465646279746573u};
    size_t at = 0;
    for (;; at += 8) {
        bool last = data.len - at < 8;
        uint64_t word = last ? (data.len > at ? word_le(data.data + at, data.len - at) : 0) |
                                   (uint64_t)data.len << 56
                             : word_le(data.data + at, 8);
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
        if (last)
            break;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct place {
    uint64_t key;
    size_t count; /* 0: free */
};

struct http_crowd {
    pthread_mutex_t lock;
    struct http_hash_key secret;
    size_t mask;
    struct place *places; /* open addressing; at most half full, since each entry is a connection */
};

enum err http_crowd_open(size_t connections_max, const struct rng *rng,
                         struct http_crowd **ret_crowd)
{
    size_t size = 64;
    ENSURE(connections_max <= 1u << 24, ERR_INVALID, "bad_config", "Too many connections.");
    while (size < 2 * connections_max)
        size *= 2;
    struct http_crowd *c = calloc(1, sizeof *c);
    ENSURE(c, ERR_NOMEM, "no_memory", "No memory for connection counts.");
    c->places = calloc(size, sizeof *c->places);
    if (!c->places) {
        free(c);
        FAIL(ERR_NOMEM, "no_memory", "No memory for connection counts.");
    }
    c->mask = size - 1;
    rng_fill(rng, &c->secret, sizeof c->secret);
    pthread_mutex_init(&c->lock, NULL);
    *ret_crowd = c;
    return OK;
}

void http_crowd_close(struct http_crowd *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->lock);
    free(c->places);
    free(c);
}

static size_t home(const struct http_crowd *c, uint64_t key)
{
    return http_hash(&c->secret, span_of(&key, sizeof key)) & c->mask;
}

/* Where the key is, or the free place where it would go. */
static size_t locate(const struct http_crowd *c, uint64_t key)
{
    size_t i = home(c, key);
    while (c->places[i].count && c->places[i].key != key)
        i = (i + 1) & c->mask;
    return i;
}

bool http_crowd_enter(struct http_crowd *c, uint64_t key, size_t max)
{
    pthread_mutex_lock(&c->lock);
    struct place *p = &c->places[locate(c, key)];
    bool fits = p->count < max;
    if (fits) {
        p->key = key;
        p->count++;
    }
    pthread_mutex_unlock(&c->lock);
    return fits;
}

void http_crowd_leave(struct http_crowd *c, uint64_t key)
{
    pthread_mutex_lock(&c->lock);
    size_t hole = locate(c, key);
    INVARIANT(c->places[hole].count > 0, "who leaves had entered");
    if (--c->places[hole].count == 0) {
        /* Move later entries of the run back, so that no search stops at the hole too early. */
        for (size_t i = (hole + 1) & c->mask; c->places[i].count; i = (i + 1) & c->mask) {
            size_t want = home(c, c->places[i].key);
            if (((i - want) & c->mask) >= ((i - hole) & c->mask)) {
                c->places[hole] = c->places[i];
                c->places[i].count = 0;
                hole = i;
            }
        }
    }
    pthread_mutex_unlock(&c->lock);
}
