/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_API_RECENT_H
#define REACH_API_RECENT_H

/*
 * recent - orders that were placed a moment ago and not changed since: whose they are and at which version. Their buyers come back at
 * once to wait for the payment page, and need no row to be let in.
 *
 * An order is kept on the writer's thread when it is durable, and forgotten there when it changes (NOTE_ORDER), before anybody is
 * answered. It may have changed in the batch in which it was placed: so the version only says who may wait, and the ticker looks at
 * the row of whoever does. Who is not found here is looked up. Bounded: an order that is crowded out is looked up.
 */
#include "store/store/store_order.h"

struct recent;

struct recent_order {
    struct order_id id;
    int64_t account_no, event_no, version;
};

RESULT recent_new(struct recent **ret_recent);
void recent_free(struct recent *r); /* NULL is fine */
/* On the writer thread, after recent_committed for the notes of the same batch. */
void recent_keep(struct recent *r, const struct recent_order *order);
void recent_committed(struct recent *r, const struct store_note *notes, size_t count);
/* Any thread. */
bool recent_find(struct recent *r, struct order_id id, struct recent_order *ret_order);

#endif
