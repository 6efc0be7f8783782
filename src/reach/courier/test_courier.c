/* SPDX-License-Identifier: Apache-2.0 */
/* The real process against a server on a real socket that behaves as badly as its path says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ground/crypto/crypto.h"
#include "ground/crypto/tls.h"
#include "ground/crypto/x509.h"
#include "ground/proc/spawn.h"
#include "reach/courier/courier.h"
#include "reach/courier/fetch.h"

enum { PATIENCE_MS = 20000, CONNECTIONS_MAX = COURIER_OUTSTANDING_MAX + 144 };

/* --- The server ------------------------------------------------------------------------------------------------------ */

struct server {
    int fd;
    uint16_t port;
    struct tls_context *tls;
    bool smtp, refuses; /* speaks SMTP, and takes no recipient */
    pthread_t thread;
    pthread_t workers[CONNECTIONS_MAX];
    size_t worker_count;
    atomic_int now, most, requests;
    atomic_bool release; /* lets /hold answer */
    char last[8192];     /* the last request read; under lock */
    pthread_mutex_t lock;
};

struct visit {
    struct server *server;
    int fd;
    struct tls *tls;
};

static bool wait_fd(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, PATIENCE_MS) > 0;
}

static ssize_t hear(struct visit *v, void *out, size_t size)
{
    size_t n = 0;
    for (;;) {
        if (!v->tls) {
            ssize_t got = recv(v->fd, out, size, 0);
            if (got >= 0 || errno != EAGAIN)
                return got;
            if (!wait_fd(v->fd, POLLIN))
                return -1;
            continue;
        }
        enum tls_io io = tls_read(v->tls, out, size, &n);
        if (io == TLS_DONE)
            return (ssize_t)n;
        if (io == TLS_CLOSED || io == TLS_FAILED)
            return -1;
        if (!wait_fd(v->fd, io == TLS_WANT_READ ? POLLIN : POLLOUT))
            return -1;
    }
}

static void say(struct visit *v, const char *text, size_t len)
{
    size_t n = 0;
    while (len > 0) {
        if (!v->tls) {
            ssize_t sent = send(v->fd, text, len, MSG_NOSIGNAL);
            if (sent < 0 && (errno != EAGAIN || !wait_fd(v->fd, POLLOUT)))
                return;
            n = sent > 0 ? (size_t)sent : 0;
        } else {
            enum tls_io io = tls_write(v->tls, text, len, &n);
            if (io == TLS_CLOSED || io == TLS_FAILED)
                return;
            if (io != TLS_DONE) {
                if (!wait_fd(v->fd, io == TLS_WANT_READ ? POLLIN : POLLOUT))
                    return;
                n = 0;
            }
        }
        text += n;
        len -= n;
    }
}

static void say_text(struct visit *v, const char *text)
{
    say(v, text, strlen(text));
}

/* Until the peer leaves, without an answer. */
static void keep_silent(struct visit *v)
{
    char some[256];
    while (hear(v, some, sizeof some) > 0)
        ;
}

