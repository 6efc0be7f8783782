/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/store_admission.h"

#include <string.h>

static enum err get_text(struct store_rows *rows, int column, struct arena *a, const char **ret)
{
    const char *text = arena_text(a, store_text(rows, column));

    ENSURE(text, ERR_NOMEM, "no_memory", "The answer needs more memory than it may take.");
    *ret = text;
    return OK;
}

static enum err get_32(struct store_rows *rows, int column, uint8_t out[32])
{
    struct span s = store_blob(rows, column);

    ENSURE(s.len == 32, ERR_CORRUPT, "bad_row", "A key or hash has the wrong length.");
    memcpy(out, s.data, 32);
    return OK;
}

static enum err read_device(struct store_rows *rows, struct arena *a, void *out)
{
    struct device_row *r = out;

    r->no = store_int(rows, 0);
    store_id(rows, 1, r->id.b);
    r->organiser_no = store_int(rows, 2);
    r->event_no = store_int(rows, 3);
    TRY(get_text(rows, 4, a, &r->name));
    TRY(get_text(rows, 5, a, &r->gate));
    TRY(get_32(rows, 6, r->public_key));
    r->active = span_eq_text(store_text(rows, 7), "active");
    r->enrolled_by = store_int(rows, 8);
    r->enrolled_ms = store_int(rows, 9);
    return OK;
}

static enum err read_scan(struct store_rows *rows, struct arena *a, void *out)
{
    struct scan_row *r = out;

    r->scan_no = store_int(rows, 0);
    store_id(rows, 1, r->id.b);
    r->organiser_no = store_int(rows, 2);
    r->event_no = store_int(rows, 3);
    r->device_no = store_int(rows, 4);
    r->sequence = store_int(rows, 5);
    TRY(get_32(rows, 6, r->code_hash));
    store_id(rows, 7, r->ticket.b);
    r->admission_no = store_int(rows, 8);
    r->admitted = store_int(rows, 9) == 1;
    r->conflict = store_int(rows, 10) == 1;
    TRY(get_text(rows, 11, a, &r->reason));
    r->scanned_ms = store_int(rows, 12);
    r->received_ms = store_int(rows, 13);
    TRY(get_text(rows, 14, a, &r->device_name));
    TRY(get_text(rows, 15, a, &r->gate));
    return OK;
}

/* How to read one kind of row. */
struct shape {
    size_t size;
    enum err (*read)(struct store_rows *rows, struct arena *a, void *out);
    const char *missing;
};
static const struct shape devices = {sizeof(struct device_row), read_device, "no_device"};
static const struct shape scans = {sizeof(struct scan_row), read_scan, "no_scan"};

static enum err one(struct store_tx *tx, enum store_sql sql, const struct store_value *args,
                    size_t count, const struct shape *shape, struct arena *a, void *out)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, sql, args, count, &rows));
    if (!store_next(&rows)) {
        TRY(store_rows_end(&rows));
        FAIL(ERR_NOT_FOUND, shape->missing, "There is no such thing.");
    }
    memset(out, 0, shape->size);
    TRY(shape->read(&rows, a, out));
    return store_rows_end(&rows);
}

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

/* --- devices --------------------------------------------------------------------------------- */

enum err store_device_insert(struct store_tx *tx, const struct device_row *r)
{
    return store_exec_audited(tx, SQL_device_insert, r->id.b,
                              SQL_ARGS(sv_id(r->id), sv_int(r->organiser_no), sv_int(r->event_no),
                                       sv_str(r->name), sv_str(r->gate),
                                       sv_blob(SPAN_ARRAY(r->public_key)), sv_int(r->enrolled_by),
                                       sv_int(r->enrolled_ms)),
                              NULL);
}

enum err store_device_revoke(struct store_tx *tx, struct device_id id, bool *ret_changed)
{
    int64_t changed;

    TRY(store_exec_audited(tx, SQL_device_revoke, id.b, SQL_ARGS(sv_id(id)), &changed));
    *ret_changed = changed > 0;
    return OK;
}

