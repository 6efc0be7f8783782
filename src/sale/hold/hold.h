/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_HOLD_HOLD_H
#define SALE_HOLD_HOLD_H

/*
 * hold - a buyer's short claim on named places, before any money moves.
 *
 * A hold is the only thing that makes a free place unavailable without an order. It ends in exactly one of three ways: it
 * expires (by time alone: its places are free from that millisecond on, sweep or no sweep), it is released, or it turns into
 * an order. What buyers see of it is in seat_map.h; what an order does with the places is in this header's second half.
 *
 * Invariants (the first two also stand as constraints in the schema):
 *   H1  a place is in one state: free, held by one hold until a time, ordered by one order, sold to one ticket, blocked (S1);
 *   H2  a hold names 1..HOLD_PLACES_MAX places, all of one event, and no more than the event's per_order_max;
 *   H3  all its places or none;
 *   H4  a hold ends once (S2): only `live` is ever left;
 *   H5  at most HOLD_LIVE_MAX live holds of an account in an event.
 *
 * Holds write no ledger entry: they move no money and end by themselves. Orders and tickets do, in the same transaction.
 * Every change of a place notes NOTE_PLACE, every function here runs inside a write transaction (but hold_get).
 */
#include "sale/catalog/event_facts.h"
#include "sale/catalog/packed.h"
#include "store/store/store_hold.h"

struct seat_maps;

enum {
    HOLD_LIVE_MAX = 5,
    HOLD_MS = 10 * 60 * 1000,
    HOLD_LATEST_MS = 30 * 60 * 1000,
    HOLD_SWEEP_MAX = 100,
};

enum hold_want {
    HOLD_NAMED, /* these seats */
    HOLD_BEST,  /* count seats of a category, side by side */
    HOLD_AREA,  /* count slots of an area */
};

struct hold_request {
    struct hold_id id;
    struct event_id event;
    int64_t account_no;
    enum hold_want want;
    uint32_t places[HOLD_PLACES_MAX]; /* HOLD_NAMED, any order */
    size_t place_count;
    uint32_t category; /* HOLD_BEST */
    uint32_t area;     /* HOLD_AREA */
    uint32_t count;    /* HOLD_BEST, HOLD_AREA */
    bool split;        /* HOLD_BEST: several rows will do when no row has so many side by side */
};

struct hold {
    struct hold_row row; /* status as it is now: a live one whose time is over is HOLD_EXPIRED */
    struct place_price prices[HOLD_PLACES_MAX]; /* by index in row.places */
    struct money total;                         /* prices and fees */
};

/*
 * Hold all the places asked for, or none. The same request again (same id) gives the same hold, whatever became of it.
 * Expected failures, nothing changed: ERR_NOT_FOUND no_event; ERR_INVALID no_places, too_many_places, duplicate_place, no_place,
 * no_category, no_area (with pointer); ERR_CONFLICT not_on_sale, seat_taken (pointer "#/places/<index>"), none_left,
 * id_reused; ERR_LIMIT too_many_holds.
 */
RESULT hold_place(struct store_tx *tx, struct seat_maps *maps, const struct hold_request *req,
                  struct hold *ret_hold);
/* ERR_CONFLICT "seat_taken" about the index-th place asked for, in hold_place's words. place < places of the plan. */
RESULT hold_taken(const struct packed *plan, uint32_t place, size_t index);
/* Also on a reader's transaction. ERR_NOT_FOUND "no_hold", also for another account's. */
RESULT hold_get(struct store_tx *tx, struct hold_id id, int64_t account_no, struct hold *ret_hold);
/* HOLD_MS more from now, never past HOLD_LATEST_MS after it was placed. ERR_EXPIRED "hold_expired", ERR_CONFLICT "hold_ended". */
RESULT hold_refresh(struct store_tx *tx, struct hold_id id, int64_t account_no,
                    struct hold *ret_hold);
/* Its places are free at once. Released or expired already: OK. ERR_CONFLICT "hold_ordered". */
RESULT hold_release(struct store_tx *tx, struct hold_id id, int64_t account_no);
/* Give holds that are over their end, at most HOLD_SWEEP_MAX; *ret_count are done. Call again while it is HOLD_SWEEP_MAX. */
RESULT hold_sweep(struct store_tx *tx, size_t *ret_count);

/* --- For sale/order: the places of an order ---------------------------------------------------------------------------- */

/*
 * A live hold that is to become an order: its places and prices, and what is known of its event (borrowed until the command
 * ends). Changes nothing. ERR_NOT_FOUND "no_hold"; ERR_EXPIRED "hold_expired"; ERR_CONFLICT "hold_ended" (released),
 * "hold_ordered".
 */
RESULT hold_for_order(struct store_tx *tx, struct seat_maps *maps, struct hold_id id,
                      int64_t account_no, struct hold *ret_hold, struct event_facts **ret_facts);
/* Its places are the order's from here on. Of hold_for_order in the same command. */
RESULT hold_take(struct store_tx *tx, struct hold *hold, struct order_id order);
/* The order ended unpaid: its places are free. ERR_CONFLICT "place_not_ordered" when one is not this order's. */
RESULT hold_free_order_places(struct store_tx *tx, int64_t event_no, const uint32_t *places,
                              size_t count, struct order_id order);
/* Money came after the order ended: take the places again, all or none. ERR_CONFLICT "seat_taken". */
RESULT hold_retake(struct store_tx *tx, int64_t event_no, const uint32_t *places, size_t count,
                   struct order_id order);
/*
 * Ordered -> sold to this ticket; *ret_generation is the new ticket's. Before the ticket's row is inserted, which
 * needs it. ERR_CONFLICT "place_not_ordered".
 */
RESULT places_sell(struct store_tx *tx, int64_t event_no, uint32_t place, struct order_id order,
                   struct ticket_id ticket, int64_t *ret_generation);
/* Sold -> free. After the ticket has ended, or the place's next ticket would be refused. ERR_CONFLICT "place_not_sold", also then. */
RESULT places_return(struct store_tx *tx, int64_t event_no, uint32_t place,
                     struct ticket_id ticket);

#endif
