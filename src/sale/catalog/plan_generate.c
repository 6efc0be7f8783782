/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sale/catalog/plan_make.h"

/*
 * The bowl: ellipses round a pitch, one behind the other. Each row of a tier is cut into as many arcs as there are sectors; an
 * arc is its seats, side by side, and an aisle. Floating point is only drawing here: what is kept is whole quarter units.
 */
enum {
    TIERS_MAX = 6,
    SECTORS_MIN = 4,
    SECTORS_MAX = 96,
    SEATS_MIN = 100,
    ROWS_MAX = 600,
    SAMPLES = 2048, /* of an ellipse's length */
    SEAT_STEP = 96, /* quarter units from seat to seat, about half a metre */
    ROW_STEP = 112,
    AISLE = 160,
    TIER_GAP = 300,
    ARC_SEATS_MIN = 5,
    PITCH_X = 14800, /* the inner ellipse's half axes for 80,000 seats */
    PITCH_Y = 10400,
    STANDARD_SEATS = 80000,
};

static const struct plan_color COLORS[TIERS_MAX] = {{0xd9, 0x48, 0x3b}, {0xe8, 0x9c, 0x31},
                                                    {0x3b, 0x7d, 0xd8}, {0x4a, 0xa5, 0x64},
                                                    {0x8e, 0x5b, 0xb5}, {0x5f, 0x6b, 0x7a}};

struct bowl {
    const struct plan_stadium *wish;
    double a, b; /* inner ellipse */
    uint32_t rows, tier_rows[TIERS_MAX];
    uint32_t row_seats[ROWS_MAX]; /* of all sectors, from inside to outside */
    uint32_t total;
};

static double ellipse_length(double a, double b)
{
    double h = (a - b) * (a - b) / ((a + b) * (a + b)); /* Ramanujan */
    return M_PI * (a + b) * (1 + 3 * h / (10 + sqrt(4 - 3 * h)));
}

static double row_offset(uint32_t tier, uint32_t row)
{
    return (double)tier * TIER_GAP + (double)row * ROW_STEP;
}

static uint32_t arc_seats(const struct bowl *w, double offset)
{
    double arc = ellipse_length(w->a + offset, w->b + offset) / w->wish->sectors;
    return arc < AISLE + SEAT_STEP ? 0 : (uint32_t)((arc - AISLE) / SEAT_STEP);
}

/* Share rows among the tiers and count what fits. */
static void bowl_count(struct bowl *w, uint32_t rows)
{
    uint32_t at = 0;

    w->rows = rows;
    w->total = 0;
    for (uint32_t t = 0; t < w->wish->tiers; t++) {
        w->tier_rows[t] = rows / w->wish->tiers + (t < rows % w->wish->tiers);
        for (uint32_t r = 0; r < w->tier_rows[t]; r++, at++) {
            w->row_seats[at] = arc_seats(w, row_offset(t, at)) * w->wish->sectors;
            w->total += w->row_seats[at];
        }
    }
}

static enum err bowl_plan(struct bowl *w)
{
    const struct plan_stadium *s = w->wish;
    double scale = sqrt((double)s->seats / STANDARD_SEATS);
    double least = (double)s->sectors * (ARC_SEATS_MIN * SEAT_STEP + AISLE);
    double length = ellipse_length(PITCH_X, PITCH_Y);

    if (scale * length < least)
        scale = least / length;
    w->a = PITCH_X * scale;
    w->b = PITCH_Y * scale;
    for (uint32_t rows = s->tiers; rows <= ROWS_MAX; rows++) {
        bowl_count(w, rows);
        if (w->total >= s->seats)
            break;
    }
    ENSURE(w->total >= s->seats, ERR_INVALID, "bad_plan", "So many seats do not fit a stadium.");
    /* What is too much comes off the outermost rows. */
    for (uint32_t r = w->rows; r-- > 0 && w->total > s->seats;) {
        uint32_t off = w->total - s->seats;
        if (off > w->row_seats[r])
            off = w->row_seats[r];
        w->row_seats[r] -= off;
        w->total -= off;
    }
    ENSURE(w->row_seats[w->rows - w->tier_rows[s->tiers - 1]] > 0, ERR_INVALID, "bad_plan",
           "So few seats do not fill so many tiers and sectors.");
    return OK;
}

/* Lengths along one ellipse, for finding the point at a distance. */
struct track {
    double a, b, length;
    double at[SAMPLES + 1];
};

