/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_SIGNER_APPROVAL_H
#define TRUST_SIGNER_APPROVAL_H

/*
 * approval - the owner's word that an event may have more places, given at the machine and not through the server.
 *
 * File "approvals": records of 64 bytes, u32 event | u32 places | u32 capacity | u32 0 | i64 time | u64 0 | HMAC-SHA256 of those 32
 * bytes under a key derived from the master key. Written by the admin command, read by the signer when a limit is to be raised.
 */
#include "ground/base/base.h"
#include "ground/crypto/crypto.h"

struct approval {
    uint32_t event_no, places, capacity;
};

enum { APPROVALS_MAX = 65536 };

/* Adds a record. ERR_LIMIT "too_many_approvals". */
RESULT approval_add(const struct disk *disk, const struct clock *clock,
                    const struct secret32 *master, const struct approval *approval);
/* Does some approval of this event cover at least these? ERR_CORRUPT "bad_approvals" when a record is not the owner's. */
RESULT approval_covers(const struct disk *disk, const struct secret32 *master,
                       const struct approval *wanted, bool *ret_covers);

#endif
