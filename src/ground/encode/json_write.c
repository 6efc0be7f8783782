/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ground/base/clock.h"
#include "ground/base/utf8.h"
#include "ground/encode/json.h"

void json_w_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

enum err json_w_finish(const struct json_writer *w)
{
    ENSURE(!w->failed && w->done, ERR_INVALID, "bad_text", "This cannot be written as JSON.");
    return buf_check(w->out);
}

static uint32_t level_bit(const struct json_writer *w)
{
    return UINT32_C(1) << (w->depth - 1);
}

/* What stands before any value: a comma where one is due. False when a value may not stand here. */
static bool value_begins(struct json_writer *w)
{
    if (w->failed || w->done)
        w->failed = true;
    else if (w->depth > 0 && !(w->arrays & level_bit(w))) {
        if (!w->after_key)
            w->failed = true;
        w->after_key = false;
    } else if (w->depth > 0) {
        if (w->nonempty & level_bit(w))
            buf_put_u8(w->out, ',');
        w->nonempty |= level_bit(w);
    }
    if (w->depth == 0)
        w->done = true;
    return !w->failed;
}

static void open_level(struct json_writer *w, bool array)
{
    if (!value_begins(w))
        return;
    if (w->depth == JSON_WRITE_DEPTH_MAX) {
        w->failed = true;
        return;
    }
    w->done = false;
    w->depth++;
    w->nonempty &= ~level_bit(w);
    if (array)
        w->arrays |= level_bit(w);
    else
        w->arrays &= ~level_bit(w);
    buf_put_u8(w->out, array ? '[' : '{');
}

void json_w_object(struct json_writer *w)
{
    open_level(w, false);
}

void json_w_array(struct json_writer *w)
{
    open_level(w, true);
}

void json_w_end(struct json_writer *w)
{
    if (w->depth == 0 || w->after_key) {
        w->failed = true;
        return;
    }
    buf_put_u8(w->out, w->arrays & level_bit(w) ? ']' : '}');
    w->depth--;
    w->done = w->depth == 0;
}

/*
 * How a byte is written: 0 as it is, 'u' as \u00XX (controls, and what has a meaning in HTML), 'n' not ASCII, '!' as \n, otherwise
 * backslash and that letter. A table, because every byte of every answer is looked up.
 */
/* clang-format off */
static const char byte_forms[256] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', '!', 'u', 'u', 'u', 'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
    0, 0, '"', 0, 0, 0, 'u', 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'u', 0, 'u', 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '\\', 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'u',
    'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n',
    'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n',
    'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n',
    'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n',
    'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n',
    'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n',
    'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n',
    'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n',
};
/* clang-format on */

static bool is_line_separator(struct span s, size_t at)
{
    return s.len - at >= 3 && s.data[at] == 0xe2 && s.data[at + 1] == 0x80 &&
           (s.data[at + 2] == 0xa8 || s.data[at + 2] == 0xa9);
}

static void put_escape(struct buf *out, char form, uint8_t c)
{
    static const char digits[] = "0123456789abcdef";

    if (form == 'u') {
        char u[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        buf_put(out, u, sizeof u);
    } else {
        char two[2] = {'\\', form == '!' ? 'n' : (char)c};
        buf_put(out, two, sizeof two);
    }
}

static void put_quoted(struct json_writer *w, struct span s)
{
    size_t from = 0, at = 0;
    bool checked = false;

    buf_put_u8(w->out, '"');
    for (; at < s.len; at++) {
        char form = byte_forms[s.data[at]];
        if (form == 0)
            continue;
        if (form == 'n') {
            if (!checked && !utf8_valid(s)) {
                w->failed = true;
                return;
            }
            checked = true;
            if (!is_line_separator(s, at))
                continue;
            buf_put_span(w->out, span_sub(s, from, at - from));
            buf_put_text(w->out, s.data[at + 2] == 0xa8 ? "\\u2028" : "\\u2029");
            at += 2;
        } else {
            buf_put_span(w->out, span_sub(s, from, at - from));
            put_escape(w->out, form, s.data[at]);
        }
        from = at + 1;
    }
    buf_put_span(w->out, span_sub(s, from, at - from));
    buf_put_u8(w->out, '"');
}

void json_w_key(struct json_writer *w, const char *key)
{
    size_t len = strlen(key), n = 0;

    if (w->failed || w->depth == 0 || (w->arrays & level_bit(w)) || w->after_key) {
        w->failed = true;
        return;
    }
    if (w->nonempty & level_bit(w))
        buf_put_u8(w->out, ',');
    w->nonempty |= level_bit(w);
    w->after_key = true;
    /* The program's own keys are plain, and go out in one piece. */
    while (n < len && byte_forms[(uint8_t)key[n]] == 0)
        n++;
    uint8_t *at = n == len ? buf_grow(w->out, len + 3) : NULL;
    if (at) {
        at[0] = '"';
        memcpy(at + 1, key, len);
        at[len + 1] = '"';
        at[len + 2] = ':';
    } else if (n < len) {
        put_quoted(w, span_of(key, len));
        buf_put_u8(w->out, ':');
    }
}

void json_w_text(struct json_writer *w, struct span text)
{
    if (value_begins(w))
        put_quoted(w, text);
}

void json_w_cstr(struct json_writer *w, const char *text)
{
    if (text)
        json_w_text(w, span_text(text));
    else
        json_w_null(w);
}

void json_w_i64(struct json_writer *w, int64_t value)
{
    if (value_begins(w))
        buf_put_i64_text(w->out, value);
}

void json_w_bool(struct json_writer *w, bool value)
{
    if (value_begins(w))
        buf_put_text(w->out, value ? "true" : "false");
}

void json_w_null(struct json_writer *w)
{
    if (value_begins(w))
        buf_put_text(w->out, "null");
}

void json_w_raw(struct json_writer *w, struct span json)
{
    if (json.len == 0)
        w->failed = true;
    if (value_begins(w))
        buf_put_span(w->out, json);
}

void json_w_kv_text(struct json_writer *w, const char *key, struct span text)
{
    json_w_key(w, key);
    json_w_text(w, text);
}

void json_w_kv_cstr(struct json_writer *w, const char *key, const char *text)
{
    json_w_key(w, key);
    json_w_cstr(w, text);
}

void json_w_kv_i64(struct json_writer *w, const char *key, int64_t value)
{
    json_w_key(w, key);
    json_w_i64(w, value);
}

void json_w_kv_bool(struct json_writer *w, const char *key, bool value)
{
    json_w_key(w, key);
    json_w_bool(w, value);
}

void json_w_kv_time(struct json_writer *w, const char *key, int64_t at_ms)
{
    char text[TIME_TEXT_MAX];
    time_format(at_ms, text);
    json_w_kv_cstr(w, key, text);
}

void json_w_kv_object(struct json_writer *w, const char *key)
{
    json_w_key(w, key);
    json_w_object(w);
}

void json_w_kv_array(struct json_writer *w, const char *key)
{
    json_w_key(w, key);
    json_w_array(w);
}
