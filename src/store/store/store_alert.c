/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/store_alert.h"

#include <string.h>

static enum err get_text(struct store_rows *rows, int column, struct arena *a, const char **ret)
{
    const char *text = arena_text(a, store_text(rows, column));

    ENSURE(text, ERR_NOMEM, "no_memory", "The answer needs more memory than it may take.");
    *ret = text;
    return OK;
}

static enum err read_alert(struct store_rows *rows, struct arena *a, struct alert_row *r)
{
    memset(r, 0, sizeof *r);
    r->alert_no = store_int(rows, 0);
    store_id(rows, 1, r->id.b);
    r->organiser_no = store_int(rows, 2);
    r->event_no = store_int(rows, 3);
    store_id(rows, 4, r->event.b);
    TRY(get_text(rows, 5, a, &r->kind));
    r->severity = (int)store_int(rows, 6);
    TRY(get_text(rows, 7, a, &r->subject));
    TRY(get_text(rows, 8, a, &r->facts));
    TRY(get_text(rows, 9, a, &r->state));
    r->at_ms = store_int(rows, 10);
    r->change_no = store_int(rows, 11);
    r->handled_ms = store_int(rows, 12);
    return OK;
}

static enum err one_alert(struct store_tx *tx, enum store_sql sql, const struct store_value *args,
                          size_t count, struct arena *a, struct alert_row *ret_row)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, sql, args, count, &rows));
    if (!store_next(&rows)) {
        TRY(store_rows_end(&rows));
        FAIL(ERR_NOT_FOUND, "no_alert", "There is no such alert.");
    }
    TRY(read_alert(&rows, a, ret_row));
    return store_rows_end(&rows);
}

static enum err alerts(struct store_tx *tx, enum store_sql sql, const struct store_value *args,
                       size_t arg_count, size_t max, struct arena *a, struct alert_row **ret_rows,
                       size_t *ret_count)
{
    AUTO(store_rows_done) struct store_rows rows = {0};
    struct alert_row *list = arena_array(a, max, sizeof *list);
    size_t count = 0;

    ENSURE(list, ERR_NOMEM, "no_memory", "The answer needs more memory than it may take.");
    TRY(store_query(tx, sql, args, arg_count, &rows));
    while (count < max && store_next(&rows))
        TRY(read_alert(&rows, a, &list[count++]));
    TRY(store_rows_end(&rows));
    *ret_rows = list;
    *ret_count = count;
    return OK;
}

static enum err next_change(struct store_tx *tx, int64_t *ret_change_no)
{
    return store_query_int(tx, SQL_alert_next_change, NULL, 0, ret_change_no);
}

enum err store_alert_insert(struct store_tx *tx, const struct alert_row *r, int64_t *ret_alert_no)
{
    AUTO(store_rows_done) struct store_rows rows = {0};
    int64_t change_no, alert_no;

    TRY(next_change(tx, &change_no));
    TRY(store_query(tx, SQL_alert_insert,
                    SQL_ARGS(sv_id(r->id), sv_int(r->organiser_no), sv_int(r->event_no),
                             sv_str(r->kind), sv_int(r->severity), sv_str(r->subject),
                             sv_str(r->facts), sv_int(r->at_ms), sv_int(change_no)),
                    &rows));
    if (!store_next(&rows)) {
        TRY(store_rows_end(&rows));
        FAIL(ERR_CORRUPT, "bad_row", "The new alert has no number.");
    }
    alert_no = store_int(&rows, 0);
    TRY(store_rows_end(&rows));
    *ret_alert_no = alert_no;
    return OK;
}

enum err store_alert_merge(struct store_tx *tx, int64_t alert_no, const char *facts)
{
    int64_t change_no;

    TRY(next_change(tx, &change_no));
    return store_exec(tx, SQL_alert_merge,
                      SQL_ARGS(sv_int(alert_no), sv_str(facts), sv_int(change_no)), NULL);
}

enum err store_alert_acknowledge(struct store_tx *tx, struct alert_id id, int64_t account_no,
                                 bool *ret_changed)
{
    int64_t change_no, changed;

    TRY(next_change(tx, &change_no));
    TRY(store_exec(
        tx, SQL_alert_acknowledge,
        SQL_ARGS(sv_id(id), sv_int(account_no), sv_int(store_now_ms(tx)), sv_int(change_no)),
        &changed));
    *ret_changed = changed > 0;
    return OK;
}

enum err store_alert_open_like(struct store_tx *tx, struct arena *a, int64_t organiser_no,
                               int64_t event_no, const char *kind, const char *subject,
                               int64_t since_ms, struct alert_row *ret_row)
{
    return one_alert(tx, SQL_alert_open_like,
                     SQL_ARGS(sv_int(organiser_no), sv_int(event_no), sv_str(kind), sv_str(subject),
                              sv_int(since_ms)),
                     a, ret_row);
}

enum err store_alert_by_id(struct store_tx *tx, struct arena *a, struct alert_id id,
                           struct alert_row *ret_row)
{
    return one_alert(tx, SQL_alert_by_id, SQL_ARGS(sv_id(id)), a, ret_row);
}

enum err store_alert_list(struct store_tx *tx, struct arena *a, int64_t organiser_no,
                          const struct store_page *page, struct alert_row **ret_rows,
                          size_t *ret_count)
{
    size_t limit = page->limit < 1 ? 1 : page->limit > 1000 ? 1000 : page->limit;
    struct store_value before = sv_int(page->after_no > 0 ? page->after_no : INT64_MAX);

    if (organiser_no == 0)
        return alerts(tx, SQL_alert_list_all, SQL_ARGS(before, sv_int((int64_t)limit)), limit, a,
                      ret_rows, ret_count);
    return alerts(tx, SQL_alert_list,
                  SQL_ARGS(sv_int(organiser_no), before, sv_int((int64_t)limit)), limit, a,
                  ret_rows, ret_count);
}

enum err store_alerts_changed(struct store_tx *tx, struct arena *a, int64_t after_change_no,
                              size_t max, struct alert_row **ret_rows, size_t *ret_count)
{
    return alerts(tx, SQL_alert_changed, SQL_ARGS(sv_int(after_change_no), sv_int((int64_t)max)),
                  max, a, ret_rows, ret_count);
}

enum err store_alert_newest_change(struct store_tx *tx, int64_t *ret_change_no)
{
    return store_query_int(tx, SQL_alert_newest_change, NULL, 0, ret_change_no);
}
