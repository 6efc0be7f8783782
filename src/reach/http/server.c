/* SPDX-License-Identifier: Apache-2.0 */
/* server - opening, binding, stopping; what the loops share. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ground/base/fd.h"
#include "reach/http/inner.h"

enum { BACKLOG = 4096, CSP_MAX = 4096 };

void http_config_init(struct http_config *config)
{
    *config = (struct http_config){
        .loops = 2,
        .limits = {.connections_max = 16384,
                   .connections_per_client_max = 256,
                   .body_max = 1024 * 1024,
                   .requests_per_connection_max = 10000,
                   .head_ms = 5000,
                   .idle_ms = 15000,
                   .body_ms = 30000,
                   .write_ms = 10000,
                   .rate_min = 1024,
                   .stall_ms = 5000},
        .clock = clock_system(),
        .rng = rng_system(),
        .csp = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        .problem_base = "/problems/",
        .sse = {.stream_max_ms = 3600 * 1000, .streams_max = 16384, .threads = 2},
    };
}

bool http_server_trusts(const struct http_server *server, struct http_address a)
{
    for (size_t i = 0; i < server->config.trusted_count; i++)
        if (http_network_holds(&server->trusted[i], a))
            return true;
    return false;
}

/* From the right, the first address that no trusted proxy wrote for another trusted proxy; text that is no address ends it. */
static void follow_forwarded(const struct http_server *server, struct http_request *r)
{
    for (size_t i = r->field_count; i-- > 0;) {
        struct span list = r->fields[i].value;
        if (!span_ieq_text(r->fields[i].name, "X-Forwarded-For"))
            continue;
        while (list.len > 0) {
            size_t from = list.len;
            while (from > 0 && list.data[from - 1] != ',')
                from--;
            struct span part = span_sub(list, from, list.len - from);
            while (part.len > 0 && part.data[0] == ' ')
                part = span_sub(part, 1, part.len - 1);
            while (part.len > 0 && part.data[part.len - 1] == ' ')
                part.len--;
            if (http_address_parse(part, &r->client) != OK ||
                !http_server_trusts(server, r->client))
                return;
            list.len = from > 0 ? from - 1 : 0;
        }
    }
}

void http_request_origin(const struct http_server *server, struct http_request *r, bool tls)
{
    r->secure = tls;
    r->client = r->peer;
    if (server->config.trusted_count == 0 || !http_server_trusts(server, r->peer))
        return;
    r->secure |= span_ieq_text(http_field(r, "X-Forwarded-Proto"), "https");
    follow_forwarded(server, r);
}

void http_server_left(struct http_server *server, struct http_address peer, bool counted)
{
    atomic_fetch_sub(&server->counters.connections_now, 1);
    if (counted)
        http_crowd_leave(server->crowd, http_address_key(peer));
}

/* --- Opening -------------------------------------------------------------------------------------------------------- */

static socklen_t socket_address(struct http_address a, uint16_t port, struct sockaddr_storage *ret)
{
    char text[HTTP_ADDRESS_TEXT_MAX];
    memset(ret, 0, sizeof *ret);
    http_address_format(a, text);
    if (!strchr(text, ':')) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)ret;
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        memcpy(&v4->sin_addr, a.b + 12, 4);
        return sizeof *v4;
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)ret;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    memcpy(&v6->sin6_addr, a.b, 16);
    return sizeof *v6;
}

enum err http_listen(const char *host, uint16_t port, bool tls, int *ret_fd, uint16_t *ret_port)
{
    struct http_address address;
    struct sockaddr_storage at;
    int one = 1, zero = 0;

    TRY(http_address_parse(span_text(host), &address));
    ENSURE(tls || http_address_is_loopback(address), ERR_INVALID, "plain_http",
           "Plain HTTP is served on loopback addresses only; %s needs TLS.", host);
    socklen_t len = socket_address(address, port, &at);
    AUTO(fd_close) int fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ENSURE(fd >= 0, ERR_IO, "no_socket", "No socket for %s: %s.", host, strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (at.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, (struct sockaddr *)&at, len) != 0) {
        int why = errno;
        ENSURE(why != EADDRINUSE, ERR_CONFLICT, "address_in_use",
               "Another program listens on %s port %u.", host, port);
        FAIL(ERR_INVALID, "bad_listener", "Cannot listen on %s port %u: %s.", host, port,
             strerror(why));
    }
    len = sizeof at;
    ENSURE(listen(fd, BACKLOG) == 0 && getsockname(fd, (struct sockaddr *)&at, &len) == 0, ERR_IO,
           "no_socket", "Cannot listen on %s: %s.", host, strerror(errno));
    *ret_port = ntohs(at.ss_family == AF_INET ? ((struct sockaddr_in *)(void *)&at)->sin_port
                                              : ((struct sockaddr_in6 *)(void *)&at)->sin6_port);
    *ret_fd = fd;
    fd = -1;
    return OK;
}

