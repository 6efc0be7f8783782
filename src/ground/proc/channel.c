/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/proc/channel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ground/base/clock.h"
#include "ground/base/thread.h"

enum { FLAG_ERROR = 1, BUCKETS = 256 };
enum { WAITING, ANSWERED, FAILED };

/* --- Frames ---------------------------------------------------------------------------------------------------------- */

struct header {
    uint16_t type, flags;
    uint32_t id;
};

static enum err parse(struct span message, struct header *ret_header, struct span *ret_payload)
{
    ENSURE(message.len >= PROC_HEADER_BYTES && message.len <= PROC_FRAME_MAX &&
               get_u32be(message.data) == message.len - PROC_HEADER_BYTES,
           ERR_INVALID, "bad_frame", "The other process sent what is no frame.");
    *ret_header = (struct header){get_u16be(message.data + 4), get_u16be(message.data + 6),
                                  get_u32be(message.data + 8)};
    *ret_payload = span_sub(message, PROC_HEADER_BYTES, message.len);
    return OK;
}

static int remaining(int64_t deadline_ms)
{
    int64_t left = deadline_ms - clock_mono_ms(clock_system());
    return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static int64_t deadline_of(int timeout_ms)
{
    return timeout_ms < 0 ? INT64_MAX : clock_mono_ms(clock_system()) + timeout_ms;
}

/* 1 ready, 0 not in time, -1 failed. */
static int wait_for(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, deadline_ms == INT64_MAX ? -1 : remaining(deadline_ms));
        if (n >= 0 || errno != EINTR)
            return n;
    }
}

static enum err send_frame(int fd, struct header h, struct span payload, int64_t deadline_ms)
{
    uint8_t head[PROC_HEADER_BYTES];
    struct iovec parts[] = {{head, sizeof head}, {(void *)(uintptr_t)payload.data, payload.len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = payload.len ? 2 : 1};

    put_u32be(head, (uint32_t)payload.len);
    put_u16be(head + 4, h.type);
    put_u16be(head + 6, h.flags);
    put_u32be(head + 8, h.id);
    for (;;) {
        if (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            return OK;
        if (errno == EINTR)
            continue;
        ENSURE(errno == EAGAIN || errno == ENOBUFS, ERR_NOT_FOUND, "peer_gone",
               "The other process is gone: %s", strerror(errno));
        ENSURE(wait_for(fd, POLLOUT, deadline_ms) > 0, ERR_BUSY, "peer_busy",
               "The other process does not take more.");
    }
}

/* --- Answering ------------------------------------------------------------------------------------------------------- */

enum err proc_receive(int fd, uint8_t *room, int timeout_ms, struct proc_frame *ret_frame)
{
    int64_t deadline_ms = deadline_of(timeout_ms);
    struct header h;

    for (;;) {
        /* Without a deadline the kernel waits: asking first and waiting then is three calls for one frame. */
        int flags = timeout_ms < 0 ? MSG_TRUNC : MSG_DONTWAIT | MSG_TRUNC;
        ssize_t n = recv(fd, room, PROC_FRAME_MAX, flags);
        if (n > 0) {
            TRY(parse(span_of(room, (size_t)n), &h, &ret_frame->payload));
            ret_frame->type = h.type;
            ret_frame->id = h.id;
            return OK;
        }
        if (n < 0 && errno == EINTR)
            continue;
        ENSURE(n < 0 && errno == EAGAIN, ERR_NOT_FOUND, "peer_gone", "The other process is gone.");
        ENSURE(timeout_ms != 0 && wait_for(fd, POLLIN, deadline_ms) > 0, ERR_EXPIRED, "no_frame",
               "Nothing was asked in time.");
    }
}

enum err proc_answer(int fd, const struct proc_frame *question, struct span payload)
{
    ENSURE(payload.len <= PROC_PAYLOAD_MAX, ERR_LIMIT, "answer_too_long",
           "An answer does not fit a frame.");
    /* Why without a deadline: the asker's reader thread always drains; when it does not, it is gone, and poll says so. */
    return send_frame(fd, (struct header){question->type, 0, question->id}, payload, INT64_MAX);
}

enum err proc_answer_error(int fd, const struct proc_frame *question, const struct err_info *why)
{
    uint8_t out[1 + 1 + ERR_SLUG_MAX + 1 + ERR_DETAIL_MAX];
    size_t slug = strnlen(why->slug, ERR_SLUG_MAX - 1);
    size_t detail = strnlen(why->detail, ERR_DETAIL_MAX - 1);

