/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 256,
    READ_MAX = 1 << 22,
    READ_AT_ONCE = 16384,
    OUT_MAX = 1 << 22,
    REFUSED_US = 20000,
    SLOT_BITS = 16, /* of a peer's name */
    TIMER_SLACK_NS = 1000
};

enum kind { KIND_CLIENT, KIND_LISTENER, KIND_PEER };

/* Who asked, and when. */
struct call {
    wire_answer_fn *answered;
    void *context;
    int64_t began_us;
};

/* A call that waits for a connection. */
struct waiting {
    struct waiting *next;
    struct call call;
    struct buf request;
};

struct conn {
    enum kind kind;
    int fd; /* -1: none */
    struct wire *wire;
    struct wire_pool *pool; /* client */
    struct call call;       /* client: what is being asked, while busy */
    struct buf in, out;
    size_t sent;
    uint64_t name; /* peer: its slot, and how many were there before it */
    bool busy, wants_write;
    struct conn *next; /* peer: of those without a connection */
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
    struct conn **peers; /* by slot; they stay until the end */
    size_t peer_count, peer_cap;
    struct conn *gone;  /* in this round: events may still name them */
    struct conn *spare; /* to be used again */
    wire_request_fn *asked;
    void *asked_context;
};

struct wire_pool {
    struct wire *wire;
    uint16_t port;
    struct conn *conns;
    struct conn **idle; /* a stack */
    size_t count, idle_count;
    struct waiting *first, *last, *spare;
    struct buf scratch;
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
    c->sent = 0;
    buf_reset(&c->in);
    buf_reset(&c->out);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (epoll_ctl(c->wire->epoll, EPOLL_CTL_ADD, fd, &e) != 0)
        die("epoll: %s", strerror(errno));
}

