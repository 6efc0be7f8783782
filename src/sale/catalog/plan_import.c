/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ground/encode/json.h"
#include "sale/catalog/plan_make.h"

/* Rotated ellipses become polygons of so many corners. */
enum { ELLIPSE_CORNERS = 32, SCALE = 4, TEXT_READ_MAX = 1000 };

static const struct plan_color GREY = {0x99, 0x99, 0x99};

struct import {
    struct plan *p;
    struct plan_repairs *repairs;
    struct json_array zones;
    struct json_object ours; /* "gatehouse" */
    bool has_ours;
    uint32_t *row_base; /* by zone: number of its first row */
    uint32_t last_category;
};

/* --- small members --------------------------------------------------------------------------------------------------- */

/* Words that people see: trimmed (real files have stray spaces), one line, may be empty. */
static enum err read_label(struct import *m, struct json_object *o, const char *key, bool needed,
                           size_t max_chars, const char **ret_text)
{
    char pointer[ERR_POINTER_MAX];
    struct span text = {0};

    if (needed)
        TRY(json_need_text(o, key, TEXT_READ_MAX, &text));
    else
        TRY(json_opt_text(o, key, TEXT_READ_MAX, &text));
    if (!needed && !text.data)
        return OK;
    while (text.len > 0 && text.data[0] == ' ')
        text = span_sub(text, 1, text.len);
    while (text.len > 0 && text.data[text.len - 1] == ' ')
        text.len--;
    json_pointer(o, key, pointer);
    if (text.len > 0)
        TRY(utf8_check_line(text, max_chars, pointer));
    ENSURE_AT(text.len <= PLAN_TEXT_MAX, pointer, ERR_INVALID, "bad_text",
              "The text has at most %d bytes.", PLAN_TEXT_MAX);
    return plan_text(m->p, text, ret_text);
}

/* Names for programs: kept as they are. */
static enum err read_name(struct import *m, struct json_object *o, const char *key, bool needed,
                          const char **ret_text)
{
    struct span text = {0};

    if (needed)
        TRY(json_need_text(o, key, PLAN_GUID_MAX, &text));
    else
        TRY(json_opt_text(o, key, PLAN_GUID_MAX, &text));
    if (!needed && !text.data)
        return OK;
    return plan_text(m->p, text, ret_text);
}

/* As pretix does: a colour it cannot read is no reason to refuse a plan. */
static enum err read_color(struct json_object *o, const char *key, struct plan_color *ret_color,
                           bool *ret_given)
{
    struct span text = {0};
    struct plan_color color;

    TRY(json_opt_text(o, key, TEXT_READ_MAX, &text));
    *ret_given = false;
    if (!text.data)
        return OK;
    if (plan_color_parse(text, NULL, &color) != OK) {
        err_clear();
        return OK;
    }
    *ret_color = color;
    *ret_given = true;
    return OK;
}

static enum err read_xy(struct json_object *at, struct plan_point base, struct plan_point *ret_at)
{
    int64_t x, y;

    TRY(json_need_scaled(at, "x", SCALE, -PLAN_COORDINATE_MAX, PLAN_COORDINATE_MAX, &x));
    TRY(json_need_scaled(at, "y", SCALE, -PLAN_COORDINATE_MAX, PLAN_COORDINATE_MAX, &y));
    TRY(json_object_end(at));
    *ret_at = (struct plan_point){base.x + (int32_t)x, base.y + (int32_t)y};
    return OK;
}

/* Absolute: relative to base. Absent means at base, unless needed. */
static enum err read_position(struct json_object *o, const char *key, bool needed,
                              struct plan_point base, struct plan_point *ret_at)
{
    struct json_object at;

    *ret_at = base;
    if (!needed && !json_has(o, key))
        return OK;
    TRY(json_need_object(o, key, &at));
    return read_xy(&at, base, ret_at);
}

static enum err read_units(struct json_object *o, const char *key, bool needed, int64_t max,
                           int64_t *ret_value)
{
    if (needed)
        TRY(json_need_scaled(o, key, 1, 0, max, ret_value));
    else
        TRY(json_opt_scaled(o, key, 1, 0, max, ret_value));
    return OK;
}

