/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "sale/catalog/catalog.h"
#include "sale/catalog/catalog_entry.h"
#include "store/store/notes.h"

enum { EVENT_MEMORY_MAX = 1 << 20 };

static const int64_t YEAR_9999_MS = INT64_C(253402300799000);

/* --- rules ----------------------------------------------------------------------------------------------------------- */

static enum err check_time(int64_t at_ms, const char *pointer)
{
    ENSURE_AT(at_ms > 0 && at_ms <= YEAR_9999_MS, pointer, ERR_INVALID, "bad_time",
              "A time lies between 1970 and 9999.");
    return OK;
}

/* C2, of the row as it is going to be. */
static enum err check_event(const struct event_row *e)
{
    TRY(utf8_check_line(span_text(e->name), CATALOG_NAME_MAX, "#/name"));
    TRY(utf8_check_paragraph(span_text(e->description), CATALOG_DESCRIPTION_MAX, "#/description"));
    TRY(check_time(e->starts_ms, "#/starts_at"));
    TRY(check_time(e->ends_ms, "#/ends_at"));
    TRY(check_time(e->doors_ms, "#/doors_at"));
    TRY(check_time(e->sale_from_ms, "#/sale_from"));
    TRY(check_time(e->sale_until_ms, "#/sale_until"));
    ENSURE_AT(e->doors_ms <= e->starts_ms, "#/doors_at", ERR_INVALID, "bad_window",
              "Doors open before the start, or at it.");
    ENSURE_AT(e->starts_ms < e->ends_ms, "#/ends_at", ERR_INVALID, "bad_window",
              "The end comes after the start.");
    ENSURE_AT(e->sale_from_ms < e->sale_until_ms, "#/sale_until", ERR_INVALID, "bad_window",
              "The sale ends after it begins.");
    ENSURE_AT(e->sale_until_ms <= e->ends_ms, "#/sale_until", ERR_INVALID, "bad_window",
              "The sale ends before the event does.");
    ENSURE_AT(e->per_order_max >= 1 && e->per_order_max <= CATALOG_PER_ORDER_MAX, "#/per_order_max",
              ERR_INVALID, "out_of_range", "An order has 1 to %d places at most.",
              CATALOG_PER_ORDER_MAX);
    ENSURE_AT(e->entries_max >= 1 && e->entries_max <= CATALOG_ENTRIES_MAX, "#/entries_max",
              ERR_INVALID, "out_of_range", "A ticket admits 1 to %d times.", CATALOG_ENTRIES_MAX);
    return OK;
}

static enum err check_category(const struct category_wish *w, size_t i, uint32_t plan_categories)
{
    char pointer[ERR_POINTER_MAX];
    struct plan_color color;

    (void)snprintf(pointer, sizeof pointer, "#/categories/%zu", i);
    ENSURE_AT(w->category >= 0 && w->category < plan_categories, pointer, ERR_INVALID,
              "unknown_category", "The plan has no such category.");
    TRY(utf8_check_line(w->name, CATALOG_NAME_MAX, pointer));
    ENSURE_AT(w->color.len == 7, pointer, ERR_INVALID, "bad_color", "A colour is written #rrggbb.");
    TRY(plan_color_parse(w->color, pointer, &color));
    ENSURE_AT(w->price_minor >= 0 && w->price_minor <= MONEY_MINOR_MAX && w->fee_minor >= 0 &&
                  w->fee_minor <= MONEY_MINOR_MAX,
              pointer, ERR_INVALID, "out_of_range", "A price lies between 0 and %d minor units.",
              MONEY_MINOR_MAX);
    return OK;
}

