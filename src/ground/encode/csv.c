/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/encode/csv.h"

void csv_init(struct csv_writer *w, struct buf *out)
{
    *w = (struct csv_writer){.out = out};
}

static void field_begins(struct csv_writer *w)
{
    if (w->in_row)
        buf_put_u8(w->out, ',');
    w->in_row = true;
}

static bool looks_like_formula(struct span s)
{
    while (s.len > 0 && s.data[0] == ' ')
        s = span_sub(s, 1, s.len);
    if (s.len == 0)
        return false;
    switch (s.data[0]) {
    case '=':
    case '+':
    case '-':
    case '@':
    case '\t':
    case '\r':
    case '\n':
    case '\0':
        return true;
    default:
        /* U+FF1D, U+FF0B, U+FF0D, U+FF20 */
        return span_starts(s, "\xef\xbc\x9d") || span_starts(s, "\xef\xbc\x8b") ||
               span_starts(s, "\xef\xbc\x8d") || span_starts(s, "\xef\xbc\xa0");
    }
}

static bool needs_quotes(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] == ',' || s.data[i] == '"' || s.data[i] == ';' || s.data[i] < 0x20)
            return true;
    return s.len > 0 && (s.data[0] == ' ' || s.data[s.len - 1] == ' ');
}

void csv_text(struct csv_writer *w, struct span text)
{
    bool quotes = needs_quotes(text);

    field_begins(w);
    if (quotes)
        buf_put_u8(w->out, '"');
    if (looks_like_formula(text))
        buf_put_u8(w->out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"')
            buf_put_u8(w->out, '"');
        buf_put_u8(w->out, text.data[i]);
    }
    if (quotes)
        buf_put_u8(w->out, '"');
}

void csv_cstr(struct csv_writer *w, const char *text)
{
    csv_text(w, span_text(text));
}

void csv_i64(struct csv_writer *w, int64_t value)
{
    field_begins(w);
    buf_put_i64_text(w->out, value);
}

void csv_row_end(struct csv_writer *w)
{
    buf_put_text(w->out, "\r\n");
    w->in_row = false;
}