enum err store_device_by_id(struct store_tx *tx, struct arena *a, struct device_id id,
                            struct device_row *ret_row)
{
    return one(tx, SQL_device_by_id, SQL_ARGS(sv_id(id)), &devices, a, ret_row);
}

enum err store_device_list(struct store_tx *tx, struct arena *a, int64_t event_no,
                           const struct store_page *page, struct device_row **ret_rows,
                           size_t *ret_count)
{
    size_t limit = page_limit(page);

    return many(tx, SQL_device_list,
                SQL_ARGS(sv_int(event_no), sv_int(page->after_no), sv_int((int64_t)limit)), limit,
                &devices, a, ret_rows, ret_count);
}

/* --- scans ------------------------------------------------------------------------------------ */

enum err store_scan_insert(struct store_tx *tx, const struct scan_row *r, bool *ret_inserted)
{
    int64_t changed;

    TRY(store_exec_audited(tx, SQL_scan_insert, r->id.b,
                           SQL_ARGS(sv_id(r->id), sv_int(r->organiser_no), sv_int(r->event_no),
                                    sv_int(r->device_no), sv_int(r->sequence),
                                    sv_blob(SPAN_ARRAY(r->code_hash)), sv_id_or_null(r->ticket),
                                    r->admission_no ? sv_int(r->admission_no) : sv_null(),
                                    sv_int(r->admitted), sv_int(r->conflict), sv_str(r->reason),
                                    sv_int(r->scanned_ms), sv_int(r->received_ms)),
                           &changed));
    *ret_inserted = changed > 0;
    return OK;
}

enum err store_scan_by_sequence(struct store_tx *tx, struct arena *a, int64_t device_no,
                                int64_t sequence, struct scan_row *ret_row)
{
    return one(tx, SQL_scan_by_sequence, SQL_ARGS(sv_int(device_no), sv_int(sequence)), &scans, a,
               ret_row);
}

enum err store_scan_admission(struct store_tx *tx, struct arena *a, struct ticket_id ticket,
                              int64_t admission_no, struct scan_row *ret_row)
{
    return one(tx, SQL_scan_by_admission, SQL_ARGS(sv_id(ticket), sv_int(admission_no)), &scans, a,
               ret_row);
}

enum err store_scan_last_sequence(struct store_tx *tx, int64_t device_no, int64_t *ret_sequence)
{
    return store_query_int(tx, SQL_scan_last_sequence, SQL_ARGS(sv_int(device_no)), ret_sequence);
}

enum err store_scan_list(struct store_tx *tx, struct arena *a, int64_t organiser_no,
                         int64_t event_no, const struct store_page *page,
                         struct scan_row **ret_rows, size_t *ret_count)
{
    size_t limit = page_limit(page);
    struct store_value args[] = {sv_int(organiser_no),
                                 sv_int(page->after_no > 0 ? page->after_no : INT64_MAX),
                                 sv_int((int64_t)limit), sv_int(event_no)};

    if (event_no == 0)
        return many(tx, SQL_scan_list, args, 3, limit, &scans, a, ret_rows, ret_count);
    return many(tx, SQL_scan_list_event, args, 4, limit, &scans, a, ret_rows, ret_count);
}

enum err store_scan_admitted(struct store_tx *tx, int64_t event_no, int64_t *ret_count)
{
    return store_query_int(tx, SQL_scan_admitted, SQL_ARGS(sv_int(event_no)), ret_count);
}

enum err store_scan_uses(struct store_tx *tx, struct ticket_id ticket, int64_t *ret_count)
{
    return store_scan_uses_before(tx, ticket, INT64_MAX, ret_count);
}

enum err store_scan_uses_before(struct store_tx *tx, struct ticket_id ticket, int64_t scan_no,
                                int64_t *ret_count)
{
    return store_query_int(tx, SQL_scan_uses, SQL_ARGS(sv_id(ticket), sv_int(scan_no)), ret_count);
}
