/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/http/test_support.h"

#include <fcntl.h>

/* --- A server whose handler does what the path says ------------------------------------------------------------------ */

enum { LARGE = 3 * 1024 * 1024 };

static struct http_server *server;
static struct clock_shifted shifted;
static struct {
    pthread_mutex_t lock;
    struct http_exchange *waiting; /* deferred exchanges, linked by user */
    _Atomic int deferred, done, last_status, released;
    char client[HTTP_ADDRESS_TEXT_MAX];
    bool secure;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER};
static uint8_t large[LARGE];

static void keep(struct http_exchange *x)
{
    http_defer(x);
    pthread_mutex_lock(&seen.lock);
    x->user = seen.waiting;
    seen.waiting = x;
    seen.deferred++;
    pthread_mutex_unlock(&seen.lock);
}

static void handle_body(struct http_exchange *x)
{
    struct buf body;
    buf_init(&body, 1 << 20);
    buf_printf(&body, "{\"bytes\":%zu}", x->request.body.len);
    http_reply_json(x, 201, &body);
}

static void let_go(void *owner)
{
    atomic_fetch_add((_Atomic int *)owner, 1);
}

static void handle_shared(struct http_exchange *x)
{
    http_reply_shared(x, "text/plain", span_of(large, 5000), "\"v1\"", let_go, &seen.released);
    if (span_eq_text(x->request.path, "/shared/twice"))
        http_reply_shared(x, "text/plain", span_of(large, 5000), NULL, let_go, &seen.released);
}

static void handle(void *context, struct http_exchange *x)
{
    struct span path = x->request.path;
    (void)context;
    if (span_eq_text(path, "/large")) {
        http_reply_static(x, "application/octet-stream", span_of(large, LARGE), NULL);
    } else if (span_eq_text(path, "/later")) {
        keep(x);
    } else if (span_eq_text(path, "/body")) {
        handle_body(x);
    } else if (span_eq_text(path, "/silent")) {
        return;
    } else if (span_eq_text(path, "/twice")) {
        http_reply_empty(x, 204);
        http_reply_empty(x, 200);
    } else if (span_eq_text(path, "/split")) {
        http_header_text(x, "Location", "/a\r\nSet-Cookie: evil=1");
        http_reply_empty(x, 303);
    } else if (span_eq_text(path, "/tagged")) {
        http_reply_static(x, "text/plain", SPAN_LIT("tagged"), "\"v1\"");
    } else if (span_starts(path, "/shared")) {
        handle_shared(x);
    } else if (span_eq_text(path, "/nothing")) {
        http_reply_empty(x, 204);
    } else if (span_eq_text(path, "/csp")) {
        http_header_text(x, "Content-Security-Policy", "default-src 'self'");
        http_header_text(x, "Cache-Control", "no-cache");
        http_reply_copy(x, 200, "text/html", SPAN_LIT("<p>"));
    } else if (span_eq_text(path, "/file")) {
        int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        http_reply_file(x, 200, "application/octet-stream", fd, 200000);
    } else if (span_eq_text(path, "/short")) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        http_reply_file(x, 200, "application/octet-stream", fd, 10);
    } else if (span_eq_text(path, "/error")) {
        (void)err_raise(ERR_CONFLICT, "#/seats/0", __FILE__, __LINE__, "seat_taken",
                        "Seat \"A\" is <held>.");
        http_reply_error(x, err_last());
    } else if (span_eq_text(path, "/disk")) {
        (void)err_raise(ERR_IO, NULL, __FILE__, __LINE__, "disk", "secret path");
        http_reply_error(x, err_last());
    } else {
        pthread_mutex_lock(&seen.lock);
        http_address_format(x->request.client, seen.client);
        seen.secure = x->request.secure;
        pthread_mutex_unlock(&seen.lock);
        http_reply_copy(x, 200, "text/plain", path);
    }
}

static void head(void *context, struct http_exchange *x, uint64_t *max_body)
{
    (void)context;
    if (span_eq_text(x->request.path, "/small"))
        *max_body = 10;
    if (span_eq_text(x->request.path, "/early"))
        http_reply_empty(x, 401);
}

