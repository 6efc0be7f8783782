/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ground/base/arena.h"

static void memory_is_zeroed_aligned_and_apart(void **state)
{
    AUTO(arena_done) struct arena a;
    uint8_t *last = NULL;
    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t size = 0; size < 300; size++) {
        uint8_t *p = arena_alloc(&a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        assert_ptr_not_equal(p, last);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xee, size);
        last = p;
    }
}

static void the_maximum_is_hard(void **state)
{
    AUTO(arena_done) struct arena a;
    struct span copy = {0};
    (void)state;
    arena_init(&a, 1000);
    assert_null(arena_alloc(&a, 1001));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_non_null(arena_alloc(&a, 900));
    assert_null(arena_alloc(&a, 200));
    assert_int_equal(
        arena_copy(&a,
                   span_of("................................................................"
                           "................................................",
                           112),
                   &copy),
        ERR_NOMEM);
    assert_null(copy.data);
    assert_non_null(arena_alloc(&a, 64));
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 900));
}

static void large_and_small_live_together(void **state)
{
    AUTO(arena_done) struct arena a;
    char *texts[200];
    (void)state;
    arena_init(&a, 10 << 20);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        size_t n = i % 7 == 0 ? 20000 : i;
        uint8_t fill[20000];
        memset(fill, (int)('a' + i % 26), sizeof fill);
        texts[i] = arena_text(&a, span_of(fill, n));
        assert_non_null(texts[i]);
    }
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        size_t n = i % 7 == 0 ? 20000 : i;
        assert_int_equal(strlen(texts[i]), n);
        assert_true(n == 0 || texts[i][n - 1] == (char)('a' + i % 26));
    }
}

static void a_reset_gives_zeroed_memory_again(void **state)
{
    AUTO(arena_done) struct arena a;
    struct span copy;
    (void)state;
    arena_init(&a, 100000);
    for (int round = 0; round < 20; round++) {
        uint32_t *numbers = arena_array(&a, 100, sizeof *numbers);
        assert_non_null(numbers);
        for (int i = 0; i < 100; i++) {
            assert_int_equal(numbers[i], 0);
            numbers[i] = 7;
        }
        assert_int_equal(arena_copy(&a, SPAN_LIT("text"), &copy), OK);
        assert_true(span_eq_text(copy, "text"));
        assert_int_equal(arena_copy(&a, (struct span){0}, &copy), OK);
        assert_int_equal(copy.len, 0);
        arena_reset(&a);
        assert_int_equal(a.used, 0);
    }
    arena_done(&a);
    arena_done(&a);
    arena_done(NULL);
}

static void what_was_needed_before_is_kept_in_one_piece(void **state)
{
    AUTO(arena_done) struct arena a;
    uint8_t *before[12] = {0}, *at[12];

    (void)state;
    arena_init(&a, 100000);
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < COUNT_OF(at); i++) {
            at[i] = arena_alloc(&a, 1000);
            assert_non_null(at[i]);
            memset(at[i], 1, 1000);
        }
        if (round >= 3)
            assert_memory_equal(at, before, sizeof at);
        memcpy(before, at, sizeof at);
        arena_reset(&a);
    }
    for (size_t i = 1; i < COUNT_OF(at); i++)
        assert_int_equal(at[i] - at[i - 1], 1008);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_aligned_and_apart),
        cmocka_unit_test(the_maximum_is_hard),
        cmocka_unit_test(large_and_small_live_together),
        cmocka_unit_test(a_reset_gives_zeroed_memory_again),
        cmocka_unit_test(what_was_needed_before_is_kept_in_one_piece),
    };
    return cmocka_run_group_tests_name("base/arena", tests, NULL, NULL);
}
