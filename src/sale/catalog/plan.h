/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_CATALOG_PLAN_H
#define SALE_CATALOG_PLAN_H

/*
 * plan - a seating plan in memory: where every seat and every area of a venue is, and how it is called.
 *
 * It comes from a pretix seating-plan file (plan_import) or from a generator, and goes out as such a file (plan_export) or
 * packed for browsers and for our own use (packed.h). It knows no price, no event and no state of a seat.
 *
 * Places are numbered by position: zone by zone, row by row, seat by seat, then area by area, slot by slot. A number is
 * therefore unique whatever the names in the file say; names are for people, numbers are what is sold.
 *
 * Coordinates are quarter units of the plan (pretix units x 4), absolute. Everything lives in the plan's arena.
 *
 * Source of the format: pretix src/pretix/static/seating/seating-plan.schema.json, as of its version 0.0.1 with zone_id.
 * Ours is one optional member more, "gatehouse": {"areas": [...], "extras": {"<seat_guid>": "wheelchair companion restricted_view"}}: general
 * admission and what a seat is besides its position, which the strict schema of pretix has no room for.
 */
#include "ground/base/base.h"

enum {
    PLAN_PLACES_MAX = 250000,
    PLAN_SOURCE_MAX = 16 << 20,
    PLAN_CATEGORIES_MAX = 255,
    PLAN_ZONES_MAX = 4096,
    PLAN_ROWS_MAX = 100000,
    PLAN_AREAS_MAX = 1024,
    PLAN_DECORATIONS_MAX = 4096,
    PLAN_POINTS_MAX = 1024,        /* of one shape */
    PLAN_NAME_MAX = 100,           /* characters: plan, zone, category, area, decoration */
    PLAN_LABEL_MAX = 40,           /* characters: row and seat labels */
    PLAN_GUID_MAX = 200,           /* bytes */
    PLAN_TEXT_MAX = 255,           /* bytes of any packed text */
    PLAN_SIZE_MAX = 65535,         /* plan units */
    PLAN_COORDINATE_MAX = 1 << 22, /* quarter units, either side of zero */
    PLAN_REPAIRS_KEPT = 50,        /* described one by one; the rest is counted */
};

struct plan_point {
    int32_t x, y;
};

struct plan_color {
    uint8_t r, g, b;
};

struct plan_category {
    const char *name;
    struct plan_color color;
};

enum plan_seat_flag { PLAN_WHEELCHAIR = 1, PLAN_COMPANION = 2, PLAN_RESTRICTED_VIEW = 4 };

struct plan_seat {
    struct plan_point at;
    const char *number; /* what is written on it: "12" */
    const char *guid;   /* unique in the plan after import */
    const char *uuid;   /* NULL when the file had none */
    uint8_t category;
    uint8_t flags;   /* enum plan_seat_flag */
    uint8_t start;   /* of ordered booking: 0 none, 1 '<', 2 '>', 3 '<>' */
    uint16_t radius; /* plan units */
};

enum plan_numbers { PLAN_NUMBERS_NONE, PLAN_NUMBERS_START, PLAN_NUMBERS_END, PLAN_NUMBERS_BOTH };

struct plan_seat_row {
    uint32_t zone;
    const char *number;     /* what is written at it: "5" */
    const char *row_label;  /* NULL or as in the file */
    const char *seat_label; /* NULL or as in the file */
    const char *uuid;
    enum plan_numbers numbers;
    struct plan_point at;  /* its origin; only for export */
    uint32_t first, count; /* seats; count may be 0 */
};

struct plan_zone {
    const char *name; /* may be empty */
    const char *zone_id, *uuid;
    struct plan_point at;
};

enum plan_shape_kind { PLAN_POLYGON = 0, PLAN_ELLIPSE = 1 };

/* A polygon of 3 or more points, or an ellipse of two: centre and radii. No points: nothing to draw but the label. */
struct plan_shape {
    enum plan_shape_kind kind;
    struct plan_color color;
    const struct plan_point *points;
    uint16_t point_count;
};

