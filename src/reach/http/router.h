/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_HTTP_ROUTER_H
#define REACH_HTTP_ROUTER_H

/*
 * router - which route a method and a path mean: a tree of segments built once from a table, read by all loops.
 *
 * A pattern is literal segments, "{name}" for exactly one non-empty segment, and "{name*}" as the last for one or more. A
 * literal wins over a name, a name over a rest. HEAD finds GET's route where it has none of its own.
 */
#include "reach/http/request.h"

enum { HTTP_CAPTURES_MAX = 8 };

struct http_route {
    enum http_method method;
    const char *pattern; /* static */
    const void *route;   /* the caller's */
};

struct http_match {
    const void *route; /* NULL when there is none */
    unsigned methods;  /* a bit for each method the path has; 0: no such path */
    struct http_field captures[HTTP_CAPTURES_MAX];
    size_t capture_count;
};

struct http_router;

/* ERR_INVALID "bad_pattern"; ERR_CONFLICT "route_twice". */
RESULT http_router_open(const struct http_route *routes, size_t count,
                        struct http_router **ret_router);
void http_router_close(struct http_router *router);
/* route set: found. Else methods != 0: 405 with those. Else 404. */
void http_router_find(const struct http_router *router, const struct http_request *r,
                      struct http_match *ret_match);
/* A capture by name; data is NULL when the pattern has none such. Borrowed from the request. */
struct span http_capture(const struct http_match *m, const char *name);

#endif