static void hold(struct visit *v)
{
    struct server *s = v->server;
    int now = atomic_fetch_add(&s->now, 1) + 1, most = atomic_load(&s->most);
    while (now > most && !atomic_compare_exchange_weak(&s->most, &most, now))
        ;
    for (int i = 0; i < PATIENCE_MS / 5 && !atomic_load(&s->release); i++)
        (void)poll(NULL, 0, 5);
    atomic_fetch_sub(&s->now, 1);
    say_text(v, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nheld");
}

static void answer(struct visit *v, const char *request)
{
    atomic_fetch_add(&v->server->requests, 1);
    if (strstr(request, " /ok"))
        say_text(v, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nRequest-Id: req_1<\r\nConnection: "
                    "close\r\n\r\nhello");
    else if (strstr(request, " /busy"))
        say_text(v, "HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 0\r\nConnection: "
                    "close\r\n\r\n");
    else if (strstr(request, " /broken"))
        say_text(v, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf of it");
    else if (strstr(request, " /redirect"))
        say_text(v, "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\nConnection: "
                    "close\r\n\r\n");
    else if (strstr(request, " /silent"))
        keep_silent(v);
    else if (strstr(request, " /hold"))
        hold(v);
    else if (strstr(request, " /big")) {
        char kilobyte[1024];
        memset(kilobyte, 'x', sizeof kilobyte);
        say_text(v, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        for (int i = 0; i < 100; i++)
            say(v, kilobyte, sizeof kilobyte);
    }
}

static bool shake_hands(struct visit *v)
{
    if (!v->server->tls)
        return true;
    if (tls_accept(v->server->tls, v->fd, &v->tls) != OK)
        return false;
    for (;;) {
        enum tls_io io = tls_handshake(v->tls);
        if (io == TLS_DONE)
            return true;
        if (io == TLS_CLOSED || io == TLS_FAILED)
            return false;
        if (!wait_fd(v->fd, io == TLS_WANT_READ ? POLLIN : POLLOUT))
            return false;
    }
}

static void take_mail(struct visit *v)
{
    char line[8192];
    bool data = false;
    ssize_t n;

    say_text(v, "220 mail.example.org ESMTP\r\n");
    while ((n = hear(v, line, sizeof line - 1)) > 0) {
        line[n] = '\0';
        if (data) {
            pthread_mutex_lock(&v->server->lock);
            size_t had = strlen(v->server->last);
            (void)snprintf(v->server->last + had, sizeof v->server->last - had, "%s", line);
            data = strstr(v->server->last, "\r\n.\r\n") == NULL;
            pthread_mutex_unlock(&v->server->lock);
            if (!data)
                say_text(v, "250 taken\r\n");
        } else if (strncmp(line, "RCPT", 4) == 0 && v->server->refuses) {
            say_text(v, "550 nobody of that name\r\n");
        } else if (strncmp(line, "DATA", 4) == 0) {
            data = true;
            say_text(v, "354 go on\r\n");
        } else {
            say_text(v, strncmp(line, "QUIT", 4) == 0 ? "221 bye\r\n" : "250 fine\r\n");
        }
    }
}

static bool is_whole(const char *request)
{
    const char *end = strstr(request, "\r\n\r\n"), *length = strstr(request, "Content-Length: ");
    size_t want = length && end && length < end ? strtoul(length + 16, NULL, 10) : 0;
    return end && strlen(end + 4) >= want;
}

static void *visited(void *context)
{
    struct visit *v = context;
    char request[8192] = "";
    size_t len = 0;

    (void)fcntl(v->fd, F_SETFL, O_NONBLOCK);
    if (shake_hands(v) && v->server->smtp) {
        take_mail(v);
    } else if (!v->server->tls || v->tls) {
        while (!is_whole(request) && len + 1 < sizeof request) {
            ssize_t n = hear(v, request + len, sizeof request - 1 - len);
            if (n <= 0)
                break;
            len += (size_t)n;
            request[len] = '\0';
        }
        pthread_mutex_lock(&v->server->lock);
        memcpy(v->server->last, request, sizeof request);
        pthread_mutex_unlock(&v->server->lock);
        if (is_whole(request))
            answer(v, request);
    }
    if (v->tls)
        tls_end(v->tls);
    tls_close(v->tls);
    close(v->fd);
    free(v);
    return NULL;
}

static void *accept_all(void *context)
{
    struct server *s = context;
    for (;;) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL;
        struct visit *v = calloc(1, sizeof *v);
        assert_non_null(v);
        *v = (struct visit){.server = s, .fd = fd};
        assert_true(s->worker_count < CONNECTIONS_MAX);
        assert_int_equal(pthread_create(&s->workers[s->worker_count++], NULL, visited, v), 0);
    }
}

static void server_start(struct server *s, struct tls_context *tls)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;

    memset(s, 0, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    s->tls = tls;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(s->fd, 256), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&at, &len), 0);
    s->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, accept_all, s), 0);
}

static void server_stop(struct server *s)
{
    atomic_store(&s->release, true);
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    for (size_t i = 0; i < s->worker_count; i++)
        pthread_join(s->workers[i], NULL);
    close(s->fd);
    pthread_mutex_destroy(&s->lock);
}

