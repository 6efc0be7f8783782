/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/encode/hex.h"

static const char digits[] = "0123456789abcdef";

void hex_put(struct buf *b, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char two[2] = {digits[bytes.data[i] >> 4], digits[bytes.data[i] & 15]};
        buf_put(b, two, sizeof two);
    }
}

void hex_format(struct span bytes, char *out)
{
    for (size_t i = 0; i < bytes.len; i++) {
        *out++ = digits[bytes.data[i] >> 4];
        *out++ = digits[bytes.data[i] & 15];
    }
    *out = '\0';
}

/* 16 when it is no lower-case digit. */
static unsigned digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

enum err hex_decode(struct span text, uint8_t *out, size_t out_max, size_t *ret_len)
{
    ENSURE(text.len % 2 == 0, ERR_INVALID, "bad_hex", "Not hexadecimal: a digit is missing.");
    ENSURE(text.len / 2 <= out_max, ERR_LIMIT, "too_large", "More than %zu bytes.", out_max);
    for (size_t i = 0; i < text.len; i += 2) {
        unsigned high = digit(text.data[i]), low = digit(text.data[i + 1]);
        ENSURE(high < 16 && low < 16, ERR_INVALID, "bad_hex", "Not lower-case hexadecimal.");
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    *ret_len = text.len / 2;
    return OK;
}
