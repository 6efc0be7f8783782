/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/ticket/ticket.h"

static void describe(struct entry_draft *d, const struct ticket_row *t,
                     const struct order_buyer *buyer)
{
    entry_id(d, FIELD_ticket, t->id.b);
    entry_int(d, FIELD_sequence, t->sequence);
    entry_id(d, FIELD_order, t->order.b);
    entry_int(d, FIELD_place, t->place_no);
    entry_int(d, FIELD_generation, t->generation);
    entry_int(d, FIELD_category, t->category_no);
    entry_money(d, FIELD_price, (struct money){t->price_minor, t->currency});
    entry_money(d, FIELD_fee, (struct money){t->fee_minor, t->currency});
    entry_person(d, FIELD_account, buyer->person_no, span_of(buyer->account.b, ID_BYTES));
    entry_names(d, AUDIT_ticket, t->id.b);
}

enum err ticket_issue(struct store_tx *tx, struct ledger *ledger, const struct order_row *order,
                      const struct order_buyer *buyer, const struct order_line *line,
                      struct ticket_row *ret_ticket)
{
    struct entry_draft d;
    struct ticket_row t = {.id = ticket_id_make(store_clock(tx), store_rng(tx)),
                           .organiser_no = order->organiser_no,
                           .event_no = order->event_no,
                           .place_no = line->place_no,
                           .order = order->id,
                           .account_no = order->account_no,
                           .category_no = line->category_no,
                           .price_minor = line->price_minor,
                           .fee_minor = line->fee_minor,
                           .currency = order->amount.currency,
                           .status = TICKET_VALID,
                           .sequence = 1,
                           .issued_ms = store_now_ms(tx)};

    entry_begin(&d, tx, ENTRY_ticket_issued, t.organiser_no, t.event_no);
    t.last_entry = d.id;
    TRY(places_sell(tx, t.event_no, t.place_no, order->id, t.id, &t.generation));
    TRY(store_ticket_insert(tx, &t));
    describe(&d, &t, buyer);
    TRY(ledger_append(tx, ledger, &d, NULL));
    *ret_ticket = t;
    return OK;
}

enum err ticket_chain(struct store_tx *tx, const struct ticket_row *ticket,
                      struct entry_draft *draft)
{
    TRY(store_ticket_set_entry(tx, ticket->id, draft->id));
    entry_id(draft, FIELD_ticket, ticket->id.b);
    entry_int(draft, FIELD_sequence, ticket->sequence + 1);
    entry_id(draft, FIELD_previous, ticket->last_entry.b);
    entry_names(draft, AUDIT_ticket, ticket->id.b);
    return OK;
}
