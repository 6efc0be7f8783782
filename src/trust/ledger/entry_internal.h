/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_LEDGER_ENTRY_INTERNAL_H
#define TRUST_LEDGER_ENTRY_INTERNAL_H

/* entry_internal - what entry.c, ledger.c and open.c share: the field table and the keys of an entry's groups. */
#include "store/store/store_ledger.h"
#include "trust/keyring/keyring.h"
#include "trust/ledger/entry.h"
#include "trust/ledger/ledger.h"
#include "trust/ledger/mac.h"

enum field_scope { FIELD_SCOPE_OWN, FIELD_SCOPE_TICKET, FIELD_SCOPE_PERSON };
enum field_type {
    FIELD_TYPE_INT,
    FIELD_TYPE_TEXT,
    FIELD_TYPE_BYTES,
    FIELD_TYPE_ID,
    FIELD_TYPE_MONEY
};

enum {
    FIELD_NUMBERS = 64,
    MONEY_BYTES = 8 + 3,
    HEAD_BYTES = 2 + 3 * 8,
    ENTRY_VERSION = 1,
    GROUP_PERSON = 0, /* else enum keyring_scope */
    GROUPS_MAX = 2 + ENTRY_FIELDS_MAX,
    VALUES_MAX = ENTRY_FIELDS_MAX + 2,
    PLAIN_MAX = ENTRY_VALUES_MAX + VALUES_MAX * 3 + HEAD_BYTES + ENTRY_ROWS_MAX * ENTRY_ROW_BYTES,
    SEALED_MAX = PLAIN_MAX + 2 + VALUES_MAX * 34 + 1 + GROUPS_MAX * (1 + 8 + 4 + 16),
};

struct field_info {
    const char *name; /* NULL: no such field */
    enum field_scope scope;
    enum field_type type;
};
const struct field_info *field_info(unsigned field);
/* Bits of the fields without which the kind is incomplete; false for an unknown kind. */
bool kind_needs(int kind, uint64_t *ret_needs);

struct ledger {
    struct keyring *keyring;
    struct mac_key commitment; /* Kc: public */
    /* What the next entry's number is, as long as nothing was undone since (store_undone). Of the one write transaction. */
    uint64_t undone;
    int64_t next_no;         /* 0: to be asked */
    struct sealing *sealing; /* of the one append that runs; its memory stays for the next */
};

struct group_key {
    uint8_t scope; /* GROUP_PERSON or enum keyring_scope */
    int64_t subject;
    struct mac_key key;
};
/* The entry's own scope and subject. */
void group_own(int64_t organiser_no, int64_t event_no, int64_t at_ms, uint8_t *ret_scope,
               int64_t *ret_subject);
void head_encode(int kind, int64_t organiser_no, int64_t event_no, int64_t at_ms,
                 uint8_t out[HEAD_BYTES]);
void field_digest(const struct group_key *group, const struct entry_id *id, uint8_t field,
                  struct span value, uint8_t ret_digest[32]);
/* The key of the group's box, and its associated data. */
enum { BOX_AAD_BYTES = ID_BYTES + 1 + 8 };
void box_key(const struct group_key *group, const struct entry_id *id, struct secret32 *ret_key,
             uint8_t ret_aad[BOX_AAD_BYTES]);
/* list: n x (field, digest) as the commitment hashes them. */
void commitment_make(const struct ledger *l, const struct group_key *own, const struct entry_id *id,
                     uint8_t count, struct span list, uint8_t ret_commitment[32]);

void row_digest_of(enum store_audit table, struct span encoded, uint8_t ret_digest[SHA256_BYTES]);

#endif
