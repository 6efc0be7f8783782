/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/store_catalog.h"

#include <string.h>

static const char *const event_statuses[] = {"draft", "on_sale", "closed", "cancelled"};

const char *event_status_name(enum event_status status)
{
    return event_statuses[status];
}

enum err event_status_parse(struct span text, enum event_status *ret_status)
{
    for (size_t i = 0; i < COUNT_OF(event_statuses); i++)
        if (span_eq_text(text, event_statuses[i])) {
            *ret_status = (enum event_status)i;
            return OK;
        }
    FAIL_AT("#/status", ERR_INVALID, "bad_status", "There is no such status.");
}

/* --- reading rows ---------------------------------------------------------------------------------------------------- */

static enum err get_text(struct store_rows *rows, int column, struct arena *a,
                         const char **ret_text)
{
    *ret_text = arena_text(a, store_text(rows, column));
    ENSURE(*ret_text, ERR_NOMEM, "no_memory", "The answer needs more memory than it may take.");
    return OK;
}

static enum err get_hash(struct store_rows *rows, int column, uint8_t ret_hash[32])
{
    struct span s = store_blob(rows, column);
    ENSURE(s.len == 32, ERR_CORRUPT, "bad_row", "A stored hash has the wrong length.");
    memcpy(ret_hash, s.data, 32);
    return OK;
}

/* The beginning of a packed plan: magic, places, seats. */
static enum err get_seats(struct store_rows *rows, int column, uint32_t *ret_seats)
{
    struct span s = store_blob(rows, column);
    ENSURE(s.len == 12, ERR_CORRUPT, "bad_row", "A stored plan is too short.");
    *ret_seats = get_u32be(s.data + 8);
    return OK;
}

static enum err read_organiser(struct store_rows *rows, struct arena *a, void *out)
{
    struct organiser_row *r = out;

    r->no = store_int(rows, 0);
    store_id(rows, 1, r->id.b);
    TRY(get_text(rows, 2, a, &r->name));
    TRY(get_text(rows, 3, a, &r->slug));
    r->created_ms = store_int(rows, 4);
    return OK;
}

static enum err read_venue(struct store_rows *rows, struct arena *a, void *out)
{
    struct venue_row *r = out;

    r->no = store_int(rows, 0);
    store_id(rows, 1, r->id.b);
    r->organiser_no = store_int(rows, 2);
    TRY(get_text(rows, 3, a, &r->name));
    TRY(get_text(rows, 4, a, &r->address));
    TRY(get_text(rows, 5, a, &r->time_zone));
    r->created_ms = store_int(rows, 6);
    return OK;
}

static enum err read_plan(struct store_rows *rows, struct arena *a, void *out)
{
    struct plan_row *r = out;

    r->no = store_int(rows, 0);
    store_id(rows, 1, r->id.b);
    r->organiser_no = store_int(rows, 2);
    r->venue_no = store_int(rows, 3);
    store_id(rows, 4, r->venue.b);
    TRY(get_text(rows, 5, a, &r->name));
    TRY(get_text(rows, 6, a, &r->repairs));
    TRY(get_hash(rows, 7, r->packed_hash));
    r->places = (uint32_t)store_int(rows, 8);
    TRY(get_seats(rows, 9, &r->seats));
    r->created_ms = store_int(rows, 10);
    return OK;
}

static enum err read_event(struct store_rows *rows, struct arena *a, void *out)
{
    struct event_row *r = out;

    r->no = store_int(rows, 0);
    store_id(rows, 1, r->id.b);
    r->organiser_no = store_int(rows, 2);
    r->venue_no = store_int(rows, 3);
    r->plan_no = store_int(rows, 4);
    store_id(rows, 5, r->organiser.b);
    store_id(rows, 6, r->venue.b);
    store_id(rows, 7, r->plan.b);
    TRY(get_text(rows, 8, a, &r->organiser_name));
    TRY(get_text(rows, 9, a, &r->venue_name));
    TRY(get_text(rows, 10, a, &r->venue_address));
    TRY(get_text(rows, 11, a, &r->name));
    TRY(get_text(rows, 12, a, &r->description));
    TRY(get_text(rows, 13, a, &r->time_zone));
    TRY(currency_parse(store_text(rows, 14), &r->currency));
    r->starts_ms = store_int(rows, 15);
    r->ends_ms = store_int(rows, 16);
    r->doors_ms = store_int(rows, 17);
    r->sale_from_ms = store_int(rows, 18);
    r->sale_until_ms = store_int(rows, 19);
    TRY(event_status_parse(store_text(rows, 20), &r->status));
    r->per_order_max = store_int(rows, 21);
    r->entries_max = store_int(rows, 22);
    r->capacity = store_int(rows, 23);
    r->version = store_int(rows, 24);
    TRY(get_hash(rows, 25, r->plan_hash));
    TRY(get_seats(rows, 26, &r->seats));
    r->created_ms = store_int(rows, 27);
    return OK;
}

