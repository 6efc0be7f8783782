/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/ledger/merkle.h"

#include <string.h>

#include "ground/crypto/crypto.h"

void merkle_leaf(struct span entry, struct merkle_hash *ret_hash)
{
    static const uint8_t prefix = 0x00;
    struct span parts[] = {{&prefix, 1}, entry};
    sha256_parts(parts, COUNT_OF(parts), ret_hash->b);
}

void merkle_node(const struct merkle_hash *left, const struct merkle_hash *right,
                 struct merkle_hash *ret_hash)
{
    sha256_node(0x01, left->b, right->b, ret_hash->b);
}

void merkle_empty_root(struct merkle_hash *ret_hash)
{
    sha256((struct span){NULL, 0}, ret_hash->b);
}

void merkle_fold(const struct merkle_hash *hashes, size_t count, struct merkle_hash *ret_hash)
{
    struct merkle_state s = {0};

    INVARIANT(count >= 1, "a fold has something to fold");
    for (size_t i = 0; i < count; i++)
        merkle_append(&s, &hashes[i]);
    merkle_root(&s, ret_hash);
}

void merkle_append_subtree(struct merkle_state *s, unsigned level, const struct merkle_hash *hash)
{
    struct merkle_hash h = *hash;
    uint64_t at;

    INVARIANT(level < 63 && (s->size & ((UINT64_C(1) << level) - 1)) == 0 &&
                  s->size <= UINT64_MAX - (UINT64_C(1) << level),
              "a subtree lands on its own multiple");
    for (at = s->size >> level; at & 1; at >>= 1)
        merkle_node(&s->stack[--s->depth], &h, &h);
    s->stack[s->depth++] = h;
    s->size += UINT64_C(1) << level;
}

void merkle_append(struct merkle_state *s, const struct merkle_hash *leaf)
{
    merkle_append_subtree(s, 0, leaf);
}

void merkle_root(const struct merkle_state *s, struct merkle_hash *ret_root)
{
    if (s->depth == 0) {
        merkle_empty_root(ret_root);
        return;
    }
    struct merkle_hash h = s->stack[s->depth - 1];
    for (size_t i = s->depth - 1; i-- > 0;)
        merkle_node(&s->stack[i], &h, &h);
    *ret_root = h;
}

/* --- Proofs ---------------------------------------------------------------------------------------------------------- */

/* log2 of the largest power of two < n; n >= 2. */
static unsigned split_level(uint64_t n)
{
    return 63 - (unsigned)__builtin_clzll(n - 1);
}

/* Root of the leaves [from, to); from is a multiple of the subtree's span, as RFC 6962 splits it. */
static enum err range_root(const struct merkle_source *source, uint64_t from, uint64_t to,
                           struct merkle_hash *ret_hash)
{
    struct merkle_state s = {0};

    /* Descending powers of two, as the binary digits of the length say. */
    while (from < to) {
        unsigned level = 63 - (unsigned)__builtin_clzll(to - from);
        struct merkle_hash h;
        TRY(source->node(source->self, level, from >> level, &h));
        s.stack[s.depth++] = h;
        from += UINT64_C(1) << level;
    }
    merkle_root(&s, ret_hash);
    return OK;
}

enum err merkle_root_from(const struct merkle_source *source, uint64_t size,
                          struct merkle_hash *ret_root)
{
    return range_root(source, 0, size, ret_root);
}

enum err merkle_inclusion_prove(const struct merkle_source *source, uint64_t index, uint64_t size,
                                struct merkle_hash *proof, size_t *ret_count)
{
    struct merkle_hash down[MERKLE_PROOF_MAX];
    uint64_t from = 0, to = size;
    size_t n = 0;

    ENSURE(index < size, ERR_INVALID, "bad_range", "There is no such leaf in a tree of that size.");
    while (to - from > 1) {
        uint64_t middle = from + (UINT64_C(1) << split_level(to - from));
        bool left = index < middle;
        TRY(range_root(source, left ? middle : from, left ? to : middle, &down[n++]));
        from = left ? from : middle;
        to = left ? middle : to;
    }
    for (size_t i = 0; i < n; i++)
        proof[i] = down[n - 1 - i];
    *ret_count = n;
    return OK;
}

