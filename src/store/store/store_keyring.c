/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/store_keyring.h"

#include <string.h>

#define BOX(key) sv_blob(SPAN_ARRAY((key)->box))

static enum err read_key(struct store_rows *rows, int column, struct wrapped_key *ret_key)
{
    struct span box = store_blob(rows, column + 1);

    ENSURE(box.len == WRAPPED_KEY_BYTES, ERR_CORRUPT, "bad_row", "A wrapped key of %zu bytes.",
           box.len);
    ret_key->epoch_no = store_int(rows, column);
    memcpy(ret_key->box, box.data, box.len);
    return OK;
}

static enum err read_person(struct store_rows *rows, struct person_key_row *ret_row)
{
    ret_row->person_no = store_int(rows, 0);
    store_id(rows, 1, ret_row->id.b);
    return read_key(rows, 2, &ret_row->key);
}

enum err store_person_insert(struct store_tx *tx, struct person_id id,
                             const struct wrapped_key *key, int64_t *ret_person_no)
{
    TRY(store_exec(tx, SQL_person_insert,
                   SQL_ARGS(sv_id(id), sv_int(key->epoch_no), BOX(key), sv_int(store_now_ms(tx))),
                   NULL));
    return store_query_int(tx, SQL_person_no, SQL_ARGS(sv_id(id)), ret_person_no);
}

enum err store_person_key(struct store_tx *tx, int64_t person_no, struct person_key_row *ret_row)
{
    struct store_rows rows;
    bool found, erased = false;
    enum err e = OK;

    TRY(store_query(tx, SQL_person_key, SQL_ARGS(sv_int(person_no)), &rows));
    found = store_next(&rows);
    if (found)
        erased = store_is_null(&rows, 3);
    if (found && !erased)
        e = read_person(&rows, ret_row);
    TRY(store_rows_end(&rows));
    ENSURE(found, ERR_NOT_FOUND, "no_person", "There is no such person.");
    ENSURE(!erased, ERR_EXPIRED, "erased", "This person's data has been erased.");
    return e;
}

enum err store_person_erase(struct store_tx *tx, int64_t person_no, int64_t at_ms)
{
    return store_exec(tx, SQL_person_erase, SQL_ARGS(sv_int(person_no), sv_int(at_ms)), NULL);
}

enum err store_person_keys_old(struct store_tx *tx, int64_t before_epoch,
                               struct person_key_row *ret_rows, size_t max, size_t *ret_count)
{
    struct store_rows rows;
    size_t n = 0;
    enum err e = OK;

    TRY(store_query(tx, SQL_person_old, SQL_ARGS(sv_int(before_epoch), sv_int((int64_t)max)),
                    &rows));
    for (; e == OK && n < max && store_next(&rows); n++)
        e = read_person(&rows, &ret_rows[n]);
    TRY(store_rows_end(&rows));
    *ret_count = n;
    return e;
}

enum err store_person_rewrap(struct store_tx *tx, int64_t person_no, const struct wrapped_key *key)
{
    return store_exec(tx, SQL_person_rewrap,
                      SQL_ARGS(sv_int(person_no), sv_int(key->epoch_no), BOX(key)), NULL);
}

enum err store_scope_key_insert(struct store_tx *tx, int64_t scope, int64_t subject_no,
                                const struct wrapped_key *key)
{
    return store_exec(tx, SQL_scope_key_insert,
                      SQL_ARGS(sv_int(scope), sv_int(subject_no), sv_int(key->epoch_no), BOX(key)),
                      NULL);
}

enum err store_scope_key(struct store_tx *tx, int64_t scope, int64_t subject_no,
                         struct wrapped_key *ret_key, bool *ret_found)
{
    struct store_rows rows;
    enum err e = OK;

    TRY(store_query(tx, SQL_scope_key, SQL_ARGS(sv_int(scope), sv_int(subject_no)), &rows));
    bool found = store_next(&rows);
    if (found)
        e = read_key(&rows, 0, ret_key);
    TRY(store_rows_end(&rows));
    *ret_found = found;
    return e;
}

enum err store_scope_keys_old(struct store_tx *tx, int64_t before_epoch,
                              struct scope_key_row *ret_rows, size_t max, size_t *ret_count)
{
    struct store_rows rows;
    size_t n = 0;
    enum err e = OK;

    TRY(store_query(tx, SQL_scope_key_old, SQL_ARGS(sv_int(before_epoch), sv_int((int64_t)max)),
                    &rows));
    for (; e == OK && n < max && store_next(&rows); n++) {
        ret_rows[n].scope = store_int(&rows, 0);
        ret_rows[n].subject_no = store_int(&rows, 1);
        e = read_key(&rows, 2, &ret_rows[n].key);
    }
    TRY(store_rows_end(&rows));
    *ret_count = n;
    return e;
}

enum err store_scope_rewrap(struct store_tx *tx, int64_t scope, int64_t subject_no,
                            const struct wrapped_key *key)
{
    return store_exec(tx, SQL_scope_key_rewrap,
                      SQL_ARGS(sv_int(scope), sv_int(subject_no), sv_int(key->epoch_no), BOX(key)),
                      NULL);
}

enum err store_epoch_oldest(struct store_tx *tx, int64_t *ret_epoch_no)
{
    struct store_rows rows;
    int64_t oldest = INT64_MAX;

    TRY(store_query(tx, SQL_epoch_oldest, NULL, 0, &rows));
    if (store_next(&rows) && !store_is_null(&rows, 0))
        oldest = store_int(&rows, 0);
    TRY(store_rows_end(&rows));
    *ret_epoch_no = oldest;
    return OK;
}