/* --- The courier under test ------------------------------------------------------------------------------------------ */

struct rig {
    struct server server;
    struct proc_child child;
    struct courier_client *client;
    char origin[64];
    atomic_int gone;
};

static void on_gone(void *context)
{
    atomic_fetch_add(&((struct rig *)context)->gone, 1);
}

static enum err start_courier(struct rig *r, const struct courier_config *config)
{
    const char *const argv[] = {"test-courier", "--courier", NULL};
    const struct proc_spec spec = {.argv = argv};

    assert_int_equal(proc_spawn(&spec, &r->child), OK);
    int fd = r->child.fd;
    r->child.fd = -1;
    return courier_open(fd, config, on_gone, r, &r->client);
}

static void stop_courier(struct rig *r)
{
    int status = -1;
    courier_close(r->client);
    r->client = NULL;
    assert_int_equal(proc_wait(&r->child, PATIENCE_MS, &status), OK);
    assert_int_equal(status, 0);
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    server_start(&r->server, NULL);
    (void)snprintf(r->origin, sizeof r->origin, "http://127.0.0.1:%u", r->server.port);
    const struct courier_config config = {.targets = {{r->origin, "sk_test_secret"}}};
    assert_int_equal(start_courier(r, &config), OK);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    courier_close(r->client);
    proc_stop(&r->child, PATIENCE_MS);
    server_stop(&r->server);
    free(r);
    return 0;
}

/* --- One call and its end -------------------------------------------------------------------------------------------- */

struct ending {
    pthread_mutex_t lock;
    pthread_cond_t some;
    int count;
    struct courier_answer answer;
    char body[COURIER_BODY_MAX + 1];
};

static void ending_init(struct ending *e)
{
    memset(e, 0, sizeof *e);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->some, NULL);
}

static void on_done(void *context, const struct courier_answer *a)
{
    struct ending *e = context;
    pthread_mutex_lock(&e->lock);
    e->answer = *a;
    if (a->body.len > 0)
        memcpy(e->body, a->body.data, a->body.len);
    e->body[a->body.len] = '\0';
    e->count++;
    pthread_cond_broadcast(&e->some);
    pthread_mutex_unlock(&e->lock);
}

static void await(struct ending *e, int count)
{
    struct timespec until;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&e->lock);
    while (e->count < count)
        if (pthread_cond_timedwait(&e->some, &e->lock, &until) != 0)
            fail_msg("a call did not end: %d of %d", e->count, count);
    pthread_mutex_unlock(&e->lock);
}

static struct ending *call(struct rig *r, const char *method, const char *path, const char *body,
                           int deadline_ms)
{
    static struct ending e;
    ending_init(&e);
    struct courier_call c = {.method = method,
                             .path = path,
                             .body = span_text(body),
                             .deadline_ms = deadline_ms,
                             .done = on_done,
                             .context = &e};
    if (*body)
        c.headers[c.header_count++] = (struct courier_header){"Idempotency-Key", "key-1"};
    assert_int_equal(courier_submit(r->client, &c), OK);
    await(&e, 1);
    return &e;
}

