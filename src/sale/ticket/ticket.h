/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_TICKET_TICKET_H
#define SALE_TICKET_TICKET_H

/*
 * ticket - the right to enter, bought with an order.
 *
 * A ticket is a row made in the transaction that takes the money (sale/order calls ticket_issue). Its code is made at first
 * display, by the signer, from typed claims (code.h): the writer never waits for a signature, and showing the same
 * ticket again gives the same code. Who was admitted with it is door/admission's.
 *
 * Invariants:
 *   K1  a valid ticket's place is sold to it, and no other ticket of the place is valid (a unique index);
 *   K2  the generation grows by one with every ticket of a place, across refunds and resales;
 *   K3  each change appends an entry that carries the ticket's own sequence and names the entry before it.
 */
#include "sale/hold/hold.h"
#include "store/store/store_order.h"
#include "store/store/store_ticket.h"
#include "trust/ledger/ledger.h"

/*
 * One valid ticket for a line of an order that is being paid: sells the place, inserts the row, appends ticket_issued. In the
 * order's transaction. ERR_CONFLICT "place_not_ordered" when the place is not the order's.
 */
RESULT ticket_issue(struct store_tx *tx, struct ledger *ledger, const struct order_row *order,
                    const struct order_buyer *buyer, const struct order_line *line,
                    struct ticket_row *ret_ticket);

/*
 * Put an entry about a ticket on its chain: gives the draft the ticket, its sequence and the entry before, names the row, and
 * changes the row. The draft is appended afterwards by the caller.
 */
RESULT ticket_chain(struct store_tx *tx, const struct ticket_row *ticket,
                    struct entry_draft *draft);

#endif
