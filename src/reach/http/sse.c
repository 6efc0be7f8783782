/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/http/sse.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reach/http/inner.h"

enum {
    EVENTS_MAX = 256,
    CHANNEL_SLOTS = 1024,
    TICK_MS = 250,
    INBOX_BYTES_MAX = 64 * 1024 * 1024,
    LAST_ID_MAX = 64,
    FIRST_MAX = 1024 * 1024, /* what a replay may say */
    SEND_BUFFER = 64 * 1024,
};

/* Shared by every listener that still has to be given it; refs belong to the stream thread. */
struct sse_message {
    size_t refs, len;
    uint8_t data[];
};

struct sse_channel {
    struct sse_channel *next; /* in its slot */
    struct sse_conn *conns;
    char name[HTTP_CHANNEL_NAME_MAX];
};

struct sse_conn {
    int fd;
    bool writable, dead, counted;
    uint16_t first, count; /* ring of waiting messages */
    struct tls *tls;
    struct sse_channel *channel;
    struct sse_conn *prev, *next;           /* of the channel */
    struct sse_conn *ping_prev, *ping_next; /* in order of ping_at_ms */
    struct sse_conn *next_dead;
    struct sse_message **queue; /* NULL while nothing waits */
    size_t sent;                /* of the first message */
    int64_t ping_at_ms, ends_at_ms;
    struct http_address peer;
};

/* What other threads leave for the stream thread: a connection, or a message for a channel. */
struct sse_item {
    struct sse_item *next;
    struct sse_message *message;
    int fd;
    struct tls *tls;
    struct http_address peer;
    bool counted;
    char channel[HTTP_CHANNEL_NAME_MAX];
    char last_id[LAST_ID_MAX];
};

/* One thread and the listeners that it tells. */
struct sse_thread {
    struct http_server *server;
    pthread_t thread;
    bool started;
    _Atomic bool stopping;
    int epoll, wake;
    struct http_hash_key secret;

    pthread_mutex_t lock;
    struct sse_item *inbox, **inbox_end; /* under lock */
    size_t inbox_bytes;                  /* under lock */
    bool sending;                        /* under lock: what was taken from it is on its way */

    struct sse_channel *channels[CHANNEL_SLOTS];
    struct sse_conn *ping_first, *ping_last, *dead;
    struct sse_message *ping;
    int64_t now_ms;
    uint64_t adopted;
};

struct http_sse {
    size_t count;
    atomic_size_t next; /* whose the next listener is */
    struct sse_thread threads[HTTP_SSE_THREADS_MAX];
};

/* --- Wire form ------------------------------------------------------------------------------------------------------ */

static bool is_one_line(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] == '\r' || s.data[i] == '\n' || s.data[i] == 0)
            return false;
    return true;
}

enum err http_sse_format(struct buf *out, struct span id, struct span event, struct span data)
{
    ENSURE(is_one_line(id) && is_one_line(event), ERR_INVALID, "bad_event",
           "An event's id and name are one line each.");
    ENSURE(id.len + event.len + data.len <= HTTP_SSE_EVENT_MAX, ERR_LIMIT, "event_too_large",
           "An event is at most %d bytes.", HTTP_SSE_EVENT_MAX);
    if (id.len) {
        buf_put_text(out, "id: ");
        buf_put_span(out, id);
        buf_put_u8(out, '\n');
    }
    if (event.len) {
        buf_put_text(out, "event: ");
        buf_put_span(out, event);
        buf_put_u8(out, '\n');
    }
    for (;;) {
        size_t end = 0;
        while (end < data.len && data.data[end] != '\n' && data.data[end] != '\r')
            end++;
        buf_put_text(out, "data: ");
        buf_put_span(out, span_sub(data, 0, end));
        buf_put_u8(out, '\n');
        if (end == data.len)
            break;
        if (data.data[end] == '\r' && end + 1 < data.len && data.data[end + 1] == '\n')
            end++;
        data = span_sub(data, end + 1, data.len - end - 1);
    }
    buf_put_u8(out, '\n');
    return buf_check(out);
}

static enum err message_new(struct span content, struct sse_message **ret_message)
{
    struct sse_message *m = malloc(sizeof *m + content.len);
    ENSURE(m, ERR_NOMEM, "no_memory", "No memory for an event.");
    m->refs = 0;
    m->len = content.len;
    if (content.len)
        memcpy(m->data, content.data, content.len);
    *ret_message = m;
    return OK;
}