static enum err find_category(struct import *m, struct json_object *o, struct span name,
                              uint8_t *ret_category)
{
    char pointer[ERR_POINTER_MAX];
    struct plan *p = m->p;

    while (name.len > 0 && name.data[0] == ' ')
        name = span_sub(name, 1, name.len);
    while (name.len > 0 && name.data[name.len - 1] == ' ')
        name.len--;
    for (uint32_t n = 0; n < p->category_count; n++) {
        uint32_t i = (m->last_category + n) % p->category_count;
        if (span_eq_text(name, p->categories[i].name)) {
            m->last_category = i;
            *ret_category = (uint8_t)i;
            return OK;
        }
    }
    json_pointer(o, "category", pointer);
    FAIL_AT(pointer, ERR_INVALID, "unknown_category", "The plan has no category of this name.");
}

/* --- shapes ---------------------------------------------------------------------------------------------------------- */

struct turn {
    struct plan_point about;
    double sine, cosine;
    bool any;
};

static struct plan_point turned(const struct turn *t, double x, double y)
{
    if (t->any) {
        double rx = x * t->cosine - y * t->sine;
        y = x * t->sine + y * t->cosine;
        x = rx;
    }
    return (struct plan_point){t->about.x + (int32_t)lround(x), t->about.y + (int32_t)lround(y)};
}

static enum err shape_points(struct import *m, size_t count, struct plan_shape *shape,
                             struct plan_point **ret_points)
{
    TRY(plan_array(m->p, count, sizeof **ret_points, ret_points));
    shape->points = *ret_points;
    shape->point_count = (uint16_t)count;
    return OK;
}

static enum err read_polygon(struct import *m, struct json_object *area, const struct turn *t,
                             struct plan_shape *shape)
{
    struct json_object o, at;
    struct json_array list;
    struct plan_point *points, one;

    TRY(json_need_object(area, "polygon", &o));
    TRY(json_need_array(&o, "points", PLAN_POINTS_MAX, &list));
    TRY(json_object_end(&o));
    if (list.count < 3)
        return OK; /* nothing to draw */
    TRY(shape_points(m, list.count, shape, &points));
    for (size_t i = 0; i < list.count; i++) {
        TRY(json_item_object(&list, i, &at));
        TRY(read_xy(&at, (struct plan_point){0, 0}, &one));
        points[i] = turned(t, one.x, one.y);
    }
    return OK;
}

static enum err read_rectangle(struct import *m, struct json_object *area, const struct turn *t,
                               struct plan_shape *shape)
{
    struct json_object o;
    struct plan_point *points;
    int64_t w, h;

    TRY(json_need_object(area, "rectangle", &o));
    TRY(json_need_scaled(&o, "width", SCALE, 0, PLAN_COORDINATE_MAX, &w));
    TRY(json_need_scaled(&o, "height", SCALE, 0, PLAN_COORDINATE_MAX, &h));
    TRY(json_object_end(&o));
    TRY(shape_points(m, 4, shape, &points));
    points[0] = turned(t, 0, 0);
    points[1] = turned(t, (double)w, 0);
    points[2] = turned(t, (double)w, (double)h);
    points[3] = turned(t, 0, (double)h);
    return OK;
}

static enum err make_ellipse(struct import *m, const struct turn *t, struct plan_point radii,
                             struct plan_shape *shape)
{
    struct plan_point *points;

    if (!t->any) {
        TRY(shape_points(m, 2, shape, &points));
        shape->kind = PLAN_ELLIPSE;
        points[0] = t->about;
        points[1] = radii;
        return OK;
    }
    TRY(shape_points(m, ELLIPSE_CORNERS, shape, &points));
    for (size_t i = 0; i < ELLIPSE_CORNERS; i++) {
        double a = 2 * M_PI * (double)i / ELLIPSE_CORNERS;
        points[i] = turned(t, radii.x * cos(a), radii.y * sin(a));
    }
    return OK;
}

static enum err read_ellipse(struct import *m, struct json_object *area, const struct turn *t,
                             struct plan_shape *shape)
{
    struct json_object o, radius;
    struct plan_point radii;

