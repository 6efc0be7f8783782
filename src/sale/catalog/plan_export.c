/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ground/encode/json.h"
#include "sale/catalog/plan_make.h"

/* Quarter units as a decimal number of units. */
static void put_units(struct json_writer *w, const char *key, int32_t quarters)
{
    static const char *const parts[] = {"", ".25", ".5", ".75"};
    unsigned size = (unsigned)abs(quarters);
    char text[24];

    (void)snprintf(text, sizeof text, "%s%u%s", quarters < 0 ? "-" : "", size / 4, parts[size % 4]);
    json_w_key(w, key);
    json_w_raw(w, span_text(text));
}

static void put_point(struct json_writer *w, const char *key, struct plan_point at,
                      struct plan_point base)
{
    if (key)
        json_w_kv_object(w, key);
    else
        json_w_object(w);
    put_units(w, "x", at.x - base.x);
    put_units(w, "y", at.y - base.y);
    json_w_end(w);
}

static void put_color(struct json_writer *w, const char *key, struct plan_color c)
{
    char text[8];
    plan_color_format(c, text);
    json_w_kv_cstr(w, key, text);
}

static void put_opt(struct json_writer *w, const char *key, const char *text)
{
    if (text)
        json_w_kv_cstr(w, key, text);
}

static void put_seat(struct json_writer *w, const struct plan *p, const struct plan_seat *s,
                     struct plan_point base)
{
    static const char *const starts[] = {NULL, "<", ">", "<>"};

    json_w_object(w);
    json_w_kv_cstr(w, "seat_guid", s->guid);
    json_w_kv_cstr(w, "seat_number", s->number);
    put_opt(w, "uuid", s->uuid);
    put_opt(w, "start_direction", starts[s->start & 3]);
    if (s->radius != 10)
        json_w_kv_i64(w, "radius", s->radius);
    put_point(w, "position", s->at, base);
    json_w_kv_cstr(w, "category", p->categories[s->category].name);
    json_w_end(w);
}

static void put_row(struct json_writer *w, const struct plan *p, const struct plan_seat_row *r)
{
    static const char *const numbers[] = {NULL, "start", "end", "both"};

    json_w_object(w);
    json_w_kv_cstr(w, "row_number", r->number);
    put_opt(w, "row_label", r->row_label);
    put_opt(w, "seat_label", r->seat_label);
    put_opt(w, "uuid", r->uuid);
    put_opt(w, "row_number_position", numbers[r->numbers]);
    put_point(w, "position", r->at, p->zones[r->zone].at);
    json_w_kv_array(w, "seats");
    for (uint32_t i = 0; i < r->count; i++)
        put_seat(w, p, &p->seats[r->first + i], r->at);
    json_w_end(w);
    json_w_end(w);
}

/* Its members as pretix has them; at is what they are relative to. */
static void put_shape(struct json_writer *w, const struct plan_shape *s, struct plan_point at)
{
    put_color(w, "color", s->color);
    if (s->kind == PLAN_ELLIPSE && s->point_count == 2) {
        json_w_kv_cstr(w, "shape", "ellipse");
        json_w_kv_object(w, "ellipse");
        put_point(w, "radius", s->points[1], (struct plan_point){0, 0});
        json_w_end(w);
    } else if (s->point_count > 0) {
        json_w_kv_cstr(w, "shape", "polygon");
        json_w_kv_object(w, "polygon");
        json_w_kv_array(w, "points");
        for (uint16_t i = 0; i < s->point_count; i++)
            put_point(w, NULL, s->points[i], at);
        json_w_end(w);
        json_w_end(w);
    } else {
        json_w_kv_cstr(w, "shape", "text");
    }
}

static struct plan_point shape_at(const struct plan_shape *s, struct plan_point otherwise)
{
    return s->point_count > 0 ? s->points[0] : otherwise;
}

static void put_decoration(struct json_writer *w, const struct plan *p,
                           const struct plan_decoration *d)
{
    struct plan_point at = shape_at(&d->shape, d->label_at);

    json_w_object(w);
    put_point(w, "position", at, p->zones[d->zone].at);
    put_shape(w, &d->shape, at);
    if (d->has_border)
        put_color(w, "border_color", d->border);
    if (d->label[0] != '\0') {
        json_w_kv_object(w, "text");
        json_w_kv_cstr(w, "text", d->label);
        if (d->has_label_color)
            put_color(w, "color", d->label_color);
        if (d->label_size > 0)
            json_w_kv_i64(w, "size", d->label_size);
        put_point(w, "position", d->label_at, at);
        json_w_end(w);
    }
    json_w_end(w);
}

