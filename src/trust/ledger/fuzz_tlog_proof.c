/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/ledger/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tlog_proof p;
    (void)!tlog_proof_parse(span_of(data, size), &p);
    return 0;
}
