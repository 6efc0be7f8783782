/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/store_order.h"

#include <string.h>

#include "store/store/internal.h"

static const char *const statuses[] = {"awaiting_payment", "paid",    "cancelled", "expired",
                                       "partly_refunded",  "refunded"};

const char *order_status_name(enum order_status status)
{
    return statuses[status];
}

static enum err read_order(struct store_rows *rows, struct order_row *o)
{
    struct span status = store_text(rows, 5);
    size_t i = 0;

    memset(o, 0, sizeof *o);
    while (i < COUNT_OF(statuses) && !span_eq_text(status, statuses[i]))
        i++;
    ENSURE(i < COUNT_OF(statuses), ERR_CORRUPT, "bad_row",
           "An order has a status that this program does not know.");
    o->status = (enum order_status)i;
    store_id(rows, 0, o->id.b);
    o->organiser_no = store_int(rows, 1);
    o->event_no = store_int(rows, 2);
    o->account_no = store_int(rows, 3);
    store_id(rows, 4, o->hold.b);
    o->amount.amount_minor = store_int(rows, 6);
    TRY(currency_parse(store_text(rows, 7), &o->amount.currency));
    o->created_ms = store_int(rows, 8);
    o->pay_until_ms = store_int(rows, 9);
    o->cancel_ms = store_int(rows, 10); /* NULL reads as 0 */
    o->ended_ms = store_int(rows, 11);
    o->version = store_int(rows, 12);
    return OK;
}

static enum err read_orders(struct store_rows *rows, struct order_row *out, size_t max,
                            size_t *ret_count)
{
    size_t count = 0;
    enum err e = OK;

    while (e == OK && count < max && store_next(rows))
        e = read_order(rows, &out[count++]);
    enum err ended = store_rows_end(rows);
    TRY(e);
    TRY(ended);
    *ret_count = count;
    return OK;
}

enum err store_order_buyer(struct store_tx *tx, int64_t account_no, struct order_buyer *ret_buyer)
{
    struct store_rows rows;
    bool found;

    TRY(store_query(tx, SQL_order_buyer, SQL_ARGS(sv_int(account_no)), &rows));
    found = store_next(&rows);
    if (found) {
        ret_buyer->person_no = store_int(&rows, 0);
        store_id(&rows, 1, ret_buyer->account.b);
    }
    TRY(store_rows_end(&rows));
    ENSURE(found, ERR_NOT_FOUND, "no_account", "There is no such account.");
    return OK;
}

enum err store_order_by_id(struct store_tx *tx, struct order_id id, struct order_row *ret_row)
{
    struct store_rows rows;
    size_t count;

    TRY(store_query(tx, SQL_order_by_id, SQL_ARGS(sv_id(id)), &rows));
    TRY(read_orders(&rows, ret_row, 1, &count));
    ENSURE(count == 1, ERR_NOT_FOUND, "no_order", "There is no such order.");
    return OK;
}

/* The time a page goes on at, and how many rows of that time it leaves out. */
static int64_t page_from(const struct store_page *page)
{
    return page->after_key > 0 ? page->after_key : INT64_MAX;
}

static int64_t page_skip(const struct store_page *page)
{
    return page->after_key > 0 && page->after_no > 0 ? page->after_no : 0;
}

enum err store_orders_of_account(struct store_tx *tx, int64_t account_no,
                                 const struct store_page *page, struct order_row *out,
                                 size_t *ret_count)
{
    struct store_rows rows;

    TRY(store_query(tx, SQL_order_by_account,
                    SQL_ARGS(sv_int(account_no), sv_int(page_from(page)),
                             sv_int((int64_t)page->limit), sv_int(page_skip(page))),
                    &rows));
    return read_orders(&rows, out, page->limit, ret_count);
}

enum err store_orders_of_event(struct store_tx *tx, int64_t organiser_no, int64_t event_no,
                               const struct store_page *page, struct order_row *out,
                               size_t *ret_count)
{
    struct store_rows rows;

    TRY(store_query(tx, SQL_order_by_event,
                    SQL_ARGS(sv_int(event_no), sv_int(organiser_no), sv_int(page_from(page)),
                             sv_int((int64_t)page->limit), sv_int(page_skip(page))),
                    &rows));
    return read_orders(&rows, out, page->limit, ret_count);
}

enum err store_order_lines(struct store_tx *tx, struct order_id id,
                           struct order_line lines[ORDER_LINES_MAX], size_t *ret_count)
{
    struct store_rows rows;
    size_t count = 0;