static void answers_come_back(void **state)
{
    struct rig *r = *state;
    struct ending *e = call(r, "POST", "/ok?a=1", "x=1&y=2", PATIENCE_MS);
    assert_int_equal(e->answer.outcome, COURIER_ANSWERED);
    assert_int_equal(e->answer.status, 200);
    assert_string_equal(e->body, "hello");
    assert_string_equal(e->answer.request_id, "req_1_");
    assert_non_null(strstr(r->server.last, "POST /ok?a=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(r->server.last, "Authorization: Bearer sk_test_secret\r\n"));
    assert_non_null(strstr(r->server.last, "Idempotency-Key: key-1\r\n"));
    assert_non_null(strstr(r->server.last, "\r\n\r\nx=1&y=2"));
    e = call(r, "GET", "/busy", "", PATIENCE_MS);
    assert_int_equal(e->answer.status, 429);
    assert_int_equal(e->answer.retry_after_s, 7);
}

/* How many answers had come at each rest. */
struct rests {
    struct ending answers;
    int at[64], count;
};

static void on_rest(void *context)
{
    struct rests *rests = context;

    pthread_mutex_lock(&rests->answers.lock);
    if (rests->count < (int)COUNT_OF(rests->at))
        rests->at[rests->count++] = rests->answers.count;
    pthread_cond_broadcast(&rests->answers.some);
    pthread_mutex_unlock(&rests->answers.lock);
}

static void submit_many(struct rig *r, struct ending *e, int count)
{
    const struct courier_call c = {
        .method = "GET", .path = "/ok", .deadline_ms = PATIENCE_MS, .done = on_done, .context = e};

    for (int i = 0; i < count; i++)
        assert_int_equal(courier_submit(r->client, &c), OK);
    await(e, count);
}

static void a_rest_comes_after_the_last_answer_and_before_too_many(void **state)
{
    enum { CALLS = 40 };
    static struct rests rests;
    struct timespec until;
    struct rig *r = *state;

    memset(&rests, 0, sizeof rests);
    ending_init(&rests.answers);
    courier_on_rest(r->client, on_rest, &rests);
    submit_many(r, &rests.answers, CALLS);
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&rests.answers.lock);
    while (rests.count == 0 || rests.at[rests.count - 1] < CALLS)
        if (pthread_cond_timedwait(&rests.answers.some, &rests.answers.lock, &until) != 0)
            fail_msg("no rest after the last answer");
    int count = rests.count;
    pthread_mutex_unlock(&rests.answers.lock);
    for (int i = 0, before = 0; i < count; before = rests.at[i++])
        assert_true(rests.at[i] > before && rests.at[i] - before <= COURIER_BURST_MAX);

    courier_on_rest(r->client, NULL, NULL);
    ending_init(&rests.answers);
    submit_many(r, &rests.answers, 2);
    assert_int_equal(rests.count, count);
}

/* The process uses what it made for a call again for others: nothing of the call may be left in it. */
static void a_call_keeps_nothing_of_the_one_before(void **state)
{
    struct rig *r = *state;
    char last[sizeof r->server.last];

    for (int round = 0; round < 3; round++) {
        struct ending *e = call(r, "POST", "/ok?a=1", "x=1&y=2", PATIENCE_MS);
        assert_string_equal(e->answer.request_id, "req_1_");
        e = call(r, "GET", "/busy", "", PATIENCE_MS);
        assert_int_equal(e->answer.status, 429);
        assert_string_equal(e->answer.request_id, "");
        assert_string_equal(e->body, "");
        pthread_mutex_lock(&r->server.lock);
        memcpy(last, r->server.last, sizeof last);
        pthread_mutex_unlock(&r->server.lock);
        assert_non_null(strstr(last, "GET /busy HTTP/1.1\r\n"));
        assert_non_null(strstr(last, "Authorization: Bearer sk_test_secret\r\n"));
        assert_null(strstr(last, "Idempotency-Key"));
        assert_null(strstr(last, "Content-"));
        assert_null(strstr(last, "x=1"));
        e = call(r, "GET", "/ok", "", PATIENCE_MS);
        assert_int_equal(e->answer.retry_after_s, 0);
        /* One that was given up leaves its handle in the middle of things. */
        e = call(r, "POST", "/silent", "a=1", 50);
        assert_string_equal(e->answer.why, "timeout");
    }
}

static void a_redirect_is_not_followed(void **state)
{
    struct rig *r = *state;
    struct ending *e = call(r, "GET", "/redirect", "", PATIENCE_MS);
    assert_int_equal(e->answer.outcome, COURIER_ANSWERED);
    assert_int_equal(e->answer.status, 302);
    assert_int_equal(atomic_load(&r->server.requests), 1);
}

static void an_answer_cut_short_is_uncertain(void **state)
{
    struct ending *e = call(*state, "POST", "/broken", "a=1", PATIENCE_MS);
    assert_int_equal(e->answer.outcome, COURIER_UNCERTAIN);
}

static void an_answer_too_long_is_uncertain(void **state)
{
    struct ending *e = call(*state, "GET", "/big", "", PATIENCE_MS);
    assert_int_equal(e->answer.outcome, COURIER_UNCERTAIN);
    assert_string_equal(e->answer.why, "answer_too_long");
}

static void silence_is_uncertain_at_the_deadline(void **state)
{
    struct ending *e = call(*state, "POST", "/silent", "a=1", 300);
    assert_int_equal(e->answer.outcome, COURIER_UNCERTAIN);
    assert_string_equal(e->answer.why, "timeout");
}

static void a_refused_connection_is_not_sent(void **state)
{
    struct rig *r = *state;
    shutdown(r->server.fd, SHUT_RDWR); /* nobody listens on the port any more */
    struct ending *e = call(r, "POST", "/ok", "a=1", PATIENCE_MS);
    assert_int_equal(e->answer.outcome, COURIER_NOT_SENT);
    assert_string_equal(e->answer.why, "refused");
}

static void bad_calls_are_refused(void **state)
{
    struct rig *r = *state;
    static const char *const paths[] = {"",        "ok",   "//evil.example/", "/../x", "/a/./b",
                                        "/a b",    "/a#b", "/a\\b",           "/a@b",  "/a\r\nX: y",
                                        "/.hidden"};
    struct courier_call c = {.method = "GET", .path = "/ok", .deadline_ms = 1000, .done = on_done};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        c.path = paths[i];
        assert_int_equal(courier_submit(r->client, &c), ERR_INVALID);
    }
    c.path = "/ok";
    c.method = "DELETE";
    assert_int_equal(courier_submit(r->client, &c), ERR_INVALID);
    c.method = "GET";
    c.deadline_ms = 0;
    assert_int_equal(courier_submit(r->client, &c), ERR_INVALID);
    c.deadline_ms = 1000;
    c.header_count = 1;
    c.headers[0] = (struct courier_header){"X-A", "one\r\nX-B: two"};
    assert_int_equal(courier_submit(r->client, &c), ERR_INVALID);
    c.headers[0] = (struct courier_header){"Authorization", "Bearer mine"};
    assert_int_equal(courier_submit(r->client, &c), ERR_INVALID);
    assert_int_equal(atomic_load(&r->server.requests), 0);
}

