/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/base/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/* What a reset keeps is at most KEPT_MAX: enough for a request, so that the next one needs no memory from the system. */
enum { CHUNK_BYTES = 4096, KEPT_MAX = 32 * 1024 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size, used; /* bytes[used .. size) are zeros */
    alignas(max_align_t) uint8_t bytes[];
};

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

static void free_chunks(struct arena_chunk *c)
{
    while (c) {
        struct arena_chunk *next = c->next;
        wipe(c->bytes, c->used);
        free(c);
        c = next;
    }
}

void arena_done(struct arena *a)
{
    if (!a)
        return;
    free_chunks(a->chunks);
    a->chunks = NULL;
    a->used = 0;
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *kept = NULL, *c = a->chunks;

    while (c) {
        struct arena_chunk *next = c->next;
        wipe(c->bytes, c->used);
        c->used = 0;
        if (c->size <= KEPT_MAX && (!kept || c->size > kept->size)) {
            free(kept);
            kept = c;
            kept->next = NULL;
        } else {
            free(c);
        }
        c = next;
    }
    a->chunks = kept;
    a->used = 0;
}

/* Each chunk is twice the one before, so that an arena that is used again soon has all it needs in one. */
static struct arena_chunk *add_chunk(struct arena *a, size_t want)
{
    size_t room = a->chunks && a->chunks->size <= KEPT_MAX / 2 ? 2 * a->chunks->size : CHUNK_BYTES;
    struct arena_chunk *c;

    if (room < want)
        room = want;
    c = calloc(1, sizeof *c + room);
    if (!c)
        return NULL;
    c->size = room;
    c->next = a->chunks;
    a->chunks = c;
    return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
    struct arena_chunk *c = a->chunks;
    size_t want;

    if (size > a->max || __builtin_add_overflow(size, alignof(max_align_t) - 1, &want))
        return NULL;
    want &= ~(alignof(max_align_t) - 1);
    if (want == 0)
        want = alignof(max_align_t);
    if (want > a->max - a->used)
        return NULL;
    if ((!c || want > c->size - c->used) && !(c = add_chunk(a, want)))
        return NULL;
    void *at = c->bytes + c->used;
    c->used += want;
    a->used += want;
    return at;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return arena_alloc(a, bytes);
}

char *arena_text(struct arena *a, struct span s)
{
    char *copy = arena_alloc(a, s.len + 1);
    if (copy && s.len)
        memcpy(copy, s.data, s.len);
    return copy;
}

enum err arena_copy(struct arena *a, struct span s, struct span *ret_copy)
{
    char *copy = arena_text(a, s);
    ENSURE(copy, ERR_NOMEM, "no_memory", "The request needs more memory than it may have.");
    *ret_copy = span_of(copy, s.len);
    return OK;
}
