/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/ledger/sequencer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store/store_ledger.h"
#include "trust/ledger/ledger.h"
#include "trust/ledger/tile.h"

enum {
    LOG_FILE_MODE = 0644,
    STATE_FILE_MODE = 0600,
    STATE_BYTES_MAX = 1024,
    COMMITMENT_BYTES = 32,
    SUBTREE_LEVEL = 8, /* a full tile is a subtree of 2^8 of its hashes */
};

/* The right edge of the tree: the hashes of each level's last, partial tile, and the last bundle. */
struct edge {
    uint64_t size;
    struct merkle_state tree;
    struct merkle_hash hashes[TILE_LEVELS][TILE_WIDTH];
    unsigned widths[TILE_LEVELS];
    struct buf bundle;
};

/* Files of a step that are still to be made: together they wait for the disk once. */
struct new_files {
    size_t count;
    char paths[DISK_FILES_MAX][TILE_PATH_MAX];
    size_t ends[DISK_FILES_MAX]; /* of their contents in `contents` */
    struct buf contents;
};

struct sequencer {
    struct sequencer_config config;
    struct vkey key;
    char *state_path;
    struct edge edge;
    struct new_files new_files;
    uint64_t published;                        /* atomic */
    uint8_t last_commitment[COMMITMENT_BYTES]; /* of leaf size - 1 */
    bool stopped;
    uint8_t *commitments; /* of a step */
    size_t commitment_count;
    struct tile_source source; /* large: not on the stack */
};

#define DOUBT(...) FAIL(ERR_CORRUPT, "log_doubt", __VA_ARGS__)

uint64_t sequencer_size(const struct sequencer *s)
{
    return __atomic_load_n(&s->published, __ATOMIC_ACQUIRE);
}

/* --- Writing ------------------------------------------------------------------------------------------------------------- */

static enum err make_files(struct sequencer *s)
{
    struct new_files *n = &s->new_files;
    struct disk_file files[DISK_FILES_MAX];
    struct span rest = buf_span(&n->contents);
    size_t count = n->count, from = 0;

    TRY(buf_check(&n->contents));
    for (size_t i = 0; i < count; i++) {
        files[i] = (struct disk_file){n->paths[i], span_sub(rest, from, n->ends[i] - from)};
        from = n->ends[i];
    }
    enum err e = s->config.disk->create_all(s->config.disk->self, files, count, LOG_FILE_MODE);
    n->count = 0;
    buf_reset(&n->contents);
    return e;
}

static enum err write_file(struct sequencer *s, struct tile_path p, struct span content)
{
    struct new_files *n = &s->new_files;

    if (n->count == DISK_FILES_MAX)
        TRY(make_files(s));
    tile_path_format(&p, n->paths[n->count]);
    buf_put_span(&n->contents, content);
    n->ends[n->count++] = n->contents.len;
    return OK;
}

static enum err write_tile(struct sequencer *s, unsigned level, uint64_t index, unsigned width)
{
    struct tile_path p = {.level = level, .index = index, .width = width};
    return write_file(s, p, span_of(s->edge.hashes[level], (size_t)width * MERKLE_HASH_BYTES));
}

static enum err write_bundle(struct sequencer *s, uint64_t index, unsigned width)
{
    struct tile_path p = {.entries = true, .index = index, .width = width};
    TRY(buf_check(&s->edge.bundle));
    return write_file(s, p, buf_span(&s->edge.bundle));
}

/* Level l has one more hash; full tiles go to the disk and one level up. */
static enum err edge_push(struct sequencer *s, const struct merkle_hash *leaf)
{
    struct edge *e = &s->edge;
    struct merkle_hash hash = *leaf;

    for (unsigned l = 0; l < TILE_LEVELS; l++) {
        e->hashes[l][e->widths[l]++] = hash;
        if (e->widths[l] < TILE_WIDTH)
            return OK;
        uint64_t index = (e->size >> (SUBTREE_LEVEL * l)) / TILE_WIDTH;
        if (l == 0) {
            TRY(write_bundle(s, index, TILE_WIDTH));
            buf_reset(&e->bundle);
        }
        TRY(write_tile(s, l, index, TILE_WIDTH));
        merkle_fold(e->hashes[l], TILE_WIDTH, &hash);
        e->widths[l] = 0;
    }
    return OK;
}

