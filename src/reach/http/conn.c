/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn - a connection as a machine of phases: handshake, head, body, handler, write, linger. Each step does what the socket
 * allows and says whether another can follow at once. Readiness is edge-triggered: readable and writable stay true until the
 * kernel says otherwise.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ground/base/id.h"
#include "reach/http/inner.h"

enum {
    RUN_STEPS_MAX = 64, /* before other connections get their turn */
    LINGER_MS = 2000,
    LINGER_BYTES_MAX = 1024 * 1024,
    FILE_CHUNK = 64 * 1024,
    OUT_KEPT_MAX = 32 * 1024,
    OUT_MAX = 128 * 1024,
    BODY_SHORT_MAX = 8 * 1024,
    SPARE_EXCHANGES_MAX = 256, /* a batch of the writer gives so many back at once */
    ENDED = -1,
    BROKEN = -2,
};

static const struct http_limits *limits_of(const struct http_conn *c)
{
    return &c->loop->server->config.limits;
}

static struct http_counters *counters_of(const struct http_conn *c)
{
    return &c->loop->server->counters;
}

struct http_exchange *http_exchange_take(struct http_loop *loop, struct http_conn *c)
{
    struct http_exchange *x = loop->spare_exchanges;
    if (x) {
        loop->spare_exchanges = x->next;
        loop->spare_exchange_count--;
    } else {
        x = calloc(1, sizeof *x);
        if (!x)
            return NULL;
        x->server = loop->server;
        x->loop = loop;
        arena_init(&x->arena, HTTP_ARENA_MAX);
        buf_init(&x->out, OUT_MAX);
        buf_init(&x->response.fields, HTTP_RESPONSE_FIELDS_MAX);
        buf_init(&x->response.body, HTTP_RESPONSE_MAX);
    }
    memset(&x->request, 0, offsetof(struct http_request, segments));
    uint8_t id[ID_BYTES];
    id_make(loop->server->config.clock, &loop->rng, id);
    id_format("req", id, x->request.id);
    x->request.peer = x->request.client = c->peer;
    x->request.secure = c->tls != NULL;
    x->request.begun_ms = loop->now_ms;
    x->conn = c;
    x->user = NULL;
    x->next = NULL;
    x->complete = NULL;
    x->deferred = x->answers_head = x->hurried = false;
    http_response_init(x);
    loop->exchange_count++;
    return x;
}

/*
 * Short bodies, which is nearly all of them, lie in the exchange's arena, which is there already. A long one gets memory as its bytes
 * arrive, so that saying a length costs the server nothing.
 */
static bool body_room(struct http_exchange *x, uint64_t length)
{
    buf_init(&x->body, length);
    x->body_lent = length <= BODY_SHORT_MAX;
    if (!x->body_lent)
        return true;
    x->body.data = arena_alloc(&x->arena, length + 1);
    x->body.cap = x->body.data ? length + 1 : 0;
    return x->body.data != NULL;
}

static void drop_body(struct http_exchange *x)
{
    if (x->body_lent)
        buf_init(&x->body, 0);
    else
        buf_done(&x->body);
    x->body_lent = false;
}

void http_exchange_free(struct http_exchange *x)
{
    drop_body(x);
    arena_done(&x->arena);
    buf_done(&x->out);
    buf_done(&x->response.fields);
    buf_done(&x->response.body);
    http_response_release(&x->response);
    free(x);
}

void http_exchange_give(struct http_loop *loop, struct http_exchange *x)
{
    if (x->response.file >= 0)
        close(x->response.file);
    x->response.file = -1;
    http_response_release(&x->response);
    loop->exchange_count--;
    if (loop->spare_exchange_count == SPARE_EXCHANGES_MAX) {
        http_exchange_free(x);
        return;
    }
    drop_body(x);
    arena_reset(&x->arena);
    if (x->out.cap > OUT_KEPT_MAX)
        buf_done(&x->out);
    else if (x->out.data)
        wipe(x->out.data, x->out.len);
    buf_done(&x->response.body);
    buf_init(&x->response.body, HTTP_RESPONSE_MAX);
    x->next = loop->spare_exchanges;
    loop->spare_exchanges = x;
    loop->spare_exchange_count++;
}