    TRY(json_need_object(area, "ellipse", &o));
    TRY(json_need_object(&o, "radius", &radius));
    TRY(read_xy(&radius, (struct plan_point){0, 0}, &radii));
    TRY(json_object_end(&o));
    radii = (struct plan_point){abs(radii.x), abs(radii.y)};
    return make_ellipse(m, t, radii, shape);
}

static enum err read_circle(struct import *m, struct json_object *area, const struct turn *t,
                            struct plan_shape *shape)
{
    struct turn still = {.about = t->about};
    struct json_object o;
    int64_t r;

    TRY(json_need_object(area, "circle", &o));
    TRY(json_need_scaled(&o, "radius", SCALE, 0, PLAN_COORDINATE_MAX, &r));
    TRY(json_object_end(&o));
    return make_ellipse(m, &still, (struct plan_point){(int32_t)r, (int32_t)r}, shape);
}

static enum err read_words(struct import *m, struct json_object *area, struct plan_point at,
                           struct plan_decoration *d)
{
    struct json_object o;
    int64_t size = 0;

    d->label = "";
    d->label_at = at;
    if (!json_has(area, "text")) {
        TRY(json_opt_object(area, "text", &o));
        return OK;
    }
    TRY(json_need_object(area, "text", &o));
    TRY(read_label(m, &o, "text", true, PLAN_NAME_MAX, &d->label));
    TRY(read_color(&o, "color", &d->label_color, &d->has_label_color));
    TRY(read_units(&o, "size", false, 1000, &size));
    TRY(read_position(&o, "position", true, at, &d->label_at));
    d->label_size = (uint16_t)size;
    return json_object_end(&o);
}

/* The members of the shapes that it is not are allowed to be there: the editor leaves them behind. */
static enum err skip_other_shapes(struct json_object *area, const char *kind)
{
    static const char *const kinds[] = {"polygon", "rectangle", "ellipse", "circle"};
    struct json_object ignored;

    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (strcmp(kinds[i], kind) != 0)
            TRY(json_opt_object(area, kinds[i], &ignored));
    return OK;
}

static enum err read_decoration(struct import *m, struct json_object *area, uint32_t zone,
                                struct plan_decoration *d)
{
    static const struct {
        const char *name;
        enum err (*read)(struct import *m, struct json_object *area, const struct turn *t,
                         struct plan_shape *shape);
    } shapes[] = {{"polygon", read_polygon},
                  {"rectangle", read_rectangle},
                  {"ellipse", read_ellipse},
                  {"circle", read_circle},
                  {"text", NULL}};
    char pointer[ERR_POINTER_MAX];
    struct span shape = SPAN_LIT("text");
    struct turn t = {0};
    int64_t milli_degrees = 0;
    bool given;

    d->zone = zone;
    d->shape.color = GREY;
    TRY(json_opt_text(area, "shape", 20, &shape));
    TRY(read_color(area, "color", &d->shape.color, &given));
    TRY(read_color(area, "border_color", &d->border, &d->has_border));
    TRY(json_opt_scaled(area, "rotation", 1000, -360000000, 360000000, &milli_degrees));
    TRY(read_name(m, area, "uuid", false, &(const char *){NULL}));
    TRY(read_position(area, "position", false, m->p->zones[zone].at, &t.about));
    t.any = milli_degrees % 360000 != 0;
    t.sine = sin((double)milli_degrees / 180000.0 * M_PI);
    t.cosine = cos((double)milli_degrees / 180000.0 * M_PI);
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        if (!span_eq_text(shape, shapes[i].name))
            continue;
        if (shapes[i].read)
            TRY(shapes[i].read(m, area, &t, &d->shape));
        TRY(skip_other_shapes(area, shapes[i].name));
        TRY(read_words(m, area, t.about, d));
        return json_object_end(area);
    }
    json_pointer(area, "shape", pointer);
    FAIL_AT(pointer, ERR_INVALID, "out_of_range",
            "A shape is one of polygon, rectangle, ellipse, circle, text.");
}

/* --- zones, rows, seats ---------------------------------------------------------------------------------------------- */

