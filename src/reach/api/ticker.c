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
    WAITER_BUCKETS = 4096,
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

/* In a list by its order (found when the order changes), and in the list of those to look at. Places, + 1; 0 ends a list. */
struct waiter {
    struct call *call; /* NULL: the place is free, and `same` leads to the next free one */
    uint64_t no;       /* tells it from who had the place before */
    struct order_id order;
    int64_t version, until_mono_ms;
    uint32_t same, next_look;
    bool look; /* something was said about this order since the thread last took note */
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
    struct waiter *waiters; /* WAITERS_MAX places */
    uint64_t waiters_ever;
    uint32_t by_order[WAITER_BUCKETS], free_place, first_look;
    size_t waiter_count;
    int64_t last_alert_no; /* this thread's own from here */
    struct looking {
        uint32_t place;
        uint64_t no; /* who was there: it may have been answered meanwhile, and another have come */
    } * looking;     /* waiters to be asked about in the next snapshot */
    size_t looking_count;
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

static bool is_over(const struct ticker *t, const struct waiter *w, int64_t now_mono_ms)
{
    return t->draining || now_mono_ms >= w->until_mono_ms;
}

/* Ids end in random bytes. */
static uint32_t *bucket_of(struct ticker *t, struct order_id order)
{
    return &t->by_order[get_u16be(order.b + ID_BYTES - 2) % WAITER_BUCKETS];
}

/* Under the mutex. */
static void look_at(struct ticker *t, uint32_t place)
{
    struct waiter *w = &t->waiters[place];

    if (w->look)
        return;
    w->look = true;
    w->next_look = t->first_look;
    t->first_look = place + 1;
}

/*
 * Which waiters the next snapshot must be asked about: those whose orders were spoken of, and now and then those whose time is over.
 * Before the snapshot begins, so that what is said after it is kept for the next.
 */
static void take_note(struct ticker *t, bool times_too)
{
    int64_t now = clock_mono_ms(t->api->config.clock);

    pthread_mutex_lock(&t->mutex);
    for (uint32_t i = 0; (times_too || t->draining) && t->waiter_count > 0 && i < WAITERS_MAX; i++)
        if (t->waiters[i].call && is_over(t, &t->waiters[i], now))
            look_at(t, i);
    t->looking_count = 0;
    while (t->first_look) {
        struct waiter *w = &t->waiters[t->first_look - 1];
        t->looking[t->looking_count++] = (struct looking){t->first_look - 1, w->no};
        t->first_look = w->next_look;
        w->look = false;
    }
    pthread_mutex_unlock(&t->mutex);
}

/* Out of the lists; its place is free. Under the mutex. */
static void remove_waiter(struct ticker *t, uint32_t place)
{
    struct waiter *w = &t->waiters[place];
    uint32_t *at = bucket_of(t, w->order);

    if (w->look) { /* spoken of once more, while it was answered */
        uint32_t *looks = &t->first_look;
        while (*looks != place + 1)
            looks = &t->waiters[*looks - 1].next_look;
        *looks = w->next_look;
    }
    while (*at != place + 1)
        at = &t->waiters[*at - 1].same;
    *at = w->same;
    *w = (struct waiter){.same = t->free_place};
    t->free_place = place + 1;
    t->waiter_count--;
}

/*
 * Answer those of whom note was taken, when their order changed or their time is over; who came later waits for the next snapshot,
 * because this one may not have its order yet. Without the mutex while rows are read: the writer takes it with every batch.
 */
static void answer_waiters(struct ticker *t, struct store_tx *tx)
{
    int64_t now = clock_mono_ms(t->api->config.clock);

    for (size_t i = 0; i < t->looking_count; i++) {
        uint32_t place = t->looking[i].place;
        struct order_row row;

        pthread_mutex_lock(&t->mutex);
        struct waiter w = t->waiters[place];
        pthread_mutex_unlock(&t->mutex);
        if (w.no != t->looking[i].no)
            continue;
        enum err e = store_order_by_id(tx, w.order, &row);
        pthread_mutex_lock(&t->mutex);
        bool ready =
            t->waiters[place].no == w.no && /* else it was answered meanwhile */
            (e != OK || shape_order_version_now(t->api, &row) > w.version || is_over(t, &w, now));
        if (ready)
            remove_waiter(t, place);
        pthread_mutex_unlock(&t->mutex);
        if (!ready)
            continue;
        w.call->tx = tx;
        call_answer_waiting(w.call, e, &row);
    }
}

/* --- the thread -------------------------------------------------------------------------------------------------------------- */

struct due {
    bool alerts, figures;
};

static enum err read_and_tell(struct ticker *t, struct store_reader *reader, const struct due *due)
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
    answer_waiters(t, tx);
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
    bool again = time_again(now, TICK_MS, &t->places_mono_ms);