static void done(void *context, const struct http_exchange *x, int status, int64_t took_ms)
{
    (void)context;
    (void)x;
    assert_true(took_ms >= 0);
    pthread_mutex_lock(&seen.lock);
    seen.done++;
    seen.last_status = status;
    pthread_mutex_unlock(&seen.lock);
}

static void config_for_tests(struct http_config *config)
{
    http_config_init(config);
    config->listeners[0] = (struct http_listener){"127.0.0.1", 0, NULL};
    config->listener_count = 1;
    config->clock = &shifted.clock;
    config->handle = handle;
    config->head = head;
    config->done = done;
    memset(large, 'x', sizeof large);
    seen.waiting = NULL;
    seen.deferred = seen.done = seen.released = 0;
}

static int start(void **state)
{
    struct http_config config;
    (void)state;
    clock_shifted_init(&shifted);
    config_for_tests(&config);
    return http_server_open(&config, &server) == OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    http_server_close(server);
    server = NULL;
    return 0;
}

static int dial_server(void)
{
    return dial(http_server_port(server, 0));
}

static struct http_metrics metrics(void)
{
    struct http_metrics m;
    http_server_metrics(server, &m);
    return m;
}

/* The whole conversation of one connection: say it, hear all, close. */
static void converse(const char *text, struct buf *in)
{
    int fd = dial_server();
    buf_init(in, 16 << 20);
    (void)say(fd, text);
    hear_all(fd, in);
    close(fd);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define GET_CLOSE(path) "GET " path " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

/* --- Connections ------------------------------------------------------------------------------------------------------ */

static void a_connection_is_kept_and_used_again(void **state)
{
    AUTO(buf_done) struct buf in, body;
    int fd = dial_server();
    (void)state;
    buf_init(&in, 1 << 20);
    buf_init(&body, 1 << 20);
    for (int i = 0; i < 3; i++) {
        assert_true(say(fd, GET("/one")));
        assert_int_equal(hear_response(fd, &in, false, &body), 200);
    }
    assert_string_equal(text_of(&body), "/one/one/one");
    assert_int_equal(metrics().connections, 1);
    close(fd);
    EVENTUALLY(metrics().connections_now == 0);
}

static void *finish_waiting(void *arg)
{
    int want = *(int *)arg;
    for (int finished = 0; finished < want;) {
        pthread_mutex_lock(&seen.lock);
        struct http_exchange *x = seen.waiting;
        if (x)
            seen.waiting = x->user;
        pthread_mutex_unlock(&seen.lock);
        if (!x) {
            (void)poll(NULL, 0, 1);
            continue;
        }
        http_reply_copy(x, 202, "text/plain", x->request.path);
        http_finish(x);
        finished++;
    }
    return NULL;
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    AUTO(buf_done) struct buf in;
    pthread_t worker;
    int one = 1;
    (void)state;
    assert_int_equal(pthread_create(&worker, NULL, finish_waiting, &one), 0);
    converse(GET("/1") GET("/later") GET("/3") GET_CLOSE("/4"), &in);
    pthread_join(worker, NULL);
    const char *text = text_of(&in), *first = strstr(text, "\r\n\r\n/1"),
               *second = strstr(text, "\r\n\r\n/later"), *third = strstr(text, "\r\n\r\n/3"),
               *fourth = strstr(text, "\r\n\r\n/4");
    assert_true(first && second && third && fourth);
    assert_true(first < second && second < third && third < fourth);
    assert_int_equal(count_of(text, "\r\nRequest-Id: req_"), 4);
    assert_int_equal(count_of(text, "Connection: close"), 1);
}

static void many_pipelined_requests_do_not_stall(void **state)
{
    AUTO(buf_done) struct buf in;
    AUTO(buf_done) struct buf out;
    (void)state;
    buf_init(&out, 1 << 20);
    for (int i = 0; i < 999; i++)
        buf_put_text(&out, GET("/n"));
    buf_put_text(&out, GET_CLOSE("/last"));
    converse(buf_text(&out), &in);
    assert_int_equal(count_of(text_of(&in), "HTTP/1.1 200 OK"), 1000);
    assert_non_null(strstr(text_of(&in), "\r\n\r\n/last"));
}

static void an_old_client_is_answered_and_closed(void **state)
{
    AUTO(buf_done) struct buf in;
    (void)state;
    converse("GET /a HTTP/1.0\r\nHost: h\r\n\r\n" GET("/b"), &in);
    assert_int_equal(count_of(text_of(&in), "200 OK"), 1);
    assert_non_null(strstr(text_of(&in), "Connection: close"));
}

static void head_has_the_length_but_no_body(void **state)
{
    AUTO(buf_done) struct buf in;
    (void)state;
    converse("HEAD /abc HTTP/1.1\r\nHost: h\r\n\r\n" GET_CLOSE("/b"), &in);
    assert_non_null(strstr(text_of(&in), "Content-Length: 4\r\n"));
    assert_null(strstr(text_of(&in), "\r\n\r\n/abc"));
    assert_non_null(strstr(text_of(&in), "\r\n\r\n/b"));
}

static void a_connection_has_a_number_of_requests(void **state)
{
    struct http_config config;
    AUTO(buf_done) struct buf in;
    (void)state;
    http_server_close(server);
    config_for_tests(&config);
    config.limits.requests_per_connection_max = 2;
    assert_int_equal(http_server_open(&config, &server), OK);
    converse(GET("/1") GET("/2") GET("/3"), &in);
    assert_int_equal(count_of(text_of(&in), "200 OK"), 2);
}

/* --- Bodies and answers ----------------------------------------------------------------------------------------------- */

static void a_body_arrives_whole_however_it_is_split(void **state)
{
    AUTO(buf_done) struct buf in, body, sent;
    int fd = dial_server();
    (void)state;
    buf_init(&in, 1 << 20);
    buf_init(&body, 1 << 20);
    buf_init(&sent, 1 << 20);
    assert_true(say(fd, "POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n"));
    memset(buf_grow(&sent, 500000), 'b', 500000);
    assert_true(say_span(fd, buf_span(&sent)));
    assert_int_equal(hear_response(fd, &in, false, &body), 201);
    assert_string_equal(text_of(&body), "{\"bytes\":500000}");
    assert_true(say(fd, "PUT /body HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nh"));
    assert_true(say(fd, "i"));
    buf_reset(&body);
    assert_int_equal(hear_response(fd, &in, false, &body), 201);
    assert_string_equal(text_of(&body), "{\"bytes\":2}");
    close(fd);
}

static void a_large_body_is_refused_before_it_is_read(void **state)
{
    AUTO(buf_done) struct buf in, other;
    (void)state;
    converse("POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n", &in);
    assert_non_null(strstr(text_of(&in), "HTTP/1.1 413 Content Too Large"));
    converse("POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n", &other);
    assert_non_null(strstr(text_of(&other), "HTTP/1.1 413"));
    buf_reset(&other);
    buf_done(&other);
    converse("POST /small HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: "
             "10\r\n\r\n0123456789",
             &other);
    assert_non_null(strstr(text_of(&other), "HTTP/1.1 200"));
}

static void an_early_answer_leaves_the_body_unread(void **state)
{
    AUTO(buf_done) struct buf in;
    (void)state;
    converse("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n" GET("/x"), &in);
    assert_non_null(strstr(text_of(&in), "HTTP/1.1 401"));
    assert_int_equal(count_of(text_of(&in), "\r\nRequest-Id: "), 1);
    assert_int_equal(metrics().requests, 1);
}

static void a_large_answer_arrives_whole(void **state)
{
    AUTO(buf_done) struct buf in;
    (void)state;
    converse(GET_CLOSE("/large"), &in);
    assert_true(in.len > LARGE && in.len < LARGE + 2000);
    assert_int_equal(in.data[in.len - 1], 'x');
}

static void a_file_is_sent_and_a_short_one_cuts_the_connection(void **state)
{
    AUTO(buf_done) struct buf in, cut;
    (void)state;
    converse(GET_CLOSE("/file"), &in);
    assert_non_null(strstr(text_of(&in), "Content-Length: 200000\r\n"));
    assert_true(in.len > 200000);
    converse(GET("/short") GET("/x"), &cut);
    assert_int_equal(count_of(text_of(&cut), "\r\nRequest-Id: "), 1);
}

static void every_answer_carries_the_standard_headers(void **state)
{
    AUTO(buf_done) struct buf in, other;
    const char *wanted[] = {"X-Content-Type-Options: nosniff",
                            "Referrer-Policy: no-referrer",
                            "Cross-Origin-Opener-Policy: same-origin",
                            "X-Frame-Options: DENY",
                            "Cache-Control: no-store",
                            "Content-Security-Policy: default-src 'none'",
                            "\r\nDate: ",
                            "\r\nRequest-Id: req_"};
    (void)state;
    converse(GET_CLOSE("/a"), &in);
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        assert_non_null(strstr(text_of(&in), wanted[i]));
    assert_null(strstr(text_of(&in), "Strict-Transport-Security"));
    converse(GET_CLOSE("/csp"), &other);
    assert_int_equal(count_of(text_of(&other), "Content-Security-Policy"), 1);
    assert_non_null(strstr(text_of(&other), "Content-Security-Policy: default-src 'self'\r\n"));
    assert_non_null(strstr(text_of(&other), "Cache-Control: no-cache\r\n"));
    assert_null(strstr(text_of(&other), "no-store"));
}

static void a_handler_without_one_lawful_answer_answers_500(void **state)
{
    const char *requests[] = {GET_CLOSE("/silent"), GET_CLOSE("/twice"), GET_CLOSE("/split")};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        AUTO(buf_done) struct buf in;
        converse(requests[i], &in);
        assert_non_null(strstr(text_of(&in), "HTTP/1.1 500 "));
        assert_null(strstr(text_of(&in), "evil"));
        assert_int_equal(count_of(text_of(&in), "\r\nRequest-Id: "), 1);
    }
}

