/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_API_SHOWN_H
#define REACH_API_SHOWN_H

/*
 * shown - events that anybody may see, by id, with their loaded seat maps: what availability.bin needs, without a row.
 *
 * Only what event_get_public gave is kept, and only until the event changes (NOTE_EVENT); see store/store/stamps.h. Whoever is
 * not found here is looked up in the rows. Bounded: an event that is crowded out is looked up again.
 */
#include "sale/hold/seat_map.h"
#include "store/store/stamps.h"

struct shown;

struct shown_event {
    struct event_id id;
    int64_t event_no;
    struct seat_map *map;
};

RESULT shown_new(struct shown **ret_shown);
void shown_free(struct shown *s); /* NULL is fine */
/* Any thread. */
bool shown_find(struct shown *s, struct event_id id, struct shown_event *ret_event);
/* Take it before the snapshot in which the event is read. */
struct stamp_mark shown_mark(const struct shown *s);
/* Anybody may see it, read in a snapshot that began after the mark. */
void shown_keep(struct shown *s, struct stamp_mark mark, const struct shown_event *event);
/* On the writer thread, before any answer to what was committed. */
void shown_committed(struct shown *s, const struct store_note *notes, size_t count);

#endif
