/* SPDX-License-Identifier: Apache-2.0 */
#include "listeners.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ground/base/thread.h"

enum {
    READY_FDS_MAX = 256,
    CHUNK_BYTES = 1 << 18,
    FRAME_MAX = 1 << 20,
    ARRIVALS_MAX = 1 << 24, /* later ones are counted, not timed */
    GREETED_MAX_US = 60000000,
    HEARD_MAX_US = 60000000,
    QUIET_US = 500000,
    TURN_MS = 20,
    MAP_HEADER = 16,
};

struct ear {
    int fd; /* -1: gone */
    bool answered, greeted, started;
    size_t next; /* index of the event that it must be given next */
    struct buf carry;
};

struct change {
    uint32_t place;
    uint8_t shown;
};

struct told {
    uint64_t version;
    size_t first_change, change_count; /* the witness's */
};

struct arrival {
    uint32_t event, at_us; /* since listeners.began_us */
};

struct listeners {
    pthread_t thread;
    int epoll;
    bool stopping;      /* atomic */
    unsigned greeted;   /* atomic */
    unsigned refreshes; /* atomic */
    uint64_t heard;     /* atomic: the witness's version */
    int64_t began_us;
    uint64_t base_version; /* of the map below */
    size_t base;           /* changes from here on go on the map; set by the caller's thread */
    size_t change_total;   /* atomic, for it */
    uint8_t *map;
    uint32_t places;
    /* The thread's own. */
    struct ear *ears;
    unsigned count;
    struct told *events;
    size_t event_count, event_cap;
    struct change *changes;
    size_t change_count, change_cap;
    struct arrival *arrivals;
    size_t arrival_count, arrival_cap;
    struct listening result;
    uint8_t chunk[CHUNK_BYTES];
};

static void *more(void *list, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return list;
    *cap = *cap ? *cap * 2 : 1024;
    list = realloc(list, *cap * size);
    if (!list)
        die("no memory for events");
    return list;
}

/* --- what a stream says ------------------------------------------------------------------------------------------------------ */

/* {"v":12,"s":[[17,1],[18,0]]} */
static void keep_changes(struct listeners *l, struct told *e, struct span data)
{
    const uint8_t *at = memmem(data.data, data.len, "\"s\":[", 5), *end = data.data + data.len;
    uint32_t numbers[2] = {0};

    if (!at)
        die("an event is not understood: " SPAN_FMT, SPAN_ARG(data));
    e->first_change = l->change_count;
    for (at += 5; at < end && *at != ']'; at++) {
        if (*at != '[')
            continue;
        for (size_t i = 0; i < 2; i++)
            for (numbers[i] = 0, at++; at < end && *at >= '0' && *at <= '9'; at++)
                numbers[i] = numbers[i] * 10 + (uint32_t)(*at - '0');
        if (numbers[0] >= l->places || at >= end || *at != ']')
            die("an event is not understood: " SPAN_FMT, SPAN_ARG(data));
        l->changes = more(l->changes, l->change_count, &l->change_cap, sizeof *l->changes);
        l->changes[l->change_count++] = (struct change){numbers[0], (uint8_t)numbers[1]};
    }
    e->change_count = l->change_count - e->first_change;
    __atomic_store_n(&l->change_total, l->change_count, __ATOMIC_RELEASE);
}

/* Where the event of this version stands in the row; at its end when nobody has been given it before. */
static size_t find_event(struct listeners *l, const struct ear *ear, uint64_t version)
{
    if (ear->next < l->event_count && l->events[ear->next].version == version)
        return ear->next;
    for (size_t i = l->event_count; i > 0 && l->events[i - 1].version >= version; i--)
        if (l->events[i - 1].version == version)
            return i - 1;
    return l->event_count;
}

/* The rest of the line that begins with these words, somewhere in the frame; empty without one. */
static struct span line_of(struct span frame, const char *words)
{
    size_t len = strlen(words);

