/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/hold/seat_map.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sale/catalog/catalog.h"
#include "sale/hold/seat_map_inner.h"

enum { PENDING_MAX = 1 << 20 };

static const uint8_t shown_of[] = {[PLACE_FREE] = SEAT_FREE,
                                   [PLACE_HELD] = SEAT_HELD,
                                   [PLACE_ORDERED] = SEAT_HELD,
                                   [PLACE_SOLD] = SEAT_TAKEN,
                                   [PLACE_BLOCKED] = SEAT_BLOCKED};

static size_t shown_bytes(uint32_t places)
{
    return ((size_t)places + 3) / 4;
}

/* --- making and finding ------------------------------------------------------------------------------------------------ */

static void seat_map_free(struct seat_map **map)
{
    struct seat_map *m = *map;

    if (!m)
        return;
    seat_snapshot_release(&m->published.snapshot);
    event_facts_release(&m->published.facts);
    event_facts_release(&m->working.facts);
    seat_view_done(&m->published.view);
    free(m->published.pending);
    free(m->published.changes);
    free(m->published.free_in_area);
    free(m->published.shown);
    free(m->published.holders);
    seat_claims_done(&m->claims);
    seat_view_done(&m->working.view);
    seat_pick_done(&m->working.pick);
    packed_free(&m->plan);
    (void)pthread_mutex_destroy(&m->lock);
    (void)pthread_cond_destroy(&m->settled);
    free(m);
    *map = NULL;
}

enum err seat_maps_new(struct store *store, struct seat_maps **ret_maps)
{
    struct seat_maps *m = calloc(1, sizeof *m);

    ENSURE(m, ERR_NOMEM, "no_memory", "No memory for the maps.");
    m->store = store;
    (void)pthread_mutex_init(&m->lock, NULL);
    *ret_maps = m;
    return OK;
}

void seat_maps_free(struct seat_maps *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->count; i++)
        seat_map_free(&m->maps[i]);
    (void)pthread_mutex_destroy(&m->lock);
    free(m);
}

