/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_ENCODE_BASE64_H
#define GROUND_ENCODE_BASE64_H

/*
 * base64 - RFC 4648: the standard alphabet with padding, and the URL-safe one without. Decoders are strict: no spaces, no
 * other alphabet, padding exactly as the encoder writes it, unused bits zero; one text for each byte string.
 */
#include "ground/base/span.h"

void base64_put(struct buf *b, struct span bytes);
void base64url_put(struct buf *b, struct span bytes);
/* At most out_max bytes into out. ERR_INVALID "bad_base64", ERR_LIMIT "too_large". */
RESULT base64_decode(struct span text, uint8_t *out, size_t out_max, size_t *ret_len);
RESULT base64url_decode(struct span text, uint8_t *out, size_t out_max, size_t *ret_len);

#endif
