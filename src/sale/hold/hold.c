/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/hold/hold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ground/crypto/crypto.h"
#include "sale/hold/seat_map.h"

enum { PICK_TRIES = 3 };

/* --- the request ----------------------------------------------------------------------------------------------------- */

static int place_cmp(const void *va, const void *vb)
{
    uint32_t a, b;
    memcpy(&a, va, sizeof a);
    memcpy(&b, vb, sizeof b);
    return (a > b) - (a < b);
}

static size_t wanted(const struct hold_request *req)
{
    return req->want == HOLD_NAMED ? req->place_count : req->count;
}

static enum err check_request(const struct hold_request *req)
{
    uint32_t sorted[HOLD_PLACES_MAX];

    ENSURE_AT(!id_is_zero(req->id.b), "#/id", ERR_INVALID, "bad_id", "The id is missing.");
    ENSURE(wanted(req) >= 1, ERR_INVALID, "no_places", "Ask for at least one place.");
    ENSURE(wanted(req) <= HOLD_PLACES_MAX, ERR_INVALID, "too_many_places",
           "A hold has at most %d places.", HOLD_PLACES_MAX);
    if (req->want != HOLD_NAMED)
        return OK;
    memcpy(sorted, req->places, req->place_count * sizeof *sorted);
    qsort(sorted, req->place_count, sizeof *sorted, place_cmp);
    for (size_t i = 1; i < req->place_count; i++)
        ENSURE_AT(sorted[i] != sorted[i - 1], "#/places", ERR_INVALID, "duplicate_place",
                  "A seat is named twice.");
    return OK;
}

/* Of what was asked, by whom; places in any order are the same request. */
static void fingerprint(const struct hold_request *req, uint8_t ret_hash[SHA256_BYTES])
{
    uint8_t fixed[8 + 1 + 4 + 4 + 4 + 1], list[4 * HOLD_PLACES_MAX];
    uint32_t sorted[HOLD_PLACES_MAX];
    size_t count = req->want == HOLD_NAMED ? req->place_count : 0;

    put_u64be(fixed, (uint64_t)req->account_no);
    fixed[8] = (uint8_t)req->want;
    put_u32be(fixed + 9, req->want == HOLD_BEST ? req->category : 0);
    put_u32be(fixed + 13, req->want == HOLD_AREA ? req->area : 0);
    put_u32be(fixed + 17, req->want == HOLD_NAMED ? 0 : req->count);
    fixed[21] = req->want == HOLD_BEST && req->split;
    memcpy(sorted, req->places, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, place_cmp);
    for (size_t i = 0; i < count; i++)
        put_u32be(list + 4 * i, sorted[i]);
    const struct span parts[] = {SPAN_LIT("gatehouse/hold/1"), SPAN_ARRAY(req->event.b),
                                 SPAN_ARRAY(fixed), span_of(list, 4 * count)};
    sha256_parts(parts, COUNT_OF(parts), ret_hash);
}

/* --- what a hold looks like to its owner ------------------------------------------------------------------------------- */

static enum err hold_fill(struct store_tx *tx, const struct hold_row *row, struct hold *ret_hold)
{
    struct hold h = {.row = *row};

    if (h.row.status == HOLD_LIVE && h.row.expires_ms <= store_now_ms(tx))
        h.row.status = HOLD_EXPIRED;
    TRY(store_place_prices(tx, h.row.event_no, h.row.places, h.row.place_count, h.prices));
    TRY(store_hold_currency(tx, h.row.event_no, &h.total.currency));
    for (size_t i = 0; i < h.row.place_count; i++)
        h.total.amount_minor += h.prices[i].price_minor + h.prices[i].fee_minor;
    *ret_hold = h;
    return OK;
}

/* The same from what is in memory: in a command that knows the event. */
static enum err hold_fill_known(struct store_tx *tx, const struct packed *plan,
                                const struct event_facts *facts, const struct hold_row *row,
                                struct hold *ret_hold)
{
    struct hold h = {.row = *row, .total = {0, facts->row.currency}};

