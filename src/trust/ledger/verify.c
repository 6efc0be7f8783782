/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/ledger/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct verifying {
    const struct disk *disk;
    struct ledger_verify_report *report;
    struct merkle_state tree;                             /* from the entries */
    struct merkle_hash computed[TILE_LEVELS][TILE_WIDTH]; /* the tile each level is at */
    unsigned widths[TILE_LEVELS];
    struct tile_source source; /* from the tiles as stored */
};

__attribute__((format(printf, 4, 5))) static enum err
wrong(struct verifying *v, struct tile_path p, uint64_t offset, const char *format, ...)
{
    va_list args;

    tile_path_format(&p, v->report->file);
    v->report->offset = offset;
    va_start(args, format);
    (void)vsnprintf(v->report->sentence, sizeof v->report->sentence, format, args);
    va_end(args);
    FAIL(ERR_CORRUPT, "log_altered", "%s, byte %llu: %s", v->report->file,
         (unsigned long long)offset, v->report->sentence);
}

/* Does the rest of the log vouch for this tile as it is stored? Then what lies below it is wrong, else it is itself. */
static bool vouched(struct verifying *v, unsigned level, uint64_t index)
{
    struct merkle_hash stored[TILE_WIDTH], fold, above;
    unsigned width;

    if (tile_read(v->disk, v->report->size, level, index, stored, &width) != OK)
        return false;
    tile_source_init(&v->source, v->disk, v->report->size);
    const struct merkle_source *source = &v->source.source;
    if (width < TILE_WIDTH || level + 1 == TILE_LEVELS)
        return merkle_root_from(source, v->report->size, &fold) == OK &&
               merkle_hash_eq(&fold, &v->report->root);
    merkle_fold(stored, TILE_WIDTH, &fold);
    return source->node(source->self, 8 * (level + 1), index, &above) == OK &&
           merkle_hash_eq(&fold, &above);
}

/* Where entry number at begins in its bundle. */
static uint64_t entry_offset(struct verifying *v, uint64_t bundle, unsigned at)
{
    AUTO(buf_done) struct buf b;
    struct cursor c;
    struct span entry;
    unsigned width;

    buf_init(&b, BUNDLE_BYTES_MAX);
    if (bundle_read(v->disk, v->report->size, bundle, &b, &width) != OK)
        return 0;
    c.rest = buf_span(&b);
    while (at-- > 0 && bundle_next(&c, &entry) == OK)
        ;
    return b.len - c.rest.len;
}

static enum err wrong_hash(struct verifying *v, unsigned level, uint64_t index, unsigned width,
                           unsigned at)
{
    struct tile_path p = {.level = level, .index = index, .width = width};
    uint64_t below = index * TILE_WIDTH + at;

    if (!vouched(v, level, index))
        return wrong(v, p, (uint64_t)at * MERKLE_HASH_BYTES,
                     "this hash is not that of what lies below it");
    if (level == 0)
        return wrong(v, (struct tile_path){.entries = true, .index = index, .width = width},
                     entry_offset(v, index, at), "entry %llu is not the one that was logged",
                     (unsigned long long)below);
    return wrong(v, (struct tile_path){.level = level - 1, .index = below, .width = TILE_WIDTH}, 0,
                 "this tile and what lies below it are not what was logged");
}

/* The stored tile against what was computed for it; both full file and partial where both are there. */
static enum err check_tile(struct verifying *v, unsigned level, uint64_t index)
{
    AUTO(buf_done) struct buf b;
    unsigned width = v->widths[level];
    struct tile_path p = {.level = level, .index = index, .width = width};
    char path[TILE_PATH_MAX];

    buf_init(&b, TILE_BYTES + 1);
    tile_path_format(&p, path);
    enum err e = v->disk->read(v->disk->self, path, &b);
    v->report->files++;
    if (e == ERR_NOT_FOUND)
        return wrong(v, p, 0, "the file is missing");
    if (e != ERR_LIMIT)
        TRY(e);
    if (b.len != (size_t)width * MERKLE_HASH_BYTES)
        return wrong(v, p, b.len, "the file has another length than %u hashes", width);
    for (unsigned i = 0; i < width; i++)
        if (memcmp(b.data + (size_t)i * MERKLE_HASH_BYTES, v->computed[level][i].b,
                   MERKLE_HASH_BYTES) != 0)
            return wrong_hash(v, level, index, width, i);
    return OK;
}

static enum err push(struct verifying *v, const struct merkle_hash *leaf)
{
    struct merkle_hash hash = *leaf;

