/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_CATALOG_EVENT_FACTS_H
#define SALE_CATALOG_EVENT_FACTS_H

/*
 * event_facts - what every sale asks of its event, read once and shared: an immutable copy of an event's row and prices as one
 * version of the event says. Who keeps a copy for others must notice newer versions (NOTE_EVENT): sale/hold/seat_map.h does.
 */
#include "store/store/store_catalog.h"

struct event_facts {
    int references;       /* atomic */
    struct event_row row; /* its description aside, which is not kept (NULL) */
    struct arena memory;  /* of the texts and what follows */
    const struct category_row *categories[256]; /* by number; NULL where there is none */
};

/* As the transaction sees it, with one reference. ERR_NOT_FOUND "no_event". */
RESULT event_facts_load(struct store_tx *tx, int64_t event_no, struct event_facts **ret_facts);
struct event_facts *event_facts_keep(struct event_facts *f); /* one reference more; NULL is fine */
void event_facts_release(struct event_facts **f);            /* for AUTO; NULL inside is fine */

#endif
