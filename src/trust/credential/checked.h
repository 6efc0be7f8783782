/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_CREDENTIAL_CHECKED_H
#define TRUST_CREDENTIAL_CHECKED_H

/*
 * checked - tickets whose issuer signature was right once, so that the next reader does not compute it again.
 *
 * Kept is SHA-256 over the issuer's public key and the whole ticket, its signature included: only the very bytes that passed are found
 * again, and only for whom the same key still counts. In this process's memory alone; bounded: what was crowded out is computed again. Any
 * number of threads.
 */
#include "ground/crypto/crypto.h"

enum { CHECKED_WAYS = 4 }; /* places where one digest may stand */

struct checked_tickets;
/* max: a power of two, at least CHECKED_WAYS; 32 bytes each. ERR_NOMEM. */
RESULT checked_tickets_new(size_t max, struct checked_tickets **ret_checked);
void checked_tickets_free(struct checked_tickets *c);

/* What stands for a ticket, COSE_Sign1 as it was signed. */
void checked_digest(const uint8_t issuer[ED25519_PUBLIC_BYTES], struct span ticket,
                    uint8_t ret_digest[SHA256_BYTES]);
bool checked_tickets_has(struct checked_tickets *c, const uint8_t digest[SHA256_BYTES]);
/* Only after its signature was found right. */
void checked_tickets_add(struct checked_tickets *c, const uint8_t digest[SHA256_BYTES]);

#endif