    while (frame.len) {
        size_t end = span_find(frame, '\n');
        if (end >= len && memcmp(frame.data, words, len) == 0)
            return span_sub(frame, len, end - len);
        frame = span_sub(frame, end + 1, frame.len);
    }
    return frame;
}

static void take_event(struct listeners *l, struct ear *ear, uint64_t version, struct span frame)
{
    size_t i = find_event(l, ear, version);

    if (i == l->event_count) {
        if (i > 0 && l->events[i - 1].version > version)
            l->result.gaps++; /* one that no other listener was given, and late */
        l->events = more(l->events, i, &l->event_cap, sizeof *l->events);
        l->events[l->event_count++] = (struct told){.version = version};
    }
    if (ear->started && i != ear->next)
        l->result.gaps++;
    ear->started = true;
    ear->next = i + 1;
    l->result.delivered++;
    __atomic_store_n(&l->result.last_us, now_us(), __ATOMIC_RELEASE);
    if (ear == l->ears) {
        keep_changes(l, &l->events[i], line_of(frame, "data: "));
        l->result.events++;
        __atomic_store_n(&l->heard, version, __ATOMIC_RELEASE);
    }
    if (l->arrival_count == ARRIVALS_MAX)
        return;
    l->arrivals = more(l->arrivals, l->arrival_count, &l->arrival_cap, sizeof *l->arrivals);
    l->arrivals[l->arrival_count++] =
        (struct arrival){(uint32_t)i, (uint32_t)(l->result.last_us - l->began_us)};
}

static void take_frame(struct listeners *l, struct ear *ear, struct span frame)
{
    struct span event = line_of(frame, "event: ");
    uint64_t version;

    if (!ear->greeted && span_starts(frame, "retry: ")) {
        ear->greeted = true;
        __atomic_add_fetch(&l->greeted, 1, __ATOMIC_RELEASE);
    }
    if (span_eq_text(event, "places")) {
        must(text_to_u64(line_of(frame, "id: "), &version), "an event's id");
        take_event(l, ear, version, frame);
    } else if (span_eq_text(event, "refresh") && ear == l->ears) {
        __atomic_add_fetch(&l->refreshes, 1, __ATOMIC_RELEASE);
    }
}

/* Of the empty line that ends a frame; NULL while it has not come. Line by line: memmem goes byte by byte for so short a word. */
static const uint8_t *frame_end(struct span in)
{
    const uint8_t *at = in.data, *end = in.data + in.len;

    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL && at + 1 < end && at[1] != '\n')
        at++;
    return at && at + 1 < end ? at : NULL;
}

/* How much of it was whole. */
static size_t take_frames(struct listeners *l, struct ear *ear, struct span in)
{
    size_t taken = 0;

    while (taken < in.len) {
        struct span rest = span_sub(in, taken, in.len);
        const char *ending = ear->answered ? "\n\n" : "\r\n\r\n";
        const uint8_t *end =
            ear->answered ? frame_end(rest) : memmem(rest.data, rest.len, ending, strlen(ending));
        if (!end)
            break;
        size_t len = (size_t)(end - rest.data);
        if (ear->answered)
            take_frame(l, ear, span_sub(rest, 0, len + 1));
        else if (!span_starts(rest, "HTTP/1.1 200 "))
            die("a stream was answered: " SPAN_FMT, SPAN_ARG(rest));
        ear->answered = true;
        taken += len + strlen(ending);
    }
    return taken;
}

static void ear_close(struct ear *ear)
{
    if (ear->fd >= 0)
        close(ear->fd);
    ear->fd = -1;
    buf_done(&ear->carry);
}

