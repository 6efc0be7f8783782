/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ground/encode/json.h"
#include "sale/catalog/plan_make.h"

/* Copy as much as fits, ending between characters. */
static void cut_text(const char *text, char *out, size_t out_size)
{
    size_t len = strlen(text);
    if (len > out_size - 1) {
        len = out_size - 1;
        while (len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80)
            len--;
    }
    memcpy(out, text, len);
    out[len] = '\0';
}

void plan_repair_add(struct plan_repairs *r, const char *kind, const char *pointer, const char *was,
                     const char *now)
{
    r->count++;
    if (r->kept == PLAN_REPAIRS_KEPT)
        return;
    struct plan_repair *one = &r->list[r->kept++];
    one->kind = kind;
    cut_text(pointer, one->pointer, sizeof one->pointer);
    cut_text(was, one->was, sizeof one->was);
    cut_text(now, one->now, sizeof one->now);
}

enum err plan_repairs_json(const struct plan_repairs *r, struct buf *out)
{
    struct json_writer w;

    json_w_init(&w, out);
    json_w_array(&w);
    for (uint32_t i = 0; i < r->kept; i++) {
        json_w_object(&w);
        json_w_kv_cstr(&w, "kind", r->list[i].kind);
        json_w_kv_cstr(&w, "pointer", r->list[i].pointer);
        json_w_kv_cstr(&w, "was", r->list[i].was);
        json_w_kv_cstr(&w, "now", r->list[i].now);
        json_w_end(&w);
    }
    if (r->count > r->kept) {
        json_w_object(&w);
        json_w_kv_cstr(&w, "kind", "more");
        json_w_kv_i64(&w, "count", r->count - r->kept);
        json_w_end(&w);
    }
    json_w_end(&w);
    TRY(json_w_finish(&w));
    return OK;
}

/* --- seat_guid ------------------------------------------------------------------------------------------------------- */

/* Sorting, not hashing: linear enough, and nobody can choose names that make it slow. */
struct seat_key {
    const char *text;
    uint32_t seat;
};

static int key_cmp(const void *va, const void *vb)
{
    const struct seat_key *a = va, *b = vb;
    int c = strcmp(a->text, b->text);
    return c != 0 ? c : (a->seat > b->seat) - (a->seat < b->seat);
}

static int key_cmp_text(const void *va, const void *vb)
{
    const struct seat_key *a = va, *b = vb;
    return strcmp(a->text, b->text);
}

static bool key_known(const struct seat_key *keys, size_t count, const char *text)
{
    struct seat_key wanted = {.text = text};
    return count > 0 && bsearch(&wanted, keys, count, sizeof *keys, key_cmp_text);
}

static int seat_cmp(const void *va, const void *vb)
{
    const struct seat_key *a = va, *b = vb;
    return (a->seat > b->seat) - (a->seat < b->seat);
}

static void seat_pointer(const struct plan *p, const uint32_t *row_base, uint32_t seat, char *out)
{
    uint32_t low = 0, high = p->row_count;

    /* The last row whose first seat is not after it; empty rows before it share their `first`. */
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (p->rows[mid].first <= seat)
            low = mid;
        else
            high = mid;
    }
    const struct plan_seat_row *row = &p->rows[low];
    (void)snprintf(out, ERR_POINTER_MAX, "#/zones/%u/rows/%u/seats/%u/seat_guid", row->zone,
                   low - row_base[row->zone], seat - row->first);
}

/* all: every guid as the file has it, sorted. again: the seats that need another, sorted by their uuid. */
struct guids {
    struct seat_key *all, *again;
    size_t all_count, again_count;
};

static void guids_done(struct guids *g)
{
    free(g->all);
    free(g->again);
}

/* Its uuid, when that is nobody's guid and no earlier duplicate took it. */
static bool uuid_serves(const struct guids *g, size_t i)
{
    const char *uuid = g->again[i].text;
    return uuid[0] != '\0' && (i == 0 || strcmp(g->again[i - 1].text, uuid) != 0) &&
           !key_known(g->all, g->all_count, uuid);
}

static enum err guid_counted(struct plan *p, const struct guids *g, uint32_t seat,
                             const char **ret_guid)
{
    char text[40];

    for (uint32_t n = 0;; n++) {
        if (n == 0)
            (void)snprintf(text, sizeof text, "place-%u", seat);
        else
            (void)snprintf(text, sizeof text, "place-%u-%u", seat, n);
        if (!key_known(g->all, g->all_count, text) && !key_known(g->again, g->again_count, text))
            return plan_text(p, span_text(text), ret_guid);
    }
}

static enum err find_duplicates(const struct plan *p, struct guids *g)
{
    g->all = calloc((size_t)p->seat_count + 1, sizeof *g->all);
    g->again = calloc((size_t)p->seat_count + 1, sizeof *g->again);
    ENSURE(g->all && g->again, ERR_NOMEM, "no_memory", "No memory to compare the seats.");
    for (uint32_t i = 0; i < p->seat_count; i++)
        g->all[i] = (struct seat_key){p->seats[i].guid, i};
    g->all_count = p->seat_count;
    qsort(g->all, g->all_count, sizeof *g->all, key_cmp);
    for (size_t i = 0; i < g->all_count; i++) {
        bool first = i == 0 || strcmp(g->all[i - 1].text, g->all[i].text) != 0;
        if (first && g->all[i].text[0] != '\0')
            continue;
        const char *uuid = p->seats[g->all[i].seat].uuid;
        g->again[g->again_count++] = (struct seat_key){uuid ? uuid : "", g->all[i].seat};
    }
    qsort(g->again, g->again_count, sizeof *g->again, key_cmp);
    return OK;
}

