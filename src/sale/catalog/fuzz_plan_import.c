/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/catalog/packed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was imported goes out and comes in again as the same plan. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(plan_free) struct plan *p = NULL, *again = NULL;
    AUTO(packed_free) struct packed *packed = NULL;
    AUTO(buf_done) struct buf source, first, second;
    struct plan_repairs repairs;

    buf_init(&source, 64 << 20);
    buf_init(&first, PACKED_MAX);
    buf_init(&second, PACKED_MAX);
    if (plan_import(span_of(data, size), &p, &repairs) != OK || plan_pack(p, &first) != OK)
        return 0;
    INVARIANT(plan_unpack(buf_span(&first), &packed) == OK, "what is packed unpacks");
    INVARIANT(plan_export(p, true, &source) == OK, "what was imported is written");
    if (source.len > PLAN_SOURCE_MAX)
        return 0;
    INVARIANT(plan_import(buf_span(&source), &again, &repairs) == OK, "what is written is read");
    INVARIANT(plan_pack(again, &second) == OK && span_eq(buf_span(&first), buf_span(&second)),
              "a plan comes back as it went");
    return 0;
}