    out[0] = (uint8_t)why->code;
    out[1] = (uint8_t)slug;
    memcpy(out + 2, why->slug, slug);
    out[2 + slug] = (uint8_t)detail;
    memcpy(out + 3 + slug, why->detail, detail);
    return send_frame(fd, (struct header){question->type, FLAG_ERROR, question->id},
                      span_of(out, 3 + slug + detail), INT64_MAX);
}

/* --- Asking ---------------------------------------------------------------------------------------------------------- */

struct proc_channel {
    int fd;
    pthread_t reader;
    pthread_mutex_t lock;
    bool gone;        /* under lock */
    uint32_t next_id; /* under lock */
    struct proc_pending *waiting[BUCKETS];
    uint8_t room[PROC_FRAME_MAX]; /* the reader's */
};

static struct proc_pending **find(struct proc_channel *c, uint32_t id)
{
    struct proc_pending **at = &c->waiting[id % BUCKETS];
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static void finish(struct proc_pending *p, int state)
{
    p->state = state;
    if (p->wake)
        pthread_cond_signal(p->wake);
}

/* An error frame into p; anything unreadable in it becomes ERR_CORRUPT. */
static void take_error(struct proc_pending *p, struct span payload)
{
    struct cursor c = {payload};
    uint8_t code = 0, n = 0;
    struct span slug = {0}, detail = {0};
    struct err_info *e = calloc(1, sizeof *e);

    p->error = e;
    if (!e)
        return;
    bool read = cursor_u8(&c, &code) == OK && cursor_u8(&c, &n) == OK &&
                cursor_take(&c, n, &slug) == OK && cursor_u8(&c, &n) == OK &&
                cursor_take(&c, n, &detail) == OK && code > OK && code < ERR_COUNT &&
                span_to_text(slug, e->slug, sizeof e->slug) == OK &&
                span_to_text(detail, e->detail, sizeof e->detail) == OK;
    e->code = read ? (enum err)code : ERR_CORRUPT;
}

static void deliver(struct proc_channel *c, struct span message)
{
    struct header h;
    struct span payload;

    if (parse(message, &h, &payload) != OK)
        return;
    pthread_mutex_lock(&c->lock);
    struct proc_pending **at = find(c, h.id), *p = *at;
    if (p) { /* else its asker gave up */
        *at = p->next;
        if (h.flags & FLAG_ERROR)
            take_error(p, payload);
        else
            buf_put_span(p->answer, payload);
        finish(p, h.flags & FLAG_ERROR ? FAILED : ANSWERED);
    }
    pthread_mutex_unlock(&c->lock);
}

static void *read_answers(void *context)
{
    struct proc_channel *c = context;
    ssize_t n;

    for (;;) {
        n = recv(c->fd, c->room, sizeof c->room, MSG_TRUNC);
        if (n > 0)
            deliver(c, span_of(c->room, (size_t)n));
        else if (n == 0 || errno != EINTR)
            break;
    }
    pthread_mutex_lock(&c->lock);
    c->gone = true;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (c->waiting[i]) {
            struct proc_pending *p = c->waiting[i];
            c->waiting[i] = p->next;
            finish(p, FAILED);
        }
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

enum err proc_channel_open(int fd, struct proc_channel **ret_channel)
{
    struct proc_channel *c = calloc(1, sizeof *c);

    ENSURE(c, ERR_NOMEM, "no_memory", "No memory.");
    c->fd = fd;
    pthread_mutex_init(&c->lock, NULL);
    enum err e = thread_start(&c->reader, "answers", read_answers, c);
    if (e != OK) {
        free(c);
        return err_trace(e, __FILE__, __LINE__);
    }
    *ret_channel = c;
    return OK;
}

void proc_channel_close(struct proc_channel *c)
{
    if (!c)
        return;
    shutdown(c->fd, SHUT_RDWR);
    pthread_join(c->reader, NULL);
    for (size_t i = 0; i < BUCKETS; i++)
        INVARIANT(!c->waiting[i], "a channel is closed while somebody waits on it");
    close(c->fd);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

bool proc_channel_alive(struct proc_channel *c)
{
    pthread_mutex_lock(&c->lock);
    bool alive = !c->gone;
    pthread_mutex_unlock(&c->lock);
    return alive;
}

static enum err enlist(struct proc_channel *c, struct buf *answer, struct proc_pending *p)
{
    *p = (struct proc_pending){.answer = answer, .state = WAITING};
    pthread_mutex_lock(&c->lock);
    bool gone = c->gone;
    if (!gone) {
        do
            p->id = ++c->next_id;
        while (*find(c, p->id));
        p->next = c->waiting[p->id % BUCKETS];
        c->waiting[p->id % BUCKETS] = p;
    }
    pthread_mutex_unlock(&c->lock);
    ENSURE(!gone, ERR_BUSY, "peer_gone", "The other process is not running.");
    return OK;
}

/* Take it out unless it has been answered meanwhile. */
static void withdraw(struct proc_channel *c, struct proc_pending *p)
{
    pthread_mutex_lock(&c->lock);
    struct proc_pending **at = find(c, p->id);
    if (*at == p)
        *at = p->next;
    pthread_mutex_unlock(&c->lock);
    free(p->error);
    p->error = NULL;
}

enum err proc_call_begin(struct proc_channel *c, uint16_t type, struct span payload, int timeout_ms,
                         struct buf *ret_answer, struct proc_pending *ret_pending)
{
    ENSURE(payload.len <= PROC_PAYLOAD_MAX, ERR_LIMIT, "question_too_long",
           "A question does not fit a frame.");
    TRY(enlist(c, ret_answer, ret_pending));
    enum err e = send_frame(c->fd, (struct header){type, 0, ret_pending->id}, payload,
                            deadline_of(timeout_ms));
    if (e == OK)
        return OK;
    withdraw(c, ret_pending);
    ENSURE(e == ERR_BUSY, ERR_BUSY, "peer_gone", "The other process is not running.");
    return e;
}

static int wait_answer(struct proc_channel *c, struct proc_pending *p, int timeout_ms)
{
    int64_t deadline_ms = deadline_of(timeout_ms);
    struct timespec until = {deadline_ms / 1000, deadline_ms % 1000 * 1000000};
    pthread_condattr_t attr;
    pthread_cond_t wake;
    int late = 0;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&wake, &attr);
    pthread_mutex_lock(&c->lock);
    p->wake = &wake;
    while (p->state == WAITING && late != ETIMEDOUT)
        late = timeout_ms < 0 ? pthread_cond_wait(&wake, &c->lock)
                              : pthread_cond_timedwait(&wake, &c->lock, &until);
    if (p->state == WAITING)
        *find(c, p->id) = p->next;
    p->wake = NULL;
    int state = p->state;
    pthread_mutex_unlock(&c->lock);
    pthread_cond_destroy(&wake);
    pthread_condattr_destroy(&attr);
    return state;
}

enum err proc_call_end(struct proc_channel *c, struct proc_pending *p, int timeout_ms)
{
    int state = wait_answer(c, p, timeout_ms);

    if (state == ANSWERED)
        return buf_check(p->answer);
    ENSURE(state == FAILED && p->error, ERR_UNCERTAIN, "no_answer",
           state == WAITING ? "The other process did not answer in time."
                            : "The other process ended before it answered.");
    struct err_info info = *p->error;
    free(p->error);
    p->error = NULL;
    ENSURE(info.slug[0], ERR_CORRUPT, "bad_frame", "The other process sent an unreadable error.");
    FAIL(info.code, info.slug, "%s", info.detail);
}

enum err proc_call(struct proc_channel *c, uint16_t type, struct span payload, int timeout_ms,
                   struct buf *ret_answer)
{
    struct proc_pending p;
    int64_t deadline_ms = deadline_of(timeout_ms);

    TRY(proc_call_begin(c, type, payload, timeout_ms, ret_answer, &p));
    return proc_call_end(c, &p, timeout_ms < 0 ? -1 : remaining(deadline_ms));
}
