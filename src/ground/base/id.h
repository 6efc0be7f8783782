/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_ID_H
#define GROUND_BASE_ID_H

/*
 * id - 128-bit names of things, chosen by the caller, unguessable.
 *
 * In memory and in the store an id is 16 bytes; outside it is a prefix, '_' and 26 characters of lower-case Crockford
 * base32 ("ord_01j9..."). Each kind is its own one-field struct, so that the compiler refuses a swap. New ids begin with 48
 * bits of Unix milliseconds (so that index pages fill in order) and end with 80 random bits (RFC 9562 version 7 without its
 * version marks).
 */
#include <stdint.h>

#include "ground/base/clock.h"
#include "ground/base/result.h"
#include "ground/base/rng.h"
#include "ground/base/span.h"

enum { ID_BYTES = 16, ID_TEXT_MAX = 32 }; /* prefix 3 + '_' + 26 + NUL fits */

#define ID(kind, prefix)                                                                           \
    struct kind##_id {                                                                             \
        uint8_t b[ID_BYTES];                                                                       \
    };
#include "ground/base/ids.def"
#undef ID

/* Write "prefix_" and the 26 characters; out holds ID_TEXT_MAX. */
void id_format(const char *prefix, const uint8_t id[ID_BYTES], char *out);
/* ERR_INVALID "bad_id" unless it is exactly that prefix and a canonical body. */
RESULT id_parse(const char *prefix, struct span text, uint8_t ret_id[ID_BYTES]);
void id_make(const struct clock *clock, const struct rng *rng, uint8_t ret_id[ID_BYTES]);
bool id_is_zero(const uint8_t id[ID_BYTES]);
/* When it says that it was made: the word of whoever made it. */
int64_t id_made_ms(const uint8_t id[ID_BYTES]);

/* order_id_format(id, out), order_id_parse(text, &id), order_id_make(clock, rng), ... for every kind in ids.def */
#define ID(kind, prefix)                                                                           \
    static inline void kind##_id_format(struct kind##_id id, char *out)                            \
    {                                                                                              \
        id_format(prefix, id.b, out);                                                              \
    }                                                                                              \
    static inline RESULT kind##_id_parse(struct span text, struct kind##_id *ret_id)               \
    {                                                                                              \
        return id_parse(prefix, text, ret_id->b);                                                  \
    }                                                                                              \
    static inline struct kind##_id kind##_id_make(const struct clock *clock,                       \
                                                  const struct rng *rng)                           \
    {                                                                                              \
        struct kind##_id id;                                                                       \
        id_make(clock, rng, id.b);                                                                 \
        return id;                                                                                 \
    }                                                                                              \
    static inline bool kind##_id_eq(struct kind##_id a, struct kind##_id b)                        \
    {                                                                                              \
        return __builtin_memcmp(a.b, b.b, ID_BYTES) == 0;                                          \
    }
#include "ground/base/ids.def"
#undef ID

#endif
