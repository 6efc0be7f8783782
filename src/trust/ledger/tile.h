/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_LEDGER_TILE_H
#define TRUST_LEDGER_TILE_H

/*
 * tile - the files of the log: names, bundles of entries, and reading the tree from them. Source: C2SP tlog-tiles.
 *
 * tile/<L>/<N>[.p/<W>]        hashes: a full tile is 256 of them, 8192 bytes
 * tile/entries/<N>[.p/<W>]    the entries of the same leaves, each behind its u16 length
 * checkpoint                  the signed note that says how far the log goes
 */
#include "trust/ledger/merkle.h"

enum {
    TILE_WIDTH = 256,
    TILE_BYTES = TILE_WIDTH * MERKLE_HASH_BYTES,
    TILE_LEVELS = 8, /* 256^8 = 2^64 leaves */
    TILE_PATH_MAX = 80,
    TILE_ENTRY_MAX = 65535,
    BUNDLE_BYTES_MAX = TILE_WIDTH * (2 + TILE_ENTRY_MAX),
    OUR_BUNDLE_BYTES_MAX = 64 * 1024, /* our leaves have 34 bytes; a file beyond this is not ours */
};

struct tile_path {
    bool entries;   /* a bundle: level is 0 */
    unsigned level; /* 0..63 */
    uint64_t index;
    unsigned width; /* 1..256; 256 is the full tile */
};
void tile_path_format(const struct tile_path *p, char out[TILE_PATH_MAX]);
/* The one canonical spelling only. ERR_INVALID "bad_tile_path". */
RESULT tile_path_parse(struct span text, struct tile_path *ret_path);
/* How many hashes tile (level, index) has in a log of that size: 0 (there is none) to 256. */
unsigned tile_width(uint64_t size, unsigned level, uint64_t index);

void bundle_put(struct buf *out, struct span entry);
/* Next entry of a bundle; call while the cursor has bytes left. ERR_INVALID "truncated". */
RESULT bundle_next(struct cursor *c, struct span *ret_entry);
/* Exactly width entries and nothing after them; their leaf hashes. ERR_INVALID "bad_bundle". */
RESULT bundle_hashes(struct span bundle, unsigned width, struct merkle_hash *ret_hashes);

/* Hashes from the files of a log of a known size; remembers the last tile of each level. One thread. */
struct tile_source {
    struct merkle_source source; /* pass &x.source */
    const struct disk *disk;
    uint64_t size;
    struct {
        uint64_t index;
        unsigned width; /* 0: nothing remembered */
        struct merkle_hash hashes[TILE_WIDTH];
    } last[TILE_LEVELS];
};
void tile_source_init(struct tile_source *s, const struct disk *disk, uint64_t size);
/* A tile or partial tile as the size implies it: the full file first where a partial is wanted and only the full is left. */
RESULT tile_read(const struct disk *disk, uint64_t size, unsigned level, uint64_t index,
                 struct merkle_hash *ret_hashes, unsigned *ret_width);
/* The bundle likewise; entries beyond the size are cut off. */
RESULT bundle_read(const struct disk *disk, uint64_t size, uint64_t index, struct buf *out,
                   unsigned *ret_width);

#endif
