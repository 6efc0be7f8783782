/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_ENCODE_BASE32_H
#define GROUND_ENCODE_BASE32_H

/*
 * base32 - RFC 4648 section 6, upper case, without padding: the form in which authenticator apps take a TOTP secret. The
 * decoder is strict (upper case, no padding, unused bits zero). Ids are another alphabet: ground/base/id.h.
 */
#include "ground/base/span.h"

void base32_put(struct buf *b, struct span bytes);
/* At most out_max bytes into out. ERR_INVALID "bad_base32", ERR_LIMIT "too_large". */
RESULT base32_decode(struct span text, uint8_t *out, size_t out_max, size_t *ret_len);

#endif
