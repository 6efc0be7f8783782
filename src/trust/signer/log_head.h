/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_SIGNER_LOG_HEAD_H
#define TRUST_SIGNER_LOG_HEAD_H

/*
 * log_head - the last (size, root) of the ledger that was signed, kept outside the database, so that neither a restored backup
 * nor a compromised server can have two histories signed.
 *
 * File "log_head": "GHLH" 1 | u64 size | 32 root | HMAC-SHA256 of all before under a key derived from the master key. Replaced
 * and fsynced before a signature leaves the process. Its loss is an error, never a new beginning.
 */
#include "ground/base/base.h"
#include "ground/crypto/crypto.h"
#include "trust/ledger/merkle.h"

struct log_head {
    const struct disk *disk;
    struct secret32 key;
    uint64_t size; /* 0: nothing signed yet */
    struct merkle_hash root;
};

/* ERR_NOT_FOUND "no_file", ERR_CORRUPT "bad_log_head". */
RESULT log_head_open(const struct disk *disk, const struct secret32 *master,
                     struct log_head *ret_head);
RESULT log_head_create(const struct disk *disk, const struct secret32 *master,
                       struct log_head *ret_head);
/*
 * Move on to a tree that provably begins with the last one, durably. The same size and root again is OK and changes nothing.
 * ERR_CONFLICT: "log_stale" old_size is not what was signed last; "log_rollback" the new tree is smaller; "log_fork" it is no
 * continuation.
 */
RESULT log_head_advance(struct log_head *head, uint64_t old_size, uint64_t new_size,
                        const struct merkle_hash *new_root, const struct merkle_hash *proof,
                        size_t proof_count);

#endif
