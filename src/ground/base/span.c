/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/base/span.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct span span_of(const void *data, size_t len)
{
    return (struct span){data, len};
}

struct span span_text(const char *text)
{
    return (struct span){(const uint8_t *)text, text ? strlen(text) : 0};
}

bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool span_eq_text(struct span a, const char *text)
{
    return span_eq(a, span_text(text));
}

bool span_ieq_text(struct span a, const char *text)
{
    return a.len == strlen(text) &&
           (a.len == 0 || strncasecmp((const char *)a.data, text, a.len) == 0);
}

bool span_starts(struct span a, const char *prefix)
{
    size_t n = strlen(prefix);
    return a.len >= n && (n == 0 || memcmp(a.data, prefix, n) == 0);
}

struct span span_sub(struct span s, size_t from, size_t len)
{
    if (from > s.len)
        from = s.len;
    if (len > s.len - from)
        len = s.len - from;
    return (struct span){s.data ? s.data + from : NULL, len};
}

size_t span_find(struct span s, uint8_t c)
{
    const uint8_t *p = s.len ? memchr(s.data, c, s.len) : NULL;
    return p ? (size_t)(p - s.data) : s.len;
}

enum err span_to_text(struct span s, char *out, size_t out_size)
{
    ENSURE(s.len < out_size, ERR_LIMIT, "too_long", "Text of %zu bytes, at most %zu.", s.len,
           out_size - 1);
    ENSURE(span_find(s, 0) == s.len, ERR_INVALID, "bad_text", "Text holds a NUL byte.");
    if (s.len)
        memcpy(out, s.data, s.len);
    out[s.len] = '\0';
    return OK;
}

enum err cursor_take(struct cursor *c, size_t n, struct span *ret_span)
{
    ENSURE(n <= c->rest.len, ERR_INVALID, "truncated", "Data ends too early.");
    *ret_span = (struct span){c->rest.data, n};
    c->rest = (struct span){c->rest.data ? c->rest.data + n : NULL, c->rest.len - n};
    return OK;
}

enum err cursor_copy(struct cursor *c, void *out, size_t n)
{
    struct span s;
    TRY(cursor_take(c, n, &s));
    if (n)
        memcpy(out, s.data, n);
    return OK;
}

enum err cursor_u8(struct cursor *c, uint8_t *ret_value)
{
    return cursor_copy(c, ret_value, 1);
}

enum err cursor_u16be(struct cursor *c, uint16_t *ret_value)
{
    struct span s;
    TRY(cursor_take(c, 2, &s));
    *ret_value = get_u16be(s.data);
    return OK;
}

enum err cursor_u32be(struct cursor *c, uint32_t *ret_value)
{
    struct span s;
    TRY(cursor_take(c, 4, &s));
    *ret_value = get_u32be(s.data);
    return OK;
}

