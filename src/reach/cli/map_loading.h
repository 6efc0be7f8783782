/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_CLI_MAP_LOADING_H
#define REACH_CLI_MAP_LOADING_H

/*
 * map_loading - at the start: the maps of what is on sale are read by a thread of its own while other parts open.
 *
 * Both views of a map are made, so that the first hold does not wait for the writer to read the rows once more: begin it after the store
 * is open, end it before the writer runs.
 */
#include <pthread.h>

#include "sale/hold/seat_map.h"

enum { MAPS_AT_START_MAX = 1024 };

struct map_loading {
    struct store *store;
    struct seat_maps *maps;
    pthread_t thread;
    bool running;
    int64_t events[MAPS_AT_START_MAX]; /* on sale */
    size_t count;
    enum err code;
    struct err_info why;
};

/* Into a zeroed *l. */
RESULT map_loading_begin(struct store *store, struct seat_maps *maps, struct map_loading *l);
/* Wait for it; its error is this thread's then, with the event's number. */
RESULT map_loading_end(struct map_loading *l);
/* Wait for it, whatever became of it; also when it was never begun. */
void map_loading_await(struct map_loading *l);

#endif