enum err plan_unique_guids(struct plan *p, const uint32_t *row_base, struct plan_repairs *repairs)
{
    AUTO(guids_done) struct guids g = {0};
    struct seat_key *order;
    char pointer[ERR_POINTER_MAX];

    TRY(find_duplicates(p, &g));
    if (g.again_count == 0)
        return OK;
    /* text: the new guid, told in the order of the seats. */
    TRY(plan_array(p, g.again_count, sizeof *order, &order));
    for (size_t i = 0; i < g.again_count; i++) {
        order[i] = g.again[i];
        if (!uuid_serves(&g, i))
            TRY(guid_counted(p, &g, g.again[i].seat, &order[i].text));
    }
    qsort(order, g.again_count, sizeof *order, seat_cmp);
    for (size_t i = 0; i < g.again_count; i++) {
        struct plan_seat *s = &p->seats[order[i].seat];
        bool from_uuid = s->uuid && strcmp(s->uuid, order[i].text) == 0;
        seat_pointer(p, row_base, order[i].seat, pointer);
        plan_repair_add(repairs, from_uuid ? "guid_from_uuid" : "guid_counted", pointer, s->guid,
                        order[i].text);
        s->guid = order[i].text;
    }
    return OK;
}

/* --- size ------------------------------------------------------------------------------------------------------------ */

struct box {
    int32_t left, top, right, bottom;
};

static void box_add(struct box *b, struct plan_point at, int32_t rx, int32_t ry)
{
    if (at.x - rx < b->left)
        b->left = at.x - rx;
    if (at.y - ry < b->top)
        b->top = at.y - ry;
    if (at.x + rx > b->right)
        b->right = at.x + rx;
    if (at.y + ry > b->bottom)
        b->bottom = at.y + ry;
}

static void box_add_shape(struct box *b, const struct plan_shape *s)
{
    if (s->kind == PLAN_ELLIPSE && s->point_count == 2) {
        box_add(b, s->points[0], s->points[1].x, s->points[1].y);
        return;
    }
    for (uint16_t i = 0; i < s->point_count; i++)
        box_add(b, s->points[i], 0, 0);
}

static void point_move(struct plan_point *at, int32_t dx, int32_t dy)
{
    at->x += dx;
    at->y += dy;
}

/* Why the cast: a plan's points are const to its readers; its makers own them. */
static void shape_move(const struct plan_shape *s, int32_t dx, int32_t dy)
{
    struct plan_point *points = (struct plan_point *)(uintptr_t)s->points;
    for (uint16_t i = 0; i < (s->kind == PLAN_ELLIPSE ? 1 : s->point_count); i++)
        point_move(&points[i], dx, dy);
}

static void plan_move(struct plan *p, int32_t dx, int32_t dy)
{
    for (uint32_t i = 0; i < p->zone_count; i++)
        point_move(&p->zones[i].at, dx, dy);
    for (uint32_t i = 0; i < p->row_count; i++)
        point_move(&p->rows[i].at, dx, dy);
    for (uint32_t i = 0; i < p->seat_count; i++)
        point_move(&p->seats[i].at, dx, dy);
    for (uint32_t i = 0; i < p->area_count; i++)
        shape_move(&p->areas[i].shape, dx, dy);
    for (uint32_t i = 0; i < p->decoration_count; i++) {
        shape_move(&p->decorations[i].shape, dx, dy);
        point_move(&p->decorations[i].label_at, dx, dy);
    }
}

static uint16_t size_for(int32_t quarters, uint16_t has)
{
    int32_t units = (quarters + 3) / 4;
    if (units > PLAN_SIZE_MAX)
        units = PLAN_SIZE_MAX;
    return units > has ? (uint16_t)units : has;
}

bool plan_fit(struct plan *p)
{
    struct box b = {0, 0, 4, 4};
    uint16_t width, height;
    bool moved;

    for (uint32_t i = 0; i < p->seat_count; i++)
        box_add(&b, p->seats[i].at, p->seats[i].radius * 4, p->seats[i].radius * 4);
    for (uint32_t i = 0; i < p->area_count; i++)
        box_add_shape(&b, &p->areas[i].shape);
    for (uint32_t i = 0; i < p->decoration_count; i++)
        box_add_shape(&b, &p->decorations[i].shape);
    moved = b.left < 0 || b.top < 0;
    if (moved)
        plan_move(p, -b.left, -b.top);
    width = size_for(b.right - b.left, p->width);
    height = size_for(b.bottom - b.top, p->height);
    moved = moved || width != p->width || height != p->height;
    p->width = width;
    p->height = height;
    return moved;
}
