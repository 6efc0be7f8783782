/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reach/http/inner.h"

/* A body up to this size is copied behind its head: one piece costs less than two, one TLS record less than two. */
enum { BODY_JOINED_MAX = 16 * 1024, FIXED_JOINED_MAX = 2 * 1024 };

struct standard {
    const char *name, *value; /* no value: the config's */
};

/* A handler that sets one of these replaces it; its bit in response.set is its place here. */
static const struct standard standards[STANDARD_COUNT] = {
    {"Cache-Control", "no-store"},
    {"Content-Security-Policy", NULL},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"X-Frame-Options", "DENY"},
};

static const char *const reserved[] = {"Content-Length", "Content-Type", "Connection",       "Date",
                                       "Request-Id",     "Keep-Alive",   "Transfer-Encoding"};

/* By status - 200, so that none is searched for. */
static const char *const words[] = {
    [200 - 200] = "OK",
    [201 - 200] = "Created",
    [202 - 200] = "Accepted",
    [204 - 200] = "No Content",
    [206 - 200] = "Partial Content",
    [301 - 200] = "Moved Permanently",
    [302 - 200] = "Found",
    [303 - 200] = "See Other",
    [304 - 200] = "Not Modified",
    [307 - 200] = "Temporary Redirect",
    [308 - 200] = "Permanent Redirect",
    [400 - 200] = "Bad Request",
    [401 - 200] = "Unauthorized",
    [402 - 200] = "Payment Required",
    [403 - 200] = "Forbidden",
    [404 - 200] = "Not Found",
    [405 - 200] = "Method Not Allowed",
    [406 - 200] = "Not Acceptable",
    [408 - 200] = "Request Timeout",
    [409 - 200] = "Conflict",
    [410 - 200] = "Gone",
    [411 - 200] = "Length Required",
    [412 - 200] = "Precondition Failed",
    [413 - 200] = "Content Too Large",
    [414 - 200] = "URI Too Long",
    [415 - 200] = "Unsupported Media Type",
    [417 - 200] = "Expectation Failed",
    [421 - 200] = "Misdirected Request",
    [422 - 200] = "Unprocessable Content",
    [428 - 200] = "Precondition Required",
    [429 - 200] = "Too Many Requests",
    [431 - 200] = "Request Header Fields Too Large",
    [500 - 200] = "Internal Server Error",
    [501 - 200] = "Not Implemented",
    [502 - 200] = "Bad Gateway",
    [503 - 200] = "Service Unavailable",
    [504 - 200] = "Gateway Timeout",
    [505 - 200] = "HTTP Version Not Supported",
};

const char *http_status_words(int status)
{
    int at = status - 200;

    return at >= 0 && at < (int)COUNT_OF(words) && words[at] ? words[at] : "";
}

void http_response_release(struct http_response *p)
{
    if (p->release)
        p->release(p->owner);
    p->release = NULL;
    p->fixed = (struct span){0};
}

void http_response_init(struct http_exchange *x)
{
    struct http_response *p = &x->response;
    http_response_release(p);
    buf_reset(&p->fields);
    buf_reset(&p->body);
    p->status = 0;
    p->failed = p->streams = false;
    p->set = 0;
    p->type = NULL;
    p->file = -1;
    p->file_at = p->file_len = 0;
    p->channel[0] = 0;
}

/* A token may name a header; CR, LF and NUL may be in no value. */
static bool is_lawful_header(const char *name, struct span value)
{
    if (!*name || strcspn(name, "\r\n:\t ") != strlen(name))
        return false;
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] == '\r' || value.data[i] == '\n' || value.data[i] == 0)
            return false;
    for (size_t i = 0; i < COUNT_OF(reserved); i++)
        if (span_ieq_text(span_text(name), reserved[i]))
            return false;
    return true;
}

void http_header(struct http_exchange *x, const char *name, struct span value)
{
    struct http_response *p = &x->response;
    if (!is_lawful_header(name, value)) {
        p->failed = true;
        return;
    }
    for (size_t i = 0; i < COUNT_OF(standards); i++)
        if (span_ieq_text(span_text(name), standards[i].name))
            p->set |= 1u << i;
    buf_put_text(&p->fields, name);
    buf_put(&p->fields, ": ", 2);
    buf_put_span(&p->fields, value);
    buf_put(&p->fields, "\r\n", 2);
}

void http_header_text(struct http_exchange *x, const char *name, const char *value)
{
    http_header(x, name, span_text(value));
}

/* The one reply of an exchange begins; a second one is a fault of the handler. */
static struct http_response *begin(struct http_exchange *x, int status, const char *type)
{
    struct http_response *p = &x->response;
    if (p->status != 0)
        p->failed = true;
    p->status = status;
    p->type = type;
    return p;
}

void http_reply_empty(struct http_exchange *x, int status)
{
    (void)begin(x, status, NULL);
}

