/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "sale/hold/seat_view.h"

enum { PICK_MEMORY_MAX = 64 << 20 };

/* --- bits ------------------------------------------------------------------------------------------------------------ */

static bool bit(const uint64_t *bits, uint32_t at)
{
    return bits[at / 64] >> (at % 64) & 1;
}

static void bit_put(uint64_t *bits, uint32_t at, bool on)
{
    uint64_t mask = UINT64_C(1) << (at % 64);
    bits[at / 64] = on ? bits[at / 64] | mask : bits[at / 64] & ~mask;
}

/* The first position from..end-1 whose bit is on (or off); end when there is none. */
static uint32_t bit_next(const uint64_t *bits, uint32_t from, uint32_t end, bool on)
{
    while (from < end) {
        uint64_t word = on ? bits[from / 64] : ~bits[from / 64];
        word >>= from % 64;
        if (word != 0) {
            uint32_t at = from + (uint32_t)__builtin_ctzll(word);
            return at < end ? at : end;
        }
        from = (from / 64 + 1) * 64;
    }
    return end;
}

/* --- making ---------------------------------------------------------------------------------------------------------- */

static enum err array(struct seat_pick *k, size_t count, size_t size, void *ret_array)
{
    void *at = arena_array(&k->arena, count > 0 ? count : 1, size);
    ENSURE(at, ERR_NOMEM, "no_memory", "No memory for the map of an event.");
    memcpy(ret_array, &at, sizeof at);
    return OK;
}

/* Front rows first, then the order of the plan, the middle of a row before its sides. */
static int run_cmp(const void *va, const void *vb, void *context)
{
    const struct packed *p = context;
    uint32_t ia, ib;
    memcpy(&ia, va, sizeof ia);
    memcpy(&ib, vb, sizeof ib);
    const struct packed_run *a = &p->runs[ia], *b = &p->runs[ib];

    if (a->row_in_zone != b->row_in_zone)
        return a->row_in_zone < b->row_in_zone ? -1 : 1;
    if (a->row != b->row)
        return a->row < b->row ? -1 : 1;
    const struct packed_row *row = &p->rows[a->row];
    int64_t middle = 2 * (int64_t)row->first + row->seats;
    int64_t da = llabs(2 * (int64_t)a->first + a->seats - middle);
    int64_t db = llabs(2 * (int64_t)b->first + b->seats - middle);
    if (da != db)
        return da < db ? -1 : 1;
    return ia < ib ? -1 : ia > ib;
}

static enum err make_ranks(struct seat_pick *k)
{
    const struct packed *p = k->plan;

    for (uint32_t i = 0; i < p->run_count; i++)
        k->ranks[p->runs[i].category].count++;
    for (uint32_t c = 0; c < p->category_count; c++) {
        struct seat_ranks *r = &k->ranks[c];
        TRY(array(k, r->count, sizeof *r->runs, &r->runs));
        for (size_t n = 0; n < PICK_LENGTHS; n++)
            TRY(array(k, r->count / 64 + 1, sizeof *r->bits[n], &r->bits[n]));
        r->count = 0;
    }
    for (uint32_t i = 0; i < p->run_count; i++) {
        struct seat_ranks *r = &k->ranks[p->runs[i].category];
        r->runs[r->count++] = i;
    }
    for (uint32_t c = 0; c < p->category_count; c++) {
        struct seat_ranks *r = &k->ranks[c];
        /* Why the cast: the comparison only reads the plan. */
        qsort_r(r->runs, r->count, sizeof *r->runs, run_cmp, (void *)(uintptr_t)p);
        for (uint32_t i = 0; i < r->count; i++)
            k->rank[r->runs[i]] = i;
    }
    return OK;
}

static enum err make(struct seat_pick *k)
{
    const struct packed *p = k->plan;

