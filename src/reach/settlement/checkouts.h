/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_SETTLEMENT_CHECKOUTS_H
#define REACH_SETTLEMENT_CHECKOUTS_H

/*
 * checkouts - the provider's sessions of orders that await their payment: what the provider calls each, and its page's address.
 *
 * Memory alone. The provider keeps its sessions, and gives the first one again to whoever asks under the same key; so what is not
 * here, because it was crowded out or made before this process started, is asked for again, and a session costs no row.
 * Any thread.
 */
#include "sale/payment/stripe.h"

enum {
    CHECKOUTS_MAX = 65536
}; /* some 300 to 1,200 bytes each, as long as the provider's addresses are */

struct checkouts;

struct checkout {
    struct payment_id payment;
    char session_ref[STRIPE_REF_MAX];
    char url[STRIPE_URL_MAX];
};

/* since_ms: the store's time now. At most max are kept. */
RESULT checkouts_new(int64_t since_ms, size_t max, struct checkouts **ret_checkouts);
void checkouts_free(struct checkouts *c); /* NULL is fine */
/* Instead of what was known of this order. The oldest is crowded out when there are too many. */
void checkouts_keep(struct checkouts *c, struct order_id order, const struct checkout *checkout);
bool checkouts_find(struct checkouts *c, struct order_id order, struct checkout *ret_checkout);
void checkouts_forget(struct checkouts *c, struct order_id order);
/*
 * May somebody have been told of a session of this attempt that is not here? True when it was made before since_ms, or no later than
 * one that was crowded out, or whose order has another now.
 */
bool checkouts_may_miss(struct checkouts *c, struct payment_id payment);

#endif