static void a_shared_body_is_let_go_once_whatever_became_of_it(void **state)
{
    static const struct {
        const char *request, *status;
        int released;
        size_t body;
    } all[] = {
        {"GET /shared HTTP/1.1\r\n", "200 OK", 1, 5000},
        {"HEAD /shared HTTP/1.1\r\n", "200 OK", 1, 0},
        {"GET /shared HTTP/1.1\r\nIf-None-Match: \"v1\"\r\n", "304 Not Modified", 1, 0},
        {"GET /shared HTTP/1.1\r\nIf-None-Match: \"v2\"\r\n", "200 OK", 1, 5000},
        {"GET /shared/twice HTTP/1.1\r\n", "500 Internal", 2, 0},
    };
    int released = 0;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        AUTO(buf_done) struct buf in = {0};
        char request[200];

        buf_init(&in, 1 << 20);
        (void)snprintf(request, sizeof request, "%sHost: h\r\nConnection: close\r\n\r\n",
                       all[i].request);
        converse(request, &in);
        assert_non_null(strstr(text_of(&in), all[i].status));
        const char *end = strstr(text_of(&in), "\r\n\r\n");
        assert_non_null(end);
        if (all[i].released == 1)
            assert_int_equal(strlen(end + 4), all[i].body);
        released += all[i].released;
        EVENTUALLY(seen.released == released);
    }
    /* The client leaves before it has everything. */
    int fd = dial_server();
    assert_true(say(fd, "GET /shared HTTP/1.1\r\nHost: h\r\n\r\n"));
    close(fd);
    EVENTUALLY(seen.released == released + 1);
}