static enum err append_leaf(struct sequencer *s, const uint8_t commitment[COMMITMENT_BYTES])
{
    uint8_t leaf[ENTRY_LEAF_BYTES];
    struct merkle_hash hash;

    ledger_leaf(commitment, leaf);
    merkle_leaf(SPAN_ARRAY(leaf), &hash);
    bundle_put(&s->edge.bundle, SPAN_ARRAY(leaf));
    TRY(edge_push(s, &hash));
    merkle_append(&s->edge.tree, &hash);
    s->edge.size++;
    return OK;
}

/* Only the widths of sizes that are published exist as files. */
static enum err write_partials(struct sequencer *s, uint64_t old_size)
{
    uint64_t size = s->edge.size;

    if (s->edge.widths[0] > 0)
        TRY(write_bundle(s, size / TILE_WIDTH, s->edge.widths[0]));
    for (unsigned l = 0; l < TILE_LEVELS; l++) {
        uint64_t count = size >> (SUBTREE_LEVEL * l);
        if (s->edge.widths[l] > 0 && count != old_size >> (SUBTREE_LEVEL * l))
            TRY(write_tile(s, l, count / TILE_WIDTH, s->edge.widths[l]));
    }
    return OK;
}

/* --- Reading back -------------------------------------------------------------------------------------------------------- */

static enum err check_bundle(struct sequencer *s, uint64_t size, uint64_t index)
{
    AUTO(buf_done) struct buf b;
    struct merkle_hash from_entries[TILE_WIDTH], stored[TILE_WIDTH];
    unsigned width, tile;

    buf_init(&b, OUR_BUNDLE_BYTES_MAX);
    TRY(bundle_read(s->config.disk, size, index, &b, &width));
    TRY(bundle_hashes(buf_span(&b), width, from_entries));
    TRY(tile_read(s->config.disk, size, 0, index, stored, &tile));
    if (tile != width || memcmp(from_entries, stored, width * sizeof stored[0]) != 0)
        DOUBT("Bundle %llu does not hash to its tile.", (unsigned long long)index);
    return OK;
}

/* A full tile must fold to its hash one level up. */
static enum err check_full_tile(struct sequencer *s, uint64_t size, unsigned level, uint64_t index)
{
    struct merkle_hash stored[TILE_WIDTH], fold, above;
    unsigned width;

    TRY(tile_read(s->config.disk, size, level, index, stored, &width));
    if (width < TILE_WIDTH || level + 1 == TILE_LEVELS)
        return OK;
    merkle_fold(stored, TILE_WIDTH, &fold);
    TRY(s->source.source.node(s->source.source.self, SUBTREE_LEVEL * (level + 1), index, &above));
    if (!merkle_hash_eq(&fold, &above))
        DOUBT("Tile %llu at level %u does not fold to the level above.", (unsigned long long)index,
              level);
    return OK;
}

/* Every file a growth from old_size touched, from the bytes on the disk; then the root. */
static enum err check_written(struct sequencer *s, uint64_t old_size)
{
    struct merkle_hash want, root;
    uint64_t size = s->edge.size;

    tile_source_init(&s->source, s->config.disk, size);
    for (uint64_t i = old_size / TILE_WIDTH; i * TILE_WIDTH < size; i++)
        TRY(check_bundle(s, size, i));
    for (unsigned l = 0; l < TILE_LEVELS; l++) {
        uint64_t from = old_size >> (SUBTREE_LEVEL * l), to = size >> (SUBTREE_LEVEL * l);
        for (uint64_t i = from / TILE_WIDTH; i * TILE_WIDTH < to; i++)
            TRY(check_full_tile(s, size, l, i));
    }
    TRY(merkle_root_from(&s->source.source, size, &root));
    merkle_root(&s->edge.tree, &want);
    if (!merkle_hash_eq(&root, &want))
        DOUBT("The files do not give the root of the tree.");
    return OK;
}

/* --- Reservation, signature, publication ----------------------------------------------------------------------------------- */

static enum err read_state(struct sequencer *s, struct buf *b, struct checkpoint *ret_state)
{
    buf_reset(b);
    TRY(s->config.state->read(s->config.state->self, s->state_path, b));
    if (checkpoint_parse(buf_span(b), ret_state) != OK ||
        !span_eq_text(ret_state->origin, s->key.name))
        DOUBT("The log's state file %s is damaged or of another log.", s->state_path);
    return OK;
}