enum err cursor_u64be(struct cursor *c, uint64_t *ret_value)
{
    struct span s;
    TRY(cursor_take(c, 8, &s));
    *ret_value = get_u64be(s.data);
    return OK;
}

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_done(struct buf *b)
{
    if (!b)
        return;
    if (b->data) {
        wipe(b->data, b->cap);
        free(b->data);
    }
    *b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

enum err buf_check(const struct buf *b)
{
    ENSURE(!b->failed, ERR_LIMIT, "too_large", "More than %zu bytes.", b->max);
    return OK;
}

/* Room for n more bytes and a terminator. */
static bool buf_reserve(struct buf *b, size_t n)
{
    uint8_t *grown;
    size_t cap;

    if (b->failed || n > b->max - b->len) {
        b->failed = true;
        return false;
    }
    if (b->len + n < b->cap)
        return true;
    cap = b->cap ? b->cap * 2 : 256;
    if (cap < b->len + n + 1)
        cap = b->len + n + 1;
    if (cap > b->max + 1)
        cap = b->max + 1;
    grown = malloc(cap);
    if (!grown) {
        b->failed = true;
        return false;
    }
    if (b->data) {
        memcpy(grown, b->data, b->len);
        wipe(b->data, b->cap);
        free(b->data);
    }
    b->data = grown;
    b->cap = cap;
    return true;
}

uint8_t *buf_grow(struct buf *b, size_t n)
{
    uint8_t *at;
    if (!buf_reserve(b, n))
        return NULL;
    at = b->data + b->len;
    b->len += n;
    return at;
}

void buf_put_growing(struct buf *b, const void *data, size_t len)
{
    uint8_t *at = buf_grow(b, len);
    if (at && len)
        memcpy(at, data, len);
}

void buf_put_span(struct buf *b, struct span s)
{
    buf_put(b, s.data, s.len);
}

void buf_put_text(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

void buf_put_u16be(struct buf *b, uint16_t v)
{
    uint8_t *at = buf_grow(b, 2);
    if (at)
        put_u16be(at, v);
}

void buf_put_u32be(struct buf *b, uint32_t v)
{
    uint8_t *at = buf_grow(b, 4);
    if (at)
        put_u32be(at, v);
}

void buf_put_u64be(struct buf *b, uint64_t v)
{
    uint8_t *at = buf_grow(b, 8);
    if (at)
        put_u64be(at, v);
}

void buf_put_i64_text(struct buf *b, int64_t v)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

    do {
        digits[--at] = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (v < 0)
        digits[--at] = '-';
    buf_put(b, digits + at, sizeof digits - at);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        b->failed = true;
    else if (buf_reserve(b, (size_t)n)) {
        (void)vsnprintf((char *)b->data + b->len, (size_t)n + 1, format, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

struct span buf_span(const struct buf *b)
{
    return (struct span){b->data, b->len};
}

const char *buf_text(struct buf *b)
{
    if (!buf_reserve(b, 0))
        return "";
    b->data[b->len] = '\0';
    return (const char *)b->data;
}

void put_u16be(uint8_t *out, uint16_t v)
{
    out[0] = (uint8_t)(v >> 8);
    out[1] = (uint8_t)v;
}

void put_u32be(uint8_t *out, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(v >> (24 - 8 * i));
}

void put_u64be(uint8_t *out, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (56 - 8 * i));
}

uint16_t get_u16be(const uint8_t *in)
{
    return (uint16_t)(in[0] << 8 | in[1]);
}

uint32_t get_u32be(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

uint64_t get_u64be(const uint8_t *in)
{
    return (uint64_t)get_u32be(in) << 32 | get_u32be(in + 4);
}

enum err text_to_u64(struct span s, uint64_t *ret_value)
{
    uint64_t v = 0;

    ENSURE(s.len > 0 && s.len <= 20 && (s.data[0] != '0' || s.len == 1), ERR_INVALID, "bad_number",
           "Not a plain decimal number.");
    for (size_t i = 0; i < s.len; i++) {
        ENSURE(s.data[i] >= '0' && s.data[i] <= '9', ERR_INVALID, "bad_number",
               "Not a plain decimal number.");
        ENSURE(!__builtin_mul_overflow(v, 10u, &v) &&
                   !__builtin_add_overflow(v, (uint64_t)(s.data[i] - '0'), &v),
               ERR_INVALID, "bad_number", "Number out of range.");
    }
    *ret_value = v;
    return OK;
}

enum err text_to_i64(struct span s, int64_t *ret_value)
{
    uint64_t u;
    bool negative = s.len > 0 && s.data[0] == '-';

    TRY(text_to_u64(negative ? span_sub(s, 1, s.len) : s, &u));
    ENSURE(negative ? (u > 0 && u <= (uint64_t)INT64_MAX + 1) : u <= (uint64_t)INT64_MAX,
           ERR_INVALID, "bad_number", "Number out of range.");
    *ret_value = negative ? (int64_t)(0 - u) : (int64_t)u;
    return OK;
}

void wipe(void *data, size_t len)
{
    if (len)
        explicit_bzero(data, len);
}
