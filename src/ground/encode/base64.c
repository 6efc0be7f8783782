/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/encode/base64.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void put(struct buf *b, struct span s, const char *alphabet, bool padded)
{
    for (size_t i = 0; i < s.len; i += 3) {
        size_t n = s.len - i < 3 ? s.len - i : 3;
        uint32_t v = (uint32_t)s.data[i] << 16;
        if (n > 1)
            v |= (uint32_t)s.data[i + 1] << 8;
        if (n > 2)
            v |= s.data[i + 2];
        char out[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63], '=', '='};
        if (n > 1)
            out[2] = alphabet[v >> 6 & 63];
        if (n > 2)
            out[3] = alphabet[v & 63];
        buf_put(b, out, padded ? 4 : n + 1);
    }
}

void base64_put(struct buf *b, struct span bytes)
{
    put(b, bytes, standard, true);
}

void base64url_put(struct buf *b, struct span bytes)
{
    put(b, bytes, url_safe, false);
}

/* 64 when it is not in the alphabet, whose last two characters are given. */
static uint32_t digit(uint8_t c, const char *alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    return c == (uint8_t)alphabet[62] ? 62 : c == (uint8_t)alphabet[63] ? 63 : 64;
}

/* text without its padding */
static enum err decode(struct span text, const char *alphabet, uint8_t *out, size_t out_max,
                       size_t *ret_len)
{
    size_t len = text.len / 4 * 3 + (text.len % 4 ? text.len % 4 - 1 : 0), at = 0;

    ENSURE(text.len % 4 != 1, ERR_INVALID, "bad_base64", "Not base64: a character is missing.");
    ENSURE(len <= out_max, ERR_LIMIT, "too_large", "More than %zu bytes.", out_max);
    for (size_t i = 0; i < text.len; i += 4) {
        size_t n = text.len - i < 4 ? text.len - i : 4;
        uint32_t v = 0;
        for (size_t k = 0; k < 4; k++) {
            uint32_t d = k < n ? digit(text.data[i + k], alphabet) : 0;
            ENSURE(d < 64, ERR_INVALID, "bad_base64",
                   "Not base64: a character outside its alphabet.");
            v = v << 6 | d;
        }
        ENSURE(n == 4 || (v & (n == 3 ? 0xff : 0xffff)) == 0, ERR_INVALID, "bad_base64",
               "Not base64: the unused bits are not zero.");
        for (size_t k = 0; k + 1 < n; k++)
            out[at++] = (uint8_t)(v >> (16 - 8 * k));
    }
    *ret_len = len;
    return OK;
}

enum err base64_decode(struct span text, uint8_t *out, size_t out_max, size_t *ret_len)
{
    ENSURE(text.len % 4 == 0, ERR_INVALID, "bad_base64", "Not base64: the padding is missing.");
    for (int i = 0; i < 2 && text.len > 0 && text.data[text.len - 1] == '='; i++)
        text.len--;
    return decode(text, standard, out, out_max, ret_len);
}

enum err base64url_decode(struct span text, uint8_t *out, size_t out_max, size_t *ret_len)
{
    return decode(text, url_safe, out, out_max, ret_len);
}
