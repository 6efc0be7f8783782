/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticker - one thread that tells waiting browsers what changed: availability every 100 ms, alerts and orders as soon as they are
 * committed, figures once a second. It reads; it decides nothing.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reach/api/call.h"

enum {
    EVENTS_MAX = 4096,
    ORGANISERS_MAX = 1024,
    WAITERS_MAX = 4096,
    CHANGES_MAX = 4096,
    ALERTS_MAX = 64,
    TICK_MS = 100,
    FIGURES_MS = 1000,
    CHANNEL_MAX = 40
};

struct watched_event {
    int64_t event_no;
    struct seat_map *map;
    uint64_t published;
};

struct watched_organiser {
    int64_t organiser_no;
    uint8_t shown[32]; /* hash of the figures last published */
    bool fresh;        /* atomic: somebody new listens, and is told even what did not change */
};

struct waiter {
    struct call *call;
    struct order_id order;
    int64_t version, until_mono_ms;
    bool
        look; /* under the mutex: something was said about this order since the thread last took note */
    bool check; /* the thread's own: to be read in the snapshot at hand */
};

struct ticker {
    struct api *api;
    pthread_t thread;
    bool running, stopping, draining, orders_changed, alerts_changed;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct watched_event *events;
    size_t event_count;
    struct watched_organiser *organisers;
    size_t organiser_count;
    struct waiter *waiters;
    size_t waiter_count;
    int64_t last_alert_no; /* this thread's own from here */
    int64_t figures_mono_ms, places_mono_ms;
    struct seat_change changes[CHANGES_MAX];
};

static struct http_sse *stream(struct ticker *t)
{
    return http_server_sse(t->api->server);
}

/* False when nobody will hear of it. */
static bool publish(struct ticker *t, const char *channel, const char *id, const char *event,
                    const struct buf *data)
{
    enum err e = http_sse_publish(stream(t), span_text(channel), span_text(id), span_text(event),
                                  buf_span(data));
    if (e != OK)
        log_error_info(LOG_WARN, "stream", err_last());
    return e == OK;
}

/* --- availability ---------------------------------------------------------------------------------------------------------- */

void changes_write(struct buf *out, uint64_t version, const struct seat_change *changes,
                   size_t count)
{
    buf_printf(out, "{\"v\":%llu,\"s\":[", (unsigned long long)version);
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s[%u,%u]", i ? "," : "", changes[i].place, changes[i].shown);
    buf_put_text(out, "]}");
}

static void tell_event(struct ticker *t, struct watched_event *e)
{
    AUTO(buf_done) struct buf data = {0};
    char channel[CHANNEL_MAX], id[24];
    uint64_t version;
    size_t count;

    if (seat_map_version(e->map) == e->published)
        return;
    buf_init(&data, HTTP_SSE_EVENT_MAX);
    (void)snprintf(channel, sizeof channel, "places/%lld", (long long)e->event_no);
    enum err got =
        seat_map_changes(e->map, e->published, t->changes, CHANGES_MAX, &count, &version);
    if (got == ERR_EXPIRED) {
        version = seat_map_version(e->map);
        buf_put_text(&data, "{}");
        if (publish(t, channel, "", "refresh", &data))
            e->published = version;
        return;
    }
    if (got != OK || count == 0) {
        e->published = got == OK ? version : e->published;
        return;
    }
    changes_write(&data, version, t->changes, count);
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)version);
    /* What could not be published is said again with what follows: a page cannot know that it missed something. */
    if (publish(t, channel, id, "places", &data))
        e->published = version;
}

/* --- alerts and figures ---------------------------------------------------------------------------------------------------- */

static void tell_alert(struct ticker *t, const struct alert_row *alert)
{
    AUTO(buf_done) struct buf data = {0};
    struct json_writer w;
    char channel[CHANNEL_MAX];

    buf_init(&data, 16384);
    json_w_init(&w, &data);
    api_shape_alert(&w, alert);
    if (json_w_finish(&w) != OK) {
        log_error_info(LOG_ERROR, "alert", err_last());
        return;
    }
    (void)snprintf(channel, sizeof channel, "staff/%lld", (long long)alert->organiser_no);
    (void)publish(t, channel, "", "alert", &data);
}