    if (h.row.status == HOLD_LIVE && h.row.expires_ms <= store_now_ms(tx))
        h.row.status = HOLD_EXPIRED;
    for (size_t i = 0; i < row->place_count; i++) {
        ENSURE(row->places[i] < plan->places, ERR_CORRUPT, "bad_row",
               "A hold has a place that its event has not.");
        const struct category_row *c = facts->categories[plan->category[row->places[i]]];
        ENSURE(c, ERR_CORRUPT, "bad_row", "A place on sale has no price.");
        h.prices[i] = (struct place_price){c->no, c->price_minor, c->fee_minor};
        h.total.amount_minor += c->price_minor + c->fee_minor;
    }
    *ret_hold = h;
    return OK;
}

static enum err hold_row_of(struct store_tx *tx, struct hold_id id, int64_t account_no,
                            struct hold_row *ret_row)
{
    bool found;

    TRY(store_hold_by_id(tx, id, ret_row, &found));
    ENSURE(found && ret_row->account_no == account_no, ERR_NOT_FOUND, "no_hold",
           "There is no such hold.");
    return OK;
}

enum err hold_get(struct store_tx *tx, struct hold_id id, int64_t account_no, struct hold *ret_hold)
{
    struct hold_row row;

    TRY(hold_row_of(tx, id, account_no, &row));
    return hold_fill(tx, &row, ret_hold);
}

/* --- placing --------------------------------------------------------------------------------------------------------- */

/* The event's map and facts as the running batch has them. ERR_NOT_FOUND "no_event", also for one that was never on sale. */
static enum err find_event(struct store_tx *tx, struct seat_maps *maps, struct event_id id,
                           struct seat_map **ret_map, struct event_facts **ret_facts)
{
    struct seat_map *map = seat_maps_find_event(maps, id);
    int64_t event_no;

    if (map) {
        event_no = seat_map_event_no(map);
    } else {
        struct hold_event_row row;
        TRY(store_hold_event(tx, id, &row));
        ENSURE(row.visible, ERR_NOT_FOUND, "no_event", "There is no such event.");
        event_no = row.no;
    }
    TRY(seat_maps_for_writer(maps, tx, event_no, ret_map));
    return seat_map_working_facts(*ret_map, tx, ret_facts);
}

static enum err check_event(struct store_tx *tx, const struct hold_request *req,
                            const struct event_row *event)
{
    int64_t now_ms = store_now_ms(tx), live;

    ENSURE(event->status == EVENT_ON_SALE || event->status == EVENT_CLOSED, ERR_NOT_FOUND,
           "no_event", "There is no such event.");
    ENSURE(event->status == EVENT_ON_SALE && now_ms >= event->sale_from_ms &&
               now_ms < event->sale_until_ms,
           ERR_CONFLICT, "not_on_sale", "The event is not on sale now.");
    ENSURE((int64_t)wanted(req) <= event->per_order_max, ERR_INVALID, "too_many_places",
           "An order for this event has at most %d places.", (int)event->per_order_max);
    TRY(store_hold_count_live(tx, req->account_no, event->no, now_ms, &live));
    ENSURE(live < HOLD_LIVE_MAX, ERR_LIMIT, "too_many_holds",
           "An account has at most %d holds for an event.", HOLD_LIVE_MAX);
    return OK;
}

/* Take row->places in the order given, as far as they are free; *ret_taken are. */
static enum err take_places(struct store_tx *tx, const struct hold_row *row, size_t *ret_taken)
{
    int64_t now_ms = store_now_ms(tx);
    bool done = true;

    *ret_taken = 0;
    while (*ret_taken < row->place_count) {
        TRY(store_place_hold(tx, row->event_no, row->places[*ret_taken], row->id, row->expires_ms,
                             now_ms, &done));
        if (!done)
            break;
        ++*ret_taken;
    }
    return OK;
}

enum err hold_taken(const struct packed *plan, uint32_t place, size_t index)
{
    char pointer[ERR_POINTER_MAX];
    struct place_names names;

