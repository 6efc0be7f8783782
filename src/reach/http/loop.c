/* SPDX-License-Identifier: Apache-2.0 */
/* loop - one thread, one epoll set: events, finished exchanges, new connections, deadlines. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reach/http/inner.h"

enum {
    ACCEPTS_MAX = 64,
    HEAP_BYTES = 12 << 20, /* a few thousand connections, and what the handlers keep for the loop */
};

void http_loop_wake(struct http_loop *loop)
{
    uint64_t one = 1;
    ssize_t n = write(loop->wake.fd, &one, sizeof one);
    /* Full means that it is awake already. */
    INVARIANT(n == (ssize_t)sizeof one || errno == EAGAIN, "a loop can be woken");
}

void http_loop_delivered(struct http_loop *loop)
{
    if (loop->asleep)
        http_loop_wake(loop);
    loop->asleep = false;
}

const char *http_loop_date(struct http_loop *loop)
{
    static const char days[] = "ThuFriSatSunMonTueWed",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t at_s = clock_now_ms(loop->server->config.clock) / 1000;
    char text[TIME_TEXT_MAX]; /* 2026-11-23T19:30:00Z */

    if (at_s == loop->date_at_s)
        return loop->date;
    loop->date_at_s = at_s;
    time_format(at_s * 1000, text);
    int month = (text[5] - '0') * 10 + text[6] - '0';
    INVARIANT(month >= 1 && month <= 12 && at_s >= 0, "the clock is a clock");
    (void)snprintf(loop->date, sizeof loop->date, "%.3s, %.2s %.3s %.4s %.8s GMT",
                   days + at_s / 86400 % 7 * 3, text + 8, months + (month - 1) * 3, text,
                   text + 11);
    return loop->date;
}

/* --- The wheel of deadlines ----------------------------------------------------------------------------------------- */

static void unlink_conn(struct http_conn *c)
{
    if (c->linked_tick == 0)
        return;
    if (c->prev)
        c->prev->next = c->next;
    else
        c->loop->wheel[c->linked_tick % WHEEL_SLOTS] = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->prev = c->next = NULL;
    c->linked_tick = 0;
}

static void link_conn(struct http_conn *c, int64_t tick)
{
    struct http_conn **slot = &c->loop->wheel[tick % WHEEL_SLOTS];
    c->prev = NULL;
    c->next = *slot;
    if (*slot)
        (*slot)->prev = c;
    *slot = c;
    c->linked_tick = tick;
}

/* A later deadline leaves the connection where it is: the wheel looks at it too early and puts it further on. */
void http_conn_deadline(struct http_conn *c, int64_t at_ms)
{
    int64_t now = c->loop->tick, tick = at_ms / WHEEL_TICK_MS + 1;

    c->deadline_ms = at_ms;
    if (at_ms < 0) {
        unlink_conn(c);
        return;
    }
    if (tick <= now)
        tick = now + 1;
    if (tick > now + WHEEL_SLOTS - 1)
        tick = now + WHEEL_SLOTS - 1;
    if (c->linked_tick != 0 && c->linked_tick <= tick)
        return;
    unlink_conn(c);
    link_conn(c, tick);
}

static void turn_wheel(struct http_loop *loop)
{
    int64_t to = loop->now_ms / WHEEL_TICK_MS;
    if (to - loop->tick > WHEEL_SLOTS) /* a clock that jumped: every slot once */
        loop->tick = to - WHEEL_SLOTS;
    while (loop->tick < to) {
        loop->tick++;
        struct http_conn *c = loop->wheel[loop->tick % WHEEL_SLOTS], *next;
        loop->wheel[loop->tick % WHEEL_SLOTS] = NULL;
        for (struct http_conn *at = c; at; at = at->next)
            at->linked_tick = 0;
        for (; c; c = next) {
            next = c->next;
            c->prev = c->next = NULL;
            if (c->deadline_ms <= loop->now_ms)
                http_conn_late(c);
            if (c->phase != PHASE_DEAD && c->linked_tick == 0)
                http_conn_deadline(c, c->deadline_ms);
        }
    }
}

/* --- Accepting ------------------------------------------------------------------------------------------------------ */

/* Out of descriptors: give up the spare one to take the caller and send it away, or it would wake us for ever. */
static void turn_away(struct http_loop *loop, int listener)
{
    if (loop->spare_fd >= 0)
        close(loop->spare_fd);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    loop->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    http_count(&loop->server->counters.connections_refused, 1);
}

static struct http_conn *welcome(struct http_server *server, struct http_bound *bound, int fd,
                                 struct http_address peer, bool counted)
{
    struct http_conn *c = calloc(1, sizeof *c);
    int one = 1;
    enum err code = OK;