static enum err tell_alerts(struct ticker *t, struct store_tx *tx)
{
    AUTO(arena_done) struct arena arena = {0};
    struct alert_row *alerts;
    size_t count;

    do {
        arena_done(&arena);
        arena_init(&arena, 4 << 20);
        TRY(store_alerts_changed(tx, &arena, t->last_alert_no, ALERTS_MAX, &alerts, &count));
        for (size_t i = 0; i < count; i++) {
            tell_alert(t, &alerts[i]);
            t->last_alert_no = alerts[i].change_no;
        }
    } while (count == ALERTS_MAX);
    return OK;
}

static enum err figures_of(struct ticker *t, struct store_tx *tx, struct watched_organiser *o,
                           struct buf *data)
{
    AUTO(arena_done) struct arena arena = {0};
    const struct store_page page = {.limit = 100};
    struct event_row *events;
    struct json_writer w;
    size_t count;

    arena_init(&arena, 4 << 20);
    TRY(store_event_list(tx, &arena, o->organiser_no, &page, &events, &count));
    json_w_init(&w, data);
    json_w_array(&w);
    for (size_t i = 0; i < count; i++) {
        struct seat_map *map = seat_maps_find(t->api->config.maps, events[i].no);
        struct seat_counts n = {0};
        int64_t admitted;
        if (!map)
            continue;
        seat_map_counts(map, &n);
        TRY(store_scan_admitted(tx, events[i].no, &admitted));
        json_w_object(&w);
        W_ID(&w, "event", event, events[i].id);
        json_w_kv_i64(&w, "sold", n.sold);
        json_w_kv_i64(&w, "held", (int64_t)n.held + n.ordered);
        json_w_kv_i64(&w, "free", n.free);
        json_w_kv_i64(&w, "admitted", admitted);
        json_w_end(&w);
    }
    json_w_end(&w);
    return json_w_finish(&w);
}

static enum err tell_figures(struct ticker *t, struct store_tx *tx, struct watched_organiser *o)
{
    AUTO(buf_done) struct buf data = {0};
    char channel[CHANNEL_MAX];
    uint8_t hash[32];

    buf_init(&data, 65536);
    TRY(figures_of(t, tx, o, &data));
    sha256(buf_span(&data), hash);
    bool fresh = __atomic_exchange_n(&o->fresh, false, __ATOMIC_ACQ_REL);
    if (!fresh && memcmp(hash, o->shown, sizeof hash) == 0)
        return OK;
    memcpy(o->shown, hash, sizeof hash);
    (void)snprintf(channel, sizeof channel, "staff/%lld", (long long)o->organiser_no);
    (void)publish(t, channel, "", "figures", &data);
    /* Who may not see alerts listens there (staff.c). */
    (void)snprintf(channel, sizeof channel, "figures/%lld", (long long)o->organiser_no);
    (void)publish(t, channel, "", "figures", &data);
    return OK;
}

/* --- waiting for an order ---------------------------------------------------------------------------------------------------- */

static bool order_ready(struct store_tx *tx, const struct waiter *w)
{
    struct order_row row;

    return store_order_by_id(tx, w->order, &row) != OK || row.version > w->version;
}

static bool is_over(const struct ticker *t, const struct waiter *w)
{
    return t->draining || clock_mono_ms(t->api->config.clock) >= w->until_mono_ms;
}

/*
 * Which waiters the next snapshot must be asked about; *ret_known is how many there are. Before the snapshot begins, so that what
 * is said after it is kept for the next. True when there are any.
 */
