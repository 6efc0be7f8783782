/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/hold/seat_view.h"

#include <stdlib.h>
#include <string.h>

#include "store/store/store_hold.h"

enum err seat_view_init(struct seat_view *v, uint32_t places)
{
    /* Why calloc: pages that are never touched (the heap of an event nobody holds seats of) cost nothing. */
    *v = (struct seat_view){.places = places,
                            .state = calloc(places, sizeof *v->state),
                            .until_ms = calloc(places, sizeof *v->until_ms),
                            .due = calloc(places, sizeof *v->due),
                            .slot = calloc(places, sizeof *v->slot)};
    if (v->state && v->until_ms && v->due && v->slot)
        return OK;
    seat_view_done(v);
    FAIL(ERR_NOMEM, "no_memory", "No memory for the map of an event.");
}

void seat_view_done(struct seat_view *v)
{
    free(v->state);
    free(v->until_ms);
    free(v->due);
    free(v->slot);
    *v = (struct seat_view){0};
}

void seat_view_clear(struct seat_view *v)
{
    memset(v->state, PLACE_FREE, v->places);
    memset(v->slot, 0, v->places * sizeof *v->slot);
    v->due_count = 0;
}

void seat_view_copy(const struct seat_view *from, struct seat_view *to)
{
    INVARIANT(from->places == to->places, "both views are of one event");
    memcpy(to->state, from->state, from->places * sizeof *to->state);
    memcpy(to->until_ms, from->until_ms, from->places * sizeof *to->until_ms);
    memcpy(to->due, from->due, from->due_count * sizeof *to->due);
    memcpy(to->slot, from->slot, from->places * sizeof *to->slot);
    to->due_count = from->due_count;
}

static void due_put(struct seat_view *v, uint32_t at, struct seat_due due)
{
    v->due[at] = due;
    v->slot[due.place] = at + 1;
}

static void due_rise(struct seat_view *v, uint32_t at)
{
    struct seat_due due = v->due[at];

    while (at > 0 && v->due[(at - 1) / 2].until_ms > due.until_ms) {
        due_put(v, at, v->due[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    due_put(v, at, due);
}

static void due_sink(struct seat_view *v, uint32_t at)
{
    struct seat_due due = v->due[at];

    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < v->due_count && v->due[child + 1].until_ms < v->due[child].until_ms)
            child++;
        if (child >= v->due_count || v->due[child].until_ms >= due.until_ms)
            break;
        due_put(v, at, v->due[child]);
        at = child;
    }
    due_put(v, at, due);
}

static uint32_t due_pop(struct seat_view *v)
{
    uint32_t place = v->due[0].place;

    v->slot[place] = 0;
    if (--v->due_count > 0) {
        v->due[0] = v->due[v->due_count];
        due_sink(v, 0);
    }
    return place;
}

static void due_push(struct seat_view *v, uint32_t place, int64_t until_ms)
{
    v->due[v->due_count] = (struct seat_due){until_ms, place};
    due_rise(v, v->due_count++);
}

void seat_view_set(struct seat_view *v, uint32_t place, enum place_state state, int64_t until_ms)
{
    v->state[place] = (uint8_t)state;
    v->until_ms[place] = until_ms;
    if (state != PLACE_HELD)
        return; /* its turn in the heap comes and finds nothing to do */
    uint32_t slot = v->slot[place];
    if (slot == 0) {
        due_push(v, place, until_ms);
    } else if (until_ms < v->due[slot - 1].until_ms) {
        v->due[slot - 1].until_ms = until_ms;
        due_rise(v, slot - 1);
    } /* else: a later time is found when its turn comes */
}

static void take_place(void *context, uint32_t place, enum place_state state, int64_t until_ms)
{
    struct seat_view *v = context;

    if (place < v->places)
        seat_view_set(v, place, state, until_ms);
}

enum err seat_view_read(struct seat_view *v, struct store_tx *tx, int64_t event_no)
{
    seat_view_clear(v);
    return store_place_each(tx, event_no, take_place, v);
}

bool seat_view_over(struct seat_view *v, int64_t now_ms, uint32_t *ret_place)
{
    while (v->due_count > 0 && v->due[0].until_ms <= now_ms) {
        uint32_t place = due_pop(v);
        if (v->state[place] != PLACE_HELD)
            continue;
        if (v->until_ms[place] <= now_ms) {
            *ret_place = place;
            return true;
        }
        due_push(v, place, v->until_ms[place]);
    }
    return false;
}