void http_reply_buf(struct http_exchange *x, int status, const char *type, struct buf *body)
{
    struct http_response *p = begin(x, status, type);
    if (body->failed)
        p->failed = true;
    size_t max = body->max;
    buf_done(&p->body);
    p->body = *body;
    buf_init(body, max);
}

void http_reply_json(struct http_exchange *x, int status, struct buf *body)
{
    http_reply_buf(x, status, "application/json", body);
}

void http_reply_copy(struct http_exchange *x, int status, const char *type, struct span body)
{
    struct http_response *p = begin(x, status, type);
    buf_put_span(&p->body, body);
}

/* ETag, and whether the client has it already. */
static bool put_etag(struct http_exchange *x, const char *etag)
{
    if (!etag)
        return false;
    http_header_text(x, "ETag", etag);
    return http_etag_matches(http_field(&x->request, "If-None-Match"), span_text(etag));
}

void http_reply_static(struct http_exchange *x, const char *type, struct span body,
                       const char *etag)
{
    struct http_response *p = begin(x, 200, type);
    if (put_etag(x, etag))
        p->status = 304;
    else
        p->fixed = body;
}

void http_reply_shared(struct http_exchange *x, const char *type, struct span body,
                       const char *etag, void (*release)(void *owner), void *owner)
{
    http_response_release(&x->response);
    http_reply_static(x, type, body, etag);
    x->response.release = release;
    x->response.owner = owner;
    if (x->response.status == 304)
        http_response_release(&x->response);
}

void http_reply_tagged(struct http_exchange *x, const char *type, struct buf *body,
                       const char *etag)
{
    if (put_etag(x, etag)) {
        buf_reset(body);
        http_reply_empty(x, 304);
    } else {
        http_reply_buf(x, 200, type, body);
    }
}

void http_reply_file(struct http_exchange *x, int status, const char *type, int fd, uint64_t len)
{
    struct http_response *p = begin(x, status, type);
    if (p->file >= 0)
        close(p->file);
    p->file = fd;
    p->file_len = len;
}

void http_reply_stream(struct http_exchange *x, struct span channel)
{
    if (atomic_load(&x->server->counters.streams_now) >= x->server->config.sse.streams_max) {
        http_header_text(x, "Retry-After", "10");
        http_reply_problem(x, &(struct http_problem){.status = 503, .type = "too_many_streams"});
        return;
    }
    struct http_response *p = begin(x, 200, "text/event-stream");
    p->streams = true;
    if (channel.len == 0 || span_to_text(channel, p->channel, sizeof p->channel) != OK)
        p->failed = true;
    http_header_text(x, "X-Accel-Buffering", "no");
}

static void put_json_text(struct buf *out, const char *text)
{
    buf_put_u8(out, '"');
    for (const char *at = text; *at; at++) {
        uint8_t c = (uint8_t)*at;
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f || c == '<')
            buf_printf(out, "\\u%04x", c);
        else
            buf_put_u8(out, c);
    }
    buf_put_u8(out, '"');
}

void http_reply_problem(struct http_exchange *x, const struct http_problem *problem)
{
    struct http_response *p = begin(x, problem->status, "application/problem+json");
    const char *type = problem->type ? problem->type : "about:blank";
    const char *base = strchr(type, ':') ? "" : x->server->config.problem_base;
    char uri[256];

    buf_reset(&p->body);
    http_response_release(p);
    if (snprintf(uri, sizeof uri, "%s%s", base, type) >= (int)sizeof uri)
        p->failed = true;
    buf_put_text(&p->body, "{\"type\":");
    put_json_text(&p->body, uri);
    buf_put_text(&p->body, ",\"title\":");
    put_json_text(&p->body, problem->title ? problem->title : http_status_words(problem->status));
    buf_printf(&p->body, ",\"status\":%d", problem->status);
    if (problem->detail) {
        buf_put_text(&p->body, ",\"detail\":");
        put_json_text(&p->body, problem->detail);
    }
    buf_put_text(&p->body, ",\"instance\":");
    put_json_text(&p->body, x->request.id);
    if (problem->pointer && *problem->pointer) {
        buf_put_text(&p->body, ",\"errors\":[{\"detail\":");
        put_json_text(&p->body, problem->detail ? problem->detail : "");
        buf_put_text(&p->body, ",\"pointer\":");
        put_json_text(&p->body, problem->pointer);
        buf_put_text(&p->body, "}]");
    }
    if (problem->more_members.len) {
        buf_put_u8(&p->body, ',');
        buf_put_span(&p->body, problem->more_members);
    }
    buf_put_u8(&p->body, '}');
}

void http_reply_error(struct http_exchange *x, const struct err_info *info)
{
    bool ours = info->code == ERR_IO || info->code == ERR_CORRUPT || info->code == ERR_NOMEM;
    http_reply_problem(
        x, &(struct http_problem){
               .status = err_http_status(info->code),
               .type = ours ? "internal" : info->slug,
               .detail = ours ? "The server failed; quote the request id." : info->detail,
               .pointer = ours ? NULL : info->pointer,
           });
}

