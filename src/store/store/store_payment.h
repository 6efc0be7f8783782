/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_STORE_PAYMENT_H
#define STORE_STORE_STORE_PAYMENT_H

/* store_payment - rows of payments, refunds and postings, as values. Rules are in sale/payment. */
#include "store/store/store.h"

enum { PAYMENT_REF_MAX = 128, PAYMENT_TITLE_MAX = 200, PAYMENT_ORIGIN_MAX = 300 };

enum payment_state {
    PAYMENT_OPEN,     /* it may bring money */
    PAYMENT_CAPTURED, /* it did */
    PAYMENT_EXPIRED,  /* it cannot any more */
    PAYMENT_FAILED,   /* given up before anybody could have paid */
};
enum refund_state { REFUND_ASKED, REFUND_DONE, REFUND_FAILED };

struct payment_row {
    struct payment_id id;
    struct order_id order;
    int64_t organiser_no;
    int64_t attempt;
    enum payment_state state;
    char session_ref[PAYMENT_REF_MAX]; /* once captured, as the next */
    char intent_ref[PAYMENT_REF_MAX];
    struct money amount;
    int64_t captured_minor, refunded_minor;
    int64_t tries, next_ms;
    int64_t created_ms;
    char title[PAYMENT_TITLE_MAX];          /* what the provider's page says is paid for */
    char return_origin[PAYMENT_ORIGIN_MAX]; /* of the page that the fan comes back to */
};

struct refund_row {
    struct refund_id id;
    struct payment_id payment;
    struct order_id order;
    int64_t organiser_no;
    struct money amount;
    char reason[24];
    enum refund_state state;
    char refund_ref[PAYMENT_REF_MAX];
    char intent_ref[PAYMENT_REF_MAX];
    int64_t tries;
};

const char *payment_state_name(enum payment_state state);
const char *refund_state_name(enum refund_state state);

/* ERR_NOT_FOUND "no_payment" / "no_refund" when there is none. */
RESULT store_payment_by_id(struct store_tx *tx, struct payment_id id, struct payment_row *ret_row);
RESULT store_payment_newest(struct store_tx *tx, struct order_id order,
                            struct payment_row *ret_row);
/* The one that was made last, by its id. */
RESULT store_payment_last(struct store_tx *tx, struct payment_id *ret_id);
/* Those that settlement must look at, earliest first; at most max. */
RESULT store_payments_due(struct store_tx *tx, int64_t now_ms, struct payment_id *ids, size_t max,
                          size_t *ret_count);

/* A new attempt in state open, that settlement looks at at row->next_ms. Needs its ledger entry. */
RESULT store_payment_insert(struct store_tx *tx, const struct payment_row *row);
/*
 * The payment is one that was read in this transaction. Open or expired; ERR_CONFLICT "payment_state" when it is captured, or not
 * what was read.
 */
RESULT store_payment_set_captured(struct store_tx *tx, const struct payment_row *payment,
                                  const char *session_ref, const char *intent_ref,
                                  int64_t captured_minor);
/* open -> expired or failed. */
RESULT store_payment_set_ended(struct store_tx *tx, struct payment_id id, enum payment_state state);
RESULT store_payment_add_refunded(struct store_tx *tx, struct payment_id id, int64_t amount_minor);
RESULT store_payment_later(struct store_tx *tx, struct payment_id id, int64_t next_ms);
/* The provider answered about it: looked at again at next_ms, as if for the first time. */
RESULT store_payment_answered(struct store_tx *tx, struct payment_id id, int64_t next_ms);

RESULT store_refund_by_id(struct store_tx *tx, struct refund_id id, struct refund_row *ret_row);
RESULT store_refunds_of_order(struct store_tx *tx, struct order_id order, struct refund_row *rows,
                              size_t max, size_t *ret_count);
RESULT store_refunds_due(struct store_tx *tx, int64_t now_ms, struct refund_id *ids, size_t max,
                         size_t *ret_count);
RESULT store_refund_insert(struct store_tx *tx, const struct refund_row *row);
/* asked -> done or failed; ERR_CONFLICT "refund_state" otherwise. */
RESULT store_refund_set_state(struct store_tx *tx, struct refund_id id, enum refund_state state,
                              const char *refund_ref);
RESULT store_refund_later(struct store_tx *tx, struct refund_id id, int64_t next_ms);

struct posting_line {
    const char *account;  /* provider, sales, fees, late_money */
    int64_t amount_minor; /* zero lines are left out */
};
/* One booking; the lines must sum to zero (asserted). booking_id is the payment's or refund's. */
RESULT store_posting_book(struct store_tx *tx, const uint8_t booking_id[ID_BYTES],
                          struct order_id order, struct currency currency,
                          const struct posting_line *lines, size_t count);

#endif
