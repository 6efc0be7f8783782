/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/store_access.h"

#include <string.h>

#include "store/store/notes.h"

#define INT_OR_NULL(n) ((n) == 0 ? sv_null() : sv_int(n))

static enum err read_grant(struct store_rows *rows, struct grant_row *ret_row)
{
    memset(ret_row, 0, sizeof *ret_row);
    store_id(rows, 0, ret_row->id.b);
    ret_row->account_no = store_int(rows, 1);
    ret_row->organiser_no = store_int(rows, 2);
    ret_row->event_no = store_int(rows, 3);
    TRY(span_to_text(store_text(rows, 4), ret_row->role, sizeof ret_row->role));
    ret_row->granted_by = store_int(rows, 5);
    ret_row->created_ms = store_int(rows, 6);
    ret_row->expires_ms = store_int(rows, 7);
    ret_row->revoked_ms = store_int(rows, 8);
    return OK;
}

/* Here and not in the rooms above: see store_auth.c. */
static void access_changed(struct store_tx *tx, int64_t account_no)
{
    store_note(tx, (struct store_note){.kind = NOTE_SESSION, .a = account_no});
}

enum err store_grant_insert(struct store_tx *tx, const struct grant_row *row)
{
    access_changed(tx, row->account_no);
    return store_exec_audited(tx, SQL_grant_insert, row->id.b,
                              SQL_ARGS(sv_id(row->id), sv_int(row->account_no),
                                       sv_int(row->organiser_no), sv_int(row->event_no),
                                       sv_str(row->role), sv_int(row->granted_by),
                                       sv_int(store_now_ms(tx)), INT_OR_NULL(row->expires_ms)),
                              NULL);
}

enum err store_grant_revoke(struct store_tx *tx, const struct grant_row *grant, bool *ret_revoked)
{
    int64_t changed;

    TRY(store_exec_audited(tx, SQL_grant_revoke, grant->id.b,
                           SQL_ARGS(sv_id(grant->id), sv_int(store_now_ms(tx))), &changed));
    access_changed(tx, grant->account_no);
    *ret_revoked = changed == 1;
    return OK;
}

enum err store_grant_by_id(struct store_tx *tx, struct grant_id id, struct grant_row *ret_row)
{
    AUTO(store_rows_done) struct store_rows rows = {0};

    TRY(store_query(tx, SQL_grant_by_id, SQL_ARGS(sv_id(id)), &rows));
    bool found = store_next(&rows);
    if (found)
        TRY(read_grant(&rows, ret_row));
    TRY(store_rows_end(&rows));
    ENSURE(found, ERR_NOT_FOUND, "no_row", "There is no such grant.");
    return OK;
}

enum err store_grants_by_account(struct store_tx *tx, int64_t account_no,
                                 struct grant_row *ret_rows, size_t max, size_t *ret_count)
{
    AUTO(store_rows_done) struct store_rows rows = {0};
    size_t n = 0;

    TRY(store_query(tx, SQL_grant_by_account,
                    SQL_ARGS(sv_int(account_no), sv_int(store_now_ms(tx)), sv_int((int64_t)max)),
                    &rows));
    for (; n < max && store_next(&rows); n++)
        TRY(read_grant(&rows, &ret_rows[n]));
    TRY(store_rows_end(&rows));
    *ret_count = n;
    return OK;
}

enum err store_grants_by_organiser(struct store_tx *tx, int64_t organiser_no, size_t max,
                                   enum err (*visit)(void *context, const struct grant_row *row),
                                   void *context)
{
    AUTO(store_rows_done) struct store_rows rows = {0};
    struct grant_row row;

    TRY(store_query(tx, SQL_grant_by_organiser,
                    SQL_ARGS(sv_int(organiser_no), sv_int(store_now_ms(tx)), sv_int((int64_t)max)),
                    &rows));
    while (store_next(&rows)) {
        TRY(read_grant(&rows, &row));
        TRY(visit(context, &row));
    }
    return store_rows_end(&rows);
}

enum err store_grant_owners_besides(struct store_tx *tx, int64_t at_ms, struct grant_id grant,
                                    int64_t account_no, int64_t *ret_count)
{
    return store_query_int(tx, SQL_grant_owners_besides,
                           SQL_ARGS(sv_int(at_ms), sv_id(grant), sv_int(account_no)), ret_count);
}

enum err store_grant_set_staff(struct store_tx *tx, const struct account_row *account,
                               bool *ret_changed)
{
    int64_t changed;

    TRY(store_exec_audited(tx, SQL_grant_set_staff, account->id.b, SQL_ARGS(sv_id(account->id)),
                           &changed));
    access_changed(tx, account->no);
    *ret_changed = changed == 1;
    return OK;
}

static enum err find_int(struct store_tx *tx, enum store_sql sql, int64_t no, int64_t *ret_value)
{
    AUTO(store_rows_done) struct store_rows rows = {0};
    int64_t value = 0;

    TRY(store_query(tx, sql, SQL_ARGS(sv_int(no)), &rows));
    if (store_next(&rows))
        value = store_int(&rows, 0);
    TRY(store_rows_end(&rows));
    *ret_value = value;
    return OK;
}

enum err store_grant_place_exists(struct store_tx *tx, int64_t organiser_no, int64_t event_no,
                                  bool *ret_exists)
{
    int64_t found;

    if (event_no != 0)
        TRY(find_int(tx, SQL_grant_event, event_no, &found));
    else
        TRY(find_int(tx, SQL_grant_organiser, organiser_no, &found));
    *ret_exists = found != 0 && found == organiser_no;
    return OK;
}
