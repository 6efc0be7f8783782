/* SPDX-License-Identifier: Apache-2.0 */
/* What decodes must encode to the very same text, in every strict alphabet there is. */
#include "ground/encode/base32.h"
#include "ground/encode/base45.h"
#include "ground/encode/base64.h"
#include "ground/encode/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef enum err decode_fn(struct span text, uint8_t *out, size_t out_max, size_t *ret_len);
typedef void put_fn(struct buf *b, struct span bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        decode_fn *decode;
        put_fn *put;
    } kinds[] = {{base45_decode, base45_put},
                 {base64_decode, base64_put},
                 {base64url_decode, base64url_put},
                 {base32_decode, base32_put},
                 {hex_decode, hex_put}};
    uint8_t out[2048];
    size_t len;

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (kinds[i].decode(span_of(data, size), out, sizeof out, &len) != OK)
            continue;
        AUTO(buf_done) struct buf again;
        buf_init(&again, 8192);
        kinds[i].put(&again, span_of(out, len));
        INVARIANT(span_eq(buf_span(&again), span_of(data, size)), "one text for each bytes");
    }
    return 0;
}
