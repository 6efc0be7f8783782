/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sale/catalog/packed.h"

enum {
    ROW_ONE_CATEGORY = 1,
    ROW_COUNTED = 2,
    ROW_SMALL_STEPS = 4,
    ROW_FLAGS = 7,
    UNPACK_MEMORY_MAX = 128 << 20,
    COORDINATE_MAX = 1 << 26,
    NUMBER_MAX = 1 << 24,
};

#define BAD(condition)                                                                             \
    ENSURE(condition, ERR_INVALID, "bad_plan", "The packed plan is not well-formed.")

struct unpacker {
    struct packed *p;
    struct cursor in;
    struct packed_row *rows;
    uint8_t *category;
    struct plan_point *at;
    uint32_t *row_of, *run_of;
};

static enum err array(struct unpacker *u, size_t count, size_t size, void *ret_array)
{
    void *made = arena_array(&u->p->arena, count > 0 ? count : 1, size);
    ENSURE(made, ERR_NOMEM, "no_memory", "The plan needs more memory than a plan may take.");
    memcpy(ret_array, &made, sizeof made);
    return OK;
}

/* Counts come before what they count: at least so many bytes must follow, so that nobody makes us reserve on a promise. */
static enum err enough(const struct unpacker *u, uint32_t count, size_t least)
{
    BAD((uint64_t)count * least <= u->in.rest.len);
    return OK;
}

static enum err get_text(struct unpacker *u, const char **ret_text)
{
    uint8_t len;
    struct span text;

    TRY(cursor_u8(&u->in, &len));
    TRY(cursor_take(&u->in, len, &text));
    BAD(utf8_valid(text) && span_find(text, 0) == text.len);
    const char *copy = arena_text(&u->p->arena, text);
    ENSURE(copy, ERR_NOMEM, "no_memory", "The plan needs more memory than a plan may take.");
    *ret_text = copy;
    return OK;
}

static enum err get_color(struct unpacker *u, struct plan_color *ret_color)
{
    return cursor_copy(&u->in, ret_color, 3);
}

static enum err get_i32(struct unpacker *u, int32_t *ret_value)
{
    uint32_t v;
    TRY(cursor_u32be(&u->in, &v));
    *ret_value = (int32_t)v;
    return OK;
}

static enum err in_bounds(struct plan_point at)
{
    BAD(at.x >= -COORDINATE_MAX && at.x <= COORDINATE_MAX && at.y >= -COORDINATE_MAX &&
        at.y <= COORDINATE_MAX);
    return OK;
}

static enum err get_point(struct unpacker *u, struct plan_point *ret_at)
{
    TRY(get_i32(u, &ret_at->x));
    TRY(get_i32(u, &ret_at->y));
    return in_bounds(*ret_at);
}

/* Looked at, not kept: the server draws nothing. */
static enum err skip_shape(struct unpacker *u)
{
    uint8_t kind;
    uint16_t count;
    struct plan_color color;
    struct plan_point at;

    TRY(cursor_u8(&u->in, &kind));
    TRY(get_color(u, &color));
    TRY(cursor_u16be(&u->in, &count));
    BAD(kind <= PLAN_ELLIPSE && count <= PLAN_POINTS_MAX);
    BAD(kind == PLAN_ELLIPSE ? count == 2 : count == 0 || count >= 3);
    for (uint16_t i = 0; i < count; i++)
        TRY(get_point(u, &at));
    return OK;
}

static enum err get_header(struct unpacker *u)
{
    struct packed *p = u->p;
    struct plan_category *categories;
    const char **zones;
    struct span magic;
    uint16_t zone_count;
    uint8_t category_count;

    TRY(cursor_take(&u->in, 4, &magic));
    BAD(span_eq_text(magic, "GHP1"));
    TRY(cursor_u32be(&u->in, &p->places));
    TRY(cursor_u32be(&u->in, &p->seats));
    BAD(p->places >= 1 && p->places <= PLAN_PLACES_MAX && p->seats <= p->places);
    TRY(cursor_u16be(&u->in, &p->width));
    TRY(cursor_u16be(&u->in, &p->height));
    TRY(cursor_u8(&u->in, &category_count));
    TRY(enough(u, category_count, 4));
    TRY(array(u, category_count, sizeof *categories, &categories));
    p->categories = categories;
    p->category_count = category_count;
    for (uint32_t i = 0; i < category_count; i++) {
        TRY(get_text(u, &categories[i].name));
        TRY(get_color(u, &categories[i].color));
    }
    TRY(cursor_u16be(&u->in, &zone_count));
    BAD(zone_count <= PLAN_ZONES_MAX);
    TRY(enough(u, zone_count, 1));
    TRY(array(u, zone_count, sizeof *zones, &zones));
    p->zones = zones;
    p->zone_count = zone_count;
    for (uint32_t i = 0; i < zone_count; i++)
        TRY(get_text(u, &zones[i]));
    return OK;
}

