/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/store_hold.h"

#include <string.h>

static const char *const hold_statuses[] = {"live", "ordered", "released", "expired"};

const char *hold_status_name(enum hold_status status)
{
    return hold_statuses[status];
}

/* --- holds ----------------------------------------------------------------------------------------------------------- */

enum err store_hold_event(struct store_tx *tx, struct event_id id, struct hold_event_row *ret_event)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, SQL_hold_event, SQL_ARGS(sv_id(id)), &rows));
    if (!store_next(&rows)) {
        TRY(store_rows_end(&rows));
        FAIL(ERR_NOT_FOUND, "no_event", "There is no such event.");
    }
    struct span status = store_text(&rows, 2);
    ret_event->no = store_int(&rows, 0);
    ret_event->organiser_no = store_int(&rows, 1);
    ret_event->on_sale = span_eq_text(status, "on_sale");
    ret_event->visible = ret_event->on_sale || span_eq_text(status, "closed");
    ret_event->sale_from_ms = store_int(&rows, 3);
    ret_event->sale_until_ms = store_int(&rows, 4);
    ret_event->per_order_max = store_int(&rows, 5);
    TRY(currency_parse(store_text(&rows, 6), &ret_event->currency));
    return store_rows_end(&rows);
}

static enum err read_hold(struct store_rows *rows, struct hold_row *h)
{
    struct span status = store_text(rows, 4), hash = store_blob(rows, 5);
    struct span places = store_blob(rows, 6);
    size_t known = 0;

    memset(h, 0, sizeof *h);
    store_id(rows, 0, h->id.b);
    h->event_no = store_int(rows, 1);
    h->organiser_no = store_int(rows, 2);
    h->account_no = store_int(rows, 3);
    while (known < COUNT_OF(hold_statuses) && !span_eq_text(status, hold_statuses[known]))
        known++;
    ENSURE(known < COUNT_OF(hold_statuses) && hash.len == 32 && places.len % 4 == 0 &&
               places.len / 4 <= HOLD_PLACES_MAX,
           ERR_CORRUPT, "bad_row", "A stored hold is not as it was written.");
    h->status = (enum hold_status)known;
    memcpy(h->fingerprint, hash.data, 32);
    h->place_count = places.len / 4;
    for (size_t i = 0; i < h->place_count; i++)
        h->places[i] = get_u32be(places.data + 4 * i);
    h->created_ms = store_int(rows, 7);
    h->expires_ms = store_int(rows, 8);
    h->latest_ms = store_int(rows, 9);
    return OK;
}

enum err store_hold_by_id(struct store_tx *tx, struct hold_id id, struct hold_row *ret_hold,
                          bool *ret_found)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, SQL_hold_by_id, SQL_ARGS(sv_id(id)), &rows));
    bool found = store_next(&rows);
    if (found)
        TRY(read_hold(&rows, ret_hold));
    TRY(store_rows_end(&rows));
    *ret_found = found;
    return OK;
}

enum err store_hold_currency(struct store_tx *tx, int64_t event_no, struct currency *ret_currency)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, SQL_hold_currency, SQL_ARGS(sv_int(event_no)), &rows));
    ENSURE(store_next(&rows), ERR_CORRUPT, "bad_row", "A hold's event is not there.");
    TRY(currency_parse(store_text(&rows, 0), ret_currency));
    return store_rows_end(&rows);
}

enum err store_hold_insert(struct store_tx *tx, const struct hold_row *row)
{
    uint8_t places[4 * HOLD_PLACES_MAX];

    for (size_t i = 0; i < row->place_count; i++)
        put_u32be(places + 4 * i, row->places[i]);
    return store_exec(tx, SQL_hold_insert,
                      SQL_ARGS(sv_id(row->id), sv_int(row->event_no), sv_int(row->organiser_no),
                               sv_int(row->account_no), sv_blob(SPAN_ARRAY(row->fingerprint)),
                               sv_blob(span_of(places, 4 * row->place_count)),
                               sv_int(row->created_ms), sv_int(row->expires_ms),
                               sv_int(row->latest_ms)),
                      NULL);
}

