/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_SIGNER_TABLE_H
#define TRUST_SIGNER_TABLE_H

/*
 * table - a map from four numbers to a fixed-size value, open addressing with linear probing, that only grows. It is what the
 * signer remembers of its journal: a million entries are found in one or two cache misses.
 *
 * A slot's first member is its struct table_key. Pointers into the table are good until the next table_add.
 */
#include "ground/base/base.h"

struct table_key {
    uint32_t a, b, c, d;
};

struct table {
    uint8_t *slots; /* cap * slot_size */
    uint8_t *used;  /* cap */
    size_t slot_size, count, cap, max;
    uint64_t seed;
};

/* No slot is allocated yet. max is the hard limit of entries. */
void table_init(struct table *t, size_t slot_size, size_t max);
void table_done(struct table *t);
/* NULL when there is none. */
void *table_find(const struct table *t, const struct table_key *key);
/* A zeroed slot with the key set; the key must be new. ERR_LIMIT "table_full", ERR_NOMEM. */
RESULT table_add(struct table *t, const struct table_key *key, void **ret_slot);

#endif
