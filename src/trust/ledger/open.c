/* SPDX-License-Identifier: Apache-2.0 */
/* Opening stored entries: the inverse of ledger_append, checking everything on the way. */
#include <string.h>

#include "trust/ledger/entry_internal.h"
#include "trust/ledger/open.h"

#define ALTERED(...) FAIL(ERR_CORRUPT, "entry_altered", __VA_ARGS__)

static void group_key_wipe(struct group_key *k)
{
    wipe(k, sizeof *k);
}

struct opening {
    struct store_tx *tx;
    struct ledger *l;
    const struct stored_entry *row;
    struct entry_view *v;
    uint8_t groups[VALUES_MAX];      /* of each value */
    uint8_t digests[VALUES_MAX][32]; /* as stored */
    uint8_t list[VALUES_MAX * 33];   /* as committed */
};

/* false in *ret_there: destroyed, its fields stay closed. */
static enum err load_key(struct opening *o, uint8_t scope, int64_t subject, struct mac_key *ret_key,
                         bool *ret_there)
{
    AUTO(secret32_wipe) struct secret32 key;
    enum err e =
        scope == GROUP_PERSON
            ? keyring_person_key(o->tx, o->l->keyring, subject, &key)
            : keyring_scope_key(o->tx, o->l->keyring, (enum keyring_scope)scope, subject, &key);

    *ret_there = false;
    if (e == (scope == GROUP_PERSON ? ERR_EXPIRED : ERR_NOT_FOUND))
        return OK;
    if (e == ERR_NOT_FOUND)
        ALTERED("it names a person that does not exist");
    TRY(e);
    mac_key_init(ret_key, key.b);
    *ret_there = true;
    return OK;
}

static enum err parse_list(struct opening *o, struct cursor *c)
{
    uint8_t version, count, last = 0;

    if (cursor_u8(c, &version) != OK || version != ENTRY_VERSION || cursor_u8(c, &count) != OK ||
        count == 0 || count > VALUES_MAX)
        ALTERED("its sealed form is of no known version");
    for (o->v->count = 0; o->v->count < count; o->v->count++) {
        size_t i = o->v->count;
        struct entry_opened *value = &o->v->values[i];
        *value = (struct entry_opened){.state = ENTRY_VALUE_ERASED};
        if (cursor_u8(c, &value->field) != OK || cursor_u8(c, &o->groups[i]) != OK ||
            cursor_copy(c, o->digests[i], 32) != OK || value->field <= last ||
            !field_info(value->field))
            ALTERED("its list of fields is damaged");
        last = value->field;
        o->list[i * 33] = value->field;
        memcpy(&o->list[i * 33 + 1], o->digests[i], 32);
    }
    if (o->v->values[0].field != FIELD_head || o->groups[0] != 0)
        ALTERED("its list of fields is damaged");
    return OK;
}

/* The values of one opened box, each against its digest. */
static enum err take_values(struct opening *o, uint8_t g, const struct group_key *key,
                            struct span plain)
{
    struct cursor c = {plain};
    uint8_t digest[32];

    for (size_t i = 0; i < o->v->count; i++) {
        struct entry_opened *value = &o->v->values[i];
        uint8_t field;
        uint16_t len;
        if (o->groups[i] != g)
            continue;
        if (cursor_u8(&c, &field) != OK || field != value->field || cursor_u16be(&c, &len) != OK ||
            cursor_take(&c, len, &value->value) != OK)
            ALTERED("field %s is missing from its box", entry_field_name(value->field));
        field_digest(key, &o->row->id, field, value->value, digest);
        if (!crypto_eq(digest, o->digests[i], 32))
            ALTERED("field %s does not fit its digest", entry_field_name(field));
        value->state = ENTRY_VALUE_OPEN;
        value->person_no = key->scope == GROUP_PERSON ? key->subject : 0;
    }
    if (c.rest.len != 0)
        ALTERED("a box holds more than the fields listed");
    return OK;
}

/* Group 0 is the entry's own; besides it there are its event's tickets, and persons. */
static enum err check_scope(const struct opening *o, uint8_t g, const struct group_key *key)
{
    uint8_t scope = SCOPE_EVENT_TICKETS;
    int64_t subject = o->row->event_no;

    if (g > 0 && key->scope == GROUP_PERSON)
        return OK;
    if (g == 0)
        group_own(o->row->organiser_no, o->row->event_no, o->row->at_ms, &scope, &subject);
    if (key->scope != scope || key->subject != subject)
        ALTERED("it is sealed for another organiser, event or year than its row says");
    return OK;
}

static enum err check_commitment(struct opening *o, const struct group_key *key)
{
    uint8_t commitment[32];

    commitment_make(o->l, key, &o->row->id, (uint8_t)o->v->count,
                    span_of(o->list, o->v->count * 33), commitment);
    if (!crypto_eq(commitment, o->row->commitment, 32))
        ALTERED("its fields do not give its commitment");
    return OK;
}

