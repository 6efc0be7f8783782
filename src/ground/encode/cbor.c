/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/encode/cbor.h"

#include <string.h>

#include "ground/base/utf8.h"

enum { SIMPLE_FALSE = 20, SIMPLE_TRUE = 21, SIMPLE_NULL = 22 };

#define ENSURE_CBOR(condition, why) ENSURE(condition, ERR_INVALID, "bad_cbor", "Bad CBOR: " why)

static void put_head(struct buf *b, enum cbor_kind kind, uint64_t value)
{
    uint8_t top = (uint8_t)(kind << 5);

    if (value < 24) {
        buf_put_u8(b, (uint8_t)(top | value));
    } else if (value <= UINT8_MAX) {
        buf_put_u8(b, top | 24);
        buf_put_u8(b, (uint8_t)value);
    } else if (value <= UINT16_MAX) {
        buf_put_u8(b, top | 25);
        buf_put_u16be(b, (uint16_t)value);
    } else if (value <= UINT32_MAX) {
        buf_put_u8(b, top | 26);
        buf_put_u32be(b, (uint32_t)value);
    } else {
        buf_put_u8(b, top | 27);
        buf_put_u64be(b, value);
    }
}

void cbor_put_uint(struct buf *b, uint64_t value)
{
    put_head(b, CBOR_UINT, value);
}

void cbor_put_int(struct buf *b, int64_t value)
{
    if (value >= 0)
        put_head(b, CBOR_UINT, (uint64_t)value);
    else
        put_head(b, CBOR_NEGINT, (uint64_t)(-1 - value));
}

void cbor_put_bytes(struct buf *b, struct span bytes)
{
    put_head(b, CBOR_BYTES, bytes.len);
    buf_put_span(b, bytes);
}

void cbor_put_text(struct buf *b, struct span text)
{
    put_head(b, CBOR_TEXT, text.len);
    buf_put_span(b, text);
}

void cbor_put_array(struct buf *b, uint64_t count)
{
    put_head(b, CBOR_ARRAY, count);
}

void cbor_put_map(struct buf *b, uint64_t pairs)
{
    put_head(b, CBOR_MAP, pairs);
}

void cbor_put_tag(struct buf *b, uint64_t tag)
{
    put_head(b, CBOR_TAG, tag);
}

void cbor_put_bool(struct buf *b, bool value)
{
    put_head(b, CBOR_SIMPLE, value ? SIMPLE_TRUE : SIMPLE_FALSE);
}

struct head {
    enum cbor_kind kind;
    uint64_t value; /* the integer, length, count, tag or simple value */
};

static enum err read_head(struct cursor *c, struct head *ret_head)
{
    uint8_t first, v8;
    uint16_t v16;
    uint32_t v32;
    uint64_t value, least;

    TRY(cursor_u8(c, &first));
    uint8_t info = first & 31;
    ret_head->kind = (enum cbor_kind)(first >> 5);
    switch (info) {
    case 24:
        TRY(cursor_u8(c, &v8));
        value = v8;
        least = 24;
        break;
    case 25:
        TRY(cursor_u16be(c, &v16));
        value = v16;
        least = UINT8_MAX + 1;
        break;
    case 26:
        TRY(cursor_u32be(c, &v32));
        value = v32;
        least = UINT16_MAX + 1;
        break;
    case 27:
        TRY(cursor_u64be(c, &value));
        least = UINT64_C(1) << 32;
        break;
    default:
        ENSURE_CBOR(info < 24, "an indefinite length or a reserved head.");
        value = info;
        least = 0;
        break;
    }
    ENSURE_CBOR(value >= least, "a number that is not in its shortest form.");
    ENSURE_CBOR(ret_head->kind != CBOR_SIMPLE ||
                    (info < 24 && value >= SIMPLE_FALSE && value <= SIMPLE_NULL),
                "floating point or an unknown simple value.");
    ret_head->value = value;
    return OK;
}

static enum err take_item(struct cursor *c, int depth, struct span *ret_item);

static bool keys_in_order(struct span a, struct span b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.data, b.data, n);
    return order < 0 || (order == 0 && a.len < b.len);
}

static enum err take_map(struct cursor *c, uint64_t pairs, int depth)
{
    struct span last = {0}, key;

    for (uint64_t i = 0; i < pairs; i++) {
        TRY(take_item(c, depth, &key));
        ENSURE_CBOR(i == 0 || keys_in_order(last, key), "map keys out of order or twice.");
        last = key;
        TRY(take_item(c, depth, NULL));
    }
    return OK;
}

/* One item with everything inside it. Recursion is bounded by CBOR_DEPTH_MAX, loops by the bytes there are. */
static enum err take_item(struct cursor *c, int depth, struct span *ret_item)
{
    struct cursor begin = *c;
    struct head h;
    struct span inside;

