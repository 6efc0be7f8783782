/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_HTTP_REQUEST_H
#define REACH_HTTP_REQUEST_H

/*
 * request - one HTTP request after it was found lawful, and the questions a handler may ask of it.
 *
 * What is here was already judged by parse.c: the path is decoded UTF-8 without "..", empty segments, encoded slashes or
 * control characters; query names are unique; fields that may appear once do. Spans are borrowed from the exchange.
 */
#include "ground/base/span.h"
#include "reach/http/address.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_METHOD_COUNT
};

enum {
    HTTP_LINE_MAX = 4096,        /* request line without its CRLF */
    HTTP_FIELD_BYTES_MAX = 8192, /* all header lines with their CRLFs */
    HTTP_FIELDS_MAX = 64,
    HTTP_HEAD_MAX = HTTP_LINE_MAX + 2 + HTTP_FIELD_BYTES_MAX + 2,
    HTTP_SEGMENTS_MAX = 24,
    HTTP_PARAMS_MAX = 32,
    HTTP_REQUEST_ID_MAX = 32,
};

struct http_field {
    struct span name, value;
};

struct http_request {
    enum http_method method;
    struct span target;   /* as sent */
    struct span path;     /* decoded, begins with '/' */
    size_t segment_count; /* "/" has none, "/a/b" two, "/a/" two, the last empty */
    size_t param_count;   /* the query, decoded, in order */
    size_t field_count;
    struct span host; /* as sent; never for making links: use the configured origin */
    uint64_t content_length;
    bool keep_alive; /* what the client's version and Connection field allow */

    struct span body;
    struct http_address peer;   /* the other end of the socket */
    struct http_address client; /* the same, or what a trusted proxy says */
    bool secure;                /* TLS here, or at a trusted proxy */
    char id[HTTP_REQUEST_ID_MAX];
    int64_t begun_ms; /* monotonic: the head was complete */

    /* Last, because a new request clears the counts and leaves these as they are. */
    struct span segments[HTTP_SEGMENTS_MAX];
    struct http_field params[HTTP_PARAMS_MAX];
    struct http_field fields[HTTP_FIELDS_MAX];
};

const char *http_method_name(enum http_method method);
/* Value of a header field, names compared without case; data is NULL when it is absent (an empty value has data). */
struct span http_field(const struct http_request *r, const char *name);
/* Value of a query parameter; data is NULL when it is absent. */
struct span http_param(const struct http_request *r, const char *name);
/*
 * Value of a cookie. ERR_NOT_FOUND when it is absent; ERR_INVALID "bad_cookie" when the name comes twice: one of them was
 * planted by a neighbour (cookie tossing), and nobody can say which.
 */
RESULT http_cookie(const struct http_request *r, const char *name, struct span *ret_value);
/* Whether an If-None-Match value (RFC 9110 section 13.1.2) names the entity tag, given with its quotes. */
bool http_etag_matches(struct span if_none_match, struct span etag);
/* Whether Accept-Encoding allows a content coding ("br", "gzip") by name. */
bool http_accepts_coding(const struct http_request *r, const char *coding);

#endif