/* General admission: slots are sold by number of people; nobody chooses one. */
struct plan_area {
    uint32_t zone;
    const char *name;
    uint8_t category;
    uint32_t slots;
    struct plan_shape shape;
};

/* Stage, bar, table, words: drawn, not sold. */
struct plan_decoration {
    uint32_t zone;
    struct plan_shape shape;
    struct plan_point label_at;
    const char *label; /* may be empty */
    struct plan_color border, label_color;
    bool has_border, has_label_color;
    uint16_t label_size; /* 0: not said */
};

struct plan {
    struct arena arena;
    const char *name;
    uint16_t width, height; /* plan units */
    struct plan_category *categories;
    struct plan_zone *zones;
    struct plan_seat_row *rows;
    struct plan_seat *seats;
    struct plan_area *areas;
    struct plan_decoration *decorations;
    uint32_t category_count, zone_count, row_count, seat_count, area_count, decoration_count;
};

/* What the import mended. Kinds: "guid_from_uuid" (a seat_guid was used twice; its uuid took its place), "guid_counted" (that
 * one too: it got a number), "size_grown" (something stood outside the plan). */
struct plan_repair {
    const char *kind;
    char pointer[ERR_POINTER_MAX]; /* of the seat in the source */
    char was[64];                  /* cut at a character */
    char now[64];
};
struct plan_repairs {
    uint32_t count; /* all of them */
    uint32_t kept;  /* in list */
    struct plan_repair list[PLAN_REPAIRS_KEPT];
};

/* Frees; NULL inside is fine. For AUTO(plan_free) struct plan *p = NULL. */
void plan_free(struct plan **plan);
uint32_t plan_places(const struct plan *p); /* seats and slots */

/*
 * Read a pretix seating-plan file. ERR_INVALID with the pointer of the member at fault: what json.h says, "bad_text",
 * "unknown_category", "bad_color", "empty_plan", "duplicate_category"; ERR_LIMIT "too_large", "too_many_places". Work is
 * linear in the size of the file. Takes long for large ones (an 80,000-seat file about half a second): not on the writer.
 */
RESULT plan_import(struct span json, struct plan **ret_plan, struct plan_repairs *ret_repairs);
/* The same from a member of a larger document. */
struct json_object;
RESULT plan_import_object(struct json_object *source, struct plan **ret_plan,
                          struct plan_repairs *ret_repairs);
/*
 * Write it as such a file. with_ours adds the member "gatehouse" (what we store); without it the file is what pretix takes
 * and general admission is drawn, not counted. Importing what was exported with_ours gives the same plan.
 */
RESULT plan_export(const struct plan *p, bool with_ours, struct buf *out);
/* [{"kind","pointer","was","now"}], for the API and the plan row; a last one of kind "more" has "count". */
RESULT plan_repairs_json(const struct plan_repairs *r, struct buf *out);

struct plan_stadium {
    struct span name;
    uint32_t seats;   /* exactly so many: 100..PLAN_PLACES_MAX */
    uint32_t tiers;   /* 1..6, a category each */
    uint32_t sectors; /* of a tier, 4..96 */
};
/* A bowl round a pitch: each sector of a tier is a zone ("214": tier 2, sector 14), with aisles between. ERR_INVALID
 * "bad_plan" when the numbers do not go together. */
RESULT plan_generate_stadium(const struct plan_stadium *s, struct plan **ret_plan);

struct plan_area_wish {
    struct span name;
    uint32_t slots;
    uint8_t category; /* index into categories */
};
struct plan_category_wish {
    struct span name;
    struct plan_color color;
};
/* General admission only: a room with a stage and the areas one behind the other, each as large as its slots. */
RESULT plan_generate_areas(struct span name, const struct plan_category_wish *categories,
                           size_t category_count, const struct plan_area_wish *areas,
                           size_t area_count, struct plan **ret_plan);

/* "#rrggbb", "#rgb" or one of the sixteen names of HTML 4; ERR_INVALID "bad_color" at pointer. */
RESULT plan_color_parse(struct span text, const char *pointer, struct plan_color *ret_color);
void plan_color_format(struct plan_color c, char out[8]); /* "#rrggbb" */

#endif
