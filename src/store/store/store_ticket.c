/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/store_ticket.h"

#include <string.h>

#include "store/store/internal.h"

static const char *const statuses[] = {"valid", "suspended", "refunded", "revoked", "superseded"};

const char *ticket_status_name(enum ticket_status status)
{
    return statuses[status];
}

static enum err read_ticket(struct store_rows *rows, struct ticket_row *t)
{
    struct span status = store_text(rows, 11);
    size_t i = 0;

    memset(t, 0, sizeof *t);
    while (i < COUNT_OF(statuses) && !span_eq_text(status, statuses[i]))
        i++;
    ENSURE(i < COUNT_OF(statuses), ERR_CORRUPT, "bad_row",
           "A ticket has a status that this program does not know.");
    t->status = (enum ticket_status)i;
    store_id(rows, 0, t->id.b);
    t->organiser_no = store_int(rows, 1);
    t->event_no = store_int(rows, 2);
    t->place_no = (uint32_t)store_int(rows, 3);
    t->generation = store_int(rows, 4);
    store_id(rows, 5, t->order.b);
    t->account_no = store_int(rows, 6);
    t->category_no = store_int(rows, 7);
    t->price_minor = store_int(rows, 8);
    t->fee_minor = store_int(rows, 9);
    TRY(currency_parse(store_text(rows, 10), &t->currency));
    t->sequence = store_int(rows, 12);
    store_id(rows, 13, t->last_entry.b);
    t->issued_ms = store_int(rows, 14);
    return OK;
}

static enum err read_tickets(struct store_rows *rows, struct ticket_row *out, size_t max,
                             size_t *ret_count)
{
    size_t count = 0;
    enum err e = OK;

    while (e == OK && count < max && store_next(rows))
        e = read_ticket(rows, &out[count++]);
    enum err ended = store_rows_end(rows);
    TRY(e);
    TRY(ended);
    *ret_count = count;
    return OK;
}

static enum err one_ticket(struct store_rows *rows, struct ticket_row *ret_row)
{
    size_t count;

    TRY(read_tickets(rows, ret_row, 1, &count));
    ENSURE(count == 1, ERR_NOT_FOUND, "no_ticket", "There is no such ticket.");
    return OK;
}

enum err store_ticket_by_id(struct store_tx *tx, struct ticket_id id, struct ticket_row *ret_row)
{
    struct store_rows rows;

    TRY(store_query(tx, SQL_ticket_by_id, SQL_ARGS(sv_id(id)), &rows));
    return one_ticket(&rows, ret_row);
}

enum err store_tickets_of_order(struct store_tx *tx, struct order_id order, struct ticket_row *out,
                                size_t max, size_t *ret_count)
{
    struct store_rows rows;

    TRY(store_query(tx, SQL_ticket_by_order, SQL_ARGS(sv_id(order)), &rows));
    return read_tickets(&rows, out, max, ret_count);
}

enum err store_tickets_of_account(struct store_tx *tx, int64_t account_no,
                                  const struct store_page *page, struct ticket_row *out,
                                  size_t *ret_count)
{
    int64_t from_ms = page->after_key > 0 ? page->after_key : INT64_MAX;
    int64_t skip = page->after_key > 0 && page->after_no > 0 ? page->after_no : 0;
    struct store_rows rows;

    TRY(store_query(
        tx, SQL_ticket_by_account,
        SQL_ARGS(sv_int(account_no), sv_int(from_ms), sv_int((int64_t)page->limit), sv_int(skip)),
        &rows));
    return read_tickets(&rows, out, page->limit, ret_count);
}

enum err store_ticket_insert(struct store_tx *tx, const struct ticket_row *t)
{
    TRY(store_exec_audited(
        tx, SQL_ticket_insert, t->id.b,
        SQL_ARGS(sv_id(t->id), sv_int(t->organiser_no), sv_int(t->event_no), sv_int(t->place_no),
                 sv_int(t->generation), sv_id(t->order), sv_int(t->account_no),
                 sv_int(t->category_no), sv_int(t->price_minor), sv_int(t->fee_minor),
                 sv_str(t->currency.code), sv_id(t->last_entry), sv_int(t->issued_ms)),
        NULL));
    tx_row_known(tx, AUDIT_ticket, t->id.b,
                 SQL_ARGS(sv_id(t->id), sv_int(t->organiser_no), sv_int(t->event_no),
                          sv_int(t->place_no), sv_int(t->generation), sv_int(0), sv_id(t->order),
                          sv_int(t->account_no), sv_int(t->category_no), sv_int(t->price_minor),
                          sv_int(t->fee_minor), sv_str(t->currency.code),
                          sv_str(statuses[TICKET_VALID]), sv_int(1), sv_id(t->last_entry),
                          sv_int(t->issued_ms)));
    return OK;
}

enum err store_ticket_set_entry(struct store_tx *tx, struct ticket_id id, struct entry_id entry)
{
    return store_exec_audited(tx, SQL_ticket_set_entry, id.b, SQL_ARGS(sv_id(id), sv_id(entry)),
                              NULL);
}
