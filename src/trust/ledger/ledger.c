/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "store/store/notes.h"
#include "trust/ledger/entry_internal.h"

enum { ROW_ENCODED_MAX = 256 * 1024 * 1024, KEPT_MAX = 32 * 1024 };

void ledger_leaf(const uint8_t commitment[SHA256_BYTES], uint8_t ret_leaf[ENTRY_LEAF_BYTES])
{
    ret_leaf[0] = 0x01; /* version */
    ret_leaf[1] = 0x01; /* sealed event */
    memcpy(ret_leaf + 2, commitment, SHA256_BYTES);
}

void row_digest_of(enum store_audit table, struct span encoded, uint8_t ret_digest[SHA256_BYTES])
{
    struct span parts[] = {SPAN_LIT("gatehouse/row/1\0"), span_text(store_audit_table_name(table)),
                           SPAN_LIT("\0"), encoded};
    sha256_parts(parts, COUNT_OF(parts), ret_digest);
}

enum err ledger_row_digest(struct store_tx *tx, enum store_audit table,
                           const uint8_t row_id[ID_BYTES], uint8_t ret_digest[SHA256_BYTES])
{
    AUTO(buf_done) struct buf b;

    buf_init(&b, ROW_ENCODED_MAX);
    TRY(store_row_encode(tx, table, row_id, &b));
    row_digest_of(table, buf_span(&b), ret_digest);
    return OK;
}

/* --- Sealing ------------------------------------------------------------------------------------------------------------- */

struct seal_value {
    uint8_t field, group;
    struct span value;
};

/* One entry on its way into the store. */
struct sealing {
    struct store_tx *tx;
    struct ledger *l;
    const struct entry_draft *d;
    int64_t at_ms;
    size_t value_count, group_count;
    struct seal_value values[VALUES_MAX]; /* ascending */
    struct group_key groups[GROUPS_MAX];
    uint8_t head[HEAD_BYTES];
    /* row: one, encoded; rows: their digests; list: field, digest as committed; plain: of one group; out: what is stored */
    struct buf row, rows, list, plain, out;
};

enum err ledger_new(struct keyring *keyring, struct ledger **ret_ledger)
{
    struct ledger *l = calloc(1, sizeof *l);
    uint8_t kc[SHA256_BYTES];

    ENSURE(l, ERR_NOMEM, "no_memory", "No memory for the ledger.");
    struct sealing *s = l->sealing = calloc(1, sizeof *s);
    if (!s) {
        free(l);
        FAIL(ERR_NOMEM, "no_memory", "No memory for the ledger.");
    }
    buf_init(&s->row, ROW_ENCODED_MAX);
    buf_init(&s->rows, ENTRY_ROWS_MAX * ENTRY_ROW_BYTES);
    buf_init(&s->list, VALUES_MAX * 33);
    buf_init(&s->plain, PLAIN_MAX);
    buf_init(&s->out, SEALED_MAX);
    sha256(SPAN_LIT("tk-ledger/commitment/1"), kc);
    mac_key_init(&l->commitment, kc);
    l->keyring = keyring;
    *ret_ledger = l;
    return OK;
}

void ledger_free(struct ledger *l)
{
    if (!l)
        return;
    buf_done(&l->sealing->row);
    buf_done(&l->sealing->rows);
    buf_done(&l->sealing->list);
    buf_done(&l->sealing->plain);
    buf_done(&l->sealing->out);
    free(l->sealing);
    free(l);
}

/* Why not on the stack: each entry would set 12 kB to zero and allocate five buffers. */
static struct sealing *sealing_begin(struct store_tx *tx, struct ledger *l,
                                     const struct entry_draft *d)
{
    struct sealing *s = l->sealing;

    s->tx = tx;
    s->l = l;
    s->d = d;
    s->at_ms = store_now_ms(tx);
    s->value_count = s->group_count = 0;
    buf_reset(&s->list);
    buf_reset(&s->out);
    return s;
}

static void clear(struct buf *b)
{
    if (b->cap > KEPT_MAX) { /* a plan's row was in it */
        buf_done(b);
        return;
    }
    if (b->len > 0)
        wipe(b->data, b->len);
    buf_reset(b);
}