static void message_drop(struct sse_message *m)
{
    if (--m->refs == 0)
        free(m);
}

/* --- From other threads --------------------------------------------------------------------------------------------- */

static void wake(struct sse_thread *sse)
{
    uint64_t one = 1;
    ssize_t n = write(sse->wake, &one, sizeof one);
    INVARIANT(n == (ssize_t)sizeof one || errno == EAGAIN, "the stream thread can be woken");
}

/* False when too much waits already; connections are always taken. */
static bool post(struct sse_thread *sse, struct sse_item *item)
{
    size_t bytes = item->message ? sizeof *item + item->message->len : 0;
    pthread_mutex_lock(&sse->lock);
    bool first = !sse->inbox;
    bool fits = bytes <= INBOX_BYTES_MAX - sse->inbox_bytes;
    if (fits) {
        sse->inbox_bytes += bytes;
        *sse->inbox_end = item;
        sse->inbox_end = &item->next;
        if (first)
            wake(sse);
    }
    pthread_mutex_unlock(&sse->lock);
    return fits;
}

static enum err publish(struct sse_thread *sse, struct span channel, struct span text)
{
    struct sse_item *item;

    ENSURE(!atomic_load(&sse->stopping), ERR_BUSY, "streams_ended", "The server is stopping.");
    item = calloc(1, sizeof *item);
    ENSURE(item, ERR_NOMEM, "no_memory", "No memory for an event.");
    item->fd = -1;
    enum err code = span_to_text(channel, item->channel, sizeof item->channel);
    if (code == OK)
        code = message_new(text, &item->message);
    if (code != OK) {
        free(item);
        return code;
    }
    if (!post(sse, item)) {
        free(item->message);
        free(item);
        FAIL(ERR_BUSY, "streams_behind", "Events come faster than they can be sent.");
    }
    return OK;
}

enum err http_sse_publish(struct http_sse *all, struct span channel, struct span id,
                          struct span event, struct span data)
{
    AUTO(buf_done) struct buf text;

    buf_init(&text, 8 * HTTP_SSE_EVENT_MAX); /* an empty line of data costs seven bytes */
    TRY(http_sse_format(&text, id, event, data));
    enum err e = OK;
    for (size_t i = 0; i < all->count; i++) {
        enum err code = publish(&all->threads[i], channel, buf_span(&text));
        e = e == OK ? code : e;
    }
    return e;
}

void http_sse_adopt(struct http_sse *all, int fd, struct tls *tls, struct http_address peer,
                    bool counted, struct span channel, struct span last_id)
{
    struct sse_thread *sse = &all->threads[atomic_fetch_add(&all->next, 1) % all->count];
    struct sse_item *item = calloc(1, sizeof *item);
    if (!item || span_to_text(channel, item->channel, sizeof item->channel) != OK) {
        free(item);
        tls_close(tls);
        close(fd);
        http_server_left(sse->server, peer, counted);
        return;
    }
    item->fd = fd;
    item->tls = tls;
    item->peer = peer;
    item->counted = counted;
    if (span_to_text(last_id, item->last_id, sizeof item->last_id) != OK)
        item->last_id[0] = 0; /* not one of ours: starts afresh */
    http_count(&sse->server->counters.streams, 1);
    http_count(&sse->server->counters.streams_now, 1);
    (void)post(sse, item);
}

/* --- Listeners ------------------------------------------------------------------------------------------------------ */

