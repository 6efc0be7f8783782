/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_ENCODE_HEX_H
#define GROUND_ENCODE_HEX_H

/* hex - bytes as lower-case hexadecimal. The decoder takes lower case only. */
#include "ground/base/span.h"

void hex_put(struct buf *b, struct span bytes);
/* out holds 2 * bytes.len + 1. */
void hex_format(struct span bytes, char *out);
/* At most out_max bytes into out. ERR_INVALID "bad_hex", ERR_LIMIT "too_large". */
RESULT hex_decode(struct span text, uint8_t *out, size_t out_max, size_t *ret_len);

#endif
