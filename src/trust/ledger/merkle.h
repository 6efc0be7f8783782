/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_LEDGER_MERKLE_H
#define TRUST_LEDGER_MERKLE_H

/*
 * merkle - the tree of RFC 6962 section 2.1 over SHA-256: hashing, growing, proving, checking. Pure; it owns no bytes.
 */
#include "ground/base/base.h"

enum { MERKLE_HASH_BYTES = 32, MERKLE_PROOF_MAX = 64 };

struct merkle_hash {
    uint8_t b[MERKLE_HASH_BYTES];
};

static inline bool merkle_hash_eq(const struct merkle_hash *a, const struct merkle_hash *b)
{
    return __builtin_memcmp(a->b, b->b, MERKLE_HASH_BYTES) == 0;
}

void merkle_leaf(struct span entry, struct merkle_hash *ret_hash);
void merkle_node(const struct merkle_hash *left, const struct merkle_hash *right,
                 struct merkle_hash *ret_hash);
/* Root of the tree without leaves: SHA-256(""). */
void merkle_empty_root(struct merkle_hash *ret_hash);
/* Root over count hashes of equal height (count >= 1), e.g. of one tile. */
void merkle_fold(const struct merkle_hash *hashes, size_t count, struct merkle_hash *ret_hash);

/* Append state: the roots of the perfect subtrees, largest first. Zeroed = empty. */
struct merkle_state {
    uint64_t size;
    size_t depth;
    struct merkle_hash stack[64];
};
void merkle_append(struct merkle_state *s, const struct merkle_hash *leaf);
/* Append the root of a perfect subtree of 2^level leaves; the size must be a multiple of that (asserted). */
void merkle_append_subtree(struct merkle_state *s, unsigned level, const struct merkle_hash *hash);
void merkle_root(const struct merkle_state *s, struct merkle_hash *ret_root);

/* Where proofs get their hashes: the root of the perfect subtree of leaves [index << level, (index + 1) << level). */
struct merkle_source {
    enum err (*node)(void *self, unsigned level, uint64_t index, struct merkle_hash *ret_hash);
    void *self;
};
RESULT merkle_root_from(const struct merkle_source *source, uint64_t size,
                        struct merkle_hash *ret_root);
/* proof holds MERKLE_PROOF_MAX. ERR_INVALID "bad_range" unless index < size. */
RESULT merkle_inclusion_prove(const struct merkle_source *source, uint64_t index, uint64_t size,
                              struct merkle_hash *proof, size_t *ret_count);
/* From a tree of old_size to one of new_size. ERR_INVALID "bad_range" unless 0 < old_size <= new_size. */
RESULT merkle_consistency_prove(const struct merkle_source *source, uint64_t old_size,
                                uint64_t new_size, struct merkle_hash *proof, size_t *ret_count);

/* ERR_DENIED "bad_proof" unless the leaf is at index in the tree of that size and root. */
RESULT merkle_inclusion_verify(uint64_t index, uint64_t size, const struct merkle_hash *leaf,
                               const struct merkle_hash *proof, size_t count,
                               const struct merkle_hash *root);
/*
 * ERR_DENIED "bad_proof" unless the tree of new_size begins with the tree of old_size. An old size of 0 is refused here: there
 * is nothing to prove, callers treat it apart.
 */
RESULT merkle_consistency_verify(uint64_t old_size, uint64_t new_size,
                                 const struct merkle_hash *old_root,
                                 const struct merkle_hash *new_root,
                                 const struct merkle_hash *proof, size_t count);

#endif