/* --- Input buffer ------------------------------------------------------------------------------------------------- */

static void drop_input(struct http_conn *c)
{
    struct http_loop *loop = c->loop;
    if (!c->in)
        return;
    wipe(c->in, c->in_len); /* cookies and passwords pass through here */
    if (c->in_cap == IN_SMALL && loop->spare_input_count < LOOP_POOL_MAX)
        loop->spare_inputs[loop->spare_input_count++] = c->in;
    else
        free(c->in);
    c->in = NULL;
    c->in_at = c->in_len = c->in_cap = 0;
}

/* Room for at least one more byte. */
static bool make_room(struct http_conn *c)
{
    struct http_loop *loop = c->loop;
    if (!c->in) {
        c->in = loop->spare_input_count ? loop->spare_inputs[--loop->spare_input_count]
                                        : malloc(IN_SMALL);
        c->in_cap = IN_SMALL;
        return c->in != NULL;
    }
    if (c->in_at == c->in_len)
        c->in_at = c->in_len = 0;
    if (c->in_len < c->in_cap)
        return true;
    if (c->in_at > 0) {
        memmove(c->in, c->in + c->in_at, c->in_len - c->in_at);
        c->in_len -= c->in_at;
        c->in_at = 0;
        return true;
    }
    INVARIANT(c->in_cap == IN_SMALL, "a lawful head fits the large buffer");
    uint8_t *grown = malloc(IN_LARGE);
    if (!grown)
        return false;
    memcpy(grown, c->in, c->in_len);
    uint32_t len = c->in_len;
    drop_input(c);
    c->in = grown;
    c->in_len = len;
    c->in_cap = IN_LARGE;
    return true;
}

/* Bytes read, 0 when there are none now, ENDED or BROKEN. */
static ssize_t receive(struct http_conn *c, void *out, size_t size)
{
    size_t n = 0;
    ssize_t got;

    if (!c->readable)
        return 0;
    if (c->tls) {
        switch (tls_read(c->tls, out, size, &n)) {
        case TLS_DONE:
            got = (ssize_t)n;
            break;
        case TLS_WANT_READ:
            c->readable = false;
            return 0;
        case TLS_WANT_WRITE:
            c->writable = false;
            return 0;
        case TLS_CLOSED:
            return ENDED;
        default:
            return BROKEN;
        }
    } else {
        do
            got = recv(c->source.fd, out, size, 0);
        while (got < 0 && errno == EINTR);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            c->readable = false;
            return 0;
        }
        if (got <= 0)
            return got == 0 ? ENDED : BROKEN;
        /* A short read means drained, unless the end is waiting behind it and will not be announced again. */
        if ((size_t)got < size && !c->hung_up)
            c->readable = false;
    }
    http_count(&counters_of(c)->bytes_in, (uint64_t)got);
    return got;
}

/* --- Refusals ----------------------------------------------------------------------------------------------------- */

static const char *refusal_word(int status)
{
    switch (status) {
    case 405:
        return "method_not_allowed";
    case 408:
        return "too_slow";
    case 413:
        return "body_too_large";
    case 414:
        return "target_too_long";
    case 417:
        return "expectation_failed";
    case 431:
        return "head_too_large";
    case 501:
        return "not_implemented";
    case 503:
        return "busy";
    case 505:
        return "version_not_supported";
    default:
        return "malformed_request";
    }
}

/* Answer with a problem and close afterwards. True: go on to write it. */
static bool refuse(struct http_conn *c, int status, const char *why)
{
    if (!c->x && !(c->x = http_exchange_take(c->loop, c))) {
        http_conn_close(c);
        return false;
    }
    http_count(&counters_of(c)->refusals, 1);
    c->close_after = true;
    http_response_init(c->x);
    if (status == 405)
        http_header_text(c->x, "Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    http_reply_problem(c->x, &(struct http_problem){
                                 .status = status, .type = refusal_word(status), .detail = why});
    http_conn_answer(c);
    return true;
}

