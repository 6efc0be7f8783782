/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, READ_MAX = 1 << 22, OUT_MAX = 1 << 22 };

enum kind { KIND_CLIENT, KIND_LISTENER, KIND_PEER };

struct call {
    struct call *next;
    struct buf request;
    wire_answer_fn *answered;
    void *context;
    int64_t began_us;
};

struct conn {
    enum kind kind;
    int fd; /* -1: none */
    struct wire *wire;
    struct wire_pool *pool; /* client */
    struct call *call;      /* client: what is being asked */
    struct buf in, out;
    size_t sent;
    uint64_t serial; /* peer */
    bool wants_write, close_after;
    struct conn *next; /* peer list */
};

struct timer {
    int64_t at_us;
    uint64_t order; /* keeps equal times in order */
    wire_timer_fn *run;
    void *context;
};

struct wire {
    int epoll;
    struct timer *timers; /* a heap */
    size_t timer_count, timer_cap;
    uint64_t timer_serial, peer_serial;
    struct conn *listener;
    struct conn *peers;
    wire_request_fn *asked;
    void *asked_context;
};

struct wire_pool {
    struct wire *wire;
    uint16_t port;
    struct conn *conns;
    struct conn **idle; /* a stack */
    size_t count, idle_count;
    struct call *first, *last;
};

/* --- timers ---------------------------------------------------------------------------------------------------------------- */