    TRY(read_head(c, &h));
    if (h.kind == CBOR_BYTES || h.kind == CBOR_TEXT) {
        ENSURE_CBOR(h.value <= c->rest.len, "a string longer than the data.");
        TRY(cursor_take(c, (size_t)h.value, &inside));
        ENSURE_CBOR(h.kind == CBOR_BYTES || utf8_valid(inside), "text that is not UTF-8.");
    } else if (h.kind == CBOR_ARRAY || h.kind == CBOR_MAP || h.kind == CBOR_TAG) {
        uint64_t count = h.kind == CBOR_TAG ? 1 : h.value;
        ENSURE_CBOR(depth < CBOR_DEPTH_MAX, "nested too deeply.");
        ENSURE_CBOR(count <= c->rest.len, "more items than data.");
        if (h.kind == CBOR_MAP)
            TRY(take_map(c, count, depth + 1));
        else
            for (uint64_t i = 0; i < count; i++)
                TRY(take_item(c, depth + 1, NULL));
    }
    if (ret_item)
        *ret_item = span_sub(begin.rest, 0, begin.rest.len - c->rest.len);
    return OK;
}

enum err cbor_check(struct span bytes)
{
    struct cursor c = {bytes};

    TRY(take_item(&c, 0, NULL));
    ENSURE_CBOR(c.rest.len == 0, "bytes after the item.");
    return OK;
}

enum err cbor_open(struct span bytes, struct cbor_reader *ret_reader)
{
    TRY(cbor_check(bytes));
    ret_reader->in.rest = bytes;
    return OK;
}

enum err cbor_peek(const struct cbor_reader *r, enum cbor_kind *ret_kind)
{
    ENSURE_CBOR(r->in.rest.len > 0, "it ends too early.");
    *ret_kind = (enum cbor_kind)(r->in.rest.data[0] >> 5);
    return OK;
}

/* The reader moves only when the kind is right. */
static enum err expect(struct cbor_reader *r, enum cbor_kind kind, uint64_t max, uint64_t *ret)
{
    struct cursor c = r->in;
    struct head h;

    TRY(read_head(&c, &h));
    ENSURE_CBOR(h.kind == kind, "another kind of item is expected.");
    ENSURE_CBOR(h.value <= max, "a value out of its range.");
    r->in = c;
    *ret = h.value;
    return OK;
}

enum err cbor_read_uint(struct cbor_reader *r, uint64_t max, uint64_t *ret_value)
{
    return expect(r, CBOR_UINT, max, ret_value);
}

enum err cbor_read_int(struct cbor_reader *r, int64_t *ret_value)
{
    enum cbor_kind kind;
    uint64_t value;

    TRY(cbor_peek(r, &kind));
    TRY(expect(r, kind == CBOR_NEGINT ? CBOR_NEGINT : CBOR_UINT, INT64_MAX, &value));
    *ret_value = kind == CBOR_NEGINT ? -1 - (int64_t)value : (int64_t)value;
    return OK;
}

static enum err read_string(struct cbor_reader *r, enum cbor_kind kind, size_t max,
                            struct span *ret)
{
    uint64_t len;
    TRY(expect(r, kind, max, &len));
    return cursor_take(&r->in, (size_t)len, ret);
}

enum err cbor_read_bytes(struct cbor_reader *r, size_t max, struct span *ret_bytes)
{
    return read_string(r, CBOR_BYTES, max, ret_bytes);
}

enum err cbor_read_text(struct cbor_reader *r, size_t max, struct span *ret_text)
{
    return read_string(r, CBOR_TEXT, max, ret_text);
}

enum err cbor_read_array(struct cbor_reader *r, uint64_t max, uint64_t *ret_count)
{
    return expect(r, CBOR_ARRAY, max, ret_count);
}

enum err cbor_read_map(struct cbor_reader *r, uint64_t max, uint64_t *ret_pairs)
{
    return expect(r, CBOR_MAP, max, ret_pairs);
}

enum err cbor_read_tag(struct cbor_reader *r, uint64_t *ret_tag)
{
    return expect(r, CBOR_TAG, UINT64_MAX, ret_tag);
}

enum err cbor_read_bool(struct cbor_reader *r, bool *ret_value)
{
    struct cbor_reader ahead = *r;
    uint64_t simple;

    TRY(expect(&ahead, CBOR_SIMPLE, SIMPLE_TRUE, &simple));
    *r = ahead;
    *ret_value = simple == SIMPLE_TRUE;
    return OK;
}

enum err cbor_skip(struct cbor_reader *r, struct span *ret_item)
{
    struct span item;
    TRY(take_item(&r->in, 0, &item));
    if (ret_item)
        *ret_item = item;
    return OK;
}

enum err cbor_end(const struct cbor_reader *r)
{
    ENSURE_CBOR(r->in.rest.len == 0, "more items than expected.");
    return OK;
}