static void track_make(struct track *t, double a, double b)
{
    double x = a, y = 0;

    t->a = a;
    t->b = b;
    t->at[0] = 0;
    for (size_t i = 1; i <= SAMPLES; i++) {
        double angle = 2 * M_PI * (double)i / SAMPLES;
        double nx = a * cos(angle), ny = b * sin(angle);
        t->at[i] = t->at[i - 1] + hypot(nx - x, ny - y);
        x = nx;
        y = ny;
    }
    t->length = t->at[SAMPLES];
}

static struct plan_point track_point(const struct track *t, double distance)
{
    size_t low = 0, high = SAMPLES;
    double d = fmod(distance + t->length, t->length);

    while (high - low > 1) {
        size_t mid = (low + high) / 2;
        if (t->at[mid] <= d)
            low = mid;
        else
            high = mid;
    }
    double part = (d - t->at[low]) / (t->at[high] - t->at[low]);
    double angle = 2 * M_PI * ((double)low + part) / SAMPLES;
    return (struct plan_point){(int32_t)lround(t->a * cos(angle)),
                               (int32_t)lround(t->b * sin(angle))};
}

static uint32_t seats_of_sector(uint32_t row_seats, uint32_t sectors, uint32_t sector)
{
    return row_seats / sectors + (sector < row_seats % sectors);
}

static enum err make_row(struct plan *p, const struct track *t, const struct plan_stadium *s,
                         uint32_t zone, uint32_t tier, uint32_t sector, uint32_t row,
                         uint32_t count)
{
    struct plan_seat_row *r = &p->rows[p->row_count++];
    double arc = t->length / s->sectors;
    double first = ((double)sector + 0.5) * arc - ((double)count - 1) / 2 * SEAT_STEP;
    char text[32];

    *r = (struct plan_seat_row){.zone = zone, .first = p->seat_count, .count = count};
    r->numbers = PLAN_NUMBERS_BOTH;
    (void)snprintf(text, sizeof text, "%u", row + 1);
    TRY(plan_text(p, span_text(text), &r->number));
    for (uint32_t i = 0; i < count; i++) {
        struct plan_seat *seat = &p->seats[p->seat_count++];
        seat->at = track_point(t, first + (double)i * SEAT_STEP);
        seat->category = (uint8_t)tier;
        seat->radius = 10;
        (void)snprintf(text, sizeof text, "%s-%u-%u", p->zones[zone].name, row + 1, i + 1);
        TRY(plan_text(p, span_text(text), &seat->guid));
        seat->number = strrchr(seat->guid, '-') + 1;
    }
    r->at = p->seats[r->first].at;
    return OK;
}

/* Tier by tier, sector by sector, row by row: all of a zone together. */
static enum err make_tier(struct plan *p, const struct bowl *w, struct track *tracks, uint32_t tier,
                          uint32_t first_row)
{
    const struct plan_stadium *s = w->wish;
    char text[16];

    for (uint32_t r = 0; r < w->tier_rows[tier]; r++) {
        double offset = row_offset(tier, first_row + r);
        track_make(&tracks[r], w->a + offset, w->b + offset);
    }
    for (uint32_t sector = 0; sector < s->sectors; sector++) {
        uint32_t zone = p->zone_count++;
        (void)snprintf(text, sizeof text, "%u", (tier + 1) * 100 + sector + 1);
        TRY(plan_text(p, span_text(text), &p->zones[zone].name));
        p->zones[zone].zone_id = p->zones[zone].name;
        for (uint32_t r = 0; r < w->tier_rows[tier]; r++) {
            uint32_t count = seats_of_sector(w->row_seats[first_row + r], s->sectors, sector);
            if (count > 0)
                TRY(make_row(p, &tracks[r], s, zone, tier, sector, r, count));
        }
        const struct plan_seat_row *first = NULL;
        if (p->row_count > 0 && p->rows[p->row_count - 1].zone == zone)
            first = &p->rows[p->row_count - 1];
        p->zones[zone].at = first ? first->at : (struct plan_point){0, 0};
    }
    return OK;
}

static enum err add_rectangle(struct plan *p, struct plan_decoration *d, int32_t left, int32_t top,
                              int32_t width, int32_t height, struct plan_color color)
{
    struct plan_point *points;

    TRY(plan_array(p, 4, sizeof *points, &points));
    points[0] = (struct plan_point){left, top};
    points[1] = (struct plan_point){left + width, top};
    points[2] = (struct plan_point){left + width, top + height};
    points[3] = (struct plan_point){left, top + height};
    d->shape = (struct plan_shape){PLAN_POLYGON, color, points, 4};
    d->label = "";
    d->label_at = (struct plan_point){left + width / 2, top + height / 2};
    return OK;
}

static enum err make_pitch(struct plan *p, const struct bowl *w)
{
    struct plan_decoration *d;
    struct plan_point *centre;
    int32_t x = (int32_t)(w->a * 0.66), y = (int32_t)(w->b * 0.6);
    const struct plan_color grass = {0x5c, 0x9e, 0x4f}, line = {0xf2, 0xf5, 0xee};

