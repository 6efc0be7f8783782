/* SPDX-License-Identifier: Apache-2.0 */
#include "prog/sandbox/form.h"

#include "ground/base/base.h"

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum err decode(struct span in, struct arena *arena, struct span *ret)
{
    uint8_t *out = arena_alloc(arena, in.len + 1);
    size_t n = 0;

    ENSURE(out, ERR_LIMIT, "bad_form", "The form is too long.");
    for (size_t i = 0; i < in.len; i++) {
        int c = in.data[i] == '+' ? ' ' : in.data[i];
        if (c == '%') {
            int high = i + 2 < in.len ? hex_digit(in.data[i + 1]) : -1;
            int low = i + 2 < in.len ? hex_digit(in.data[i + 2]) : -1;
            ENSURE(high >= 0 && low >= 0, ERR_INVALID, "bad_form", "A bad escape in the form.");
            c = high * 16 + low;
            i += 2;
        }
        ENSURE(c != 0, ERR_INVALID, "bad_form", "A NUL in the form.");
        out[n++] = (uint8_t)c;
    }
    *ret = span_of(out, n);
    ENSURE(utf8_valid(*ret), ERR_INVALID, "bad_form", "The form is not UTF-8.");
    return OK;
}

enum err form_add(struct form *f, struct span name, struct span value)
{
    ENSURE(f->count < FORM_FIELDS_MAX, ERR_INVALID, "bad_form", "The form has too many fields.");
    for (size_t i = 0; i < f->count; i++)
        ENSURE(!span_eq(f->fields[i].name, name), ERR_INVALID, "bad_form",
               "A field of the form comes twice.");
    f->fields[f->count++] = (struct form_field){.name = name, .value = value};
    return OK;
}

enum err form_parse(struct span body, struct arena *arena, struct form *ret_form)
{
    struct span name, value;

    ret_form->count = 0;
    while (body.len > 0) {
        size_t end = span_find(body, '&');
        struct span pair = span_sub(body, 0, end);
        size_t eq = span_find(pair, '=');
        body = span_sub(body, end + 1, body.len);
        if (pair.len == 0)
            continue;
        TRY(decode(span_sub(pair, 0, eq), arena, &name));
        TRY(decode(span_sub(pair, eq + 1, pair.len), arena, &value));
        TRY(form_add(ret_form, name, value));
    }
    return OK;
}

struct span form_get(struct form *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++) {
        if (span_eq_text(f->fields[i].name, name)) {
            f->fields[i].used = true;
            return f->fields[i].value;
        }
    }
    return (struct span){0};
}

const struct form_field *form_unused(const struct form *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (!f->fields[i].used)
            return &f->fields[i];
    return NULL;
}
