/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/ledger/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct checkpoint c;
    AUTO(buf_done) struct buf again;
    char origin[NOTE_NAME_MAX + 1];

    buf_init(&again, size + NOTE_BYTES_MAX);
    if (checkpoint_parse(span_of(data, size), &c) != OK)
        return 0;
    struct vkey key;
    static const uint8_t zeros[32];
    if (span_to_text(c.origin, origin, sizeof origin) != OK ||
        vkey_make(origin, NOTE_ED25519, zeros, &key) != OK)
        return 0;
    /* What was parsed and has no extension lines is written again byte for byte. */
    checkpoint_format(&again, origin, c.size, &c.root);
    INVARIANT(again.len <= size && span_eq(buf_span(&again), span_of(data, again.len)),
              "one text for a checkpoint");
    return 0;
}