/* Nothing that is secret stays. */
static void sealing_end(struct sealing **sealing)
{
    struct sealing *s = *sealing;

    wipe(s->groups, s->group_count * sizeof s->groups[0]);
    clear(&s->row);
    clear(&s->rows);
    clear(&s->plain);
}

static enum err load_key(struct sealing *s, uint8_t scope, int64_t subject, struct mac_key *ret_key)
{
    AUTO(secret32_wipe) struct secret32 key;

    if (scope == GROUP_PERSON)
        TRY(keyring_person_key(s->tx, s->l->keyring, subject, &key));
    else
        TRY(keyring_scope_key_make(s->tx, s->l->keyring, (enum keyring_scope)scope, subject, &key));
    mac_key_init(ret_key, key.b);
    return OK;
}

static enum err group_for(struct sealing *s, uint8_t scope, int64_t subject, uint8_t *ret_group)
{
    for (size_t i = 0; i < s->group_count; i++)
        if (s->groups[i].scope == scope && s->groups[i].subject == subject) {
            *ret_group = (uint8_t)i;
            return OK;
        }
    struct group_key *g = &s->groups[s->group_count];
    g->scope = scope;
    g->subject = subject;
    TRY(load_key(s, scope, subject, &g->key));
    *ret_group = (uint8_t)s->group_count++;
    return OK;
}

static void add_value(struct sealing *s, uint8_t field, uint8_t group, struct span value)
{
    size_t at = s->value_count++;
    for (; at > 0 && s->values[at - 1].field > field; at--)
        s->values[at] = s->values[at - 1];
    s->values[at] = (struct seal_value){field, group, value};
}

static enum err digest_rows(struct sealing *s)
{
    uint8_t digest[SHA256_BYTES];

    for (size_t i = 0; i < s->d->row_count; i++) {
        const struct entry_row *r = &s->d->rows[i];
        clear(&s->row);
        TRY(store_row_encode(s->tx, (enum store_audit)r->table, r->id, &s->row));
        row_digest_of((enum store_audit)r->table, buf_span(&s->row), digest);
        buf_put_u8(&s->rows, r->table);
        buf_put(&s->rows, r->id, ID_BYTES);
        buf_put(&s->rows, digest, sizeof digest);
    }
    return buf_check(&s->rows);
}

static enum err gather(struct sealing *s)
{
    const struct entry_draft *d = s->d;
    uint8_t own_scope, group;
    int64_t own_subject;

    group_own(d->organiser_no, d->event_no, s->at_ms, &own_scope, &own_subject);
    TRY(group_for(s, own_scope, own_subject, &group));
    head_encode((int)d->kind, d->organiser_no, d->event_no, s->at_ms, s->head);
    add_value(s, FIELD_head, group, SPAN_ARRAY(s->head));
    TRY(digest_rows(s));
    if (d->row_count > 0)
        add_value(s, FIELD_rows, group, buf_span(&s->rows));
    for (size_t i = 0; i < d->value_count; i++) {
        const struct entry_value *v = &d->values[i];
        enum field_scope scope = field_info(v->field)->scope;
        group = 0;
        if (scope == FIELD_SCOPE_PERSON)
            TRY(group_for(s, GROUP_PERSON, v->person_no, &group));
        else if (scope == FIELD_SCOPE_TICKET && d->event_no != 0)
            TRY(group_for(s, SCOPE_EVENT_TICKETS, d->event_no, &group));
        add_value(s, v->field, group, span_of(d->bytes + v->at, v->len));
    }
    return OK;
}

static enum err seal_group(struct sealing *s, size_t g)
{
    static const uint8_t zero_iv[AES256GCM_IV_BYTES]; /* the key is of this entry and group alone */
    AUTO(secret32_wipe) struct secret32 key;
    struct buf *plain = &s->plain;
    uint8_t aad[BOX_AAD_BYTES];