/* Where it is, or where it belongs. Under the lock. */
static size_t map_index(const struct seat_maps *m, int64_t event_no)
{
    size_t low = 0, high = m->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (m->maps[mid]->event_no < event_no)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct seat_map *seat_maps_find(struct seat_maps *m, int64_t event_no)
{
    (void)pthread_mutex_lock(&m->lock);
    size_t at = map_index(m, event_no);
    struct seat_map *map = at < m->count && m->maps[at]->event_no == event_no ? m->maps[at] : NULL;
    (void)pthread_mutex_unlock(&m->lock);
    return map;
}

/* Event ids end in random bytes. */
static struct seat_map **event_slot(struct seat_maps *m, struct event_id event)
{
    return &m->by_event[get_u16be(event.b + ID_BYTES - 2) % EVENT_SLOTS];
}

struct seat_map *seat_maps_find_event(struct seat_maps *m, struct event_id event)
{
    (void)pthread_mutex_lock(&m->lock);
    struct seat_map *map = *event_slot(m, event);
    while (map && !event_id_eq(map->event, event))
        map = map->next_same;
    (void)pthread_mutex_unlock(&m->lock);
    return map;
}

/* Takes *map, or frees it when another thread was first; *ret_map is the one that is kept. */
static enum err maps_add(struct seat_maps *m, struct seat_map **map, struct seat_map **ret_map)
{
    (void)pthread_mutex_lock(&m->lock);
    size_t at = map_index(m, (*map)->event_no);
    bool there = at < m->count && m->maps[at]->event_no == (*map)->event_no;
    bool room = m->count < SEAT_MAPS_MAX;
    if (!there && room) {
        memmove(&m->maps[at + 1], &m->maps[at], (m->count - at) * sizeof *m->maps);
        m->maps[at] = *map;
        m->count++;
        struct seat_map **slot = event_slot(m, (*map)->event);
        (*map)->next_same = *slot;
        *slot = *map;
        *map = NULL;
    }
    if (there || room)
        *ret_map = m->maps[at];
    (void)pthread_mutex_unlock(&m->lock);
    ENSURE(there || room, ERR_LIMIT, "too_many_maps", "More than %d events are loaded.",
           SEAT_MAPS_MAX);
    return OK;
}

static enum err event_id_of(struct store_tx *tx, int64_t event_no, struct event_id *ret_event)
{
    AUTO(event_facts_release) struct event_facts *facts = NULL;

    TRY(event_facts_load(tx, event_no, &facts));
    *ret_event = facts->row.id;
    return OK;
}

enum err seat_maps_obtain(struct seat_maps *m, struct store_tx *tx, int64_t event_no,
                          struct seat_map **ret_map)
{
    AUTO(seat_map_free) struct seat_map *map = NULL;

    *ret_map = seat_maps_find(m, event_no);
    if (*ret_map)
        return OK;
    map = calloc(1, sizeof *map);
    ENSURE(map, ERR_NOMEM, "no_memory", "No memory for the map of an event.");
    (void)pthread_mutex_init(&map->lock, NULL);
    (void)pthread_cond_init(&map->settled, NULL);
    map->event_no = event_no;
    TRY(event_id_of(tx, event_no, &map->event));
    TRY(plan_of_event(tx, event_no, &map->plan));
    struct published *p = &map->published;
    p->changes = calloc(SEAT_CHANGES_KEPT, sizeof *p->changes);
    p->free_in_area = calloc(map->plan->area_count + 1, sizeof *p->free_in_area);
    p->shown = calloc(shown_bytes(map->plan->places), 1);
    p->holders = calloc(map->plan->places, sizeof *p->holders);
    bool claims = seat_claims_init(&map->claims, map->plan->places);
    ENSURE(p->changes && p->free_in_area && p->shown && p->holders && claims, ERR_NOMEM,
           "no_memory", "No memory for the map of an event.");
    return maps_add(m, &map, ret_map);
}

/* --- the published view ------------------------------------------------------------------------------------------------ */

static void show_place(struct published *p, uint32_t place, enum place_state state)
{
    unsigned at = place % 4 * 2;
    uint8_t *b = &p->shown[place / 4];

    *b = (uint8_t)((*b & ~(3u << at)) | (unsigned)shown_of[state] << at);
}

static void count_place(struct seat_map *map, uint32_t place, enum place_state state, uint32_t one)
{
    struct published *p = &map->published;

    p->by_state[state] += one;
    if (state != PLACE_FREE)
        return;
    p->free_by_category[map->plan->category[place]] += one;
    const struct packed_area *area = packed_area_of(map->plan, place);
    if (area)
        p->free_in_area[area - map->plan->areas] += one;
}

static void count_all(struct seat_map *map)
{
    struct published *p = &map->published;

    memset(p->by_state, 0, sizeof p->by_state);
    memset(p->free_by_category, 0, sizeof p->free_by_category);
    memset(p->free_in_area, 0, map->plan->area_count * sizeof *p->free_in_area);
    for (uint32_t i = 0; i < map->plan->places; i++) {
        count_place(map, i, p->view.state[i], 1);
        show_place(p, i, p->view.state[i]);
    }
}

/* Under the lock. All changes of a call share its version, which is the next one. */
static bool publish(struct seat_map *map, uint32_t place, enum place_state state, int64_t until_ms)
{
    struct published *p = &map->published;
    enum place_state was = p->view.state[place];

    seat_view_set(&p->view, place, state, until_ms);
    if (state == PLACE_FREE)
        p->holders[place] = 0;
    if (was == state)
        return false;
    count_place(map, place, was, UINT32_MAX);
    count_place(map, place, state, 1);
    if (shown_of[was] == shown_of[state])
        return true;
    show_place(p, place, state);
    struct seat_change *slot = &p->changes[p->change_count % SEAT_CHANGES_KEPT];
    if (p->change_count >= SEAT_CHANGES_KEPT)
        p->dropped_version = slot->version;
    *slot = (struct seat_change){p->version + 1, place, shown_of[state]};
    p->change_count++;
    return true;
}

static bool publish_note(struct seat_map *map, const struct store_note *n)
{
    int64_t state = note_place_state(n->c);

    if (n->b >= map->plan->places || state > PLACE_BLOCKED)
        return false;
    if (state == PLACE_HELD)
        map->published.holders[n->b] = note_hold_tag(n->c);
    return publish(map, n->b, (enum place_state)state, n->d);
}

/* A reader is loading: keep it for then. */
static void keep_pending(struct published *p, const struct store_note *n)
{
    if (p->pending_count == p->pending_cap) {
        size_t cap = p->pending_cap > 0 ? 2 * p->pending_cap : 64;
        struct store_note *more =
            cap <= PENDING_MAX ? realloc(p->pending, cap * sizeof *more) : NULL;
        if (!more) {
            p->pending_lost = true;
            return;
        }
        p->pending = more;
        p->pending_cap = cap;
    }
    p->pending[p->pending_count++] = *n;
}

/* Notes of one map, first..: returns how many belong to it. */
static size_t commit_notes(struct seat_map *map, const struct store_note *notes, size_t count)
{
    struct published *p = &map->published;
    bool changed = false;
    size_t i;

    (void)pthread_mutex_lock(&map->lock);
    for (i = 0; i < count && (notes[i].kind != NOTE_PLACE || notes[i].a == map->event_no); i++) {
        if (notes[i].kind != NOTE_PLACE)
            continue;
        if (p->loading == LOADED)
            changed = publish_note(map, &notes[i]) || changed;
        else if (p->loading == LOADING)
            keep_pending(p, &notes[i]);
        seat_claims_committed(&map->claims, &notes[i]);
    }
    p->version += changed;
    (void)pthread_mutex_unlock(&map->lock);
    return i;
}

/* Readers may still hold what was read before; nobody is given it from here on. */
static void commit_event(struct seat_map *map, int64_t version)
{
    struct published *p = &map->published;

    (void)pthread_mutex_lock(&map->lock);
    if (version > p->facts_version)
        p->facts_version = version;
    if (p->facts && p->facts->row.version < p->facts_version)
        event_facts_release(&p->facts);
    (void)pthread_mutex_unlock(&map->lock);
}

void seat_maps_committed(void *maps, const struct store_note *notes, size_t count)
{
    struct seat_maps *m = maps;

    for (size_t i = 0; i < count; i++) {
        struct seat_map *map = notes[i].kind == NOTE_EVENT ? seat_maps_find(m, notes[i].a) : NULL;
        if (map)
            commit_event(map, notes[i].c);
    }
    for (size_t i = 0; i < count;) {
        struct seat_map *map = notes[i].kind == NOTE_PLACE ? seat_maps_find(m, notes[i].a) : NULL;
        i += map ? commit_notes(map, notes + i, count - i) : 1;
    }
}

/* Read the rows; the lock is not held, committed notes wait in pending. */
static enum err published_read(struct seat_map *map, struct store_reader *reader,
                               int64_t *ret_now_ms)
{
    struct published *p = &map->published;
    struct store_tx *tx;

    if (!p->view.state)
        TRY(seat_view_init(&p->view, map->plan->places));
    TRY(store_read_begin(reader, &tx));
    enum err code = seat_view_read(&p->view, tx, map->event_no);
    *ret_now_ms = store_now_ms(tx);
    store_read_end(tx);
    return code;
}

static enum err published_settle(struct seat_map *map, enum err code, int64_t now_ms)
{
    struct published *p = &map->published;

    (void)pthread_mutex_lock(&map->lock);
    if (code == OK && !p->pending_lost) {
        count_all(map);
        memset(p->holders, 0, map->plan->places * sizeof *p->holders);
        p->version = p->first_version = p->dropped_version = (uint64_t)now_ms * 1000;
        p->change_count = 0;
        bool changed = false;
        for (size_t i = 0; i < p->pending_count; i++)
            changed = publish_note(map, &p->pending[i]) || changed;
        p->version += changed;
        p->loading = LOADED;
    } else {
        p->loading = NOT_LOADED;
    }
    bool lost = p->pending_lost;
    p->pending_count = 0;
    p->pending_lost = false;
    (void)pthread_cond_broadcast(&map->settled);
    (void)pthread_mutex_unlock(&map->lock);
    if (code == OK && lost)
        FAIL(ERR_BUSY, "map_busy", "The map changed too much while it was read.");
    return code;
}

enum err seat_maps_get(struct seat_maps *m, struct store_reader *reader, int64_t event_no,
                       struct seat_map **ret_map)
{
    struct seat_map *map = seat_maps_find(m, event_no);
    struct store_tx *tx;
    int64_t now_ms = 0;

    if (!map) {
        TRY(store_read_begin(reader, &tx));
        enum err code = seat_maps_obtain(m, tx, event_no, &map);
        store_read_end(tx);
        TRY(code);
    }
    (void)pthread_mutex_lock(&map->lock);
    while (map->published.loading == LOADING)
        (void)pthread_cond_wait(&map->settled, &map->lock);
    bool mine = map->published.loading == NOT_LOADED;
    if (mine)
        map->published.loading = LOADING;
    (void)pthread_mutex_unlock(&map->lock);
    if (mine) {
        enum err code = published_read(map, reader, &now_ms);
        TRY(published_settle(map, code, now_ms));
    }
    *ret_map = map;
    return OK;
}

static bool tick_map(struct seat_map *map, int64_t now_ms)
{
    struct published *p = &map->published;
    bool changed = false;
    uint32_t place;

    (void)pthread_mutex_lock(&map->lock);
    while (p->loading == LOADED && seat_view_over(&p->view, now_ms, &place))
        changed = publish(map, place, PLACE_FREE, 0) || changed;
    p->version += changed;
    (void)pthread_mutex_unlock(&map->lock);
    return changed;
}

bool seat_maps_tick(struct seat_maps *m, int64_t now_ms)
{
    bool changed = false;

    (void)pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->count; i++)
        changed = tick_map(m->maps[i], now_ms) || changed;
    (void)pthread_mutex_unlock(&m->lock);
    return changed;
}

