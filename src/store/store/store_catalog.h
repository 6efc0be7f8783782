/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_STORE_CATALOG_H
#define STORE_STORE_STORE_CATALOG_H

/*
 * store_catalog - rows of organisers, venues, plans, events and categories, as values. Rules are in sale/catalog. Texts and
 * arrays that are returned live in the arena given. "By id" answers ERR_NOT_FOUND "no_<thing>" when there is none; tenant checks are the caller's.
 */
#include "store/store/store.h"

struct organiser_row {
    int64_t no;
    struct organiser_id id;
    const char *name, *slug;
    int64_t created_ms;
};

struct venue_row {
    int64_t no, organiser_no;
    struct venue_id id;
    const char *name, *address, *time_zone;
    int64_t created_ms;
};

/* Without its two large columns: store_plan_source, store_plan_packed. */
struct plan_row {
    int64_t no, organiser_no, venue_no;
    struct plan_id id;
    struct venue_id venue;
    const char *name, *repairs;
    uint8_t packed_hash[32];
    uint32_t places, seats;
    int64_t created_ms;
};

enum event_status { EVENT_DRAFT, EVENT_ON_SALE, EVENT_CLOSED, EVENT_CANCELLED };

struct event_row {
    int64_t no, organiser_no, venue_no, plan_no;
    struct event_id id;
    struct organiser_id organiser;
    struct venue_id venue;
    struct plan_id plan;
    const char *organiser_name, *venue_name, *venue_address;
    const char *name, *description, *time_zone;
    struct currency currency;
    int64_t starts_ms, ends_ms, doors_ms, sale_from_ms, sale_until_ms;
    enum event_status status;
    int64_t per_order_max, entries_max, capacity, version;
    uint8_t plan_hash[32];
    uint32_t seats; /* of the plan; the rest of the capacity are slots of areas */
    int64_t created_ms;
};

struct category_row {
    int64_t event_no;
    uint8_t no;
    uint8_t id[ID_BYTES]; /* names the row in the ledger */
    const char *name, *color;
    int64_t price_minor, fee_minor;
};

/* Where a list goes on: after the item with these two sort values. A zero page begins at the start. */
struct store_page {
    int64_t after_key, after_no;
    size_t limit; /* 1..1000 */
};

const char *event_status_name(enum event_status status);
/* ERR_INVALID "bad_status". */
RESULT event_status_parse(struct span text, enum event_status *ret_status);

RESULT store_organiser_insert(struct store_tx *tx, const struct organiser_row *row);
RESULT store_organiser_by_id(struct store_tx *tx, struct arena *a, struct organiser_id id,
                             struct organiser_row *ret_row);
RESULT store_organiser_by_no(struct store_tx *tx, struct arena *a, int64_t no,
                             struct organiser_row *ret_row);
/* OK and *ret_taken. */
RESULT store_organiser_slug_taken(struct store_tx *tx, const char *slug, bool *ret_taken);
/* In the order they were made; key is unused. */
RESULT store_organiser_list(struct store_tx *tx, struct arena *a, const struct store_page *page,
                            struct organiser_row **ret_rows, size_t *ret_count);

RESULT store_venue_insert(struct store_tx *tx, const struct venue_row *row);
RESULT store_venue_by_id(struct store_tx *tx, struct arena *a, struct venue_id id,
                         struct venue_row *ret_row);
RESULT store_venue_list(struct store_tx *tx, struct arena *a, int64_t organiser_no,
                        const struct store_page *page, struct venue_row **ret_rows,
                        size_t *ret_count);

RESULT store_plan_insert(struct store_tx *tx, const struct plan_row *row, struct span source,
                         struct span packed);
RESULT store_plan_by_id(struct store_tx *tx, struct arena *a, struct plan_id id,
                        struct plan_row *ret_row);
RESULT store_plan_list(struct store_tx *tx, struct arena *a, int64_t organiser_no,
                       const struct store_page *page, struct plan_row **ret_rows,
                       size_t *ret_count);
/* Appended to out. */
RESULT store_plan_source(struct store_tx *tx, int64_t plan_no, struct buf *out);
RESULT store_plan_packed(struct store_tx *tx, int64_t plan_no, struct buf *out);
RESULT store_plan_packed_by_event(struct store_tx *tx, int64_t event_no, struct buf *out);

RESULT store_event_insert(struct store_tx *tx, const struct event_row *row);
/* Writes what may change (name, description, times, per_order_max, entries_max, status) and version + 1; ERR_CONFLICT
 * "version_changed" unless the stored version is row->version. */
RESULT store_event_update(struct store_tx *tx, const struct event_row *row);
RESULT store_event_by_id(struct store_tx *tx, struct arena *a, struct event_id id,
                         struct event_row *ret_row);
RESULT store_event_by_no(struct store_tx *tx, struct arena *a, int64_t no,
                         struct event_row *ret_row);
/* All of an organiser, newest first (key: starts_ms). */
RESULT store_event_list(struct store_tx *tx, struct arena *a, int64_t organiser_no,
                        const struct store_page *page, struct event_row **ret_rows,
                        size_t *ret_count);
/* Those on sale that have not ended, soonest first (key: starts_ms). */
RESULT store_event_list_public(struct store_tx *tx, struct arena *a, int64_t now_ms,
                               const struct store_page *page, struct event_row **ret_rows,
                               size_t *ret_count);
/* Numbers of all events on sale, for loading their maps at start. */
RESULT store_event_numbers_on_sale(struct store_tx *tx, int64_t *numbers, size_t max,
                                   size_t *ret_count);

RESULT store_category_insert(struct store_tx *tx, const struct category_row *row);
RESULT store_category_update(struct store_tx *tx, const struct category_row *row);
/* By number, ascending. */
RESULT store_category_list(struct store_tx *tx, struct arena *a, int64_t event_no,
                           struct category_row **ret_rows, size_t *ret_count);

/* Place rows first..first+count-1 in state free, by one statement. */
RESULT store_place_insert_range(struct store_tx *tx, int64_t event_no, uint32_t first,
                                uint32_t count, uint8_t category);

#endif