static void a_known_entity_tag_gets_304(void **state)
{
    AUTO(buf_done) struct buf in, other;
    (void)state;
    converse("GET /tagged HTTP/1.1\r\nHost: h\r\nConnection: close\r\nIf-None-Match: \"v0\", "
             "W/\"v1\"\r\n\r\n",
             &in);
    assert_non_null(strstr(text_of(&in), "HTTP/1.1 304 Not Modified\r\n"));
    assert_non_null(strstr(text_of(&in), "ETag: \"v1\"\r\n"));
    assert_null(strstr(text_of(&in), "Content-Length"));
    converse(
        "GET /tagged HTTP/1.1\r\nHost: h\r\nConnection: close\r\nIf-None-Match: \"v2\"\r\n\r\n",
        &other);
    assert_non_null(strstr(text_of(&other), "\r\n\r\ntagged"));
}

static void an_empty_answer_has_no_length_and_no_body(void **state)
{
    AUTO(buf_done) struct buf in;
    (void)state;
    converse(GET("/nothing") GET_CLOSE("/b"), &in);
    assert_non_null(strstr(text_of(&in), "HTTP/1.1 204 No Content\r\n"));
    assert_int_equal(count_of(text_of(&in), "Content-Length"), 1);
}

static void an_error_becomes_a_problem_that_keeps_our_secrets(void **state)
{
    AUTO(buf_done) struct buf in, other;
    (void)state;
    converse(GET_CLOSE("/error"), &in);
    assert_non_null(strstr(text_of(&in), "HTTP/1.1 409 Conflict"));
    assert_non_null(strstr(text_of(&in), "\"type\":\"/problems/seat_taken\""));
    assert_non_null(strstr(text_of(&in), "Seat \\\"A\\\" is \\u003cheld>."));
    assert_non_null(strstr(text_of(&in), "\"pointer\":\"#/seats/0\""));
    const char *id = strstr(text_of(&in), "\"instance\":\"req_");
    assert_non_null(id);
    converse(GET_CLOSE("/disk"), &other);
    assert_non_null(strstr(text_of(&other), "HTTP/1.1 500"));
    assert_null(strstr(text_of(&other), "secret path"));
}

