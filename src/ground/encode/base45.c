/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/encode/base45.h"

static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

void base45_put(struct buf *b, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i += 2) {
        bool pair = i + 1 < bytes.len;
        unsigned n = pair ? get_u16be(bytes.data + i) : bytes.data[i];
        char out[3] = {alphabet[n % 45], alphabet[n / 45 % 45], alphabet[n / 2025 % 45]};
        buf_put(b, out, pair ? 3 : 2);
    }
}

/* 45 when it is none of the 45. */
static unsigned digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A') + 10;
    for (unsigned i = 36; i < 45; i++)
        if (alphabet[i] == (char)c)
            return i;
    return 45;
}

enum err base45_decode(struct span text, uint8_t *out, size_t out_max, size_t *ret_len)
{
    size_t len = text.len / 3 * 2 + text.len % 3 / 2;

    ENSURE(text.len % 3 != 1, ERR_INVALID, "bad_base45", "Not base45: a character is missing.");
    ENSURE(len <= out_max, ERR_LIMIT, "too_large", "More than %zu bytes.", out_max);
    for (size_t i = 0, at = 0; i < text.len; i += 3) {
        bool pair = text.len - i >= 3;
        unsigned a = digit(text.data[i]), b = digit(text.data[i + 1]);
        unsigned c = pair ? digit(text.data[i + 2]) : 0;
        unsigned n = a + b * 45 + c * 2025;
        ENSURE(a < 45 && b < 45 && c < 45, ERR_INVALID, "bad_base45",
               "Not base45: a character outside its alphabet.");
        ENSURE(n <= (pair ? UINT16_MAX : UINT8_MAX), ERR_INVALID, "bad_base45",
               "Not base45: a group out of range.");
        if (pair)
            out[at++] = (uint8_t)(n >> 8);
        out[at++] = (uint8_t)n;
    }
    *ret_len = len;
    return OK;
}
