/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/ledger/tile.h"

#include <stdio.h>
#include <string.h>

void tile_path_format(const struct tile_path *p, char out[TILE_PATH_MAX])
{
    unsigned parts[8];
    size_t n = 0;
    uint64_t rest = p->index;
    int at;

    do {
        parts[n++] = (unsigned)(rest % 1000);
        rest /= 1000;
    } while (rest > 0);
    at = p->entries ? snprintf(out, TILE_PATH_MAX, "tile/entries/")
                    : snprintf(out, TILE_PATH_MAX, "tile/%u/", p->level);
    while (n-- > 0)
        at += snprintf(out + at, (size_t)(TILE_PATH_MAX - at), n > 0 ? "x%03u/" : "%03u", parts[n]);
    if (p->width != TILE_WIDTH)
        snprintf(out + at, (size_t)(TILE_PATH_MAX - at), ".p/%u", p->width);
}

#define BAD_PATH() FAIL(ERR_INVALID, "bad_tile_path", "Not the path of a tile or an entry bundle.")

static bool take_text(struct span *s, const char *prefix)
{
    if (!span_starts(*s, prefix))
        return false;
    *s = span_sub(*s, strlen(prefix), s->len);
    return true;
}

static bool take_three_digits(struct span *s, uint64_t *value)
{
    uint64_t v = 0;
    if (s->len < 3)
        return false;
    for (size_t i = 0; i < 3; i++) {
        if (s->data[i] < '0' || s->data[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s->data[i] - '0');
    }
    if (*value > (UINT64_MAX - v) / 1000)
        return false;
    *value = *value * 1000 + v;
    *s = span_sub(*s, 3, s->len);
    return true;
}

enum err tile_path_parse(struct span text, struct tile_path *ret_path)
{
    struct tile_path p = {.width = TILE_WIDTH};
    uint64_t number;
    char again[TILE_PATH_MAX];
    struct span s = text;

    if (!take_text(&s, "tile/"))
        BAD_PATH();
    if (take_text(&s, "entries/")) {
        p.entries = true;
    } else {
        size_t n = span_find(s, '/');
        if (n == 0 || n > 2 || n == s.len || text_to_u64(span_sub(s, 0, n), &number) != OK ||
            number > 63)
            BAD_PATH();
        p.level = (unsigned)number;
        s = span_sub(s, n + 1, s.len);
    }
    while (take_text(&s, "x"))
        if (!take_three_digits(&s, &p.index) || !take_text(&s, "/"))
            BAD_PATH();
    if (!take_three_digits(&s, &p.index))
        BAD_PATH();
    if (take_text(&s, ".p/")) {
        if (s.len > 3 || text_to_u64(s, &number) != OK || number < 1 || number >= TILE_WIDTH)
            BAD_PATH();
        p.width = (unsigned)number;
        s.len = 0;
    }
    if (s.len != 0)
        BAD_PATH();
    tile_path_format(&p, again); /* one spelling: no x000 in front, no sign, no leading zeros */
    if (!span_eq_text(text, again))
        BAD_PATH();
    *ret_path = p;
    return OK;
}

unsigned tile_width(uint64_t size, unsigned level, uint64_t index)
{
    uint64_t there = level < TILE_LEVELS ? size >> (8 * level) : 0;

    if (index > (UINT64_MAX >> 8) || there <= index * TILE_WIDTH)
        return 0;
    there -= index * TILE_WIDTH;
    return there < TILE_WIDTH ? (unsigned)there : TILE_WIDTH;
}

void bundle_put(struct buf *out, struct span entry)
{
    INVARIANT(entry.len <= TILE_ENTRY_MAX, "an entry has at most 65535 bytes");
    buf_put_u16be(out, (uint16_t)entry.len);
    buf_put_span(out, entry);
}

enum err bundle_next(struct cursor *c, struct span *ret_entry)
{
    uint16_t len;

    TRY(cursor_u16be(c, &len));
    TRY(cursor_take(c, len, ret_entry));
    return OK;
}

enum err bundle_hashes(struct span bundle, unsigned width, struct merkle_hash *ret_hashes)
{
    struct cursor c = {bundle};
    struct span entry;

    for (unsigned i = 0; i < width; i++) {
        if (bundle_next(&c, &entry) != OK)
            FAIL(ERR_INVALID, "bad_bundle", "The bundle ends before its entry %u of %u.", i, width);
        merkle_leaf(entry, &ret_hashes[i]);
    }
    ENSURE(c.rest.len == 0, ERR_INVALID, "bad_bundle", "The bundle goes on after its %u entries.",
           width);
    return OK;
}

/* ------------------------------------------------------------------------------------------------------------------- */

/* The file of the width wanted, else the full one. */
static enum err read_either(const struct disk *disk, struct tile_path p, struct buf *out,
                            unsigned *ret_file_width)
{
    char path[TILE_PATH_MAX];

    tile_path_format(&p, path);
    enum err e = disk->read(disk->self, path, out);
    if (e == ERR_NOT_FOUND && p.width != TILE_WIDTH) {
        buf_reset(out);
        p.width = TILE_WIDTH;
        tile_path_format(&p, path);
        e = disk->read(disk->self, path, out);
    }
    TRY(e);
    *ret_file_width = p.width;
    return OK;
}

enum err tile_read(const struct disk *disk, uint64_t size, unsigned level, uint64_t index,
                   struct merkle_hash *ret_hashes, unsigned *ret_width)
{
    AUTO(buf_done) struct buf b;
    unsigned width = tile_width(size, level, index), file_width = 0;

    buf_init(&b, TILE_BYTES);
    ENSURE(width > 0, ERR_NOT_FOUND, "no_tile", "The log has no tile %llu at level %u.",
           (unsigned long long)index, level);
    TRY(read_either(disk, (struct tile_path){.level = level, .index = index, .width = width}, &b,
                    &file_width));
    ENSURE(b.len == (size_t)file_width * MERKLE_HASH_BYTES, ERR_CORRUPT, "bad_tile",
           "Tile %llu at level %u has %zu bytes.", (unsigned long long)index, level, b.len);
    memcpy(ret_hashes, b.data, (size_t)width * MERKLE_HASH_BYTES);
    *ret_width = width;
    return OK;
}

enum err bundle_read(const struct disk *disk, uint64_t size, uint64_t index, struct buf *out,
                     unsigned *ret_width)
{
    unsigned width = tile_width(size, 0, index), file_width = 0;
    struct cursor c;
    struct span entry;

    ENSURE(width > 0, ERR_NOT_FOUND, "no_tile", "The log has no bundle %llu.",
           (unsigned long long)index);
    TRY(read_either(disk, (struct tile_path){.entries = true, .index = index, .width = width}, out,
                    &file_width));
    c.rest = buf_span(out);
    for (unsigned i = 0; i < width; i++)
        if (bundle_next(&c, &entry) != OK)
            FAIL(ERR_CORRUPT, "bad_bundle", "Bundle %llu ends before its entry %u.",
                 (unsigned long long)index, i);
    if (file_width != width)
        out->len -= c.rest.len;
    *ret_width = width;
    return OK;
}

static enum err source_node(void *self, unsigned level, uint64_t index,
                            struct merkle_hash *ret_hash)
{
    struct tile_source *s = self;
    unsigned tile_level = level / 8, height = level % 8;
    uint64_t first = index << height; /* of the 2^height hashes below it */
    uint64_t tile = first / TILE_WIDTH;
    unsigned at = (unsigned)(first % TILE_WIDTH), count = 1u << height;

    INVARIANT(tile_level < TILE_LEVELS, "a tree has at most 2^64 leaves");
    if (s->last[tile_level].width == 0 || s->last[tile_level].index != tile) {
        s->last[tile_level].width = 0;
        TRY(tile_read(s->disk, s->size, tile_level, tile, s->last[tile_level].hashes,
                      &s->last[tile_level].width));
        s->last[tile_level].index = tile;
    }
    ENSURE(at + count <= s->last[tile_level].width, ERR_NOT_FOUND, "no_tile",
           "The log does not reach node %llu at level %u.", (unsigned long long)index, level);
    merkle_fold(&s->last[tile_level].hashes[at], count, ret_hash);
    return OK;
}

void tile_source_init(struct tile_source *s, const struct disk *disk, uint64_t size)
{
    memset(s, 0, sizeof *s);
    s->source = (struct merkle_source){source_node, s};
    s->disk = disk;
    s->size = size;
}
