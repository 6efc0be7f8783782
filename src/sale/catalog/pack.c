/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "sale/catalog/packed.h"

enum { ROW_ONE_CATEGORY = 1, ROW_COUNTED = 2, ROW_SMALL_STEPS = 4 };

/* Sticky, like the buf: a text that does not fit spoils it. */
struct packer {
    struct buf *out;
    bool too_long;
};

static void put_text(struct packer *k, const char *text)
{
    size_t len = strlen(text);
    if (len > PLAN_TEXT_MAX) {
        k->too_long = true;
        len = 0;
    }
    buf_put_u8(k->out, (uint8_t)len);
    buf_put(k->out, text, len);
}

static void put_color(struct packer *k, struct plan_color c)
{
    buf_put_u8(k->out, c.r);
    buf_put_u8(k->out, c.g);
    buf_put_u8(k->out, c.b);
}

static void put_point(struct packer *k, struct plan_point at)
{
    buf_put_u32be(k->out, (uint32_t)at.x);
    buf_put_u32be(k->out, (uint32_t)at.y);
}

static void put_shape(struct packer *k, const struct plan_shape *s)
{
    buf_put_u8(k->out, (uint8_t)s->kind);
    put_color(k, s->color);
    buf_put_u16be(k->out, s->point_count);
    for (uint16_t i = 0; i < s->point_count; i++)
        put_point(k, s->points[i]);
}

/* A seat number as it would be printed, 0..30000; -1 otherwise. */
static int32_t plain_number(const char *text)
{
    int64_t v;
    if (text_to_i64(span_text(text), &v) != OK) {
        err_clear();
        return -1;
    }
    return v >= 0 && v <= 30000 ? (int32_t)v : -1;
}

struct row_form {
    uint8_t flags;
    int32_t number, step;
};

static struct row_form row_form(const struct plan *p, const struct plan_seat_row *r)
{
    const struct plan_seat *s = &p->seats[r->first];
    struct row_form f = {.flags = ROW_ONE_CATEGORY | ROW_SMALL_STEPS};
    bool counted = true;

    f.number = plain_number(s[0].number);
    f.step = r->count > 1 ? plain_number(s[1].number) - f.number : 0;
    if (f.number < 0 || f.step < -127 || f.step > 127)
        counted = false;
    for (uint32_t i = 0; i < r->count; i++) {
        if (s[i].category != s[0].category)
            f.flags &= (uint8_t)~ROW_ONE_CATEGORY;
        if (i > 0) {
            int32_t dx = s[i].at.x - s[i - 1].at.x, dy = s[i].at.y - s[i - 1].at.y;
            if (dx < -128 || dx > 127 || dy < -128 || dy > 127)
                f.flags &= (uint8_t)~ROW_SMALL_STEPS;
        }
        int32_t number = counted ? plain_number(s[i].number) : -1;
        if (number < 0 || number != f.number + f.step * (int32_t)i)
            counted = false;
    }
    if (counted)
        f.flags |= ROW_COUNTED;
    return f;
}

static enum err put_row(struct packer *k, const struct plan *p, const struct plan_seat_row *r)
{
    const struct plan_seat *s = &p->seats[r->first];
    struct row_form f = row_form(p, r);

    ENSURE(r->count <= UINT16_MAX && r->zone <= UINT16_MAX, ERR_LIMIT, "too_many_places",
           "A row has at most 65535 seats.");
    buf_put_u16be(k->out, (uint16_t)r->zone);
    put_text(k, r->number);
    buf_put_u16be(k->out, (uint16_t)r->count);
    put_point(k, s[0].at);
    buf_put_u8(k->out, f.flags);
    for (uint32_t i = 0; i < (f.flags & ROW_ONE_CATEGORY ? 1 : r->count); i++)
        buf_put_u8(k->out, s[i].category);
    if (f.flags & ROW_COUNTED) {
        buf_put_u16be(k->out, (uint16_t)f.number);
        buf_put_u8(k->out, (uint8_t)f.step);
    } else {
        for (uint32_t i = 0; i < r->count; i++)
            put_text(k, s[i].number);
    }
    for (uint32_t i = 1; i < r->count; i++) {
        int32_t dx = s[i].at.x - s[i - 1].at.x, dy = s[i].at.y - s[i - 1].at.y;
        ENSURE(dx >= INT16_MIN && dx <= INT16_MAX && dy >= INT16_MIN && dy <= INT16_MAX, ERR_LIMIT,
               "too_large", "Two seats of a row stand too far apart.");
        if (f.flags & ROW_SMALL_STEPS) {
            buf_put_u8(k->out, (uint8_t)dx);
            buf_put_u8(k->out, (uint8_t)dy);
        } else {
            buf_put_u16be(k->out, (uint16_t)dx);
            buf_put_u16be(k->out, (uint16_t)dy);
        }
    }
    return OK;
}

static enum err put_rows(struct packer *k, const struct plan *p)
{
    uint32_t rows = 0;

    for (uint32_t i = 0; i < p->row_count; i++)
        rows += p->rows[i].count > 0; /* a row without seats is only in the source */
    buf_put_u32be(k->out, rows);
    for (uint32_t i = 0; i < p->row_count; i++)
        if (p->rows[i].count > 0)
            TRY(put_row(k, p, &p->rows[i]));
    return OK;
}

static void put_areas(struct packer *k, const struct plan *p)
{
    uint32_t first = p->seat_count;

    buf_put_u16be(k->out, (uint16_t)p->area_count);
    for (uint32_t i = 0; i < p->area_count; i++) {
        const struct plan_area *a = &p->areas[i];
        buf_put_u16be(k->out, (uint16_t)a->zone);
        put_text(k, a->name);
        buf_put_u8(k->out, a->category);
        buf_put_u32be(k->out, first);
        buf_put_u32be(k->out, a->slots);
        put_shape(k, &a->shape);
        first += a->slots;
    }
}

enum err plan_pack(const struct plan *p, struct buf *out)
{
    struct packer k = {.out = out};

    buf_put(out, "GHP1", 4);
    buf_put_u32be(out, plan_places(p));
    buf_put_u32be(out, p->seat_count);
    buf_put_u16be(out, p->width);
    buf_put_u16be(out, p->height);
    buf_put_u8(out, (uint8_t)p->category_count);
    for (uint32_t i = 0; i < p->category_count; i++) {
        put_text(&k, p->categories[i].name);
        put_color(&k, p->categories[i].color);
    }
    buf_put_u16be(out, (uint16_t)p->zone_count);
    for (uint32_t i = 0; i < p->zone_count; i++)
        put_text(&k, p->zones[i].name);
    TRY(put_rows(&k, p));
    put_areas(&k, p);
    buf_put_u16be(out, (uint16_t)p->decoration_count);
    for (uint32_t i = 0; i < p->decoration_count; i++) {
        put_shape(&k, &p->decorations[i].shape);
        put_text(&k, p->decorations[i].label);
    }
    ENSURE(!k.too_long, ERR_LIMIT, "too_large", "A text of the plan is longer than %d bytes.",
           PLAN_TEXT_MAX);
    TRY(buf_check(out));
    return OK;
}