    pthread_mutex_lock(&t->mutex);
    bool draining = t->draining;
    pthread_mutex_unlock(&t->mutex);
    if (draining) /* the streams have ended or are about to */
        due = (struct due){0};
    else if (again)
        tell_places(t);
    due.figures = !draining && time_again(now, FIGURES_MS, &t->figures_mono_ms);
    take_note(t, again);
    if (!due.alerts && !due.figures && t->looking_count == 0)
        return;
    if (read_and_tell(t, reader, &due) != OK)
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
    t->looking = calloc(WAITERS_MAX, sizeof *t->looking);
    INVARIANT(pthread_mutex_init(&t->mutex, NULL) == 0 && pthread_cond_init(&t->wake, NULL) == 0,
              "a mutex can be made");
    bool memory = t->events && t->organisers && t->waiters && t->looking;
    for (uint32_t i = 0; memory && i < WAITERS_MAX; i++)
        t->waiters[i].same = i + 1 < WAITERS_MAX ? i + 2 : 0;
    t->free_place = 1;
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
    free(t->looking);
    free(t);
}

/* Under the mutex. */
static bool mark_waiters(struct ticker *t, struct order_id id)
{
    bool any = false;

    for (uint32_t at = *bucket_of(t, id); at; at = t->waiters[at - 1].same)
        if (order_id_eq(t->waiters[at - 1].order, id)) {
            look_at(t, at - 1);
            any = true;
        }
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
            t->orders_changed |= mark_waiters(t, note_order_id(notes[i].c, notes[i].d));
    if (t->alerts_changed || t->orders_changed)
        pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->mutex);
}

void ticker_order_changed(struct ticker *t, struct order_id id)
{
    pthread_mutex_lock(&t->mutex);
    t->orders_changed |= mark_waiters(t, id);
    if (t->orders_changed)
        pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->mutex);
}

void ticker_order_opened(struct ticker *t, struct order_id id, const char *url)
{
    AUTO(scene_done) struct scene scene = {0};
    struct recent_order recent;

    pthread_mutex_lock(&t->mutex);
    bool known = *bucket_of(t, id) != 0 && recent_find(t->api->recent, id, &recent) &&
                 recent.line_count > 0 && scene_in_memory(t->api, recent.row.event_no, &scene);
    for (uint32_t at = *bucket_of(t, id), next; at; at = next) {
        struct waiter *w = &t->waiters[at - 1];
        struct call *call = w->call;
        next = w->same;
        if (!order_id_eq(w->order, id))
            continue;
        if (known && shape_order_version(&recent.row, true) > w->version &&
            call_answer_opened(call, &recent, url, &scene) == OK) {
            remove_waiter(t, at - 1);
            continue;
        }
        look_at(t, at - 1);
        t->orders_changed = true;
    }
    if (t->orders_changed)
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
    struct recent_order recent;

    pthread_mutex_lock(&t->mutex);
    bool room = t->free_place != 0 && !t->draining;
    if (room) {
        uint32_t place = t->free_place - 1, *bucket = bucket_of(t, order);
        t->free_place = t->waiters[place].same;
        t->waiters[place] = (struct waiter){.call = c,
                                            .no = ++t->waiters_ever,
                                            .order = order,
                                            .version = version,
                                            .until_mono_ms = until_mono_ms,
                                            .same = *bucket};
        *bucket = place + 1;
        t->waiter_count++;
        /*
         * It may have changed between the caller's look and now, or its page have become known. When it is recent still, then it has not
         * changed, and who changes it next, or opens it, finds the waiter here: that is noted first, and then the mutex is asked for.
         */
        if (!recent_find(t->api->recent, order, &recent) ||
            shape_order_version_now(t->api, &recent.row) > version) {
            look_at(t, place);
            t->orders_changed = true;
            pthread_cond_signal(&t->wake);
        }
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
