/* SPDX-License-Identifier: Apache-2.0 */
#include "bare.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop.h"

enum { EVENTS_MAX = 256, REQUEST_MAX = 16384, BACKLOG = 1024 };

/* --- the process; it must not die(): the server of the run is its parent's ------------------------------------------------- */

static bool send_all(int fd, struct span s)
{
    while (s.len) {
        ssize_t n = send(fd, s.data, s.len, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            (void)poll(&p, 1, 1000);
            continue;
        }
        if (n <= 0)
            return false;
        s = span_sub(s, (size_t)n, s.len);
    }
    return true;
}

static void serve(int fd, struct span answer)
{
    char request[REQUEST_MAX];
    ssize_t n = recv(fd, request, sizeof request, 0);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    /* Why no more of a parser: the client writes a request at once, and loopback gives it in one piece. */
    if (n < 4 || memcmp(request + n - 4, "\r\n\r\n", 4) != 0 || !send_all(fd, answer))
        close(fd);
}

static void take_all(int epoll, int listener)
{
    int fd, on = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0)
            _exit(1);
    }
}

_Noreturn static void run(int listener, struct span answer)
{
    struct epoll_event events[EVENTS_MAX], e = {.events = EPOLLIN, .data.fd = listener};
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e) != 0)
        _exit(1);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                take_all(epoll, listener);
            else
                serve(events[i].data.fd, answer);
        }
    }
}

static pid_t start(struct span answer, uint16_t *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        die("cannot listen: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid == 0)
        run(fd, answer);
    close(fd);
    *ret_port = ntohs(a.sin_port);
    return pid;
}

/* --- asking it --------------------------------------------------------------------------------------------------------------- */

static bool ask(void *context, unsigned slot, struct buf *request)
{
    (void)context;
    (void)slot;
    buf_put_text(request, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    return true;
}

static void answered(void *context, unsigned slot, const struct wire_answer *answer)
{
    (void)context;
    (void)slot;
    (void)answer;
}

double bare_requests_per_s(struct span answer, unsigned connections, double seconds)
{
    uint16_t port;
    pid_t pid = start(answer, &port);
    struct wire *wire = wire_new();
    struct loop l = {.wire = wire,
                     .pool = wire_pool_new(wire, port, connections),
                     .slots = connections,
                     .until_us = now_us() + (int64_t)(seconds * 1e6),
                     .ask = ask,
                     .answered = answered};

    loop_run(&l);
    double rate = loop_rate(&l);
    wire_pool_free(l.pool);
    loop_done(&l);
    wire_free(wire);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    return rate;
}

double bare_small_requests_per_s(unsigned connections, double seconds)
{
    return bare_requests_per_s(span_text("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                         "Content-Length: 16\r\n\r\nfifteen and one\n"),
                               connections, seconds);
}
