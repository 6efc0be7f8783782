/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/api/recent.h"

#include <pthread.h>
#include <stdlib.h>

#include "store/store/notes.h"

enum { SETS = 2048, WAYS = 4 };

struct recent {
    pthread_mutex_t lock;
    struct set {
        unsigned next;                    /* the place to be taken next, when none is free */
        struct recent_order orders[WAYS]; /* row.version 0: free */
    } sets[SETS];
};

enum err recent_new(struct recent **ret_recent)
{
    struct recent *r = calloc(1, sizeof *r);

    ENSURE(r, ERR_NOMEM, "no_memory", "No memory.");
    INVARIANT(pthread_mutex_init(&r->lock, NULL) == 0, "a mutex can be made");
    *ret_recent = r;
    return OK;
}

void recent_free(struct recent *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* Ids end in random bytes; whoever chooses its own crowds out its own neighbours. */
static struct set *set_of(struct recent *r, struct order_id id)
{
    return &r->sets[get_u64be(id.b + 8) % SETS];
}

static struct recent_order *find(struct set *s, struct order_id id)
{
    for (size_t i = 0; i < WAYS; i++)
        if (s->orders[i].row.version != 0 && order_id_eq(s->orders[i].row.id, id))
            return &s->orders[i];
    return NULL;
}

static struct recent_order *place_for(struct set *s, struct order_id id)
{
    struct recent_order *found = find(s, id);

    for (size_t i = 0; i < WAYS && !found; i++)
        if (s->orders[i].row.version == 0)
            found = &s->orders[i];
    return found ? found : &s->orders[s->next++ % WAYS];
}

void recent_keep(struct recent *r, const struct recent_order *order)
{
    pthread_mutex_lock(&r->lock);
    *place_for(set_of(r, order->row.id), order->row.id) = *order;
    pthread_mutex_unlock(&r->lock);
}

/* Under the lock. */
static void forget(struct recent *r, struct order_id id)
{
    struct recent_order *found = find(set_of(r, id), id);

    if (found)
        found->row.version = 0;
}

void recent_committed(struct recent *r, const struct store_note *notes, size_t count)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < count; i++)
        if (notes[i].kind == NOTE_ORDER)
            forget(r, note_order_id(notes[i].c, notes[i].d));
    pthread_mutex_unlock(&r->lock);
}

bool recent_find(struct recent *r, struct order_id id, struct recent_order *ret_order)
{
    pthread_mutex_lock(&r->lock);
    const struct recent_order *found = find(set_of(r, id), id);
    if (found)
        *ret_order = *found;
    pthread_mutex_unlock(&r->lock);
    return found != NULL;
}

void recent_forget(struct recent *r, struct order_id id)
{
    pthread_mutex_lock(&r->lock);
    forget(r, id);
    pthread_mutex_unlock(&r->lock);
}