/* All at once: whatever fails later, they are closed with the server. */
static void take_sockets(struct http_server *server)
{
    const struct http_config *config = &server->config;

    for (size_t i = 0; i < config->listener_count && i < HTTP_LISTENERS_MAX; i++) {
        const struct http_listener *l = &config->listeners[i];
        int fd = config->sockets[i] ? config->sockets[i] : -1;
        server->bound[server->bound_count++] =
            (struct http_bound){.source = {SOURCE_LISTENER, fd}, .port = l->port, .tls = l->tls};
    }
}

static enum err bind_rest(struct http_server *server)
{
    for (size_t i = 0; i < server->bound_count; i++) {
        const struct http_listener *l = &server->config.listeners[i];
        struct http_bound *b = &server->bound[i];
        if (b->source.fd < 0)
            TRY(http_listen(l->address, l->port, l->tls != NULL, &b->source.fd, &b->port));
    }
    return OK;
}

/* Randomness for ids, fetched from the source in large pieces. */
static void fill_from_pool(void *self, void *out, size_t len)
{
    struct http_loop *loop = self;
    INVARIANT(len <= RANDOM_POOL, "ids are short");
    if (loop->pool_at + len > RANDOM_POOL) {
        rng_fill(loop->server->config.rng, loop->pool, RANDOM_POOL);
        loop->pool_at = 0;
    }
    memcpy(out, loop->pool + loop->pool_at, len);
    wipe(loop->pool + loop->pool_at, len);
    loop->pool_at += len;
}

static enum err watch(int epoll, struct http_source *source, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = source};
    ENSURE(epoll_ctl(epoll, EPOLL_CTL_ADD, source->fd, &ev) == 0, ERR_IO, "no_epoll",
           "Cannot watch a socket: %s.", strerror(errno));
    return OK;
}

static enum err open_loop(struct http_server *server, struct http_loop *loop)
{
    loop->server = server;
    loop->rng = (struct rng){fill_from_pool, loop};
    loop->pool_at = RANDOM_POOL;
    loop->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = (struct http_source){SOURCE_WAKE, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    ENSURE(loop->spare_fd >= 0 && loop->epoll >= 0 && loop->wake.fd >= 0, ERR_IO, "no_epoll",
           "No descriptors for a loop: %s.", strerror(errno));
    /* Edge-triggered: each wake is one event, and nobody has to read the count away. */
    return watch(loop->epoll, &loop->wake, EPOLLIN | EPOLLET);
}

enum err http_server_accept(struct http_server *server)
{
    for (unsigned i = 0; i < server->loop_count; i++)
        for (size_t k = 0; k < server->bound_count; k++)
            TRY(watch(server->loops[i].epoll, &server->bound[k].source, EPOLLIN | EPOLLEXCLUSIVE));
    return OK;
}

static unsigned all_loops(const struct http_server *server)
{
    return server->loop_count + server->quick_count;
}

static enum err start_loops(struct http_server *server)
{
    for (unsigned i = 0; i < all_loops(server); i++) {
        struct http_loop *loop = &server->loops[i];
        TRY(thread_start(&loop->thread, loop->quick ? "http-quick" : "http", http_loop_main, loop));
        loop->started = true;
    }
    return OK;
}

static enum err setup(struct http_server *server)
{
    const struct http_config *config = &server->config;
    const struct http_limits *l = &config->limits;

