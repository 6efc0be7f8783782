/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that go on in a quick loop: which, when, and that nothing is lost on the way. */
#include "reach/http/test_support.h"

static struct http_server *server;
static struct clock_shifted shifted;

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

static void handle(void *context, struct http_exchange *x)
{
    (void)context;
    if (span_eq_text(x->request.path, "/hurry"))
        http_hurry(x);
    http_reply_copy(x, 200, "text/plain", span_text(thread_is_quick() ? "quick" : "plain"));
}

static void open_server(unsigned quick_loops, const char *trusted)
{
    struct http_config config;
    clock_shifted_init(&shifted);
    http_config_init(&config);
    config.listeners[config.listener_count++] = (struct http_listener){"127.0.0.1", 0, NULL};
    config.clock = &shifted.clock;
    config.handle = handle;
    config.quick_loops = quick_loops;
    if (trusted)
        config.trusted[config.trusted_count++] = trusted;
    assert_int_equal(http_server_open(&config, &server), OK);
}

/* A server and a connection to it. */
static int meet(unsigned quick_loops, const char *trusted, struct buf *ret_in)
{
    buf_init(ret_in, 1 << 16);
    open_server(quick_loops, trusted);
    return dial(http_server_port(server, 0));
}

static int stop(void **state)
{
    (void)state;
    http_server_close(server);
    server = NULL;
    return 0;
}

static void ask(int fd, struct buf *in, const char *request, const char *said)
{
    AUTO(buf_done) struct buf body;
    buf_init(&body, 100);
    assert_true(say(fd, request));
    assert_int_equal(hear_response(fd, in, false, &body), 200);
    assert_string_equal(text_of(&body), said);
}

static void a_hurried_connection_goes_on_in_a_quick_loop_and_others_do_not(void **state)
{
    AUTO(buf_done) struct buf in;
    (void)state;
    int scanner = meet(2, NULL, &in), other = dial(http_server_port(server, 0));
    ask(scanner, &in, GET("/a"), "plain");
    ask(scanner, &in, GET("/hurry"), "plain"); /* the answer itself still comes from here */
    for (int i = 0; i < 3; i++)
        ask(scanner, &in, GET("/a"), "quick");
    ask(scanner, &in, GET("/hurry"), "quick");
    ask(scanner, &in, GET("/a"), "quick");
    ask(other, &in, GET("/a"), "plain");
    close(scanner);
    close(other);
    struct http_metrics m;
    EVENTUALLY((http_server_metrics(server, &m), m.connections_now == 0));
}

static void requests_sent_meanwhile_are_answered_in_order(void **state)
{
    AUTO(buf_done) struct buf in;
    (void)state;
    int fd = meet(1, NULL, &in);
    for (int round = 0; round < 50; round++) {
        assert_true(say(fd, GET("/hurry") GET("/a") GET("/hurry")));
        assert_true(say(fd, GET("/a")));
        for (int i = 0; i < 4; i++)
            assert_int_equal(hear_response(fd, &in, false, NULL), 200);
    }
    assert_true(say(fd, GET("/hurry")));
    assert_int_equal(hear_response(fd, &in, false, NULL), 200);
    ask(fd, &in, GET("/a"), "quick");
    assert_int_equal(in.len, 0);
    close(fd);
}

static void without_a_quick_loop_it_stays(void **state)
{
    AUTO(buf_done) struct buf in;
    (void)state;
    int fd = meet(0, NULL, &in);
    ask(fd, &in, GET("/hurry"), "plain");
    ask(fd, &in, GET("/a"), "plain");
    close(fd);
}

static void a_proxy_s_connection_stays(void **state)
{
    AUTO(buf_done) struct buf in;
    (void)state;
    int fd = meet(1, "127.0.0.0/8", &in);
    ask(fd, &in, GET("/hurry"), "plain");
    ask(fd, &in, GET("/a"), "plain");
    close(fd);
}

static void its_deadline_goes_with_it(void **state)
{
    AUTO(buf_done) struct buf in;
    (void)state;
    int fd = meet(1, NULL, &in);
    ask(fd, &in, GET("/hurry"), "plain");
    ask(fd, &in, GET("/a"), "quick");
    clock_shifted_advance(&shifted, 14000);
    ask(fd, &in, GET("/a"), "quick");
    clock_shifted_advance(&shifted, 16000);
    hear_all(fd, &in);
    assert_int_equal(in.len, 0);
    close(fd);
}

static void a_stop_ends_those_that_were_passed_on(void **state)
{
    AUTO(buf_done) struct buf in;
    (void)state;
    int fd = meet(2, NULL, &in);
    ask(fd, &in, GET("/hurry"), "plain");
    http_server_stop(server, 60000); /* an idle connection is not waited for */
    hear_all(fd, &in);
    assert_int_equal(in.len, 0);
    close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, stop)
    const struct CMUnitTest tests[] = {
        T(a_hurried_connection_goes_on_in_a_quick_loop_and_others_do_not),
        T(requests_sent_meanwhile_are_answered_in_order),
        T(without_a_quick_loop_it_stays),
        T(a_proxy_s_connection_stays),
        T(its_deadline_goes_with_it),
        T(a_stop_ends_those_that_were_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
