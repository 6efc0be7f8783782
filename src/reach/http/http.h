/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_HTTP_HTTP_H
#define REACH_HTTP_HTTP_H

/*
 * http - the server: sockets, loops, deadlines and limits around a strict reader. It knows nothing of tickets.
 *
 * Each loop is a thread with its own epoll set; whichever accepts a connection gives it to the loops in turn, and it stays
 * there, or goes on in a quick one, which a wake gives the processor at once (http_hurry). A connection carries one request at a
 * time: the next is parsed when the answer to the last is queued. Streams of server-sent events leave for a loop of their own (sse.h).
 * HTTP/2 and 3 are the reverse proxy's; plain HTTP is refused on addresses that are not loopback.
 *
 * In this room: request.h, exchange.h (handlers), router.h, files.h, sse.h, rate.h, parse.h (the reader), address.h.
 *
 * Invariants:
 *   W1  after a refusal by the reader nothing more is read as a request: the connection is closed;
 *   W2  every connection has a deadline in every state but while a handler holds its exchange;
 *   W3  connections, and connections of one client network, never exceed their limits;
 *   W4  an idle connection owns no buffers.
 */
#include "ground/base/clock.h"
#include "ground/base/rng.h"
#include "reach/http/exchange.h"
#include "reach/http/sse.h"

struct tls_context;

enum { HTTP_LISTENERS_MAX = 8, HTTP_LOOPS_MAX = 16, HTTP_TRUSTED_MAX = 16 };

struct http_listener {
    const char *address;     /* "127.0.0.1", "::", ...; an IP address */
    uint16_t port;           /* 0: any */
    struct tls_context *tls; /* NULL: plain, loopback only; must outlive the server */
};

/*
 * Listen before the server is opened: who comes meanwhile is kept waiting by the kernel instead of being turned away. The caller closes
 * *ret_fd unless a server took it. ERR_CONFLICT "address_in_use"; ERR_INVALID "bad_listener", "plain_http".
 */
RESULT http_listen(const char *address, uint16_t port, bool tls, int *ret_fd, uint16_t *ret_port);

struct http_limits {
    size_t connections_max;
    size_t connections_per_client_max; /* per IPv4 or IPv6 /64; trusted proxies excepted; 0: none */
    uint64_t body_max;                 /* where the head callback does not say */
    unsigned requests_per_connection_max;
    int64_t head_ms;  /* TLS handshake, and a head from its first byte */
    int64_t idle_ms;  /* between requests */
    int64_t body_ms;  /* a body, plus what rate_min allows for its size */
    int64_t write_ms; /* a response, plus what rate_min allows for what was taken */
    int64_t rate_min; /* bytes a second that a client must keep up */
    int64_t stall_ms; /* before rate_min applies to a body */
};

struct http_config {
    struct http_listener listeners[HTTP_LISTENERS_MAX];
    /* Theirs, of http_listen; the server's from now on. 0: it listens itself. */
    int sockets[HTTP_LISTENERS_MAX];
    size_t listener_count;
    bool accepts_later; /* at http_server_accept, when what the handlers need is there */
    unsigned loops;
    unsigned
        quick_loops; /* for connections that were hurried (http_hurry); 0: they stay where they are */
    int nice;        /* of the loops' threads: see thread_nice */
    struct http_limits limits;
    const struct clock *clock;
    const struct rng *rng;
    /* Networks of reverse proxies whose X-Forwarded-For and -Proto are believed. Texts, as http_network_parse takes. */
    const char *trusted[HTTP_TRUSTED_MAX];
    size_t trusted_count;
    const char *csp;          /* Content-Security-Policy where the handler sets none */
    const char *problem_base; /* before a problem's word, "https://example.org/problems/" */
    struct http_sse_config sse;

    void *context;
    /* The request is complete. Required. */
    void (*handle)(void *context, struct http_exchange *x);
    /*
     * The head was read, the body was not: set *max_body, set x->user, or reply at once (the body is then never read and the
     * connection closed if there is one). Must not defer. Optional.
     */
    void (*head)(void *context, struct http_exchange *x, uint64_t *max_body);
    /* The response was handed to the kernel, or the client was gone; for metrics and the access log. Optional. */
    void (*done)(void *context, const struct http_exchange *x, int status, int64_t took_ms);
};

/* Counters since the start; gauges end in _now. */
struct http_metrics {
    uint64_t connections, connections_now, connections_refused;
    uint64_t requests, responses[6]; /* by first digit of the status */
    uint64_t refusals;               /* heads the reader refused */
    uint64_t timeouts, tls_failures;
    uint64_t bytes_in, bytes_out;
    uint64_t streams_now, streams, streams_dropped, stream_events;
};

/* Defaults: 2 loops, the limits of the specification, system clock and randomness, no listener. */
void http_config_init(struct http_config *config);
/*
 * Bind, listen and start the loops. ERR_INVALID on a plain listener that is not loopback ("plain_http") or bad addresses;
 * ERR_CONFLICT "address_in_use"; ERR_IO. The config is copied, the strings it points to must stay.
 */
RESULT http_server_open(const struct http_config *config, struct http_server **ret_server);
/* Once, with accepts_later: take the connections that wait, and those that come. */
RESULT http_server_accept(struct http_server *server);
/* The port a listener was bound to. */
uint16_t http_server_port(const struct http_server *server, size_t listener);
/*
 * Stop: no new connections, idle ones closed, requests in flight are answered, streams ended; after grace_ms what is left is
 * cut. Returns when all loops have ended; waits for every deferred exchange, so its workers must outlive this call.
 */
void http_server_stop(struct http_server *server, int64_t grace_ms);
/* Stops without grace if need be, and frees. NULL is fine. */
void http_server_close(struct http_server *server);
/* Use another certificate for connections accepted from now on. */
void http_server_set_tls(struct http_server *server, size_t listener, struct tls_context *tls);
struct http_sse *http_server_sse(struct http_server *server);
void http_server_metrics(struct http_server *server, struct http_metrics *ret_metrics);

#endif