static void no_more_than_64_at_once_and_256_in_all(void **state)
{
    struct rig *r = *state;
    static struct ending e;
    ending_init(&e);
    const struct courier_call c = {.method = "GET",
                                   .path = "/hold",
                                   .deadline_ms = COURIER_DEADLINE_MAX_MS,
                                   .done = on_done,
                                   .context = &e};
    for (int i = 0; i < COURIER_OUTSTANDING_MAX; i++)
        assert_int_equal(courier_submit(r->client, &c), OK);
    assert_int_equal(courier_submit(r->client, &c), ERR_BUSY);
    assert_string_equal(err_last()->slug, "courier_full");
    for (int i = 0; i < PATIENCE_MS / 5 && atomic_load(&r->server.now) < COURIER_ACTIVE_MAX; i++)
        (void)poll(NULL, 0, 5);
    assert_int_equal(atomic_load(&r->server.now), COURIER_ACTIVE_MAX);
    atomic_store(&r->server.release, true);
    await(&e, COURIER_OUTSTANDING_MAX);
    assert_int_equal(atomic_load(&r->server.most), COURIER_ACTIVE_MAX);
    assert_int_equal(e.answer.status, 200);
    assert_int_equal(courier_submit(r->client, &c), OK); /* there is room again */
    await(&e, COURIER_OUTSTANDING_MAX + 1);
}

static void when_the_process_dies_calls_end_uncertain(void **state)
{
    struct rig *r = *state;
    static struct ending e;
    ending_init(&e);
    const struct courier_call c = {
        .method = "GET", .path = "/silent", .deadline_ms = 60000, .done = on_done, .context = &e};
    for (int i = 0; i < 5; i++)
        assert_int_equal(courier_submit(r->client, &c), OK);
    assert_int_equal(kill(r->child.pid, SIGKILL), 0);
    await(&e, 5);
    assert_int_equal(e.answer.outcome, COURIER_UNCERTAIN);
    assert_string_equal(e.answer.why, "courier_gone");
    for (int i = 0; i < PATIENCE_MS / 5 && !atomic_load(&r->gone); i++)
        (void)poll(NULL, 0, 5);
    assert_int_equal(atomic_load(&r->gone), 1);
    assert_int_equal(courier_submit(r->client, &c), ERR_BUSY);
    assert_string_equal(err_last()->slug, "courier_gone");
}