/* --- looking at it ----------------------------------------------------------------------------------------------------- */

const struct packed *seat_map_plan(const struct seat_map *map)
{
    return map->plan;
}

int64_t seat_map_event_no(const struct seat_map *map)
{
    return map->event_no;
}

struct event_facts *seat_map_facts_kept(struct seat_map *map)
{
    (void)pthread_mutex_lock(&map->lock);
    struct event_facts *kept = event_facts_keep(map->published.facts);
    (void)pthread_mutex_unlock(&map->lock);
    return kept;
}

enum err seat_map_facts(struct seat_map *map, struct store_tx *snapshot,
                        struct event_facts **ret_facts)
{
    struct published *p = &map->published;
    struct event_facts *kept = seat_map_facts_kept(map), *read;

    if (kept) {
        *ret_facts = kept;
        return OK;
    }
    TRY(event_facts_load(snapshot, map->event_no, &read));
    (void)pthread_mutex_lock(&map->lock);
    /* The snapshot may be older than the newest commit, or newer than what is durable: then it is for this reader alone. */
    if (read->row.version >= p->facts_version && store_sees_durable(snapshot)) {
        event_facts_release(&p->facts);
        p->facts = event_facts_keep(read);
    }
    (void)pthread_mutex_unlock(&map->lock);
    *ret_facts = read;
    return OK;
}