static enum err read_seat(struct import *m, struct json_object *o, struct plan_point base,
                          struct plan_seat *s)
{
    char pointer[ERR_POINTER_MAX];
    struct span category, start = {0};
    int64_t radius = 10;

    TRY(read_name(m, o, "seat_guid", true, &s->guid));
    TRY(read_label(m, o, "seat_number", true, PLAN_LABEL_MAX, &s->number));
    TRY(read_name(m, o, "uuid", false, &s->uuid));
    TRY(json_opt_text(o, "start_direction", 20, &start));
    TRY(read_units(o, "radius", false, 10000, &radius));
    TRY(read_position(o, "position", true, base, &s->at));
    TRY(json_need_text(o, "category", TEXT_READ_MAX, &category));
    TRY(json_object_end(o));
    TRY(find_category(m, o, category, &s->category));
    json_pointer(o, "start_direction", pointer);
    s->radius = (uint16_t)radius;
    s->start = span_eq_text(start, "<")    ? 1
               : span_eq_text(start, ">")  ? 2
               : span_eq_text(start, "<>") ? 3
                                           : 0;
    ENSURE_AT(s->start != 0 || start.len == 0, pointer, ERR_INVALID, "out_of_range",
              "A start direction is one of <, >, <>.");
    return OK;
}

static enum err read_row(struct import *m, struct json_object *o, uint32_t zone,
                         struct plan_seat_row *row)
{
    char pointer[ERR_POINTER_MAX];
    struct span numbers = {0};
    struct json_array seats;
    struct json_object seat;

    row->zone = zone;
    row->first = m->p->seat_count;
    TRY(read_label(m, o, "row_number", true, PLAN_LABEL_MAX, &row->number));
    TRY(read_label(m, o, "row_label", false, PLAN_NAME_MAX, &row->row_label));
    TRY(read_label(m, o, "seat_label", false, PLAN_NAME_MAX, &row->seat_label));
    TRY(read_name(m, o, "uuid", false, &row->uuid));
    TRY(json_opt_text(o, "row_number_position", 20, &numbers));
    TRY(read_position(o, "position", false, m->p->zones[zone].at, &row->at));
    TRY(json_need_array(o, "seats", PLAN_PLACES_MAX, &seats));
    TRY(json_object_end(o));
    row->numbers = span_eq_text(numbers, "start")  ? PLAN_NUMBERS_START
                   : span_eq_text(numbers, "end")  ? PLAN_NUMBERS_END
                   : span_eq_text(numbers, "both") ? PLAN_NUMBERS_BOTH
                                                   : PLAN_NUMBERS_NONE;
    json_pointer(o, "row_number_position", pointer);
    ENSURE_AT(row->numbers != PLAN_NUMBERS_NONE || numbers.len == 0, pointer, ERR_INVALID,
              "out_of_range", "Row numbers stand at start, end, both or null.");
    for (size_t i = 0; i < seats.count; i++) {
        TRY(json_item_object(&seats, i, &seat));
        TRY(read_seat(m, &seat, row->at, &m->p->seats[m->p->seat_count]));
        m->p->seat_count++;
    }
    row->count = (uint32_t)seats.count;
    return OK;
}

static enum err read_zone(struct import *m, uint32_t zone)
{
    struct plan *p = m->p;
    struct plan_zone *z = &p->zones[zone];
    struct json_object o, item;
    struct json_array rows, areas = {0};

    TRY(json_item_object(&m->zones, zone, &o));
    TRY(read_label(m, &o, "name", false, PLAN_NAME_MAX, &z->name));
    TRY(read_label(m, &o, "zone_id", false, PLAN_NAME_MAX, &z->zone_id));
    TRY(read_name(m, &o, "uuid", false, &z->uuid));
    TRY(read_position(&o, "position", true, (struct plan_point){0, 0}, &z->at));
    TRY(json_need_array(&o, "rows", PLAN_ROWS_MAX, &rows));
    TRY(json_opt_array(&o, "areas", PLAN_DECORATIONS_MAX, &areas));
    TRY(json_object_end(&o));
    if (!z->name)
        z->name = z->zone_id ? z->zone_id : "";
    m->row_base[zone] = p->row_count;
    for (size_t i = 0; i < rows.count; i++) {
        TRY(json_item_object(&rows, i, &item));
        TRY(read_row(m, &item, zone, &p->rows[p->row_count]));
        p->row_count++;
    }
    for (size_t i = 0; i < areas.count; i++) {
        TRY(json_item_object(&areas, i, &item));
        TRY(read_decoration(m, &item, zone, &p->decorations[p->decoration_count]));
        p->decoration_count++;
    }
    return OK;
}

