/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_ARENA_H
#define GROUND_BASE_ARENA_H

/*
 * arena - memory by lifetime (process, connection, request, transaction), with a hard maximum. Freed all at once. Pointers
 * stay good until arena_reset or arena_done. Not thread-safe: one owner.
 */
#include <stddef.h>

#include "ground/base/span.h"

struct arena_chunk;
struct arena {
    struct arena_chunk *chunks;
    size_t used, max;
};

void arena_init(struct arena *a, size_t max);
void arena_done(struct arena *a);
void arena_reset(struct arena *a); /* wipes; keeps the largest chunk of a common size for reuse */
/* Zeroed, aligned for anything; NULL when the maximum is passed. */
void *arena_alloc(struct arena *a, size_t size);
/* The same for count * size, overflow-checked. */
void *arena_array(struct arena *a, size_t count, size_t size);
/* Copies; NULL when the maximum is passed. arena_text adds a terminator. */
char *arena_text(struct arena *a, struct span s);
RESULT arena_copy(struct arena *a, struct span s, struct span *ret_copy);

#endif