/* --- Deferred answers ------------------------------------------------------------------------------------------------- */

static void answers_may_come_from_other_threads(void **state)
{
    enum { CLIENTS = 40, WORKERS = 4 };
    int fds[CLIENTS], each = CLIENTS / WORKERS;
    pthread_t workers[WORKERS];
    (void)state;
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = dial_server();
        assert_true(say(fds[i], GET("/later")));
    }
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&workers[i], NULL, finish_waiting, &each), 0);
    for (int i = 0; i < CLIENTS; i++) {
        AUTO(buf_done) struct buf in;
        buf_init(&in, 1 << 16);
        assert_int_equal(hear_response(fds[i], &in, false, NULL), 202);
        close(fds[i]);
    }
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    EVENTUALLY(seen.done == CLIENTS);
}

static void an_answer_to_a_client_that_left_is_dropped(void **state)
{
    int one = 1, fd = dial_server();
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    (void)state;
    assert_true(say(fd, GET("/later")));
    EVENTUALLY(seen.deferred == 1);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    EVENTUALLY(metrics().connections_now == 0);
    assert_int_equal(seen.done, 0);
    (void)finish_waiting(&one);
    EVENTUALLY(seen.done == 1);
    assert_int_equal(seen.last_status, 202);
}

static void *stop_gently(void *arg)
{
    (void)arg;
    http_server_stop(server, 60000);
    return NULL;
}

static void a_stop_answers_what_is_in_flight(void **state)
{
    AUTO(buf_done) struct buf in, none;
    int one = 1, fd = dial_server(), idle = dial_server();
    uint16_t port = http_server_port(server, 0);
    pthread_t stopper;
    (void)state;
    buf_init(&in, 1 << 16);
    buf_init(&none, 1 << 16);
    assert_true(say(fd, GET("/later") GET("/never")));
    EVENTUALLY(seen.deferred == 1 && metrics().connections_now == 2);
    assert_int_equal(pthread_create(&stopper, NULL, stop_gently, NULL), 0);
    hear_all(idle, &none); /* closed at once */
    assert_int_equal(none.len, 0);
    (void)finish_waiting(&one);
    hear_all(fd, &in);
    close(fd);
    close(idle);
    pthread_join(stopper, NULL);
    assert_non_null(strstr(text_of(&in), "HTTP/1.1 202"));
    assert_non_null(strstr(text_of(&in), "Connection: close"));
    assert_int_equal(count_of(text_of(&in), "\r\nRequest-Id: "), 1);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_not_equal(connect(late, (struct sockaddr *)&to, sizeof to), 0);
    close(late);
}