static void closing_ends_what_is_outstanding(void **state)
{
    struct rig *r = *state;
    static struct ending e;
    ending_init(&e);
    const struct courier_call c = {
        .method = "GET", .path = "/silent", .deadline_ms = 60000, .done = on_done, .context = &e};
    assert_int_equal(courier_submit(r->client, &c), OK);
    stop_courier(r);
    assert_int_equal(e.count, 1);
    assert_int_equal(e.answer.outcome, COURIER_UNCERTAIN);
    assert_int_equal(atomic_load(&r->gone), 0); /* it did not die by itself */
}

/* --- Certificates ---------------------------------------------------------------------------------------------------- */

static void write_file(const char *path, const struct buf *b)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(b->data, 1, b->len, f), b->len);
    assert_int_equal(fclose(f), 0);
}

static void make_ca(struct buf *cert, struct buf *key)
{
    buf_init(cert, X509_PEM_MAX);
    buf_init(key, X509_PEM_MAX);
    assert_int_equal(x509_ca_create(clock_system(), "Courier test", cert, key), OK);
}

static int call_over_tls(const char *ca_file, const char *name, uint16_t port, char *ret_why)
{
    struct rig r = {0};
    (void)snprintf(r.origin, sizeof r.origin, "https://%s:%u", name, port);
    const struct courier_config config = {.targets = {{r.origin, NULL}}, .ca_file = ca_file};
    assert_int_equal(start_courier(&r, &config), OK);
    struct ending *e = call(&r, "GET", "/ok", "", PATIENCE_MS);
    (void)snprintf(ret_why, COURIER_WORD_MAX, "%s", e->answer.why);
    int status = e->answer.outcome == COURIER_ANSWERED ? e->answer.status : -(int)e->answer.outcome;
    stop_courier(&r);
    return status;
}

/* A server with a certificate for 127.0.0.1, and two files of authorities, the second of which did not sign it. */
struct tls_rig {
    struct server *server;
    struct tls_context *tls;
    char dir[32], good[64], other[64];
};