    (void)snprintf(pointer, sizeof pointer, "#/places/%zu", index);
    place_names(plan, place, &names);
    FAIL_AT(pointer, ERR_CONFLICT, "seat_taken", "%s row %s seat %s is held or sold.", names.zone,
            names.row, names.seat);
}

/* Refuse before anything is changed: the map says which place is not free, the row has the last word. */
static enum err check_named(struct store_tx *tx, struct seat_map *map,
                            const struct hold_request *req)
{
    const struct packed *plan = seat_map_plan(map);
    int64_t now_ms = store_now_ms(tx), until_ms;
    char pointer[ERR_POINTER_MAX];
    enum place_state state;

    for (size_t i = 0; i < req->place_count; i++) {
        (void)snprintf(pointer, sizeof pointer, "#/places/%zu", i);
        ENSURE_AT(req->places[i] < plan->seats, pointer, ERR_INVALID, "no_place",
                  "The event has no such seat.");
    }
    for (size_t i = 0; i < req->place_count; i++) {
        if (seat_map_working_free(map, now_ms, req->places[i]))
            continue;
        TRY(store_place_state(tx, seat_map_event_no(map), req->places[i], &state, &until_ms));
        if (state != PLACE_FREE && !(state == PLACE_HELD && until_ms <= now_ms))
            return hold_taken(plan, req->places[i], i);
    }
    return OK;
}

static enum err take_named(struct store_tx *tx, struct seat_map *map,
                           const struct hold_request *req, struct hold_row *row)
{
    size_t taken;

    TRY(check_named(tx, map, req));
    memcpy(row->places, req->places, req->place_count * sizeof *row->places);
    row->place_count = req->place_count;
    TRY(take_places(tx, row, &taken));
    if (taken == row->place_count)
        return OK;
    return hold_taken(seat_map_plan(map), row->places[taken], taken);
}

static enum err pick(struct store_tx *tx, struct seat_map *map, const struct hold_request *req,
                     struct hold_row *row)
{
    row->place_count = req->count;
    if (req->want == HOLD_AREA)
        return seat_map_pick_area(map, store_now_ms(tx), req->area, req->count, row->places);
    return seat_map_pick(map, store_now_ms(tx), (uint8_t)req->category, req->count, req->split,
                         row->places);
}

/* The map proposes, the rows decide. When they differ, give back what was taken, read the rows, try again. */
static enum err take_picked(struct store_tx *tx, struct seat_map *map,
                            const struct hold_request *req, struct hold_row *row)
{
    size_t taken;
    bool done;

    for (int i = 0; i < PICK_TRIES; i++) {
        TRY(pick(tx, map, req, row));
        TRY(take_places(tx, row, &taken));
        if (taken == row->place_count)
            return OK;
        while (taken > 0)
            TRY(store_place_unhold(tx, row->event_no, row->places[--taken], row->id, &done));
        TRY(seat_map_reload(map, tx));
    }
    FAIL(ERR_CONFLICT, "none_left", "There are not so many places left.");
}

static enum err take(struct store_tx *tx, struct seat_map *map, const struct hold_request *req,
                     struct hold_row *row)
{
    const struct packed *plan = seat_map_plan(map);

    if (req->want == HOLD_NAMED)
        return take_named(tx, map, req, row);
    ENSURE_AT(req->want != HOLD_BEST || req->category < plan->category_count, "#/best/category",
              ERR_INVALID, "no_category", "The event has no such category.");
    ENSURE_AT(req->want != HOLD_AREA || req->area < plan->area_count, "#/area/area", ERR_INVALID,
              "no_area", "The event has no such area.");
    return take_picked(tx, map, req, row);
}

/* This id was used: the same request is answered with what became of it. */
static enum err placed_before(struct store_tx *tx, const struct hold_request *req,
                              const uint8_t fingerprint[SHA256_BYTES], const struct hold_row *old,
                              struct hold *ret_hold)
{
    ENSURE_AT(old->account_no == req->account_no &&
                  memcmp(old->fingerprint, fingerprint, SHA256_BYTES) == 0,
              "#/id", ERR_CONFLICT, "id_reused", "This id was used for something else.");
    return hold_fill(tx, old, ret_hold);
}

