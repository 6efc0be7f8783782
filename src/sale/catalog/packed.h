/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_CATALOG_PACKED_H
#define SALE_CATALOG_PACKED_H

/*
 * packed - the plan as browsers fetch it and as the server reloads it: plan.bin, format GHP1, written down in docs/api.md.
 *
 * plan_pack writes it, plan_unpack reads it with hard limits (it trusts nothing: it is a fuzz target) into arrays by place
 * number: category, row, run, position. A run is a stretch of seats that sit side by side: same row, same category, no aisle.
 */
#include "sale/catalog/plan.h"

enum {
    PACKED_MAX = 8 << 20,
    PLACE_LABEL_MAX = 25 /* 24 bytes and the terminator */,
    PLACE_PIECE_MAX = 256
};

/* Deterministic: the same plan gives the same bytes. ERR_LIMIT when a text or a count does not fit. */
RESULT plan_pack(const struct plan *p, struct buf *out);

struct packed_row {
    uint32_t first, seats;
    uint16_t zone;
    const char *label;
    const char *const *numbers; /* NULL: counted */
    int32_t number, number_step;
};

/* Seats first..first+seats-1 sit side by side. */
struct packed_run {
    uint32_t first, seats, row;
    uint32_t row_in_zone; /* 0 is the first row of its zone */
    uint8_t category;
};

struct packed_area {
    uint32_t first, slots;
    uint16_t zone;
    uint8_t category;
    const char *name;
};

struct packed {
    struct arena arena;
    uint32_t places, seats;
    uint16_t width, height;
    const struct plan_category *categories;
    const char *const *zones;
    const struct packed_row *rows;
    const struct packed_run *runs;
    const struct packed_area *areas;
    const uint8_t *category;         /* by place */
    const uint32_t *row_of, *run_of; /* by seat */
    const struct plan_point *at;     /* by seat, quarter units */
    uint32_t category_count, zone_count, row_count, run_count, area_count, decoration_count;
};

/* ERR_INVALID "bad_plan" unless every byte is as the format says. Free with packed_free (NULL inside is fine). */
RESULT plan_unpack(struct span bytes, struct packed **ret_packed);
void packed_free(struct packed **p);

/*
 * Only the categories of a packed plan, from its head: names are copied into the arena. The bytes may be cut anywhere after them.
 * ERR_INVALID "bad_plan".
 */
RESULT plan_unpack_categories(struct span bytes, struct arena *a,
                              const struct plan_category **ret_categories, size_t *ret_count);

/* The area a slot belongs to; NULL for a seat. place < places (asserted), here and below. */
const struct packed_area *packed_area_of(const struct packed *p, uint32_t place);

/* How a place is called; empty where it has none. The texts are the packed plan's, but for number. */
struct place_names {
    const char *zone, *row, *area; /* "" when it has none */
    char seat[PLACE_PIECE_MAX];
    uint8_t category;
};
void place_names(const struct packed *p, uint32_t place, struct place_names *ret_names);

/*
 * The compact label for a ticket's face and its code: "N12/5/12" (zone, row, seat, each shortened), the area's name for a
 * slot; at most 24 bytes, valid UTF-8. Cut labels can coincide; the place number tells places apart.
 */
void place_label(const struct packed *p, uint32_t place, char out[PLACE_LABEL_MAX]);

#endif