static void tls_rig_start(struct tls_rig *t)
{
    AUTO(buf_done) struct buf ca, ca_key, ca2, ca2_key, cert, key;
    const char *const names[] = {"127.0.0.1"};
    const struct x509_request request = {.names = names, .name_count = 1, .days = 30};

    t->server = calloc(1, sizeof *t->server);
    assert_non_null(t->server);
    (void)snprintf(t->dir, sizeof t->dir, "/tmp/courier-test-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    (void)snprintf(t->good, sizeof t->good, "%s/good.pem", t->dir);
    (void)snprintf(t->other, sizeof t->other, "%s/other.pem", t->dir);
    make_ca(&ca, &ca_key);
    make_ca(&ca2, &ca2_key);
    buf_init(&cert, X509_PEM_MAX);
    buf_init(&key, X509_PEM_MAX);
    write_file(t->good, &ca);
    write_file(t->other, &ca2);
    assert_int_equal(
        x509_issue(clock_system(), buf_span(&ca), buf_span(&ca_key), &request, &cert, &key), OK);
    assert_int_equal(tls_context_server(buf_span(&cert), buf_span(&key), &t->tls), OK);
    server_start(t->server, t->tls);
}

static void tls_rig_stop(struct tls_rig *t)
{
    server_stop(t->server);
    tls_context_close(t->tls);
    assert_int_equal(unlink(t->good) | unlink(t->other) | rmdir(t->dir), 0);
    free(t->server);
}

static void certificates_are_checked(void **state)
{
    (void)state;
    char why[COURIER_WORD_MAX];
    struct tls_rig t;

    tls_rig_start(&t);
    assert_int_equal(call_over_tls(t.good, "127.0.0.1", t.server->port, why), 200);
    assert_int_equal(call_over_tls(t.other, "127.0.0.1", t.server->port, why), -COURIER_NOT_SENT);
    assert_string_equal(why, "certificate");
    /* The right authority, the wrong name. */
    assert_int_equal(call_over_tls(t.good, "localhost", t.server->port, why), -COURIER_NOT_SENT);
    assert_string_equal(why, "certificate");
    tls_rig_stop(&t);
}

/* --- Settings and mail ----------------------------------------------------------------------------------------------- */

static void bad_settings_are_refused(void **state)
{
    (void)state;
    static const struct courier_config bad[] = {
        {.targets = {{"http://pay.example.org", NULL}}},
        {.targets = {{"https://user@pay.example.org", NULL}}},
        {.targets = {{"https://pay.example.org/path", NULL}}},
        {.targets = {{"file:///etc/passwd", NULL}}},
        {.targets = {{"http://localhost.example.org", NULL}}},
        {.mail_url = "http://mail.example.org", .mail_from = "a@example.org"},
        {.mail_url = "smtp://mail.example.org:587"},
        {.mail_dir = "/nonexistent/folder"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct rig r = {0};
        assert_int_equal(start_courier(&r, &bad[i]), ERR_INVALID);
        proc_stop(&r.child, PATIENCE_MS);
    }
}

static struct ending *mail(struct rig *r, const char *name, const char *text)
{
    static struct ending e;
    ending_init(&e);
    const struct courier_mail m = {.name = name,
                                   .to = "fan@example.org",
                                   .message = span_text(text),
                                   .deadline_ms = PATIENCE_MS,
                                   .done = on_done,
                                   .context = &e};
    assert_int_equal(courier_submit_mail(r->client, &m), OK);
    await(&e, 1);
    return &e;
}

static void mail_goes_into_the_folder(void **state)
{
    (void)state;
    char dir[] = "/tmp/courier-test-XXXXXX", path[64], text[64] = "";
    struct rig r = {0};

    assert_non_null(mkdtemp(dir));
    const struct courier_config config = {.mail_dir = dir};
    assert_int_equal(start_courier(&r, &config), OK);
    assert_int_equal(mail(&r, "job_1", "Subject: a\r\n\r\nfirst\r\n")->answer.status, 250);
    struct ending *e = mail(&r, "job_1", "Subject: a\r\n\r\nsecond\r\n");
    assert_int_equal(e->answer.outcome, COURIER_ANSWERED);
    (void)snprintf(path, sizeof path, "%s/job_1.eml", dir);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, sizeof text - 1, f) > 0);
    fclose(f);
    assert_string_equal(text, "Subject: a\r\n\r\nsecond\r\n");
    struct courier_mail m = {.name = "../up",
                             .to = "fan@example.org",
                             .message = SPAN_LIT("x"),
                             .deadline_ms = 1000,
                             .done = on_done};
    assert_int_equal(courier_submit_mail(r.client, &m), ERR_INVALID);
    m.name = "up";
    m.to = "fan@example.org>\r\nRCPT TO:<other@example.org";
    assert_int_equal(courier_submit_mail(r.client, &m), ERR_INVALID);
    stop_courier(&r);
    assert_int_equal(unlink(path) | rmdir(dir), 0);
}

static void mail_goes_to_the_server(void **state)
{
    (void)state;
    struct tls_rig t;
    struct rig r = {0};
    char url[64];

    tls_rig_start(&t);
    t.server->smtp = true;
    (void)snprintf(url, sizeof url, "smtps://127.0.0.1:%u", t.server->port);
    const struct courier_config config = {
        .mail_url = url, .mail_from = "shop@example.org", .ca_file = t.good};
    assert_int_equal(start_courier(&r, &config), OK);
    struct ending *e = mail(&r, "job_3", "Subject: a\r\n\r\n.dot\r\nend\r\n");
    assert_int_equal(e->answer.outcome, COURIER_ANSWERED);
    assert_int_equal(e->answer.status, 250);
    assert_string_equal(t.server->last, "Subject: a\r\n\r\n..dot\r\nend\r\n.\r\n");
    t.server->refuses = true;
    e = mail(&r, "job_4", "Subject: a\r\n\r\nx\r\n");
    assert_int_equal(e->answer.outcome, COURIER_ANSWERED);
    assert_int_equal(e->answer.status, 550);
    stop_courier(&r);
    tls_rig_stop(&t);
}