static enum err read_category(struct store_rows *rows, struct arena *a, void *out)
{
    struct category_row *r = out;

    r->no = (uint8_t)store_int(rows, 0);
    store_id(rows, 1, r->id);
    TRY(get_text(rows, 2, a, &r->name));
    TRY(get_text(rows, 3, a, &r->color));
    r->price_minor = store_int(rows, 4);
    r->fee_minor = store_int(rows, 5);
    return OK;
}

/* How to read one kind of row. */
struct shape {
    size_t size;
    enum err (*read)(struct store_rows *rows, struct arena *a, void *out);
    const char *missing;
};
static const struct shape organisers = {sizeof(struct organiser_row), read_organiser,
                                        "no_organiser"};
static const struct shape venues = {sizeof(struct venue_row), read_venue, "no_venue"};
static const struct shape plans = {sizeof(struct plan_row), read_plan, "no_plan"};
static const struct shape events = {sizeof(struct event_row), read_event, "no_event"};
static const struct shape categories = {sizeof(struct category_row), read_category, "no_category"};

static enum err one(struct store_tx *tx, enum store_sql sql, struct store_value key,
                    const struct shape *shape, struct arena *a, void *out)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, sql, &key, 1, &rows));
    if (!store_next(&rows)) {
        TRY(store_rows_end(&rows));
        FAIL(ERR_NOT_FOUND, shape->missing, "There is no such thing.");
    }
    memset(out, 0, shape->size);
    TRY(shape->read(&rows, a, out));
    return store_rows_end(&rows);
}

/* Up to max rows, in the arena. */
static enum err many(struct store_tx *tx, enum store_sql sql, const struct store_value *args,
                     size_t arg_count, size_t max, const struct shape *shape, struct arena *a,
                     void *ret_rows, size_t *ret_count)
{
    AUTO(store_rows_done) struct store_rows rows = {0};
    uint8_t *list = arena_array(a, max, shape->size);
    size_t count = 0;

    ENSURE(list, ERR_NOMEM, "no_memory", "The answer needs more memory than it may take.");
    TRY(store_query(tx, sql, args, arg_count, &rows));
    while (count < max && store_next(&rows)) {
        TRY(shape->read(&rows, a, list + count * shape->size));
        count++;
    }
    TRY(store_rows_end(&rows));
    memcpy(ret_rows, &list, sizeof list);
    *ret_count = count;
    return OK;
}

static size_t page_limit(const struct store_page *page)
{
    return page->limit < 1 ? 1 : page->limit > 1000 ? 1000 : page->limit;
}

static enum err blob(struct store_tx *tx, enum store_sql sql, int64_t key, const char *missing,
                     struct buf *out)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, sql, SQL_ARGS(sv_int(key)), &rows));
    if (!store_next(&rows)) {
        TRY(store_rows_end(&rows));
        FAIL(ERR_NOT_FOUND, missing, "There is no such thing.");
    }
    buf_put_span(out, store_blob(&rows, 0));
    TRY(store_rows_end(&rows));
    return buf_check(out);
}

/* --- organisers, venues ---------------------------------------------------------------------------------------------- */

enum err store_organiser_insert(struct store_tx *tx, const struct organiser_row *row)
{
    return store_exec_audited(
        tx, SQL_organiser_insert, row->id.b,
        SQL_ARGS(sv_id(row->id), sv_str(row->name), sv_str(row->slug), sv_int(row->created_ms)),
        NULL);
}

enum err store_organiser_by_id(struct store_tx *tx, struct arena *a, struct organiser_id id,
                               struct organiser_row *ret_row)
{
    return one(tx, SQL_organiser_by_id, sv_id(id), &organisers, a, ret_row);
}

enum err store_organiser_by_no(struct store_tx *tx, struct arena *a, int64_t no,
                               struct organiser_row *ret_row)
{
    return one(tx, SQL_organiser_by_no, sv_int(no), &organisers, a, ret_row);
}

