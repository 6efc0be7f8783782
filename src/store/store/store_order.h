/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_STORE_ORDER_H
#define STORE_STORE_STORE_ORDER_H

/* store_order - rows of orders and their lines, as values. The state machine is in sale/order. */
#include "store/store/store_catalog.h"

enum order_status {
    ORDER_AWAITING,
    ORDER_PAID,
    ORDER_CANCELLED,
    ORDER_EXPIRED,
    ORDER_PARTLY_REFUNDED,
    ORDER_REFUNDED
};
enum { ORDER_LINES_MAX = 50 };

struct order_row {
    struct order_id id;
    int64_t organiser_no, event_no, account_no;
    struct hold_id hold;
    enum order_status status;
    struct money amount;
    int64_t created_ms, pay_until_ms;
    int64_t cancel_ms; /* 0: not asked */
    int64_t ended_ms;  /* 0: not ended */
    int64_t version;
};

struct order_line {
    uint32_t place_no;
    int64_t category_no, price_minor, fee_minor;
};

const char *order_status_name(enum order_status status);

/* Who bought, for ledger entries. ERR_NOT_FOUND "no_account". */
struct order_buyer {
    int64_t person_no;
    struct account_id account;
};
RESULT store_order_buyer(struct store_tx *tx, int64_t account_no, struct order_buyer *ret_buyer);

/* ERR_NOT_FOUND "no_order". */
RESULT store_order_by_id(struct store_tx *tx, struct order_id id, struct order_row *ret_row);
/*
 * Newest first; rows has room for page->limit. A batch makes many orders in one millisecond, so a page goes on after the
 * created_ms of the last row (after_key) and as many rows of that millisecond as were given (after_no).
 */
RESULT store_orders_of_account(struct store_tx *tx, int64_t account_no,
                               const struct store_page *page, struct order_row *rows,
                               size_t *ret_count);
RESULT store_orders_of_event(struct store_tx *tx, int64_t organiser_no, int64_t event_no,
                             const struct store_page *page, struct order_row *rows,
                             size_t *ret_count);
RESULT store_order_lines(struct store_tx *tx, struct order_id id,
                         struct order_line lines[ORDER_LINES_MAX], size_t *ret_count);
/* How many orders of this account for this event wait for their payment. */
RESULT store_order_count_waiting(struct store_tx *tx, int64_t account_no, int64_t event_no,
                                 int64_t *ret_count);
/* The row and its lines, audited. */
RESULT store_order_insert(struct store_tx *tx, const struct order_row *row,
                          const struct order_line *lines, size_t count);
/*
 * The order is one that was read in this transaction, with its lines; it is then what the row is. ERR_CONFLICT "order_state" when
 * the row has another status or version. Audited.
 */
RESULT store_order_set_status(struct store_tx *tx, struct order_row *order,
                              const struct order_line *lines, size_t count, enum order_status to,
                              int64_t ended_ms);
/* Note the wish to cancel; ret_first is false when it was noted before or the order has ended. */
RESULT store_order_set_cancel(struct store_tx *tx, struct order_id id, bool *ret_first);
/* Grow the version, so that waiting readers look again. The order and its lines as above. */
RESULT store_order_touch(struct store_tx *tx, struct order_row *order,
                         const struct order_line *lines, size_t count);

#endif
