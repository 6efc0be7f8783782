/* SPDX-License-Identifier: Apache-2.0 */
/* Claims that the signer accepts are written back byte for byte: a message has one meaning, and one claims hash. */
#include <stdlib.h>

#include "trust/signer/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_done) struct buf again = {0};
    struct cursor in = {span_of(data, size)};
    struct ticket_claims claims;

    if (wire_get_claims(&in, &claims) != OK)
        return 0;
    buf_init(&again, 512);
    wire_put_claims(&again, &claims);
    if (buf_check(&again) != OK || !span_eq(buf_span(&again), span_of(data, size - in.rest.len)))
        abort();
    return 0;
}
