/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every file of tests/corpus/http is sent to a real server, whole and byte by byte; the file's name begins with the status.
 * A refusal is exactly one response and a closed connection, and no handler runs. Lawful files get 200 for each request.
 */
#include "reach/http/test_support.h"

#include <dirent.h>

static struct http_server *server;
static _Atomic int handled;

static void handle(void *context, struct http_exchange *x)
{
    (void)context;
    atomic_fetch_add(&handled, 1);
    http_reply_copy(x, 200, "text/plain", SPAN_LIT("ok"));
}

static int start(void **state)
{
    struct http_config config;
    (void)state;
    http_config_init(&config);
    config.listeners[0] = (struct http_listener){"127.0.0.1", 0, NULL};
    config.listener_count = 1;
    config.limits.connections_per_client_max = 0;
    config.handle = handle;
    return http_server_open(&config, &server) == OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    http_server_close(server);
    return 0;
}

static void send_case(const char *name, struct span bytes, bool in_pieces)
{
    AUTO(buf_done) struct buf in;
    char status[16];
    int before = handled, fd = dial(http_server_port(server, 0));

    buf_init(&in, 1 << 20);
    for (size_t i = 0, step = in_pieces ? 1 : bytes.len; i < bytes.len; i += step)
        if (!say_span(fd, span_sub(bytes, i, step)))
            break;
    (void)snprintf(status, sizeof status, "HTTP/1.1 %.3s ", name);
    if (name[0] == '2')
        shutdown(fd, SHUT_WR);
    hear_all(fd, &in);
    close(fd);
    int answers = count_of(text_of(&in), "\r\nRequest-Id: ");
    if (name[0] == '2') {
        int want = strstr(name, "pipelined") ? 3 : 1;
        if (answers != want || count_of(text_of(&in), status) != want || handled - before != want)
            fail_msg("%s: %s", name, text_of(&in));
    } else if (answers != 1 || strncmp(text_of(&in), status, strlen(status)) != 0 ||
               handled != before || !strstr(text_of(&in), "Connection: close") ||
               !strstr(text_of(&in), "application/problem+json")) {
        fail_msg("%s: %s", name, text_of(&in));
    }
}

static int each_case(bool in_pieces)
{
    DIR *dir = opendir(CORPUS_DIR);
    AUTO(buf_done) struct buf bytes;
    struct disk disk;
    int count = 0;

    assert_non_null(dir);
    assert_int_equal(disk_open(CORPUS_DIR, &disk), OK);
    buf_init(&bytes, 1 << 20);
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        buf_reset(&bytes);
        assert_int_equal(disk.read(disk.self, e->d_name, &bytes), OK);
        send_case(e->d_name, buf_span(&bytes), in_pieces);
        count++;
    }
    closedir(dir);
    disk_close(&disk);
    return count;
}

static void each_attack_gets_one_refusal_and_a_closed_connection(void **state)
{
    (void)state;
    assert_true(each_case(false) > 120);
}

static void the_verdict_is_the_same_when_bytes_drip(void **state)
{
    (void)state;
    assert_true(each_case(true) > 120);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_attack_gets_one_refusal_and_a_closed_connection),
        cmocka_unit_test(the_verdict_is_the_same_when_bytes_drip),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