/* --- Steps: true when another can follow at once -------------------------------------------------------------------- */

static bool step_handshake(struct http_conn *c)
{
    switch (tls_handshake(c->tls)) {
    case TLS_DONE:
        c->phase = PHASE_HEAD;
        c->begun_ms = c->loop->now_ms;
        http_conn_deadline(c, c->begun_ms + limits_of(c)->head_ms);
        return true;
    case TLS_WANT_READ:
        c->readable = false;
        return false;
    case TLS_WANT_WRITE:
        c->writable = false;
        return false;
    default:
        http_count(&counters_of(c)->tls_failures, 1);
        http_conn_close(c);
        return false;
    }
}

/* The request is whole: the handler's turn. */
static bool dispatch(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    const struct http_config *config = &c->loop->server->config;

    x->request.body = buf_span(&x->body);
    c->phase = PHASE_HANDLER;
    http_conn_deadline(c, INT64_MAX);
    config->handle(config->context, x);
    if (x->deferred) {
        c->loop->deferred_count++;
        return false;
    }
    http_conn_answer(c);
    return true;
}

static bool begin_body(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    const struct http_config *config = &c->loop->server->config;
    uint64_t max = config->limits.body_max, length = x->request.content_length;

    if (config->head)
        config->head(config->context, x, &max);
    if (x->response.status) {
        c->close_after |= length > 0;
        http_conn_answer(c);
        return true;
    }
    if (length > max)
        return refuse(c, 413, "The body is larger than this route takes.");
    if (length == 0)
        return dispatch(c);
    if (!body_room(x, length))
        return refuse(c, 503, "There is no memory for this body now.");
    size_t have = c->in_len - c->in_at;
    if (have > length)
        have = length;
    buf_put(&x->body, c->in + c->in_at, have);
    c->in_at += (uint32_t)have;
    c->phase = PHASE_BODY;
    c->begun_ms = c->loop->now_ms;
    c->moved = have;
    http_conn_deadline(c, c->begun_ms + config->limits.stall_ms);
    return true;
}

static bool begin_request(struct http_conn *c)
{
    struct http_exchange *x = c->x = http_exchange_take(c->loop, c);
    struct span head = span_of(c->in + c->in_at, c->scan.at), copy;
    const char *why = NULL;

    if (!x) {
        http_conn_close(c);
        return false;
    }
    if (arena_copy(&x->arena, head, &copy) != OK)
        return refuse(c, 431, "The head is too large to be held.");
    c->in_at += (uint32_t)c->scan.at;
    c->scan = (struct http_scan){0};
    int status = http_parse(copy, &x->arena, &x->request, &why);
    if (status)
        return refuse(c, status, why);
    http_request_origin(c->loop->server, &x->request, c->tls != NULL);
    http_count(&counters_of(c)->requests, 1);
    c->requests++;
    x->answers_head = x->request.method == HTTP_HEAD;
    c->close_after |=
        !x->request.keep_alive || c->requests >= limits_of(c)->requests_per_connection_max;
    return begin_body(c);
}

static bool step_head(struct http_conn *c)
{
    if (c->in_len - c->in_at == c->scan.at) {
        bool first = c->scan.at == 0;
        if (!make_room(c)) {
            http_conn_close(c);
            return false;
        }
        ssize_t n = receive(c, c->in + c->in_len, c->in_cap - c->in_len);
        if (n == ENDED && !first)
            return refuse(c, 400, "The connection ended inside a request.");
        if (n < 0) {
            http_conn_close(c);
            return false;
        }
        if (n == 0) {
            if (first)
                drop_input(c);
            return false;
        }
        c->in_len += (uint32_t)n;
        if (first) {
            c->begun_ms = c->loop->now_ms;
            http_conn_deadline(c, c->begun_ms + limits_of(c)->head_ms);
        }
    }
    int verdict = http_scan(&c->scan, span_of(c->in + c->in_at, c->in_len - c->in_at));
    if (verdict == HTTP_SCAN_COMPLETE)
        return begin_request(c);
    if (verdict == HTTP_SCAN_MORE)
        return true;
    return refuse(c, verdict,
                  verdict == 414 ? "The request line is too long."
                  : verdict == 431
                      ? "The header fields are too many or too long."
                      : "The request head holds a byte or line end that is not allowed.");
}

