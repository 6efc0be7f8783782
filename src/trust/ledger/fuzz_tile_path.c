/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/ledger/tile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tile_path p;
    char again[TILE_PATH_MAX];

    if (tile_path_parse(span_of(data, size), &p) == OK) {
        tile_path_format(&p, again);
        INVARIANT(span_eq_text(span_of(data, size), again), "one spelling of a tile path");
    }
    return 0;
}