/* --- Deadlines -------------------------------------------------------------------------------------------------------- */

/* Time passes on the injected clock until the server closes; what it said last is in. Returns the time it took. */
static int64_t wait_for_close(int fd, struct buf *in, const char *drip)
{
    int64_t passed = 0;
    for (int rounds = 0; rounds < 600; rounds++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 20) > 0) {
            hear_all(fd, in);
            close(fd);
            return passed;
        }
        clock_shifted_advance(&shifted, 500);
        passed += 500;
        if (drip)
            (void)say(fd, drip);
        (void)poll(NULL, 0, 5);
    }
    fail_msg("the server never closed");
    return 0;
}

static void a_slow_head_gets_408_however_it_drips(void **state)
{
    AUTO(buf_done) struct buf in;
    int fd = dial_server();
    (void)state;
    buf_init(&in, 1 << 16);
    assert_true(say(fd, "GET / HTTP/1.1\r\nHost: h\r\nX: "));
    int64_t took = wait_for_close(fd, &in, "y");
    assert_true(took >= 4500);
    assert_non_null(strstr(text_of(&in), "HTTP/1.1 408 Request Timeout"));
    assert_true(metrics().timeouts >= 1);
}

static void a_silent_connection_is_closed_without_words(void **state)
{
    AUTO(buf_done) struct buf in;
    int fd = dial_server();
    (void)state;
    buf_init(&in, 1 << 16);
    assert_true(wait_for_close(fd, &in, NULL) >= 4500);
    assert_int_equal(in.len, 0);
}

static void a_slow_body_gets_408(void **state)
{
    AUTO(buf_done) struct buf in;
    int fd = dial_server();
    (void)state;
    buf_init(&in, 1 << 16);
    assert_true(say(fd, "POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"));
    int64_t took = wait_for_close(fd, &in, "b");
    assert_true(took >= 4500);
    assert_non_null(strstr(text_of(&in), "HTTP/1.1 408"));
}

static void an_idle_connection_is_kept_for_a_while(void **state)
{
    AUTO(buf_done) struct buf in;
    int fd = dial_server();
    (void)state;
    buf_init(&in, 1 << 16);
    assert_true(say(fd, GET("/a")));
    assert_int_equal(hear_response(fd, &in, false, NULL), 200);
    assert_true(wait_for_close(fd, &in, NULL) >= 14000);
    assert_int_equal(in.len, 0);
}

static void a_reader_that_does_not_read_is_cut(void **state)
{
    int fd = dial_server(), small = 4096;
    (void)state;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_true(say(fd, GET("/large") GET("/large") GET("/large")));
    EVENTUALLY(metrics().bytes_out > 0);
    for (int i = 0; i < 2000 && metrics().connections_now > 0; i++) {
        clock_shifted_advance(&shifted, 10000);
        (void)poll(NULL, 0, 5);
    }
    assert_int_equal(metrics().connections_now, 0);
    assert_true(metrics().timeouts >= 1);
    close(fd);
}

static void a_handler_has_no_deadline(void **state)
{
    AUTO(buf_done) struct buf in;
    int one = 1, fd = dial_server();
    (void)state;
    buf_init(&in, 1 << 16);
    assert_true(say(fd, GET("/later")));
    EVENTUALLY(seen.deferred == 1);
    for (int i = 0; i < 20; i++) {
        clock_shifted_advance(&shifted, 100000);
        (void)poll(NULL, 0, 20);
    }
    (void)finish_waiting(&one);
    assert_int_equal(hear_response(fd, &in, false, NULL), 202);
    close(fd);
}