static enum err check_categories(const struct category_wish *wishes, size_t count,
                                 const struct packed *plan)
{
    bool seen[PLAN_CATEGORIES_MAX + 1] = {false};

    ENSURE_AT(count <= PLAN_CATEGORIES_MAX, "#/categories", ERR_INVALID, "out_of_range",
              "An event has at most %d categories.", PLAN_CATEGORIES_MAX);
    for (size_t i = 0; i < count; i++) {
        TRY(check_category(&wishes[i], i, plan->category_count));
        ENSURE_AT(!seen[wishes[i].category], "#/categories", ERR_INVALID, "duplicate_category",
                  "A category is given twice.");
        seen[wishes[i].category] = true;
    }
    return OK;
}

/* --- categories ------------------------------------------------------------------------------------------------------ */

/* The name of the row in the ledger: the same for the same event and number, whoever writes it. */
static void category_id(struct event_id event, uint8_t no, uint8_t ret_id[ID_BYTES])
{
    static const char domain[] = "gatehouse/category/1";
    const struct span parts[] = {SPAN_ARRAY(domain), SPAN_ARRAY(event.b), span_of(&no, 1)};
    uint8_t hash[SHA256_BYTES];

    sha256_parts(parts, COUNT_OF(parts), hash);
    memcpy(ret_id, hash, ID_BYTES);
}

static enum err category_row(struct arena *a, const struct event_row *e,
                             const struct category_wish *w, struct category_row *ret_row)
{
    struct plan_color color;
    char text[8];

    *ret_row = (struct category_row){.event_no = e->no,
                                     .no = (uint8_t)w->category,
                                     .price_minor = w->price_minor,
                                     .fee_minor = w->fee_minor};
    category_id(e->id, ret_row->no, ret_row->id);
    TRY(plan_color_parse(w->color, NULL, &color));
    plan_color_format(color, text);
    TRY(catalog_text(a, w->name, &ret_row->name));
    return catalog_text(a, span_text(text), &ret_row->color);
}

static bool same_category(const struct category_row *a, const struct category_row *b)
{
    return a->no == b->no && strcmp(a->name, b->name) == 0 && strcmp(a->color, b->color) == 0 &&
           a->price_minor == b->price_minor && a->fee_minor == b->fee_minor;
}

static const struct category_row *category_find(const struct category_row *rows, size_t count,
                                                uint8_t no)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].no == no)
            return &rows[i];
    return NULL;
}

static enum err price_append(struct store_tx *tx, const struct catalog *c,
                             const struct catalog_actor *by, const struct event_row *e,
                             const struct category_row *row)
{
    struct entry_draft d;

    catalog_entry(&d, tx, ENTRY_price_set, by, e->organiser_no, e->no);
    entry_id(&d, FIELD_event, e->id.b);
    entry_int(&d, FIELD_category, row->no);
    entry_str(&d, FIELD_name, row->name);
    entry_money(&d, FIELD_price, (struct money){row->price_minor, e->currency});
    entry_money(&d, FIELD_fee, (struct money){row->fee_minor, e->currency});
    entry_names(&d, AUDIT_category, row->id);
    return ledger_append(tx, c->ledger, &d, NULL);
}

/* Add those that are new, set those that differ. */
static enum err put_categories(struct store_tx *tx, const struct catalog *c,
                               const struct catalog_actor *by, struct arena *a,
                               const struct event_row *e, const struct category_wish *wishes,
                               size_t count)
{
    struct category_row *old, row;
    size_t old_count;

    TRY(store_category_list(tx, a, e->no, &old, &old_count));
    for (size_t i = 0; i < count; i++) {
        TRY(category_row(a, e, &wishes[i], &row));
        const struct category_row *was = category_find(old, old_count, row.no);
        if (was && same_category(was, &row))
            continue;
        if (was)
            TRY(store_category_update(tx, &row));
        else
            TRY(store_category_insert(tx, &row));
        TRY(price_append(tx, c, by, e, &row));
    }
    return OK;
}

/* --- creating -------------------------------------------------------------------------------------------------------- */

