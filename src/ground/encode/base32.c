/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/encode/base32.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

void base32_put(struct buf *b, struct span bytes)
{
    uint32_t bits = 0;
    unsigned count = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        bits = (bits << 8 | bytes.data[i]) & 0xffff;
        for (count += 8; count >= 5; count -= 5)
            buf_put_u8(b, (uint8_t)alphabet[bits >> (count - 5) & 31]);
    }
    if (count > 0)
        buf_put_u8(b, (uint8_t)alphabet[bits << (5 - count) & 31]);
}

enum err base32_decode(struct span text, uint8_t *out, size_t out_max, size_t *ret_len)
{
    uint32_t bits = 0;
    unsigned count = 0;
    size_t at = 0, tail = text.len % 8;

    ENSURE(tail != 1 && tail != 3 && tail != 6, ERR_INVALID, "bad_base32",
           "Not base32: a character is missing.");
    ENSURE(text.len / 8 * 5 + tail * 5 / 8 <= out_max, ERR_LIMIT, "too_large",
           "More than %zu bytes.", out_max);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool letter = c >= 'A' && c <= 'Z';
        ENSURE(letter || (c >= '2' && c <= '7'), ERR_INVALID, "bad_base32",
               "Not base32: a character outside its alphabet.");
        bits = (bits << 5 | (uint32_t)(letter ? c - 'A' : c - '2' + 26)) & 0xffff;
        count += 5;
        if (count >= 8) {
            count -= 8;
            out[at++] = (uint8_t)(bits >> count);
        }
    }
    ENSURE((bits & ((1u << count) - 1)) == 0, ERR_INVALID, "bad_base32",
           "Not base32: the unused bits are not zero.");
    *ret_len = at;
    return OK;
}
