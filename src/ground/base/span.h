/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_SPAN_H
#define GROUND_BASE_SPAN_H

/*
 * span, cursor, buf - how bytes travel.
 *
 * A span is borrowed bytes. A cursor reads a span and cannot run past its end. A buf is an owned, growing run of bytes with
 * a hard maximum; it is sticky: after the first append that would pass the maximum (or run out of memory) nothing more is
 * written and buf_check says so, so that writers append freely and check once.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ground/base/result.h"

struct span {
    const uint8_t *data; /* may be NULL when len is 0 */
    size_t len;
};

#define SPAN_LIT(text) ((struct span){(const uint8_t *)(text), sizeof(text) - 1})
#define SPAN_ARRAY(array) ((struct span){(const uint8_t *)(array), sizeof(array)})
#define SPAN_FMT "%.*s" /* with SPAN_ARG: only for text known to be printable */
#define SPAN_ARG(s) (int)(s).len, (const char *)(s).data

struct span span_of(const void *data, size_t len);
struct span span_text(const char *text); /* NULL gives an empty span */
bool span_eq(struct span a, struct span b);
bool span_eq_text(struct span a, const char *text);
/* ASCII case-insensitive. */
bool span_ieq_text(struct span a, const char *text);
bool span_starts(struct span a, const char *prefix);
/* Part of s; clamped to its bounds. */
struct span span_sub(struct span s, size_t from, size_t len);
/* Index of the first byte c, or s.len. */
size_t span_find(struct span s, uint8_t c);
/* Copy as a terminated string; ERR_LIMIT when it does not fit, ERR_INVALID when it holds a NUL. */
RESULT span_to_text(struct span s, char *out, size_t out_size);

struct cursor {
    struct span rest;
};
RESULT cursor_u8(struct cursor *c, uint8_t *ret_value);
RESULT cursor_u16be(struct cursor *c, uint16_t *ret_value);
RESULT cursor_u32be(struct cursor *c, uint32_t *ret_value);
RESULT cursor_u64be(struct cursor *c, uint64_t *ret_value);
/* Take n bytes; borrowed from the cursor's span. */
RESULT cursor_take(struct cursor *c, size_t n, struct span *ret_span);
/* Copy exactly n bytes. */
RESULT cursor_copy(struct cursor *c, void *out, size_t n);

struct buf {
    uint8_t *data;
    size_t len, cap, max;
    bool failed;
};

/* An empty buf that will hold at most max bytes; nothing is allocated yet. */
void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);          /* wipes and frees; NULL and twice are fine */
void buf_reset(struct buf *b);         /* empties, keeps the memory */
RESULT buf_check(const struct buf *b); /* ERR_LIMIT once an append was refused */
/* Not to be called: what buf_put does when there is no room yet. */
void buf_put_growing(struct buf *b, const void *data, size_t len);
static inline void buf_put(struct buf *b, const void *data, size_t len)
{
    if (b->failed || len >= b->cap - b->len) {
        buf_put_growing(b, data, len);
        return;
    }
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
}
void buf_put_span(struct buf *b, struct span s);
void buf_put_text(struct buf *b, const char *text);
static inline void buf_put_u8(struct buf *b, uint8_t v)
{
    buf_put(b, &v, 1);
}
void buf_put_u16be(struct buf *b, uint16_t v);
void buf_put_u32be(struct buf *b, uint32_t v);
void buf_put_u64be(struct buf *b, uint64_t v);
void buf_put_i64_text(struct buf *b, int64_t v); /* decimal */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for n more bytes to be written in place, counted at once; NULL when refused. */
uint8_t *buf_grow(struct buf *b, size_t n);
struct span buf_span(const struct buf *b);
/* The content as a terminated string (the terminator is not counted); "" when failed. */
const char *buf_text(struct buf *b);

void put_u16be(uint8_t *out, uint16_t v);
void put_u32be(uint8_t *out, uint32_t v);
void put_u64be(uint8_t *out, uint64_t v);
uint16_t get_u16be(const uint8_t *in);
uint32_t get_u32be(const uint8_t *in);
uint64_t get_u64be(const uint8_t *in);

/* Strict decimal, no sign but an optional leading '-', no leading zeros, no spaces. ERR_INVALID otherwise or out of range. */
RESULT text_to_i64(struct span s, int64_t *ret_value);
RESULT text_to_u64(struct span s, uint64_t *ret_value);

/* Overwrite memory in a way the compiler keeps. */
void wipe(void *data, size_t len);

#endif
