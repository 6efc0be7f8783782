/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/http/test_support.h"

static struct http_server *server;
static struct clock_shifted shifted;
static char last_asked[128];

static void handle(void *context, struct http_exchange *x)
{
    (void)context;
    if (span_starts(x->request.path, "/events/"))
        http_reply_stream(x, x->request.segments[1]);
    else
        http_reply_copy(x, 200, "text/plain", SPAN_LIT("ok"));
}

static void replay(void *context, struct span channel, struct span last_id, struct buf *out)
{
    (void)context;
    (void)snprintf(last_asked, sizeof last_asked, SPAN_FMT ":" SPAN_FMT, SPAN_ARG(channel),
                   SPAN_ARG(last_id));
    if (span_eq_text(last_id, "41"))
        assert_int_equal(http_sse_format(out, SPAN_LIT("42"), SPAN_LIT("missed"), SPAN_LIT("a\nb")),
                         OK);
}

static void start_with(size_t streams_max)
{
    struct http_config config;
    clock_shifted_init(&shifted);
    http_config_init(&config);
    config.listeners[config.listener_count++] = (struct http_listener){"127.0.0.1", 0, NULL};
    config.clock = &shifted.clock;
    config.limits.connections_per_client_max = 0;
    config.handle = handle;
    config.sse.replay = replay;
    config.sse.streams_max = streams_max;
    assert_int_equal(http_server_open(&config, &server), OK);
}

static int start(void **state)
{
    (void)state;
    start_with(1000);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    http_server_close(server);
    return 0;
}

static struct http_metrics metrics(void)
{
    struct http_metrics m;
    http_server_metrics(server, &m);
    return m;
}

/* A listener that has heard its first words. */
static int listen_to(const char *channel, const char *fields, struct buf *in)
{
    char text[256];
    int fd = dial(http_server_port(server, 0));
    buf_init(in, 8 << 20);
    (void)snprintf(text, sizeof text, "GET /events/%s HTTP/1.1\r\nHost: h\r\n%s\r\n", channel,
                   fields);
    assert_true(say(fd, text));
    hear_until(fd, in, "retry: ");
    hear_until(fd, in, "\n\n");
    return fd;
}

static enum err publish(const char *channel, const char *id, const char *data)
{
    return http_sse_publish(http_server_sse(server), span_text(channel), span_text(id),
                            SPAN_LIT("seats"), span_text(data));
}

static void an_event_reaches_everyone_on_its_channel_and_nobody_else(void **state)
{
    enum { LISTENERS = 50 };
    int fds[LISTENERS];
    struct buf in[LISTENERS];
    AUTO(buf_done) struct buf other;
    (void)state;
    for (int i = 0; i < LISTENERS; i++)
        fds[i] = listen_to("evt_1", "", &in[i]);
    int stranger = listen_to("evt_2", "", &other);
    assert_non_null(strstr(text_of(&in[0]), "Content-Type: text/event-stream\r\n"));
    assert_null(strstr(text_of(&in[0]), "Content-Length"));
    assert_int_equal(publish("evt_1", "7", "{\"taken\":[1]}"), OK);
    assert_int_equal(publish("evt_2", "8", "{}"), OK);
    for (int i = 0; i < LISTENERS; i++) {
        hear_until(fds[i], &in[i], "id: 7\nevent: seats\ndata: {\"taken\":[1]}\n\n");
        assert_null(strstr(text_of(&in[i]), "id: 8"));
        buf_done(&in[i]);
    }
    hear_until(stranger, &other, "id: 8\n");
    assert_null(strstr(text_of(&other), "id: 7"));
    assert_int_equal(metrics().streams_now, LISTENERS + 1);
    for (int i = 0; i < LISTENERS; i++)
        close(fds[i]);
    close(stranger);
    EVENTUALLY(metrics().streams_now == 0 && metrics().connections_now == 0);
    assert_int_equal(publish("evt_1", "9", "nobody hears"), OK);
}

static void who_comes_back_hears_what_it_missed(void **state)
{
    AUTO(buf_done) struct buf in;
    (void)state;
    int fd = listen_to("evt_1", "Last-Event-ID: 41\r\n", &in);
    hear_until(fd, &in, "id: 42\nevent: missed\ndata: a\ndata: b\n\n");
    assert_string_equal(last_asked, "evt_1:41");
    close(fd);
}

