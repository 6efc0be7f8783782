/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_ENCODE_BASE45_H
#define GROUND_ENCODE_BASE45_H

/* base45 - bytes as QR alphanumeric text (RFC 9285), strict: upper case only, and one text for each byte string. */
#include "ground/base/span.h"

void base45_put(struct buf *b, struct span bytes);
/* At most out_max bytes into out. ERR_INVALID "bad_base45", ERR_LIMIT "too_large". */
RESULT base45_decode(struct span text, uint8_t *out, size_t out_max, size_t *ret_len);

#endif