/* --- Limits, origins, settings ---------------------------------------------------------------------------------------- */

static void connections_of_one_client_have_a_limit(void **state)
{
    struct http_config config;
    AUTO(buf_done) struct buf in;
    int fds[3];
    (void)state;
    http_server_close(server);
    config_for_tests(&config);
    config.limits.connections_per_client_max = 2;
    assert_int_equal(http_server_open(&config, &server), OK);
    buf_init(&in, 1 << 16);
    for (int i = 0; i < 2; i++) {
        fds[i] = dial_server();
        assert_true(say(fds[i], GET("/a")));
        assert_int_equal(hear_response(fds[i], &in, false, NULL), 200);
    }
    fds[2] = dial_server();
    hear_all(fds[2], &in);
    assert_int_equal(in.len, 0);
    assert_int_equal(metrics().connections_refused, 1);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    EVENTUALLY(metrics().connections_now == 0);
    int fd = dial_server();
    assert_true(say(fd, GET("/a")));
    assert_int_equal(hear_response(fd, &in, false, NULL), 200);
    close(fd);
}

static void connections_have_a_limit(void **state)
{
    struct http_config config;
    AUTO(buf_done) struct buf in;
    (void)state;
    http_server_close(server);
    config_for_tests(&config);
    config.limits.connections_max = 1;
    assert_int_equal(http_server_open(&config, &server), OK);
    buf_init(&in, 1 << 16);
    int first = dial_server();
    EVENTUALLY(metrics().connections_now == 1);
    int second = dial_server();
    hear_all(second, &in);
    assert_int_equal(in.len, 0);
    close(first);
    close(second);
}

static void ask_forwarded(const char *fields)
{
    AUTO(buf_done) struct buf in;
    char text[512];
    (void)snprintf(text, sizeof text, "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n",
                   fields);
    converse(text, &in);
    assert_non_null(strstr(text_of(&in), "200 OK"));
}

static void forwarding_fields_are_believed_from_trusted_proxies_only(void **state)
{
    struct http_config config;
    (void)state;
    ask_forwarded("X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n");
    assert_string_equal(seen.client, "127.0.0.1");
    assert_false(seen.secure);
    http_server_close(server);
    config_for_tests(&config);
    config.trusted[0] = "127.0.0.0/8";
    config.trusted[1] = "10.0.0.0/8";
    config.trusted_count = 2;
    assert_int_equal(http_server_open(&config, &server), OK);
    ask_forwarded("X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n");
    assert_string_equal(seen.client, "203.0.113.9");
    assert_true(seen.secure);
    ask_forwarded(
        "X-Forwarded-For: 1.2.3.4, 203.0.113.7, 10.0.0.1\r\n"); /* the first is the client's own words */
    assert_string_equal(seen.client, "203.0.113.7");
    ask_forwarded("X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-For: 10.9.9.9\r\n");
    assert_string_equal(seen.client, "2001:db8::1");
    ask_forwarded("X-Forwarded-For: 203.0.113.7, nonsense\r\n");
    assert_string_equal(seen.client, "127.0.0.1");
}

static void plain_http_is_refused_where_it_would_leave_the_machine(void **state)
{
    struct http_config config;
    struct http_server *other = NULL;
    (void)state;
    config_for_tests(&config);
    config.listeners[0].address = "0.0.0.0";
    assert_int_equal(http_server_open(&config, &other), ERR_INVALID);
    assert_string_equal(err_last()->slug, "plain_http");
    config.listeners[0].address = "localhost";
    assert_int_equal(http_server_open(&config, &other), ERR_INVALID);
    config.listeners[0] = (struct http_listener){"127.0.0.1", http_server_port(server, 0), NULL};
    assert_int_equal(http_server_open(&config, &other), ERR_CONFLICT);
    assert_string_equal(err_last()->slug, "address_in_use");
    assert_null(other);
}