static void a_listener_that_does_not_read_is_dropped_and_delays_nobody(void **state)
{
    AUTO(buf_done) struct buf in, slow, data;
    int small = 4096, heard = 0;
    (void)state;
    int sleeper = listen_to("c", "", &slow), fd = listen_to("c", "", &in);
    setsockopt(sleeper, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    buf_init(&data, 1 << 20);
    memset(buf_grow(&data, 60000), 'd', 60000);
    for (int i = 0; i < 400 && metrics().streams_dropped == 0; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        assert_int_equal(publish("c", id, buf_text(&data)), OK);
        (void)snprintf(id, sizeof id, "id: %d\n", i);
        hear_until(fd, &in, id);
        hear_until(fd, &in, "dd\n\n");
        buf_reset(&in);
        heard++;
    }
    EVENTUALLY(metrics().streams_dropped == 1);
    assert_true(heard > HTTP_SSE_QUEUE_MAX);
    EVENTUALLY(metrics().streams_now == 1);
    close(sleeper);
    close(fd);
}

static void a_quiet_stream_is_pinged_and_ends_in_its_hour(void **state)
{
    AUTO(buf_done) struct buf in;
    (void)state;
    int fd = listen_to("c", "", &in);
    buf_reset(&in);
    clock_shifted_advance(&shifted, HTTP_SSE_PING_MS);
    hear_until(fd, &in, ":\n\n");
    assert_string_equal(text_of(&in), ":\n\n");
    for (int i = 0; i < 241; i++)
        clock_shifted_advance(&shifted, HTTP_SSE_PING_MS);
    hear_all(fd, &in);
    close(fd);
    EVENTUALLY(metrics().streams_now == 0);
}

static void a_listener_that_talks_is_closed(void **state)
{
    AUTO(buf_done) struct buf in;
    (void)state;
    int fd = listen_to("c", "", &in);
    assert_true(say(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    hear_all(fd, &in);
    assert_int_equal(count_of(text_of(&in), "HTTP/1.1 "), 1);
    close(fd);
}

static void streams_have_a_limit(void **state)
{
    AUTO(buf_done) struct buf in, more;
    (void)state;
    http_server_close(server);
    start_with(1);
    int fd = listen_to("c", "", &in), second = dial(http_server_port(server, 0));
    buf_init(&more, 1 << 16);
    assert_true(say(second, "GET /events/c HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_int_equal(hear_response(second, &more, false, NULL), 503);
    close(fd);
    close(second);
}

static void head_of_a_stream_is_only_a_head(void **state)
{
    AUTO(buf_done) struct buf in;
    int fd = dial(http_server_port(server, 0));
    (void)state;
    buf_init(&in, 1 << 16);
    assert_true(say(fd, "HEAD /events/c HTTP/1.1\r\nHost: h\r\n\r\n"));
    hear_all(fd, &in);
    assert_non_null(strstr(text_of(&in), "text/event-stream"));
    assert_null(strstr(text_of(&in), "retry:"));
    close(fd);
}

static void an_event_that_would_forge_another_is_refused(void **state)
{
    struct http_sse *sse = http_server_sse(server);
    (void)state;
    assert_int_equal(publish("c", "1\ndata: forged", "x"), ERR_INVALID);
    assert_int_equal(
        http_sse_publish(sse, SPAN_LIT("c"), SPAN_LIT("1"), SPAN_LIT("a\rb"), SPAN_LIT("")),
        ERR_INVALID);
    AUTO(buf_done) struct buf data;
    buf_init(&data, 1 << 20);
    memset(buf_grow(&data, HTTP_SSE_EVENT_MAX), 'd', HTTP_SSE_EVENT_MAX);
    assert_int_equal(publish("c", "1", buf_text(&data)), ERR_LIMIT);
    AUTO(buf_done) struct buf out;
    buf_init(&out, 1 << 10);
    assert_int_equal(http_sse_format(&out, SPAN_LIT(""), SPAN_LIT(""), SPAN_LIT("a\r\nid: 9\rb\n")),
                     OK);
    assert_string_equal(text_of(&out), "data: a\ndata: id: 9\ndata: b\ndata: \n\n");
}

static void a_stop_ends_the_streams_and_refuses_events(void **state)
{
    AUTO(buf_done) struct buf in;
    (void)state;
    int fd = listen_to("c", "", &in);
    assert_int_equal(publish("c", "1", "last words"), OK);
    http_server_stop(server, 0);
    hear_all(fd, &in);
    assert_non_null(strstr(text_of(&in), "data: last words\n\n"));
    assert_int_equal(publish("c", "2", "too late"), ERR_BUSY);
    close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        T(an_event_reaches_everyone_on_its_channel_and_nobody_else),
        T(who_comes_back_hears_what_it_missed),
        T(a_listener_that_does_not_read_is_dropped_and_delays_nobody),
        T(a_quiet_stream_is_pinged_and_ends_in_its_hour),
        T(a_listener_that_talks_is_closed),
        T(streams_have_a_limit),
        T(head_of_a_stream_is_only_a_head),
        T(an_event_that_would_forge_another_is_refused),
        T(a_stop_ends_the_streams_and_refuses_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
