/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/ledger/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct note n;
    struct vkey key = {.name = "n", .type = NOTE_COSIGNATURE};

    if (note_parse(span_of(data, size), &n) == OK) {
        key.id = n.signatures[0].key_id;
        (void)!note_verify(&n, &key, 1, NULL, NULL);
    }
    return 0;
}