/* Its memory stays for who comes next: a thousand connections that come again at once would all take it anew. */
static void drop(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static void conn_init(struct conn *c, enum kind kind, struct wire *w)
{
    *c = (struct conn){.kind = kind, .fd = -1, .wire = w};
    buf_init(&c->in, READ_MAX);
    buf_init(&c->out, OUT_MAX);
}

static void conn_done(struct conn *c)
{
    drop(c);
    buf_done(&c->in);
    buf_done(&c->out);
}

/* What the kernel takes of the bytes now; -1 when the connection is broken. */
static ssize_t push_some(struct conn *c, const uint8_t *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = send(c->fd, data + done, len - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n <= 0)
            return -1;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* The rest of what could not be sent before. False when the connection is broken. */
static bool push(struct conn *c)
{
    ssize_t n = push_some(c, c->out.data + c->sent, c->out.len - c->sent);

    if (n < 0)
        return false;
    c->sent += (size_t)n;
    bool rest = c->sent < c->out.len;
    if (!rest) {
        buf_reset(&c->out);
        c->sent = 0;
    }
    if (rest != c->wants_write)
        watch(c, rest);
    return true;
}

/* Straight from the caller's memory; only what the kernel does not take is copied. False when the connection is broken. */
static bool push_bytes(struct conn *c, struct span bytes)
{
    if (c->out.len == 0) {
        ssize_t n = push_some(c, bytes.data, bytes.len);
        if (n < 0)
            return false;
        if ((size_t)n == bytes.len)
            return true;
        bytes = span_sub(bytes, (size_t)n, bytes.len);
    }
    buf_put_span(&c->out, bytes);
    return push(c);
}

/* False at the end of the stream. */
static bool pull(struct conn *c)
{
    for (;;) {
        uint8_t *at = buf_grow(&c->in, READ_AT_ONCE);
        if (!at)
            die("an answer was too long");
        ssize_t n = recv(c->fd, at, READ_AT_ONCE, 0);
        c->in.len -= READ_AT_ONCE - (size_t)(n > 0 ? n : 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK;
        if (n < READ_AT_ONCE)
            return n > 0;
    }
}

static void consume(struct buf *b, size_t n)
{
    if (n < b->len)
        memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

/* --- heads ------------------------------------------------------------------------------------------------------------------- */

/* Of a message that is there to its last byte. */
struct head {
    size_t bytes, body; /* with the empty line; what follows it */
    struct span first;  /* the first line */
    bool closes;
};

static bool field(struct span line, const char *name, size_t len, struct span *ret_value)
{
    size_t at = len + 1;

    if (line.len <= len || line.data[len] != ':' ||
        strncasecmp((const char *)line.data, name, len) != 0)
        return false;
    while (at < line.len && line.data[at] == ' ')
        at++;
    *ret_value = span_sub(line, at, line.len);
    return true;
}

static void take_field(struct head *h, struct span line)
{
    struct span value;
    uint64_t length;

    if (field(line, "content-length", 14, &value)) {
        must(text_to_u64(value, &length), "Content-Length");
        h->body = (size_t)length;
    } else if (field(line, "transfer-encoding", 17, &value)) {
        die("an answer came in chunks");
    } else if (field(line, "connection", 10, &value)) {
        h->closes = span_ieq_text(value, "close");
    }
}

/* False while there is more to come. */
static bool whole(const struct buf *b, struct head *ret_head)
{
    struct head h = {0};
    size_t at = 0;

    for (;;) {
        const uint8_t *line = b->data + at;
        const uint8_t *end = at < b->len ? memchr(line, '\n', b->len - at) : NULL;
        if (!end)
            return false;
        struct span text = span_of(line, (size_t)(end - line));
        if (text.len && text.data[text.len - 1] == '\r')
            text.len--;
        at = (size_t)(end - b->data) + 1;
        if (text.len == 0)
            break;
        if (!h.first.data)
            h.first = text;
        else if ((text.data[0] | 0x20) == 'c' || (text.data[0] | 0x20) == 't')
            take_field(&h, text);
    }
    h.bytes = at;
    *ret_head = h;
    return b->len - at >= h.body;
}

/* --- client ------------------------------------------------------------------------------------------------------------------ */

static void broken_later(void *context);

static bool client_connect(struct conn *c)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(c->pool->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        die("socket: %s", strerror(errno));
    /*
     * On loopback it stands when this returns, or is refused. But where the other end of the same port still waits for late packets of a
     * server that was killed, and nobody listens, the kernel says neither, and tries again after a second.
     */
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0 && errno != EINPROGRESS) {
        close(fd);
        return false;
    }
    adopt(c, fd);
    return true;
}

static void client_begin(struct conn *c, const struct call *call, struct span request)
{
    c->call = *call;
    c->busy = true;
    if ((c->fd >= 0 || client_connect(c)) && push_bytes(c, request))
        return;
    /* Refused or broken: the server is being started again. */
    drop(c);
    wire_after(c->wire, REFUSED_US, broken_later, c);
}

/* The next call that waits, or rest. */
static void client_next(struct conn *c)
{
    struct wire_pool *p = c->pool;
    struct waiting *next = p->first;

    c->busy = false;
    if (!next) {
        p->idle[p->idle_count++] = c;
        return;
    }
    p->first = next->next;
    if (!p->first)
        p->last = NULL;
    client_begin(c, &next->call, buf_span(&next->request));
    buf_reset(&next->request);
    next->next = p->spare;
    p->spare = next;
}

static void client_tell(struct conn *c, int status, struct span head, struct span body)
{
    struct wire_answer answer = {status, body, now_us() - c->call.began_us, head};

    c->call.answered(c->call.context, &answer);
}

static void client_broken(struct conn *c)
{
    drop(c);
    if (!c->busy)
        return;
    client_tell(c, 0, (struct span){0}, (struct span){0});
    client_next(c);
}

static void broken_later(void *context)
{
    client_broken(context);
}

static int status_of(struct span line)
{
    int status = 0;

    for (size_t i = 9; i < 12 && i < line.len; i++)
        status = status * 10 + (line.data[i] - '0');
    return status;
}

static void client_read(struct conn *c)
{
    bool open = pull(c);
    struct head h;

    if (c->busy && whole(&c->in, &h)) {
        /* The answer stays where it is while it is looked at: nobody else gets this connection before. */
        client_tell(c, status_of(h.first), span_of(c->in.data, h.bytes),
                    span_of(c->in.data + h.bytes, h.body));
        if (h.closes || !open)
            drop(c);
        else
            consume(&c->in, h.bytes + h.body);
        client_next(c);
    } else if (!open) {
        client_broken(c);
    }
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
    buf_init(&p->scratch, OUT_MAX);
    for (size_t i = 0; i < connections; i++) {
        conn_init(&p->conns[i], KIND_CLIENT, w);
        p->conns[i].pool = p;
        p->idle[p->idle_count++] = &p->conns[i];
    }
    return p;
}

void wire_pool_close(struct wire_pool *p)
{
    for (size_t i = 0; i < p->idle_count; i++)
        drop(p->idle[i]);
}

void wire_pool_free(struct wire_pool *p)
{
    for (size_t i = 0; i < p->count; i++)
        conn_done(&p->conns[i]);
    for (struct waiting *w = p->spare, *next; w; w = next) {
        next = w->next;
        buf_done(&w->request);
        free(w);
    }
    buf_done(&p->scratch);
    free(p->conns);
    free(p->idle);
    free(p);
}

struct buf *wire_scratch(struct wire_pool *p)
{
    buf_reset(&p->scratch);
    return &p->scratch;
}

/* No connection is free: the request is kept. */
static void wait_for_one(struct wire_pool *p, const struct call *call, struct span request)
{
    struct waiting *w = p->spare;

    if (w) {
        p->spare = w->next;
    } else {
        w = calloc(1, sizeof *w);
        if (!w)
            die("no memory");
        buf_init(&w->request, OUT_MAX);
    }
    w->next = NULL;
    w->call = *call;
    buf_put_span(&w->request, request);
    if (p->last)
        p->last->next = w;
    else
        p->first = w;
    p->last = w;
}

void wire_send(struct wire_pool *p, struct span request, wire_answer_fn *answered, void *context)
{
    struct call call = {answered, context, now_us()};

    if (p->idle_count)
        client_begin(p->idle[--p->idle_count], &call, request);
    else
        wait_for_one(p, &call, request);
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

static void peer_gone(struct conn *c)
{
    drop(c);
    c->next = c->wire->gone;
    c->wire->gone = c;
}

/* Events of the last round are over: nothing names these any more. */
static void peers_reuse(struct wire *w)
{
    while (w->gone) {
        struct conn *c = w->gone;
        w->gone = c->next;
        c->next = w->spare;
        w->spare = c;
    }
}

static struct conn *peer_new(struct wire *w)
{
    struct conn *c = w->spare;

    if (c) {
        w->spare = c->next;
    } else {
        if (w->peer_count == w->peer_cap) {
            w->peer_cap = w->peer_cap ? w->peer_cap * 2 : 64;
            w->peers = realloc(w->peers, w->peer_cap * sizeof(struct conn *));
        }
        c = calloc(1, sizeof *c);
        if (!c || !w->peers || w->peer_count >> SLOT_BITS)
            die("no memory for connections");
        conn_init(c, KIND_PEER, w);
        c->name = w->peer_count;
        w->peers[w->peer_count++] = c;
    }
    c->name = ++w->peer_serial << SLOT_BITS | (c->name & ((1 << SLOT_BITS) - 1));
    return c;
}

static void peer_accept(struct conn *listener)
{
    int fd;

    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        adopt(peer_new(listener->wire), fd);
}

static void read_line(struct span line, struct wire_request *r)
{
    size_t a = span_find(line, ' ');
    struct span rest = span_sub(line, a + 1, line.len);
    size_t b = span_find(rest, ' ');

    must(span_to_text(span_sub(line, 0, a), r->method, sizeof r->method), "method");
    must(span_to_text(span_sub(rest, 0, b), r->path, sizeof r->path), "path");
}

static void peer_read(struct conn *c)
{
    bool open = pull(c);
    struct head h;

    if (whole(&c->in, &h)) {
        struct wire_request r;
        r.from = c->name;
        r.body = span_of(c->in.data + h.bytes, h.body);
        read_line(h.first, &r);
        c->wire->asked(c->wire->asked_context, &r);
        if (c->fd >= 0)
            consume(&c->in, h.bytes + h.body);
    } else if (!open) {
        peer_gone(c);
    }
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
    conn_init(c, KIND_LISTENER, w);
    w->listener = c;
    w->asked = asked;
    w->asked_context = context;
    adopt(c, fd);
    return ntohs(a.sin_port);
}

void wire_reply(struct wire *w, uint64_t from, int status, struct span json)
{
    struct conn *c = w->peers[from & ((1 << SLOT_BITS) - 1)];
    char head[128];

    if (c->name != from || c->fd < 0)
        return;
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d x\r\nContent-Type: application/json\r\nContent-Length: "
                     "%zu\r\n\r\n",
                     status, json.len);
    buf_put(&c->out, head, (size_t)n);
    buf_put_span(&c->out, json);
    if (!push(c))
        peer_gone(c);
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
            peer_gone(c);
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
    int64_t wait_us = max_ms * (int64_t)1000;

    peers_reuse(w);
    if (w->timer_count) {
        int64_t due = w->timers[0].at_us - now_us();
        due = due < 0 ? 0 : due;
        wait_us = due < wait_us ? due : wait_us;
    }
    struct timespec wait = {wait_us / 1000000, wait_us % 1000000 * 1000};
    int n = epoll_pwait2(w->epoll, events, EVENTS_MAX, &wait, NULL);
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
    /* A timer is when something is due; the kernel's usual slack is 50 us. */
    (void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
    return w;
}

void wire_free(struct wire *w)
{
    for (size_t i = 0; i < w->peer_count; i++) {
        conn_done(w->peers[i]);
        free(w->peers[i]);
    }
    if (w->listener)
        conn_done(w->listener);
    free(w->listener);
    free(w->peers);
    free(w->timers);
    close(w->epoll);
    free(w);
}
