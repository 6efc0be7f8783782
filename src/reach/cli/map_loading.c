/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/cli/map_loading.h"

#include "ground/base/thread.h"
#include "sale/catalog/packed.h"
#include "store/store/store_catalog.h"

enum {
    PLACES_PREPARED_MAX =
        1
        << 20, /* some 13 bytes each; of other events the writer reads the rows when it first needs them */
};

static enum err load_map(struct map_loading *l, struct store_reader *reader, int64_t event_no,
                         size_t *places)
{
    struct seat_map *map;

    TRY(seat_maps_get(l->maps, reader, event_no, &map));
    *places += seat_map_plan(map)->places;
    return *places <= PLACES_PREPARED_MAX ? seat_map_prepare(map) : OK;
}

static enum err load(struct map_loading *l, struct store_reader *reader)
{
    struct err_info why;
    struct store_tx *tx;
    size_t places = 0;

    TRY(store_read_begin(reader, &tx));
    enum err e = store_event_numbers_on_sale(tx, l->events, COUNT_OF(l->events), &l->count);
    store_read_end(tx);
    TRY(e);
    for (size_t i = 0; i < l->count; i++) {
        e = load_map(l, reader, l->events[i], &places);
        if (e == OK)
            continue;
        err_save(&why);
        FAIL(e, why.slug, "The seats of event number %lld cannot be read: %s",
             (long long)l->events[i], why.detail);
    }
    return OK;
}

static void *load_main(void *context)
{
    struct map_loading *l = context;
    struct store_reader *reader = NULL;

    l->code = store_reader_open(l->store, &reader);
    if (l->code == OK)
        l->code = load(l, reader);
    if (l->code != OK)
        err_save(&l->why);
    store_reader_close(reader);
    return NULL;
}

enum err map_loading_begin(struct store *store, struct seat_maps *maps, struct map_loading *l)
{
    l->store = store;
    l->maps = maps;
    TRY(thread_start(&l->thread, "maps", load_main, l));
    l->running = true;
    return OK;
}

void map_loading_await(struct map_loading *l)
{
    if (l->running)
        (void)pthread_join(l->thread, NULL);
    l->running = false;
}

enum err map_loading_end(struct map_loading *l)
{
    map_loading_await(l);
    return l->code == OK ? OK : err_restore(&l->why);
}
