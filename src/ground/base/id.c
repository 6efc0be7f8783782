/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/base/id.h"

#include <string.h>

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
enum { BODY_CHARS = 26 };

void id_format(const char *prefix, const uint8_t id[ID_BYTES], char *out)
{
    size_t n = strlen(prefix);
    unsigned acc = 0;
    int bits = 2; /* 26 characters hold 130 bits: two leading zero bits */

    INVARIANT(n == 3, "an id prefix has three letters");
    memcpy(out, prefix, n);
    out[n++] = '_';
    for (size_t i = 0; i < ID_BYTES; i++) {
        acc = acc << 8 | id[i];
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            out[n++] = digits[acc >> bits & 31];
        }
        acc &= (1u << bits) - 1;
    }
    out[n] = '\0';
}

/* Where it stands in digits, or -1. The letters i, l, o and u are none. */
static int digit_value(uint8_t c)
{
    static const int8_t letters[26] = {10, 11, 12, 13, 14, 15, 16, 17, -1, 18, 19, -1, 20,
                                       21, -1, 22, 23, 24, 25, 26, -1, 27, 28, 29, 30, 31};

    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'z' ? letters[c - 'a'] : -1;
}

enum err id_parse(const char *prefix, struct span text, uint8_t ret_id[ID_BYTES])
{
    uint8_t id[ID_BYTES];
    unsigned acc = 0;
    size_t at = 0;
    int bits = -2;

    ENSURE(text.len == 4 + BODY_CHARS && span_starts(text, prefix) && text.data[3] == '_',
           ERR_INVALID, "bad_id", "An id of this kind is %s_ and 26 characters.", prefix);
    for (size_t i = 4; i < text.len; i++) {
        int v = digit_value(text.data[i]);
        ENSURE(v >= 0 && (i > 4 || v < 8), ERR_INVALID, "bad_id",
               "An id of this kind is %s_ and 26 characters.", prefix);
        acc = acc << 5 | (unsigned)v;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            id[at++] = (uint8_t)(acc >> bits);
            acc &= (1u << bits) - 1;
        }
    }
    memcpy(ret_id, id, ID_BYTES);
    return OK;
}

void id_make(const struct clock *clock, const struct rng *rng, uint8_t ret_id[ID_BYTES])
{
    uint64_t now_ms = (uint64_t)clock_now_ms(clock);
    uint8_t time[8];

    put_u64be(time, now_ms);
    memcpy(ret_id, time + 2, 6);
    rng_fill(rng, ret_id + 6, ID_BYTES - 6);
}

int64_t id_made_ms(const uint8_t id[ID_BYTES])
{
    return (int64_t)(get_u64be(id) >> 16);
}

bool id_is_zero(const uint8_t id[ID_BYTES])
{
    uint8_t any = 0;
    for (size_t i = 0; i < ID_BYTES; i++)
        any |= id[i];
    return any == 0;
}