/* A client must have begun within stall_ms and keep up rate_min, and is given body_ms and what that rate allows in all. */
static int64_t body_deadline(const struct http_conn *c)
{
    const struct http_limits *l = limits_of(c);
    int64_t pace = l->stall_ms + (int64_t)c->moved * 1000 / l->rate_min;
    int64_t whole = l->body_ms + (int64_t)(c->x->request.content_length / 64) / l->rate_min * 1000;
    return c->begun_ms + (pace < whole ? pace : whole);
}

static bool step_body(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    uint8_t *chunk = c->loop->chunk;
    size_t missing = x->request.content_length - x->body.len;

    if (missing == 0 || x->body.failed)
        return x->body.failed ? refuse(c, 503, "There is no memory for this body now.")
                              : dispatch(c);
    ssize_t n = receive(c, chunk, missing < IN_LARGE ? missing : IN_LARGE);
    if (n == ENDED)
        return refuse(c, 400, "The connection ended inside a body.");
    if (n < 0) {
        http_conn_close(c);
        return false;
    }
    if (n == 0) {
        http_conn_deadline(c, body_deadline(c));
        return false;
    }
    buf_put(&x->body, chunk, (size_t)n);
    wipe(chunk, (size_t)n);
    c->moved += (uint64_t)n;
    return true;
}

void http_conn_answer(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    if (atomic_load(&c->loop->server->stopping))
        c->close_after = true;
    http_response_build(x, http_loop_date(c->loop), c->close_after);
    http_count(&counters_of(c)->responses[x->response.status / 100], 1);
    c->phase = PHASE_WRITE;
    c->begun_ms = c->loop->now_ms;
    c->moved = 0;
    http_conn_deadline(c, c->begun_ms + limits_of(c)->write_ms);
}

/* Bytes taken by the kernel, 0 when it takes none now, BROKEN. */
static ssize_t transmit(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    struct iovec parts[2] = {{x->out.data + x->out_at, x->out.len - x->out_at},
                             {x->rest.len ? (void *)(uintptr_t)(x->rest.data + x->rest_at) : NULL,
                              x->rest.len - x->rest_at}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = parts[1].iov_len ? 2 : 1};
    size_t n = 0;
    ssize_t sent;

    if (c->tls) {
        const struct iovec *part = &parts[parts[0].iov_len ? 0 : 1];
        switch (tls_write(c->tls, part->iov_base, part->iov_len, &n)) {
        case TLS_DONE:
            return (ssize_t)n;
        case TLS_WANT_READ:
            c->readable = false;
            return 0;
        case TLS_WANT_WRITE:
            c->writable = false;
            return 0;
        default:
            return BROKEN;
        }
    }
    do
        sent = sendmsg(c->source.fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        c->writable = false;
        return 0;
    }
    return sent < 0 ? BROKEN : sent;
}

static void advance(struct http_exchange *x, size_t n)
{
    size_t first = x->out.len - x->out_at;
    if (first > n)
        first = n;
    x->out_at += first;
    x->rest_at += n - first;
}

/* The next piece of the file into x->out. */
static bool refill(struct http_exchange *x)
{
    struct http_response *p = &x->response;
    uint64_t left = p->file_len - p->file_at;
    buf_reset(&x->out);
    x->out_at = 0;
    size_t want = left < FILE_CHUNK ? (size_t)left : FILE_CHUNK;
    uint8_t *at = buf_grow(&x->out, want);
    if (!at)
        return false;
    ssize_t n = pread(p->file, at, want, (off_t)p->file_at);
    if (n <= 0) {
        x->out.len = 0;
        return false; /* shorter than promised: the connection must be cut */
    }
    x->out.len = (size_t)n;
    p->file_at += (uint64_t)n;
    return true;
}