static enum err get_categories(struct unpacker *u, uint32_t first, uint32_t count, bool one)
{
    uint8_t category = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || !one)
            TRY(cursor_u8(&u->in, &category));
        BAD(category < u->p->category_count);
        u->category[first + i] = category;
    }
    return OK;
}

static enum err get_numbers(struct unpacker *u, struct packed_row *row, bool counted)
{
    const char **numbers;
    uint16_t number;
    uint8_t step;

    if (counted) {
        TRY(cursor_u16be(&u->in, &number));
        TRY(cursor_u8(&u->in, &step));
        row->number = (int16_t)number;
        row->number_step = (int8_t)step;
        int64_t last = row->number + (int64_t)row->number_step * (row->seats - 1);
        BAD(row->number >= 0 && last >= 0 && last <= NUMBER_MAX);
        return OK;
    }
    TRY(enough(u, row->seats, 1));
    TRY(array(u, row->seats, sizeof *numbers, &numbers));
    row->numbers = numbers;
    for (uint32_t i = 0; i < row->seats; i++)
        TRY(get_text(u, &numbers[i]));
    return OK;
}

static enum err get_steps(struct unpacker *u, const struct packed_row *row, struct plan_point at,
                          bool small)
{
    for (uint32_t i = 0; i < row->seats; i++) {
        if (i > 0 && small) {
            uint8_t d[2];
            TRY(cursor_copy(&u->in, d, 2));
            at.x += (int8_t)d[0];
            at.y += (int8_t)d[1];
        } else if (i > 0) {
            uint16_t dx, dy;
            TRY(cursor_u16be(&u->in, &dx));
            TRY(cursor_u16be(&u->in, &dy));
            at.x += (int16_t)dx;
            at.y += (int16_t)dy;
        }
        TRY(in_bounds(at));
        u->at[row->first + i] = at;
    }
    return OK;
}

static enum err get_row(struct unpacker *u, uint32_t row_no, uint32_t first)
{
    struct packed_row *row = &u->rows[row_no];
    struct plan_point at;
    uint16_t seats;
    uint8_t flags;

    row->first = first;
    TRY(cursor_u16be(&u->in, &row->zone));
    TRY(get_text(u, &row->label));
    TRY(cursor_u16be(&u->in, &seats));
    TRY(get_point(u, &at));
    TRY(cursor_u8(&u->in, &flags));
    BAD(row->zone < u->p->zone_count && (flags & ~ROW_FLAGS) == 0);
    BAD(seats >= 1 && seats <= u->p->seats - first);
    /* Rows of a zone stand together: row_in_zone counts on it. */
    BAD(row_no == 0 || row->zone >= u->rows[row_no - 1].zone);
    row->seats = seats;
    TRY(get_categories(u, first, seats, flags & ROW_ONE_CATEGORY));
    TRY(get_numbers(u, row, flags & ROW_COUNTED));
    TRY(get_steps(u, row, at, flags & ROW_SMALL_STEPS));
    for (uint32_t i = 0; i < seats; i++)
        u->row_of[first + i] = row_no;
    return OK;
}

static enum err get_rows(struct unpacker *u)
{
    struct packed *p = u->p;
    uint32_t count, first = 0;

    TRY(cursor_u32be(&u->in, &count));
    BAD(count <= p->seats);
    TRY(enough(u, count, 16));
    TRY(enough(u, p->seats, 2));
    TRY(array(u, count, sizeof *u->rows, &u->rows));
    TRY(array(u, p->places, 1, &u->category));
    TRY(array(u, p->seats, sizeof *u->at, &u->at));
    TRY(array(u, p->seats, sizeof *u->row_of, &u->row_of));
    TRY(array(u, p->seats, sizeof *u->run_of, &u->run_of));
    p->rows = u->rows;
    p->row_count = count;
    for (uint32_t i = 0; i < count; i++) {
        TRY(get_row(u, i, first));
        first += u->rows[i].seats;
    }
    BAD(first == p->seats);
    return OK;
}

static enum err get_areas(struct unpacker *u)
{
    struct packed *p = u->p;
    struct packed_area *areas;
    uint32_t next = p->seats;
    uint16_t count;

