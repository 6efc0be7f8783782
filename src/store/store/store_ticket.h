/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_STORE_TICKET_H
#define STORE_STORE_STORE_TICKET_H

/* store_ticket - rows of tickets, as values. Rules are in sale/ticket. */
#include "store/store/store_catalog.h"

enum ticket_status {
    TICKET_VALID,
    TICKET_SUSPENDED,
    TICKET_REFUNDED,
    TICKET_REVOKED,
    TICKET_SUPERSEDED
};

struct ticket_row {
    struct ticket_id id;
    int64_t organiser_no, event_no;
    uint32_t place_no;
    int64_t generation;
    struct order_id order;
    int64_t account_no;
    int64_t category_no, price_minor, fee_minor;
    struct currency currency;
    enum ticket_status status;
    int64_t sequence;           /* of its ledger entries */
    struct entry_id last_entry; /* the newest of them */
    int64_t issued_ms;
};

const char *ticket_status_name(enum ticket_status status);

/* ERR_NOT_FOUND "no_ticket". */
RESULT store_ticket_by_id(struct store_tx *tx, struct ticket_id id, struct ticket_row *ret_row);
RESULT store_tickets_of_order(struct store_tx *tx, struct order_id order, struct ticket_row *rows,
                              size_t max, size_t *ret_count);
/* Newest first; rows has room for page->limit. Goes on as the lists of store_order.h do, by issued_ms. */
RESULT store_tickets_of_account(struct store_tx *tx, int64_t account_no,
                                const struct store_page *page, struct ticket_row *rows,
                                size_t *ret_count);
/* A valid ticket, of a place and a line of its order. ERR_CONFLICT "constraint" when another is live on the place. Audited. */
RESULT store_ticket_insert(struct store_tx *tx, const struct ticket_row *row);
/* The chain of its entries goes on with this one. Audited. */
RESULT store_ticket_set_entry(struct store_tx *tx, struct ticket_id id, struct entry_id entry);

#endif
