/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_HOLD_SEAT_MAP_INNER_H
#define SALE_HOLD_SEAT_MAP_INNER_H

/* seat_map_inner - what seat_map.c (the maps, what is published) and seat_map_writer.c share. No other file includes this. */
#include <pthread.h>

#include "sale/hold/seat_claims.h"
#include "sale/hold/seat_map.h"
#include "sale/hold/seat_view.h"

enum { EVENT_SLOTS = 4096 };

enum loading { NOT_LOADED, LOADING, LOADED };

/* What is durable. Everything behind seat_map.lock. */
struct published {
    enum loading loading;
    struct seat_view view;
    struct store_note *pending; /* committed while the rows are being read */
    size_t pending_count, pending_cap;
    bool pending_lost;
    uint64_t version, first_version;
    uint64_t dropped_version;    /* of the newest change that is no longer kept */
    struct seat_change *changes; /* ring */
    uint64_t change_count;       /* ever made */
    uint32_t by_state[5];
    uint32_t free_by_category[PLAN_CATEGORIES_MAX + 1];
    uint32_t *free_in_area;
    uint8_t *shown;    /* four places a byte, as availability.bin has them */
    uint32_t *holders; /* HOLD_TAG of the hold that a place is or was taken by; 0: not known */
    struct seat_snapshot *snapshot; /* the newest made; may be of an older version */
    struct event_facts *facts;      /* NULL until asked for, and after the event was changed */
    int64_t facts_version;          /* nothing older is kept */
};

/* What the running batch has left behind. Only the writer thread touches it. */
struct working {
    bool loaded;
    bool doubtful; /* was read in the middle of a command that may yet be undone */
    struct seat_view view;
    struct seat_pick pick;
    struct event_facts *facts; /* NULL: to be read */
};

struct seat_map {
    int64_t event_no;
    struct event_id event;
    struct seat_map *next_same; /* in a slot of seat_maps.by_event */
    struct packed *plan;
    pthread_mutex_t lock;
    pthread_cond_t settled;
    struct published published;
    struct working working;
    struct seat_claims claims;
};

struct seat_maps {
    struct store *store;
    pthread_mutex_t lock;
    struct seat_map *maps[SEAT_MAPS_MAX]; /* by event_no, ascending */
    struct seat_map *by_event[EVENT_SLOTS];
    size_t count;
};

/* Found or made, with its plan and nothing else. */
RESULT seat_maps_obtain(struct seat_maps *m, struct store_tx *tx, int64_t event_no,
                        struct seat_map **ret_map);

#endif