static enum err write_state(struct sequencer *s, uint64_t size, const struct merkle_hash *root)
{
    AUTO(buf_done) struct buf b;

    buf_init(&b, STATE_BYTES_MAX);
    checkpoint_format(&b, s->key.name, size, root);
    TRY(buf_check(&b));
    return s->config.state->replace(s->config.state->self, s->state_path, buf_span(&b),
                                    STATE_FILE_MODE);
}

/* The compare-and-swap: what is reserved must be what we believe it is. */
static enum err reserve(struct sequencer *s, uint64_t old_size, const struct merkle_hash *old_root,
                        const struct merkle_hash *new_root)
{
    AUTO(buf_done) struct buf b;
    struct checkpoint state;

    buf_init(&b, STATE_BYTES_MAX);
    TRY(read_state(s, &b, &state));
    if (state.size != old_size || !merkle_hash_eq(&state.root, old_root))
        DOUBT("Somebody else moved the log's state to size %llu.", (unsigned long long)state.size);
    return write_state(s, s->edge.size, new_root);
}

/* Sign the reserved pair, which continues what is published, and publish it. */
static enum err publish(struct sequencer *s, const struct merkle_hash *root)
{
    AUTO(buf_done) struct buf note;
    struct merkle_hash proof[MERKLE_PROOF_MAX];
    uint64_t old_size = sequencer_size(s), size = s->edge.size;
    struct checkpoint signed_one;
    size_t count = 0;

    buf_init(&note, NOTE_BYTES_MAX);
    tile_source_init(&s->source, s->config.disk, size);
    if (old_size > 0)
        TRY(merkle_consistency_prove(&s->source.source, old_size, size, proof, &count));
    TRY(s->config.sign(s->config.sign_context, old_size, size, root, proof, count, &note));
    TRY(buf_check(&note));
    TRY(checkpoint_open(buf_span(&note), &s->key, &signed_one));
    if (signed_one.size != size || !merkle_hash_eq(&signed_one.root, root))
        DOUBT("The signer signed another checkpoint than it was asked to.");
    TRY(s->config.disk->replace(s->config.disk->self, "checkpoint", buf_span(&note),
                                LOG_FILE_MODE));
    __atomic_store_n(&s->published, size, __ATOMIC_RELEASE);
    return OK;
}

/* --- Collecting partials ----------------------------------------------------------------------------------------------------- */

struct collected {
    bool widths[TILE_WIDTH];
};

static enum err collect_name(void *context, const char *name)
{
    struct collected *c = context;
    uint64_t width;

    if (text_to_u64(span_text(name), &width) == OK && width < TILE_WIDTH)
        c->widths[width] = true;
    return OK;
}

static enum err collect(struct sequencer *s, struct tile_path p)
{
    const struct disk *d = s->config.disk;
    struct collected c = {{false}};
    char path[TILE_PATH_MAX], dir[TILE_PATH_MAX + 2];

    p.width = TILE_WIDTH;
    tile_path_format(&p, path);
    snprintf(dir, sizeof dir, "%s.p", path);
    enum err e = d->list(d->self, dir, collect_name, &c);
    if (e == ERR_NOT_FOUND)
        return OK;
    TRY(e);
    for (p.width = 1; p.width < TILE_WIDTH; p.width++) {
        if (!c.widths[p.width])
            continue;
        tile_path_format(&p, path);
        TRY(d->remove(d->self, path));
    }
    return OK;
}

/* Partials of the one tile a level that this growth filled up; all before it were collected then. */
static enum err collect_partials(struct sequencer *s, uint64_t old_size)
{
    for (unsigned l = 0; l < TILE_LEVELS; l++) {
        uint64_t index = (old_size >> (SUBTREE_LEVEL * l)) / TILE_WIDTH;
        if (tile_width(s->edge.size, l, index) < TILE_WIDTH)
            break;
        TRY(collect(s, (struct tile_path){.level = l, .index = index}));
        if (l == 0)
            TRY(collect(s, (struct tile_path){.entries = true, .index = index}));
    }
    return OK;
}

/* --- A step -------------------------------------------------------------------------------------------------------------- */

/* The first commitment visited is of the leaf integrated last, where there is one. */
struct taking {
    struct sequencer *s;
    int64_t next_no;
};

