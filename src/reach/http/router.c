/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/http/router.h"

#include <stdlib.h>
#include <string.h>

enum { NODES_MAX = 8192 };

struct node {
    struct span literal;       /* of the edge that leads here */
    struct node *first, *next; /* literal children, siblings */
    struct node *any, *rest;   /* "{name}", "{name*}" */
    const struct http_route *routes[HTTP_METHOD_COUNT];
};

struct http_router {
    struct node *nodes; /* nodes[0] is the root */
    size_t count, max;
    struct http_route *routes;
};

static bool is_capture(struct span part)
{
    return part.len > 2 && part.data[0] == '{' && part.data[part.len - 1] == '}';
}

static bool is_rest(struct span part)
{
    return is_capture(part) && part.len > 3 && part.data[part.len - 2] == '*';
}

/* Take the part of *pattern after its '/' and before the next. */
static struct span next_part(struct span *pattern)
{
    struct span rest = span_sub(*pattern, 1, pattern->len - 1);
    size_t end = span_find(rest, '/');
    *pattern = span_sub(rest, end, rest.len - end);
    return span_sub(rest, 0, end);
}

static struct node *literal_child(const struct node *n, struct span part)
{
    for (struct node *c = n->first; c; c = c->next)
        if (span_eq(c->literal, part))
            return c;
    return NULL;
}

static struct node *child(struct http_router *r, struct node *n, struct span part)
{
    struct node **place = NULL, *found = NULL;
    if (is_rest(part))
        place = &n->rest;
    else if (is_capture(part))
        place = &n->any;
    found = place ? *place : literal_child(n, part);
    if (found)
        return found;
    INVARIANT(r->count < r->max, "nodes were counted before");
    found = &r->nodes[r->count++];
    if (place) {
        *place = found;
    } else {
        found->literal = part;
        found->next = n->first;
        n->first = found;
    }
    return found;
}

static enum err check_pattern(struct span pattern, size_t *parts)
{
    size_t captures = 0, count = 0;
    ENSURE(pattern.len > 0 && pattern.data[0] == '/', ERR_INVALID, "bad_pattern",
           "A route pattern begins with '/'.");
    while (pattern.len > 0) {
        struct span part = next_part(&pattern);
        bool braces = span_find(part, '{') < part.len || span_find(part, '}') < part.len;
        count++;
        captures += is_capture(part);
        ENSURE(!braces || is_capture(part), ERR_INVALID, "bad_pattern",
               "A capture is a whole segment.");
        ENSURE(!is_rest(part) || pattern.len == 0, ERR_INVALID, "bad_pattern",
               "A rest is the last segment.");
    }
    ENSURE(captures <= HTTP_CAPTURES_MAX && count <= HTTP_SEGMENTS_MAX, ERR_INVALID, "bad_pattern",
           "A route pattern has too many parts.");
    *parts += count;
    return OK;
}

static enum err add(struct http_router *r, const struct http_route *route)
{
    struct span pattern = span_text(route->pattern);
    struct node *n = &r->nodes[0];
    if (pattern.len > 1)
        while (pattern.len > 0)
            n = child(r, n, next_part(&pattern));
    ENSURE(!n->routes[route->method], ERR_CONFLICT, "route_twice", "%s %s is in the table twice.",
           http_method_name(route->method), route->pattern);
    n->routes[route->method] = route;
    return OK;
}

enum err http_router_open(const struct http_route *routes, size_t count,
                          struct http_router **ret_router)
{
    size_t parts = 1;
    for (size_t i = 0; i < count; i++) {
        ENSURE(routes[i].method < HTTP_METHOD_COUNT && routes[i].route, ERR_INVALID, "bad_pattern",
               "A route has a method and a meaning.");
        TRY(check_pattern(span_text(routes[i].pattern), &parts));
    }
    ENSURE(parts <= NODES_MAX, ERR_INVALID, "bad_pattern", "There are too many routes.");
    struct http_router *r = calloc(1, sizeof *r);
    ENSURE(r, ERR_NOMEM, "no_memory", "No memory for routes.");
    r->nodes = calloc(parts, sizeof *r->nodes);
    r->routes = calloc(count + 1, sizeof *r->routes);
    r->count = 1;
    r->max = parts;
    enum err code = r->nodes && r->routes ? OK : ERR_NOMEM;
    for (size_t i = 0; i < count && code == OK; i++) {
        r->routes[i] = routes[i];
        code = add(r, &r->routes[i]);
    }
    if (code != OK) {
        http_router_close(r);
        ENSURE(code != ERR_NOMEM, ERR_NOMEM, "no_memory", "No memory for routes.");
        return code;
    }
    *ret_router = r;
    return OK;
}

void http_router_close(struct http_router *router)
{
    if (!router)
        return;
    free(router->nodes);
    free(router->routes);
    free(router);
}

static unsigned methods_of(const struct node *n)
{
    unsigned methods = 0;
    for (unsigned i = 0; i < HTTP_METHOD_COUNT; i++)
        methods |= n->routes[i] ? 1u << i : 0;
    return methods;
}

/* Depth first, literals before names; the first node that has any route is the answer. Depth is the pattern's. */
static const struct node *descend(const struct node *n, const struct http_request *q, size_t at)
{
    const struct node *found = NULL, *c;
    if (at == q->segment_count)
        return methods_of(n) ? n : NULL;
    if ((c = literal_child(n, q->segments[at])))
        found = descend(c, q, at + 1);
    if (!found && n->any && q->segments[at].len > 0)
        found = descend(n->any, q, at + 1);
    if (!found && n->rest && q->segments[at].len > 0)
        found = n->rest;
    return found;
}

static void capture(struct http_match *m, const struct http_request *q, struct span pattern)
{
    for (size_t i = 0; pattern.len > 0 && i < q->segment_count; i++) {
        struct span part = next_part(&pattern), value = q->segments[i];
        if (!is_capture(part))
            continue;
        size_t cut = 2;
        if (is_rest(part)) { /* from here to the end of the path, in which segments lie in order */
            value.len = (size_t)(q->path.data + q->path.len - value.data);
            cut = 3;
        }
        m->captures[m->capture_count++] =
            (struct http_field){span_sub(part, 1, part.len - cut), value};
    }
}

void http_router_find(const struct http_router *router, const struct http_request *r,
                      struct http_match *ret_match)
{
    const struct node *n = descend(&router->nodes[0], r, 0);
    *ret_match = (struct http_match){0};
    if (!n)
        return;
    ret_match->methods = methods_of(n);
    const struct http_route *route = n->routes[r->method];
    if (!route && r->method == HTTP_HEAD)
        route = n->routes[HTTP_GET];
    if (!route)
        return;
    ret_match->route = route->route;
    capture(ret_match, r, span_text(route->pattern));
}

struct span http_capture(const struct http_match *m, const char *name)
{
    for (size_t i = 0; i < m->capture_count; i++)
        if (span_eq_text(m->captures[i].name, name))
            return m->captures[i].value;
    return (struct span){0};
}
