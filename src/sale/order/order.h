/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_ORDER_ORDER_H
#define SALE_ORDER_ORDER_H

/*
 * order - the state machine that ties a hold, a payment and tickets together, so that money and tickets always agree (M1).
 *
 *     hold --order_place--> awaiting_payment --order_session_says--> paid
 *                               |   \--(pay_until, or cancel)--> the provider is asked to expire its session
 *                               \--order_session_says, order_session_over--> expired | cancelled (places free)
 *     paid money for an ended order: takes the places again if all are free, else a refund is asked for at once.
 *
 * Every function here is the body of a command: it runs in the writer's transaction, changes rows, appends the ledger entries
 * and leaves notes. None of them calls out: what the provider must be asked is found by settlement in the payments and
 * refunds that are due (store_payment.h). Amounts come from the catalog at the time of the order, never from the caller.
 *
 * Invariants:
 *   O1  an order has at most one payment attempt that can still bring money (UNIQUE in the store);
 *   O2  places of an order are ORDERED while it awaits payment, SOLD to its tickets once paid, not its own otherwise;
 *   O3  status paid <=> the captured payment, the postings and one valid ticket for each line exist, in one transaction;
 *   O4  captured money without tickets <=> a refund of the whole amount exists, in the same transaction.
 */
#include "sale/hold/hold.h"
#include "sale/hold/seat_map.h"
#include "sale/payment/stripe.h"
#include "sale/ticket/ticket.h"
#include "store/store/store_order.h"
#include "store/store/store_payment.h"

enum {
    ORDER_PAY_MS = 15 * 60 * 1000, /* after this we ask the provider to expire the session */
    /*
     * A session can be paid until so long after its attempt was made: it may be made at the last moment before pay_until, and must
     * then be open for 30 minutes, which is the provider's minimum.
     */
    ORDER_SESSION_MS = 46 * 60 * 1000,
    ORDER_WAITING_MAX =
        5, /* unpaid orders of an account for an event, so that nobody keeps places without paying */
    ORDER_ASK_MS = 60 * 1000, /* how often an open session is asked about when no webhook came */
    ORDER_END_MS = 1000,      /* the same, of an order that is to end */
};

struct order_request {
    struct order_id id;
    struct hold_id hold;
    int64_t account_no;
    const char
        *return_origin; /* of the buyer's page, so that the provider sends the browser back there */
};

struct order_placed {
    struct order_row order;
    bool before; /* by an earlier request of the same id: then what follows is not filled */
    struct order_line lines[ORDER_LINES_MAX];
    size_t line_count;
    struct event_facts *facts;  /* of its event; borrowed until the command ends */
    struct payment_row payment; /* its first attempt, when amount is more than zero */
};

/*
 * Turn a live hold into an order. The same request twice gives the first order. A total of zero is paid at once, with tickets.
 * Expected failures: ERR_NOT_FOUND "no_hold" (or another account's); ERR_EXPIRED "hold_expired"; ERR_LIMIT "too_many_orders"; ERR_CONFLICT "id_reused",
 * "hold_ended", "hold_ordered", "not_on_sale" (the event was closed). Entries: order_placed, and for a free order order_paid and ticket_issued.
 */
RESULT order_place(struct store_tx *tx, struct ledger *ledger, struct seat_maps *maps,
                   const struct order_request *req, struct order_placed *ret_placed);

/*
 * The fan wants out: noted, and the payment becomes due at once. The places are freed when the provider has confirmed that the
 * session is over. ERR_CONFLICT "order_state" when it is not awaiting payment; ERR_NOT_FOUND for another account's order.
 */
RESULT order_cancel(struct store_tx *tx, struct ledger *ledger, struct order_id id,
                    int64_t account_no, struct order_row *ret_order);

/*
 * The attempt to make a session ended without one that anybody could have seen. again: make a new attempt with a new key (the
 * answer was lost, or the provider was busy), due at next_ms; else the order ends as expired and its places are free.
 * Only for attempts in state open; otherwise nothing happens.
 */
RESULT order_session_failed(struct store_tx *tx, struct ledger *ledger, struct payment_id payment,
                            bool again, int64_t next_ms);

/*
 * The attempt brings no money any more, though the provider did not say that its session expired: it says that there never was one, or
 * whether it was paid cannot be asked (the caller raises an alert). The order ends, its places are free; money that is heard of later is
 * late money. Only for attempts in state open; otherwise nothing happens.
 */
RESULT order_session_over(struct store_tx *tx, struct ledger *ledger, struct payment_id payment);

/*
 * The provider says what the session of an attempt is now (client_reference), by webhook or by answer, in any order
 * and as often as it likes: what is known already does nothing. Complete and paid: settles. Expired: ends the order, frees the places.
 * Open: nothing but the next look.
 * ERR_NOT_FOUND "no_payment" for a session that is not ours; ERR_CONFLICT "amount_mismatch" when the provider's amount or
 * currency is not ours, "payment_given_up" for money of an attempt that failed (nothing changes; order_wants_person).
 */
RESULT order_session_says(struct store_tx *tx, struct ledger *ledger,
                          const struct stripe_session *session);
/* After order_session_says or order_refund_says failed: is it for a person to look at, so that the caller raises the alert? */
bool order_wants_person(enum err e);
/* Not to be paid any more: its end was asked for, or its time is over. */
bool order_is_to_end(const struct order_row *o, int64_t now_ms);

/*
 * The provider says how a refund stands. Entries: refund_done or refund_failed. A repeat does nothing. A failed one leaves the
 * money with the payment (captured, not refunded): the caller raises the alert. ERR_CONFLICT "amount_mismatch" when another
 * amount was given back than we asked for; ERR_NOT_FOUND "no_refund".
 */
RESULT order_refund_says(struct store_tx *tx, struct ledger *ledger, struct refund_id refund,
                         const struct stripe_refund *answer);

#endif