    clear(plain);
    for (size_t i = 0; i < s->value_count; i++) {
        if (s->values[i].group != g)
            continue;
        buf_put_u8(plain, s->values[i].field);
        buf_put_u16be(plain, (uint16_t)s->values[i].value.len);
        buf_put_span(plain, s->values[i].value);
    }
    TRY(buf_check(plain));
    box_key(&s->groups[g], &s->d->id, &key, aad);
    buf_put_u8(&s->out, s->groups[g].scope);
    buf_put_u64be(&s->out, (uint64_t)s->groups[g].subject);
    buf_put_u32be(&s->out, (uint32_t)(plain->len + AES256GCM_TAG_BYTES));
    uint8_t *box = buf_grow(&s->out, plain->len + AES256GCM_TAG_BYTES);
    if (!box)
        return buf_check(&s->out);
    return aes256gcm_seal(key.b, zero_iv, SPAN_ARRAY(aad), buf_span(plain), box);
}

static enum err seal(struct sealing *s)
{
    uint8_t digest[SHA256_BYTES];

    buf_put_u8(&s->out, ENTRY_VERSION);
    buf_put_u8(&s->out, (uint8_t)s->value_count);
    for (size_t i = 0; i < s->value_count; i++) {
        const struct seal_value *v = &s->values[i];
        field_digest(&s->groups[v->group], &s->d->id, v->field, v->value, digest);
        buf_put_u8(&s->list, v->field);
        buf_put(&s->list, digest, sizeof digest);
        buf_put_u8(&s->out, v->field);
        buf_put_u8(&s->out, v->group);
        buf_put(&s->out, digest, sizeof digest);
    }
    buf_put_u8(&s->out, (uint8_t)s->group_count);
    for (size_t g = 0; g < s->group_count; g++)
        TRY(seal_group(s, g));
    TRY(buf_check(&s->list));
    return buf_check(&s->out);
}

static enum err check_draft(const struct entry_draft *d)
{
    uint64_t needs, has = 0;

    INVARIANT(!d->spent, "a draft is appended once");
    INVARIANT(kind_needs((int)d->kind, &needs), "a kind of kinds.def");
    ENSURE(!d->too_large, ERR_LIMIT, "entry_too_large",
           "A ledger entry of kind %s is larger than entries may be.",
           entry_kind_name((int)d->kind));
    for (size_t i = 0; i < d->value_count; i++)
        has |= UINT64_C(1) << d->values[i].field;
    uint64_t missing = needs & ~has;
    ENSURE(missing == 0, ERR_INVALID, "entry_incomplete", "A ledger entry of kind %s lacks %s.",
           entry_kind_name((int)d->kind), entry_field_name(__builtin_ctzll(missing)));
    return OK;
}

/* L-A. The row's number is its key: were it not the next one, the insert would fail or an audit would find the gap. */
static enum err next_number(struct store_tx *tx, struct ledger *l, int64_t *ret_entry_no)
{
    if (l->next_no == 0 || l->undone != store_undone(tx))
        TRY(store_entry_next(tx, &l->next_no));
    l->undone = store_undone(tx);
    *ret_entry_no = l->next_no++;
    return OK;
}

enum err ledger_append(struct store_tx *tx, struct ledger *l, struct entry_draft *d,
                       int64_t *ret_entry_no)
{
    AUTO(sealing_end) struct sealing *s = sealing_begin(tx, l, d);
    struct stored_entry row = {.id = d->id,
                               .kind = d->kind,
                               .organiser_no = d->organiser_no,
                               .event_no = d->event_no,
                               .at_ms = s->at_ms};

    TRY(check_draft(d));
    d->spent = true;
    TRY(gather(s));
    TRY(seal(s));
    commitment_make(l, &s->groups[0], &d->id, (uint8_t)s->value_count, buf_span(&s->list),
                    row.commitment);
    row.sealed = buf_span(&s->out);
    TRY(next_number(tx, l, &row.entry_no));
    TRY(store_entry_insert(tx, &row));
    for (size_t i = 0; i < d->row_count; i++)
        store_audit_paid(tx, (enum store_audit)d->rows[i].table, d->rows[i].id);
    store_note(tx, (struct store_note){.kind = NOTE_ENTRY, .a = row.entry_no});
    if (ret_entry_no)
        *ret_entry_no = row.entry_no;
    return OK;
}