enum err hold_place(struct store_tx *tx, struct seat_maps *maps, const struct hold_request *req,
                    struct hold *ret_hold)
{
    struct hold_row row = {.id = req->id, .account_no = req->account_no, .status = HOLD_LIVE}, old;
    struct event_facts *facts;
    struct seat_map *map;
    bool found;

    TRY(check_request(req));
    fingerprint(req, row.fingerprint);
    TRY(store_hold_by_id(tx, req->id, &old, &found));
    if (found)
        return placed_before(tx, req, row.fingerprint, &old, ret_hold);
    TRY(find_event(tx, maps, req->event, &map, &facts));
    TRY(check_event(tx, req, &facts->row));
    row.event_no = facts->row.no;
    row.organiser_no = facts->row.organiser_no;
    row.created_ms = store_now_ms(tx);
    row.expires_ms = row.created_ms + HOLD_MS;
    row.latest_ms = row.created_ms + HOLD_LATEST_MS;
    TRY(take(tx, map, req, &row));
    qsort(row.places, row.place_count, sizeof *row.places, place_cmp);
    TRY(store_hold_insert(tx, &row));
    return hold_fill_known(tx, seat_map_plan(map), facts, &row, ret_hold);
}

/* --- refreshing and ending --------------------------------------------------------------------------------------------- */

/* A live hold whose time is not over. */
static enum err live_row(struct store_tx *tx, struct hold_id id, int64_t account_no,
                         struct hold_row *ret_row)
{
    TRY(hold_row_of(tx, id, account_no, ret_row));
    ENSURE(ret_row->status != HOLD_ORDERED, ERR_CONFLICT, "hold_ordered",
           "The hold has become an order.");
    ENSURE(ret_row->status != HOLD_RELEASED, ERR_CONFLICT, "hold_ended", "The hold was released.");
    ENSURE(ret_row->status == HOLD_LIVE && ret_row->expires_ms > store_now_ms(tx), ERR_EXPIRED,
           "hold_expired", "The hold is over; its seats are free again.");
    return OK;
}

/* A live hold holds its places: anything else is a contradiction among the rows. */
static enum err must(bool done)
{
    ENSURE(done, ERR_CORRUPT, "bad_hold", "A live hold and its places do not agree.");
    return OK;
}

enum err hold_refresh(struct store_tx *tx, struct hold_id id, int64_t account_no,
                      struct hold *ret_hold)
{
    struct hold_row row;
    int64_t until_ms = store_now_ms(tx) + HOLD_MS;
    bool done;

    TRY(live_row(tx, id, account_no, &row));
    if (until_ms > row.latest_ms)
        until_ms = row.latest_ms;
    if (until_ms > row.expires_ms) {
        TRY(store_hold_extend(tx, id, until_ms, &done));
        TRY(must(done));
        for (size_t i = 0; i < row.place_count; i++) {
            TRY(store_place_extend(tx, row.event_no, row.places[i], id, until_ms, &done));
            TRY(must(done));
        }
        row.expires_ms = until_ms;
    }
    return hold_fill(tx, &row, ret_hold);
}

/* Places that another buyer has meanwhile (the hold was over) stay his. */
static enum err unhold_all(struct store_tx *tx, const struct hold_row *row)
{
    bool done;

    for (size_t i = 0; i < row->place_count; i++)
        TRY(store_place_unhold(tx, row->event_no, row->places[i], row->id, &done));
    return OK;
}

static enum err end_over(struct store_tx *tx, const struct hold_row *row)
{
    bool done;

    TRY(store_hold_end(tx, row->id, HOLD_EXPIRED, &done));
    TRY(must(done));
    return unhold_all(tx, row);
}

enum err hold_release(struct store_tx *tx, struct hold_id id, int64_t account_no)
{
    struct hold_row row;
    bool done;

