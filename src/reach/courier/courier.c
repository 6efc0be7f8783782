/* SPDX-License-Identifier: Apache-2.0 */
/* courier - the process: one thread, one loop over the socket and the connections (libcurl has a thread to look names up). */
#include "reach/courier/courier.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ground/proc/sandbox.h"
#include "reach/courier/transfer.h"

enum { POLL_MS = 1000, READ_PATHS_MAX = 4, EVENTS_MAX = 64 };

struct courier {
    int fd;
    bool ended; /* the other end is gone */
    CURLM *multi;
    struct settings settings;
    struct transfer *first, **last; /* waiting for room, oldest first */
    struct transfer *on_network;
    size_t active;
    struct spare_handles spares;
    int epoll;
    int64_t timer_ms; /* when libcurl wants to be called; INT64_MAX: not */
    uint8_t room[PROC_FRAME_MAX];
};

static int64_t now(void)
{
    return clock_mono_ms(clock_system());
}

/* A peer that no longer listens shows at the next read. */
static void send_answer(struct courier *c, uint16_t type, uint32_t id, struct span payload)
{
    const struct proc_frame to = {.type = type, .id = id};

    if (proc_answer(c->fd, &to, payload) != OK)
        c->ended = true;
}

static void answer(struct courier *c, uint16_t type, uint32_t id, const struct courier_answer *a)
{
    AUTO(buf_done) struct buf b;

    buf_init(&b, PROC_PAYLOAD_MAX);
    wire_put_answer(&b, a);
    INVARIANT(!b.failed, "an answer's body is bounded so that it fits a frame");
    send_answer(c, type, id, buf_span(&b));
}

static void refuse(struct courier *c, uint16_t type, uint32_t id, const char *why)
{
    struct courier_answer a = {.outcome = COURIER_NOT_SENT};

    (void)snprintf(a.why, sizeof a.why, "%s", why);
    answer(c, type, id, &a);
}

/* --- Calls ----------------------------------------------------------------------------------------------------------- */

static void take_question(struct courier *c, const struct proc_frame *q)
{
    struct transfer *t;
    struct courier_answer a;

    if (transfer_new(q, now(), &t) != OK) {
        log_warn("a call was refused: %s", err_last()->slug);
        refuse(c, q->type, q->id, err_last()->slug);
        return;
    }
    if (t->type == WIRE_MAIL && c->settings.mail_dir) {
        transfer_to_folder(t, &c->settings, &a);
        answer(c, t->type, t->id, &a);
        transfer_free(t, &c->spares);
        return;
    }
    *c->last = t;
    c->last = &t->next;
}

static void enter_network(struct courier *c, struct transfer *t)
{
    t->before = NULL;
    t->next = c->on_network;
    if (t->next)
        t->next->before = t;
    c->on_network = t;
    c->active++;
}

static void start_waiting(struct courier *c)
{
    while (c->first && c->active < COURIER_ACTIVE_MAX) {
        struct transfer *t = c->first;
        c->first = t->next;
        if (!c->first)
            c->last = &c->first;
        if (transfer_begin(t, &c->settings, &c->spares, now()) != OK) {
            refuse(c, t->type, t->id, err_last()->slug);
            transfer_free(t, &c->spares);
        } else if (curl_multi_add_handle(c->multi, t->easy) != CURLM_OK) {
            refuse(c, t->type, t->id, "no_memory");
            transfer_free(t, &c->spares);
        } else {
            enter_network(c, t);
        }
    }
}

/* Off the network, whatever became of it. */
static void leave_network(struct courier *c, struct transfer *t)
{
    if (t->before)
        t->before->next = t->next;
    else
        c->on_network = t->next;
    if (t->next)
        t->next->before = t->before;
    c->active--;
    CURLMcode removed = curl_multi_remove_handle(c->multi, t->easy);
    INVARIANT(removed == CURLM_OK, "a handle on the network is in the set");
    transfer_free(t, &c->spares);
}

static void end_finished(struct courier *c)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
        struct transfer *t = NULL;
        struct courier_answer a;
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode got = curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
        INVARIANT(got == CURLE_OK && t, "every handle carries its transfer");
        transfer_end(t, code, &a);
        answer(c, t->type, t->id, &a);
        leave_network(c, t);
    }
}

static void read_questions(struct courier *c)
{
    struct proc_frame q;

    for (;;) {
        enum err e = proc_receive(c->fd, c->room, 0, &q);
        if (e == OK)
            take_question(c, &q);
        else if (e == ERR_EXPIRED)
            return;
        else if (e != ERR_INVALID) {
            c->ended = true;
            return;
        }
    }
}

/* --- What libcurl waits for: sockets and a time. Why so: driven by polling, every turn walks over all calls under way. --- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    struct courier *c = context;
    struct epoll_event ev = {.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) |
                                       (what & CURL_POLL_OUT ? EPOLLOUT : 0u),
                             .data.fd = fd};

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(c->epoll, EPOLL_CTL_DEL, fd, NULL); /* it may be closed already */
        return 0;
    }
    if (epoll_ctl(c->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) != 0)
        return -1;
    return known || curl_multi_assign(c->multi, fd, c) == CURLM_OK ? 0 : -1;
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct courier *c = context;

    (void)multi;
    c->timer_ms = timeout_ms < 0 ? INT64_MAX : now() + timeout_ms;
    return 0;
}

