/* SPDX-License-Identifier: Apache-2.0 */
/* api - putting the room together: readers per thread, router, rates, pages, pool and ticker. */
#include "reach/api/api.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reach/api/call.h"
#include "reach/api/openapi.h"

enum {
    POOL_THREADS = 2,
    POOL_QUEUE_MAX = 256,
    PAGES_BYTES_MAX = 64 << 20,
    RATE_SLOTS = 1 << 16,
    SESSIONS_REMEMBERED = 1 << 16,
    SESSIONS_AT_START = 4096, /* read before anybody comes: some 11 ms for each thousand */
    READERS_MAX = 64
};

/*
 * form-action: checkout is reached by a redirect that the page's own script asks for, so no form leaves the origin.
 * style-src-attr stays closed: the pages set styles through the object model only.
 */
const char *const api_csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src "
                            "'self' data: blob:; connect-src 'self'; font-src 'self'; "
                            "worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action "
                            "'self'; frame-ancestors 'none'; "
                            "require-trusted-types-for 'script'; trusted-types 'none'";

/* --- a reader for every thread that asks ------------------------------------------------------------------------------- */

struct readers {
    pthread_key_t key;
    pthread_mutex_t mutex;
    struct store_reader *all[READERS_MAX];
    size_t count;
};

static enum err readers_new(struct readers **ret_readers)
{
    struct readers *r = calloc(1, sizeof *r);

    ENSURE(r, ERR_NOMEM, "no_memory", "No memory.");
    if (pthread_key_create(&r->key, NULL) != 0) {
        free(r);
        FAIL(ERR_NOMEM, "no_memory", "No thread-local storage left.");
    }
    INVARIANT(pthread_mutex_init(&r->mutex, NULL) == 0, "a mutex can be made");
    *ret_readers = r;
    return OK;
}

static void readers_free(struct readers *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        store_reader_close(r->all[i]);
    pthread_mutex_destroy(&r->mutex);
    (void)pthread_key_delete(r->key);
    free(r);
}

enum err api_reader(struct api *api, struct store_reader **ret_reader)
{
    struct readers *r = api->readers;
    struct store_reader *reader = pthread_getspecific(r->key);

    if (reader) {
        *ret_reader = reader;
        return OK;
    }
    TRY(store_reader_open(api->config.store, &reader));
    pthread_mutex_lock(&r->mutex);
    bool room = r->count < READERS_MAX;
    if (room)
        r->all[r->count++] = reader;
    pthread_mutex_unlock(&r->mutex);
    if (!room || pthread_setspecific(r->key, reader) != 0) {
        if (!room)
            store_reader_close(reader);
        FAIL(ERR_LIMIT, "too_many_threads", "More threads read than were planned for.");
    }
    *ret_reader = reader;
    return OK;
}

/* --- together ------------------------------------------------------------------------------------------------------------ */

static const struct http_rate_class rate_classes[] = {
#define RATE(name, tokens, window) {#name, tokens, window},
#include "reach/api/rates.def"
#undef RATE
};

static enum err open_router(struct api *api)
{
    struct http_route routes[COUNT_OF(rate_classes) + 128];

    INVARIANT(api_route_count <= COUNT_OF(routes), "the router's table has room for every route");
    for (size_t i = 0; i < api_route_count; i++)
        routes[i] =
            (struct http_route){api_routes[i].method, api_routes[i].pattern, &api_routes[i]};
    return http_router_open(routes, api_route_count, &api->router);
}

static enum err read_sessions(struct api *api, struct store_reader *reader)
{
    struct stamp_mark mark = session_cache_mark(api->sessions);
    struct store_tx *tx;

    TRY(store_read_begin(reader, &tx));
    enum err e = session_cache_fill(api->sessions, mark, tx, SESSIONS_AT_START);
    store_read_end(tx);
    return e;
}

/*
 * After a crash everybody is back at once: each look for a session of its own, between commits, takes ten times as long. Nobody is lost
 * without it: what cannot be read here is an error for whom it belongs to, and not for the start.
 */
