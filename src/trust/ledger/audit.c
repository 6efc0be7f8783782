/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/ledger/audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust/ledger/entry_internal.h"
#include "trust/ledger/open.h"
#include "trust/ledger/tile.h"
#include "trust/ledger/verify.h"

enum { DIGEST_KEPT = 22, SLOTS_FIRST = 1024 };
#define SLOTS_MAX (UINT64_C(1) << 26)

/* The newest sound word about one row. */
struct slot {
    int64_t entry_no;
    uint8_t table; /* 0: empty */
    bool seen;
    uint8_t id[ID_BYTES];
    uint8_t
        digest[DIGEST_KEPT]; /* the first bytes: enough that nobody finds a second row for them */
};

struct auditing {
    struct store_tx *tx;
    struct ledger *l;
    const struct ledger_audit_config *config;
    struct ledger_audit_result *result;
    struct entry_view view;
    uint64_t log_size; /* leaves to compare with */
    uint64_t bundle_no;
    bool bundle_there;
    struct buf bundle;
    struct slot *slots;
    uint64_t slot_count, slots_used;
    enum store_audit table; /* being scanned */
};

__attribute__((format(printf, 5, 6))) static void found(struct auditing *a,
                                                        enum ledger_finding_kind kind,
                                                        const char *subject, int64_t entry_no,
                                                        const char *format, ...)
{
    struct ledger_finding f = {.kind = kind, .entry_no = entry_no};
    va_list args;

    (void)snprintf(f.subject, sizeof f.subject, "%s", subject);
    va_start(args, format);
    (void)vsnprintf(f.sentence, sizeof f.sentence, format, args);
    va_end(args);
    a->result->findings++;
    a->config->found(a->config->context, &f);
}

/* --- The newest digest of each row ----------------------------------------------------------------------------------------- */

static struct slot *slot_find(struct slot *slots, uint64_t count, uint8_t table,
                              const uint8_t id[ID_BYTES])
{
    /* The second half of an id is random. */
    uint64_t at = (get_u64be(id + 8) ^ table) * UINT64_C(0x9e3779b97f4a7c15);

    for (at = (at >> 20) & (count - 1);; at = (at + 1) & (count - 1))
        if (slots[at].table == 0 ||
            (slots[at].table == table && memcmp(slots[at].id, id, ID_BYTES) == 0))
            return &slots[at];
}

static enum err slots_grow(struct auditing *a)
{
    uint64_t count = a->slot_count ? a->slot_count * 2 : SLOTS_FIRST;
    struct slot *grown = count <= SLOTS_MAX ? calloc(count, sizeof *grown) : NULL;

    ENSURE(grown, ERR_NOMEM, "no_memory", "No memory for %llu rows.", (unsigned long long)count);
    for (uint64_t i = 0; i < a->slot_count; i++)
        if (a->slots[i].table != 0)
            *slot_find(grown, count, a->slots[i].table, a->slots[i].id) = a->slots[i];
    free(a->slots);
    a->slots = grown;
    a->slot_count = count;
    return OK;
}

static enum err remember_rows(struct auditing *a, const struct entry_view *v)
{
    for (size_t at = 0; at + ENTRY_ROW_BYTES <= v->rows.len; at += ENTRY_ROW_BYTES) {
        const uint8_t *row = v->rows.data + at;
        if (a->slots_used * 3 >= a->slot_count * 2)
            TRY(slots_grow(a));
        struct slot *s = slot_find(a->slots, a->slot_count, row[0], row + 1);
        if (s->table == 0) {
            s->table = row[0];
            memcpy(s->id, row + 1, ID_BYTES);
            a->slots_used++;
        }
        memcpy(s->digest, row + 1 + ID_BYTES, DIGEST_KEPT);
        s->entry_no = v->entry_no;
    }
    return OK;
}

/* --- Entries ----------------------------------------------------------------------------------------------------------------- */

/* The leaf's bytes from the log's bundle; false when the log does not have them readable. */
static bool leaf_of(struct auditing *a, uint64_t no, struct span *ret_leaf)
{
    struct cursor c;
    unsigned width, at = (unsigned)(no % TILE_WIDTH);

    if (!a->bundle_there || a->bundle_no != no / TILE_WIDTH) {
        buf_done(&a->bundle);
        buf_init(&a->bundle, OUR_BUNDLE_BYTES_MAX);
        a->bundle_no = no / TILE_WIDTH;
        a->bundle_there =
            bundle_read(a->config->disk, a->log_size, a->bundle_no, &a->bundle, &width) == OK;
    }
    c.rest = buf_span(&a->bundle);
    if (!a->bundle_there)
        return false;
    for (unsigned i = 0; i <= at; i++)
        if (bundle_next(&c, ret_leaf) != OK)
            return false;
    return true;
}

static bool fits_leaf(struct auditing *a, const struct stored_entry *row, const char *name)
{
    uint8_t want[ENTRY_LEAF_BYTES];
    struct span leaf;

    if ((uint64_t)row->entry_no >= a->log_size)
        return true; /* not published yet */
    ledger_leaf(row->commitment, want);
    if (leaf_of(a, (uint64_t)row->entry_no, &leaf) && span_eq(leaf, SPAN_ARRAY(want))) {
        a->result->leaves++;
        return true;
    }
    found(a, FINDING_ENTRY, name, row->entry_no,
          "the stored entry is not the one in the log: it was altered");
    return false;
}

static enum err visit_entry(void *context, const struct stored_entry *row)
{
    struct auditing *a = context;
    char name[32];