/* --- our own member -------------------------------------------------------------------------------------------------- */

static enum err read_area_shape(struct import *m, struct json_object *o, struct plan_shape *shape)
{
    char pointer[ERR_POINTER_MAX];
    struct span kind;
    struct json_array xy;
    struct plan_point *points;
    int64_t v;
    bool given;

    shape->color = GREY;
    TRY(read_color(o, "color", &shape->color, &given));
    TRY(json_need_text(o, "shape", 20, &kind));
    TRY(json_need_array(o, "points", (size_t)PLAN_POINTS_MAX * 2, &xy));
    shape->kind = span_eq_text(kind, "ellipse") ? PLAN_ELLIPSE : PLAN_POLYGON;
    json_pointer(o, "shape", pointer);
    ENSURE_AT(shape->kind == PLAN_ELLIPSE || span_eq_text(kind, "polygon"), pointer, ERR_INVALID,
              "out_of_range", "The shape of an area is polygon or ellipse.");
    json_pointer(o, "points", pointer);
    ENSURE_AT(shape->kind == PLAN_ELLIPSE ? xy.count == 4
                                          : xy.count == 0 || (xy.count >= 6 && xy.count % 2 == 0),
              pointer, ERR_INVALID, "out_of_range",
              "A polygon has three points or more, an ellipse a centre and radii.");
    TRY(shape_points(m, xy.count / 2, shape, &points));
    for (size_t i = 0; i < xy.count; i++) {
        bool radius = shape->kind == PLAN_ELLIPSE && i >= 2;
        TRY(json_item_i64(&xy, i, radius ? 0 : -PLAN_COORDINATE_MAX, PLAN_COORDINATE_MAX, &v));
        if (i % 2 == 0)
            points[i / 2].x = (int32_t)v;
        else
            points[i / 2].y = (int32_t)v;
    }
    return OK;
}

static enum err read_areas(struct import *m, const struct json_array *areas)
{
    struct plan *p = m->p;
    struct json_object o;
    struct span category;
    int64_t zone, slots, places = p->seat_count;

    TRY(plan_array(p, areas->count, sizeof *p->areas, &p->areas));
    for (size_t i = 0; i < areas->count; i++) {
        struct plan_area *a = &p->areas[i];
        TRY(json_item_object(areas, i, &o));
        ENSURE_AT(p->zone_count > 0, o.pointer, ERR_INVALID, "empty_plan",
                  "An area stands in a zone.");
        TRY(json_need_i64(&o, "zone", 0, (int64_t)p->zone_count - 1, &zone));
        TRY(read_label(m, &o, "name", true, PLAN_NAME_MAX, &a->name));
        TRY(json_need_i64(&o, "slots", 1, PLAN_PLACES_MAX, &slots));
        TRY(json_need_text(&o, "category", TEXT_READ_MAX, &category));
        TRY(read_area_shape(m, &o, &a->shape));
        TRY(json_object_end(&o));
        TRY(find_category(m, &o, category, &a->category));
        places += slots;
        ENSURE_AT(places <= PLAN_PLACES_MAX, o.pointer, ERR_LIMIT, "too_many_places",
                  "A plan has at most %d places.", PLAN_PLACES_MAX);
        a->zone = (uint32_t)zone;
        a->slots = (uint32_t)slots;
        p->area_count++;
    }
    return OK;
}

struct extra {
    const char *guid;
    uint8_t flags;
};

struct extras {
    struct extra *list;
    size_t count;
};

static int extra_cmp(const void *va, const void *vb)
{
    const struct extra *a = va, *b = vb;
    return strcmp(a->guid, b->guid);
}

