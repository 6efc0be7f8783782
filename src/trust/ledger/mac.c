/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/ledger/mac.h"

#include <string.h>

void mac_key_init(struct mac_key *k, const uint8_t key[32])
{
    uint8_t block[64];

    memset(block, 0x36, sizeof block);
    for (size_t i = 0; i < 32; i++)
        block[i] ^= key[i];
    sha256_begin(&k->inner);
    sha256_add(&k->inner, SPAN_ARRAY(block));
    for (size_t i = 0; i < sizeof block; i++)
        block[i] ^= 0x36 ^ 0x5c;
    sha256_begin(&k->outer);
    sha256_add(&k->outer, SPAN_ARRAY(block));
    wipe(block, sizeof block);
}

void mac_key_wipe(struct mac_key *k)
{
    wipe(k, sizeof *k);
}

void mac(const struct mac_key *k, const struct span *parts, size_t count, uint8_t ret_mac[32])
{
    struct sha256_state s = k->inner;
    uint8_t inner[32];

    for (size_t i = 0; i < count; i++)
        sha256_add(&s, parts[i]);
    sha256_end(&s, inner);
    s = k->outer;
    sha256_add(&s, SPAN_ARRAY(inner));
    sha256_end(&s, ret_mac);
}

void mac_expand(const struct mac_key *k, struct span info1, struct span info2, uint8_t ret_out[32])
{
    static const uint8_t one = 1;
    struct span parts[] = {info1, info2, {&one, 1}};
    mac(k, parts, COUNT_OF(parts), ret_out);
}
