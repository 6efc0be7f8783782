/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_HTTP_TEST_SUPPORT_H
#define REACH_HTTP_TEST_SUPPORT_H

/* test_support - a plain blocking client for this room's tests, which talk to a real server over loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ground/base/base.h"
#include "ground/base/test_eventually.h"
#include "ground/base/thread.h"
#include "reach/http/http.h"

enum { PATIENCE_MS = 10000 };

static inline int dial(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* Whether all bytes were taken; the server may have hung up before. */
static inline bool say_span(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes = span_sub(bytes, (size_t)n, bytes.len);
    }
    return true;
}

static inline bool say(int fd, const char *text)
{
    return say_span(fd, span_text(text));
}

static inline ssize_t hear_some(int fd, struct buf *in, int64_t until_ms)
{
    const struct clock *clock = clock_system();
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint8_t chunk[16384];
    int64_t left = until_ms - clock_mono_ms(clock);
    if (left <= 0 || poll(&p, 1, (int)left) <= 0)
        return -1;
    ssize_t n = recv(fd, chunk, sizeof chunk, 0);
    if (n > 0)
        buf_put(in, chunk, (size_t)n);
    return n < 0 ? 0 : n;
}

/* Everything until the server closes; fails the test when it does not. */
static inline void hear_all(int fd, struct buf *in)
{
    int64_t until = clock_mono_ms(clock_system()) + PATIENCE_MS;
    ssize_t n;
    while ((n = hear_some(fd, in, until)) > 0)
        ;
    if (n < 0)
        fail_msg("the server did not close the connection");
}

static inline const char *text_of(struct buf *in)
{
    return buf_text(in);
}

/* Until the text has arrived. */
static inline void hear_until(int fd, struct buf *in, const char *text)
{
    int64_t until = clock_mono_ms(clock_system()) + PATIENCE_MS;
    while (!strstr(text_of(in), text))
        if (hear_some(fd, in, until) <= 0)
            fail_msg("the server did not say \"%s\" but \"%s\"", text, text_of(in));
}

/* One response with a Content-Length, taken off the front of in. Returns its status; the body into body unless NULL. */
static inline int hear_response(int fd, struct buf *in, bool to_head, struct buf *body)
{
    hear_until(fd, in, "\r\n\r\n");
    const char *text = text_of(in), *end = strstr(text, "\r\n\r\n") + 4;
    const char *length = strstr(text, "Content-Length: ");
    size_t head = (size_t)(end - text), want = 0;
    if (length && length < end)
        want = strtoul(length + 16, NULL, 10);
    if (to_head)
        want = 0;
    int64_t until = clock_mono_ms(clock_system()) + PATIENCE_MS;
    while (in->len < head + want)
        if (hear_some(fd, in, until) <= 0)
            fail_msg("the body did not arrive");
    int status = (int)strtol(text_of(in) + 9, NULL, 10);
    if (body)
        buf_put(body, in->data + head, want);
    memmove(in->data, in->data + head + want, in->len - head - want);
    in->len -= head + want;
    return status;
}

/* Asked by a handler. */
static inline bool thread_is_quick(void)
{
    char name[THREAD_NAME_MAX + 1];
    assert_int_equal(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    return strcmp(name, "http-quick") == 0;
}

static inline int count_of(const char *text, const char *part)
{
    int n = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        n++;
    return n;
}

#endif
