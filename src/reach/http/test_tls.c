/* SPDX-License-Identifier: Apache-2.0 */
/* The server over TLS, asked by the wrapper's own client. */
#include "reach/http/test_support.h"

#include "ground/crypto/crypto.h"
#include "ground/crypto/tls.h"
#include "ground/crypto/x509.h"

enum { LARGE = 700 * 1000 };

static struct http_server *server;
static struct tls_context *server_tls, *client_tls;
static struct buf ca_cert, ca_key;
static uint8_t large[LARGE];

static void handle(void *context, struct http_exchange *x)
{
    (void)context;
    if (span_eq_text(x->request.path, "/hurry"))
        http_hurry(x);
    if (span_eq_text(x->request.path, "/large"))
        http_reply_static(x, "text/plain", span_of(large, LARGE), NULL);
    else if (span_eq_text(x->request.path, "/stream"))
        http_reply_stream(x, SPAN_LIT("c"));
    else if (span_eq_text(x->request.path, "/quick"))
        http_reply_copy(x, 200, "text/plain", span_text(thread_is_quick() ? "yes" : "no"));
    else
        http_reply_copy(x, 200, "text/plain",
                        x->request.body.len ? x->request.body : x->request.path);
}

static struct tls_context *issue(void)
{
    const char *const names[] = {"shop.example", "127.0.0.1"};
    struct x509_request request = {.names = names, .name_count = 2, .days = 30};
    struct tls_context *context;
    AUTO(buf_done) struct buf cert, key;
    buf_init(&cert, X509_PEM_MAX);
    buf_init(&key, X509_PEM_MAX);
    assert_int_equal(
        x509_issue(clock_system(), buf_span(&ca_cert), buf_span(&ca_key), &request, &cert, &key),
        OK);
    assert_int_equal(tls_context_server(buf_span(&cert), buf_span(&key), &context), OK);
    return context;
}

static int start(void **state)
{
    struct http_config config;
    (void)state;
    assert_int_equal(crypto_init(), OK);
    buf_init(&ca_cert, X509_PEM_MAX);
    buf_init(&ca_key, X509_PEM_MAX);
    assert_int_equal(x509_ca_create(clock_system(), "Test authority", &ca_cert, &ca_key), OK);
    assert_int_equal(tls_context_client(buf_span(&ca_cert), &client_tls), OK);
    server_tls = issue();
    memset(large, 'x', LARGE);
    http_config_init(&config);
    config.listeners[config.listener_count++] = (struct http_listener){"0.0.0.0", 0, server_tls};
    config.handle = handle;
    config.quick_loops = 1;
    return http_server_open(&config, &server) == OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    http_server_close(server);
    tls_context_close(server_tls);
    tls_context_close(client_tls);
    buf_done(&ca_cert);
    buf_done(&ca_key);
    return 0;
}

/* The socket blocks, so that each call ends in something else than WANT. */
static struct tls *dial_tls(const char *name, int *ret_fd, enum tls_io expected)
{
    struct tls *tls;
    *ret_fd = dial(http_server_port(server, 0));
    assert_int_equal(tls_connect(client_tls, *ret_fd, name, &tls), OK);
    assert_int_equal(tls_handshake(tls), expected);
    return tls;
}

static void hang_up(struct tls *tls, int fd)
{
    tls_close(tls);
    close(fd);
}

static void tell(struct tls *tls, struct span text)
{
    while (text.len > 0) {
        size_t n = 0;
        assert_int_equal(tls_write(tls, text.data, text.len, &n), TLS_DONE);
        text = span_sub(text, n, text.len);
    }
}

static enum tls_io hear_tls(struct tls *tls, struct buf *in, const char *until)
{
    uint8_t chunk[16384];
    size_t n = 0;
    enum tls_io io;
    while ((io = tls_read(tls, chunk, sizeof chunk, &n)) == TLS_DONE || io == TLS_WANT_READ) {
        buf_put(in, chunk, n);
        n = 0;
        if (until && strstr(text_of(in), until))
            break;
    }
    return io;
}