static void remember_sessions(struct api *api)
{
    struct store_reader *reader = NULL;
    enum err e = store_reader_open(api->config.store, &reader);

    if (e == OK)
        e = read_sessions(api, reader);
    if (e != OK)
        log_error_info(LOG_ERROR, "reading sessions at the start", err_last());
    store_reader_close(reader);
}

static enum err build(struct api *api)
{
    const struct api_config *c = &api->config;

    api->auth = (struct auth){.keyring = c->keyring, .ledger = c->ledger, .issuer = "Gatehouse"};
    api->catalog = (struct catalog){.ledger = c->ledger};
    TRY(readers_new(&api->readers));
    TRY(session_cache_new(SESSIONS_REMEMBERED, &api->sessions));
    remember_sessions(api);
    TRY(recent_new(&api->recent));
    TRY(open_router(api));
    TRY(http_rate_open(rate_classes, COUNT_OF(rate_classes), RATE_SLOTS, c->clock, c->rng,
                       &api->rates));
    if (c->pages_dir)
        TRY(http_files_open(c->pages_dir, PAGES_BYTES_MAX, &api->files));
    return openapi_write(api);
}

enum err api_new(const struct api_config *config, struct api **ret_api)
{
    struct api *api = calloc(1, sizeof *api);

    ENSURE(api, ERR_NOMEM, "no_memory", "No memory.");
    api->config = *config;
    enum err e = build(api);
    if (e != OK) {
        api_free(api);
        return e;
    }
    *ret_api = api;
    return OK;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    readers_free(api->readers);
    session_cache_free(api->sessions);
    recent_free(api->recent);
    http_router_close(api->router);
    http_rate_close(api->rates);
    http_files_close(api->files);
    buf_done(&api->openapi);
    free(api);
}

static size_t processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 2 ? (size_t)n : 2;
}

enum err api_start(struct api *api, struct writer *writer, struct settlement *settlement,
                   struct http_server *server)
{
    api->writer = writer;
    api->settlement = settlement;
    api->server = server;
    /* A sign-in may wait a second, a buyer may not: in a rush passwords are hashed with what is left of the processors. */
    const struct pool_wish work = {"work", POOL_THREADS, POOL_QUEUE_MAX, false},
                           hash = {"passwords", processors(), POOL_QUEUE_MAX, true};
    TRY(pool_new(&work, &api->pool));
    TRY(pool_new(&hash, &api->hashers));
    TRY(ticker_new(api, &api->ticker));
    __atomic_store_n(&api->open, true, __ATOMIC_RELEASE);
    return OK;
}

void api_drain(struct api *api)
{
    __atomic_store_n(&api->open, false, __ATOMIC_RELEASE);
    ticker_drain(api->ticker);
}

void api_stop(struct api *api)
{
    ticker_free(api->ticker);
    api->ticker = NULL;
    pool_free(api->pool);
    pool_free(api->hashers);
    api->pool = api->hashers = NULL;
}

void api_order_opened(struct api *api, struct order_id order, const char *url)
{
    if (__atomic_load_n(&api->open, __ATOMIC_ACQUIRE))
        ticker_order_opened(api->ticker, order, url);
}

void api_orders_told(struct api *api)
{
    http_finish_many(api->opened);
    api->opened = NULL;
}

void api_committed(struct api *api, const struct store_note *notes, size_t count)
{
    bool mails = false;

    session_cache_committed(api->sessions, notes, count);
    recent_committed(api->recent, notes, count);
    for (size_t i = 0; i < count; i++)
        mails |= notes[i].kind == NOTE_JOB;
    /* Not before there is a ticker, and not once drained: settlement stops before the writer does. */
    if (!__atomic_load_n(&api->open, __ATOMIC_ACQUIRE))
        return;
    if (mails)
        settlement_wake_mail(api->settlement);
    settlement_committed(api->settlement, notes, count);
    ticker_notes(api->ticker, notes, count);
}
