/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_LEDGER_MAC_H
#define TRUST_LEDGER_MAC_H

/* mac - HMAC-SHA256 with the key's two blocks hashed once, for the many small macs of one entry. Internal to ledger. */
#include "ground/crypto/crypto.h"

struct mac_key {
    struct sha256_state inner, outer;
};
void mac_key_init(struct mac_key *k, const uint8_t key[32]);
void mac_key_wipe(struct mac_key *k);
void mac(const struct mac_key *k, const struct span *parts, size_t count, uint8_t ret_mac[32]);
/* HKDF-Expand to 32 bytes with the key as PRK. */
void mac_expand(const struct mac_key *k, struct span info1, struct span info2, uint8_t ret_out[32]);

#endif