static enum err change_one(struct store_tx *tx, enum store_sql sql, const struct store_value *args,
                           size_t count, bool *ret_done)
{
    int64_t changed;

    TRY(store_exec(tx, sql, args, count, &changed));
    *ret_done = changed == 1;
    return OK;
}

enum err store_hold_end(struct store_tx *tx, struct hold_id id, enum hold_status status,
                        bool *ret_done)
{
    return change_one(tx, SQL_hold_end, SQL_ARGS(sv_id(id), sv_str(hold_status_name(status))),
                      ret_done);
}

enum err store_hold_extend(struct store_tx *tx, struct hold_id id, int64_t expires_ms,
                           bool *ret_done)
{
    return change_one(tx, SQL_hold_extend, SQL_ARGS(sv_id(id), sv_int(expires_ms)), ret_done);
}

enum err store_hold_count_live(struct store_tx *tx, int64_t account_no, int64_t event_no,
                               int64_t now_ms, int64_t *ret_count)
{
    return store_query_int(tx, SQL_hold_count_live,
                           SQL_ARGS(sv_int(account_no), sv_int(event_no), sv_int(now_ms)),
                           ret_count);
}

enum err store_hold_over(struct store_tx *tx, int64_t now_ms, struct hold_id *ids, size_t max,
                         size_t *ret_count)
{
    AUTO(store_rows_done) struct store_rows rows = {0};
    size_t count = 0;

    TRY(store_query(tx, SQL_hold_over, SQL_ARGS(sv_int(now_ms), sv_int((int64_t)max)), &rows));
    while (count < max && store_next(&rows))
        store_id(&rows, 0, ids[count++].b);
    TRY(store_rows_end(&rows));
    *ret_count = count;
    return OK;
}

/* --- places ---------------------------------------------------------------------------------------------------------- */

/* As a note says it. */
static int64_t held_by(struct hold_id hold)
{
    return (int64_t)((uint64_t)HOLD_TAG(hold) << 32 | PLACE_HELD);
}

static enum err change_place(struct store_tx *tx, enum store_sql sql,
                             const struct store_value *args, size_t count, int64_t state,
                             int64_t until_ms, bool *ret_done)
{
    TRY(change_one(tx, sql, args, count, ret_done));
    if (*ret_done)
        store_note(tx, (struct store_note){.kind = NOTE_PLACE,
                                           .a = args[0].i,
                                           .b = (uint32_t)args[1].i,
                                           .c = state,
                                           .d = until_ms});
    return OK;
}

enum err store_place_hold(struct store_tx *tx, int64_t event_no, uint32_t place,
                          struct hold_id hold, int64_t until_ms, int64_t now_ms, bool *ret_done)
{
    return change_place(
        tx, SQL_place_hold,
        SQL_ARGS(sv_int(event_no), sv_int(place), sv_id(hold), sv_int(until_ms), sv_int(now_ms)),
        held_by(hold), until_ms, ret_done);
}

enum err store_place_extend(struct store_tx *tx, int64_t event_no, uint32_t place,
                            struct hold_id hold, int64_t until_ms, bool *ret_done)
{
    return change_place(tx, SQL_place_extend,
                        SQL_ARGS(sv_int(event_no), sv_int(place), sv_id(hold), sv_int(until_ms)),
                        held_by(hold), until_ms, ret_done);
}

enum err store_place_unhold(struct store_tx *tx, int64_t event_no, uint32_t place,
                            struct hold_id hold, bool *ret_done)
{
    return change_place(tx, SQL_place_unhold,
                        SQL_ARGS(sv_int(event_no), sv_int(place), sv_id(hold)), PLACE_FREE, 0,
                        ret_done);
}

enum err store_place_order(struct store_tx *tx, int64_t event_no, uint32_t place,
                           struct hold_id hold, struct order_id order, bool *ret_done)
{
    return change_place(tx, SQL_place_order,
                        SQL_ARGS(sv_int(event_no), sv_int(place), sv_id(hold), sv_id(order)),
                        PLACE_ORDERED, 0, ret_done);
}

enum err store_place_unorder(struct store_tx *tx, int64_t event_no, uint32_t place,
                             struct order_id order, bool *ret_done)
{
    return change_place(tx, SQL_place_unorder,
                        SQL_ARGS(sv_int(event_no), sv_int(place), sv_id(order)), PLACE_FREE, 0,
                        ret_done);
}

