/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

/*
 * wire - one epoll set: keep-alive HTTP/1.1 client connections to the server under test, a small HTTP server for the provider's
 * side, and timers, due to the microsecond. Reads only what the servers measured here write (Content-Length, no chunks); anything else ends the program.
 */
#include "bench.h"

struct wire;

struct wire *wire_new(void);
void wire_free(struct wire *w);
/* Handle what is ready, at most until the next timer or for max_ms. */
void wire_turn(struct wire *w, int max_ms);

/* --- timers -------------------------------------------------------------------------------------------------------------- */

typedef void wire_timer_fn(void *context);
void wire_after(struct wire *w, int64_t delay_us, wire_timer_fn *run, void *context);

/* --- client -------------------------------------------------------------------------------------------------------------- */

struct wire_answer {
    int status;       /* 0: the connection broke, or there was none */
    struct span body; /* until the function returns */
    int64_t took_us;  /* since the call was handed in */
    struct span head; /* status line and fields, with the empty line; until the function returns */
};
typedef void wire_answer_fn(void *context, const struct wire_answer *answer);

struct wire_pool;
struct wire_pool *wire_pool_new(struct wire *w, uint16_t port, size_t connections);
void wire_pool_free(struct wire_pool *p);
/* Close the connections that rest; they are opened again when they are wanted. */
void wire_pool_close(struct wire_pool *p);
/* Empty, to write a request into; whoever asks for it next gets the same. */
struct buf *wire_scratch(struct wire_pool *p);
/* The whole request; it need not outlive the call. Waits for a free connection. */
void wire_send(struct wire_pool *p, struct span request, wire_answer_fn *answered, void *context);
/* One call, waited for; the body is copied into out. */
int wire_ask(struct wire *w, struct wire_pool *p, struct span request, struct buf *out);

/* --- server -------------------------------------------------------------------------------------------------------------- */

struct wire_request {
    char method[8];
    char path[512];
    struct span body; /* until it is answered */
    uint64_t from;    /* to answer with */
};
typedef void wire_request_fn(void *context, const struct wire_request *request);
/* Listens on loopback; returns the port. */
uint16_t wire_listen(struct wire *w, wire_request_fn *asked, void *context);
/* The connection may be gone by now: then nothing happens. */
void wire_reply(struct wire *w, uint64_t from, int status, struct span json);

#endif
