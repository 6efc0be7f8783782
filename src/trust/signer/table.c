/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/signer/table.h"

#include <stdlib.h>
#include <string.h>

enum { CAP_MIN = 64 };

void table_init(struct table *t, size_t slot_size, size_t max)
{
    *t = (struct table){.slot_size = slot_size, .max = max};
    rng_fill(rng_system(), &t->seed, sizeof t->seed);
}

void table_done(struct table *t)
{
    free(t->slots);
    free(t->used);
    t->slots = t->used = NULL;
    t->count = t->cap = 0;
}

/* The finaliser of splitmix64, twice: keys come from another process, so the seed keeps probe lengths out of its hands. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

/* Where key is, or the empty slot where it belongs. */
static size_t place_of(const struct table *t, const struct table_key *key)
{
    uint64_t h = mix(t->seed ^ ((uint64_t)key->a << 32 | key->b));
    size_t i = (size_t)mix(h ^ ((uint64_t)key->c << 32 | key->d)) & (t->cap - 1);

    while (t->used[i] && memcmp(t->slots + i * t->slot_size, key, sizeof *key) != 0)
        i = (i + 1) & (t->cap - 1);
    return i;
}

void *table_find(const struct table *t, const struct table_key *key)
{
    if (t->cap == 0)
        return NULL;
    size_t i = place_of(t, key);
    return t->used[i] ? t->slots + i * t->slot_size : NULL;
}

static enum err grow(struct table *t)
{
    struct table bigger = *t;

    bigger.cap = t->cap ? t->cap * 2 : CAP_MIN;
    bigger.slots = calloc(bigger.cap, t->slot_size);
    bigger.used = calloc(bigger.cap, 1);
    if (!bigger.slots || !bigger.used) {
        free(bigger.slots);
        free(bigger.used);
        FAIL(ERR_NOMEM, "no_memory", "No memory for the signer's index.");
    }
    for (size_t i = 0; i < t->cap; i++) {
        if (!t->used[i])
            continue;
        const void *slot = t->slots + i * t->slot_size;
        size_t at = place_of(&bigger, slot);
        memcpy(bigger.slots + at * t->slot_size, slot, t->slot_size);
        bigger.used[at] = 1;
    }
    free(t->slots);
    free(t->used);
    *t = bigger;
    return OK;
}

enum err table_add(struct table *t, const struct table_key *key, void **ret_slot)
{
    ENSURE(t->count < t->max, ERR_LIMIT, "table_full", "The signer's index is full.");
    if (t->count * 4 >= t->cap * 3)
        TRY(grow(t));
    size_t i = place_of(t, key);
    INVARIANT(!t->used[i], "a key is added to the table twice");
    memcpy(t->slots + i * t->slot_size, key, sizeof *key);
    t->used[i] = 1;
    t->count++;
    *ret_slot = t->slots + i * t->slot_size;
    return OK;
}