    TRY(array(k, p->places / 64 + 1, sizeof *k->free, &k->free));
    TRY(array(k, p->run_count, sizeof *k->gap, &k->gap));
    TRY(array(k, p->run_count, sizeof *k->rank, &k->rank));
    TRY(array(k, p->run_count, sizeof *k->run_free, &k->run_free));
    TRY(array(k, p->area_count, sizeof *k->area_free, &k->area_free));
    TRY(array(k, p->area_count, sizeof *k->area_next, &k->area_next));
    return make_ranks(k);
}

enum err seat_pick_init(struct seat_pick *k, const struct packed *plan)
{
    *k = (struct seat_pick){.plan = plan};
    arena_init(&k->arena, PICK_MEMORY_MAX);
    enum err code = make(k);
    if (code != OK)
        seat_pick_done(k);
    return code;
}

void seat_pick_done(struct seat_pick *k)
{
    arena_done(&k->arena);
    *k = (struct seat_pick){0};
}

/* --- keeping it true --------------------------------------------------------------------------------------------------- */

static void run_measure(struct seat_pick *k, uint32_t run_no)
{
    const struct packed_run *run = &k->plan->runs[run_no];
    struct seat_ranks *r = &k->ranks[run->category];
    uint32_t end = run->first + run->seats, most = 0;

    for (uint32_t at = run->first; at < end;) {
        uint32_t from = bit_next(k->free, at, end, true);
        at = bit_next(k->free, from, end, false);
        if (at - from > most)
            most = at - from;
    }
    k->gap[run_no] = most;
    for (uint32_t n = 0; n < PICK_LENGTHS; n++)
        bit_put(r->bits[n], k->rank[run_no], most > n);
}

static uint32_t area_number(const struct seat_pick *k, uint32_t place)
{
    return (uint32_t)(packed_area_of(k->plan, place) - k->plan->areas);
}

void seat_pick_load(struct seat_pick *k, const struct seat_view *v)
{
    const struct packed *p = k->plan;

    memset(k->run_free, 0, p->run_count * sizeof *k->run_free);
    memset(k->area_free, 0, p->area_count * sizeof *k->area_free);
    for (uint32_t i = 0; i < p->area_count; i++)
        k->area_next[i] = p->areas[i].first;
    for (uint32_t i = 0; i < p->places; i++) {
        bool free = v->state[i] == PLACE_FREE;
        bit_put(k->free, i, free);
        if (i < p->seats)
            k->run_free[p->run_of[i]] += free;
    }
    for (uint32_t i = 0; i < p->area_count; i++)
        for (uint32_t n = 0; n < p->areas[i].slots; n++)
            k->area_free[i] += bit(k->free, p->areas[i].first + n);
    for (uint32_t i = 0; i < p->run_count; i++)
        run_measure(k, i);
}

void seat_pick_set(struct seat_pick *k, uint32_t place, bool free)
{
    if (bit(k->free, place) == free)
        return;
    bit_put(k->free, place, free);
    if (place < k->plan->seats) {
        uint32_t run = k->plan->run_of[place];
        k->run_free[run] += free ? 1 : UINT32_MAX;
        run_measure(k, run);
        return;
    }
    uint32_t area = area_number(k, place);
    k->area_free[area] += free ? 1 : UINT32_MAX;
    if (free && place < k->area_next[area])
        k->area_next[area] = place;
}

/* --- picking --------------------------------------------------------------------------------------------------------- */

enum { NEAR = 4 }; /* half seats: within two seats the middle is as good */

struct window {
    uint32_t first;
    uint32_t singles;  /* seats it would leave alone */
    uint32_t rest;     /* seats beside it that more groups as large would leave */
    uint32_t distance; /* from the middle of the row, in half seats */
};

static bool better(const struct window *a, const struct window *b)
{
    if (a->singles != b->singles)
        return a->singles < b->singles;
    if (a->distance / NEAR != b->distance / NEAR)
        return a->distance < b->distance;
    if (a->rest != b->rest)
        return a->rest < b->rest;
    return a->distance < b->distance;
}