void http_reply_not_allowed(struct http_exchange *x, unsigned methods)
{
    char allow[80] = "";
    size_t len = 0;
    if (methods & 1u << HTTP_GET)
        methods |= 1u << HTTP_HEAD;
    for (unsigned i = 0; i < HTTP_METHOD_COUNT; i++)
        if (methods & 1u << i)
            len += (size_t)snprintf(allow + len, sizeof allow - len, "%s%s", len ? ", " : "",
                                    http_method_name((enum http_method)i));
    http_header_text(x, "Allow", allow);
    http_reply_problem(x, &(struct http_problem){.status = 405, .type = "method_not_allowed"});
}

bool http_is_type(const struct http_request *r, const char *type)
{
    struct span value = http_field(r, "Content-Type");
    value = span_sub(value, 0, span_find(value, ';'));
    while (value.len > 0 && value.data[value.len - 1] == ' ')
        value.len--;
    return span_ieq_text(value, type);
}

/* Whatever the handler left is replaced by a plain 500. */
static void fail(struct http_exchange *x)
{
    if (x->response.file >= 0)
        close(x->response.file);
    http_response_init(x);
    buf_done(&x->response.body);
    buf_init(&x->response.body, HTTP_RESPONSE_MAX);
    http_reply_problem(x, &(struct http_problem){.status = 500, .type = "internal"});
}

enum err http_standards_write(struct http_server *server)
{
    struct buf *out = &server->standards;

    buf_init(out, HTTP_RESPONSE_FIELDS_MAX);
    for (size_t i = 0; i < COUNT_OF(standards); i++) {
        size_t from = out->len;
        buf_put_text(out, standards[i].name);
        buf_put(out, ": ", 2);
        buf_put_text(out, standards[i].value ? standards[i].value : server->config.csp);
        buf_put(out, "\r\n", 2);
        server->standard_lens[i] = out->len - from;
    }
    return buf_check(out);
}

/* Mostly all of them, or all but one: whatever lies together is copied together. */
static void put_standards(struct http_exchange *x, struct buf *out)
{
    const struct http_server *server = x->server;
    size_t from = 0, to = 0;

    for (size_t i = 0; i < COUNT_OF(standards); i++) {
        if (x->response.set & 1u << i) {
            buf_put(out, server->standards.data + from, to - from);
            from = to + server->standard_lens[i];
            to = from;
        } else {
            to += server->standard_lens[i];
        }
    }
    buf_put(out, server->standards.data + from, to - from);
    buf_put_text(out, "X-Content-Type-Options: nosniff\r\n");
    if (x->request.secure)
        buf_put_text(out, "Strict-Transport-Security: max-age=31536000\r\n");
}

static uint64_t body_length(const struct http_response *p)
{
    if (p->file >= 0)
        return p->file_len;
    return p->fixed.data ? p->fixed.len : p->body.len;
}

void http_response_build(struct http_exchange *x, const char *date, bool closes)
{
    struct http_response *p = &x->response;
    struct buf *out = &x->out;

    if (p->failed || p->fields.failed || p->body.failed || !*http_status_words(p->status))
        fail(x);
    bool bodiless = p->status == 204 || p->status == 304;
    buf_reset(out);
    x->out_at = x->rest_at = 0;
    x->rest = (struct span){0};
    buf_put_text(out, "HTTP/1.1 ");
    buf_put_i64_text(out, p->status);
    buf_put_u8(out, ' ');
    buf_put_text(out, http_status_words(p->status));
    buf_put_text(out, "\r\nDate: ");
    buf_put_text(out, date);
    buf_put_text(out, "\r\nRequest-Id: ");
    buf_put_text(out, x->request.id);
    if (p->type && !bodiless) {
        buf_put_text(out, "\r\nContent-Type: ");
        buf_put_text(out, p->type);
    }
    if (!bodiless && !p->streams) {
        buf_put_text(out, "\r\nContent-Length: ");
        buf_put_i64_text(out, (int64_t)body_length(p));
    }
    buf_put_text(out, closes || p->streams ? "\r\nConnection: close\r\n" : "\r\n");
    put_standards(x, out);
    buf_put_span(out, buf_span(&p->fields));
    buf_put(out, "\r\n", 2);
    INVARIANT(!out->failed, "a response head fits");
    if (bodiless || x->answers_head || p->streams) {
        if (p->file >= 0)
            close(p->file);
        p->file = -1;
    } else if (p->file < 0) {
        bool apart = p->fixed.data && !(x->conn && x->conn->tls);
        x->rest = p->fixed.data ? p->fixed : buf_span(&p->body);
        if (x->rest.len <= (apart ? FIXED_JOINED_MAX : BODY_JOINED_MAX)) {
            buf_put_span(out, x->rest);
            x->rest = (struct span){0};
        }
    }
}
