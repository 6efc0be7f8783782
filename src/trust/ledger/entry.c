/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/ledger/entry.h"

#include <string.h>

#include "trust/ledger/entry_internal.h"

static const struct field_info fields[FIELD_NUMBERS] = {
#define FIELD(name, number, scope, type) [number] = {#name, FIELD_SCOPE_##scope, FIELD_TYPE_##type},
#include "trust/ledger/fields.def"
#undef FIELD
};

static const struct {
    const char *name;
    int kind;
    uint64_t needs;
} kinds[] = {
#define NEED(field) (UINT64_C(1) << FIELD_##field)
#define KIND(name, number, needs) {#name, number, needs},
#include "trust/ledger/kinds.def"
#undef KIND
#undef NEED
};

const struct field_info *field_info(unsigned field)
{
    return field < FIELD_NUMBERS && fields[field].name ? &fields[field] : NULL;
}

const char *entry_field_name(int field)
{
    const struct field_info *f = field < 0 ? NULL : field_info((unsigned)field);
    return f ? f->name : NULL;
}

const char *entry_kind_name(int kind)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (kinds[i].kind == kind)
            return kinds[i].name;
    return NULL;
}

bool kind_needs(int kind, uint64_t *ret_needs)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (kinds[i].kind != kind)
            continue;
        *ret_needs = kinds[i].needs;
        return true;
    }
    return false;
}

/* --- Drafts ------------------------------------------------------------------------------------------------------------ */

void entry_begin(struct entry_draft *d, const struct store_tx *tx, enum entry_kind kind,
                 int64_t organiser_no, int64_t event_no)
{
    d->id = entry_id_make(store_clock(tx), store_rng(tx));
    d->kind = kind;
    d->organiser_no = organiser_no;
    d->event_no = event_no;
    d->value_count = d->row_count = d->bytes_len = 0;
    d->too_large = d->spent = false;
}

static void add(struct entry_draft *d, enum entry_field field, enum field_type type,
                int64_t person_no, struct span value)
{
    const struct field_info *f = field_info((unsigned)field);

    INVARIANT(f && field > FIELD_rows, "a field of fields.def");
    INVARIANT((f->scope == FIELD_SCOPE_PERSON) == (person_no != 0),
              "a PERSON field names its person, another field none");
    INVARIANT(f->type == type, "a field has the type of fields.def");
    for (size_t i = 0; i < d->value_count; i++)
        INVARIANT(d->values[i].field != field, "a field is given once");
    if (d->value_count == ENTRY_FIELDS_MAX || value.len > sizeof d->bytes - d->bytes_len) {
        d->too_large = true;
        return;
    }
    d->values[d->value_count++] = (struct entry_value){.field = (uint8_t)field,
                                                       .at = (uint16_t)d->bytes_len,
                                                       .len = (uint16_t)value.len,
                                                       .person_no = person_no};
    if (value.len > 0)
        memcpy(d->bytes + d->bytes_len, value.data, value.len);
    d->bytes_len += value.len;
}

void entry_int(struct entry_draft *d, enum entry_field field, int64_t value)
{
    uint8_t b[8];
    put_u64be(b, (uint64_t)value);
    add(d, field, FIELD_TYPE_INT, 0, SPAN_ARRAY(b));
}

void entry_text(struct entry_draft *d, enum entry_field field, struct span value)
{
    add(d, field, FIELD_TYPE_TEXT, 0, value);
}

void entry_str(struct entry_draft *d, enum entry_field field, const char *value)
{
    entry_text(d, field, span_text(value));
}

void entry_bytes(struct entry_draft *d, enum entry_field field, struct span value)
{
    add(d, field, FIELD_TYPE_BYTES, 0, value);
}

void entry_id(struct entry_draft *d, enum entry_field field, const uint8_t id[ID_BYTES])
{
    add(d, field, FIELD_TYPE_ID, 0, span_of(id, ID_BYTES));
}

void entry_money(struct entry_draft *d, enum entry_field field, struct money value)
{
    uint8_t b[MONEY_BYTES];
    put_u64be(b, (uint64_t)value.amount_minor);
    memcpy(b + 8, value.currency.code, 3);
    add(d, field, FIELD_TYPE_MONEY, 0, SPAN_ARRAY(b));
}

void entry_person(struct entry_draft *d, enum entry_field field, int64_t person_no,
                  struct span value)
{
    const struct field_info *f = field_info((unsigned)field);

    INVARIANT(f && person_no > 0, "a field of fields.def, and a person");
    INVARIANT(f->type != FIELD_TYPE_ID || value.len == ID_BYTES, "an id has 16 bytes");
    add(d, field, f->type, person_no, value);
}

void entry_names(struct entry_draft *d, enum store_audit table, const uint8_t row_id[ID_BYTES])
{
    INVARIANT(table > AUDIT_none && table < AUDIT_COUNT, "an audited table");
    for (size_t i = 0; i < d->row_count; i++)
        if (d->rows[i].table == table && memcmp(d->rows[i].id, row_id, ID_BYTES) == 0)
            return;
    if (d->row_count == ENTRY_ROWS_MAX) {
        d->too_large = true;
        return;
    }
    d->rows[d->row_count].table = (uint8_t)table;
    memcpy(d->rows[d->row_count++].id, row_id, ID_BYTES);
}