    for (; (int64_t)a->result->entries < row->entry_no; a->result->entries++) {
        (void)snprintf(name, sizeof name, "entry %llu", (unsigned long long)a->result->entries);
        found(a, FINDING_ENTRY_MISSING, name, (int64_t)a->result->entries, "the entry is gone");
    }
    a->result->entries++;
    (void)snprintf(name, sizeof name, "entry %lld", (long long)row->entry_no);
    if (!fits_leaf(a, row, name))
        return OK;
    enum err e = entry_open_stored(a->tx, a->l, row, &a->view);
    if (e == ERR_CORRUPT) {
        found(a, FINDING_ENTRY, name, row->entry_no, "the stored entry was altered: %s",
              err_last()->detail);
        return OK;
    }
    TRY(e);
    if (a->view.values[0].state != ENTRY_VALUE_OPEN)
        a->result->closed++;
    TRY(remember_rows(a, &a->view));
    return a->config->visit_entry ? a->config->visit_entry(a->config->context, &a->view) : OK;
}

/* --- Rows -------------------------------------------------------------------------------------------------------------------- */

static enum err visit_row(void *context, const uint8_t id[ID_BYTES], struct span encoded)
{
    struct auditing *a = context;
    uint8_t digest[SHA256_BYTES];
    char name[ID_TEXT_MAX];
    struct slot *s = slot_find(a->slots, a->slot_count, (uint8_t)a->table, id);

    a->result->rows++;
    if (s->table != 0) {
        s->seen = true;
        row_digest_of(a->table, encoded, digest);
        if (memcmp(digest, s->digest, DIGEST_KEPT) == 0)
            return OK;
    }
    id_format(store_audit_id_prefix(a->table), id, name);
    if (s->table != 0)
        found(a, FINDING_ROW, name, s->entry_no, "the row of %s differs from entry %lld",
              store_audit_table_name(a->table), (long long)s->entry_no);
    else
        found(a, FINDING_ROW_UNKNOWN, name, -1, "no sound entry tells of this row of %s",
              store_audit_table_name(a->table));
    return OK;
}

static enum err compare_rows(struct auditing *a)
{
    for (int table = AUDIT_none + 1; table < AUDIT_COUNT; table++) {
        a->table = (enum store_audit)table;
        TRY(store_row_scan(a->tx, a->table, visit_row, a));
    }
    for (uint64_t i = 0; i < a->slot_count; i++) {
        const struct slot *s = &a->slots[i];
        char name[ID_TEXT_MAX];
        if (s->table == 0 || s->seen)
            continue;
        if (s->table >= AUDIT_COUNT) {
            found(a, FINDING_ENTRY, "entry", s->entry_no, "entry %lld names a row of no table",
                  (long long)s->entry_no);
            continue;
        }
        id_format(store_audit_id_prefix((enum store_audit)s->table), s->id, name);
        found(a, FINDING_ROW_MISSING, name, s->entry_no,
              "the row of %s that entry %lld tells of is gone",
              store_audit_table_name((enum store_audit)s->table), (long long)s->entry_no);
    }
    return OK;
}

static enum err visit_rule(void *context, const char *prefix, const char *sentence,
                           const uint8_t id[ID_BYTES], int64_t number)
{
    struct auditing *a = context;
    char name[ID_TEXT_MAX];

    id_format(prefix, id, name);
    found(a, FINDING_RULE, name, -1, "%s (%lld)", sentence, (long long)number);
    return OK;
}

/* --------------------------------------------------------------------------------------------------------------------------- */

static enum err check_log(struct auditing *a)
{
    struct ledger_verify_report report;

    if (!a->config->disk)
        return OK;
    enum err e = ledger_verify(a->config->disk, a->config->key, &report);
    if (e == ERR_NOT_FOUND)
        return OK;
    if (e == ERR_CORRUPT)
        found(a, FINDING_LOG, report.file, -1, "byte %llu: %s", (unsigned long long)report.offset,
              report.sentence);
    else
        TRY(e);
    a->log_size = report.size;
    return OK;
}

static enum err audit_all(struct auditing *a)
{
    TRY(slots_grow(a));
    TRY(check_log(a));
    TRY(store_entry_scan(a->tx, visit_entry, a));
    if (a->result->entries < a->log_size)
        found(a, FINDING_ENTRY_MISSING, "entries", (int64_t)a->result->entries,
              "the log has %llu entries, the database %llu", (unsigned long long)a->log_size,
              (unsigned long long)a->result->entries);
    TRY(compare_rows(a));
    for (int check = 0; check < STORE_CHECK_COUNT; check++)
        TRY(store_check_run(a->tx, (enum store_check)check, visit_rule, a));
    return OK;
}

enum err ledger_audit(struct store_tx *tx, struct ledger *l,
                      const struct ledger_audit_config *config,
                      struct ledger_audit_result *ret_result)
{
    struct auditing *a = calloc(1, sizeof *a);

    ENSURE(a, ERR_NOMEM, "no_memory", "No memory for the audit.");
    memset(ret_result, 0, sizeof *ret_result);
    a->tx = tx;
    a->l = l;
    a->config = config;
    a->result = ret_result;
    entry_view_init(&a->view);
    buf_init(&a->bundle, OUR_BUNDLE_BYTES_MAX);
    enum err e = audit_all(a);
    entry_view_done(&a->view);
    buf_done(&a->bundle);
    free(a->slots);
    free(a);
    return e;
}
