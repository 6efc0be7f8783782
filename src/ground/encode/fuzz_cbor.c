/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever passes cbor_check must be read by libcbor to its last byte and be written again by it as the same bytes. */
#include <cbor.h>
#include <stdlib.h>
#include <string.h>

#include "ground/encode/cbor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (cbor_check(span_of(data, size)) != OK)
        return 0;
    for (size_t i = 0; i < size; i++)
        if (data[i] >= 0xc6 && data[i] <= 0xd4)
            return 0; /* perhaps a short tag, which libcbor 0.8 does not know */
    struct cbor_load_result result;
    cbor_item_t *item = cbor_load(data, size, &result);
    INVARIANT(item && result.read == size, "libcbor reads what passes here");
    unsigned char *again = NULL;
    size_t again_size = 0, again_len = cbor_serialize_alloc(item, &again, &again_size);
    INVARIANT(again_len == size && memcmp(again, data, size) == 0, "there is one encoding");
    free(again);
    cbor_decref(&item);
    return 0;
}
