/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/notify/mime.h"

#include <stdio.h>

#include "ground/base/base.h"
#include "ground/encode/base64.h"

enum { WORD_BYTES = 39, LINE_MAX_BYTES = 75 };

static bool is_plain(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < 0x20 || s.data[i] > 0x7E)
            return false;
    return s.len < 70 && !span_starts(s, "=?");
}

/* As many bytes as fit a word without cutting a character. */
static size_t word_len(struct span s)
{
    size_t n = s.len < WORD_BYTES ? s.len : WORD_BYTES;
    while (n < s.len && n > 1 && (s.data[n] & 0xC0) == 0x80)
        n--;
    return n;
}

void mime_put_header(struct buf *b, const char *name, struct span value)
{
    uint8_t word[WORD_BYTES];

    buf_put_text(b, name);
    buf_put_text(b, ":");
    if (is_plain(value)) {
        buf_put_text(b, " ");
        buf_put_span(b, value);
        buf_put_text(b, "\r\n");
        return;
    }
    while (value.len > 0) {
        size_t n = word_len(value);
        for (size_t i = 0; i < n; i++)
            word[i] = value.data[i] < 0x20 || value.data[i] == 0x7F ? ' ' : value.data[i];
        buf_put_text(b, " =?utf-8?B?");
        base64_put(b, span_of(word, n));
        value = span_sub(value, n, value.len);
        buf_put_text(b, value.len > 0 ? "?=\r\n" : "?=");
    }
    buf_put_text(b, "\r\n");
}

void mime_put_date(struct buf *b, int64_t at_ms)
{
    static const char days[] = "ThuFriSatSunMonTueWed"; /* from 1 January 1970 */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char t[TIME_TEXT_MAX];
    int64_t day = at_ms / (INT64_C(86400) * 1000);

    time_format(at_ms, t); /* 2026-11-23T16:00:00 */
    int month = (t[5] - '0') * 10 + (t[6] - '0');
    buf_printf(b, "Date: %.3s, %.2s %.3s %.4s %.8s +0000\r\n", days + 3 * (day % 7), t + 8,
               months + 3 * (month - 1), t, t + 11);
}

void mime_put_body(struct buf *b, struct span text)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t column = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool ends = i + 1 == text.len || text.data[i + 1] == '\n';
        bool raw = (c >= 0x21 && c <= 0x7E && c != '=') || (c == ' ' && !ends);
        if (c == '\n') {
            buf_put_text(b, "\r\n");
            column = 0;
            continue;
        }
        if (column + (raw ? 1 : 3) > LINE_MAX_BYTES) {
            buf_put_text(b, "=\r\n");
            column = 0;
        }
        if (raw) {
            buf_put_u8(b, c);
        } else {
            buf_put_u8(b, '=');
            buf_put_u8(b, (uint8_t)hex[c >> 4]);
            buf_put_u8(b, (uint8_t)hex[c & 15]);
        }
        column += raw ? 1 : 3;
    }
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void mime_read_body(struct buf *out, struct span body)
{
    for (size_t i = 0; i < body.len; i++) {
        struct span rest = span_sub(body, i, body.len);
        bool escaped = rest.len >= 3 && rest.data[0] == '=' && hex_digit(rest.data[1]) >= 0 &&
                       hex_digit(rest.data[2]) >= 0;
        if (span_starts(rest, "=\r\n")) {
            i += 2;
        } else if (span_starts(rest, "\r\n")) {
            buf_put_u8(out, '\n');
            i += 1;
        } else if (escaped) {
            buf_put_u8(out, (uint8_t)(hex_digit(rest.data[1]) << 4 | hex_digit(rest.data[2])));
            i += 2;
        } else {
            buf_put_u8(out, rest.data[0]);
        }
    }
}

/* An encoded word at the start of rest: its length, or 0 when there is none. */
static size_t read_word(struct buf *out, struct span rest)
{
    static const char opens[] = "=?utf-8?B?";
    uint8_t bytes[3 * WORD_BYTES];
    struct span body = span_sub(rest, sizeof opens - 1, rest.len);
    size_t end = span_find(body, '?'), len;

    if (!span_starts(rest, opens) || end + 1 >= body.len || body.data[end + 1] != '=' ||
        base64_decode(span_sub(body, 0, end), bytes, sizeof bytes, &len) != OK)
        return 0;
    buf_put(out, bytes, len);
    return sizeof opens - 1 + end + 2;
}

void mime_read_header(struct buf *out, struct span value)
{
    bool after_word = false;

    while (value.len > 0) {
        size_t blanks = 0;
        while (blanks < value.len && (value.data[blanks] == ' ' || value.data[blanks] == '\r' ||
                                      value.data[blanks] == '\n'))
            blanks++;
        struct span rest = span_sub(value, blanks, value.len);
        bool word = span_starts(rest, "=?utf-8?B?");
        if (blanks > 0 &&
            !(after_word &&
              word)) /* blanks between two encoded words are none (RFC 2047 section 6.2) */
            buf_put_u8(out, ' ');
        size_t n = word ? read_word(out, rest) : 0;
        after_word = n > 0;
        if (n == 0 && rest.len > 0) {
            buf_put_u8(out, rest.data[0]);
            n = 1;
        }
        value = span_sub(rest, n, rest.len);
    }
}
