/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/courier/wire.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void wire_put_text(struct buf *b, struct span text)
{
    buf_put_u32be(b, (uint32_t)text.len);
    buf_put_span(b, text);
}

void wire_put_cstr(struct buf *b, const char *text)
{
    wire_put_text(b, span_text(text));
}

enum err wire_text(struct cursor *c, size_t max, struct span *ret_text)
{
    uint32_t len;

    TRY(cursor_u32be(c, &len));
    ENSURE(len <= max, ERR_INVALID, "bad_call", "A text of a message is too long.");
    return cursor_take(c, len, ret_text);
}

enum err wire_cstr(struct cursor *c, size_t max, char **ret_text)
{
    struct span s;

    TRY(wire_text(c, max, &s));
    free(*ret_text);
    *ret_text = NULL;
    if (s.len == 0)
        return OK;
    char *copy = malloc(s.len + 1);
    ENSURE(copy, ERR_NOMEM, "no_memory", "No memory.");
    enum err e = span_to_text(s, copy, s.len + 1);
    if (e != OK) {
        free(copy);
        return e;
    }
    *ret_text = copy;
    return OK;
}

void wire_put_answer(struct buf *b, const struct courier_answer *a)
{
    buf_put_u8(b, (uint8_t)a->outcome);
    buf_put_u16be(b, (uint16_t)a->status);
    buf_put_u32be(b, (uint32_t)a->retry_after_s);
    wire_put_cstr(b, a->request_id);
    wire_put_cstr(b, a->why);
    wire_put_text(b, a->body);
}

enum err wire_answer(struct span payload, struct courier_answer *ret_answer)
{
    struct cursor c = {payload};
    struct courier_answer a = {0};
    struct span id, why;
    uint8_t outcome;
    uint16_t status;
    uint32_t retry;

    TRY(cursor_u8(&c, &outcome));
    TRY(cursor_u16be(&c, &status));
    TRY(cursor_u32be(&c, &retry));
    TRY(wire_text(&c, COURIER_WORD_MAX - 1, &id));
    TRY(wire_text(&c, COURIER_WORD_MAX - 1, &why));
    TRY(wire_text(&c, COURIER_BODY_MAX, &a.body));
    ENSURE(outcome <= COURIER_UNCERTAIN && c.rest.len == 0, ERR_INVALID, "bad_answer",
           "The courier's answer cannot be read.");
    TRY(span_to_text(id, a.request_id, sizeof a.request_id));
    TRY(span_to_text(why, a.why, sizeof a.why));
    a.outcome = (enum courier_outcome)outcome;
    a.status = status;
    a.retry_after_s = retry;
    *ret_answer = a;
    return OK;
}

/* Why so narrow: behind an origin, '@', '\', '#' or a dot segment can make another request of a path. */
enum err wire_check_path(struct span path)
{
    ENSURE(path.len > 0 && path.len <= COURIER_PATH_MAX && path.data[0] == '/', ERR_INVALID,
           "bad_call", "A path begins with a slash and is short.");
    for (size_t i = 0; i < path.len; i++) {
        int c = path.data[i];
        ENSURE(isalnum(c) || (c != 0 && strchr("-._~/?=&%[]+,:", c)), ERR_INVALID, "bad_call",
               "A path holds a character that it may not.");
        bool after_slash = i > 0 && path.data[i - 1] == '/';
        ENSURE(!after_slash || (c != '.' && c != '/'), ERR_INVALID, "bad_call",
               "A path holds an empty or dotted segment.");
    }
    return OK;
}

enum err wire_check_header(struct span name, struct span value)
{
    ENSURE(name.len > 0 && name.len < COURIER_WORD_MAX && value.len > 0 && value.len <= 512,
           ERR_INVALID, "bad_call", "A header of a call is empty or too long.");
    for (size_t i = 0; i < name.len; i++)
        ENSURE(isalnum(name.data[i]) || name.data[i] == '-', ERR_INVALID, "bad_call",
               "A header's name holds a character that it may not.");
    for (size_t i = 0; i < value.len; i++)
        ENSURE(value.data[i] >= 0x20 && value.data[i] < 0x7F, ERR_INVALID, "bad_call",
               "A header's value holds a character that it may not.");
    ENSURE(!span_ieq_text(name, "authorization") && !span_ieq_text(name, "host") &&
               !span_ieq_text(name, "content-length") && !span_ieq_text(name, "transfer-encoding"),
           ERR_INVALID, "bad_call", "This header is the courier's own.");
    return OK;
}

enum err wire_check_address(struct span a)
{
    size_t at = span_find(a, '@');

    ENSURE(a.len <= COURIER_ADDRESS_MAX && at > 0 && at + 1 < a.len, ERR_INVALID, "bad_call",
           "The address cannot be mailed to.");
    for (size_t i = 0; i < a.len; i++)
        ENSURE(a.data[i] > 0x20 && a.data[i] != 0x7F && !strchr("<>\"(),;:\\[]", a.data[i]),
               ERR_INVALID, "bad_call", "The address cannot be mailed to.");
    return OK;
}

enum err wire_check_name(struct span name)
{
    ENSURE(name.len > 0 && name.len < COURIER_WORD_MAX, ERR_INVALID, "bad_call",
           "The mail's name is empty or too long.");
    for (size_t i = 0; i < name.len; i++)
        ENSURE(isalnum(name.data[i]) || name.data[i] == '_' || name.data[i] == '-', ERR_INVALID,
               "bad_call", "The mail's name holds a character that it may not.");
    return OK;
}