    take_sockets(server);
    ENSURE(config->handle && config->clock && config->rng && config->loops >= 1 &&
               config->loops <= HTTP_LOOPS_MAX && config->quick_loops <= HTTP_LOOPS_MAX &&
               config->listener_count <= HTTP_LISTENERS_MAX &&
               config->trusted_count <= HTTP_TRUSTED_MAX && l->rate_min > 0 &&
               l->connections_max > 0 && strlen(config->csp) <= CSP_MAX,
           ERR_INVALID, "bad_config", "The server's settings contradict themselves.");
    for (size_t i = 0; i < config->trusted_count; i++)
        TRY(http_network_parse(span_text(config->trusted[i]), &server->trusted[i]));
    TRY(http_standards_write(server));
    TRY(http_crowd_open(l->connections_max, config->rng, &server->crowd));
    TRY(bind_rest(server));
    server->loops = calloc(config->loops + config->quick_loops, sizeof *server->loops);
    ENSURE(server->loops, ERR_NOMEM, "no_memory", "No memory for the loops.");
    server->loop_count = config->loops;
    server->quick_count = config->quick_loops;
    for (unsigned i = 0; i < all_loops(server); i++) {
        struct http_loop *loop = &server->loops[i];
        pthread_mutex_init(&loop->lock, NULL);
        loop->epoll = loop->wake.fd = loop->spare_fd = -1;
        loop->quick = i >= config->loops;
    }
    for (unsigned i = 0; i < all_loops(server); i++)
        TRY(open_loop(server, &server->loops[i]));
    TRY(http_sse_open(server, &server->sse));
    TRY(start_loops(server));
    return config->accepts_later ? OK : http_server_accept(server);
}

enum err http_server_open(const struct http_config *config, struct http_server **ret_server)
{
    struct http_server *server = calloc(1, sizeof *server);
    ENSURE(server, ERR_NOMEM, "no_memory", "No memory for a server.");
    server->config = *config;
    pthread_mutex_init(&server->lock, NULL);
    enum err code = setup(server);
    if (code != OK) {
        http_server_close(server);
        return code;
    }
    *ret_server = server;
    return OK;
}

uint16_t http_server_port(const struct http_server *server, size_t listener)
{
    INVARIANT(listener < server->bound_count, "there is such a listener");
    return server->bound[listener].port;
}

struct http_sse *http_server_sse(struct http_server *server)
{
    return server->sse;
}

void http_server_set_tls(struct http_server *server, size_t listener, struct tls_context *tls)
{
    INVARIANT(listener < server->bound_count && tls && server->bound[listener].tls,
              "a TLS listener stays one");
    pthread_mutex_lock(&server->lock);
    server->bound[listener].tls = tls;
    pthread_mutex_unlock(&server->lock);
}

void http_server_metrics(struct http_server *server, struct http_metrics *ret_metrics)
{
    struct http_counters *c = &server->counters;
    struct http_metrics m = {
        .connections = c->connections,
        .connections_now = c->connections_now,
        .connections_refused = c->connections_refused,
        .requests = c->requests,
        .refusals = c->refusals,
        .timeouts = c->timeouts,
        .tls_failures = c->tls_failures,
        .bytes_in = c->bytes_in,
        .bytes_out = c->bytes_out,
        .streams_now = c->streams_now,
        .streams = c->streams,
        .streams_dropped = c->streams_dropped,
        .stream_events = c->stream_events,
    };
    for (size_t i = 0; i < COUNT_OF(m.responses); i++)
        m.responses[i] = c->responses[i];
    *ret_metrics = m;
}

/* --- Closing -------------------------------------------------------------------------------------------------------- */

/* Given to it by a loop that ended later. */
static void close_arrivals(struct http_loop *loop)
{
    while (loop->arrivals) {
        struct http_conn *c = loop->arrivals;
        loop->arrivals = c->next_queued;
        tls_close(c->tls);
        close(c->source.fd);
        http_server_left(loop->server, c->peer, c->counted);
        free(c);
    }
}

void http_server_stop(struct http_server *server, int64_t grace_ms)
{
    atomic_store(&server->grace_ms, grace_ms);
    atomic_store(&server->stopping, true);
    for (unsigned i = 0; i < all_loops(server); i++)
        if (server->loops[i].started)
            http_loop_wake(&server->loops[i]);
    for (unsigned i = 0; i < all_loops(server); i++) {
        if (server->loops[i].started)
            pthread_join(server->loops[i].thread, NULL);
        server->loops[i].started = false;
    }
    for (unsigned i = 0; i < all_loops(server); i++)
        close_arrivals(&server->loops[i]);
    for (size_t i = 0; i < server->bound_count; i++) {
        if (server->bound[i].source.fd >= 0)
            close(server->bound[i].source.fd);
        server->bound[i].source.fd = -1;
    }
    http_sse_stop(server->sse);
}

static void free_loop(struct http_loop *loop)
{
    while (loop->spare_exchanges) {
        struct http_exchange *x = loop->spare_exchanges;
        loop->spare_exchanges = x->next;
        http_exchange_free(x);
    }
    while (loop->spare_input_count)
        free(loop->spare_inputs[--loop->spare_input_count]);
    if (loop->epoll >= 0)
        close(loop->epoll);
    if (loop->wake.fd >= 0)
        close(loop->wake.fd);
    if (loop->spare_fd >= 0)
        close(loop->spare_fd);
    pthread_mutex_destroy(&loop->lock);
}

void http_server_close(struct http_server *server)
{
    if (!server)
        return;
    http_server_stop(server, 0);
    for (unsigned i = 0; i < all_loops(server); i++)
        free_loop(&server->loops[i]);
    free(server->loops);
    http_sse_close(server->sse);
    http_crowd_close(server->crowd);
    buf_done(&server->standards);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