    TRY(hold_row_of(tx, id, account_no, &row));
    ENSURE(row.status != HOLD_ORDERED, ERR_CONFLICT, "hold_ordered",
           "The hold has become an order.");
    if (row.status != HOLD_LIVE)
        return OK;
    if (row.expires_ms <= store_now_ms(tx))
        return end_over(tx, &row);
    TRY(store_hold_end(tx, id, HOLD_RELEASED, &done));
    TRY(must(done));
    return unhold_all(tx, &row);
}

enum err hold_sweep(struct store_tx *tx, size_t *ret_count)
{
    struct hold_id ids[HOLD_SWEEP_MAX];
    struct hold_row row;
    size_t count;
    bool found;

    TRY(store_hold_over(tx, store_now_ms(tx), ids, COUNT_OF(ids), &count));
    for (size_t i = 0; i < count; i++) {
        TRY(store_hold_by_id(tx, ids[i], &row, &found));
        TRY(must(found));
        TRY(end_over(tx, &row));
    }
    *ret_count = count;
    return OK;
}

/* --- for orders and tickets -------------------------------------------------------------------------------------------- */

enum err hold_for_order(struct store_tx *tx, struct seat_maps *maps, struct hold_id id,
                        int64_t account_no, struct hold *ret_hold, struct event_facts **ret_facts)
{
    struct hold_row row;
    struct seat_map *map;

    TRY(live_row(tx, id, account_no, &row));
    TRY(seat_maps_for_writer(maps, tx, row.event_no, &map));
    TRY(seat_map_working_facts(map, tx, ret_facts));
    return hold_fill_known(tx, seat_map_plan(map), *ret_facts, &row, ret_hold);
}

enum err hold_take(struct store_tx *tx, struct hold *hold, struct order_id order)
{
    struct hold_row *row = &hold->row;
    bool done;

    for (size_t i = 0; i < row->place_count; i++) {
        TRY(store_place_order(tx, row->event_no, row->places[i], row->id, order, &done));
        TRY(must(done));
    }
    TRY(store_hold_end(tx, row->id, HOLD_ORDERED, &done));
    TRY(must(done));
    row->status = HOLD_ORDERED;
    return OK;
}

enum err hold_free_order_places(struct store_tx *tx, int64_t event_no, const uint32_t *places,
                                size_t count, struct order_id order)
{
    bool done;

    for (size_t i = 0; i < count; i++) {
        TRY(store_place_unorder(tx, event_no, places[i], order, &done));
        ENSURE(done, ERR_CONFLICT, "place_not_ordered", "Place %u is not this order's.", places[i]);
    }
    return OK;
}

enum err hold_retake(struct store_tx *tx, int64_t event_no, const uint32_t *places, size_t count,
                     struct order_id order)
{
    int64_t now_ms = store_now_ms(tx);
    bool done = true;
    size_t taken = 0;

    while (taken < count && done) {
        TRY(store_place_reorder(tx, event_no, places[taken], order, now_ms, &done));
        taken += done;
    }
    if (taken == count)
        return OK;
    /* Why undone by hand: late money whose seats are gone is refunded in the same command. */
    uint32_t missing = places[taken];
    while (taken > 0) {
        TRY(store_place_unorder(tx, event_no, places[--taken], order, &done));
        TRY(must(done));
    }
    FAIL(ERR_CONFLICT, "seat_taken", "Place %u is held or sold.", missing);
}

enum err places_sell(struct store_tx *tx, int64_t event_no, uint32_t place, struct order_id order,
                     struct ticket_id ticket, int64_t *ret_generation)
{
    bool done;

    TRY(store_place_sell(tx, event_no, place, order, ticket, &done, ret_generation));
    ENSURE(done, ERR_CONFLICT, "place_not_ordered", "Place %u is not this order's.", place);
    return OK;
}

enum err places_return(struct store_tx *tx, int64_t event_no, uint32_t place,
                       struct ticket_id ticket)
{
    bool done;

    TRY(store_place_return(tx, event_no, place, ticket, &done));
    ENSURE(done, ERR_CONFLICT, "place_not_sold", "Place %u is not this ticket's.", place);
    return OK;
}