static bool take_note(struct ticker *t, size_t *ret_known)
{
    bool any = false;

    pthread_mutex_lock(&t->mutex);
    for (size_t i = 0; i < t->waiter_count; i++) {
        struct waiter *w = &t->waiters[i];
        w->check = w->look || is_over(t, w);
        w->look = false;
        any |= w->check;
    }
    *ret_known = t->waiter_count; /* only this thread takes any away */
    pthread_mutex_unlock(&t->mutex);
    return any;
}

/* The i-th of the `known` first waiters goes; those that came later stay behind the rest. Under the mutex. */
static void remove_waiter(struct ticker *t, size_t i, size_t known)
{
    t->waiters[i] = t->waiters[known - 1];
    t->waiters[known - 1] = t->waiters[--t->waiter_count];
}

/*
 * Answer those of the `known` first waiters whose order changed or whose time is over; who came after the snapshot began waits for
 * the next, because the snapshot may not have its order yet. Called without the mutex; elsewhere waiters are only added, at the
 * end, so a place stays what it is while the row is read. Why not under the mutex: the writer takes it with every batch.
 */
static void answer_waiters(struct ticker *t, struct store_tx *tx, size_t known)
{
    pthread_mutex_lock(&t->mutex);
    for (size_t i = 0; i < known;) {
        struct waiter w = t->waiters[i];
        if (!w.check) {
            i++;
            continue;
        }
        bool ready = is_over(t, &w);
        pthread_mutex_unlock(&t->mutex);
        ready = ready || order_ready(tx, &w);
        pthread_mutex_lock(&t->mutex);
        if (!ready) {
            i++;
            continue;
        }
        remove_waiter(t, i, known--);
        pthread_mutex_unlock(&t->mutex);
        w.call->tx = tx;
        call_answer_waiting(w.call, w.order);
        pthread_mutex_lock(&t->mutex);
    }
    pthread_mutex_unlock(&t->mutex);
}

/* --- the thread -------------------------------------------------------------------------------------------------------------- */

struct due {
    bool alerts, figures;
};

static enum err read_and_tell(struct ticker *t, struct store_reader *reader, const struct due *due,
                              size_t waiters)
{
    struct store_tx *tx;
    size_t organisers;
    enum err e = OK;

    TRY(store_read_begin(reader, &tx));
    if (due->alerts)
        e = tell_alerts(t, tx);
    pthread_mutex_lock(&t->mutex);
    organisers = t->organiser_count; /* only grows, and entries stay where they are */
    pthread_mutex_unlock(&t->mutex);
    for (size_t i = 0; due->figures && e == OK && i < organisers; i++)
        e = tell_figures(t, tx, &t->organisers[i]);
    answer_waiters(t, tx, waiters);
    store_read_end(tx);
    return e;
}

/* Every TICK_MS, however often orders wake the thread in between. */
static void tell_places(struct ticker *t)
{
    size_t events;

    seat_maps_tick(t->api->config.maps, clock_now_ms(t->api->config.clock));
    /* Ten thousand listeners take longer than a tick: the next event then holds the changes of two. */
    if (http_sse_is_behind(stream(t)))
        return;
    pthread_mutex_lock(&t->mutex);
    events = t->event_count;
    pthread_mutex_unlock(&t->mutex);
    for (size_t i = 0; i < events; i++)
        tell_event(t, &t->events[i]);
}

/* Is it time again? Then the next time is every_ms from now. */
static bool time_again(int64_t now, int64_t every_ms, int64_t *last)
{
    if (now - *last < every_ms)
        return false;
    *last = now;
    return true;
}

static void tick(struct ticker *t, struct store_reader *reader, struct due due)
{
    int64_t now = clock_mono_ms(t->api->config.clock);
    size_t waiters;

    pthread_mutex_lock(&t->mutex);
    bool draining = t->draining;
    pthread_mutex_unlock(&t->mutex);
    if (draining) /* the streams have ended or are about to */
        due = (struct due){0};
    else if (time_again(now, TICK_MS, &t->places_mono_ms))
        tell_places(t);
    due.figures = !draining && time_again(now, FIGURES_MS, &t->figures_mono_ms);
    bool waiting = take_note(t, &waiters);
    if (!due.alerts && !due.figures && !waiting)
        return;
    if (read_and_tell(t, reader, &due, waiters) != OK)
        log_error_info(LOG_ERROR, "ticker", err_last());
}

