/* SPDX-License-Identifier: Apache-2.0 */
/* seat_map_writer - the writer's view of a map: what the running batch has left behind, and what is picked from it. */
#include "sale/hold/seat_map_inner.h"

static void working_set(struct seat_map *map, uint32_t place, enum place_state state,
                        int64_t until_ms)
{
    seat_view_set(&map->working.view, place, state, until_ms);
    seat_pick_set(&map->working.pick, place, state == PLACE_FREE);
}

void seat_maps_released(void *maps, const struct store_note *notes, size_t count)
{
    struct seat_map *map = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct store_note *n = &notes[i];
        if (n->kind != NOTE_PLACE && n->kind != NOTE_EVENT)
            continue;
        if (!map || map->event_no != n->a)
            map = seat_maps_find(maps, n->a);
        if (n->kind == NOTE_EVENT) {
            if (map)
                event_facts_release(&map->working.facts);
            continue;
        }
        int64_t state = note_place_state(n->c);
        if (map)
            seat_claims_released(&map->claims, n);
        if (map && map->working.loaded && n->b < map->plan->places && state <= PLACE_BLOCKED)
            working_set(map, n->b, (enum place_state)state, n->d);
    }
}

void seat_maps_lost(void *maps)
{
    struct seat_maps *m = maps;

    (void)pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->count; i++) {
        m->maps[i]->working.loaded = false;
        seat_claims_lost(&m->maps[i]->claims);
        event_facts_release(&m->maps[i]->working.facts);
    }
    (void)pthread_mutex_unlock(&m->lock);
}

static enum err working_begin(struct seat_map *map)
{
    struct working *w = &map->working;

    w->loaded = false;
    if (!w->view.state)
        TRY(seat_view_init(&w->view, map->plan->places));
    return w->pick.free ? OK : seat_pick_init(&w->pick, map->plan);
}

static void working_end(struct seat_map *map)
{
    struct working *w = &map->working;

    seat_pick_load(&w->pick, &w->view);
    w->loaded = true;
    w->doubtful = false;
}

static enum err working_load(struct seat_map *map, struct store_tx *tx)
{
    TRY(working_begin(map));
    TRY(seat_view_read(&map->working.view, tx, map->event_no));
    working_end(map);
    return OK;
}

enum err seat_map_prepare(struct seat_map *map)
{
    INVARIANT(!map->working.loaded && map->published.loading == LOADED,
              "a published map is prepared once, before the writer runs");
    TRY(working_begin(map));
    (void)pthread_mutex_lock(&map->lock);
    seat_view_copy(&map->published.view, &map->working.view);
    (void)pthread_mutex_unlock(&map->lock);
    working_end(map);
    return OK;
}

enum err seat_maps_for_writer(struct seat_maps *m, struct store_tx *tx, int64_t event_no,
                              struct seat_map **ret_map)
{
    struct seat_map *map;

    TRY(seat_maps_obtain(m, tx, event_no, &map));
    if (!map->working.loaded || map->working.doubtful)
        TRY(working_load(map, tx));
    *ret_map = map;
    return OK;
}

enum err seat_map_reload(struct seat_map *map, struct store_tx *tx)
{
    TRY(working_load(map, tx));
    map->working.doubtful = true;
    return OK;
}

enum err seat_map_working_facts(struct seat_map *map, struct store_tx *tx,
                                struct event_facts **ret_facts)
{
    if (!map->working.facts)
        TRY(event_facts_load(tx, map->event_no, &map->working.facts));
    *ret_facts = map->working.facts;
    return OK;
}

static void working_tick(struct seat_map *map, int64_t now_ms)
{
    uint32_t place;

    while (seat_view_over(&map->working.view, now_ms, &place))
        working_set(map, place, PLACE_FREE, 0);
}

bool seat_map_working_free(struct seat_map *map, int64_t now_ms, uint32_t place)
{
    INVARIANT(map->working.loaded && place < map->plan->places,
              "the writer's view is loaded before it is asked");
    working_tick(map, now_ms);
    return map->working.view.state[place] == PLACE_FREE;
}

enum err seat_map_pick(struct seat_map *map, int64_t now_ms, uint8_t category, uint32_t count,
                       bool split, uint32_t *ret_places)
{
    INVARIANT(map->working.loaded && count >= 1 && count <= SEAT_PICK_MAX,
              "the writer's view is loaded before seats are picked");
    working_tick(map, now_ms);
    if (seat_pick_best(&map->working.pick, category, count, split, ret_places))
        return OK;
    /* A category without seats: any of its areas. */
    bool standing = map->working.pick.ranks[category].count == 0;
    for (uint32_t i = 0; i < map->plan->area_count && standing; i++)
        if (map->plan->areas[i].category == category &&
            seat_pick_area(&map->working.pick, i, count, ret_places))
            return OK;
    FAIL(ERR_CONFLICT, "none_left", "There are not so many places left together.");
}

enum err seat_map_pick_area(struct seat_map *map, int64_t now_ms, uint32_t area, uint32_t count,
                            uint32_t *ret_places)
{
    INVARIANT(map->working.loaded && area < map->plan->area_count && count <= SEAT_PICK_MAX,
              "the writer's view is loaded before slots are picked");
    working_tick(map, now_ms);
    ENSURE(seat_pick_area(&map->working.pick, area, count, ret_places), ERR_CONFLICT, "none_left",
           "There are not so many places left.");
    return OK;
}