static enum err event_append(struct store_tx *tx, const struct catalog *c,
                             const struct catalog_actor *by, enum entry_kind kind,
                             const struct event_row *e, const char *old_status)
{
    struct entry_draft d;

    catalog_entry(&d, tx, kind, by, e->organiser_no, e->no);
    entry_id(&d, FIELD_event, e->id.b);
    entry_id(&d, FIELD_plan, e->plan.b);
    entry_str(&d, FIELD_name, e->name);
    entry_str(&d, FIELD_status, event_status_name(e->status));
    if (old_status)
        entry_str(&d, FIELD_old_status, old_status);
    entry_int(&d, FIELD_version, e->version);
    entry_int(&d, FIELD_capacity, e->capacity);
    entry_int(&d, FIELD_from_ms, e->sale_from_ms);
    entry_int(&d, FIELD_until_ms, e->sale_until_ms);
    entry_names(&d, AUDIT_event, e->id.b);
    return ledger_append(tx, c->ledger, &d, NULL);
}

static bool same_event(const struct event_row *a, const struct event_row *b)
{
    return a->organiser_no == b->organiser_no && a->venue_no == b->venue_no &&
           a->plan_no == b->plan_no && strcmp(a->name, b->name) == 0 &&
           strcmp(a->description, b->description) == 0 && currency_eq(a->currency, b->currency) &&
           a->starts_ms == b->starts_ms && a->ends_ms == b->ends_ms && a->doors_ms == b->doors_ms &&
           a->sale_from_ms == b->sale_from_ms && a->sale_until_ms == b->sale_until_ms &&
           a->per_order_max == b->per_order_max && a->entries_max == b->entries_max;
}

/* The same request again: OK. */
static enum err event_again(struct store_tx *tx, struct arena *a, const struct event_row *old,
                            const struct event_row *e, const struct event_request *req)
{
    struct category_row *rows, row;
    size_t count;

    TRY(store_category_list(tx, a, old->no, &rows, &count));
    if (!same_event(old, e) || count != req->category_count)
        return id_reused();
    for (size_t i = 0; i < count; i++) {
        TRY(category_row(a, old, &req->categories[i], &row));
        const struct category_row *was = category_find(rows, count, row.no);
        if (!was || !same_category(was, &row))
            return id_reused();
    }
    return OK;
}

static enum err event_row_of(struct store_tx *tx, struct arena *a, int64_t organiser_no,
                             const struct event_request *req, struct event_row *ret_row)
{
    struct event_row e = {.id = req->id, .organiser_no = organiser_no, .version = 1};
    struct venue_row venue;
    struct plan_row plan;

    TRY(venue_get(tx, a, organiser_no, req->venue, &venue));
    TRY(plan_get(tx, a, organiser_no, req->plan, &plan));
    ENSURE_AT(plan.venue_no == venue.no, "#/plan", ERR_INVALID, "wrong_venue",
              "The plan is of another venue.");
    TRY(catalog_text(a, req->name, &e.name));
    TRY(catalog_text(a, req->description, &e.description));
    e.time_zone = venue.time_zone;
    TRY(currency_parse(req->currency, &e.currency));
    e.venue_no = venue.no;
    e.plan_no = plan.no;
    e.venue = req->venue;
    e.plan = req->plan;
    e.starts_ms = req->starts_ms;
    e.ends_ms = req->ends_ms;
    e.doors_ms = req->doors_ms;
    e.sale_from_ms = req->sale_from_ms;
    e.sale_until_ms = req->sale_until_ms;
    e.per_order_max = req->per_order_max;
    e.entries_max = req->entries_max;
    e.capacity = plan.places;
    e.created_ms = store_now_ms(tx);
    TRY(check_event(&e));
    *ret_row = e;
    return OK;
}

static enum err plan_by_no(struct store_tx *tx, int64_t plan_no, struct packed **ret_plan)
{
    AUTO(buf_done) struct buf bytes;

    buf_init(&bytes, PACKED_MAX);
    TRY(store_plan_packed(tx, plan_no, &bytes));
    return plan_unpack(buf_span(&bytes), ret_plan);
}

