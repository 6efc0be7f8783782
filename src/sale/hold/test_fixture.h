/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_HOLD_TEST_FIXTURE_H
#define SALE_HOLD_TEST_FIXTURE_H

/* test_fixture - the catalog's world with event 1 (the hall) on sale, two accounts and the seat maps; for the tests of holds. */
#include "sale/catalog/test_fixture.h"
#include "sale/hold/hold.h"
#include "sale/hold/seat_map.h"

static struct seat_maps *maps;

#define HOLD_ID(n) FIX_ID(hold, 0xb0, n)
#define ORDER_ID(n) FIX_ID(order, 0xb1, n)
#define TICKET_ID(n) FIX_ID(ticket, 0xb2, n)

/* As the writer does: one command a batch. */
static inline enum err run(enum err (*command)(struct store_tx *tx, void *context), void *context)
{
    TRY(store_testing_run(&fix.t, command, context));
    seat_maps_released(maps, fix.t.notes, fix.t.note_count);
    seat_maps_committed(maps, fix.t.notes, fix.t.note_count);
    return OK;
}

/* A change of the event, told to the maps as the writer tells it. */
static inline enum err set_status(enum event_status status)
{
    TRY(fix_status(FIX_ORGANISER, EVENT_ID(1), status));
    seat_maps_released(maps, fix.t.notes, fix.t.note_count);
    seat_maps_committed(maps, fix.t.notes, fix.t.note_count);
    return OK;
}

struct hold_call {
    struct hold_request req;
    struct hold_id id;
    int64_t account_no;
    struct order_id order;
    struct ticket_id ticket;
    uint32_t places[HOLD_PLACES_MAX];
    size_t count;
    int64_t generation;
    struct hold hold;
};

static inline enum err place_(struct store_tx *tx, void *context)
{
    struct hold_call *c = context;
    return hold_place(tx, maps, &c->req, &c->hold);
}
static inline enum err get_(struct store_tx *tx, void *context)
{
    struct hold_call *c = context;
    return hold_get(tx, c->id, c->account_no, &c->hold);
}
static inline enum err refresh_(struct store_tx *tx, void *context)
{
    struct hold_call *c = context;
    return hold_refresh(tx, c->id, c->account_no, &c->hold);
}
static inline enum err release_(struct store_tx *tx, void *context)
{
    struct hold_call *c = context;
    return hold_release(tx, c->id, c->account_no);
}
static inline enum err sweep_(struct store_tx *tx, void *context)
{
    struct hold_call *c = context;
    return hold_sweep(tx, &c->count);
}
static inline enum err take_(struct store_tx *tx, void *context)
{
    struct hold_call *c = context;
    struct event_facts *facts;
    TRY(hold_for_order(tx, maps, c->id, c->account_no, &c->hold, &facts));
    return hold_take(tx, &c->hold, c->order);
}
static inline enum err free_(struct store_tx *tx, void *context)
{
    struct hold_call *c = context;
    return hold_free_order_places(tx, 1, c->places, c->count, c->order);
}
static inline enum err retake_(struct store_tx *tx, void *context)
{
    struct hold_call *c = context;
    return hold_retake(tx, 1, c->places, c->count, c->order);
}
static inline enum err sell_(struct store_tx *tx, void *context)
{
    struct hold_call *c = context;
    return places_sell(tx, 1, c->places[0], c->order, c->ticket, &c->generation);
}
static inline enum err return_(struct store_tx *tx, void *context)
{
    struct hold_call *c = context;
    return places_return(tx, 1, c->places[0], c->ticket);
}

static inline struct hold_call call_of(uint8_t id, int64_t account_no)
{
    return (struct hold_call){.id = HOLD_ID(id), .account_no = account_no};
}

/* Two seats side by side, from first. */
static inline struct hold_request pair(uint8_t id, int64_t account_no, uint32_t first)
{
    return (struct hold_request){.id = HOLD_ID(id),
                                 .event = EVENT_ID(1),
                                 .account_no = account_no,
                                 .want = HOLD_NAMED,
                                 .places = {first, first + 1},
                                 .place_count = 2};
}
static inline struct hold_request best(uint8_t id, uint32_t category, uint32_t count)
{
    return (struct hold_request){.id = HOLD_ID(id),
                                 .event = EVENT_ID(1),
                                 .account_no = 1,
                                 .want = HOLD_BEST,
                                 .category = category,
                                 .count = count};
}
static inline struct hold_request slots(uint8_t id, int64_t account_no, uint32_t count)
{
    return (struct hold_request){.id = HOLD_ID(id),
                                 .event = EVENT_ID(1),
                                 .account_no = account_no,
                                 .want = HOLD_AREA,
                                 .area = 0,
                                 .count = count};
}

static inline enum err place(struct hold_request req, struct hold *ret_hold)
{
    struct hold_call c = {.req = req};
    TRY(run(place_, &c));
    *ret_hold = c.hold;
    return OK;
}
static inline enum err refresh(uint8_t id, int64_t account_no, struct hold *ret_hold)
{
    struct hold_call c = call_of(id, account_no);
    TRY(run(refresh_, &c));
    *ret_hold = c.hold;
    return OK;
}
static inline enum err release(uint8_t id, int64_t account_no)
{
    struct hold_call c = call_of(id, account_no);
    return run(release_, &c);
}
static inline enum err take_for_order(uint8_t id, int64_t account_no, uint8_t order)
{
    struct hold_call c = call_of(id, account_no);
    c.order = ORDER_ID(order);
    return run(take_, &c);
}
static inline enum hold_status status_of(uint8_t id, int64_t account_no)
{
    struct hold_call c = call_of(id, account_no);
    assert_int_equal(store_testing_read(&fix.t, get_, &c), OK);
    return c.hold.row.status;
}

static inline void at(int64_t after_ms)
{
    clock_fixed_set(&fix.t.clock, STORE_TESTING_NOW_MS + after_ms);
}

static inline int open_sale(void **state)
{
    struct event_request req = fix_event_request(1, 1);

    (void)fix_open(state);
    fix_accounts();
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    assert_int_equal(fix_status(FIX_ORGANISER, req.id, EVENT_ON_SALE), OK);
    assert_int_equal(seat_maps_new(fix.t.store, &maps), OK);
    return 0;
}

static inline int close_sale(void **state)
{
    seat_maps_free(maps);
    return fix_close(state);
}

#endif
