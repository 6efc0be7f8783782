/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_HTTP_INNER_H
#define REACH_HTTP_INNER_H

/*
 * inner - what the files of this room share and no other room sees.
 *
 * Threads: a connection and its buffers belong to one loop; an exchange to that loop, or between http_defer and http_finish
 * to its handler; the arrivals and finished lists of a loop, the crowd and the stream thread's inbox are under their mutexes;
 * counters are atomic.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "ground/base/thread.h"
#include "ground/crypto/tls.h"
#include "reach/http/http.h"
#include "reach/http/parse.h"

/* --- crowd.c: how many connections each client network has ------------------------------------------------------- */

struct http_crowd;
RESULT http_crowd_open(size_t connections_max, const struct rng *rng,
                       struct http_crowd **ret_crowd);
void http_crowd_close(struct http_crowd *c);
/* Count one in, unless that passes the limit. */
bool http_crowd_enter(struct http_crowd *c, uint64_t key, size_t max);
void http_crowd_leave(struct http_crowd *c, uint64_t key);

/* SipHash-2-4 (Aumasson, Bernstein 2012). */
struct http_hash_key {
    uint64_t k[2];
};
uint64_t http_hash(const struct http_hash_key *key, struct span data);

/* --- conn.c, loop.c ---------------------------------------------------------------------------------------------- */

enum http_source_kind { SOURCE_WAKE, SOURCE_LISTENER, SOURCE_CONN };

/* First member of everything an epoll event points to. */
struct http_source {
    enum http_source_kind kind;
    int fd;
};

enum http_phase {
    PHASE_HANDSHAKE,
    PHASE_HEAD,
    PHASE_BODY,
    PHASE_HANDLER,
    PHASE_WRITE,
    PHASE_LINGER,
    PHASE_DEAD
};

struct http_conn {
    struct http_source source;
    struct http_loop *loop;
    struct tls *tls;
    struct http_exchange *x;
    uint8_t *in; /* bytes in[in_at .. in_len) are not consumed */
    uint32_t in_at, in_len, in_cap;
    uint8_t phase;
    bool readable, writable, hung_up, close_after, queued, counted;
    unsigned requests;
    struct http_scan scan;
    int64_t begun_ms, deadline_ms; /* of the phase */
    uint64_t moved;                /* bytes of the phase, for its least rate */
    int64_t linked_tick;           /* whose slot it is in; 0: none */
    struct http_conn *prev, *next; /* in the wheel's slot */
    struct http_conn *next_queued; /* ready, arriving or dead */
    struct http_address peer;
};

enum {
    WHEEL_SLOTS = 256,
    WHEEL_TICK_MS = 250,
    LOOP_POOL_MAX = 256,
    IN_SMALL = 4096,
    IN_LARGE = 16384,
    RANDOM_POOL = 4096,
    LOOP_EVENTS_MAX = 256,
    LOOP_RUN_MAX = 64, /* events after which a loop stands aside: some 0.5 ms of reads */
    STANDARD_COUNT = 6 /* headers that every answer has unless its handler sets them */
};

struct http_loop {
    struct http_server *server;
    pthread_t thread;
    bool started, quick;
    int epoll, spare_fd;
    struct http_source wake;
    int64_t now_ms, tick, stop_at_ms;
    bool stopping, worked; /* worked: in the round before */
    size_t run;            /* events since it last stood aside */
    int64_t date_at_s;
    char date[40];

    pthread_mutex_t lock;
    /* Under the lock. asleep: nothing is delivered, and it waits in the kernel or is about to: a delivery must wake it, once. */
    bool asleep;
    struct http_conn *arrivals;
    struct http_exchange *finished; /* newest first */

    struct http_conn *wheel[WHEEL_SLOTS];
    struct http_conn *ready, *dead;
    size_t conn_count, exchange_count;
    size_t deferred_count; /* exchanges that another thread has */
    struct http_exchange *spare_exchanges;
    size_t spare_exchange_count;
    uint8_t *spare_inputs[LOOP_POOL_MAX];
    size_t spare_input_count;
    /* Here and not on the stack, where they would be cleared each time. */
    struct epoll_event events[LOOP_EVENTS_MAX];
    uint8_t chunk[IN_LARGE]; /* of a body */
    struct rng rng;          /* out of pool */
    uint8_t pool[RANDOM_POOL];
    size_t pool_at;
};