static void ear_read(struct listeners *l, struct ear *ear)
{
    ssize_t n;

    if (ear->fd < 0)
        return;
    while ((n = recv(ear->fd, l->chunk, sizeof l->chunk, 0)) > 0) {
        struct span in = span_of(l->chunk, (size_t)n);
        l->result.bytes += in.len;
        if (ear->carry.len) {
            buf_put_span(&ear->carry, in);
            must(buf_check(&ear->carry), "an event");
            in = buf_span(&ear->carry);
        }
        size_t taken = take_frames(l, ear, in);
        if (ear->carry.len) {
            memmove(ear->carry.data, ear->carry.data + taken, ear->carry.len - taken);
            ear->carry.len -= taken;
        } else {
            buf_put_span(&ear->carry, span_sub(in, taken, in.len));
        }
        if ((size_t)n < sizeof l->chunk)
            return;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    l->result.dropped++;
    ear_close(ear);
}

/* --- the thread ---------------------------------------------------------------------------------------------------------------- */

static void *run(void *context)
{
    struct listeners *l = context;
    struct epoll_event events[READY_FDS_MAX];
    struct timespec t;

    while (!__atomic_load_n(&l->stopping, __ATOMIC_ACQUIRE)) {
        int n = epoll_wait(l->epoll, events, READY_FDS_MAX, TURN_MS);
        if (n < 0 && errno != EINTR)
            die("epoll: %s", strerror(errno));
        for (int i = 0; i < n; i++)
            ear_read(l, events[i].data.ptr);
    }
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    l->result.cpu_s = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    return NULL;
}

static void ear_open(struct listeners *l, struct ear *ear, const struct world *world,
                     struct span request)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(world->port)};
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = ear};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    buf_init(&ear->carry, FRAME_MAX);
    ear->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Why blocking until here: on loopback a connection is there at once. */
    if (ear->fd < 0 || connect(ear->fd, (struct sockaddr *)&a, sizeof a) != 0 ||
        send(ear->fd, request.data, request.len, MSG_NOSIGNAL) != (ssize_t)request.len ||
        fcntl(ear->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, ear->fd, &e) != 0)
        die("a stream cannot be opened: %s", strerror(errno));
}

