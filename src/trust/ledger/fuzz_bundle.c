/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/ledger/tile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct merkle_hash hashes[TILE_WIDTH];
    AUTO(buf_done) struct buf again;
    struct cursor c = {span_of(data, size)};
    struct span entry;
    unsigned n = 0;

    buf_init(&again, size);
    while (c.rest.len > 0 && n < TILE_WIDTH && bundle_next(&c, &entry) == OK) {
        bundle_put(&again, entry);
        n++;
    }
    INVARIANT(span_eq(buf_span(&again), span_sub(span_of(data, size), 0, again.len)),
              "one form of a bundle");
    bool whole = again.len == size;
    INVARIANT((bundle_hashes(span_of(data, size), n, hashes) == OK) == whole,
              "a bundle ends where its entries do");
    return 0;
}