    if (!c)
        return NULL;
    c->source = (struct http_source){SOURCE_CONN, fd};
    c->peer = peer;
    c->counted = counted;
    /* Both only make it faster. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    pthread_mutex_lock(&server->lock);
    if (bound->tls)
        code = tls_accept(bound->tls, fd, &c->tls);
    pthread_mutex_unlock(&server->lock);
    if (code != OK) {
        free(c);
        return NULL;
    }
    c->phase = c->tls ? PHASE_HANDSHAKE : PHASE_HEAD;
    return c;
}

static void admit(struct http_loop *loop, struct http_bound *bound, int fd,
                  const struct sockaddr_storage *from)
{
    struct http_server *server = loop->server;
    const struct http_limits *l = &server->config.limits;
    struct http_address peer;
    struct http_conn *c = NULL;

    http_address_from_socket(from, &peer);
    bool counted = l->connections_per_client_max > 0 && !http_server_trusts(server, peer);
    bool room = atomic_fetch_add(&server->counters.connections_now, 1) < l->connections_max;
    bool entered = room && (!counted || http_crowd_enter(server->crowd, http_address_key(peer),
                                                         l->connections_per_client_max));
    if (entered)
        c = welcome(server, bound, fd, peer, counted);
    if (!c) {
        http_server_left(server, peer, entered && counted);
        http_count(&server->counters.connections_refused, 1);
        close(fd);
        return;
    }
    http_count(&server->counters.connections, 1);
    unsigned turn = atomic_fetch_add(&server->next_loop, 1) % server->loop_count;
    http_loop_spread(&server->loops[turn], c);
}

void http_loop_accept(struct http_loop *loop, struct http_bound *bound)
{
    for (int i = 0; i < ACCEPTS_MAX && !loop->stopping; i++) {
        struct sockaddr_storage from = {0};
        socklen_t len = sizeof from;
        int fd =
            accept4(bound->source.fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            admit(loop, bound, fd, &from);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            turn_away(loop, bound->source.fd);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
    }
}

void http_loop_spread(struct http_loop *loop, struct http_conn *c)
{
    c->loop = loop;
    pthread_mutex_lock(&loop->lock);
    c->next_queued = loop->arrivals;
    loop->arrivals = c;
    http_loop_delivered(loop);
    pthread_mutex_unlock(&loop->lock);
}

static void adopt(struct http_loop *loop, struct http_conn *c)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    loop->conn_count++;
    http_conn_start(c);
    if (loop->stopping || epoll_ctl(loop->epoll, EPOLL_CTL_ADD, c->source.fd, &ev) != 0)
        http_conn_close(c);
    else if (
        c->readable) /* one that was passed on may have been deciphered further than it was read */
        http_conn_run(c);
}

void http_loop_pass_on(struct http_loop *loop, struct http_conn *c)
{
    struct http_server *server = loop->server;
    unsigned turn = atomic_fetch_add(&server->next_quick, 1) % server->quick_count;

    (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, c->source.fd, NULL);
    http_conn_deadline(c, -1);
    loop->conn_count--;
    http_loop_spread(&server->loops[server->loop_count + turn], c);
}

/* --- Rounds --------------------------------------------------------------------------------------------------------- */

/* Whether it may sleep: from here on a delivery wakes it. */
static bool lie_down(struct http_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->asleep = !loop->arrivals && !loop->finished && !loop->ready;
    bool asleep = loop->asleep;
    pthread_mutex_unlock(&loop->lock);
    return asleep;
}

static void take_deliveries(struct http_loop *loop)
{
    struct http_exchange *finished = NULL;

    pthread_mutex_lock(&loop->lock);
    loop->asleep = false;
    struct http_conn *arrivals = loop->arrivals;
    struct http_exchange *newest = loop->finished;
    loop->arrivals = NULL;
    loop->finished = NULL;
    pthread_mutex_unlock(&loop->lock);
    for (struct http_conn *c = arrivals, *next; c; c = next) {
        next = c->next_queued;
        c->next_queued = NULL;
        adopt(loop, c);
    }
    while (newest) { /* first finished, first answered */
        struct http_exchange *next = newest->next;
        newest->next = finished;
        finished = newest;
        newest = next;
    }
    for (struct http_exchange *x = finished, *next; x; x = next) {
        const struct http_config *config = &loop->server->config;
        next = x->next;
        x->deferred = false;
        loop->deferred_count--;
        if (x->complete)
            x->complete(x->complete_context);
        if (x->conn) {
            struct http_conn *c = x->conn;
            http_conn_answer(c);
            http_conn_run(c);
        } else {
            if (config->done)
                config->done(config->context, x, x->response.status,
                             loop->now_ms - x->request.begun_ms);
            http_exchange_give(loop, x);
        }
    }
}

