/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_HTTP_PARSE_H
#define REACH_HTTP_PARSE_H

/*
 * parse - the strict reader of request heads: a pure function over bytes, fuzzed by fuzz_http.c.
 *
 * It takes the subset of RFC 9112 that needs no guessing, and refuses the rest by status, after which the connection must
 * be closed: where two readers of the same bytes could disagree about where a request ends, there is no request.
 *   - lines end in CRLF; no other control byte anywhere but a tab in field values; no folding; no space before the colon;
 *   - one Host; origin-form targets; Content-Length in plain digits, once; any Transfer-Encoding is 501, or 400 with a length;
 *   - no body with GET and HEAD; Expect is 417; Upgrade is ignored;
 *   - percent-decoding once; no NUL, '/', '\', '%', ';' or control byte may come out of it, nor bytes that are not UTF-8;
 *   - "." and ".." segments, "//" and ';' parameters are refused rather than resolved.
 *
 * Invariants (asserted by the fuzz target):
 *   P1  the verdict depends on the bytes only, not on how they were split on arrival;
 *   P2  a refusal is made at the first byte that proves it, for everything that frames a request;
 *   P3  a lawful head is at most HTTP_HEAD_MAX bytes.
 */
#include "ground/base/arena.h"
#include "reach/http/request.h"

/* How far a head has been read; all zero to begin. */
struct http_scan {
    size_t at;    /* bytes judged so far */
    size_t lines; /* complete lines */
    size_t line;  /* length of the present line */
    size_t head;  /* bytes of header lines */
    uint8_t state;
};

enum { HTTP_SCAN_MORE = 0, HTTP_SCAN_COMPLETE = 1 };

/*
 * Judge the framing of bytes beyond scan->at. HTTP_SCAN_MORE: all is well so far. HTTP_SCAN_COMPLETE: the head is the first
 * scan->at bytes. Otherwise a status: 400, 414 or 431.
 */
int http_scan(struct http_scan *scan, struct span bytes);

/*
 * Read a complete head. 0, with the request's parsed members written, or the status to refuse it with; then *ret_why is a
 * static sentence. Spans point into head and the arena.
 */
int http_parse(struct span head, struct arena *arena, struct http_request *ret_request,
               const char **ret_why);

#endif
