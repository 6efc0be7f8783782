/* SPDX-License-Identifier: Apache-2.0 */
/* The invariants of parse.h for any bytes: the verdict does not depend on how they arrive, and what is lawful is tame. */
#include <string.h>

#include "ground/base/base.h"
#include "reach/http/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int scan_in_steps(struct span bytes, size_t step, struct http_scan *scan)
{
    int verdict = HTTP_SCAN_MORE;
    *scan = (struct http_scan){0};
    for (size_t len = 0; verdict == HTTP_SCAN_MORE && len < bytes.len;) {
        len = len + step < bytes.len ? len + step : bytes.len;
        verdict = http_scan(scan, span_sub(bytes, 0, len));
    }
    return verdict;
}

static void check_tame(const struct http_request *q)
{
    INVARIANT(q->path.len > 0 && q->path.data[0] == '/', "a path begins with a slash");
    INVARIANT(utf8_valid(q->path), "a path is text");
    INVARIANT(!memmem(q->path.data, q->path.len, "//", 2), "no empty segment");
    for (size_t i = 0; i < q->path.len; i++)
        INVARIANT(q->path.data[i] >= 0x20 && q->path.data[i] != '\\' && q->path.data[i] != '%',
                  "nothing in a path can be decoded again");
    for (size_t i = 0; i < q->segment_count; i++)
        INVARIANT(!span_eq_text(q->segments[i], "..") && !span_eq_text(q->segments[i], ".") &&
                      span_find(q->segments[i], '/') == q->segments[i].len,
                  "segments are names");
    for (size_t i = 0; i < q->param_count; i++)
        for (size_t k = 0; k < i; k++)
            INVARIANT(!span_eq(q->params[i].name, q->params[k].name), "parameters come once");
    for (size_t i = 0; i < q->field_count; i++)
        INVARIANT(!memchr(q->fields[i].value.data, '\n', q->fields[i].value.len) &&
                      !memchr(q->fields[i].value.data, 0, q->fields[i].value.len),
                  "a field is one line");
    INVARIANT(!http_field(q, "Transfer-Encoding").data, "no coding passes");
    INVARIANT(http_field(q, "Host").data, "there is a host");
    INVARIANT(q->content_length == 0 || (q->method != HTTP_GET && q->method != HTTP_HEAD),
              "no body where none may be");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_of(data, size), cookie;
    struct http_scan whole, split;
    const char *why = NULL;
    static struct http_request request; /* large */
    AUTO(arena_done) struct arena arena;

    arena_init(&arena, 256 * 1024);
    int verdict = scan_in_steps(bytes, size ? size : 1, &whole);
    size_t odd = size ? 1 + data[size - 1] % 37 : 1;
    INVARIANT(scan_in_steps(bytes, 1, &split) == verdict && split.at == whole.at, "P1, by bytes");
    INVARIANT(scan_in_steps(bytes, odd, &split) == verdict && split.at == whole.at,
              "P1, by pieces");
    if (verdict != HTTP_SCAN_COMPLETE) {
        INVARIANT(verdict == HTTP_SCAN_MORE || verdict == 400 || verdict == 414 || verdict == 431,
                  "verdicts are known");
        INVARIANT(verdict != HTTP_SCAN_MORE || size < HTTP_HEAD_MAX, "a head ends in time");
        return 0;
    }
    INVARIANT(whole.at <= HTTP_HEAD_MAX, "P3");
    int status = http_parse(span_sub(bytes, 0, whole.at), &arena, &request, &why);
    if (status == 0) {
        check_tame(&request);
        if (http_cookie(&request, "a", &cookie) == OK)
            INVARIANT(cookie.data, "a cookie found is there");
        (void)http_accepts_coding(&request, "br");
        (void)http_etag_matches(http_field(&request, "If-None-Match"), SPAN_LIT("\"x\""));
    } else {
        INVARIANT(status >= 400 && status < 600 && why, "a refusal has a reason");
    }
    return 0;
}