static enum err open_group(struct opening *o, uint8_t g, struct cursor *c)
{
    static const uint8_t zero_iv[AES256GCM_IV_BYTES];
    AUTO(secret32_wipe) struct secret32 secret;
    AUTO(group_key_wipe) struct group_key key = {0};
    uint8_t aad[BOX_AAD_BYTES];
    uint64_t subject;
    uint32_t len;
    struct span box;
    bool there;

    if (cursor_u8(c, &key.scope) != OK || cursor_u64be(c, &subject) != OK ||
        cursor_u32be(c, &len) != OK || len < AES256GCM_TAG_BYTES || cursor_take(c, len, &box) != OK)
        ALTERED("its sealed form is cut off");
    key.subject = (int64_t)subject;
    TRY(check_scope(o, g, &key));
    TRY(load_key(o, key.scope, key.subject, &key.key, &there));
    if (!there)
        return OK;
    if (g == 0)
        TRY(check_commitment(o, &key));
    /* Room for all boxes was made before: what was opened earlier does not move. */
    uint8_t none, *plain = len > AES256GCM_TAG_BYTES
                               ? buf_grow(&o->v->plain, len - AES256GCM_TAG_BYTES)
                               : &none;
    ENSURE(plain, ERR_NOMEM, "no_memory", "No memory to open an entry.");
    box_key(&key, &o->row->id, &secret, aad);
    if (aes256gcm_open(secret.b, zero_iv, SPAN_ARRAY(aad), box, plain) != OK)
        ALTERED("a box of it does not open");
    return take_values(o, g, &key, span_of(plain, len - AES256GCM_TAG_BYTES));
}

static enum err check_head(struct opening *o)
{
    uint8_t head[HEAD_BYTES];
    const struct entry_opened *stored = &o->v->values[0], *rows;

    if (stored->state != ENTRY_VALUE_OPEN)
        return OK;
    if (o->row->kind < 0 || o->row->kind > UINT16_MAX)
        ALTERED("its kind is out of range");
    head_encode((int)o->row->kind, o->row->organiser_no, o->row->event_no, o->row->at_ms, head);
    if (!span_eq(stored->value, SPAN_ARRAY(head)))
        ALTERED("kind, organiser, event or time of its row were changed");
    rows = entry_view_field(o->v, FIELD_rows);
    if (rows && rows->state == ENTRY_VALUE_OPEN) {
        if (rows->value.len % ENTRY_ROW_BYTES != 0)
            ALTERED("its list of rows is damaged");
        o->v->rows = rows->value;
    }
    return OK;
}

static enum err open_all(struct opening *o)
{
    struct cursor c = {o->row->sealed};
    uint8_t groups;

    TRY(parse_list(o, &c));
    if (cursor_u8(&c, &groups) != OK || groups == 0)
        ALTERED("its sealed form is cut off");
    for (size_t i = 0; i < o->v->count; i++)
        if (o->groups[i] >= groups)
            ALTERED("its list of fields is damaged");
    for (uint8_t g = 0; g < groups; g++)
        TRY(open_group(o, g, &c));
    if (c.rest.len != 0)
        ALTERED("its sealed form is too long");
    return check_head(o);
}

enum err entry_open_stored(struct store_tx *tx, struct ledger *l, const struct stored_entry *row,
                           struct entry_view *v)
{
    struct opening o = {.tx = tx, .l = l, .row = row, .v = v};

    v->id = row->id;
    v->entry_no = row->entry_no;
    v->kind = (enum entry_kind)row->kind;
    v->organiser_no = row->organiser_no;
    v->event_no = row->event_no;
    v->at_ms = row->at_ms;
    memcpy(v->commitment, row->commitment, sizeof v->commitment);
    v->count = 0;
    v->rows = (struct span){NULL, 0};
    /* Reserve once, so that spans into it stay good. */
    buf_reset(&v->plain);
    ENSURE(buf_grow(&v->plain, row->sealed.len + 1), ERR_NOMEM, "no_memory",
           "No memory to open an entry.");
    buf_reset(&v->plain);
    return open_all(&o);
}

enum err ledger_entry_open(struct store_tx *tx, struct ledger *l, int64_t entry_no,
                           struct entry_view *v)
{
    AUTO(buf_done) struct buf sealed;
    struct stored_entry row;

    buf_init(&sealed, 2 * SEALED_MAX);
    TRY(store_entry_by_no(tx, entry_no, &row, &sealed));
    return entry_open_stored(tx, l, &row, v);
}

enum err ledger_entry_open_by_id(struct store_tx *tx, struct ledger *l, const uint8_t id[ID_BYTES],
                                 struct entry_view *v)
{
    AUTO(buf_done) struct buf sealed;
    struct stored_entry row;

    buf_init(&sealed, 2 * SEALED_MAX);
    TRY(store_entry_by_id(tx, id, &row, &sealed));
    return entry_open_stored(tx, l, &row, v);
}
