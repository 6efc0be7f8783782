/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_ENCODE_CBOR_H
#define GROUND_ENCODE_CBOR_H

/*
 * cbor - the deterministic part of CBOR (RFC 8949 section 4.2.1) and nothing else: integers, byte and text strings, arrays,
 * maps, tags, true, false and null.
 *
 * Two byte strings that mean the same are the same bytes, so that what was signed cannot be written in a second way.
 * Refused: indefinite lengths, lengths and integers that are not in their shortest form, map keys out of bytewise order or
 * twice, floating point, other simple values, text that is not UTF-8, nesting past CBOR_DEPTH_MAX, bytes after the item.
 *
 * Why not libcbor's decoder, which DESIGN names: version 0.8 accepts 19 00 01 for 1, so the head of every item would have to
 * be read again here, and it refuses the short tags 6 to 20, which are COSE's own. Reading a head is all that there is to
 * do. The tests hold libcbor against this reader as a second opinion.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ground/base/span.h"

enum { CBOR_DEPTH_MAX = 8 };

/* --- Writing: sticky, as the buf is. Map keys in order are the caller's duty; cbor_check tells. --------------------- */

void cbor_put_uint(struct buf *b, uint64_t value);
void cbor_put_int(struct buf *b, int64_t value);
void cbor_put_bytes(struct buf *b, struct span bytes);
void cbor_put_text(struct buf *b, struct span text);
void cbor_put_array(struct buf *b, uint64_t count); /* count items follow */
void cbor_put_map(struct buf *b, uint64_t pairs);   /* pairs of key and value follow */
void cbor_put_tag(struct buf *b, uint64_t tag);     /* one item follows */
void cbor_put_bool(struct buf *b, bool value);

/* --- Reading -------------------------------------------------------------------------------------------------------- */

enum cbor_kind {
    CBOR_UINT,
    CBOR_NEGINT,
    CBOR_BYTES,
    CBOR_TEXT,
    CBOR_ARRAY,
    CBOR_MAP,
    CBOR_TAG,
    CBOR_SIMPLE
};

/* Exactly one deterministic item and nothing after it. ERR_INVALID "bad_cbor". */
RESULT cbor_check(struct span bytes);

/* A place in a checked item. Containers are flat: cbor_read_array(r, &n), then n reads. */
struct cbor_reader {
    struct cursor in;
};
/* Checks all of it first. */
RESULT cbor_open(struct span bytes, struct cbor_reader *ret_reader);
/* Kind of the next item; ERR_INVALID at the end. */
RESULT cbor_peek(const struct cbor_reader *r, enum cbor_kind *ret_kind);
/* ERR_INVALID "bad_cbor" when the next item is of another kind or out of the range. */
RESULT cbor_read_uint(struct cbor_reader *r, uint64_t max, uint64_t *ret_value);
RESULT cbor_read_int(struct cbor_reader *r, int64_t *ret_value);
RESULT cbor_read_bytes(struct cbor_reader *r, size_t max, struct span *ret_bytes);
RESULT cbor_read_text(struct cbor_reader *r, size_t max, struct span *ret_text);
RESULT cbor_read_array(struct cbor_reader *r, uint64_t max, uint64_t *ret_count);
RESULT cbor_read_map(struct cbor_reader *r, uint64_t max, uint64_t *ret_pairs);
RESULT cbor_read_tag(struct cbor_reader *r, uint64_t *ret_tag);
RESULT cbor_read_bool(struct cbor_reader *r, bool *ret_value);
/* Passes over one item, whatever it is; ret_item (may be NULL) is its bytes. */
RESULT cbor_skip(struct cbor_reader *r, struct span *ret_item);
/* ERR_INVALID "bad_cbor" unless everything has been read. */
RESULT cbor_end(const struct cbor_reader *r);

#endif