/* The best count seats within a run that has so many side by side. */
static void pick_in_run(const struct seat_pick *k, uint32_t run_no, uint32_t count,
                        uint32_t *ret_places)
{
    const struct packed_run *run = &k->plan->runs[run_no];
    const struct packed_row *row = &k->plan->rows[run->row];
    int64_t middle = 2 * (int64_t)row->first + row->seats;
    struct window best = {.singles = UINT32_MAX};
    uint32_t end = run->first + run->seats;

    for (uint32_t at = run->first; at < end;) {
        uint32_t from = bit_next(k->free, at, end, true);
        at = bit_next(k->free, from, end, false);
        for (uint32_t first = from; first + count <= at; first++) {
            uint32_t left = first - from, right = at - first - count;
            struct window w = {.first = first,
                               .singles = (left == 1 ? 1u : 0u) + (right == 1 ? 1u : 0u),
                               .rest = left % count + right % count};
            w.distance = (uint32_t)llabs(2 * (int64_t)first + count - middle);
            if (better(&w, &best))
                best = w;
        }
    }
    INVARIANT(best.singles != UINT32_MAX, "a run's gap is as long as it was measured");
    for (uint32_t i = 0; i < count; i++)
        ret_places[i] = best.first + i;
}

static bool pick_together(const struct seat_pick *k, const struct seat_ranks *r, uint32_t count,
                          uint32_t *ret_places)
{
    INVARIANT(count > 0, "nobody asks for no seats");
    uint32_t last = count > PICK_LENGTHS ? PICK_LENGTHS - 1 : count - 1;
    const uint64_t *bits = r->bits[last];

    for (uint32_t at = bit_next(bits, 0, r->count, true); at < r->count;
         at = bit_next(bits, at + 1, r->count, true)) {
        if (k->gap[r->runs[at]] < count)
            continue; /* the last length stands for all longer ones */
        pick_in_run(k, r->runs[at], count, ret_places);
        return true;
    }
    return false;
}

/* The fewest runs, next to each other in the plan's order, that have so many free seats between them. */
static bool pick_apart(const struct seat_pick *k, uint8_t category, uint32_t count,
                       uint32_t *ret_places)
{
    const struct packed *p = k->plan;
    uint32_t best_from = 0, best_length = UINT32_MAX, sum = 0, from = 0, taken = 0;

    for (uint32_t to = 0; to < p->run_count; to++) {
        if (p->runs[to].category == category)
            sum += k->run_free[to];
        while (sum >= count) {
            if (to - from < best_length) {
                best_length = to - from;
                best_from = from;
            }
            if (p->runs[from].category == category)
                sum -= k->run_free[from];
            from++;
        }
    }
    if (best_length == UINT32_MAX)
        return false;
    for (uint32_t i = best_from; i <= best_from + best_length; i++) {
        const struct packed_run *run = &p->runs[i];
        uint32_t end = run->first + run->seats;
        if (run->category != category)
            continue;
        for (uint32_t at = bit_next(k->free, run->first, end, true); at < end && taken < count;
             at = bit_next(k->free, at + 1, end, true))
            ret_places[taken++] = at;
    }
    return taken == count;
}

bool seat_pick_best(const struct seat_pick *k, uint8_t category, uint32_t count, bool split,
                    uint32_t *ret_places)
{
    const struct seat_ranks *r = &k->ranks[category];

    if (r->count > 0 && pick_together(k, r, count, ret_places))
        return true;
    return split && r->count > 0 && pick_apart(k, category, count, ret_places);
}

bool seat_pick_area(struct seat_pick *k, uint32_t area, uint32_t count, uint32_t *ret_places)
{
    const struct packed_area *a = &k->plan->areas[area];
    uint32_t end = a->first + a->slots, taken = 0;

    if (k->area_free[area] < count)
        return false;
    k->area_next[area] = bit_next(k->free, k->area_next[area], end, true);
    for (uint32_t at = k->area_next[area]; at < end && taken < count;
         at = bit_next(k->free, at + 1, end, true))
        ret_places[taken++] = at;
    return taken == count;
}
