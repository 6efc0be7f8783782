/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/catalog/plan.h"

#include <stdlib.h>
#include <string.h>

#include "sale/catalog/plan_make.h"

enum { PLAN_MEMORY_MAX = 256 << 20 };

enum err plan_new(struct plan **ret_plan)
{
    struct plan *p = calloc(1, sizeof *p);
    ENSURE(p, ERR_NOMEM, "no_memory", "No memory for a plan.");
    arena_init(&p->arena, PLAN_MEMORY_MAX);
    *ret_plan = p;
    return OK;
}

void plan_free(struct plan **plan)
{
    if (!plan || !*plan)
        return;
    arena_done(&(*plan)->arena);
    free(*plan);
    *plan = NULL;
}

enum err plan_array(struct plan *p, size_t count, size_t size, void *ret_array)
{
    void *at = arena_array(&p->arena, count > 0 ? count : 1, size);
    ENSURE(at, ERR_NOMEM, "no_memory", "The plan needs more memory than a plan may take.");
    memcpy(ret_array, &at, sizeof at);
    return OK;
}

enum err plan_text(struct plan *p, struct span text, const char **ret_text)
{
    const char *copy = arena_text(&p->arena, text);
    ENSURE(copy, ERR_NOMEM, "no_memory", "The plan needs more memory than a plan may take.");
    *ret_text = copy;
    return OK;
}

uint32_t plan_places(const struct plan *p)
{
    uint32_t n = p->seat_count;
    for (uint32_t i = 0; i < p->area_count; i++)
        n += p->areas[i].slots;
    return n;
}

/* --- colours --------------------------------------------------------------------------------------------------------- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool color_hex(struct span t, struct plan_color *ret_color)
{
    uint8_t v[8];

    if ((t.len != 4 && t.len != 7) || t.data[0] != '#')
        return false;
    for (size_t i = 1; i < t.len; i++) {
        int d = hex_digit(t.data[i]);
        if (d < 0)
            return false;
        v[i] = (uint8_t)d;
    }
    *ret_color =
        t.len == 4
            ? (struct plan_color){(uint8_t)(v[1] * 17), (uint8_t)(v[2] * 17), (uint8_t)(v[3] * 17)}
            : (struct plan_color){(uint8_t)(v[1] << 4 | v[2]), (uint8_t)(v[3] << 4 | v[4]),
                                  (uint8_t)(v[5] << 4 | v[6])};
    return true;
}

enum err plan_color_parse(struct span text, const char *pointer, struct plan_color *ret_color)
{
    static const struct {
        const char *name;
        struct plan_color color;
    } names[] = {
        {"black", {0, 0, 0}},      {"silver", {192, 192, 192}}, {"gray", {128, 128, 128}},
        {"grey", {128, 128, 128}}, {"white", {255, 255, 255}},  {"maroon", {128, 0, 0}},
        {"red", {255, 0, 0}},      {"purple", {128, 0, 128}},   {"fuchsia", {255, 0, 255}},
        {"green", {0, 128, 0}},    {"lime", {0, 255, 0}},       {"olive", {128, 128, 0}},
        {"yellow", {255, 255, 0}}, {"navy", {0, 0, 128}},       {"blue", {0, 0, 255}},
        {"teal", {0, 128, 128}},   {"aqua", {0, 255, 255}},
    };

    if (color_hex(text, ret_color))
        return OK;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (span_ieq_text(text, names[i].name)) {
            *ret_color = names[i].color;
            return OK;
        }
    FAIL_AT(pointer, ERR_INVALID, "bad_color", "A colour is written #rrggbb.");
}

void plan_color_format(struct plan_color c, char out[8])
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t v[3] = {c.r, c.g, c.b};

    out[0] = '#';
    for (size_t i = 0; i < 3; i++) {
        out[1 + 2 * i] = digits[v[i] >> 4];
        out[2 + 2 * i] = digits[v[i] & 15];
    }
    out[7] = '\0';
}