    for (unsigned l = 0; l < TILE_LEVELS; l++) {
        v->computed[l][v->widths[l]++] = hash;
        if (v->widths[l] < TILE_WIDTH)
            break;
        TRY(check_tile(v, l, (v->tree.size >> (8 * l)) / TILE_WIDTH));
        merkle_fold(v->computed[l], TILE_WIDTH, &hash);
        v->widths[l] = 0;
    }
    merkle_append(&v->tree, leaf);
    return OK;
}

static enum err check_bundle(struct verifying *v, uint64_t index, struct buf *b)
{
    unsigned width = tile_width(v->report->size, 0, index);
    struct tile_path p = {.entries = true, .index = index, .width = width};
    char path[TILE_PATH_MAX];
    struct cursor c;
    struct span entry;

    buf_reset(b);
    tile_path_format(&p, path);
    enum err e = v->disk->read(v->disk->self, path, b);
    v->report->files++;
    if (e == ERR_NOT_FOUND)
        return wrong(v, p, 0, "the file is missing");
    if (e == ERR_LIMIT)
        return wrong(v, p, 0, "the file is longer than a bundle can be");
    TRY(e);
    c.rest = buf_span(b);
    for (unsigned i = 0; i < width; i++) {
        struct merkle_hash hash;
        size_t at = b->len - c.rest.len;
        if (bundle_next(&c, &entry) != OK)
            return wrong(v, p, at, "the file ends in its entry %u of %u", i, width);
        merkle_leaf(entry, &hash);
        TRY(push(v, &hash));
    }
    if (c.rest.len > 0)
        return wrong(v, p, b->len - c.rest.len, "the file goes on after its %u entries", width);
    return OK;
}

static enum err wrong_checkpoint(struct ledger_verify_report *r, const char *sentence)
{
    (void)snprintf(r->file, sizeof r->file, "checkpoint");
    (void)snprintf(r->sentence, sizeof r->sentence, "%s", sentence);
    FAIL(ERR_CORRUPT, "log_altered", "checkpoint: %s", sentence);
}

static enum err read_checkpoint(const struct disk *disk, const struct vkey *key,
                                struct ledger_verify_report *r)
{
    AUTO(buf_done) struct buf b;
    struct checkpoint c;

    buf_init(&b, NOTE_BYTES_MAX);
    enum err e = disk->read(disk->self, "checkpoint", &b);
    ENSURE(e != ERR_NOT_FOUND, ERR_NOT_FOUND, "no_checkpoint", "The log has published nothing.");
    if (e == ERR_LIMIT)
        return wrong_checkpoint(r, "the file is longer than a checkpoint can be");
    TRY(e);
    r->files = 1;
    e = checkpoint_open(buf_span(&b), key, &c);
    if (e == ERR_INVALID || e == ERR_LIMIT)
        return wrong_checkpoint(r, "this is no signed checkpoint");
    if (e == ERR_DENIED)
        return wrong_checkpoint(r, "the signature of the log's key does not hold");
    TRY(e);
    r->size = c.size;
    r->root = c.root;
    return OK;
}

static enum err verify_tree(struct verifying *v)
{
    AUTO(buf_done) struct buf b;
    struct merkle_hash root;
    uint64_t size = v->report->size;

    buf_init(&b, BUNDLE_BYTES_MAX);
    for (uint64_t i = 0; i * TILE_WIDTH < size; i++)
        TRY(check_bundle(v, i, &b));
    for (unsigned l = 0; l < TILE_LEVELS; l++)
        if (v->widths[l] > 0)
            TRY(check_tile(v, l, (size >> (8 * l)) / TILE_WIDTH));
    merkle_root(&v->tree, &root);
    if (!merkle_hash_eq(&root, &v->report->root))
        return wrong_checkpoint(v->report, "the files agree with each other, but their root is not "
                                           "the one that was signed");
    return OK;
}

enum err ledger_verify(const struct disk *disk, const struct vkey *key,
                       struct ledger_verify_report *ret_report)
{
    struct ledger_verify_report *r = ret_report;
    struct verifying *v;

    memset(r, 0, sizeof *r);
    TRY(read_checkpoint(disk, key, r));
    v = calloc(1, sizeof *v);
    ENSURE(v, ERR_NOMEM, "no_memory", "No memory to verify the log.");
    v->disk = disk;
    v->report = r;
    enum err e = verify_tree(v);
    free(v);
    return e;
}