    TRY(cursor_u16be(&u->in, &count));
    BAD(count <= PLAN_AREAS_MAX);
    TRY(array(u, count, sizeof *areas, &areas));
    p->areas = areas;
    p->area_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct packed_area *a = &areas[i];
        TRY(cursor_u16be(&u->in, &a->zone));
        TRY(get_text(u, &a->name));
        TRY(cursor_u8(&u->in, &a->category));
        TRY(cursor_u32be(&u->in, &a->first));
        TRY(cursor_u32be(&u->in, &a->slots));
        BAD(a->zone < p->zone_count && a->category < p->category_count);
        BAD(a->first == next && a->slots >= 1 && a->slots <= p->places - next);
        TRY(skip_shape(u));
        memset(u->category + next, a->category, a->slots);
        next += a->slots;
    }
    BAD(next == p->places);
    return OK;
}

static enum err skip_decorations(struct unpacker *u)
{
    const char *label;
    uint16_t count;

    TRY(cursor_u16be(&u->in, &count));
    BAD(count <= PLAN_DECORATIONS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        TRY(skip_shape(u));
        TRY(get_text(u, &label));
    }
    u->p->decoration_count = count;
    BAD(u->in.rest.len == 0);
    return OK;
}

/* --- runs ------------------------------------------------------------------------------------------------------------ */

static int64_t step_square(const struct unpacker *u, uint32_t seat)
{
    int64_t dx = (int64_t)u->at[seat].x - u->at[seat - 1].x;
    int64_t dy = (int64_t)u->at[seat].y - u->at[seat - 1].y;
    return dx * dx + dy * dy;
}

static int i64_cmp(const void *va, const void *vb)
{
    int64_t a, b;
    memcpy(&a, va, sizeof a);
    memcpy(&b, vb, sizeof b);
    return (a > b) - (a < b);
}

/* Steps longer than 1.6 times the row's middle one are aisles. */
static int64_t aisle_square(const struct unpacker *u, const struct packed_row *row,
                            int64_t *scratch)
{
    for (uint32_t i = 1; i < row->seats; i++)
        scratch[i - 1] = step_square(u, row->first + i);
    if (row->seats < 3)
        return INT64_MAX; /* two seats: nothing to compare with */
    qsort(scratch, row->seats - 1, sizeof *scratch, i64_cmp);
    int64_t middle = scratch[(row->seats - 2) / 2];
    return middle * 256 / 100;
}

static void cut_row(struct unpacker *u, uint32_t row_no, uint32_t row_in_zone, int64_t *scratch,
                    struct packed_run *runs, uint32_t *count)
{
    const struct packed_row *row = &u->rows[row_no];
    int64_t aisle = aisle_square(u, row, scratch);

    for (uint32_t i = 0; i < row->seats; i++) {
        uint32_t seat = row->first + i;
        if (i == 0 || u->category[seat] != u->category[seat - 1] || step_square(u, seat) > aisle)
            runs[(*count)++] = (struct packed_run){.first = seat,
                                                   .row = row_no,
                                                   .row_in_zone = row_in_zone,
                                                   .category = u->category[seat]};
        runs[*count - 1].seats++;
        u->run_of[seat] = *count - 1;
    }
}

static enum err make_runs(struct unpacker *u)
{
    struct packed *p = u->p;
    struct packed_run *runs;
    int64_t *scratch;
    uint32_t in_zone = 0;

    TRY(array(u, p->seats, sizeof *runs, &runs));
    scratch = calloc((size_t)UINT16_MAX + 1, sizeof *scratch);
    ENSURE(scratch, ERR_NOMEM, "no_memory", "No memory to measure the rows.");
    for (uint32_t i = 0; i < p->row_count; i++) {
        in_zone = i > 0 && u->rows[i].zone == u->rows[i - 1].zone ? in_zone + 1 : 0;
        cut_row(u, i, in_zone, scratch, runs, &p->run_count);
    }
    free(scratch);
    p->runs = runs;
    return OK;
}

static enum err unpack(struct unpacker *u)
{
    TRY(get_header(u));
    TRY(get_rows(u));
    TRY(get_areas(u));
    TRY(skip_decorations(u));
    TRY(make_runs(u));
    u->p->category = u->category;
    u->p->at = u->at;
    u->p->row_of = u->row_of;
    u->p->run_of = u->run_of;
    return OK;
}

void packed_free(struct packed **p)
{
    if (!p || !*p)
        return;
    arena_done(&(*p)->arena);
    free(*p);
    *p = NULL;
}