/* --- listening before the server is there ------------------------------------------------------------------------------ */

/* Nobody listens there: the dial is refused. */
static bool is_refused(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool refused = connect(fd, (struct sockaddr *)&at, sizeof at) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static void who_comes_before_the_server_is_answered_by_it(void **state)
{
    struct http_config config;
    struct http_server *late = NULL;
    AUTO(buf_done) struct buf in = {0};
    uint16_t port;
    int listening;
    (void)state;

    buf_init(&in, 1 << 16);
    assert_int_equal(http_listen("127.0.0.1", 0, false, &listening, &port), OK);
    int fd = dial(port);
    assert_true(say(fd, GET_CLOSE("/")));
    config_for_tests(&config);
    config.listeners[0].port = port;
    config.sockets[0] = listening;
    assert_int_equal(http_server_open(&config, &late), OK);
    assert_int_equal(http_server_port(late, 0), port);
    hear_all(fd, &in);
    assert_memory_equal(text_of(&in), "HTTP/1.1 200", 12);
    close(fd);
    http_server_close(late);
    assert_true(is_refused(port));
}

static void a_server_that_does_not_open_closes_what_it_was_given(void **state)
{
    struct http_config config;
    struct http_server *none = NULL;
    uint16_t port;
    (void)state;

    config_for_tests(&config);
    assert_int_equal(http_listen("127.0.0.1", 0, false, &config.sockets[0], &port), OK);
    assert_false(is_refused(port));
    config.loops = 0;
    assert_int_equal(http_server_open(&config, &none), ERR_INVALID);
    assert_true(is_refused(port));
}

static void listening_early_keeps_the_rules(void **state)
{
    uint16_t port;
    int fd;
    (void)state;

    assert_int_equal(http_listen("0.0.0.0", 0, false, &fd, &port), ERR_INVALID);
    assert_string_equal(err_last()->slug, "plain_http");
    assert_int_equal(http_listen("localhost", 0, true, &fd, &port), ERR_INVALID);
    assert_int_equal(http_listen("127.0.0.1", http_server_port(server, 0), false, &fd, &port),
                     ERR_CONFLICT);
    assert_string_equal(err_last()->slug, "address_in_use");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        T(a_connection_is_kept_and_used_again),
        T(pipelined_requests_are_answered_in_order),
        T(many_pipelined_requests_do_not_stall),
        T(an_old_client_is_answered_and_closed),
        T(head_has_the_length_but_no_body),
        T(a_connection_has_a_number_of_requests),
        T(a_body_arrives_whole_however_it_is_split),
        T(a_large_body_is_refused_before_it_is_read),
        T(an_early_answer_leaves_the_body_unread),
        T(a_large_answer_arrives_whole),
        T(a_file_is_sent_and_a_short_one_cuts_the_connection),
        T(every_answer_carries_the_standard_headers),
        T(a_handler_without_one_lawful_answer_answers_500),
        T(a_known_entity_tag_gets_304),
        T(a_shared_body_is_let_go_once_whatever_became_of_it),
        T(an_empty_answer_has_no_length_and_no_body),
        T(an_error_becomes_a_problem_that_keeps_our_secrets),
        T(answers_may_come_from_other_threads),
        T(an_answer_to_a_client_that_left_is_dropped),
        T(a_stop_answers_what_is_in_flight),
        T(a_slow_head_gets_408_however_it_drips),
        T(a_silent_connection_is_closed_without_words),
        T(a_slow_body_gets_408),
        T(an_idle_connection_is_kept_for_a_while),
        T(a_reader_that_does_not_read_is_cut),
        T(a_handler_has_no_deadline),
        T(connections_of_one_client_have_a_limit),
        T(connections_have_a_limit),
        T(forwarding_fields_are_believed_from_trusted_proxies_only),
        T(plain_http_is_refused_where_it_would_leave_the_machine),
        T(who_comes_before_the_server_is_answered_by_it),
        T(a_server_that_does_not_open_closes_what_it_was_given),
        T(listening_early_keeps_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