enum err store_organiser_slug_taken(struct store_tx *tx, const char *slug, bool *ret_taken)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, SQL_organiser_by_slug, SQL_ARGS(sv_str(slug)), &rows));
    *ret_taken = store_next(&rows);
    return store_rows_end(&rows);
}

enum err store_organiser_list(struct store_tx *tx, struct arena *a, const struct store_page *page,
                              struct organiser_row **ret_rows, size_t *ret_count)
{
    size_t max = page_limit(page);
    return many(tx, SQL_organiser_list, SQL_ARGS(sv_int(page->after_no), sv_int((int64_t)max)), max,
                &organisers, a, ret_rows, ret_count);
}

enum err store_venue_insert(struct store_tx *tx, const struct venue_row *row)
{
    return store_exec_audited(tx, SQL_venue_insert, row->id.b,
                              SQL_ARGS(sv_id(row->id), sv_int(row->organiser_no), sv_str(row->name),
                                       sv_str(row->address), sv_str(row->time_zone),
                                       sv_int(row->created_ms)),
                              NULL);
}

enum err store_venue_by_id(struct store_tx *tx, struct arena *a, struct venue_id id,
                           struct venue_row *ret_row)
{
    return one(tx, SQL_venue_by_id, sv_id(id), &venues, a, ret_row);
}

enum err store_venue_list(struct store_tx *tx, struct arena *a, int64_t organiser_no,
                          const struct store_page *page, struct venue_row **ret_rows,
                          size_t *ret_count)
{
    size_t max = page_limit(page);
    return many(tx, SQL_venue_list,
                SQL_ARGS(sv_int(organiser_no), sv_int(page->after_no), sv_int((int64_t)max)), max,
                &venues, a, ret_rows, ret_count);
}

/* --- plans ----------------------------------------------------------------------------------------------------------- */

enum err store_plan_insert(struct store_tx *tx, const struct plan_row *row, struct span source,
                           struct span packed)
{
    return store_exec_audited(tx, SQL_plan_insert, row->id.b,
                              SQL_ARGS(sv_id(row->id), sv_int(row->organiser_no),
                                       sv_int(row->venue_no), sv_str(row->name), sv_blob(source),
                                       sv_blob(packed), sv_blob(SPAN_ARRAY(row->packed_hash)),
                                       sv_int(row->places), sv_str(row->repairs),
                                       sv_int(row->created_ms)),
                              NULL);
}

enum err store_plan_by_id(struct store_tx *tx, struct arena *a, struct plan_id id,
                          struct plan_row *ret_row)
{
    return one(tx, SQL_plan_by_id, sv_id(id), &plans, a, ret_row);
}

enum err store_plan_list(struct store_tx *tx, struct arena *a, int64_t organiser_no,
                         const struct store_page *page, struct plan_row **ret_rows,
                         size_t *ret_count)
{
    size_t max = page_limit(page);
    return many(tx, SQL_plan_list,
                SQL_ARGS(sv_int(organiser_no), sv_int(page->after_no), sv_int((int64_t)max)), max,
                &plans, a, ret_rows, ret_count);
}

enum err store_plan_source(struct store_tx *tx, int64_t plan_no, struct buf *out)
{
    return blob(tx, SQL_plan_source, plan_no, "no_plan", out);
}

enum err store_plan_packed(struct store_tx *tx, int64_t plan_no, struct buf *out)
{
    return blob(tx, SQL_plan_packed, plan_no, "no_plan", out);
}

enum err store_plan_packed_by_event(struct store_tx *tx, int64_t event_no, struct buf *out)
{
    return blob(tx, SQL_plan_packed_by_event, event_no, "no_event", out);
}

/* --- events ---------------------------------------------------------------------------------------------------------- */

enum err store_event_insert(struct store_tx *tx, const struct event_row *row)
{
    return store_exec_audited(
        tx, SQL_event_insert, row->id.b,
        SQL_ARGS(sv_id(row->id), sv_int(row->organiser_no), sv_int(row->venue_no),
                 sv_int(row->plan_no), sv_str(row->name), sv_str(row->description),
                 sv_str(row->time_zone), sv_str(row->currency.code), sv_int(row->starts_ms),
                 sv_int(row->ends_ms), sv_int(row->doors_ms), sv_int(row->sale_from_ms),
                 sv_int(row->sale_until_ms), sv_str(event_status_name(row->status)),
                 sv_int(row->per_order_max), sv_int(row->entries_max), sv_int(row->capacity),
                 sv_int(row->created_ms)),
        NULL);
}

enum err store_event_update(struct store_tx *tx, const struct event_row *row)
{
    int64_t changed;

