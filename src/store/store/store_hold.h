/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_STORE_HOLD_H
#define STORE_STORE_STORE_HOLD_H

/*
 * store_hold - rows of holds and places, as values, and the conditional changes of one place each. Rules are in sale/hold.
 *
 * A change of a place says in *ret_done whether the row was in the state it needs; nothing is changed when it was not. Each
 * notes NOTE_PLACE.
 */
#include "store/store/notes.h"
#include "store/store/store.h"

enum { HOLD_PLACES_MAX = 50 };

enum hold_status { HOLD_LIVE, HOLD_ORDERED, HOLD_RELEASED, HOLD_EXPIRED };

struct hold_row {
    struct hold_id id;
    int64_t event_no, organiser_no, account_no;
    enum hold_status status;
    uint8_t fingerprint[32];
    uint32_t places[HOLD_PLACES_MAX]; /* ascending */
    size_t place_count;
    int64_t created_ms, expires_ms, latest_ms;
};

/* What a hold must know of its event. */
struct hold_event_row {
    int64_t no, organiser_no;
    bool on_sale, visible;
    int64_t sale_from_ms, sale_until_ms, per_order_max;
    struct currency currency;
};

const char *hold_status_name(enum hold_status status);

/* ERR_NOT_FOUND "no_event". */
RESULT store_hold_event(struct store_tx *tx, struct event_id id, struct hold_event_row *ret_event);
/* *ret_found says whether there is one. */
RESULT store_hold_by_id(struct store_tx *tx, struct hold_id id, struct hold_row *ret_hold,
                        bool *ret_found);
/* Of the event. */
RESULT store_hold_currency(struct store_tx *tx, int64_t event_no, struct currency *ret_currency);
RESULT store_hold_insert(struct store_tx *tx, const struct hold_row *row);
/* From live to an end. */
RESULT store_hold_end(struct store_tx *tx, struct hold_id id, enum hold_status status,
                      bool *ret_done);
RESULT store_hold_extend(struct store_tx *tx, struct hold_id id, int64_t expires_ms,
                         bool *ret_done);
/* Live and not over at now_ms. */
RESULT store_hold_count_live(struct store_tx *tx, int64_t account_no, int64_t event_no,
                             int64_t now_ms, int64_t *ret_count);
/* Live ones that are over, in no order. Goes through all live ones, an index entry each. */
RESULT store_hold_over(struct store_tx *tx, int64_t now_ms, struct hold_id *ids, size_t max,
                       size_t *ret_count);

/* free, or held and over -> held */
RESULT store_place_hold(struct store_tx *tx, int64_t event_no, uint32_t place, struct hold_id hold,
                        int64_t until_ms, int64_t now_ms, bool *ret_done);
/* held by this hold -> held longer */
RESULT store_place_extend(struct store_tx *tx, int64_t event_no, uint32_t place,
                          struct hold_id hold, int64_t until_ms, bool *ret_done);
/* held by this hold -> free */
RESULT store_place_unhold(struct store_tx *tx, int64_t event_no, uint32_t place,
                          struct hold_id hold, bool *ret_done);
/* held by this hold -> ordered */
RESULT store_place_order(struct store_tx *tx, int64_t event_no, uint32_t place, struct hold_id hold,
                         struct order_id order, bool *ret_done);
/* ordered by this order -> free */
RESULT store_place_unorder(struct store_tx *tx, int64_t event_no, uint32_t place,
                           struct order_id order, bool *ret_done);
/* free, or held and over -> ordered */
RESULT store_place_reorder(struct store_tx *tx, int64_t event_no, uint32_t place,
                           struct order_id order, int64_t now_ms, bool *ret_done);
/* ordered by this order -> sold, generation + 1 */
RESULT store_place_sell(struct store_tx *tx, int64_t event_no, uint32_t place,
                        struct order_id order, struct ticket_id ticket, bool *ret_done,
                        int64_t *ret_generation);
/* sold to this ticket -> free */
RESULT store_place_return(struct store_tx *tx, int64_t event_no, uint32_t place,
                          struct ticket_id ticket, bool *ret_done);
/* free, or held and over -> blocked, and back */
RESULT store_place_block(struct store_tx *tx, int64_t event_no, uint32_t place, bool blocked,
                         int64_t now_ms, bool *ret_done);

/* Calls visit for every place of the event in order; ERR_NOT_FOUND "no_places" when there is none. */
RESULT store_place_each(struct store_tx *tx, int64_t event_no,
                        void (*visit)(void *context, uint32_t place, enum place_state state,
                                      int64_t until_ms),
                        void *context);
RESULT store_place_state(struct store_tx *tx, int64_t event_no, uint32_t place,
                         enum place_state *ret_state, int64_t *ret_until_ms);

/* Category and prices of places, in the order given. ERR_NOT_FOUND "no_place". */
struct place_price {
    uint8_t category;
    int64_t price_minor, fee_minor;
};
RESULT store_place_prices(struct store_tx *tx, int64_t event_no, const uint32_t *places,
                          size_t count, struct place_price *ret_prices);

#endif
