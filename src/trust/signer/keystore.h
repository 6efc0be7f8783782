/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_SIGNER_KEYSTORE_H
#define TRUST_SIGNER_KEYSTORE_H

/*
 * keystore - the signer's keys: ticket signing keys per organiser (several generations, the newest signs), gate keys per
 * event, the log's key, webhook keys per endpoint.
 *
 * In memory they are in guarded memory; on disk in one file, "keystore": "GHKS" 1 and a sealed box under a key derived from the
 * master key, replaced as a whole and fsynced before a new key is used. The plain text is u16 length and the log's origin, u32
 * count, then per key
 *     u8 type | u8 test mode | u16 0 | u32 number | u32 generation | i64 created ms | 16 bytes id | 32 seed or key | 32 public key
 *
 * Keys of test mode and of live mode are never the same (a number is looked up together with its mode).
 */
#include "ground/base/base.h"
#include "ground/crypto/crypto.h"
#include "trust/signer/table.h"

enum keystore_type { KEY_TICKET = 1, KEY_GATE = 2, KEY_LOG = 3, KEY_WEBHOOK = 4 };

enum {
    KEYSTORE_KEYS_MAX = 65536,
    KEYSTORE_GENERATIONS_MAX = 64, /* of one organiser */
    KEYSTORE_ORIGIN_MAX = 255,
};

struct keystore_key {
    enum keystore_type type;
    bool test_mode;
    uint32_t number; /* organiser (ticket), event (gate), 0 else */
    uint8_t id[16];  /* endpoint (webhook), zero else */
    uint32_t generation;
    int64_t created_ms;
    struct ed25519_key ed25519; /* ticket, log, webhook; a gate key is its seed, public key zero */
    uint32_t kid;               /* ticket and gate: credential's key id */
    int32_t previous;           /* index of the generation before, -1 */
};

struct keystore {
    const struct disk *disk;
    const struct clock *clock;
    struct secret32 box_key;
    struct keystore_key *keys; /* guarded memory, cap entries */
    size_t count, cap;
    struct table newest; /* by type, number, id */
    char origin[KEYSTORE_ORIGIN_MAX + 1];
};

/*
 * Load. ERR_NOT_FOUND "no_file" when there is no keystore yet; ERR_DENIED "wrong_master_key"; ERR_CORRUPT "bad_keystore".
 * keystore_done in any case.
 */
RESULT keystore_open(const struct disk *disk, const struct clock *clock,
                     const struct secret32 *master, struct keystore *ret_store);
/* A first one, with a log key for this origin. Nothing may be on the disk. */
RESULT keystore_create(const struct disk *disk, const struct clock *clock,
                       const struct secret32 *master, const char *origin,
                       struct keystore *ret_store);
void keystore_done(struct keystore *k);

/* The newest key; NULL when there is none. id is NULL but for webhooks. Good until the next key is added. */
const struct keystore_key *keystore_find(const struct keystore *k, enum keystore_type type,
                                         bool test_mode, uint32_t number, const uint8_t *id);
/* The ticket key of that organiser with this kid, any generation. */
const struct keystore_key *keystore_find_kid(const struct keystore *k, bool test_mode,
                                             uint32_t number, uint32_t kid);
const struct keystore_key *keystore_previous(const struct keystore *k,
                                             const struct keystore_key *key);
/* Make the next generation (the first, if there is none), durably. ERR_LIMIT "too_many_keys". */
RESULT keystore_add(struct keystore *k, enum keystore_type type, bool test_mode, uint32_t number,
                    const uint8_t *id, const struct keystore_key **ret_key);
/* The newest, made when there is none. */
RESULT keystore_need(struct keystore *k, enum keystore_type type, bool test_mode, uint32_t number,
                     const uint8_t *id, const struct keystore_key **ret_key);

#endif