static enum err take_commitment(void *context, int64_t entry_no,
                                const uint8_t commitment[COMMITMENT_BYTES])
{
    struct taking *t = context;
    struct sequencer *s = t->s;

    if (entry_no != t->next_no)
        DOUBT("Ledger entry %lld is missing.", (long long)t->next_no);
    t->next_no++;
    if ((uint64_t)entry_no < s->edge.size) {
        if (memcmp(commitment, s->last_commitment, COMMITMENT_BYTES) != 0)
            DOUBT("Ledger entry %lld is not the one in the log.", (long long)entry_no);
        return OK;
    }
    memcpy(s->commitments + s->commitment_count++ * COMMITMENT_BYTES, commitment, COMMITMENT_BYTES);
    return OK;
}

static enum err take_new(struct sequencer *s, struct store_reader *reader)
{
    struct store_tx *tx;
    uint64_t size = s->edge.size;
    struct taking t = {s, size > 0 ? (int64_t)size - 1 : 0};

    s->commitment_count = 0;
    TRY(store_read_begin(reader, &tx));
    enum err e = store_entry_commitments(tx, t.next_no, SEQUENCER_STEP_MAX + (size > 0 ? 1 : 0),
                                         take_commitment, &t);
    store_read_end(tx);
    TRY(e);
    if ((uint64_t)t.next_no < size)
        DOUBT("The log has %llu entries and the database fewer: it was rolled back.",
              (unsigned long long)size);
    return OK;
}

static enum err grow(struct sequencer *s)
{
    struct merkle_hash old_root, new_root;
    uint64_t old_size = s->edge.size;

    merkle_root(&s->edge.tree, &old_root);
    for (size_t i = 0; i < s->commitment_count; i++)
        TRY(append_leaf(s, s->commitments + i * COMMITMENT_BYTES));
    memcpy(s->last_commitment, s->commitments + (s->commitment_count - 1) * COMMITMENT_BYTES,
           COMMITMENT_BYTES);
    TRY(write_partials(s, old_size));
    TRY(make_files(s));
    TRY(check_written(s, old_size));
    merkle_root(&s->edge.tree, &new_root);
    TRY(reserve(s, old_size, &old_root, &new_root));
    TRY(publish(s, &new_root));
    return collect_partials(s, old_size);
}

enum err sequencer_step(struct sequencer *s, struct store_reader *reader, uint64_t *ret_grown)
{
    ENSURE(!s->stopped, ERR_CORRUPT, "sequencer_stopped",
           "The log stopped at size %llu after an error.", (unsigned long long)s->edge.size);
    enum err e = take_new(s, reader);
    if (e == ERR_BUSY)
        return e; /* nothing was begun */
    if (e == OK && s->commitment_count > 0)
        e = grow(s);
    s->stopped = e != OK;
    TRY(e);
    if (ret_grown)
        *ret_grown = s->commitment_count;
    return OK;
}

/* --- Recovery -------------------------------------------------------------------------------------------------------------- */

static enum err load_bundle(struct sequencer *s)
{
    struct edge *e = &s->edge;
    struct cursor c;
    struct span entry = {NULL, 0};
    unsigned width;

    if (e->size == 0)
        return OK;
    TRY(check_bundle(s, e->size, (e->size - 1) / TILE_WIDTH));
    TRY(bundle_read(s->config.disk, e->size, (e->size - 1) / TILE_WIDTH, &e->bundle, &width));
    for (c.rest = buf_span(&e->bundle); c.rest.len > 0;)
        TRY(bundle_next(&c, &entry));
    if (entry.len != ENTRY_LEAF_BYTES)
        DOUBT("The log's last entry is not one of ours.");
    memcpy(s->last_commitment, entry.data + 2, COMMITMENT_BYTES);
    if (width == TILE_WIDTH)
        buf_reset(&e->bundle);
    return OK;
}

/* The right edge of the reserved size, from the files; its root must be the reserved one. */
static enum err load_edge(struct sequencer *s, const struct checkpoint *state)
{
    struct edge *e = &s->edge;
    struct merkle_hash root;