/* An area with slots, as pretix can draw it. */
static void put_area_drawn(struct json_writer *w, const struct plan *p, const struct plan_area *a)
{
    struct plan_decoration d = {.zone = a->zone, .shape = a->shape, .label = a->name};

    d.label_at = shape_at(&a->shape, p->zones[a->zone].at);
    put_decoration(w, p, &d);
}

static void put_zone(struct json_writer *w, const struct plan *p, uint32_t zone, uint32_t *row,
                     bool with_ours)
{
    const struct plan_zone *z = &p->zones[zone];

    json_w_object(w);
    json_w_kv_cstr(w, "name", z->name);
    put_opt(w, "zone_id", z->zone_id);
    put_opt(w, "uuid", z->uuid);
    put_point(w, "position", z->at, (struct plan_point){0, 0});
    json_w_kv_array(w, "rows");
    for (; *row < p->row_count && p->rows[*row].zone == zone; (*row)++)
        put_row(w, p, &p->rows[*row]);
    json_w_end(w);
    json_w_kv_array(w, "areas");
    for (uint32_t i = 0; i < p->decoration_count; i++)
        if (p->decorations[i].zone == zone)
            put_decoration(w, p, &p->decorations[i]);
    for (uint32_t i = 0; i < p->area_count && !with_ours; i++)
        if (p->areas[i].zone == zone)
            put_area_drawn(w, p, &p->areas[i]);
    json_w_end(w);
    json_w_end(w);
}

static void put_area(struct json_writer *w, const struct plan *p, const struct plan_area *a)
{
    json_w_object(w);
    json_w_kv_i64(w, "zone", a->zone);
    json_w_kv_cstr(w, "name", a->name);
    json_w_kv_i64(w, "slots", a->slots);
    json_w_kv_cstr(w, "category", p->categories[a->category].name);
    put_color(w, "color", a->shape.color);
    json_w_kv_cstr(w, "shape", a->shape.kind == PLAN_ELLIPSE ? "ellipse" : "polygon");
    json_w_kv_array(w, "points");
    for (uint16_t i = 0; i < a->shape.point_count; i++) {
        json_w_i64(w, a->shape.points[i].x);
        json_w_i64(w, a->shape.points[i].y);
    }
    json_w_end(w);
    json_w_end(w);
}

static void put_extras(struct json_writer *w, const struct plan *p)
{
    static const char *const words[] = {"wheelchair", "companion", "restricted_view"};

    json_w_kv_object(w, "extras");
    for (uint32_t i = 0; i < p->seat_count; i++) {
        char text[64] = "";
        size_t at = 0;
        for (size_t k = 0; k < COUNT_OF(words); k++)
            if (p->seats[i].flags & (1u << k))
                at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", at > 0 ? " " : "",
                                       words[k]);
        if (at > 0)
            json_w_kv_cstr(w, p->seats[i].guid, text);
    }
    json_w_end(w);
}

enum err plan_export(const struct plan *p, bool with_ours, struct buf *out)
{
    struct json_writer w;
    uint32_t row = 0;

    json_w_init(&w, out);
    json_w_object(&w);
    json_w_kv_cstr(&w, "name", p->name);
    json_w_kv_object(&w, "size");
    json_w_kv_i64(&w, "width", p->width);
    json_w_kv_i64(&w, "height", p->height);
    json_w_end(&w);
    json_w_kv_array(&w, "categories");
    for (uint32_t i = 0; i < p->category_count; i++) {
        json_w_object(&w);
        json_w_kv_cstr(&w, "name", p->categories[i].name);
        put_color(&w, "color", p->categories[i].color);
        json_w_end(&w);
    }
    json_w_end(&w);
    json_w_kv_array(&w, "zones");
    for (uint32_t z = 0; z < p->zone_count; z++)
        put_zone(&w, p, z, &row, with_ours);
    json_w_end(&w);
    if (with_ours) {
        json_w_kv_object(&w, "gatehouse");
        json_w_kv_array(&w, "areas");
        for (uint32_t i = 0; i < p->area_count; i++)
            put_area(&w, p, &p->areas[i]);
        json_w_end(&w);
        put_extras(&w, p);
        json_w_end(&w);
    }
    json_w_end(&w);
    TRY(json_w_finish(&w));
    return OK;
}