/* A mail server that takes no TLS: the mail must not be sent in the clear. */
static void *plain_smtp(void *context)
{
    int listener = *(int *)context, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct visit v = {.fd = fd};
    char line[512];
    say_text(&v, "220 plain.example.org ESMTP\r\n");
    for (ssize_t n; (n = recv(fd, line, sizeof line - 1, 0)) > 0;) {
        line[n] = '\0';
        if (strncmp(line, "QUIT", 4) == 0)
            break;
        say_text(&v, strncmp(line, "EHLO", 4) == 0 ? "250-plain.example.org\r\n250 SIZE 100000\r\n"
                                                   : "502 no\r\n");
        assert_null(strstr(line, "MAIL FROM"));
    }
    close(fd);
    return NULL;
}

static void mail_is_never_sent_in_the_clear(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_t thread;
    char url[64];
    struct rig r = {0};

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at) | listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(pthread_create(&thread, NULL, plain_smtp, &fd), 0);
    (void)snprintf(url, sizeof url, "smtp://127.0.0.1:%u", ntohs(at.sin_port));
    const struct courier_config config = {.mail_url = url, .mail_from = "shop@example.org"};
    assert_int_equal(start_courier(&r, &config), OK);
    struct ending *e = mail(&r, "job_2", "Subject: a\r\n\r\nx\r\n");
    assert_int_equal(e->answer.outcome, COURIER_NOT_SENT);
    assert_string_equal(e->answer.why, "tls");
    pthread_join(thread, NULL);
    close(fd);
    stop_courier(&r);
}

/* --- fetch ----------------------------------------------------------------------------------------------------------- */

static void fetch_posts_and_gives_the_status(void **state)
{
    struct rig *r = *state;
    char url[128];
    int status = 0;
    struct fetch_request f = {.url = url, .body = SPAN_LIT("{}"), .deadline_ms = PATIENCE_MS};

    (void)snprintf(url, sizeof url, "%s/ok", r->origin);
    f.headers[f.header_count++] = (struct courier_header){"Stripe-Signature", "t=1,v1=00"};
    assert_int_equal(fetch_post(&f, &status), OK);
    assert_int_equal(status, 200);
    assert_non_null(strstr(r->server.last, "Stripe-Signature: t=1,v1=00\r\n"));
    f.url = "http://example.org/hook";
    assert_int_equal(fetch_post(&f, &status), ERR_INVALID);
    (void)snprintf(url, sizeof url, "%s/silent", r->origin);
    f.url = url;
    f.deadline_ms = 200;
    assert_int_equal(fetch_post(&f, &status), ERR_UNCERTAIN);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_keeps_nothing_of_the_one_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rest_comes_after_the_last_answer_and_before_too_many,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_redirect_is_not_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_cut_short_is_uncertain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_too_long_is_uncertain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silence_is_uncertain_at_the_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refused_connection_is_not_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_calls_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_more_than_64_at_once_and_256_in_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(when_the_process_dies_calls_end_uncertain, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(closing_ends_what_is_outstanding, set_up, tear_down),
        cmocka_unit_test(certificates_are_checked),
        cmocka_unit_test(bad_settings_are_refused),
        cmocka_unit_test(mail_goes_into_the_folder),
        cmocka_unit_test(mail_goes_to_the_server),
        cmocka_unit_test(mail_is_never_sent_in_the_clear),
        cmocka_unit_test_setup_teardown(fetch_posts_and_gives_the_status, set_up, tear_down),
    };

    if (argc > 1 && strcmp(argv[1], "--courier") == 0)
        _exit(courier_main(PROC_CHILD_FD)); /* a confined process cannot look for leaks */
    (void)signal(SIGPIPE, SIG_IGN);
    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