    for (unsigned l = TILE_LEVELS; l-- > 0;) {
        uint64_t count = state->size >> (SUBTREE_LEVEL * l);
        if (count % TILE_WIDTH == 0)
            continue;
        TRY(tile_read(s->config.disk, state->size, l, count / TILE_WIDTH, e->hashes[l],
                      &e->widths[l]));
        for (unsigned i = 0; i < e->widths[l]; i++)
            merkle_append_subtree(&e->tree, SUBTREE_LEVEL * l, &e->hashes[l][i]);
    }
    e->size = state->size;
    merkle_root(&e->tree, &root);
    if (e->tree.size != e->size || !merkle_hash_eq(&root, &state->root))
        DOUBT("The files of the log do not give the root reserved for size %llu.",
              (unsigned long long)e->size);
    tile_source_init(&s->source, s->config.disk, e->size);
    for (unsigned l = 0; l + 1 < TILE_LEVELS; l++) {
        uint64_t full = (e->size >> (SUBTREE_LEVEL * l)) / TILE_WIDTH;
        if (full > 0)
            TRY(check_full_tile(s, e->size, l, full - 1));
    }
    return load_bundle(s);
}

/* *ret_size is 0 when nothing was ever published. */
static enum err read_published(struct sequencer *s, struct buf *b, struct checkpoint *ret)
{
    enum err e = s->config.disk->read(s->config.disk->self, "checkpoint", b);

    if (e == ERR_NOT_FOUND) {
        ret->size = 0;
        merkle_empty_root(&ret->root);
        return OK;
    }
    TRY(e);
    return checkpoint_open(buf_span(b), &s->key, ret);
}

static enum err create_state(struct sequencer *s, uint64_t published)
{
    struct merkle_hash root;

    ENSURE(s->config.may_create && published == 0, ERR_CORRUPT, "no_log_state",
           "The log's state file %s is missing: what was signed last is not known.", s->state_path);
    merkle_empty_root(&root);
    return write_state(s, 0, &root);
}

static enum err recover(struct sequencer *s)
{
    AUTO(buf_done) struct buf state_bytes, checkpoint_bytes;
    struct checkpoint state, published;
    struct merkle_hash root;

    buf_init(&state_bytes, STATE_BYTES_MAX);
    buf_init(&checkpoint_bytes, NOTE_BYTES_MAX);
    TRY(read_published(s, &checkpoint_bytes, &published));
    enum err e = read_state(s, &state_bytes, &state);
    if (e == ERR_NOT_FOUND) {
        TRY(create_state(s, published.size));
        e = read_state(s, &state_bytes, &state);
    }
    TRY(e);
    if (published.size > state.size)
        DOUBT("Size %llu is published, but only %llu was reserved: the state file is old.",
              (unsigned long long)published.size, (unsigned long long)state.size);
    TRY(load_edge(s, &state));
    tile_source_init(&s->source, s->config.disk, state.size);
    TRY(merkle_root_from(&s->source.source, published.size, &root));
    if (!merkle_hash_eq(&root, &published.root))
        DOUBT("The published checkpoint is not of this tree.");
    __atomic_store_n(&s->published, published.size, __ATOMIC_RELEASE);
    if (published.size == state.size)
        return OK;
    TRY(publish(s, &state.root));
    return collect_partials(s, published.size);
}

static enum err open_into(struct sequencer *s)
{
    s->state_path = strdup(s->config.state_path);
    s->commitments = malloc((size_t)SEQUENCER_STEP_MAX * COMMITMENT_BYTES);
    ENSURE(s->state_path && s->commitments, ERR_NOMEM, "no_memory", "No memory for the sequencer.");
    buf_init(&s->edge.bundle, OUR_BUNDLE_BYTES_MAX);
    buf_init(&s->new_files.contents, (size_t)DISK_FILES_MAX * OUR_BUNDLE_BYTES_MAX);
    return recover(s);
}

enum err sequencer_open(const struct sequencer_config *config, struct sequencer **ret_sequencer)
{
    struct sequencer *s = calloc(1, sizeof *s);

    ENSURE(s, ERR_NOMEM, "no_memory", "No memory for the sequencer.");
    s->config = *config;
    s->key = *config->key;
    enum err e = open_into(s);
    if (e != OK) {
        sequencer_close(s);
        return err_trace(e, __FILE__, __LINE__);
    }
    *ret_sequencer = s;
    return OK;
}

void sequencer_close(struct sequencer *s)
{
    if (!s)
        return;
    buf_done(&s->edge.bundle);
    buf_done(&s->new_files.contents);
    free(s->commitments);
    free(s->state_path);
    free(s);
}