static void a_request_is_answered_over_tls_13(void **state)
{
    AUTO(buf_done) struct buf in;
    int fd;
    (void)state;
    buf_init(&in, 1 << 20);
    struct tls *tls = dial_tls("shop.example", &fd, TLS_DONE);
    assert_string_equal(tls_version(tls), "TLSv1.3");
    tell(tls, SPAN_LIT("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_int_equal(hear_tls(tls, &in, "\r\n\r\n/a"), TLS_DONE);
    assert_non_null(strstr(text_of(&in), "Strict-Transport-Security: max-age=31536000\r\n"));
    tell(tls, SPAN_LIT("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo"));
    tell(tls, SPAN_LIT("dyGET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    assert_int_equal(hear_tls(tls, &in, NULL), TLS_CLOSED); /* in order: close_notify came */
    assert_non_null(strstr(text_of(&in), "\r\n\r\nbody"));
    assert_true(in.len > LARGE);
    hang_up(tls, fd);
}

static void a_stream_runs_over_tls(void **state)
{
    AUTO(buf_done) struct buf in;
    int fd;
    (void)state;
    buf_init(&in, 1 << 20);
    struct tls *tls = dial_tls("127.0.0.1", &fd, TLS_DONE); /* addresses are names too */
    tell(tls, SPAN_LIT("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_int_equal(hear_tls(tls, &in, "retry: "), TLS_DONE);
    assert_int_equal(http_sse_publish(http_server_sse(server), SPAN_LIT("c"), SPAN_LIT("1"),
                                      SPAN_LIT("e"), SPAN_LIT("d")),
                     OK);
    assert_int_equal(hear_tls(tls, &in, "id: 1\nevent: e\ndata: d\n\n"), TLS_DONE);
    hang_up(tls, fd);
}

static void a_hurried_connection_takes_its_session_along(void **state)
{
    AUTO(buf_done) struct buf in;
    int fd;
    (void)state;
    buf_init(&in, 1 << 20);
    struct tls *tls = dial_tls("shop.example", &fd, TLS_DONE);
    tell(tls, SPAN_LIT("GET /quick HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_int_equal(hear_tls(tls, &in, "\r\n\r\nno"), TLS_DONE);
    tell(tls, SPAN_LIT("GET /hurry HTTP/1.1\r\nHost: h\r\n\r\n"));
    tell(tls,
         SPAN_LIT("GET /b HTTP/1.1\r\nHost: h\r\n\r\n")); /* on its way while it is passed on */
    assert_int_equal(hear_tls(tls, &in, "\r\n\r\n/b"), TLS_DONE);
    tell(tls, SPAN_LIT("GET /hurry HTTP/1.1\r\nHost: h\r\n\r\n"));
    while (count_of(text_of(&in), "HTTP/1.1 20") < 4)
        assert_int_equal(hear_tls(tls, &in, "HTTP/1.1 "), TLS_DONE);
    tell(tls, SPAN_LIT("GET /quick HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_int_equal(hear_tls(tls, &in, "\r\n\r\nyes"), TLS_DONE);
    hang_up(tls, fd);
}

static void a_client_checks_the_name(void **state)
{
    int fd;
    (void)state;
    struct tls *tls = dial_tls("evil.example", &fd, TLS_FAILED);
    hang_up(tls, fd);
    struct http_metrics m;
    EVENTUALLY((http_server_metrics(server, &m), m.tls_failures > 0));
}

static void plain_words_on_a_tls_port_end_the_connection(void **state)
{
    AUTO(buf_done) struct buf in;
    int fd = dial(http_server_port(server, 0));
    (void)state;
    buf_init(&in, 1 << 20);
    assert_true(say(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    hear_all(fd, &in);
    assert_null(strstr(text_of(&in), "HTTP/1.1"));
    close(fd);
}

static void another_certificate_can_be_used_without_a_restart(void **state)
{
    AUTO(buf_done) struct buf in;
    struct tls_context *fresh = issue();
    int before, after;
    (void)state;
    buf_init(&in, 1 << 20);
    struct tls *old = dial_tls("shop.example", &before, TLS_DONE);
    http_server_set_tls(server, 0, fresh);
    tls_context_close(server_tls);
    server_tls = fresh;
    struct tls *new = dial_tls("shop.example", &after, TLS_DONE);
    tell(old, SPAN_LIT("GET /old HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_int_equal(hear_tls(old, &in, "\r\n\r\n/old"), TLS_DONE);
    tell(new, SPAN_LIT("GET /new HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_int_equal(hear_tls(new, &in, "\r\n\r\n/new"), TLS_DONE);
    hang_up(old, before);
    hang_up(new, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_answered_over_tls_13),
        cmocka_unit_test(a_stream_runs_over_tls),
        cmocka_unit_test(a_hurried_connection_takes_its_session_along),
        cmocka_unit_test(a_client_checks_the_name),
        cmocka_unit_test(plain_words_on_a_tls_port_end_the_connection),
        cmocka_unit_test(another_certificate_can_be_used_without_a_restart),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