static bool drive(struct courier *c, curl_socket_t fd, uint32_t events)
{
    int bits = (events & EPOLLIN ? CURL_CSELECT_IN : 0) |
               (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    int running;
    CURLMcode done = curl_multi_socket_action(c->multi, fd, bits, &running);

    if (done != CURLM_OK)
        log_error("calls cannot be driven: %s", curl_multi_strerror(done));
    return done == CURLM_OK;
}

static int wait_ms(const struct courier *c)
{
    int64_t left = c->timer_ms == INT64_MAX ? POLL_MS : c->timer_ms - now();

    if (left < 0 || (c->first && c->active < COURIER_ACTIVE_MAX))
        left = 0;
    return left < POLL_MS ? (int)left : POLL_MS;
}

/* One turn. False when it cannot go on. */
static bool turn(struct courier *c)
{
    struct epoll_event events[EVENTS_MAX];
    bool asked = false;
    int n = epoll_wait(c->epoll, events, EVENTS_MAX, wait_ms(c));

    if (n < 0 && errno != EINTR)
        return false;
    for (int i = 0; i < n; i++)
        if (events[i].data.fd == c->fd)
            asked = true;
        else if (!drive(c, events[i].data.fd, events[i].events))
            return false;
    if (asked)
        read_questions(c);
    start_waiting(c);
    if (c->timer_ms <= now()) {
        c->timer_ms = INT64_MAX;
        if (!drive(c, CURL_SOCKET_TIMEOUT, 0))
            return false;
    }
    end_finished(c);
    return true;
}

static void serve(struct courier *c)
{
    while (!c->ended && turn(c))
        ;
}

/* --- Start and end --------------------------------------------------------------------------------------------------- */

static void add_path(const char **paths, size_t *count, const char *path)
{
    if (path && access(path, R_OK) == 0)
        paths[(*count)++] = path;
}

/* What libraries read to look names up and check certificates; never the database or the key files. */
static enum err confine(const struct settings *s)
{
    const char *read[READ_PATHS_MAX];
    struct sandbox_spec spec = {.profile = SANDBOX_NETWORK, .read_paths = read};
    const char *const write[] = {s->mail_dir};
    bool paths_too;

    add_path(read, &spec.read_path_count, "/etc");
    add_path(read, &spec.read_path_count, "/usr");
    add_path(read, &spec.read_path_count, "/run");
    add_path(read, &spec.read_path_count, s->ca_file);
    spec.write_dirs = write;
    spec.write_dir_count = s->mail_dir ? 1 : 0;
    TRY(sandbox_enter(&spec, &paths_too));
    log_info("the courier is confined%s",
             paths_too ? "" : " (system calls only: the kernel has no Landlock)");
    return OK;
}

static enum err set_up(struct courier *c)
{
    struct proc_frame q;
    AUTO(buf_done) struct buf said;

    TRY(proc_receive(c->fd, c->room, -1, &q));
    ENSURE(q.type == WIRE_SETUP, ERR_INVALID, "bad_call", "The settings come first.");
    buf_init(&said, 256);
    enum err e = settings_read(q.payload, &c->settings);
    wipe(c->room, sizeof c->room);
    if (e == OK)
        e = confine(&c->settings);
    wire_put_cstr(&said, e == OK ? "" : err_last()->slug);
    send_answer(c, q.type, q.id, buf_span(&said));
    return e;
}

static enum err open_multi(struct courier *c)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = c->fd};
    int bad = 0;

    c->multi = curl_multi_init();
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    ENSURE(c->multi && c->epoll >= 0 && epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->fd, &ev) == 0,
           ERR_NOMEM, "no_memory", "No memory.");
    bad |= curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK;
    bad |= curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, (void *)c) != CURLM_OK;
    bad |= curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK;
    bad |= curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, (void *)c) != CURLM_OK;
    /* Why: by default as many are kept as calls are under way, and a quiet moment closes what the next rush needs. */
    bad |= curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)COURIER_ACTIVE_MAX) != CURLM_OK;
    ENSURE(!bad, ERR_IO, "curl_failed", "libcurl does not start.");
    return OK;
}

static enum err run(struct courier *c)
{
    ENSURE(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, ERR_IO, "curl_failed",
           "libcurl does not start.");
    TRY(open_multi(c));
    TRY(set_up(c));
    serve(c);
    return OK;
}

static void drop_all(struct courier *c)
{
    while (c->first) {
        struct transfer *t = c->first;
        c->first = t->next;
        transfer_free(t, &c->spares);
    }
    while (c->on_network) /* nobody is left to hear of them */
        leave_network(c, c->on_network);
    spare_handles_done(&c->spares);
    CURLMcode closed = curl_multi_cleanup(c->multi);
    INVARIANT(!c->multi || closed == CURLM_OK, "an empty set can be closed");
    curl_global_cleanup();
    settings_done(&c->settings);
    if (c->epoll >= 0)
        close(c->epoll);
    free(c);
}

int courier_main(int fd)
{
    struct courier *c = calloc(1, sizeof *c);

    log_setup(LOG_INFO, "courier");
    /* Why: Ctrl-C goes to every process of the terminal, but the last answers are still wanted. The end of the socket ends us. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    if (!c)
        return 1;
    c->fd = fd;
    c->epoll = -1;
    c->timer_ms = INT64_MAX;
    c->last = &c->first;
    enum err e = run(c);
    if (e != OK)
        log_error_info(LOG_ERROR, "the courier ends", err_last());
    drop_all(c);
    return e == OK ? 0 : 1;
}
