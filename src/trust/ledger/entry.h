/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_LEDGER_ENTRY_H
#define TRUST_LEDGER_ENTRY_H

/*
 * entry - what one ledger entry says, before it is appended (draft) and after it was opened again (view).
 *
 *     struct entry_draft d;
 *     entry_begin(&d, tx, ENTRY_ticket_issued, organiser_no, event_no);   d.id is now the entry's id
 *     entry_id(&d, FIELD_ticket, ticket.b);
 *     entry_money(&d, FIELD_price, price);
 *     entry_person(&d, FIELD_account, person_no, span_of(account.b, ID_BYTES));
 *     entry_names(&d, AUDIT_ticket, ticket.b);                            rows must be changed before the append
 *     TRY(ledger_append(tx, ledger, &d, NULL));
 *
 * The builder functions cannot fail on input: what does not fit makes the draft bad, and ledger_append says so
 * (ERR_LIMIT "entry_too_large"). A field given twice, of another type or of another scope is a fault of the program (asserted).
 *
 * Sealed form, entry.sealed (all integers big-endian):
 *     u8 version = 1 | u8 n | n x (u8 field, u8 group, 32 digest), fields ascending
 *     u8 g | g x (u8 scope, i64 subject, u32 length, sealed box)
 * A box holds the values of its group as TLV (u8 field, u16 length, value), fields ascending, AES-256-GCM under
 *     HKDF-Expand(K, entry id || "enc", 32), IV zero (the key is used once), AAD = entry id || scope || subject.
 * Values: INT i64, ID 16 bytes, MONEY i64 || 3 letters, TEXT and BYTES as they are.
 *     salt_i     = HKDF-Expand(K of the field's group, entry id || field, 32)
 *     digest_i   = HMAC-SHA256(salt_i, "tk-ledger/field/1\0" || field || value)
 *     opening    = HKDF-Expand(K of the entry, entry id || "opening", 32)
 *     commitment = HMAC-SHA256(Kc, "tk-ledger/event/1\0" || entry id || opening || n || (field || digest)*)
 *     leaf       = 01 01 || commitment
 * Kc is the public constant SHA-256("tk-ledger/commitment/1"). K: SCOPE_EVENT where there is an event, else SCOPE_TENANT of the
 * year, else SCOPE_SITE; a TICKET field has SCOPE_EVENT_TICKETS, a PERSON field that person's key. Since the salts are per
 * entry, one field can be shown to somebody without opening its neighbours.
 */
#include "ground/base/base.h"
#include "store/store/store.h"

enum entry_kind {
#define KIND(name, number, needs) ENTRY_##name = (number),
#include "trust/ledger/kinds.def"
#undef KIND
};

enum entry_field {
#define FIELD(name, number, scope, type) FIELD_##name = (number),
#include "trust/ledger/fields.def"
#undef FIELD
};

enum {
    ENTRY_FIELDS_MAX = 40,
    ENTRY_VALUES_MAX = 4096, /* bytes of all values, rows aside */
    ENTRY_ROWS_MAX = 320,
    ENTRY_ROW_BYTES = 1 + ID_BYTES + 32, /* table, row, digest */
    ENTRY_LEAF_BYTES = 34,
};

struct entry_row {
    uint8_t table; /* enum store_audit */
    uint8_t id[ID_BYTES];
};

struct entry_value {
    uint8_t field;
    uint16_t at, len;  /* in bytes */
    int64_t person_no; /* of a PERSON field, else 0 */
};

/* On the caller's stack; nothing to free. Members are read-only to callers; id may be stored in rows before the append. */
struct entry_draft {
    struct entry_id id;
    enum entry_kind kind;
    int64_t organiser_no, event_no; /* 0: the installation, none */
    size_t value_count, row_count, bytes_len;
    bool too_large, spent;
    struct entry_value values[ENTRY_FIELDS_MAX];
    struct entry_row rows[ENTRY_ROWS_MAX];
    uint8_t bytes[ENTRY_VALUES_MAX];
};

void entry_begin(struct entry_draft *d, const struct store_tx *tx, enum entry_kind kind,
                 int64_t organiser_no, int64_t event_no);
void entry_int(struct entry_draft *d, enum entry_field field, int64_t value);
void entry_text(struct entry_draft *d, enum entry_field field, struct span value);
void entry_str(struct entry_draft *d, enum entry_field field, const char *value);
void entry_bytes(struct entry_draft *d, enum entry_field field, struct span value);
void entry_id(struct entry_draft *d, enum entry_field field, const uint8_t id[ID_BYTES]);
void entry_money(struct entry_draft *d, enum entry_field field, struct money value);
/* A field under the person's key: an ID (16 bytes) or TEXT, as fields.def says. */
void entry_person(struct entry_draft *d, enum entry_field field, int64_t person_no,
                  struct span value);
/* The entry pays for this row: its digest, as it stands at the append, is part of the entry. Naming it twice is fine. */
void entry_names(struct entry_draft *d, enum store_audit table, const uint8_t row_id[ID_BYTES]);

/* "ticket_issued"; NULL for an unknown number. */
const char *entry_kind_name(int kind);
const char *entry_field_name(int field);

/* --- An entry opened again ------------------------------------------------------------------------------------------- */

enum entry_value_state {
    ENTRY_VALUE_OPEN,
    ENTRY_VALUE_ERASED, /* its key was destroyed; its digest still is part of the commitment */
};

struct entry_opened {
    uint8_t field;
    enum entry_value_state state;
    struct span value; /* borrowed from the view */
    int64_t person_no;
};

struct entry_view {
    struct entry_id id;
    int64_t entry_no;
    enum entry_kind kind;
    int64_t organiser_no, event_no, at_ms;
    uint8_t commitment[32]; /* as stored */
    size_t count;
    struct entry_opened values[ENTRY_FIELDS_MAX + 2];
    struct span rows; /* ENTRY_ROW_BYTES each; empty when erased */
    struct buf plain; /* what the spans point into */
};
void entry_view_init(struct entry_view *v);
void entry_view_done(struct entry_view *v);
/* NULL when the entry has no such field. */
const struct entry_opened *entry_view_field(const struct entry_view *v, enum entry_field field);
/* ERR_NOT_FOUND "no_field", ERR_EXPIRED "erased", ERR_CORRUPT "bad_field" when it is not of that type. */
RESULT entry_view_int(const struct entry_view *v, enum entry_field field, int64_t *ret_value);
RESULT entry_view_id(const struct entry_view *v, enum entry_field field, uint8_t ret_id[ID_BYTES]);
RESULT entry_view_money(const struct entry_view *v, enum entry_field field,
                        struct money *ret_money);

#endif
