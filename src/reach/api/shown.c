/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/api/shown.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/store/notes.h"

enum { SETS = 1024, WAYS = 8 };

struct place {
    bool taken;
    struct shown_event event;
    struct stamp_mark mark;
};

struct shown {
    struct stamps stamps;
    pthread_mutex_t lock; /* places */
    struct place places[SETS * WAYS];
};

enum err shown_new(struct shown **ret_shown)
{
    struct shown *s = calloc(1, sizeof *s);

    ENSURE(s, ERR_NOMEM, "no_memory", "No memory.");
    INVARIANT(pthread_mutex_init(&s->lock, NULL) == 0, "a mutex can be made");
    *ret_shown = s;
    return OK;
}

void shown_free(struct shown *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* An id ends in random bytes; whoever chooses its own can only crowd out its own neighbours. */
static struct place *set_of(struct shown *s, struct event_id id)
{
    return &s->places[get_u64be(id.b + 8) % SETS * WAYS];
}

/* Of this event; under the lock. */
static struct place *place_of(struct place *set, struct event_id id)
{
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].taken && event_id_eq(set[i].event.id, id))
            return &set[i];
    return NULL;
}

bool shown_find(struct shown *s, struct event_id id, struct shown_event *ret_event)
{
    pthread_mutex_lock(&s->lock);
    const struct place *p = place_of(set_of(s, id), id);
    bool good = p && stamps_good(&s->stamps, p->event.event_no, p->mark);
    if (good)
        *ret_event = p->event;
    pthread_mutex_unlock(&s->lock);
    return good;
}

struct stamp_mark shown_mark(const struct shown *s)
{
    return stamps_mark(&s->stamps);
}

/* Its own, a free or void one, or the one read first. */
static struct place *place_to_take(struct shown *s, struct place *set, struct event_id id)
{
    struct place *p = place_of(set, id), *oldest = set;

    if (p)
        return p;
    for (size_t i = 0; i < WAYS; i++) {
        if (!set[i].taken || !stamps_good(&s->stamps, set[i].event.event_no, set[i].mark))
            return &set[i];
        if (set[i].mark.at < oldest->mark.at)
            oldest = &set[i];
    }
    return oldest;
}

void shown_keep(struct shown *s, struct stamp_mark mark, const struct shown_event *event)
{
    pthread_mutex_lock(&s->lock);
    struct place *p = place_to_take(s, set_of(s, event->id), event->id);
    bool newer = p->taken && event_id_eq(p->event.id, event->id) && p->mark.at > mark.at;
    if (!newer)
        *p = (struct place){true, *event, mark};
    pthread_mutex_unlock(&s->lock);
}

void shown_committed(struct shown *s, const struct store_note *notes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (notes[i].kind == NOTE_EVENT)
            stamps_change(&s->stamps, notes[i].a);
}