struct listeners *listeners_open(const struct world *world, const struct stage *stage,
                                 unsigned count)
{
    struct listeners *l = calloc(1, sizeof *l);
    AUTO(buf_done) struct buf request = {0};
    char path[128];

    if (!l || !(l->ears = calloc(count, sizeof *l->ears)) || !(l->map = calloc(stage->places, 1)) ||
        (l->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
        die("no memory for listeners");
    l->count = count;
    l->places = stage->places;
    l->began_us = now_us();
    (void)snprintf(path, sizeof path, "/api/v1/events/%s/availability/stream", stage->event);
    buf_init(&request, 8192);
    request_write(&request, world->port, "GET", path, NULL, (struct span){0});
    must(thread_start(&l->thread, "listeners", run, l), "thread");
    for (unsigned i = 0; i < count; i++)
        ear_open(l, &l->ears[i], world, buf_span(&request));
    while (__atomic_load_n(&l->greeted, __ATOMIC_ACQUIRE) < count) {
        if (now_us() - l->began_us > GREETED_MAX_US)
            die("%u of %u streams were greeted in a minute", l->greeted, count);
        (void)poll(NULL, 0, 2);
    }
    return l;
}

unsigned listeners_refreshes(const struct listeners *l)
{
    return __atomic_load_n(&l->refreshes, __ATOMIC_ACQUIRE);
}

/* --- reckoning ------------------------------------------------------------------------------------------------------------------- */

static void read_map(const struct listeners *l, struct span availability, uint8_t *out)
{
    if (availability.len < MAP_HEADER + ((size_t)l->places + 3) / 4 ||
        memcmp(availability.data, "GHA1", 4) != 0)
        die("the availability is not understood");
    for (uint32_t i = 0; i < l->places; i++)
        out[i] = availability.data[MAP_HEADER + i / 4] >> (i % 4 * 2) & 3;
}

static uint64_t map_version(struct span availability)
{
    struct cursor c = {span_sub(availability, 4, 8)};
    uint64_t version;

    must(cursor_u64be(&c, &version), "the availability's version");
    return version;
}

/* Why all changes from here on, though some are older than the map: those that came after them are told too, and come last. */
void listeners_map(struct listeners *l, struct span availability)
{
    read_map(l, availability, l->map);
    l->base_version = map_version(availability);
    l->base = __atomic_load_n(&l->change_total, __ATOMIC_ACQUIRE);
}

static void compare(struct listeners *l, struct span availability)
{
    uint8_t *now = calloc(l->places, 1);

    if (!now)
        die("no memory");
    for (size_t i = l->base; i < l->change_count; i++)
        l->map[l->changes[i].place] = l->changes[i].shown;
    read_map(l, availability, now);
    for (uint32_t i = 0; i < l->places; i++)
        l->result.seats_differing += now[i] != l->map[i];
    free(now);
}

/* Holds of a place in the order of their answers: the k-th time that an event shows it held is the k-th of them. */
struct queue {
    uint32_t *first, *next; /* index + 1 into the log */
};

static struct queue queue_make(const struct churn_log *log, uint32_t places)
{
    struct queue q = {calloc(places, sizeof(uint32_t)), calloc(log->count + 1, sizeof(uint32_t))};

    if (!q.first || !q.next)
        die("no memory");
    for (size_t i = log->count; i > 0; i--) {
        uint32_t place = log->seats[i - 1].place;
        q.next[i - 1] = q.first[place];
        q.first[place] = (uint32_t)i;
    }
    return q;
}

/* Turns each change that shows a hold into the time of its answer; 0 for the others. */
static int64_t *answer_times(struct listeners *l, const struct churn_log *log)
{
    struct queue q = queue_make(log, l->places);
    int64_t *times = calloc(l->change_count + 1, sizeof *times);

    if (!times)
        die("no memory");
    l->result.unheard = log->count;
    for (size_t i = 0; i < l->change_count; i++) {
        uint32_t at = q.first[l->changes[i].place];
        if (l->changes[i].shown != 1 || at == 0)
            continue;
        q.first[l->changes[i].place] = q.next[at - 1];
        times[i] = log->seats[at - 1].answered_us;
        l->result.unheard--;
    }
    free(q.first);
    free(q.next);
    return times;
}

static void reckon_lag(struct listeners *l, const struct churn_log *log, struct samples *lag)
{
    int64_t *times = answer_times(l, log);

    for (size_t i = 0; i < l->arrival_count; i++) {
        const struct told *e = &l->events[l->arrivals[i].event];
        int64_t at = l->began_us + l->arrivals[i].at_us;
        for (size_t k = 0; k < e->change_count; k++) {
            int64_t answered = times[e->first_change + (i + k) % e->change_count];
            if (answered == 0)
                continue;
            samples_add(lag, at > answered ? at - answered : 0);
            break;
        }
    }
    free(times);
}

/* The witness has heard of the version, and then nobody is told anything any more. */
static void wait_until_told(struct listeners *l, uint64_t version)
{
    int64_t until = now_us() + HEARD_MAX_US, now;

    while ((now = now_us()) < until) {
        bool heard =
            l->base_version >= version || __atomic_load_n(&l->heard, __ATOMIC_ACQUIRE) >= version;
        if (heard && now - __atomic_load_n(&l->result.last_us, __ATOMIC_ACQUIRE) > QUIET_US)
            return;
        (void)poll(NULL, 0, 5);
    }
}

void listeners_close(struct listeners *l, struct span availability, const struct churn_log *log,
                     struct samples *lag, struct listening *ret_listening)
{
    wait_until_told(l, map_version(availability));
    __atomic_store_n(&l->stopping, true, __ATOMIC_RELEASE);
    (void)pthread_join(l->thread, NULL);
    for (unsigned i = 0; i < l->count; i++) {
        l->result.gaps += l->ears[i].fd >= 0 && l->ears[i].next != l->event_count;
        ear_close(&l->ears[i]);
    }
    l->result.refreshes = l->refreshes;
    compare(l, availability);
    reckon_lag(l, log, lag);
    *ret_listening = l->result;
    close(l->epoll);
    free(l->ears);
    free(l->map);
    free(l->events);
    free(l->changes);
    free(l->arrivals);
    free(l);
}