static struct due wait_for_work(struct ticker *t)
{
    struct timespec until;

    /* Why clock_gettime: a real wait of the thread, not product time. */
    INVARIANT(clock_gettime(CLOCK_REALTIME, &until) == 0, "the machine has a clock");
    until.tv_nsec += TICK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    if (!t->stopping && !t->orders_changed && !t->alerts_changed)
        pthread_cond_timedwait(&t->wake, &t->mutex, &until);
    struct due due = {.alerts = t->alerts_changed};
    t->alerts_changed = t->orders_changed = false;
    return due;
}

static void *run(void *context)
{
    struct ticker *t = context;
    struct store_reader *reader;

    if (api_reader(t->api, &reader) != OK) {
        log_error_info(LOG_ERROR, "ticker", err_last());
        return NULL;
    }
    pthread_mutex_lock(&t->mutex);
    for (;;) {
        struct due due = wait_for_work(t);
        bool stopping = t->stopping;
        pthread_mutex_unlock(&t->mutex);
        tick(t, reader, due);
        if (stopping)
            return NULL;
        pthread_mutex_lock(&t->mutex);
    }
}

static enum err newest_alert(struct ticker *t)
{
    struct store_reader *reader;
    struct store_tx *tx;

    TRY(api_reader(t->api, &reader));
    TRY(store_read_begin(reader, &tx));
    enum err e = store_alert_newest_change(tx, &t->last_alert_no);
    store_read_end(tx);
    return e;
}

enum err ticker_new(struct api *api, struct ticker **ret_ticker)
{
    struct ticker *t = calloc(1, sizeof *t);

    ENSURE(t, ERR_NOMEM, "no_memory", "No memory.");
    t->api = api;
    t->events = calloc(EVENTS_MAX, sizeof *t->events);
    t->organisers = calloc(ORGANISERS_MAX, sizeof *t->organisers);
    t->waiters = calloc(WAITERS_MAX, sizeof *t->waiters);
    INVARIANT(pthread_mutex_init(&t->mutex, NULL) == 0 && pthread_cond_init(&t->wake, NULL) == 0,
              "a mutex can be made");
    bool memory = t->events && t->organisers && t->waiters;
    enum err e = memory ? newest_alert(t) : ERR_NOMEM;
    t->running = e == OK && thread_start(&t->thread, "ticker", run, t) == OK;
    if (!t->running) {
        ticker_free(t);
        FAIL(ERR_NOMEM, "no_memory", "The ticker could not be started.");
    }
    *ret_ticker = t;
    return OK;
}

void ticker_drain(struct ticker *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->mutex);
    t->draining = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->mutex);
}

void ticker_free(struct ticker *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->mutex);
    t->stopping = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->mutex);
    if (t->running)
        pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->mutex);
    free(t->events);
    free(t->organisers);
    free(t->waiters);
    free(t);
}

/* Under the mutex: the order's id is in the note's c and d. */
static bool mark_waiters(struct ticker *t, const struct store_note *note)
{
    uint8_t id[ID_BYTES];
    bool any = false;

    put_u64be(id, (uint64_t)note->c);
    put_u64be(id + 8, (uint64_t)note->d);
    for (size_t i = 0; i < t->waiter_count; i++)
        if (memcmp(t->waiters[i].order.b, id, ID_BYTES) == 0)
            any = t->waiters[i].look = true;
    return any;
}

