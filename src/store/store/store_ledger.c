/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/store_ledger.h"

#include <string.h>

#include "store/store/internal.h"

enum { ENTRY_SEALED_MAX = 64 * 1024, ROW_BYTES_MAX = 256 * 1024 * 1024 };

enum err store_entry_next(struct store_tx *tx, int64_t *ret_entry_no)
{
    return store_query_int(tx, SQL_entry_next, NULL, 0, ret_entry_no);
}

enum err store_entry_insert(struct store_tx *tx, const struct stored_entry *e)
{
    return store_exec(tx, SQL_entry_insert,
                      SQL_ARGS(sv_int(e->entry_no), sv_id(e->id), sv_int(e->kind),
                               sv_int(e->organiser_no), sv_int(e->event_no), sv_int(e->at_ms),
                               sv_blob(e->sealed), sv_blob(SPAN_ARRAY(e->commitment))),
                      NULL);
}

static enum err read_entry(struct store_rows *rows, struct stored_entry *e)
{
    struct span commitment = store_blob(rows, 6);

    ENSURE(commitment.len == sizeof e->commitment, ERR_CORRUPT, "bad_row",
           "An entry has a commitment of %zu bytes.", commitment.len);
    e->entry_no = store_int(rows, 0);
    store_id(rows, 1, e->id.b);
    e->kind = store_int(rows, 2);
    e->organiser_no = store_int(rows, 3);
    e->event_no = store_int(rows, 4);
    e->at_ms = store_int(rows, 5);
    memcpy(e->commitment, commitment.data, commitment.len);
    e->sealed = store_blob(rows, 7);
    ENSURE(e->sealed.len <= ENTRY_SEALED_MAX, ERR_CORRUPT, "bad_row", "An entry of %zu bytes.",
           e->sealed.len);
    return OK;
}

static enum err one_entry(struct store_rows *rows, struct stored_entry *ret_entry,
                          struct buf *sealed)
{
    size_t before = sealed->len;
    enum err e = OK;
    bool found = store_next(rows);

    if (found)
        e = read_entry(rows, ret_entry);
    if (found && e == OK) {
        buf_put_span(sealed, ret_entry->sealed);
        e = buf_check(sealed);
    }
    TRY(store_rows_end(rows));
    TRY(e);
    ENSURE(found, ERR_NOT_FOUND, "no_entry", "There is no such ledger entry.");
    ret_entry->sealed = span_sub(buf_span(sealed), before, sealed->len);
    return OK;
}

enum err store_entry_by_no(struct store_tx *tx, int64_t entry_no, struct stored_entry *ret_entry,
                           struct buf *sealed)
{
    struct store_rows rows;

    TRY(store_query(tx, SQL_entry_by_no, SQL_ARGS(sv_int(entry_no)), &rows));
    return one_entry(&rows, ret_entry, sealed);
}

enum err store_entry_by_id(struct store_tx *tx, const uint8_t id[ID_BYTES],
                           struct stored_entry *ret_entry, struct buf *sealed)
{
    struct store_rows rows;

    TRY(store_query(tx, SQL_entry_by_id, SQL_ARGS(sv_blob(span_of(id, ID_BYTES))), &rows));
    return one_entry(&rows, ret_entry, sealed);
}

enum err store_entry_scan(struct store_tx *tx,
                          enum err (*visit)(void *context, const struct stored_entry *entry),
                          void *context)
{
    struct store_rows rows;
    struct stored_entry entry;
    enum err e = OK;

    TRY(store_query(tx, SQL_entry_scan, NULL, 0, &rows));
    while (e == OK && store_next(&rows)) {
        e = read_entry(&rows, &entry);
        if (e == OK)
            e = visit(context, &entry);
    }
    enum err ended = store_rows_end(&rows);
    return e != OK ? e : ended;
}

enum err store_entry_commitments(struct store_tx *tx, int64_t from_no, size_t max,
                                 enum err (*visit)(void *context, int64_t entry_no,
                                                   const uint8_t commitment[32]),
                                 void *context)
{
    struct store_rows rows;
    enum err e = OK;

    TRY(store_query(tx, SQL_entry_commitments, SQL_ARGS(sv_int(from_no), sv_int((int64_t)max)),
                    &rows));
    while (e == OK && store_next(&rows)) {
        struct span commitment = store_blob(&rows, 1);
        if (commitment.len == 32)
            e = visit(context, store_int(&rows, 0), commitment.data);
        else
            e = err_raise(ERR_CORRUPT, NULL, __FILE__, __LINE__, "bad_row",
                          "An entry has a commitment of %zu bytes.", commitment.len);
    }
    enum err ended = store_rows_end(&rows);
    return e != OK ? e : ended;
}