    TRY(plan_array(p, 2, sizeof *p->decorations, &p->decorations));
    d = p->decorations;
    TRY(add_rectangle(p, &d[0], -x, -y, 2 * x, 2 * y, grass));
    d[0].label = "Pitch";
    d[0].has_border = true;
    d[0].border = line;
    TRY(plan_array(p, 2, sizeof *centre, &centre));
    centre[1] = (struct plan_point){x / 6, x / 6};
    d[1] = (struct plan_decoration){.label = "", .has_border = true, .border = line};
    d[1].shape = (struct plan_shape){PLAN_ELLIPSE, grass, centre, 2};
    p->decoration_count = 2;
    return OK;
}

static enum err make_tier_names(struct plan *p, uint32_t tiers)
{
    static const char *const names[4][3] = {
        {0}, {"Stand"}, {"Lower tier", "Upper tier"}, {"Lower tier", "Middle tier", "Upper tier"}};
    char text[16];

    TRY(plan_array(p, tiers, sizeof *p->categories, &p->categories));
    p->category_count = tiers;
    for (uint32_t t = 0; t < tiers; t++) {
        (void)snprintf(text, sizeof text, "Tier %u", t + 1);
        TRY(plan_text(p, span_text(tiers <= 3 ? names[tiers][t] : text), &p->categories[t].name));
        p->categories[t].color = COLORS[t];
    }
    return OK;
}

static enum err make_stadium(struct plan *p, const struct bowl *w)
{
    const struct plan_stadium *s = w->wish;
    struct track *tracks;
    uint32_t first_row = 0;

    TRY(plan_text(p, s->name, &p->name));
    TRY(make_tier_names(p, s->tiers));
    TRY(plan_array(p, (size_t)s->tiers * s->sectors, sizeof *p->zones, &p->zones));
    TRY(plan_array(p, (size_t)w->rows * s->sectors, sizeof *p->rows, &p->rows));
    TRY(plan_array(p, s->seats, sizeof *p->seats, &p->seats));
    TRY(plan_array(p, w->tier_rows[0] + 1, sizeof *tracks, &tracks));
    for (uint32_t t = 0; t < s->tiers; t++) {
        TRY(make_tier(p, w, tracks, t, first_row));
        first_row += w->tier_rows[t];
    }
    TRY(make_pitch(p, w));
    (void)plan_fit(p);
    return OK;
}

enum err plan_generate_stadium(const struct plan_stadium *s, struct plan **ret_plan)
{
    AUTO(plan_free) struct plan *p = NULL;
    struct bowl w = {.wish = s};

    TRY(utf8_check_line(s->name, PLAN_NAME_MAX, NULL));
    ENSURE(s->seats >= SEATS_MIN && s->seats <= PLAN_PLACES_MAX, ERR_INVALID, "bad_plan",
           "A stadium has %d to %d seats.", SEATS_MIN, PLAN_PLACES_MAX);
    ENSURE(s->tiers >= 1 && s->tiers <= TIERS_MAX, ERR_INVALID, "bad_plan",
           "A stadium has 1 to %d tiers.", TIERS_MAX);
    ENSURE(s->sectors >= SECTORS_MIN && s->sectors <= SECTORS_MAX, ERR_INVALID, "bad_plan",
           "A stadium has %d to %d sectors.", SECTORS_MIN, SECTORS_MAX);
    TRY(bowl_plan(&w));
    TRY(plan_new(&p));
    TRY(make_stadium(p, &w));
    INVARIANT(p->seat_count == s->seats, "a stadium has exactly the seats asked for");
    *ret_plan = p;
    p = NULL;
    return OK;
}

/* --- general admission ----------------------------------------------------------------------------------------------- */

enum { ROOM_WIDTH = 1600, STAGE_DEPTH = 320, AREA_GAP = 80, AREA_DEPTH_MIN = 160 };

static enum err make_area(struct plan *p, const struct plan_area_wish *wish, int32_t top,
                          int32_t *ret_bottom)
{
    struct plan_area *a = &p->areas[p->area_count++];
    struct plan_decoration box;
    /* Three people a square of 96 quarter units; never so deep that the plan gets too large. */
    int64_t depth = (int64_t)wish->slots * 96 * 96 / 3 / ROOM_WIDTH;

    if (depth < AREA_DEPTH_MIN)
        depth = AREA_DEPTH_MIN;
    if (depth > 4000)
        depth = 4000;
    depth = depth / 4 * 4;
    TRY(add_rectangle(p, &box, 0, top, ROOM_WIDTH, (int32_t)depth,
                      p->categories[wish->category].color));
    *a = (struct plan_area){.category = wish->category, .slots = wish->slots};
    a->shape = box.shape;
    *ret_bottom = top + (int32_t)depth;
    return plan_text(p, wish->name, &a->name);
}

