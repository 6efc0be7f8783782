/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_CATALOG_CATALOG_H
#define SALE_CATALOG_CATALOG_H

/*
 * catalog - what there is to sell: organisers (the tenants), their venues and plans, events, prices.
 *
 * What it is: the commands that change these rows, each inside a write transaction and with its ledger entry, and the reads.
 * What it is not: the drawing of a plan (plan.h, packed.h), time zones (zone.h), holds and the state of a seat (sale/hold), who
 * may do it (trust/access: callers check the permission first and pass the organiser it was given for).
 *
 * Invariants:
 *   C1  every row belongs to one organiser; a function that takes organiser_no answers ERR_NOT_FOUND for rows of another, as
 *       if they did not exist;
 *   C2  doors <= start < end; sale_from < sale_until <= end; 1 <= per_order_max <= 50; the currency and the zone exist;
 *   C3  an event on sale has a price for every category its plan uses and one place row for every place, of that category;
 *       prices, times and limits do not change after it went on sale;
 *   C4  every change appends its ledger entry in the same transaction (L1).
 *
 * Ids are the caller's: the same request again gives the same answer and changes nothing; another under a used id is
 * ERR_CONFLICT "id_reused". Text breaks the rules of utf8.h with ERR_INVALID "bad_text", at the pointer of the API's member.
 */
#include "sale/catalog/packed.h"
#include "sale/catalog/plan.h"
#include "store/store/store_catalog.h"
#include "trust/ledger/ledger.h"

enum {
    CATALOG_NAME_MAX = 120, /* characters */
    CATALOG_ADDRESS_MAX = 300,
    CATALOG_DESCRIPTION_MAX = 5000,
    CATALOG_SLUG_MAX = 40, /* [a-z0-9-], not at its ends */
    CATALOG_PER_ORDER_MAX = 50,
    CATALOG_ENTRIES_MAX = 100,
};

/* Who does it; zero is the installation itself (set-up, demonstration). */
struct catalog_actor {
    struct account_id account;
    int64_t person_no;
};

/* What every command of this room needs besides its request. Events go on sale with what zoneinfo_dir (NULL: the system's) knows. */
struct catalog {
    struct ledger *ledger;
    const char *zoneinfo_dir;
};

struct organiser_request {
    struct organiser_id id;
    struct span name, slug;
};
/* Also ERR_CONFLICT "slug_taken". */
RESULT organiser_create(struct store_tx *tx, const struct catalog *c,
                        const struct catalog_actor *by, const struct organiser_request *req,
                        int64_t *ret_organiser_no);

struct venue_request {
    struct venue_id id;
    struct span name, address, time_zone; /* address may be empty */
};
RESULT venue_create(struct store_tx *tx, const struct catalog *c, const struct catalog_actor *by,
                    int64_t organiser_no, const struct venue_request *req);

/* A plan made ready off the writer thread: packed, hashed, written out. Embedded; plan_ready_done in every case. */
struct plan_ready {
    struct buf source, packed, repairs;
    uint8_t packed_hash[32];
    uint32_t places, seats;
};
RESULT plan_ready_init(struct plan_ready *r, const struct plan *p,
                       const struct plan_repairs *repairs /* or NULL */);
void plan_ready_done(struct plan_ready *r);

struct plan_request {
    struct plan_id id;
    struct venue_id venue;
    struct span name;
    const struct plan_ready *ready;
};
RESULT plan_create(struct store_tx *tx, const struct catalog *c, const struct catalog_actor *by,
                   int64_t organiser_no, const struct plan_request *req);
/* The pretix file of a stored plan, without our member. */
RESULT plan_export_stored(struct store_tx *tx, int64_t plan_no, struct buf *out);

struct category_wish {
    int64_t category;        /* index in the plan */
    struct span name, color; /* "#rrggbb" */
    int64_t price_minor, fee_minor;
};

struct event_request {
    struct event_id id;
    struct venue_id venue;
    struct plan_id plan;
    struct span name, description, currency;
    int64_t starts_ms, ends_ms, doors_ms, sale_from_ms, sale_until_ms;
    int64_t per_order_max, entries_max;
    const struct category_wish *categories;
    size_t category_count;
};
/* A draft. The zone is the venue's. */
RESULT event_create(struct store_tx *tx, const struct catalog *c, const struct catalog_actor *by,
                    int64_t organiser_no, const struct event_request *req);

/* What is NULL stays as it is. */
struct event_change {
    struct event_id id;
    int64_t version; /* 0: whichever it has */
    const struct span *name, *description;
    const int64_t *starts_ms, *ends_ms, *doors_ms, *sale_from_ms, *sale_until_ms, *per_order_max,
        *entries_max;
    const struct category_wish *categories; /* added, or set anew; the rest stays */
    size_t category_count;
};
/* ERR_CONFLICT "version_changed"; "event_not_draft" for anything but name and description once it is none. */
RESULT event_change(struct store_tx *tx, const struct catalog *c, const struct catalog_actor *by,
                    int64_t organiser_no, const struct event_change *change);

/*
 * draft -> on_sale (makes the places; 80,000 in well under half a second), on_sale <-> closed. The status it has already: OK, nothing
 * changes. ERR_CONFLICT "bad_transition"; "no_price" when a category that the plan uses has none; "event_over".
 */
RESULT event_set_status(struct store_tx *tx, const struct catalog *c,
                        const struct catalog_actor *by, int64_t organiser_no, struct event_id id,
                        enum event_status status);

/* --- Reads: on any transaction, reader's or writer's ------------------------------------------------------------------ */

/* Of this organiser, whatever its status. */
RESULT event_get(struct store_tx *tx, struct arena *a, int64_t organiser_no, struct event_id id,
                 struct event_row *ret_event);
/* On sale or closed. */
bool event_is_public(const struct event_row *e);
/* As the public sees it: ERR_NOT_FOUND "no_event" when it is not public. */
RESULT event_get_public(struct store_tx *tx, struct arena *a, struct event_id id,
                        struct event_row *ret_event);
RESULT venue_get(struct store_tx *tx, struct arena *a, int64_t organiser_no, struct venue_id id,
                 struct venue_row *ret_venue);
RESULT plan_get(struct store_tx *tx, struct arena *a, int64_t organiser_no, struct plan_id id,
                struct plan_row *ret_plan);
/* The packed plan of an event, unpacked. */
RESULT plan_of_event(struct store_tx *tx, int64_t event_no, struct packed **ret_packed);
/* Lists: store_organiser_list, store_venue_list, store_plan_list, store_event_list(_public), store_category_list. */

#endif