static struct sse_channel **channel_slot(struct sse_thread *sse, const char *name)
{
    struct sse_channel **at =
        &sse->channels[http_hash(&sse->secret, span_text(name)) % CHANNEL_SLOTS];
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

static void ping_unlink(struct sse_thread *sse, struct sse_conn *c)
{
    *(c->ping_prev ? &c->ping_prev->ping_next : &sse->ping_first) = c->ping_next;
    *(c->ping_next ? &c->ping_next->ping_prev : &sse->ping_last) = c->ping_prev;
    c->ping_prev = c->ping_next = NULL;
}

static void ping_append(struct sse_thread *sse, struct sse_conn *c)
{
    c->ping_at_ms = sse->now_ms + HTTP_SSE_PING_MS;
    c->ping_prev = sse->ping_last;
    *(sse->ping_last ? &sse->ping_last->ping_next : &sse->ping_first) = c;
    sse->ping_last = c;
}

static void conn_drop(struct sse_thread *sse, struct sse_conn *c)
{
    if (c->dead)
        return;
    c->dead = true;
    while (c->count) {
        message_drop(c->queue[c->first]);
        c->first = (uint16_t)((c->first + 1) % HTTP_SSE_QUEUE_MAX);
        c->count--;
    }
    free(c->queue);
    c->queue = NULL;
    if (c->tls) {
        tls_end(c->tls);
        tls_close(c->tls);
    }
    c->tls = NULL;
    close(c->fd);
    http_server_left(sse->server, c->peer, c->counted);
    atomic_fetch_sub(&sse->server->counters.streams_now, 1);
    ping_unlink(sse, c);
    *(c->prev ? &c->prev->next : &c->channel->conns) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    if (!c->channel->conns) {
        struct sse_channel **slot = channel_slot(sse, c->channel->name);
        struct sse_channel *empty = *slot;
        *slot = empty->next;
        free(empty);
    }
    /* Freed at the end of the round: an event of it may still point here. */
    c->next_dead = sse->dead;
    sse->dead = c;
}

/* Bytes taken, 0 for none now, -1 when it is broken. */
static ssize_t conn_send(struct sse_conn *c, const uint8_t *data, size_t len)
{
    size_t n = 0;
    if (!c->writable)
        return 0;
    if (c->tls) {
        switch (tls_write(c->tls, data, len, &n)) {
        case TLS_DONE:
            return (ssize_t)n;
        case TLS_WANT_READ:
        case TLS_WANT_WRITE:
            c->writable = false;
            return 0;
        default:
            return -1;
        }
    }
    ssize_t sent = send(c->fd, data, len, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        c->writable = errno == EINTR;
        return 0;
    }
    return sent;
}

static void conn_pump(struct sse_thread *sse, struct sse_conn *c)
{
    while (c->count) {
        struct sse_message *m = c->queue[c->first];
        ssize_t n = conn_send(c, m->data + c->sent, m->len - c->sent);
        if (n < 0)
            conn_drop(sse, c);
        if (n <= 0)
            return;
        http_count(&sse->server->counters.bytes_out, (uint64_t)n);
        c->sent += (size_t)n;
        if (c->sent < m->len)
            continue;
        c->sent = 0;
        c->first = (uint16_t)((c->first + 1) % HTTP_SSE_QUEUE_MAX);
        c->count--;
        message_drop(m);
    }
    free(c->queue);
    c->queue = NULL;
}

/* The message after those that wait; who is too far behind is dropped. */
static void conn_offer(struct sse_thread *sse, struct sse_conn *c, struct sse_message *m)
{
    size_t sent = 0;
    if (!c->count) {
        ssize_t n = conn_send(c, m->data, m->len);
        if (n < 0) {
            conn_drop(sse, c);
            return;
        }
        http_count(&sse->server->counters.bytes_out, (uint64_t)n);
        sent = (size_t)n;
        if (sent == m->len)
            return;
    }
    if (!c->queue)
        c->queue = calloc(HTTP_SSE_QUEUE_MAX, sizeof(struct sse_message *));
    if (!c->queue || c->count == HTTP_SSE_QUEUE_MAX) {
        http_count(&sse->server->counters.streams_dropped, 1);
        conn_drop(sse, c);
        return;
    }
    if (!c->count) {
        c->first = 0;
        c->sent = sent;
    }
    m->refs++;
    c->queue[(c->first + c->count++) % HTTP_SSE_QUEUE_MAX] = m;
}

/* The first words to a listener: when to come back, and what it missed. */
static void greet(struct sse_thread *sse, struct sse_conn *c, const char *last_id)
{
    const struct http_sse_config *config = &sse->server->config.sse;
    AUTO(buf_done) struct buf text;
    struct sse_message *m;

    buf_init(&text, FIRST_MAX);
    /* Spread, so that a restart does not bring all of them back in the same second. */
    buf_printf(&text, "retry: %u\n\n", 1000 + (unsigned)(sse->adopted++ * 617 % 4000));
    if (config->replay)
        config->replay(config->context, span_text(c->channel->name), span_text(last_id), &text);
    if (text.failed || message_new(buf_span(&text), &m) != OK) {
        conn_drop(sse, c); /* it will ask again */
        return;
    }
    m->refs++;
    conn_offer(sse, c, m);
    message_drop(m);
}

static void adopt(struct sse_thread *sse, struct sse_item *item)
{
    struct sse_channel **slot = channel_slot(sse, item->channel);
    struct sse_conn *c = calloc(1, sizeof *c);
    int size = SEND_BUFFER;

    if (c && !*slot && (*slot = calloc(1, sizeof **slot)))
        memcpy((*slot)->name, item->channel, sizeof item->channel);
    if (!c || !*slot) {
        free(c);
        tls_close(item->tls);
        close(item->fd);
        http_server_left(sse->server, item->peer, item->counted);
        atomic_fetch_sub(&sse->server->counters.streams_now, 1);
        return;
    }
    *c = (struct sse_conn){.fd = item->fd,
                           .tls = item->tls,
                           .peer = item->peer,
                           .counted = item->counted,
                           .writable = true,
                           .channel = *slot,
                           .next = (*slot)->conns,
                           .ends_at_ms = sse->now_ms + sse->server->config.sse.stream_max_ms};
    if (c->next)
        c->next->prev = c;
    (*slot)->conns = c;
    ping_append(sse, c);
    /* Bounds what the kernel holds for one that does not read. */
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    /* To a proxy on this machine nothing is lost, and what the system paces by costs a third of each event. */
    if (http_address_is_loopback(c->peer))
        (void)setsockopt(c->fd, IPPROTO_TCP, TCP_CONGESTION, "reno", strlen("reno"));
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    if (epoll_ctl(sse->epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
        conn_drop(sse, c);
    else
        greet(sse, c, item->last_id);
}

static void broadcast(struct sse_thread *sse, struct sse_item *item)
{
    struct sse_channel *channel = *channel_slot(sse, item->channel);
    struct sse_message *m = item->message;
    http_count(&sse->server->counters.stream_events, 1);
    m->refs++;
    /* The channel goes with its last listener: it is not looked at again after that. */
    for (struct sse_conn *c = channel ? channel->conns : NULL, *next; c; c = next) {
        next = c->next;
        conn_offer(sse, c, m);
    }
    message_drop(m);
}

static void take_inbox(struct sse_thread *sse)
{
    pthread_mutex_lock(&sse->lock);
    struct sse_item *item = sse->inbox;
    sse->inbox = NULL;
    sse->inbox_end = &sse->inbox;
    sse->inbox_bytes = 0;
    sse->sending = item != NULL;
    pthread_mutex_unlock(&sse->lock);
    while (item) {
        struct sse_item *next = item->next;
        if (item->message)
            broadcast(sse, item);
        else
            adopt(sse, item);
        free(item);
        item = next;
    }
    pthread_mutex_lock(&sse->lock);
    sse->sending = false;
    pthread_mutex_unlock(&sse->lock);
}

bool http_sse_is_behind(struct http_sse *all)
{
    bool behind = false;

    for (size_t i = 0; i < all->count && !behind; i++) {
        struct sse_thread *sse = &all->threads[i];
        pthread_mutex_lock(&sse->lock);
        behind = sse->sending || sse->inbox;
        pthread_mutex_unlock(&sse->lock);
    }
    return behind;
}

/* A listener has nothing to say: the end of the stream, or words, end it. TLS may have housekeeping to read. */
static bool conn_is_quiet(struct sse_conn *c)
{
    uint8_t scratch[256];
    size_t n;
    if (c->tls)
        return tls_read(c->tls, scratch, sizeof scratch, &n) == TLS_WANT_READ;
    return recv(c->fd, scratch, sizeof scratch, 0) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static void on_conn(struct sse_thread *sse, struct sse_conn *c, uint32_t events)
{
    if (c->dead)
        return;
    if ((events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) ||
        ((events & EPOLLIN) && !conn_is_quiet(c))) {
        conn_drop(sse, c);
        return;
    }
    /* A TLS write may have waited for the read. */
    c->writable |= (events & EPOLLOUT) || c->tls;
    conn_pump(sse, c);
}

static void send_pings(struct sse_thread *sse)
{
    while (sse->ping_first && sse->ping_first->ping_at_ms <= sse->now_ms) {
        struct sse_conn *c = sse->ping_first;
        ping_unlink(sse, c);
        ping_append(sse, c);
        if (c->ends_at_ms <= sse->now_ms)
            conn_drop(sse, c);
        else
            conn_offer(sse, c, sse->ping);
    }
}

static void bury(struct sse_thread *sse)
{
    while (sse->dead) {
        struct sse_conn *c = sse->dead;
        sse->dead = c->next_dead;
        free(c);
    }
}

static void *stream_main(void *arg)
{
    struct sse_thread *sse = arg;
    struct epoll_event events[EVENTS_MAX];

    while (!atomic_load(&sse->stopping)) {
        bool woken = false;
        int n = epoll_wait(sse->epoll, events, EVENTS_MAX, TICK_MS);
        INVARIANT(n >= 0 || errno == EINTR, "an epoll set can be waited for");
        sse->now_ms = clock_mono_ms(sse->server->config.clock);
        for (int i = 0; i < n; i++) {
            uint64_t wakes;
            if (events[i].data.ptr)
                on_conn(sse, events[i].data.ptr, events[i].events);
            else
                woken = read(sse->wake, &wakes, sizeof wakes) > 0;
        }
        if (woken)
            take_inbox(sse);
        send_pings(sse);
        bury(sse);
    }
    take_inbox(sse); /* what was said before the end is still sent */
    while (sse->ping_first)
        conn_drop(sse, sse->ping_first);
    bury(sse);
    return NULL;
}

/* --- Opening and closing -------------------------------------------------------------------------------------------- */

static enum err start(struct sse_thread *sse)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};

    TRY(message_new(SPAN_LIT(":\n\n"), &sse->ping));
    sse->ping->refs++;
    sse->epoll = epoll_create1(EPOLL_CLOEXEC);
    sse->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ENSURE(sse->epoll >= 0 && sse->wake >= 0 &&
               epoll_ctl(sse->epoll, EPOLL_CTL_ADD, sse->wake, &ev) == 0,
           ERR_IO, "no_epoll", "No descriptors for the stream thread: %s.", strerror(errno));
    TRY(thread_start(&sse->thread, "streams", stream_main, sse));
    sse->started = true;
    return OK;
}

static enum err thread_open(struct sse_thread *sse, struct http_server *server)
{
    sse->server = server;
    sse->epoll = sse->wake = -1;
    sse->inbox_end = &sse->inbox;
    pthread_mutex_init(&sse->lock, NULL);
    rng_fill(server->config.rng, &sse->secret, sizeof sse->secret);
    sse->now_ms = clock_mono_ms(server->config.clock);
    return start(sse);
}

enum err http_sse_open(struct http_server *server, struct http_sse **ret_sse)
{
    struct http_sse *all = calloc(1, sizeof *all);
    size_t threads = server->config.sse.threads;
    enum err code = OK;

    ENSURE(all, ERR_NOMEM, "no_memory", "No memory for streams.");
    INVARIANT(threads >= 1 && threads <= HTTP_SSE_THREADS_MAX, "streams have their threads");
    while (code == OK && all->count < threads)
        code = thread_open(&all->threads[all->count++], server);
    if (code != OK) {
        http_sse_close(all);
        return code;
    }
    *ret_sse = all;
    return OK;
}

static void thread_stop(struct sse_thread *sse)
{
    if (!sse->started)
        return;
    atomic_store(&sse->stopping, true);
    wake(sse);
    pthread_join(sse->thread, NULL);
    sse->started = false;
}

void http_sse_stop(struct http_sse *all)
{
    for (size_t i = 0; all && i < all->count; i++)
        thread_stop(&all->threads[i]);
}

static void thread_close(struct sse_thread *sse)
{
    while (sse->inbox) { /* said after the end */
        struct sse_item *item = sse->inbox;
        sse->inbox = item->next;
        free(item->message);
        free(item);
    }
    if (sse->epoll >= 0)
        close(sse->epoll);
    if (sse->wake >= 0)
        close(sse->wake);
    if (sse->ping)
        message_drop(sse->ping);
    pthread_mutex_destroy(&sse->lock);
}

void http_sse_close(struct http_sse *all)
{
    if (!all)
        return;
    http_sse_stop(all);
    for (size_t i = 0; i < all->count; i++)
        thread_close(&all->threads[i]);
    free(all);
}
