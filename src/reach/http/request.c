/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/http/request.h"

#include <string.h>

struct span http_field(const struct http_request *r, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < r->field_count; i++)
        if (r->fields[i].name.len == len && span_ieq_text(r->fields[i].name, name))
            return r->fields[i].value;
    return (struct span){0};
}

struct span http_param(const struct http_request *r, const char *name)
{
    for (size_t i = 0; i < r->param_count; i++)
        if (span_eq_text(r->params[i].name, name))
            return r->params[i].value;
    return (struct span){0};
}

static struct span trim(struct span s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = span_sub(s, 1, s.len - 1);
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Take the part of *list before the separator. */
static struct span next_part(struct span *list, uint8_t separator)
{
    size_t end = span_find(*list, separator);
    struct span part = trim(span_sub(*list, 0, end));
    *list = end == list->len ? (struct span){0} : span_sub(*list, end + 1, list->len - end - 1);
    return part;
}

enum err http_cookie(const struct http_request *r, const char *name, struct span *ret_value)
{
    struct span list = http_field(r, "Cookie"), value = {0};
    while (list.len > 0) {
        struct span part = next_part(&list, ';');
        size_t equals = span_find(part, '=');
        if (equals == part.len || !span_eq_text(span_sub(part, 0, equals), name))
            continue;
        ENSURE(!value.data, ERR_INVALID, "bad_cookie", "A cookie was sent twice.");
        value = span_sub(part, equals + 1, part.len - equals - 1);
    }
    ENSURE(value.data, ERR_NOT_FOUND, "no_cookie", "There is no such cookie.");
    *ret_value = value;
    return OK;
}

bool http_etag_matches(struct span if_none_match, struct span etag)
{
    struct span list = if_none_match;
    if (span_eq_text(trim(list), "*"))
        return true;
    while (list.len > 0) {
        struct span part = next_part(&list, ',');
        if (span_starts(part, "W/"))
            part = span_sub(part, 2, part.len - 2);
        if (span_eq(part, etag))
            return true;
    }
    return false;
}

/* "q=0", "q=0.0", ...: the coding is named to be refused. */
static bool weight_is_zero(struct span parameter)
{
    if (!span_starts(parameter, "q=") && !span_starts(parameter, "Q="))
        return false;
    for (size_t i = 2; i < parameter.len; i++)
        if (parameter.data[i] != '0' && parameter.data[i] != '.')
            return false;
    return true;
}

bool http_accepts_coding(const struct http_request *r, const char *coding)
{
    struct span list = http_field(r, "Accept-Encoding");
    while (list.len > 0) {
        struct span item = next_part(&list, ',');
        struct span name = next_part(&item, ';');
        if (span_ieq_text(name, coding))
            return !weight_is_zero(next_part(&item, ';'));
    }
    return false;
}