enum err merkle_consistency_prove(const struct merkle_source *source, uint64_t old_size,
                                  uint64_t new_size, struct merkle_hash *proof, size_t *ret_count)
{
    struct merkle_hash down[MERKLE_PROOF_MAX];
    uint64_t from = 0, to = new_size;
    size_t n = 0;
    bool whole =
        true; /* the old tree is the whole of what is left: its root is known to the reader */

    ENSURE(old_size > 0 && old_size <= new_size, ERR_INVALID, "bad_range",
           "No proof from size %llu to %llu.", (unsigned long long)old_size,
           (unsigned long long)new_size);
    while (old_size != to) {
        uint64_t middle = from + (UINT64_C(1) << split_level(to - from));
        if (old_size <= middle) {
            TRY(range_root(source, middle, to, &down[n++]));
            to = middle;
        } else {
            TRY(range_root(source, from, middle, &down[n++]));
            from = middle;
            whole = false;
        }
    }
    if (!whole)
        TRY(range_root(source, from, to, &down[n++]));
    for (size_t i = 0; i < n; i++)
        proof[i] = down[n - 1 - i];
    *ret_count = n;
    return OK;
}

#define BAD_PROOF(why) FAIL(ERR_DENIED, "bad_proof", "The Merkle proof does not hold: %s.", why)

enum err merkle_inclusion_verify(uint64_t index, uint64_t size, const struct merkle_hash *leaf,
                                 const struct merkle_hash *proof, size_t count,
                                 const struct merkle_hash *root)
{
    uint64_t fn = index, sn = size - 1;
    struct merkle_hash r = *leaf;

    if (index >= size)
        BAD_PROOF("index outside of the tree");
    for (size_t i = 0; i < count; i++) {
        if (sn == 0)
            BAD_PROOF("too long");
        if ((fn & 1) || fn == sn) {
            merkle_node(&proof[i], &r, &r);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            merkle_node(&r, &proof[i], &r);
        }
        fn >>= 1;
        sn >>= 1;
    }
    if (sn != 0)
        BAD_PROOF("too short");
    if (!merkle_hash_eq(&r, root))
        BAD_PROOF("another root");
    return OK;
}

static enum err consistency_walk(uint64_t fn, uint64_t sn, const struct merkle_hash *first,
                                 const struct merkle_hash *proof, size_t count,
                                 const struct merkle_hash *old_root,
                                 const struct merkle_hash *new_root)
{
    struct merkle_hash fr = *first, sr = *first;

    for (size_t i = 0; i < count; i++) {
        if (sn == 0)
            BAD_PROOF("too long");
        if ((fn & 1) || fn == sn) {
            merkle_node(&proof[i], &fr, &fr);
            merkle_node(&proof[i], &sr, &sr);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            merkle_node(&sr, &proof[i], &sr);
        }
        fn >>= 1;
        sn >>= 1;
    }
    if (sn != 0)
        BAD_PROOF("too short");
    if (!merkle_hash_eq(&fr, old_root) || !merkle_hash_eq(&sr, new_root))
        BAD_PROOF("another root");
    return OK;
}

enum err merkle_consistency_verify(uint64_t old_size, uint64_t new_size,
                                   const struct merkle_hash *old_root,
                                   const struct merkle_hash *new_root,
                                   const struct merkle_hash *proof, size_t count)
{
    uint64_t fn = old_size - 1, sn = new_size - 1;

    if (old_size == 0 || old_size > new_size)
        BAD_PROOF("sizes");
    if (old_size == new_size) {
        if (count != 0 || !merkle_hash_eq(old_root, new_root))
            BAD_PROOF("the same size needs the same root and no proof");
        return OK;
    }
    if (count == 0)
        BAD_PROOF("empty");
    while (fn & 1) {
        fn >>= 1;
        sn >>= 1;
    }
    if ((old_size & (old_size - 1)) == 0)
        return consistency_walk(fn, sn, old_root, proof, count, old_root, new_root);
    return consistency_walk(fn, sn, &proof[0], proof + 1, count - 1, old_root, new_root);
}