static void on_conn(struct http_conn *c, uint32_t events)
{
    if (c->phase == PHASE_DEAD)
        return;
    if (events & (EPOLLERR | EPOLLHUP)) {
        if (c->phase == PHASE_HANDSHAKE)
            http_count(&c->loop->server->counters.tls_failures, 1);
        http_conn_close(c);
        return;
    }
    if (events & (EPOLLIN | EPOLLRDHUP))
        c->readable = true;
    if (events & EPOLLRDHUP)
        c->hung_up = true;
    if (events & EPOLLOUT)
        c->writable = true;
    http_conn_run(c);
}

static void run_ready(struct http_loop *loop)
{
    struct http_conn *c = loop->ready;
    loop->ready = NULL;
    while (c) {
        struct http_conn *next = c->next_queued;
        c->next_queued = NULL;
        c->queued = false;
        if (c->phase == PHASE_DEAD) {
            c->next_queued = loop->dead;
            loop->dead = c;
        } else {
            http_conn_run(c);
        }
        c = next;
    }
}

static void bury(struct http_loop *loop)
{
    while (loop->dead) {
        struct http_conn *c = loop->dead;
        loop->dead = c->next_queued;
        free(c);
    }
}

/* Close the connections for which it is time; every connection is in the wheel. */
static void close_conns(struct http_loop *loop, bool all)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        for (struct http_conn *c = loop->wheel[i], *next; c; c = next) {
            next = c->next;
            if (all || c->phase == PHASE_HANDSHAKE || http_conn_is_idle(c))
                http_conn_close(c);
            else
                c->close_after = true;
        }
    }
}

static void begin_stop(struct http_loop *loop)
{
    struct http_server *server = loop->server;
    loop->stopping = true;
    loop->stop_at_ms = loop->now_ms + atomic_load(&server->grace_ms);
    for (size_t i = 0; i < server->bound_count; i++)
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, server->bound[i].source.fd, NULL);
    close_conns(loop, false);
}

/*
 * Before it sleeps, the loop lets others run who wait for this processor: more requests come meanwhile, and one sleep and one wakeup
 * serve them all. Not while another thread has an exchange of this loop, whose answer is not to wait for strangers; but now and then
 * it does it then too, because that other thread may be the one that waits for this processor, and no wakeup takes it from a thread
 * that works in bursts: only the kernel's tick would, every 4 ms.
 */
static bool stands_aside(const struct http_loop *loop)
{
    return (loop->worked && loop->deferred_count == 0) ||
           (loop->run >= LOOP_RUN_MAX && !loop->quick);
}

static int wait_for_events(struct http_loop *loop)
{
    int n = 0;

    if (stands_aside(loop)) {
        (void)sched_yield();
        loop->run = 0;
        n = epoll_wait(loop->epoll, loop->events, LOOP_EVENTS_MAX, 0);
    }
    if (n == 0)
        n = epoll_wait(loop->epoll, loop->events, LOOP_EVENTS_MAX,
                       lie_down(loop) ? WHEEL_TICK_MS : 0);
    loop->worked = n > 0;
    loop->run += n > 0 ? (size_t)n : 0;
    return n;
}

static bool run_round(struct http_loop *loop)
{
    struct epoll_event *events = loop->events;
    struct http_server *server = loop->server;
    int n = wait_for_events(loop);

    INVARIANT(n >= 0 || errno == EINTR, "an epoll set can be waited for");
    loop->now_ms = clock_mono_ms(server->config.clock);
    for (int i = 0; i < n; i++) {
        struct http_source *source = events[i].data.ptr;
        switch (source->kind) {
        case SOURCE_WAKE: /* what was delivered is taken below */
            break;
        case SOURCE_LISTENER:
            http_loop_accept(loop, (struct http_bound *)source);
            break;
        case SOURCE_CONN:
            on_conn((struct http_conn *)source, events[i].events);
            break;
        }
    }
    take_deliveries(loop);
    run_ready(loop);
    turn_wheel(loop);
    if (atomic_load(&server->stopping)) {
        if (!loop->stopping)
            begin_stop(loop);
        if (loop->stop_at_ms - loop->now_ms > atomic_load(&server->grace_ms))
            loop->stop_at_ms = loop->now_ms + atomic_load(&server->grace_ms);
        if (loop->now_ms >= loop->stop_at_ms)
            close_conns(loop, true);
    }
    bury(loop);
    return !loop->stopping || loop->conn_count > 0 || loop->exchange_count > 0;
}

void *http_loop_main(void *arg)
{
    struct http_loop *loop = arg;
    thread_nice(loop->server->config.nice);
    thread_expect_heap(HEAP_BYTES);
    if (!loop->quick) /* else each request and each answer of a batch would take the processor from whom it comes from */
        thread_in_bursts();
    loop->now_ms = clock_mono_ms(loop->server->config.clock);
    loop->tick = loop->now_ms / WHEEL_TICK_MS;
    while (run_round(loop))
        ;
    run_ready(loop);
    bury(loop);
    return NULL;
}
