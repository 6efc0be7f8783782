/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_HOLD_SEAT_MAP_H
#define SALE_HOLD_SEAT_MAP_H

/*
 * seat_map - which places of an event are free, in memory: for picking the best ones and for showing the map.
 *
 * The database decides what is sold; this decides nothing. Of each event there are two views: the writer's (what commands of
 * the running batch have left behind, used only on the writer thread, to pick seats that the UPDATE will then find free) and
 * the published one (what is durable, behind a mutex, for every thread: availability.bin, its changes, free counts). Both are
 * loaded from the place rows when first needed, or before that (seat_map_prepare), and kept up to date by the notes of the writer.
 *
 * Held places turn free by time: the writer's view looks before each pick, the published one when seat_maps_tick is called.
 *
 * Versions grow with every published change, and begin at the store's time in microseconds, so that a version from before a
 * restart is never mistaken for one of this run.
 */
#include "sale/catalog/event_facts.h"
#include "sale/catalog/packed.h"
#include "store/store/notes.h"
#include "store/store/store.h"

struct seat_maps; /* all of a process */
struct seat_map;  /* of one event */

enum {
    SEAT_MAPS_MAX = 4096,      /* events loaded at once */
    SEAT_CHANGES_KEPT = 16384, /* per event; who is further behind fetches the map again */
    SEAT_PICK_MAX = 50,
    AVAILABILITY_HEADER = 16,
};

/* As in availability.bin. An ordered place is held: its order may still fall through. */
enum seat_shown { SEAT_FREE = 0, SEAT_HELD = 1, SEAT_TAKEN = 2, SEAT_BLOCKED = 3 };

RESULT seat_maps_new(struct store *store, struct seat_maps **ret_maps);
void seat_maps_free(struct seat_maps *m);

/* The writer's callbacks: writer_config.released, .committed and .lost with the maps as context (other notes are ignored). */
void seat_maps_released(void *maps, const struct store_note *notes, size_t count);
void seat_maps_committed(void *maps, const struct store_note *notes, size_t count);
void seat_maps_lost(void *maps);

/*
 * The published map, loaded when it is not; any thread but with a reader of its own, without an open snapshot on it. The map
 * lives as long as maps. ERR_NOT_FOUND "no_places" for an event that never went on sale; ERR_LIMIT "too_many_maps".
 */
RESULT seat_maps_get(struct seat_maps *m, struct store_reader *reader, int64_t event_no,
                     struct seat_map **ret_map);
/* NULL when it is not loaded. */
struct seat_map *seat_maps_find(struct seat_maps *m, int64_t event_no);
struct seat_map *seat_maps_find_event(struct seat_maps *m, struct event_id event);
/* Turn what is over at now_ms free, in all published maps. True when something changed. Call every 100 ms. */
bool seat_maps_tick(struct seat_maps *m, int64_t now_ms);

/* --- Published view: thread-safe ---------------------------------------------------------------------------------------- */

const struct packed *seat_map_plan(const struct seat_map *map);
int64_t seat_map_event_no(const struct seat_map *map);
/*
 * What is known of the map's event, as the snapshot sees it or newer; read when what is kept is older. Release it
 * (event_facts_release). Any thread.
 */
RESULT seat_map_facts(struct seat_map *map, struct store_tx *snapshot,
                      struct event_facts **ret_facts);
/* The same without a snapshot, as of the newest commit; NULL when it would have to be read. */
struct event_facts *seat_map_facts_kept(struct seat_map *map);
/*
 * Is the place held, ordered or sold for sure, and not by this hold? False also when it is not known. Any thread. A hold counts from
 * when the writer made it, a moment before it is durable: whoever is refused for one that a loss of power then undoes finds the
 * place free again, as after any hold that was given back.
 */
bool seat_map_taken_by_another(struct seat_map *map, uint32_t place, struct hold_id hold);
uint64_t seat_map_version(struct seat_map *map);

/* An immutable availability.bin. */
struct seat_snapshot {
    uint64_t version;
    struct span bytes;
    char etag[40];  /* with its quotes */
    int references; /* the map's */
};
RESULT seat_map_snapshot(struct seat_map *map, struct seat_snapshot **ret_snapshot);
void seat_snapshot_release(struct seat_snapshot **s); /* NULL inside is fine */

struct seat_change {
    uint64_t version; /* ascending; several changes may share one */
    uint32_t place;
    uint8_t shown; /* enum seat_shown */
};
/*
 * Changes after version since, oldest first, at most max (whole versions, when they fit); *ret_version is where the reader
 * stands then. ERR_EXPIRED "refresh_needed" when they are no longer kept or since is not of this run.
 */
RESULT seat_map_changes(struct seat_map *map, uint64_t since, struct seat_change *changes,
                        size_t max, size_t *ret_count, uint64_t *ret_version);

struct seat_counts {
    uint64_t version;
    uint32_t free, held, ordered, sold, blocked;
    uint32_t free_by_category[256];
};
void seat_map_counts(struct seat_map *map, struct seat_counts *ret_counts);
/* area < area_count of the plan (asserted) */
uint32_t seat_map_free_in_area(struct seat_map *map, uint32_t area);

/* --- The writer's view: only on the writer thread, inside its transaction ----------------------------------------------- */

/*
 * Not on the writer's thread but before it runs: from what was read for the published view, so that the first hold does not wait for the
 * same rows.
 */
RESULT seat_map_prepare(struct seat_map *map);
RESULT seat_maps_for_writer(struct seat_maps *m, struct store_tx *tx, int64_t event_no,
                            struct seat_map **ret_map);
/*
 * What the running batch knows of the event. Borrowed until the command ends; event_facts_keep for longer. Not in a command that
 * has changed this event itself.
 */
RESULT seat_map_working_facts(struct seat_map *map, struct store_tx *tx,
                              struct event_facts **ret_facts);
/* Does the writer's view have the place free? place < places of the plan (asserted). */
bool seat_map_working_free(struct seat_map *map, int64_t now_ms, uint32_t place);
/* Throw away what the writer's view believes and read the rows again. */
RESULT seat_map_reload(struct seat_map *map, struct store_tx *tx);
/*
 * The best count free seats of a category, side by side: in the first row of the plan that has them, nearest its middle,
 * avoiding to leave a single seat. With split, when no row has so many, in rows near each other. Of a
 * category without seats: slots of one of its areas. ERR_CONFLICT "none_left".
 */
RESULT seat_map_pick(struct seat_map *map, int64_t now_ms, uint8_t category, uint32_t count,
                     bool split, uint32_t *ret_places);
/* count free slots of an area, in order. ERR_CONFLICT "none_left". */
RESULT seat_map_pick_area(struct seat_map *map, int64_t now_ms, uint32_t area, uint32_t count,
                          uint32_t *ret_places);

#endif