enum err plan_unpack(struct span bytes, struct packed **ret_packed)
{
    AUTO(packed_free) struct packed *p = calloc(1, sizeof *p);
    struct unpacker u = {.p = p, .in = {bytes}};

    ENSURE(p, ERR_NOMEM, "no_memory", "No memory for a plan.");
    arena_init(&p->arena, UNPACK_MEMORY_MAX);
    BAD(bytes.len <= PACKED_MAX);
    TRY(unpack(&u));
    *ret_packed = p;
    p = NULL;
    return OK;
}

/* --- names ----------------------------------------------------------------------------------------------------------- */

const struct packed_area *packed_area_of(const struct packed *p, uint32_t place)
{
    uint32_t low = 0, high = p->area_count;

    INVARIANT(place < p->places, "a place is one of its plan's");
    if (place < p->seats)
        return NULL;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (p->areas[mid].first <= place)
            low = mid;
        else
            high = mid;
    }
    return &p->areas[low];
}

void place_names(const struct packed *p, uint32_t place, struct place_names *ret_names)
{
    const struct packed_area *area = packed_area_of(p, place);

    ret_names->category = p->category[place];
    ret_names->seat[0] = '\0';
    ret_names->row = ret_names->area = "";
    if (area) {
        ret_names->zone = p->zones[area->zone];
        ret_names->area = area->name;
        return;
    }
    const struct packed_row *row = &p->rows[p->row_of[place]];
    uint32_t at = place - row->first;
    ret_names->zone = p->zones[row->zone];
    ret_names->row = row->label;
    if (row->numbers)
        (void)snprintf(ret_names->seat, sizeof ret_names->seat, "%s", row->numbers[at]);
    else
        (void)snprintf(ret_names->seat, sizeof ret_names->seat, "%d",
                       row->number + row->number_step * (int32_t)at);
}

/* At most max bytes of text, whole characters. */
static size_t put_cut(char *out, size_t at, const char *text, size_t max)
{
    size_t len = strlen(text);

    if (len > max) {
        len = max;
        while (len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80)
            len--;
        while (len > 0 && text[len - 1] == ' ')
            len--;
    }
    memcpy(out + at, text, len);
    return at + len;
}

void place_label(const struct packed *p, uint32_t place, char out[PLACE_LABEL_MAX])
{
    struct place_names n;
    size_t at = 0, room = PLACE_LABEL_MAX - 1;

    place_names(p, place, &n);
    if (n.area[0] != '\0') {
        out[put_cut(out, 0, n.area, room)] = '\0';
        return;
    }
    /* Row and seat first get what they need (within reason): the zone is what can be guessed. */
    size_t seat = strlen(n.seat) < 7 ? strlen(n.seat) : 7;
    size_t row = strlen(n.row) < 7 ? strlen(n.row) : 7;
    if (n.zone[0] != '\0') {
        at = put_cut(out, at, n.zone, room - seat - row - 2);
        out[at++] = '/';
    }
    if (row > 0) {
        at = put_cut(out, at, n.row, row);
        out[at++] = '/';
    }
    at = put_cut(out, at, n.seat, seat);
    out[at] = '\0';
}

enum err plan_unpack_categories(struct span bytes, struct arena *a,
                                const struct plan_category **ret_categories, size_t *ret_count)
{
    enum { HEAD = 4 + 4 + 4 + 2 + 2 };
    struct cursor c = {bytes};
    struct plan_category *list;
    struct span head, name;
    uint8_t count, len;

    TRY(cursor_take(&c, HEAD, &head));
    ENSURE(span_starts(head, "GHP1"), ERR_INVALID, "bad_plan", "This is no packed plan.");
    TRY(cursor_u8(&c, &count));
    list = arena_array(a, count, sizeof *list);
    ENSURE(list, ERR_NOMEM, "no_memory", "The request needs more memory than it may have.");
    for (size_t i = 0; i < count; i++) {
        TRY(cursor_u8(&c, &len));
        TRY(cursor_take(&c, len, &name));
        ENSURE(utf8_valid(name), ERR_INVALID, "bad_plan", "A name in the plan is not UTF-8.");
        list[i].name = arena_text(a, name);
        ENSURE(list[i].name, ERR_NOMEM, "no_memory",
               "The request needs more memory than it may have.");
        TRY(cursor_u8(&c, &list[i].color.r));
        TRY(cursor_u8(&c, &list[i].color.g));
        TRY(cursor_u8(&c, &list[i].color.b));
    }
    *ret_categories = list;
    *ret_count = count;
    return OK;
}