static void leave_exchange(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    const struct http_config *config = &c->loop->server->config;
    if (config->done)
        config->done(config->context, x, x->response.status, c->loop->now_ms - x->request.begun_ms);
    c->x = NULL;
    http_exchange_give(c->loop, x);
}

/* The head of a stream is out: the connection leaves for the stream thread. */
static bool become_stream(struct http_conn *c)
{
    struct http_loop *loop = c->loop;
    struct http_exchange *x = c->x;
    struct span last_id = http_field(&x->request, "Last-Event-ID");

    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, c->source.fd, NULL);
    http_sse_adopt(loop->server->sse, c->source.fd, c->tls, c->peer, c->counted,
                   span_text(x->response.channel), last_id);
    c->source.fd = -1;
    c->tls = NULL;
    http_conn_close(c);
    return false;
}

static bool begin_linger(struct http_conn *c)
{
    leave_exchange(c);
    drop_input(c);
    if (c->tls)
        tls_end(c->tls);
    shutdown(c->source.fd, SHUT_WR);
    c->phase = PHASE_LINGER;
    c->moved = 0;
    http_conn_deadline(c, c->loop->now_ms + LINGER_MS);
    return true;
}

/* Not while this loop may come across it again; and a proxy's connection carries everybody's requests. */
static bool may_pass_on(const struct http_conn *c)
{
    const struct http_server *server = c->loop->server;

    return server->quick_count > 0 && !atomic_load(&server->stopping) && !c->loop->quick &&
           !c->queued && http_conn_is_idle(c) && !http_server_trusts(server, c->peer);
}

static bool step_write(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    const struct http_limits *l = limits_of(c);

    while (x->out_at < x->out.len || x->rest_at < x->rest.len) {
        ssize_t n = c->writable ? transmit(c) : 0;
        if (n < 0) {
            http_conn_close(c);
            return false;
        }
        if (n == 0) {
            http_conn_deadline(c,
                               c->begun_ms + l->write_ms + (int64_t)c->moved * 1000 / l->rate_min);
            return false;
        }
        advance(x, (size_t)n);
        c->moved += (uint64_t)n;
        http_count(&counters_of(c)->bytes_out, (uint64_t)n);
    }
    if (x->response.file >= 0 && x->response.file_at < x->response.file_len) {
        if (refill(x))
            return true;
        http_conn_close(c);
        return false;
    }
    if (x->response.streams && !x->answers_head)
        return become_stream(c);
    if (c->close_after || x->response.streams)
        return begin_linger(c);
    bool hurried = x->hurried;
    leave_exchange(c);
    c->phase = PHASE_HEAD;
    if (hurried && may_pass_on(c)) {
        drop_input(c);
        http_loop_pass_on(c->loop, c);
        return false;
    }
    c->begun_ms = c->loop->now_ms;
    http_conn_deadline(c, c->begun_ms + (c->in_at < c->in_len ? l->head_ms : l->idle_ms));
    return true;
}

/* Read what still comes, so that the kernel does not answer it with a reset that eats our last words. */
static bool step_linger(struct http_conn *c)
{
    uint8_t chunk[IN_SMALL];
    ssize_t n;

    if (c->tls) { /* what comes now is not deciphered any more */
        tls_close(c->tls);
        c->tls = NULL;
        c->readable = true;
    }
    n = receive(c, chunk, sizeof chunk);
    if (n == 0)
        return false;
    if (n > 0)
        c->moved += (uint64_t)n;
    if (n > 0 && c->moved <= LINGER_BYTES_MAX)
        return true;
    http_conn_close(c);
    return false;
}

