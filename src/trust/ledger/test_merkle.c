/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ground/encode/base64.h"
#include "trust/ledger/merkle.h"

enum { LEAVES_MAX = 300, LINE_MAX_BYTES = 16384 };

static struct merkle_hash leaves[LEAVES_MAX];

/* The definition, written as RFC 6962 writes it: the oracle for everything else. */
static void mth(size_t from, size_t to, struct merkle_hash *ret)
{
    struct merkle_hash left, right;
    size_t n = to - from, k = 1;

    if (n == 0) {
        merkle_empty_root(ret);
        return;
    }
    if (n == 1) {
        *ret = leaves[from];
        return;
    }
    while (k * 2 < n)
        k *= 2;
    mth(from, from + k, &left);
    mth(from + k, to, &right);
    merkle_node(&left, &right, ret);
}

static enum err memory_node(void *self, unsigned level, uint64_t index, struct merkle_hash *ret)
{
    (void)self;
    mth((size_t)index << level, (size_t)(index + 1) << level, ret);
    return OK;
}

static const struct merkle_source source = {memory_node, NULL};

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < LEAVES_MAX; i++) {
        char text[32];
        snprintf(text, sizeof text, "leaf %zu", i);
        merkle_leaf(span_text(text), &leaves[i]);
    }
    return 0;
}

static void growing_gives_the_root_of_the_definition(void **state)
{
    struct merkle_state s = {0};
    struct merkle_hash a, b, c;

    (void)state;
    for (size_t n = 0; n <= LEAVES_MAX; n++) {
        mth(0, n, &a);
        merkle_root(&s, &b);
        assert_memory_equal(&a, &b, sizeof a);
        assert_int_equal(merkle_root_from(&source, n, &c), OK);
        assert_memory_equal(&a, &c, sizeof a);
        if (n < LEAVES_MAX)
            merkle_append(&s, &leaves[n]);
    }
}

static void empty_root_is_the_hash_of_nothing(void **state)
{
    uint8_t want[32];
    size_t len;
    struct merkle_hash root;

    (void)state;
    assert_int_equal(base64_decode(span_text("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="), want,
                                   sizeof want, &len),
                     OK);
    merkle_empty_root(&root);
    assert_memory_equal(root.b, want, 32);
}

static void every_inclusion_proof_holds_and_no_neighbour_does(void **state)
{
    (void)state;
    for (uint64_t size = 1; size <= 70; size++) {
        struct merkle_hash root, proof[MERKLE_PROOF_MAX];
        size_t n;
        mth(0, size, &root);
        for (uint64_t i = 0; i < size; i++) {
            assert_int_equal(merkle_inclusion_prove(&source, i, size, proof, &n), OK);
            assert_int_equal(merkle_inclusion_verify(i, size, &leaves[i], proof, n, &root), OK);
            assert_int_equal(merkle_inclusion_verify(i, size, &leaves[i + 1], proof, n, &root),
                             ERR_DENIED);
            assert_int_equal(merkle_inclusion_verify(i + 1, size, &leaves[i], proof, n, &root),
                             ERR_DENIED);
            assert_int_equal(merkle_inclusion_verify(i, size, &leaves[i], proof, n + 1, &root),
                             ERR_DENIED);
            if (n > 0) {
                assert_int_equal(merkle_inclusion_verify(i, size, &leaves[i], proof, n - 1, &root),
                                 ERR_DENIED);
                proof[n / 2].b[7] ^= 1;
                assert_int_equal(merkle_inclusion_verify(i, size, &leaves[i], proof, n, &root),
                                 ERR_DENIED);
            }
        }
        assert_int_equal(merkle_inclusion_prove(&source, size, size, proof, &n), ERR_INVALID);
    }
}

static void every_consistency_proof_holds_and_no_altered_one_does(void **state)
{
    (void)state;
    for (uint64_t to = 1; to <= 70; to++) {
        struct merkle_hash old_root, new_root, proof[MERKLE_PROOF_MAX];
        size_t n;
        mth(0, to, &new_root);
        for (uint64_t from = 1; from <= to; from++) {
            mth(0, from, &old_root);
            assert_int_equal(merkle_consistency_prove(&source, from, to, proof, &n), OK);
            assert_int_equal(merkle_consistency_verify(from, to, &old_root, &new_root, proof, n),
                             OK);
            if (n > 0) {
                proof[n - 1].b[0] ^= 1;
                assert_int_equal(
                    merkle_consistency_verify(from, to, &old_root, &new_root, proof, n),
                    ERR_DENIED);
                proof[n - 1].b[0] ^= 1;
                assert_int_equal(
                    merkle_consistency_verify(from, to, &old_root, &new_root, proof, n - 1),
                    ERR_DENIED);
                assert_int_equal(
                    merkle_consistency_verify(from, to, &new_root, &old_root, proof, n),
                    ERR_DENIED);
            }
        }
        assert_int_equal(merkle_consistency_verify(0, to, &old_root, &new_root, proof, 0),
                         ERR_DENIED);
        assert_int_equal(merkle_consistency_verify(to + 1, to, &old_root, &new_root, proof, 0),
                         ERR_DENIED);
    }
}

/* --- transparency-dev/merkle ------------------------------------------------------------------------------------------- */

static bool decode_hash(const char *text, struct merkle_hash *ret)
{
    size_t len;
    return base64_decode(span_text(text), ret->b, sizeof ret->b, &len) == OK && len == 32;
}

static enum err run_vector(char **column)
{
    struct merkle_hash a, b, proof[MERKLE_PROOF_MAX + 8];
    uint64_t m, n;
    size_t count = 0;

    TRY(text_to_u64(span_text(column[2]), &m));
    TRY(text_to_u64(span_text(column[3]), &n));
    ENSURE(decode_hash(column[4], &a) && decode_hash(column[5], &b), ERR_INVALID, "bad_vector",
           "hash");
    if (strcmp(column[6], "-") != 0)
        for (char *save = NULL, *h = strtok_r(column[6], ",", &save); h;
             h = strtok_r(NULL, ",", &save))
            ENSURE(count < COUNT_OF(proof) && decode_hash(h, &proof[count++]), ERR_INVALID,
                   "bad_vector", "proof");
    if (strcmp(column[0], "inclusion") == 0)
        return merkle_inclusion_verify(m, n, &b, proof, count, &a);
    return merkle_consistency_verify(m, n, &a, &b, proof, count);
}

static void published_vectors_agree(void **state)
{
    FILE *f = fopen(MERKLE_VECTORS, "r");
    char line[LINE_MAX_BYTES];
    size_t rows = 0, wrong = 0;

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        char *column[7], *rest = line;
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#')
            continue;
        for (size_t i = 0; i < 7; i++) {
            column[i] = strsep(&rest, "\t");
            assert_non_null(column[i]);
        }
        bool want = strcmp(column[1], "ok") == 0;
        rows++;
        if ((run_vector(column) == OK) != want) {
            wrong++;
            print_message("vector %zu (%s %s)\n", rows, column[0], column[1]);
        }
    }
    (void)fclose(f);
    assert_int_equal(rows, 195);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growing_gives_the_root_of_the_definition),
        cmocka_unit_test(empty_root_is_the_hash_of_nothing),
        cmocka_unit_test(every_inclusion_proof_holds_and_no_neighbour_does),
        cmocka_unit_test(every_consistency_proof_holds_and_no_altered_one_does),
        cmocka_unit_test(published_vectors_agree),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
