/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_API_RECENT_H
#define REACH_API_RECENT_H

/*
 * recent - orders that were placed a moment ago and not changed since: whose they are, at which version, and their lines. Their buyers
 * wait for the payment page, and no row is read to let them in or to answer them.
 *
 * An order is kept on the writer's thread when it is durable, and forgotten there when it changes (NOTE_ORDER), before anybody is
 * answered. It may have changed in the batch in which it was placed, whose notes come before it is kept: only its cancellation can,
 * which therefore forgets it itself (recent_forget). Who is not found here is looked up in the rows. Bounded: an order that is crowded
 * out is looked up too.
 */
#include "store/store/store_order.h"

struct recent;

enum { RECENT_LINES_MAX = 6 };

struct recent_order {
    struct order_row row;
    struct order_line lines[RECENT_LINES_MAX];
    size_t line_count; /* 0: it has more, which are not kept */
};

RESULT recent_new(struct recent **ret_recent);
void recent_free(struct recent *r); /* NULL is fine */
/* On the writer thread, after recent_committed for the notes of the same batch. */
void recent_keep(struct recent *r, const struct recent_order *order);
void recent_committed(struct recent *r, const struct store_note *notes, size_t count);
/* On the writer thread, after recent_keep of the same batch. */
void recent_forget(struct recent *r, struct order_id id);
/* Any thread. */
bool recent_find(struct recent *r, struct order_id id, struct recent_order *ret_order);

#endif