static enum err make_room(struct plan *p, struct span name,
                          const struct plan_category_wish *categories, size_t category_count,
                          const struct plan_area_wish *areas, size_t area_count)
{
    int32_t top = STAGE_DEPTH + AREA_GAP;

    TRY(plan_text(p, name, &p->name));
    TRY(plan_array(p, category_count, sizeof *p->categories, &p->categories));
    for (size_t i = 0; i < category_count; i++) {
        TRY(plan_text(p, categories[i].name, &p->categories[i].name));
        p->categories[i].color = categories[i].color;
    }
    p->category_count = (uint32_t)category_count;
    TRY(plan_array(p, 1, sizeof *p->zones, &p->zones));
    p->zones[0].name = "";
    p->zone_count = 1;
    TRY(plan_array(p, 1, sizeof *p->rows, &p->rows));
    TRY(plan_array(p, 1, sizeof *p->seats, &p->seats));
    TRY(plan_array(p, 1, sizeof *p->decorations, &p->decorations));
    p->decoration_count = 1;
    TRY(add_rectangle(p, &p->decorations[0], ROOM_WIDTH / 4, 0, ROOM_WIDTH / 2, STAGE_DEPTH,
                      (struct plan_color){0x44, 0x44, 0x4c}));
    p->decorations[0].label = "Stage";
    TRY(plan_array(p, area_count, sizeof *p->areas, &p->areas));
    for (size_t i = 0; i < area_count; i++) {
        TRY(make_area(p, &areas[i], top, &top));
        top += AREA_GAP;
    }
    (void)plan_fit(p);
    return OK;
}

static enum err check_room(const struct plan_category_wish *categories, size_t category_count,
                           const struct plan_area_wish *areas, size_t area_count)
{
    char pointer[ERR_POINTER_MAX];
    uint64_t places = 0;

    ENSURE(category_count >= 1 && category_count <= PLAN_CATEGORIES_MAX, ERR_INVALID, "bad_plan",
           "A plan has 1 to %d categories.", PLAN_CATEGORIES_MAX);
    ENSURE_AT(area_count >= 1 && area_count <= 50, "#/areas", ERR_INVALID, "bad_plan",
              "1 to 50 areas.");
    for (size_t i = 0; i < category_count; i++) {
        TRY(utf8_check_line(categories[i].name, PLAN_NAME_MAX, "#/areas"));
        ENSURE_AT(categories[i].name.len <= PLAN_TEXT_MAX, "#/areas", ERR_INVALID, "bad_text",
                  "The text has at most %d bytes.", PLAN_TEXT_MAX);
        for (size_t k = 0; k < i; k++)
            ENSURE_AT(!span_eq(categories[i].name, categories[k].name), "#/areas", ERR_INVALID,
                      "duplicate_category", "Two categories have this name.");
    }
    for (size_t i = 0; i < area_count; i++) {
        (void)snprintf(pointer, sizeof pointer, "#/areas/%zu", i);
        TRY(utf8_check_line(areas[i].name, PLAN_NAME_MAX, pointer));
        ENSURE_AT(areas[i].name.len <= PLAN_TEXT_MAX, pointer, ERR_INVALID, "bad_text",
                  "The text has at most %d bytes.", PLAN_TEXT_MAX);
        ENSURE_AT(areas[i].category < category_count, pointer, ERR_INVALID, "unknown_category",
                  "The plan has no such category.");
        ENSURE_AT(areas[i].slots >= 1, pointer, ERR_INVALID, "out_of_range",
                  "An area has at least one slot.");
        places += areas[i].slots;
        ENSURE_AT(places <= PLAN_PLACES_MAX, pointer, ERR_LIMIT, "too_many_places",
                  "A plan has at most %d places.", PLAN_PLACES_MAX);
    }
    return OK;
}

enum err plan_generate_areas(struct span name, const struct plan_category_wish *categories,
                             size_t category_count, const struct plan_area_wish *areas,
                             size_t area_count, struct plan **ret_plan)
{
    AUTO(plan_free) struct plan *p = NULL;

    TRY(utf8_check_line(name, PLAN_NAME_MAX, NULL));
    TRY(check_room(categories, category_count, areas, area_count));
    TRY(plan_new(&p));
    TRY(make_room(p, name, categories, category_count, areas, area_count));
    *ret_plan = p;
    p = NULL;
    return OK;
}