static enum err visit_extra(void *context, struct span key, struct span value)
{
    static const struct {
        const char *word;
        uint8_t flag;
    } words[] = {{"wheelchair", PLAN_WHEELCHAIR},
                 {"companion", PLAN_COMPANION},
                 {"restricted_view", PLAN_RESTRICTED_VIEW}};
    struct extras *x = context;
    struct extra *one = &x->list[x->count++];

    one->guid = (const char *)key.data; /* terminated, lives as long as the document */
    while (value.len > 0) {
        struct span word = span_sub(value, 0, span_find(value, ' '));
        bool known = false;
        for (size_t i = 0; i < COUNT_OF(words); i++)
            if (span_eq_text(word, words[i].word)) {
                one->flags |= words[i].flag;
                known = true;
            }
        ENSURE_AT(known, "#/gatehouse/extras", ERR_INVALID, "out_of_range",
                  "Extras are wheelchair, companion and restricted_view.");
        value = span_sub(value, word.len + 1, value.len);
    }
    return OK;
}

static void extras_done(struct extras *x)
{
    free(x->list);
}

/* Before guids are mended: of two seats with one guid both get its extras. */
static enum err read_extras(struct import *m, struct json_object *o)
{
    AUTO(extras_done) struct extras x = {0};
    size_t room = m->p->seat_count;

    x.list = calloc(room + 1, sizeof *x.list);
    ENSURE(x.list, ERR_NOMEM, "no_memory", "No memory for the extras.");
    TRY(json_each_text(o, room, 100, visit_extra, &x));
    qsort(x.list, x.count, sizeof *x.list, extra_cmp);
    for (uint32_t i = 0; i < m->p->seat_count && x.count > 0; i++) {
        struct extra wanted = {.guid = m->p->seats[i].guid};
        const struct extra *found = bsearch(&wanted, x.list, x.count, sizeof wanted, extra_cmp);
        if (found)
            m->p->seats[i].flags = found->flags;
    }
    return OK;
}

static enum err read_ours(struct import *m)
{
    struct json_array areas = {0};
    struct json_object extras;

    TRY(json_opt_array(&m->ours, "areas", PLAN_AREAS_MAX, &areas));
    TRY(read_areas(m, &areas));
    if (json_has(&m->ours, "extras")) {
        TRY(json_need_object(&m->ours, "extras", &extras));
        TRY(read_extras(m, &extras));
    }
    return json_object_end(&m->ours);
}

/* --- the file -------------------------------------------------------------------------------------------------------- */

static enum err read_categories(struct import *m, const struct json_array *list)
{
    struct plan *p = m->p;
    struct json_object o;
    bool given;

    TRY(plan_array(p, list->count, sizeof *p->categories, &p->categories));
    for (size_t i = 0; i < list->count; i++) {
        struct plan_category *c = &p->categories[i];
        TRY(json_item_object(list, i, &o));
        TRY(read_label(m, &o, "name", true, PLAN_NAME_MAX, &c->name));
        c->color = GREY;
        TRY(read_color(&o, "color", &c->color, &given));
        TRY(json_object_end(&o));
        for (uint32_t k = 0; k < p->category_count; k++)
            ENSURE_AT(strcmp(p->categories[k].name, c->name) != 0, o.pointer, ERR_INVALID,
                      "duplicate_category", "Two categories have this name.");
        p->category_count++;
    }
    return OK;
}

/* First pass: how many of everything, so that arrays are made once and limits hold before the work. */
static enum err count_all(struct import *m)
{
    struct plan *p = m->p;
    struct json_array rows, list;
    struct json_object zone, row;
    size_t row_count = 0, seats = 0, decorations = 0;