enum err event_create(struct store_tx *tx, const struct catalog *c, const struct catalog_actor *by,
                      int64_t organiser_no, const struct event_request *req)
{
    AUTO(packed_free) struct packed *plan = NULL;
    AUTO(arena_done) struct arena a;
    struct event_row e, old;
    bool taken;

    arena_init(&a, EVENT_MEMORY_MAX);
    ENSURE_AT(!id_is_zero(req->id.b), "#/id", ERR_INVALID, "bad_id", "The id is missing.");
    ENSURE_AT(req->name.len <= (size_t)4 * CATALOG_NAME_MAX, "#/name", ERR_INVALID, "bad_text",
              "Text has at most %d characters.", CATALOG_NAME_MAX);
    ENSURE_AT(req->description.len <= (size_t)4 * CATALOG_DESCRIPTION_MAX, "#/description",
              ERR_INVALID, "bad_text", "Text has at most %d characters.", CATALOG_DESCRIPTION_MAX);
    TRY(event_row_of(tx, &a, organiser_no, req, &e));
    TRY(plan_by_no(tx, e.plan_no, &plan));
    TRY(check_categories(req->categories, req->category_count, plan));
    TRY(catalog_found(store_event_by_id(tx, &a, req->id, &old), &taken));
    if (taken)
        return event_again(tx, &a, &old, &e, req);
    TRY(store_event_insert(tx, &e));
    TRY(store_event_by_id(tx, &a, req->id, &e));
    TRY(event_append(tx, c, by, ENTRY_event_created, &e, NULL));
    return put_categories(tx, c, by, &a, &e, req->categories, req->category_count);
}

/* --- changing -------------------------------------------------------------------------------------------------------- */

enum err event_get(struct store_tx *tx, struct arena *a, int64_t organiser_no, struct event_id id,
                   struct event_row *ret_event)
{
    struct event_row e;

    TRY(store_event_by_id(tx, a, id, &e));
    ENSURE(e.organiser_no == organiser_no, ERR_NOT_FOUND, "no_event", "There is no such thing.");
    *ret_event = e;
    return OK;
}

bool event_is_public(const struct event_row *e)
{
    return e->status == EVENT_ON_SALE || e->status == EVENT_CLOSED;
}

enum err event_get_public(struct store_tx *tx, struct arena *a, struct event_id id,
                          struct event_row *ret_event)
{
    struct event_row e;

    TRY(store_event_by_id(tx, a, id, &e));
    ENSURE(event_is_public(&e), ERR_NOT_FOUND, "no_event", "There is no such thing.");
    *ret_event = e;
    return OK;
}

static void event_note(struct store_tx *tx, const struct event_row *e)
{
    store_note(tx, (struct store_note){.kind = NOTE_EVENT, .a = e->no, .c = e->version});
}

static void take(const int64_t *from, int64_t *to)
{
    if (from)
        *to = *from;
}

static enum err change_row(struct arena *a, const struct event_change *change, struct event_row *e)
{
    if (change->name)
        TRY(catalog_text(a, *change->name, &e->name));
    if (change->description)
        TRY(catalog_text(a, *change->description, &e->description));
    take(change->starts_ms, &e->starts_ms);
    take(change->ends_ms, &e->ends_ms);
    take(change->doors_ms, &e->doors_ms);
    take(change->sale_from_ms, &e->sale_from_ms);
    take(change->sale_until_ms, &e->sale_until_ms);
    take(change->per_order_max, &e->per_order_max);
    take(change->entries_max, &e->entries_max);
    return check_event(e);
}