/* --- Audited rows ------------------------------------------------------------------------------------------------------ */

static const struct audited {
    const char *name, *prefix;
    const char *types; /* of the columns of sql_ledger.def: i, t, b; the first is the id */
    enum store_sql row, rows;
} audited[AUDIT_COUNT] = {
#define TABLE(table, prefix, types)                                                                \
    [AUDIT_##table] = {#table, prefix, types, SQL_row_##table, SQL_rows_##table}
    TABLE(organiser, "org", "bitti"),         TABLE(venue, "ven", "biittti"),
    TABLE(plan, "pln", "biiitbbbiti"),        TABLE(event, "evt", "biiiittttiiiiitiiiii"),
    TABLE(category, "cat", "biittii"),        TABLE(sale_order, "ord", "biiibtitiiiii"),
    TABLE(payment, "pay", "bbiitttitiiitt"),  TABLE(refund, "rfd", "bbbiittti"),
    TABLE(ticket, "tkt", "biiiiibiiiittibi"), TABLE(scan, "scn", "biiiiibbiiitii"),
    TABLE(account, "acc", "biibbbtbtii"),     TABLE(role_grant, "grt", "biiitiiii"),
    TABLE(device, "dev", "biiittbtii"),
#undef TABLE
};
#define AUDITED(table) +1
_Static_assert(AUDIT_COUNT == 1 + (0
#include "store/store/audit.def"
                                   ),
               "AUDIT_none and the tables of audit.def");
#undef AUDITED

static const struct audited *audited_of(enum store_audit table)
{
    INVARIANT(table > AUDIT_none && table < AUDIT_COUNT && audited[table].name,
              "an audited table has its columns listed");
    return &audited[table];
}

const char *store_audit_table_name(enum store_audit table)
{
    return table == AUDIT_none ? "none" : audited_of(table)->name;
}

const char *store_audit_id_prefix(enum store_audit table)
{
    return audited_of(table)->prefix;
}

static void encode_columns(struct store_rows *rows, const char *types, struct buf *out)
{
    for (int i = 0; types[i]; i++) {
        if (store_is_null(rows, i)) {
            buf_put_u8(out, 'n');
            continue;
        }
        buf_put_u8(out, (uint8_t)types[i]);
        if (types[i] == 'i') {
            buf_put_u64be(out, (uint64_t)store_int(rows, i));
            continue;
        }
        struct span s = types[i] == 't' ? store_text(rows, i) : store_blob(rows, i);
        buf_put_u32be(out, (uint32_t)s.len);
        buf_put_span(out, s);
    }
}

static enum err encode_lines(struct store_tx *tx, const uint8_t order_id[ID_BYTES], struct buf *out)
{
    struct store_rows rows;

    TRY(store_query(tx, SQL_row_order_lines, SQL_ARGS(sv_blob(span_of(order_id, ID_BYTES))),
                    &rows));
    while (store_next(&rows))
        encode_columns(&rows, "iiii", out);
    return store_rows_end(&rows);
}

static enum err read_row(struct store_tx *tx, enum store_audit table, const uint8_t id[ID_BYTES],
                         struct buf *out)
{
    const struct audited *a = audited_of(table);
    struct store_rows rows;

    TRY(store_query(tx, a->row, SQL_ARGS(sv_blob(span_of(id, ID_BYTES))), &rows));
    bool found = store_next(&rows);
    if (found)
        encode_columns(&rows, a->types, out);
    TRY(store_rows_end(&rows));
    ENSURE(found, ERR_NOT_FOUND, "no_row", "There is no such row of %s.", a->name);
    if (table == AUDIT_sale_order)
        TRY(encode_lines(tx, id, out));
    return buf_check(out);
}

/* Of the row's newest change; NULL when it was not changed by this command. */
static struct audit_mark *newest_mark(struct store_tx *tx, enum store_audit table,
                                      const uint8_t id[ID_BYTES])
{
    for (size_t i = tx->owed.count; i > 0; i--) {
        struct audit_mark *m = &tx->owed.items[i - 1];
        if (m->table == table && memcmp(m->row_id, id, ID_BYTES) == 0)
            return m;
    }
    return NULL;
}

static struct span known_row(const struct store_tx *tx, const struct audit_mark *m)
{
    return span_sub(buf_span(&tx->known), m->known_at, m->known_len);
}

enum err store_row_encode(struct store_tx *tx, enum store_audit table, const uint8_t id[ID_BYTES],
                          struct buf *out)
{
    const struct audit_mark *m = newest_mark(tx, table, id);

    if (!m || m->known_len == 0)
        return read_row(tx, table, id, out);
    buf_put_span(out, known_row(tx, m));
    return buf_check(out);
}

/* As encode_columns does. */
static void put_value(struct buf *out, const struct store_value *v)
{
    uint8_t number[1 + 8];

    switch (v->type) {
    case STORE_NULL:
        buf_put_u8(out, 'n');
        return;
    case STORE_INT:
        number[0] = 'i';
        put_u64be(number + 1, (uint64_t)v->i);
        buf_put(out, number, sizeof number);
        return;
    case STORE_TEXT:
    case STORE_BLOB:
        buf_put_u8(out, v->type == STORE_TEXT ? 't' : 'b');
        buf_put_u32be(out, (uint32_t)v->s.len);
        buf_put_span(out, v->s);
        return;
    }
}

void tx_row_known_more(struct store_tx *tx, const struct store_value *columns, size_t count)
{
    if (tx->broken.code != OK)
        return; /* the mark may be missing, and the command fails */
    INVARIANT(tx->owed.count > 0, "a row is known after its change");
    struct audit_mark *m = &tx->owed.items[tx->owed.count - 1];
    for (size_t i = 0; i < count; i++)
        put_value(&tx->known, &columns[i]);
    m->known_len = tx->known.failed ? 0 : (uint32_t)tx->known.len - m->known_at;
}

void tx_row_known(struct store_tx *tx, enum store_audit table, const uint8_t row_id[ID_BYTES],
                  const struct store_value *columns, size_t count)
{
    if (tx->broken.code != OK)
        return;
    INVARIANT(tx->owed.count > 0, "a row is known after its change");
    struct audit_mark *m = &tx->owed.items[tx->owed.count - 1];
    INVARIANT(m->table == table && memcmp(m->row_id, row_id, ID_BYTES) == 0,
              "the row that is known is the one that was changed last");
    m->known_at = (uint32_t)tx->known.len;
    tx_row_known_more(tx, columns, count);
}

enum err tx_known_check(struct store_tx *tx)
{
    AUTO(buf_done) struct buf b;

    buf_init(&b, ROW_BYTES_MAX);
    for (size_t i = 0; i < tx->owed.count; i++) {
        const struct audit_mark *m = &tx->owed.items[i];
        if (m->known_len == 0 || m != newest_mark(tx, m->table, m->row_id))
            continue;
        buf_reset(&b);
        TRY(read_row(tx, m->table, m->row_id, &b));
        ENSURE(span_eq(buf_span(&b), known_row(tx, m)), ERR_CORRUPT, "known_wrong",
               "A row of %s is not what its command knew.", audited_of(m->table)->name);
    }
    return OK;
}

enum err store_row_scan(struct store_tx *tx, enum store_audit table,
                        enum err (*visit)(void *context, const uint8_t id[ID_BYTES],
                                          struct span encoded),
                        void *context)
{
    const struct audited *a = audited_of(table);
    AUTO(buf_done) struct buf b;
    struct store_rows rows;
    uint8_t id[ID_BYTES];
    enum err e = OK;

    buf_init(&b, ROW_BYTES_MAX);
    TRY(store_query(tx, a->rows, NULL, 0, &rows));
    while (e == OK && store_next(&rows)) {
        store_id(&rows, 0, id);
        buf_reset(&b);
        encode_columns(&rows, a->types, &b);
        if (table == AUDIT_sale_order)
            e = encode_lines(tx, id, &b);
        if (e == OK)
            e = buf_check(&b);
        if (e == OK)
            e = visit(context, id, buf_span(&b));
    }
    enum err ended = store_rows_end(&rows);
    return e != OK ? e : ended;
}

/* --- Rules --------------------------------------------------------------------------------------------------------------- */

enum err store_check_run(struct store_tx *tx, enum store_check check,
                         enum err (*visit)(void *context, const char *prefix, const char *sentence,
                                           const uint8_t id[ID_BYTES], int64_t number),
                         void *context)
{
    static const struct {
        enum store_sql sql;
        const char *prefix, *sentence;
    } checks[STORE_CHECK_COUNT] = {
#define CHECK(name, prefix, sentence) {SQL_check_##name, prefix, sentence},
#include "store/store/checks.def"
#undef CHECK
    };
    struct store_rows rows;
    uint8_t id[ID_BYTES];
    enum err e = OK;

    INVARIANT((unsigned)check < STORE_CHECK_COUNT, "a check is one of checks.def");
    TRY(store_query(tx, checks[check].sql, NULL, 0, &rows));
    while (e == OK && store_next(&rows)) {
        store_id(&rows, 0, id);
        e = visit(context, checks[check].prefix, checks[check].sentence, id, store_int(&rows, 1));
    }
    enum err ended = store_rows_end(&rows);
    return e != OK ? e : ended;
}