    for (size_t z = 0; z < m->zones.count; z++) {
        struct json_array areas = {0};
        TRY(json_item_object(&m->zones, z, &zone));
        TRY(json_need_array(&zone, "rows", PLAN_ROWS_MAX, &rows));
        TRY(json_opt_array(&zone, "areas", PLAN_DECORATIONS_MAX, &areas));
        row_count += rows.count;
        decorations += areas.count;
        ENSURE_AT(row_count <= PLAN_ROWS_MAX && decorations <= PLAN_DECORATIONS_MAX, zone.pointer,
                  ERR_LIMIT, "too_many_places", "A plan has at most %d rows and %d drawings.",
                  PLAN_ROWS_MAX, PLAN_DECORATIONS_MAX);
        for (size_t r = 0; r < rows.count; r++) {
            TRY(json_item_object(&rows, r, &row));
            TRY(json_need_array(&row, "seats", SIZE_MAX, &list));
            seats += list.count;
            ENSURE_AT(seats <= PLAN_PLACES_MAX, row.pointer, ERR_LIMIT, "too_many_places",
                      "A plan has at most %d places.", PLAN_PLACES_MAX);
        }
    }
    TRY(plan_array(p, m->zones.count, sizeof *p->zones, &p->zones));
    TRY(plan_array(p, m->zones.count, sizeof *m->row_base, &m->row_base));
    TRY(plan_array(p, row_count, sizeof *p->rows, &p->rows));
    TRY(plan_array(p, seats, sizeof *p->seats, &p->seats));
    return plan_array(p, decorations, sizeof *p->decorations, &p->decorations);
}

static enum err check_size(struct import *m)
{
    struct plan *p = m->p;

    if (plan_fit(p))
        plan_repair_add(m->repairs, "size_grown", "#/size", "", "");
    for (uint32_t i = 0; i < p->seat_count; i++)
        ENSURE(p->seats[i].at.x <= PLAN_SIZE_MAX * SCALE &&
                   p->seats[i].at.y <= PLAN_SIZE_MAX * SCALE,
               ERR_INVALID, "out_of_range", "The plan is larger than %d units.", PLAN_SIZE_MAX);
    return OK;
}

static enum err read_plan(struct import *m, struct json_object *source)
{
    struct plan *p = m->p;
    struct json_array categories;
    struct json_object size;
    int64_t width = 0, height = 0;

    TRY(read_label(m, source, "name", true, PLAN_NAME_MAX, &p->name));
    TRY(json_need_array(source, "categories", PLAN_CATEGORIES_MAX, &categories));
    TRY(json_need_array(source, "zones", PLAN_ZONES_MAX, &m->zones));
    m->has_ours = json_has(source, "gatehouse");
    TRY(json_opt_object(source, "gatehouse", &m->ours));
    if (json_has(source, "size")) {
        TRY(json_need_object(source, "size", &size));
        TRY(read_units(&size, "width", true, PLAN_SIZE_MAX, &width));
        TRY(read_units(&size, "height", true, PLAN_SIZE_MAX, &height));
        TRY(json_object_end(&size));
    }
    TRY(json_object_end(source));
    p->width = (uint16_t)width;
    p->height = (uint16_t)height;
    TRY(read_categories(m, &categories));
    TRY(count_all(m));
    for (uint32_t z = 0; z < m->zones.count; z++) {
        p->zone_count = z + 1;
        TRY(read_zone(m, z));
    }
    if (m->has_ours)
        TRY(read_ours(m));
    ENSURE_AT(plan_places(p) > 0, "#/zones", ERR_INVALID, "empty_plan",
              "The plan has no seat and no area with slots.");
    TRY(plan_unique_guids(p, m->row_base, m->repairs));
    return check_size(m);
}

enum err plan_import_object(struct json_object *source, struct plan **ret_plan,
                            struct plan_repairs *ret_repairs)
{
    AUTO(plan_free) struct plan *p = NULL;
    struct plan_repairs repairs = {0};
    struct import m = {.repairs = &repairs};

    TRY(plan_new(&p));
    m.p = p;
    TRY(read_plan(&m, source));
    *ret_repairs = repairs;
    *ret_plan = p;
    p = NULL;
    return OK;
}

enum err plan_import(struct span json, struct plan **ret_plan, struct plan_repairs *ret_repairs)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object root;

    TRY(json_parse(json, PLAN_SOURCE_MAX, &doc));
    TRY(json_root(doc, &root));
    return plan_import_object(&root, ret_plan, ret_repairs);
}
