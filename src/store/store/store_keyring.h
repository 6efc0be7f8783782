/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_STORE_KEYRING_H
#define STORE_STORE_STORE_KEYRING_H

/* store_keyring - rows of person and scope_key: wrapped keys and the epoch whose key wraps them. For trust/keyring only. */
#include "store/store/store.h"

enum { WRAPPED_KEY_BYTES = 24 + 32 + 16 };

struct wrapped_key {
    int64_t epoch_no;
    uint8_t box[WRAPPED_KEY_BYTES];
};
struct person_key_row {
    int64_t person_no;
    struct person_id id;
    struct wrapped_key key;
};
struct scope_key_row {
    int64_t scope, subject_no;
    struct wrapped_key key;
};

RESULT store_person_insert(struct store_tx *tx, struct person_id id, const struct wrapped_key *key,
                           int64_t *ret_person_no);
/* ERR_NOT_FOUND "no_person"; ERR_EXPIRED "erased" when the key is gone; ERR_CORRUPT "bad_row" on another length. */
RESULT store_person_key(struct store_tx *tx, int64_t person_no, struct person_key_row *ret_row);
RESULT store_person_erase(struct store_tx *tx, int64_t person_no, int64_t at_ms);
/* Keys wrapped under an epoch before this one, at most max of them. */
RESULT store_person_keys_old(struct store_tx *tx, int64_t before_epoch,
                             struct person_key_row *ret_rows, size_t max, size_t *ret_count);
RESULT store_person_rewrap(struct store_tx *tx, int64_t person_no, const struct wrapped_key *key);

RESULT store_scope_key_insert(struct store_tx *tx, int64_t scope, int64_t subject_no,
                              const struct wrapped_key *key);
/* ret_found says whether there is one. */
RESULT store_scope_key(struct store_tx *tx, int64_t scope, int64_t subject_no,
                       struct wrapped_key *ret_key, bool *ret_found);
RESULT store_scope_keys_old(struct store_tx *tx, int64_t before_epoch,
                            struct scope_key_row *ret_rows, size_t max, size_t *ret_count);
RESULT store_scope_rewrap(struct store_tx *tx, int64_t scope, int64_t subject_no,
                          const struct wrapped_key *key);

/* The oldest epoch a row needs; INT64_MAX when no row needs any. */
RESULT store_epoch_oldest(struct store_tx *tx, int64_t *ret_epoch_no);

#endif