void ticker_notes(struct ticker *t, const struct store_note *notes, size_t count)
{
    bool orders = false, alerts = false;

    for (size_t i = 0; i < count; i++) {
        orders |= notes[i].kind == NOTE_ORDER;
        alerts |= notes[i].kind == NOTE_ALERT;
    }
    if (!orders && !alerts)
        return;
    pthread_mutex_lock(&t->mutex);
    t->alerts_changed |= alerts;
    for (size_t i = 0; i < count && t->waiter_count > 0; i++)
        if (notes[i].kind == NOTE_ORDER)
            t->orders_changed |= mark_waiters(t, &notes[i]);
    if (t->alerts_changed || t->orders_changed)
        pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->mutex);
}

enum err ticker_watch_event(struct ticker *t, int64_t event_no, struct seat_map *map)
{
    bool room = true;
    size_t i = 0;

    pthread_mutex_lock(&t->mutex);
    while (i < t->event_count && t->events[i].event_no != event_no)
        i++;
    room = i < EVENTS_MAX;
    if (i == t->event_count && room)
        t->events[t->event_count++] = (struct watched_event){event_no, map, seat_map_version(map)};
    pthread_mutex_unlock(&t->mutex);
    ENSURE(room, ERR_BUSY, "queue_full", "Too many events are watched.");
    return OK;
}

enum err ticker_watch_organiser(struct ticker *t, int64_t organiser_no)
{
    bool room = true;
    size_t i = 0;

    pthread_mutex_lock(&t->mutex);
    while (i < t->organiser_count && t->organisers[i].organiser_no != organiser_no)
        i++;
    room = i < ORGANISERS_MAX;
    if (i == t->organiser_count && room)
        t->organisers[t->organiser_count++] =
            (struct watched_organiser){.organiser_no = organiser_no};
    if (room)
        __atomic_store_n(&t->organisers[i].fresh, true, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&t->mutex);
    ENSURE(room, ERR_BUSY, "queue_full", "Too many organisers are watched.");
    return OK;
}

enum err ticker_wait_order(struct ticker *t, struct call *c, struct order_id order, int64_t version,
                           int64_t until_mono_ms)
{
    bool room;

    pthread_mutex_lock(&t->mutex);
    room = t->waiter_count < WAITERS_MAX && !t->draining;
    if (room) {
        http_defer(c->x);
        /* look: it may have changed between the caller's snapshot and now */
        t->waiters[t->waiter_count++] = (struct waiter){.call = c,
                                                        .order = order,
                                                        .version = version,
                                                        .until_mono_ms = until_mono_ms,
                                                        .look = true};
    }
    pthread_mutex_unlock(&t->mutex);
    ENSURE(room, ERR_BUSY, "queue_full", "Too many requests wait; ask without waiting.");
    return OK;
}

/* --- a stream's beginning: what a returning listener missed ------------------------------------------------------------------ */

static void replay_places(struct api *api, int64_t event_no, struct span last_event_id,
                          struct buf *out)
{
    AUTO(buf_done) struct buf data = {0};
    struct seat_map *map = seat_maps_find(api->config.maps, event_no);
    struct seat_change *changes = calloc(CHANGES_MAX, sizeof *changes);
    uint64_t since, version;
    size_t count;
    char id[24];

    buf_init(&data, HTTP_SSE_EVENT_MAX);
    if (map && changes && text_to_u64(last_event_id, &since) == OK &&
        seat_map_changes(map, since, changes, CHANGES_MAX, &count, &version) == OK &&
        count < CHANGES_MAX) {
        changes_write(&data, version, changes, count);
        (void)snprintf(id, sizeof id, "%llu", (unsigned long long)version);
        (void)!http_sse_format(out, span_text(id), SPAN_LIT("places"), buf_span(&data));
    } else {
        (void)!http_sse_format(out, (struct span){0}, SPAN_LIT("refresh"), SPAN_LIT("{}"));
    }
    free(changes);
}

void api_replay(void *context, struct span channel, struct span last_event_id, struct buf *out)
{
    uint64_t event_no;

    if (last_event_id.len && span_starts(channel, "places/") &&
        text_to_u64(span_sub(channel, strlen("places/"), channel.len), &event_no) == OK)
        replay_places(context, (int64_t)event_no, last_event_id, out);
}