/* --- What sealing and opening share -------------------------------------------------------------------------------------- */

void group_own(int64_t organiser_no, int64_t event_no, int64_t at_ms, uint8_t *ret_scope,
               int64_t *ret_subject)
{
    *ret_scope = event_no != 0 ? SCOPE_EVENT : organiser_no != 0 ? SCOPE_TENANT : SCOPE_SITE;
    *ret_subject = event_no != 0       ? event_no
                   : organiser_no != 0 ? keyring_tenant_subject(organiser_no, at_ms)
                                       : 0;
}

void head_encode(int kind, int64_t organiser_no, int64_t event_no, int64_t at_ms,
                 uint8_t out[HEAD_BYTES])
{
    put_u16be(out, (uint16_t)kind);
    put_u64be(out + 2, (uint64_t)organiser_no);
    put_u64be(out + 10, (uint64_t)event_no);
    put_u64be(out + 18, (uint64_t)at_ms);
}

void field_digest(const struct group_key *group, const struct entry_id *id, uint8_t field,
                  struct span value, uint8_t ret_digest[32])
{
    struct span parts[] = {SPAN_LIT("tk-ledger/field/1\0"), span_of(&field, 1), value};
    uint8_t salt[32];

    mac_expand(&group->key, SPAN_ARRAY(id->b), span_of(&field, 1), salt);
    hmac_sha256_parts(SPAN_ARRAY(salt), parts, COUNT_OF(parts), ret_digest);
    wipe(salt, sizeof salt);
}

void box_key(const struct group_key *group, const struct entry_id *id, struct secret32 *ret_key,
             uint8_t ret_aad[BOX_AAD_BYTES])
{
    mac_expand(&group->key, SPAN_ARRAY(id->b), SPAN_LIT("enc"), ret_key->b);
    memcpy(ret_aad, id->b, ID_BYTES);
    ret_aad[ID_BYTES] = group->scope;
    put_u64be(ret_aad + ID_BYTES + 1, (uint64_t)group->subject);
}

void commitment_make(const struct ledger *l, const struct group_key *own, const struct entry_id *id,
                     uint8_t count, struct span list, uint8_t ret_commitment[32])
{
    uint8_t opening[32];
    struct span parts[] = {SPAN_LIT("tk-ledger/event/1\0"), SPAN_ARRAY(id->b), SPAN_ARRAY(opening),
                           span_of(&count, 1), list};

    mac_expand(&own->key, SPAN_ARRAY(id->b), SPAN_LIT("opening"), opening);
    mac(&l->commitment, parts, COUNT_OF(parts), ret_commitment);
    wipe(opening, sizeof opening);
}

/* --- Views --------------------------------------------------------------------------------------------------------------- */

void entry_view_init(struct entry_view *v)
{
    memset(v, 0, sizeof *v);
    buf_init(&v->plain, 2 * SEALED_MAX);
}

void entry_view_done(struct entry_view *v)
{
    buf_done(&v->plain);
}

const struct entry_opened *entry_view_field(const struct entry_view *v, enum entry_field field)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->values[i].field == field)
            return &v->values[i];
    return NULL;
}

static enum err want(const struct entry_view *v, enum entry_field field, enum field_type type,
                     size_t len, struct span *ret_value)
{
    const struct entry_opened *o = entry_view_field(v, field);
    const struct field_info *f = field_info((unsigned)field);

    ENSURE(o, ERR_NOT_FOUND, "no_field", "The entry has no field %s.",
           entry_field_name((int)field));
    ENSURE(o->state == ENTRY_VALUE_OPEN, ERR_EXPIRED, "erased", "The field %s was erased.",
           entry_field_name((int)field));
    ENSURE(f && f->type == type && o->value.len == len, ERR_CORRUPT, "bad_field",
           "The field %s is not of that type.", entry_field_name((int)field));
    *ret_value = o->value;
    return OK;
}

enum err entry_view_int(const struct entry_view *v, enum entry_field field, int64_t *ret_value)
{
    struct span s;
    TRY(want(v, field, FIELD_TYPE_INT, 8, &s));
    *ret_value = (int64_t)get_u64be(s.data);
    return OK;
}

enum err entry_view_id(const struct entry_view *v, enum entry_field field, uint8_t ret_id[ID_BYTES])
{
    struct span s;
    TRY(want(v, field, FIELD_TYPE_ID, ID_BYTES, &s));
    memcpy(ret_id, s.data, ID_BYTES);
    return OK;
}

enum err entry_view_money(const struct entry_view *v, enum entry_field field,
                          struct money *ret_money)
{
    struct span s;
    struct money m;
    TRY(want(v, field, FIELD_TYPE_MONEY, MONEY_BYTES, &s));
    m.amount_minor = (int64_t)get_u64be(s.data);
    TRY(currency_parse(span_sub(s, 8, 3), &m.currency));
    *ret_money = m;
    return OK;
}