    TRY(store_query(tx, SQL_order_lines, SQL_ARGS(sv_id(id)), &rows));
    while (count < ORDER_LINES_MAX && store_next(&rows))
        lines[count++] = (struct order_line){.place_no = (uint32_t)store_int(&rows, 0),
                                             .category_no = store_int(&rows, 1),
                                             .price_minor = store_int(&rows, 2),
                                             .fee_minor = store_int(&rows, 3)};
    TRY(store_rows_end(&rows));
    *ret_count = count;
    return OK;
}

enum err store_order_count_waiting(struct store_tx *tx, int64_t account_no, int64_t event_no,
                                   int64_t *ret_count)
{
    return store_query_int(tx, SQL_order_count_waiting,
                           SQL_ARGS(sv_int(account_no), sv_int(event_no)), ret_count);
}

static struct store_value time_or_null(int64_t ms)
{
    return ms ? sv_int(ms) : sv_null();
}

/* The digest has the lines by place. Given in another order they are read again. */
static bool by_place(const struct order_line *lines, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (lines[i - 1].place_no >= lines[i].place_no)
            return false;
    return true;
}

static void order_known(struct store_tx *tx, const struct order_row *o,
                        const struct order_line *lines, size_t count)
{
    if (!by_place(lines, count))
        return;
    tx_row_known(
        tx, AUDIT_sale_order, o->id.b,
        SQL_ARGS(sv_id(o->id), sv_int(o->organiser_no), sv_int(o->event_no), sv_int(o->account_no),
                 sv_id(o->hold), sv_str(statuses[o->status]), sv_int(o->amount.amount_minor),
                 sv_str(o->amount.currency.code), sv_int(o->created_ms), sv_int(o->pay_until_ms),
                 time_or_null(o->cancel_ms), time_or_null(o->ended_ms), sv_int(o->version)));
    for (size_t i = 0; i < count; i++)
        tx_row_known_more(tx, SQL_ARGS(sv_int(lines[i].place_no), sv_int(lines[i].category_no),
                                       sv_int(lines[i].price_minor), sv_int(lines[i].fee_minor)));
}

enum err store_order_insert(struct store_tx *tx, const struct order_row *o,
                            const struct order_line *lines, size_t count)
{
    TRY(store_exec_audited(tx, SQL_order_insert, o->id.b,
                           SQL_ARGS(sv_id(o->id), sv_int(o->organiser_no), sv_int(o->event_no),
                                    sv_int(o->account_no), sv_id(o->hold),
                                    sv_str(statuses[o->status]), sv_int(o->amount.amount_minor),
                                    sv_str(o->amount.currency.code), sv_int(o->created_ms),
                                    sv_int(o->pay_until_ms), time_or_null(o->ended_ms)),
                           NULL));
    for (size_t i = 0; i < count; i++)
        TRY(store_exec(tx, SQL_order_line_insert,
                       SQL_ARGS(sv_id(o->id), sv_int(lines[i].place_no),
                                sv_int(lines[i].category_no), sv_int(lines[i].price_minor),
                                sv_int(lines[i].fee_minor)),
                       NULL));
    order_known(tx, o, lines, count);
    return OK;
}

/* Why the version is asked for: each statement that changes an order counts it, so this is the row that was read. */
enum err store_order_set_status(struct store_tx *tx, struct order_row *o,
                                const struct order_line *lines, size_t count, enum order_status to,
                                int64_t ended_ms)
{
    int64_t changed;

    TRY(store_exec_audited(tx, SQL_order_set_status, o->id.b,
                           SQL_ARGS(sv_id(o->id), sv_str(statuses[to]), sv_int(ended_ms),
                                    sv_str(statuses[o->status]), sv_int(o->version)),
                           &changed));
    ENSURE(changed == 1, ERR_CONFLICT, "order_state", "The order is not %s any more.",
           statuses[o->status]);
    o->status = to;
    o->ended_ms = ended_ms;
    o->version++;
    order_known(tx, o, lines, count);
    return OK;
}

enum err store_order_set_cancel(struct store_tx *tx, struct order_id id, bool *ret_first)
{
    int64_t changed;

    TRY(store_exec_audited(tx, SQL_order_set_cancel, id.b,
                           SQL_ARGS(sv_id(id), sv_int(store_now_ms(tx))), &changed));
    *ret_first = changed == 1;
    return OK;
}

enum err store_order_touch(struct store_tx *tx, struct order_row *o, const struct order_line *lines,
                           size_t count)
{
    int64_t changed;

    TRY(store_exec_audited(tx, SQL_order_touch, o->id.b, SQL_ARGS(sv_id(o->id), sv_int(o->version)),
                           &changed));
    ENSURE(changed == 1, ERR_CONFLICT, "order_state", "The order has changed meanwhile.");
    o->version++;
    order_known(tx, o, lines, count);
    return OK;
}