    TRY(store_exec_audited(
        tx, SQL_event_update, row->id.b,
        SQL_ARGS(sv_id(row->id), sv_int(row->version), sv_str(row->name), sv_str(row->description),
                 sv_int(row->starts_ms), sv_int(row->ends_ms), sv_int(row->doors_ms),
                 sv_int(row->sale_from_ms), sv_int(row->sale_until_ms), sv_int(row->per_order_max),
                 sv_int(row->entries_max), sv_str(event_status_name(row->status))),
        &changed));
    ENSURE(changed == 1, ERR_CONFLICT, "version_changed", "The event was changed meanwhile.");
    return OK;
}

enum err store_event_by_id(struct store_tx *tx, struct arena *a, struct event_id id,
                           struct event_row *ret_row)
{
    return one(tx, SQL_event_by_id, sv_id(id), &events, a, ret_row);
}

enum err store_event_by_no(struct store_tx *tx, struct arena *a, int64_t no,
                           struct event_row *ret_row)
{
    return one(tx, SQL_event_by_no, sv_int(no), &events, a, ret_row);
}

enum err store_event_list(struct store_tx *tx, struct arena *a, int64_t organiser_no,
                          const struct store_page *page, struct event_row **ret_rows,
                          size_t *ret_count)
{
    size_t max = page_limit(page);
    bool first = page->after_no == 0;
    return many(tx, SQL_event_list,
                SQL_ARGS(sv_int(organiser_no), sv_int(first ? INT64_MAX : page->after_key),
                         sv_int(first ? INT64_MAX : page->after_no), sv_int((int64_t)max)),
                max, &events, a, ret_rows, ret_count);
}

enum err store_event_list_public(struct store_tx *tx, struct arena *a, int64_t now_ms,
                                 const struct store_page *page, struct event_row **ret_rows,
                                 size_t *ret_count)
{
    size_t max = page_limit(page);
    return many(tx, SQL_event_list_public,
                SQL_ARGS(sv_int(now_ms), sv_int(page->after_key), sv_int(page->after_no),
                         sv_int((int64_t)max)),
                max, &events, a, ret_rows, ret_count);
}

enum err store_event_numbers_on_sale(struct store_tx *tx, int64_t *numbers, size_t max,
                                     size_t *ret_count)
{
    AUTO(store_rows_done) struct store_rows rows = {0};
    size_t count = 0;

    TRY(store_query(tx, SQL_event_numbers_on_sale, SQL_ARGS(sv_int((int64_t)max)), &rows));
    while (count < max && store_next(&rows))
        numbers[count++] = store_int(&rows, 0);
    TRY(store_rows_end(&rows));
    *ret_count = count;
    return OK;
}

/* --- categories, places ---------------------------------------------------------------------------------------------- */

enum err store_category_insert(struct store_tx *tx, const struct category_row *row)
{
    return store_exec_audited(tx, SQL_category_insert, row->id,
                              SQL_ARGS(sv_int(row->event_no), sv_int(row->no),
                                       sv_blob(span_of(row->id, ID_BYTES)), sv_str(row->name),
                                       sv_str(row->color), sv_int(row->price_minor),
                                       sv_int(row->fee_minor)),
                              NULL);
}

enum err store_category_update(struct store_tx *tx, const struct category_row *row)
{
    return store_exec_audited(tx, SQL_category_update, row->id,
                              SQL_ARGS(sv_int(row->event_no), sv_int(row->no), sv_str(row->name),
                                       sv_str(row->color), sv_int(row->price_minor),
                                       sv_int(row->fee_minor)),
                              NULL);
}

enum err store_category_list(struct store_tx *tx, struct arena *a, int64_t event_no,
                             struct category_row **ret_rows, size_t *ret_count)
{
    TRY(many(tx, SQL_category_list, SQL_ARGS(sv_int(event_no)), 255, &categories, a, ret_rows,
             ret_count));
    for (size_t i = 0; i < *ret_count; i++)
        (*ret_rows)[i].event_no = event_no;
    return OK;
}

enum err store_place_insert_range(struct store_tx *tx, int64_t event_no, uint32_t first,
                                  uint32_t count, uint8_t category)
{
    int64_t last = (int64_t)first + count - 1;
    int64_t changed;

    TRY(store_exec(tx, SQL_place_insert_range,
                   SQL_ARGS(sv_int(event_no), sv_int(first), sv_int(last), sv_int(category)),
                   &changed));
    INVARIANT(changed == count, "a range of places is made whole");
    return OK;
}
