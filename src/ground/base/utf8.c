/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/base/utf8.h"

/* The next code point of s at *at; -1 when ill-formed. */
static int32_t next_point(struct span s, size_t *at)
{
    static const int32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint8_t first = s.data[*at];
    int more = first < 0x80                    ? 0
               : first >= 0xc2 && first < 0xe0 ? 1
               : first >= 0xe0 && first < 0xf0 ? 2
                                               : 3;
    int32_t point;

    if (first >= 0x80 && (first < 0xc2 || first > 0xf4))
        return -1;
    if (s.len - *at < (size_t)more + 1)
        return -1;
    point = more == 0 ? first : first & (0x3f >> more);
    for (int i = 1; i <= more; i++) {
        uint8_t c = s.data[*at + (size_t)i];
        if ((c & 0xc0) != 0x80)
            return -1;
        point = point << 6 | (c & 0x3f);
    }
    if (point < least[more] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
        return -1;
    *at += (size_t)more + 1;
    return point;
}

bool utf8_valid(struct span s)
{
    for (size_t at = 0; at < s.len;)
        if (next_point(s, &at) < 0)
            return false;
    return true;
}

size_t utf8_count(struct span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += (s.data[i] & 0xc0) != 0x80;
    return n;
}

static bool unwanted(int32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || (c >= 0x200b && c <= 0x200f) || c == 0x2028 ||
           c == 0x2029 || c == 0x00ad || c == 0x061c || c == 0x180e || c == 0xfeff ||
           (c >= 0xe0000 && c <= 0xe007f) || (c & 0xfffe) == 0xfffe;
}

static enum err check(struct span s, size_t max_chars, const char *pointer, bool paragraph)
{
    size_t n = 0;

    for (size_t at = 0; at < s.len; n++) {
        int32_t c = next_point(s, &at);
        ENSURE_AT(c >= 0, pointer, ERR_INVALID, "bad_text", "Text must be valid UTF-8.");
        ENSURE_AT(!unwanted(c) || (paragraph && c == '\n'), pointer, ERR_INVALID, "bad_text",
                  "Text must not hold control, invisible or direction-changing characters.");
    }
    ENSURE_AT(n <= max_chars, pointer, ERR_INVALID, "bad_text", "Text has at most %zu characters.",
              max_chars);
    return OK;
}

enum err utf8_check_line(struct span s, size_t max_chars, const char *pointer)
{
    TRY(check(s, max_chars, pointer, false));
    ENSURE_AT(s.len > 0, pointer, ERR_INVALID, "bad_text", "Text must not be empty.");
    ENSURE_AT(s.data[0] != ' ' && s.data[s.len - 1] != ' ', pointer, ERR_INVALID, "bad_text",
              "Text must not begin or end with a space.");
    return OK;
}

enum err utf8_check_paragraph(struct span s, size_t max_chars, const char *pointer)
{
    return check(s, max_chars, pointer, true);
}