static bool step(struct http_conn *c)
{
    switch ((enum http_phase)c->phase) {
    case PHASE_HANDSHAKE:
        return step_handshake(c);
    case PHASE_HEAD:
        return step_head(c);
    case PHASE_BODY:
        return step_body(c);
    case PHASE_WRITE:
        return step_write(c);
    case PHASE_LINGER:
        return step_linger(c);
    case PHASE_HANDLER:
    case PHASE_DEAD:
        break;
    }
    return false;
}

void http_conn_run(struct http_conn *c)
{
    for (unsigned i = 0; i < RUN_STEPS_MAX; i++)
        if (!step(c))
            return;
    if (!c->queued) {
        c->queued = true;
        c->next_queued = c->loop->ready;
        c->loop->ready = c;
    }
}

void http_conn_late(struct http_conn *c)
{
    if (c->phase == PHASE_HEAD && http_conn_is_idle(c)) {
        http_conn_close(c);
        return;
    }
    if (c->phase != PHASE_LINGER)
        http_count(&counters_of(c)->timeouts, 1);
    if ((c->phase == PHASE_HEAD || c->phase == PHASE_BODY) &&
        refuse(c, 408, "The request came too slowly."))
        http_conn_run(c);
    else if (c->phase != PHASE_DEAD)
        http_conn_close(c);
}

bool http_conn_is_idle(const struct http_conn *c)
{
    return c->phase == PHASE_HEAD && c->in_at == c->in_len;
}

void http_conn_start(struct http_conn *c)
{
    const struct http_limits *l = limits_of(c);

    c->begun_ms = c->loop->now_ms;
    http_conn_deadline(c, c->begun_ms + (c->requests ? l->idle_ms : l->head_ms));
}

void http_conn_close(struct http_conn *c)
{
    struct http_loop *loop = c->loop;

    if (c->phase == PHASE_DEAD)
        return;
    if (c->x && c->phase == PHASE_HANDLER)
        c->x->conn = NULL; /* its handler still has it; http_finish will find nobody to answer */
    else if (c->x)
        leave_exchange(c);
    c->x = NULL;
    drop_input(c);
    tls_close(c->tls);
    c->tls = NULL;
    if (c->source.fd >= 0) {
        close(c->source.fd);
        http_server_left(loop->server, c->peer, c->counted);
    }
    c->source.fd = -1;
    c->phase = PHASE_DEAD;
    http_conn_deadline(c, -1);
    loop->conn_count--;
    /* Why not freed here: an event of the same round may still point to it. */
    if (!c->queued) {
        c->queued = true;
        c->next_queued = loop->dead;
        loop->dead = c;
    }
}

void http_defer(struct http_exchange *x)
{
    x->deferred = true;
}

void http_hurry(struct http_exchange *x)
{
    x->hurried = true;
}

void http_finish_with(struct http_exchange *x, void (*complete)(void *context), void *context)
{
    x->complete = complete;
    x->complete_context = context;
    http_finish(x);
}

void http_finish(struct http_exchange *x)
{
    x->next = NULL;
    http_finish_many(x);
}

/* Those of the list that are this loop's; *ret_rest are the others, in their order. */
static void finish_of_loop(struct http_loop *loop, struct http_exchange *first,
                           struct http_exchange **ret_rest)
{
    pthread_mutex_lock(&loop->lock);
    for (struct http_exchange *x = first, *next; x; x = next) {
        next = x->next;
        if (x->loop != loop) {
            *ret_rest = x;
            ret_rest = &x->next;
            continue;
        }
        x->next = loop->finished;
        loop->finished = x;
    }
    *ret_rest = NULL;
    /* Inside the lock: once it is let go, the loop may end and take the server with it. */
    http_loop_delivered(loop);
    pthread_mutex_unlock(&loop->lock);
}

void http_finish_many(struct http_exchange *first)
{
    while (first) {
        struct http_exchange *rest;
        finish_of_loop(first->loop, first, &rest);
        first = rest;
    }
}