struct http_bound {
    struct http_source source;
    struct tls_context *tls; /* under the server's lock */
    uint16_t port;
};

struct http_counters {
    _Atomic uint64_t connections, connections_now, connections_refused, requests, responses[6],
        refusals, timeouts, tls_failures, bytes_in, bytes_out, streams_now, streams,
        streams_dropped, stream_events;
};

struct http_server {
    struct http_config config;
    struct http_network trusted[HTTP_TRUSTED_MAX];
    struct http_bound bound[HTTP_LISTENERS_MAX];
    size_t bound_count;
    struct http_loop *loops;
    unsigned loop_count; /* of those that accept; the quick ones follow them */
    unsigned quick_count;
    _Atomic unsigned next_loop, next_quick;
    _Atomic bool stopping;
    _Atomic int64_t grace_ms;
    pthread_mutex_t lock;
    struct http_crowd *crowd;
    struct http_sse *sse;
    struct http_counters counters;
    struct buf standards; /* the lines of the standard headers, ready; their lengths */
    size_t standard_lens[STANDARD_COUNT];
};

static inline void http_count(_Atomic uint64_t *counter, uint64_t by)
{
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

void http_loop_wake(struct http_loop *loop);
/* Something was delivered; under the lock. */
void http_loop_delivered(struct http_loop *loop);
void http_loop_spread(struct http_loop *loop,
                      struct http_conn *c); /* any thread: here is a connection for you */
/* Give an idle connection of this loop to a quick one; it is not to be touched afterwards. */
void http_loop_pass_on(struct http_loop *loop, struct http_conn *c);
void *http_loop_main(void *loop);
/* Accept what waits at a listener. */
void http_loop_accept(struct http_loop *loop, struct http_bound *bound);
/* Take the connection out of loop and wheel and end it; its memory goes at the end of the round. */
void http_conn_close(struct http_conn *c);
void http_conn_deadline(struct http_conn *c, int64_t at_ms);
/* In its loop: go on with the phase it is in. */
void http_conn_start(struct http_conn *c);
/* "Mon, 23 Nov 2026 19:30:00 GMT"; good until the next call. */
const char *http_loop_date(struct http_loop *loop);
/* Go on as far as the socket allows. */
void http_conn_run(struct http_conn *c);
/* The phase's deadline passed. */
void http_conn_late(struct http_conn *c);
/* The answer to the exchange is complete. */
void http_conn_answer(struct http_conn *c);
/* Nothing of a request has arrived yet. */
bool http_conn_is_idle(const struct http_conn *c);
void http_exchange_free(struct http_exchange *x);
struct http_exchange *http_exchange_take(struct http_loop *loop, struct http_conn *c);
void http_exchange_give(struct http_loop *loop, struct http_exchange *x);
/* A peer that may speak for others? */
bool http_server_trusts(const struct http_server *server, struct http_address a);
/* Fill client and secure from peer and the forwarding fields. */
void http_request_origin(const struct http_server *server, struct http_request *r, bool tls);
/* A connection has ended, wherever it was. */
void http_server_left(struct http_server *server, struct http_address peer, bool counted);

/* --- response.c --------------------------------------------------------------------------------------------------- */

/* Build x->out and x->rest from the response; a failed one becomes 500. closes: say so. */
void http_response_build(struct http_exchange *x, const char *date, bool closes);
void http_response_init(struct http_exchange *x);
/* Once, when the server opens. */
RESULT http_standards_write(struct http_server *server);
/* Let go of a body that is held for somebody else. */
void http_response_release(struct http_response *p);

/* --- sse.c -------------------------------------------------------------------------------------------------------- */

RESULT http_sse_open(struct http_server *server, struct http_sse **ret_sse);
/* End the streams and the thread; publishing is refused from here on. */
void http_sse_stop(struct http_sse *sse);
void http_sse_close(struct http_sse *sse);
/* Take over a connection whose response head was sent. channel and last_id are copied. */
void http_sse_adopt(struct http_sse *sse, int fd, struct tls *tls, struct http_address peer,
                    bool counted, struct span channel, struct span last_id);

#endif