enum err event_change(struct store_tx *tx, const struct catalog *c, const struct catalog_actor *by,
                      int64_t organiser_no, const struct event_change *change)
{
    AUTO(packed_free) struct packed *plan = NULL;
    AUTO(arena_done) struct arena a;
    struct event_row e;
    bool small = !change->starts_ms && !change->ends_ms && !change->doors_ms &&
                 !change->sale_from_ms && !change->sale_until_ms && !change->per_order_max &&
                 !change->entries_max && change->category_count == 0;

    arena_init(&a, EVENT_MEMORY_MAX);
    TRY(event_get(tx, &a, organiser_no, change->id, &e));
    ENSURE(change->version == 0 || change->version == e.version, ERR_CONFLICT, "version_changed",
           "The event was changed meanwhile.");
    ENSURE(e.status == EVENT_DRAFT || small, ERR_CONFLICT, "event_not_draft",
           "Only name and description change after an event went on sale.");
    TRY(change_row(&a, change, &e));
    if (change->category_count > 0) {
        TRY(plan_by_no(tx, e.plan_no, &plan));
        TRY(check_categories(change->categories, change->category_count, plan));
        TRY(put_categories(tx, c, by, &a, &e, change->categories, change->category_count));
    }
    TRY(store_event_update(tx, &e));
    e.version++;
    event_note(tx, &e);
    return event_append(tx, c, by, ENTRY_event_changed, &e, NULL);
}

/* --- going on sale --------------------------------------------------------------------------------------------------- */

static enum err check_prices(struct store_tx *tx, struct arena *a, const struct event_row *e,
                             const struct packed *plan)
{
    bool used[PLAN_CATEGORIES_MAX + 1] = {false};
    struct category_row *rows;
    size_t count;

    for (uint32_t i = 0; i < plan->places; i++)
        used[plan->category[i]] = true;
    TRY(store_category_list(tx, a, e->no, &rows, &count));
    for (uint32_t i = 0; i < plan->category_count; i++)
        ENSURE(!used[i] || category_find(rows, count, (uint8_t)i), ERR_CONFLICT, "no_price",
               "Category %u of the plan has no price.", i);
    return OK;
}

/* One statement a stretch of places of one category. */
static enum err make_places(struct store_tx *tx, const struct event_row *e,
                            const struct packed *plan)
{
    uint32_t first = 0;

    for (uint32_t i = 1; i <= plan->places; i++)
        if (i == plan->places || plan->category[i] != plan->category[first]) {
            TRY(store_place_insert_range(tx, e->no, first, i - first, plan->category[first]));
            first = i;
        }
    return OK;
}

static enum err go_on_sale(struct store_tx *tx, struct arena *a, const struct event_row *e)
{
    AUTO(packed_free) struct packed *plan = NULL;

    ENSURE(e->ends_ms > store_now_ms(tx), ERR_CONFLICT, "event_over", "The event is over.");
    if (e->status == EVENT_CLOSED)
        return OK; /* its places are there */
    TRY(plan_by_no(tx, e->plan_no, &plan));
    ENSURE(plan->places == e->capacity, ERR_CORRUPT, "bad_row",
           "The event's capacity is not its plan's.");
    TRY(check_prices(tx, a, e, plan));
    return make_places(tx, e, plan);
}

enum err event_set_status(struct store_tx *tx, const struct catalog *c,
                          const struct catalog_actor *by, int64_t organiser_no, struct event_id id,
                          enum event_status status)
{
    AUTO(arena_done) struct arena a;
    struct event_row e;

    arena_init(&a, EVENT_MEMORY_MAX);
    TRY(event_get(tx, &a, organiser_no, id, &e));
    if (e.status == status)
        return OK;
    bool allowed =
        (status == EVENT_ON_SALE && (e.status == EVENT_DRAFT || e.status == EVENT_CLOSED)) ||
        (status == EVENT_CLOSED && e.status == EVENT_ON_SALE);
    ENSURE_AT(allowed, "#/status", ERR_CONFLICT, "bad_transition",
              "An event goes from draft on sale, and from there to closed and back.");
    if (status == EVENT_ON_SALE)
        TRY(go_on_sale(tx, &a, &e));
    const char *old_status = event_status_name(e.status);
    e.status = status;
    TRY(store_event_update(tx, &e));
    e.version++;
    event_note(tx, &e);
    return event_append(tx, c, by, ENTRY_event_status, &e, old_status);
}