enum err store_place_reorder(struct store_tx *tx, int64_t event_no, uint32_t place,
                             struct order_id order, int64_t now_ms, bool *ret_done)
{
    return change_place(tx, SQL_place_reorder,
                        SQL_ARGS(sv_int(event_no), sv_int(place), sv_id(order), sv_int(now_ms)),
                        PLACE_ORDERED, 0, ret_done);
}

enum err store_place_sell(struct store_tx *tx, int64_t event_no, uint32_t place,
                          struct order_id order, struct ticket_id ticket, bool *ret_done,
                          int64_t *ret_generation)
{
    TRY(change_place(tx, SQL_place_sell,
                     SQL_ARGS(sv_int(event_no), sv_int(place), sv_id(order), sv_id(ticket)),
                     PLACE_SOLD, 0, ret_done));
    if (!*ret_done)
        return OK;
    return store_query_int(tx, SQL_place_generation, SQL_ARGS(sv_int(event_no), sv_int(place)),
                           ret_generation);
}

enum err store_place_return(struct store_tx *tx, int64_t event_no, uint32_t place,
                            struct ticket_id ticket, bool *ret_done)
{
    return change_place(tx, SQL_place_return,
                        SQL_ARGS(sv_int(event_no), sv_int(place), sv_id(ticket)), PLACE_FREE, 0,
                        ret_done);
}

enum err store_place_block(struct store_tx *tx, int64_t event_no, uint32_t place, bool blocked,
                           int64_t now_ms, bool *ret_done)
{
    if (blocked)
        return change_place(tx, SQL_place_block,
                            SQL_ARGS(sv_int(event_no), sv_int(place), sv_int(now_ms)),
                            PLACE_BLOCKED, 0, ret_done);
    return change_place(tx, SQL_place_unblock, SQL_ARGS(sv_int(event_no), sv_int(place)),
                        PLACE_FREE, 0, ret_done);
}

enum err store_place_each(struct store_tx *tx, int64_t event_no,
                          void (*visit)(void *context, uint32_t place, enum place_state state,
                                        int64_t until_ms),
                          void *context)
{
    AUTO(store_rows_done) struct store_rows rows = {0};
    size_t count = 0;

    TRY(store_query(tx, SQL_place_each, SQL_ARGS(sv_int(event_no)), &rows));
    for (; store_next(&rows); count++)
        visit(context, (uint32_t)store_int(&rows, 0), (enum place_state)store_int(&rows, 1),
              store_int(&rows, 2));
    TRY(store_rows_end(&rows));
    ENSURE(count > 0, ERR_NOT_FOUND, "no_places", "The event has no places yet.");
    return OK;
}

enum err store_place_state(struct store_tx *tx, int64_t event_no, uint32_t place,
                           enum place_state *ret_state, int64_t *ret_until_ms)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, SQL_place_state, SQL_ARGS(sv_int(event_no), sv_int(place)), &rows));
    if (!store_next(&rows)) {
        TRY(store_rows_end(&rows));
        FAIL(ERR_NOT_FOUND, "no_place", "The event has no such place.");
    }
    *ret_state = (enum place_state)store_int(&rows, 0);
    *ret_until_ms = store_int(&rows, 1);
    return store_rows_end(&rows);
}

static enum err place_price(struct store_tx *tx, int64_t event_no, uint32_t place,
                            struct place_price *ret_price)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, SQL_place_price, SQL_ARGS(sv_int(event_no), sv_int(place)), &rows));
    if (!store_next(&rows)) {
        TRY(store_rows_end(&rows));
        FAIL(ERR_NOT_FOUND, "no_place", "The event has no such place.");
    }
    ret_price->category = (uint8_t)store_int(&rows, 0);
    ret_price->price_minor = store_int(&rows, 1);
    ret_price->fee_minor = store_int(&rows, 2);
    return store_rows_end(&rows);
}

enum err store_place_prices(struct store_tx *tx, int64_t event_no, const uint32_t *places,
                            size_t count, struct place_price *ret_prices)
{
    for (size_t i = 0; i < count; i++)
        TRY(place_price(tx, event_no, places[i], &ret_prices[i]));
    return OK;
}
