/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_HOLD_SEAT_VIEW_H
#define SALE_HOLD_SEAT_VIEW_H

/*
 * seat_view - the state of every place of one event, and which holds are over when. Of no thread: its owner locks.
 * seat_pick, below, is the index that finds free seats without looking at taken ones. No other room includes this.
 */
#include "sale/catalog/packed.h"
#include "store/store/notes.h"
#include "store/store/store.h"

struct seat_due {
    int64_t until_ms;
    uint32_t place;
};

struct seat_view {
    uint32_t places;
    uint8_t *state;       /* enum place_state */
    int64_t *until_ms;    /* of held places */
    struct seat_due *due; /* heap by until_ms: each held place once, at or before its time */
    uint32_t *slot;       /* where in due it is, counted from 1; 0: not there */
    uint32_t due_count;
};

RESULT seat_view_init(struct seat_view *v, uint32_t places);
void seat_view_done(struct seat_view *v); /* zeroed is fine */
/* All free. */
void seat_view_clear(struct seat_view *v);
/* What the place rows of the event say. ERR_NOT_FOUND "no_places". */
RESULT seat_view_read(struct seat_view *v, struct store_tx *tx, int64_t event_no);
/* Of as many places. */
void seat_view_copy(const struct seat_view *from, struct seat_view *to);
void seat_view_set(struct seat_view *v, uint32_t place, enum place_state state, int64_t until_ms);
/* The next place whose hold is over at now_ms; false when there is none. The caller sets it free before asking again. */
bool seat_view_over(struct seat_view *v, int64_t now_ms, uint32_t *ret_place);

enum { PICK_LENGTHS = 8 };

/* Runs of one category, best first; bits[k]: the run at that rank has k+1 free seats side by side. */
struct seat_ranks {
    uint32_t *runs, count;
    uint64_t *bits[PICK_LENGTHS];
};

struct seat_pick {
    const struct packed *plan;
    uint64_t *free;                             /* by place */
    uint32_t *gap;                              /* by run: most free seats side by side */
    uint32_t *rank;                             /* by run */
    uint32_t *run_free, *area_free, *area_next; /* no slot before area_next is free */
    struct seat_ranks ranks[PLAN_CATEGORIES_MAX + 1];
    struct arena arena;
};

RESULT seat_pick_init(struct seat_pick *k, const struct packed *plan);
void seat_pick_done(struct seat_pick *k); /* zeroed is fine */
/* From the states of a view. */
void seat_pick_load(struct seat_pick *k, const struct seat_view *v);
void seat_pick_set(struct seat_pick *k, uint32_t place, bool free);
/* False when there are not so many. */
bool seat_pick_best(const struct seat_pick *k, uint8_t category, uint32_t count, bool split,
                    uint32_t *ret_places);
bool seat_pick_area(struct seat_pick *k, uint32_t area, uint32_t count, uint32_t *ret_places);

#endif
