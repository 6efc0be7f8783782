/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_KEYRING_KEYRING_H
#define TRUST_KEYRING_KEYRING_H

/*
 * keyring - the keys that make stored data readable, and the one way to make it unreadable for good.
 *
 * Every person has a random key (K_person); its destruction is the erasure of that person. Shows, tenants and the
 * installation have scope keys (K_event, K_event_tickets, K_tenant of a year, K_site). All of them lie in the database,
 * wrapped under a weekly epoch key. Epoch keys lie in one key file outside of the database, sealed under the installation's
 * master key. Whoever has the database alone reads noise; whoever has an old backup of it reads noise once the epoch keys of
 * that time are dropped.
 * What it is not: it signs nothing (trust/signer) and knows no entry format (trust/ledger).
 *
 * Invariants:
 *   K1  an epoch key is durable in the key file before a row that needs it can commit;
 *   K2  an erased person's key is nowhere: not in the database, not in this process. Commands remember the few keys they used
 *       last (each ledger entry needs three), in secret memory; erasing forgets them, and snapshots remember nothing;
 *   K3  a sealed column opens only as the same column of the same person.
 *
 * Any thread may call; the tx is the caller's. Errors of the store pass through.
 */
#include "ground/base/base.h"
#include "ground/crypto/crypto.h"
#include "store/store/store.h"

struct keyring;

enum keyring_scope {
    SCOPE_SITE = 1,          /* subject 0 */
    SCOPE_TENANT = 2,        /* subject keyring_tenant_subject(organiser_no, time) */
    SCOPE_EVENT = 3,         /* subject event_no */
    SCOPE_EVENT_TICKETS = 4, /* subject event_no */
};

enum { KEYRING_SEAL_OVERHEAD = SEALED_BOX_OVERHEAD };

struct keyring_config {
    const struct disk *disk;
    const char *path;      /* of the key file on that disk */
    const uint8_t *master; /* SECRET_BYTES; copied into secret memory */
    const struct clock *clock;
    const struct rng *rng;
    bool
        may_create; /* only for a new installation: a missing key file is otherwise ERR_CORRUPT "no_key_file" */
};

/* ERR_DENIED "bad_seal" when the master key is another one or the file was altered; ERR_CORRUPT "no_key_file". */
RESULT keyring_open(const struct keyring_config *config, struct keyring **ret_keyring);
void keyring_close(struct keyring *kr);

/* A new person row with a fresh key. Write transaction only. */
RESULT keyring_person_create(struct store_tx *tx, struct keyring *kr, int64_t *ret_person_no);
/* Destroys K_person. Write transaction only. Erasing twice is fine; ERR_NOT_FOUND "no_person". The entry is the caller's. */
RESULT keyring_person_erase(struct store_tx *tx, struct keyring *kr, int64_t person_no);
/* ERR_EXPIRED "erased" when the key was destroyed; ERR_NOT_FOUND "no_person". For the ledger; columns use the two below. */
RESULT keyring_person_key(struct store_tx *tx, struct keyring *kr, int64_t person_no,
                          struct secret32 *ret_key);

/* Appends plain.len + KEYRING_SEAL_OVERHEAD bytes. column names the place, e.g. "account.mail". Fails as person_key does. */
RESULT keyring_seal_column(struct store_tx *tx, struct keyring *kr, int64_t person_no,
                           const char *column, struct span plain, struct buf *out);
/* Appends the plain bytes. ERR_EXPIRED "erased"; ERR_CORRUPT "bad_column" when it is not this person's column. */
RESULT keyring_open_column(struct store_tx *tx, struct keyring *kr, int64_t person_no,
                           const char *column, struct span sealed, struct buf *out);

/* Keyed hash for finding what is only stored sealed (mail addresses). The caller normalises the text first. */
void keyring_lookup_hash(struct keyring *kr, const char *domain, struct span text,
                         uint8_t ret_hash[SHA256_BYTES]);

/* ERR_NOT_FOUND "no_scope_key" when there is none (never made, or destroyed). */
RESULT keyring_scope_key(struct store_tx *tx, struct keyring *kr, enum keyring_scope scope,
                         int64_t subject_no, struct secret32 *ret_key);
/* The same, made when there is none. Write transaction only. */
RESULT keyring_scope_key_make(struct store_tx *tx, struct keyring *kr, enum keyring_scope scope,
                              int64_t subject_no, struct secret32 *ret_key);
/* The subject of SCOPE_TENANT: the organiser and the UTC year of the time. */
int64_t keyring_tenant_subject(int64_t organiser_no, int64_t at_ms);

/*
 * Weekly care, so that old backups of the database become unreadable: re-wrap at most rows_max keys under the newest epoch
 * (write transaction; ret_left tells whether to call again), and when none is left and it is committed, drop every epoch key
 * that no committed row needs and that is older than keep_ms (read snapshot). A new epoch begins by itself every week.
 */
RESULT keyring_rewrap(struct store_tx *tx, struct keyring *kr, size_t rows_max, bool *ret_left);
RESULT keyring_drop_epochs(struct store_tx *snapshot, struct keyring *kr, int64_t keep_ms,
                           size_t *ret_dropped);

#endif