bool seat_map_taken_by_another(struct seat_map *map, uint32_t place, struct hold_id hold)
{
    const struct published *p = &map->published;

    (void)pthread_mutex_lock(&map->lock);
    bool sure = p->loading == LOADED && place < map->plan->places &&
                p->view.state[place] != PLACE_FREE && p->holders[place] != 0 &&
                p->holders[place] != HOLD_TAG(hold);
    (void)pthread_mutex_unlock(&map->lock);
    return sure || seat_claimed_by_another(&map->claims, place, HOLD_TAG(hold));
}

uint64_t seat_map_version(struct seat_map *map)
{
    (void)pthread_mutex_lock(&map->lock);
    uint64_t version = map->published.version;
    (void)pthread_mutex_unlock(&map->lock);
    return version;
}

void seat_snapshot_release(struct seat_snapshot **s)
{
    if (*s && __atomic_sub_fetch(&(*s)->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(*s);
    *s = NULL;
}

static struct seat_snapshot *make_snapshot(const struct seat_map *map)
{
    uint32_t places = map->plan->places;
    size_t len = AVAILABILITY_HEADER + shown_bytes(places);
    struct seat_snapshot *s = malloc(sizeof *s + len);
    uint8_t *bytes;

    if (!s)
        return NULL;
    bytes = (uint8_t *)(s + 1);
    s->version = map->published.version;
    s->references = 1;
    s->bytes = span_of(bytes, len);
    (void)snprintf(s->etag, sizeof s->etag, "\"a%llu\"", (unsigned long long)s->version);
    memcpy(bytes, "GHA1", 4);
    put_u64be(bytes + 4, s->version);
    put_u32be(bytes + 12, places);
    memcpy(bytes + AVAILABILITY_HEADER, map->published.shown, shown_bytes(places));
    return s;
}

enum err seat_map_snapshot(struct seat_map *map, struct seat_snapshot **ret_snapshot)
{
    struct published *p = &map->published;
    struct seat_snapshot *s;

    (void)pthread_mutex_lock(&map->lock);
    if (p->loading != LOADED) {
        (void)pthread_mutex_unlock(&map->lock);
        FAIL(ERR_NOT_FOUND, "no_places", "The map of this event is not loaded.");
    }
    if (!p->snapshot || p->snapshot->version != p->version) {
        seat_snapshot_release(&p->snapshot);
        p->snapshot = make_snapshot(map);
    }
    s = p->snapshot;
    if (s)
        (void)__atomic_add_fetch(&s->references, 1, __ATOMIC_RELAXED);
    (void)pthread_mutex_unlock(&map->lock);
    ENSURE(s, ERR_NOMEM, "no_memory", "No memory for the availability of an event.");
    *ret_snapshot = s;
    return OK;
}

static const struct seat_change *change_at(const struct published *p, uint64_t n)
{
    return &p->changes[n % SEAT_CHANGES_KEPT];
}

/* The number of the first kept change after version since. */
static uint64_t first_after(const struct published *p, uint64_t since)
{
    uint64_t low = p->change_count > SEAT_CHANGES_KEPT ? p->change_count - SEAT_CHANGES_KEPT : 0;
    uint64_t high = p->change_count;

    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        if (change_at(p, mid)->version > since)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

/* Under the lock. False: refresh. */
static bool changes_since(const struct published *p, uint64_t since, struct seat_change *changes,
                          size_t max, size_t *ret_count, uint64_t *ret_version)
{
    size_t count = 0;

    if (p->loading != LOADED || since < p->first_version || since > p->version ||
        p->dropped_version > since)
        return false;
    uint64_t at = first_after(p, since);
    while (count < max && at < p->change_count)
        changes[count++] = *change_at(p, at++);
    *ret_version = p->version;
    if (at < p->change_count) {
        uint64_t cut = change_at(p, at)->version; /* may be told in part: leave it out */
        while (count > 0 && changes[count - 1].version == cut)
            count--;
        if (count == 0)
            return false;
        *ret_version = changes[count - 1].version;
    }
    *ret_count = count;
    return true;
}

enum err seat_map_changes(struct seat_map *map, uint64_t since, struct seat_change *changes,
                          size_t max, size_t *ret_count, uint64_t *ret_version)
{
    (void)pthread_mutex_lock(&map->lock);
    bool told = changes_since(&map->published, since, changes, max, ret_count, ret_version);
    (void)pthread_mutex_unlock(&map->lock);
    ENSURE(told, ERR_EXPIRED, "refresh_needed", "Fetch the availability again.");
    return OK;
}

void seat_map_counts(struct seat_map *map, struct seat_counts *ret_counts)
{
    const struct published *p = &map->published;

    (void)pthread_mutex_lock(&map->lock);
    *ret_counts = (struct seat_counts){.version = p->version,
                                       .free = p->by_state[PLACE_FREE],
                                       .held = p->by_state[PLACE_HELD],
                                       .ordered = p->by_state[PLACE_ORDERED],
                                       .sold = p->by_state[PLACE_SOLD],
                                       .blocked = p->by_state[PLACE_BLOCKED]};
    memcpy(ret_counts->free_by_category, p->free_by_category, sizeof p->free_by_category);
    (void)pthread_mutex_unlock(&map->lock);
}

uint32_t seat_map_free_in_area(struct seat_map *map, uint32_t area)
{
    INVARIANT(area < map->plan->area_count, "an area is one of its plan's");
    (void)pthread_mutex_lock(&map->lock);
    uint32_t free = map->published.free_in_area[area];
    (void)pthread_mutex_unlock(&map->lock);
    return free;
}