static bool earlier(const struct timer *a, const struct timer *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void swap(struct timer *a, struct timer *b)
{
    struct timer t = *a;
    *a = *b;
    *b = t;
}

void wire_after(struct wire *w, int64_t delay_us, wire_timer_fn *run, void *context)
{
    if (w->timer_count == w->timer_cap) {
        w->timer_cap = w->timer_cap ? w->timer_cap * 2 : 64;
        w->timers = realloc(w->timers, w->timer_cap * sizeof *w->timers);
        if (!w->timers)
            die("no memory for timers");
    }
    size_t i = w->timer_count++;
    w->timers[i] = (struct timer){now_us() + delay_us, w->timer_serial++, run, context};
    while (i > 0 && earlier(&w->timers[i], &w->timers[(i - 1) / 2])) {
        swap(&w->timers[i], &w->timers[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static struct timer take_timer(struct wire *w)
{
    struct timer first = w->timers[0];
    size_t i = 0;

    w->timers[0] = w->timers[--w->timer_count];
    for (;;) {
        size_t least = i, left = 2 * i + 1;
        for (size_t k = left; k < left + 2 && k < w->timer_count; k++)
            if (earlier(&w->timers[k], &w->timers[least]))
                least = k;
        if (least == i)
            return first;
        swap(&w->timers[i], &w->timers[least]);
        i = least;
    }
}

/* --- connections ------------------------------------------------------------------------------------------------------------ */

static void watch(struct conn *c, bool write)
{
    struct epoll_event e = {.events = EPOLLIN | (write ? (uint32_t)EPOLLOUT : 0), .data.ptr = c};

    if (epoll_ctl(c->wire->epoll, EPOLL_CTL_MOD, c->fd, &e) != 0)
        die("epoll: %s", strerror(errno));
    c->wants_write = write;
}

static void adopt(struct conn *c, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    int on = 1;

    c->fd = fd;
    c->wants_write = false;
    c->close_after = false;
    c->sent = 0;
    buf_init(&c->in, READ_MAX);
    buf_init(&c->out, OUT_MAX);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (epoll_ctl(c->wire->epoll, EPOLL_CTL_ADD, fd, &e) != 0)
        die("epoll: %s", strerror(errno));
}

static void drop(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    buf_done(&c->in);
    buf_done(&c->out);
}

/* False when the connection is broken. */
static bool push(struct conn *c)
{
    while (c->sent < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (!c->wants_write)
                watch(c, true);
            return true;
        }
        if (n <= 0)
            return false;
        c->sent += (size_t)n;
    }
    buf_reset(&c->out);
    c->sent = 0;
    if (c->wants_write)
        watch(c, false);
    return true;
}

/* False at the end of the stream. */
static bool pull(struct conn *c)
{
    uint8_t chunk[32768];

    for (;;) {
        ssize_t n = recv(c->fd, chunk, sizeof chunk, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK;
        if (n == 0)
            return false;
        buf_put(&c->in, chunk, (size_t)n);
        if (c->in.failed)
            die("an answer was too long");
        if ((size_t)n < sizeof chunk)
            return true;
    }
}

/* Where the head ends (after the empty line), or 0. */
static size_t head_end(const struct buf *b)
{
    const uint8_t *end = b->len >= 4 ? memmem(b->data, b->len, "\r\n\r\n", 4) : NULL;
    return end ? (size_t)(end - b->data) + 4 : 0;
}

static bool head_field(const struct buf *b, size_t head, const char *name, struct span *ret_value)
{
    size_t at = 0, len = strlen(name);

    while (at < head) {
        struct span line = span_sub(span_of(b->data, head), at, head);
        size_t end = span_find(line, '\n');
        if (end > len && strncasecmp((const char *)line.data, name, len) == 0 &&
            line.data[len] == ':') {
            struct span value = span_sub(line, len + 1, end - len - 1);
            while (value.len && (value.data[0] == ' '))
                value = span_sub(value, 1, value.len);
            while (value.len &&
                   (value.data[value.len - 1] == '\r' || value.data[value.len - 1] == ' '))
                value.len--;
            *ret_value = value;
            return true;
        }
        at += end + 1;
    }
    return false;
}

static size_t body_length(const struct buf *b, size_t head)
{
    struct span value;
    uint64_t length = 0;

    if (head_field(b, head, "content-length", &value))
        must(text_to_u64(value, &length), "Content-Length");
    else if (head_field(b, head, "transfer-encoding", &value))
        die("an answer came in chunks");
    return (size_t)length;
}

static void consume(struct buf *b, size_t n)
{
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

/* --- client ------------------------------------------------------------------------------------------------------------------ */

static void client_begin(struct conn *c, struct call *call);

static struct call *queue_take(struct wire_pool *p)
{
    struct call *call = p->first;

    if (call)
        p->first = call->next;
    if (!p->first)
        p->last = NULL;
    return call;
}

static void client_end(struct conn *c, int status, struct span body)
{
    struct call *call = c->call;
    struct wire_pool *pool = c->pool;

    if (!call)
        return;
    struct wire_answer answer = {status, body, now_us() - call->began_us};
    c->call = NULL;
    call->answered(call->context, &answer);
    buf_done(&call->request);
    free(call);
    struct call *next = queue_take(pool);
    if (next)
        client_begin(c, next);
    else
        pool->idle[pool->idle_count++] = c;
}

static void client_broken(struct conn *c)
{
    drop(c);
    client_end(c, 0, (struct span){0});
}

static bool client_connect(struct conn *c)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(c->pool->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        die("socket: %s", strerror(errno));
    /* Why blocking here: on loopback the kernel answers at once, accepted or refused. */
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return false;
    }
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        die("fcntl: %s", strerror(errno));
    adopt(c, fd);
    return true;
}

static void broken_later(void *context)
{
    client_broken(context);
}

static void client_begin(struct conn *c, struct call *call)
{
    c->call = call;
    if (c->fd < 0 && !client_connect(c)) {
        wire_after(c->wire, 20000, broken_later,
                   c); /* refused: the server is being started again */
        return;
    }
    buf_put(&c->out, call->request.data, call->request.len);
    if (!push(c)) {
        drop(c);
        wire_after(c->wire, 20000, broken_later, c);
    }
}

static void client_read(struct conn *c)
{
    struct span value;
    bool open = pull(c);
    size_t head = head_end(&c->in);

    if (c->call && head) {
        size_t length = body_length(&c->in, head);
        if (c->in.len >= head + length) {
            int status = 0;
            for (size_t i = 9; i < 12; i++)
                status = status * 10 + (c->in.data[i] - '0');
            bool closes =
                head_field(&c->in, head, "connection", &value) && span_ieq_text(value, "close");
            AUTO(buf_done) struct buf body = {0};
            buf_init(&body, READ_MAX);
            buf_put(&body, c->in.data + head, length);
            consume(&c->in, head + length);
            if (closes || !open)
                drop(c);
            client_end(c, status, buf_span(&body));
            return;
        }
    }
    if (!open)
        client_broken(c);
}

struct wire_pool *wire_pool_new(struct wire *w, uint16_t port, size_t connections)
{
    struct wire_pool *p = calloc(1, sizeof *p);

    if (!p || !(p->conns = calloc(connections, sizeof *p->conns)) ||
        !(p->idle = calloc(connections, sizeof(struct conn *))))
        die("no memory");
    p->wire = w;
    p->port = port;
    p->count = connections;
    for (size_t i = 0; i < connections; i++) {
        p->conns[i] = (struct conn){.kind = KIND_CLIENT, .fd = -1, .wire = w, .pool = p};
        p->idle[p->idle_count++] = &p->conns[i];
    }
    return p;
}

void wire_pool_free(struct wire_pool *p)
{
    for (size_t i = 0; i < p->count; i++)
        drop(&p->conns[i]);
    free(p->conns);
    free(p->idle);
    free(p);
}

void wire_send(struct wire_pool *p, struct span request, wire_answer_fn *answered, void *context)
{
    struct call *call = calloc(1, sizeof *call);

    if (!call)
        die("no memory");
    buf_init(&call->request, OUT_MAX);
    buf_put_span(&call->request, request);
    call->answered = answered;
    call->context = context;
    call->began_us = now_us();
    if (p->idle_count) {
        client_begin(p->idle[--p->idle_count], call);
        return;
    }
    if (p->last)
        p->last->next = call;
    else
        p->first = call;
    p->last = call;
}

struct asking {
    int status;
    bool done;
    struct buf *out;
};

static void asked_answered(void *context, const struct wire_answer *answer)
{
    struct asking *a = context;

    a->status = answer->status;
    a->done = true;
    buf_reset(a->out);
    buf_put_span(a->out, answer->body);
}

int wire_ask(struct wire *w, struct wire_pool *p, struct span request, struct buf *out)
{
    struct asking a = {.out = out};

    wire_send(p, request, asked_answered, &a);
    while (!a.done)
        wire_turn(w, 1000);
    return a.status;
}

/* --- server ------------------------------------------------------------------------------------------------------------------ */

static void free_peers(struct wire *w, bool all)
{
    for (struct conn **at = &w->peers; *at;) {
        struct conn *c = *at;
        if (c->fd >= 0 && !all) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        drop(c);
        free(c);
    }
}

static void peer_accept(struct conn *listener)
{
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct conn *c = calloc(1, sizeof *c);
        if (!c)
            die("no memory");
        *c = (struct conn){.kind = KIND_PEER, .fd = -1, .wire = listener->wire};
        c->serial = ++listener->wire->peer_serial;
        c->next = listener->wire->peers;
        listener->wire->peers = c;
        adopt(c, fd);
    }
}

static void read_line(struct conn *c, size_t head, struct wire_request *r)
{
    struct span line = span_of(c->in.data, head);
    size_t a = span_find(line, ' ');
    struct span rest = span_sub(line, a + 1, line.len);
    size_t b = span_find(rest, ' ');

    must(span_to_text(span_sub(line, 0, a), r->method, sizeof r->method), "method");
    must(span_to_text(span_sub(rest, 0, b), r->path, sizeof r->path), "path");
}

static void peer_read(struct conn *c)
{
    bool open = pull(c);
    size_t head = head_end(&c->in);

    if (head && c->in.len >= head + body_length(&c->in, head)) {
        struct wire_request r = {.from = c->serial};
        size_t length = body_length(&c->in, head);
        AUTO(buf_done) struct buf body = {0};
        read_line(c, head, &r);
        buf_init(&body, READ_MAX);
        buf_put(&body, c->in.data + head, length);
        consume(&c->in, head + length);
        r.body = buf_span(&body);
        c->wire->asked(c->wire->asked_context, &r);
        return;
    }
    if (!open)
        drop(c);
}

uint16_t wire_listen(struct wire *w, wire_request_fn *asked, void *context)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    struct conn *c = calloc(1, sizeof *c);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!c || fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        die("cannot listen: %s", strerror(errno));
    *c = (struct conn){.kind = KIND_LISTENER, .fd = -1, .wire = w};
    w->listener = c;
    w->asked = asked;
    w->asked_context = context;
    adopt(c, fd);
    return ntohs(a.sin_port);
}

void wire_reply(struct wire *w, uint64_t from, int status, struct span json)
{
    struct conn *c = w->peers;

    while (c && c->serial != from)
        c = c->next;
    if (!c)
        return;
    buf_printf(&c->out,
               "HTTP/1.1 %d x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               status, json.len);
    buf_put_span(&c->out, json);
    if (!push(c))
        drop(c); /* freed before the next wait: an event of this round may still name it */
}

/* --- the loop ---------------------------------------------------------------------------------------------------------------- */

static void handle(struct conn *c, uint32_t events)
{
    if (c->fd < 0)
        return;
    if (c->kind == KIND_LISTENER) {
        peer_accept(c);
        return;
    }
    if ((events & EPOLLOUT) && !push(c)) {
        if (c->kind == KIND_CLIENT)
            client_broken(c);
        else
            drop(c);
        return;
    }
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
        if (c->kind == KIND_CLIENT)
            client_read(c);
        else
            peer_read(c);
    }
}

void wire_turn(struct wire *w, int max_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int wait = max_ms;

    free_peers(w, false);
    if (w->timer_count) {
        int64_t due = w->timers[0].at_us - now_us();
        int ms = due <= 0 ? 0 : (int)((due + 999) / 1000);
        wait = ms < wait ? ms : wait;
    }
    int n = epoll_wait(w->epoll, events, EVENTS_MAX, wait);
    if (n < 0 && errno != EINTR)
        die("epoll: %s", strerror(errno));
    for (int i = 0; i < n; i++)
        handle(events[i].data.ptr, events[i].events);
    int64_t now = now_us();
    while (w->timer_count && w->timers[0].at_us <= now) {
        struct timer t = take_timer(w);
        t.run(t.context);
    }
}

struct wire *wire_new(void)
{
    struct wire *w = calloc(1, sizeof *w);

    if (!w || (w->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
        die("epoll: %s", strerror(errno));
    return w;
}

void wire_free(struct wire *w)
{
    free_peers(w, true);
    if (w->listener)
        drop(w->listener);
    free(w->listener);
    free(w->timers);
    close(w->epoll);
    free(w);
}
