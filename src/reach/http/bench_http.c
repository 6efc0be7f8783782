/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_http - the server around a handler that does nothing, for load generators, until standard input ends.
 * GET / answers 64 bytes at once, /later from another thread by http_defer, /stream is a channel that gets an event a second.
 * Usage: bench_http <port> [certificate.pem key.pem]
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ground/base/base.h"
#include "ground/crypto/tls.h"
#include "reach/http/http.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct http_exchange *first;
    bool ended;
} later = {.lock = PTHREAD_MUTEX_INITIALIZER, .some = PTHREAD_COND_INITIALIZER};

static void answer(struct http_exchange *x)
{
    http_reply_static(
        x, "application/json",
        SPAN_LIT("{\"words\":\"sixty-four bytes of JSON that mean nothing to anyone.\"}"), NULL);
}

static void *work(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&later.lock);
    for (;;) {
        struct http_exchange *x = later.first;
        if (!x && later.ended)
            break;
        if (!x) {
            pthread_cond_wait(&later.some, &later.lock);
            continue;
        }
        later.first = NULL;
        pthread_mutex_unlock(&later.lock);
        while (x) {
            struct http_exchange *next = x->user;
            answer(x);
            http_finish(x);
            x = next;
        }
        pthread_mutex_lock(&later.lock);
    }
    pthread_mutex_unlock(&later.lock);
    return NULL;
}

static void handle(void *context, struct http_exchange *x)
{
    (void)context;
    if (span_eq_text(x->request.path, "/stream")) {
        http_reply_stream(x, SPAN_LIT("bench"));
        return;
    }
    if (!span_eq_text(x->request.path, "/later")) {
        answer(x);
        return;
    }
    http_defer(x);
    pthread_mutex_lock(&later.lock);
    x->user = later.first;
    later.first = x;
    pthread_cond_signal(&later.some);
    pthread_mutex_unlock(&later.lock);
}

static enum err run(int argc, char **argv)
{
    struct http_config config;
    struct http_server *server;
    struct http_metrics m;
    struct tls_context *tls = NULL;
    pthread_t worker;
    uint64_t port;

    ENSURE(argc == 2 || argc == 4, ERR_INVALID, "usage", "bench_http <port> [cert key]");
    TRY(text_to_u64(span_text(argv[1]), &port));
    if (argc == 4)
        TRY(tls_context_server_files(argv[2], argv[3], &tls));
    http_config_init(&config);
    config.listeners[0] = (struct http_listener){"127.0.0.1", (uint16_t)port, tls};
    config.listener_count = 1;
    config.limits.connections_per_client_max = 0;
    config.limits.requests_per_connection_max = 100000000;
    config.handle = handle;
    TRY(http_server_open(&config, &server));
    ENSURE(pthread_create(&worker, NULL, work, NULL) == 0, ERR_IO, "thread", "No thread.");
    printf("port %u\n", http_server_port(server, 0));
    (void)fflush(stdout);
    for (struct pollfd in = {.fd = 0, .events = POLLIN}; poll(&in, 1, 1000) == 0;)
        TRY(http_sse_publish(http_server_sse(server), SPAN_LIT("bench"), SPAN_LIT("1"),
                             SPAN_LIT("tick"), SPAN_LIT("{}")));
    http_server_metrics(server, &m);
    printf("requests %lu, streams now %lu, dropped %lu\n", m.requests, m.streams_now,
           m.streams_dropped);
    http_server_stop(server, 0);
    pthread_mutex_lock(&later.lock);
    later.ended = true;
    pthread_cond_signal(&later.some);
    pthread_mutex_unlock(&later.lock);
    pthread_join(worker, NULL);
    http_server_close(server);
    tls_context_close(tls);
    return OK;
}

int main(int argc, char **argv)
{
    if (run(argc, argv) == OK)
        return 0;
    log_error_info(LOG_ERROR, "bench_http", err_last());
    return 1;
}
