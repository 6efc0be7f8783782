/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ground/base/id.h"

static void the_kernel_gives_different_bytes(void **state)
{
    uint8_t a[32], b[32];
    (void)state;
    rng_fill(rng_system(), a, sizeof a);
    rng_fill(rng_system(), b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void a_seed_repeats_and_stays_below_its_bound(void **state)
{
    struct rng_seeded a, b;
    unsigned seen[5] = {0};
    (void)state;
    rng_seeded_init(&a, 9);
    rng_seeded_init(&b, 9);
    for (int i = 0; i < 5000; i++) {
        uint64_t v = rng_below(&a.rng, 5);
        assert_true(v < 5 && v == rng_below(&b.rng, 5));
        seen[v]++;
    }
    for (int i = 0; i < 5; i++)
        assert_true(seen[i] > 800);
    assert_int_equal(rng_below(&a.rng, 1), 0);
}

/* --- the buffered source --- */

/* Counts up, so that every byte tells its place, and remembers where it wrote. */
struct counting {
    struct rng rng;
    unsigned fills;
    size_t bytes;
    uint8_t next;
    const uint8_t *at;
    size_t len;
};

static void count_fill(void *self, void *out, size_t len)
{
    struct counting *c = self;
    uint8_t *to = out;

    c->fills++;
    c->bytes += len;
    c->at = out;
    c->len = len;
    for (size_t i = 0; i < len; i++)
        to[i] = (uint8_t)(1 + c->next++ % 251);
}

static void many_short_draws_ask_the_source_once(void **state)
{
    struct counting c = {.rng = {count_fill, &c}};
    struct rng_buffered *b;
    uint8_t id[10];

    (void)state;
    assert_int_equal(rng_buffered_open(&c.rng, &b), OK);
    assert_int_equal(c.fills, 0);
    for (int i = 0; i < 400; i++)
        rng_fill(rng_buffered_rng(b), id, sizeof id);
    assert_int_equal(c.fills, 1);
    for (int i = 0; i < 400; i++)
        rng_fill(rng_buffered_rng(b), id, sizeof id);
    assert_int_equal(c.fills, 2);
    rng_buffered_close(b);
    rng_buffered_close(NULL);
}

static void what_was_given_is_wiped(void **state)
{
    struct counting c = {.rng = {count_fill, &c}};
    struct rng_buffered *b;
    uint8_t id[RNG_BUFFERED_MAX];
    size_t zeros = 0;

    (void)state;
    assert_int_equal(rng_buffered_open(&c.rng, &b), OK);
    for (int i = 0; i < 5; i++) {
        rng_fill(rng_buffered_rng(b), id, sizeof id);
        for (size_t k = 0; k < sizeof id; k++)
            assert_int_not_equal(id[k], 0);
    }
    for (size_t i = 0; i < c.len; i++)
        zeros += c.at[i] == 0;
    assert_int_equal(zeros, 5 * sizeof id);
    rng_buffered_close(b);
}

static void keys_come_straight_from_the_source(void **state)
{
    struct counting c = {.rng = {count_fill, &c}};
    struct rng_buffered *b;
    uint8_t key[32], nonce[24];

    (void)state;
    assert_int_equal(rng_buffered_open(&c.rng, &b), OK);
    rng_fill(rng_buffered_rng(b), nonce, sizeof nonce);
    size_t page = c.bytes;
    for (unsigned i = 0; i < 3; i++) {
        rng_fill(rng_buffered_rng(b), key, sizeof key);
        assert_int_equal(c.fills, 2 + i);
        assert_int_equal(c.bytes, page + (i + 1) * sizeof key);
        assert_ptr_equal(c.at, key);
    }
    rng_buffered_close(b);
}

static void nothing_is_given_twice(void **state)
{
    static uint8_t ids[2000][10];
    struct rng_buffered *b;

    (void)state;
    assert_int_equal(rng_buffered_open(rng_system(), &b), OK);
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        rng_fill(rng_buffered_rng(b), ids[i], sizeof ids[i]);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(ids[i], ids[k], sizeof ids[i]);
    }
    rng_buffered_close(b);
}

static void a_child_draws_its_own(void **state)
{
    struct rng_buffered *b;
    uint8_t own[RNG_BUFFERED_MAX], childs[RNG_BUFFERED_MAX];
    int pipes[2], status;

    (void)state;
    assert_int_equal(rng_buffered_open(rng_system(), &b), OK);
    rng_fill(rng_buffered_rng(b), own, sizeof own); /* the page is full now */
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        rng_fill(rng_buffered_rng(b), childs, sizeof childs);
        _exit(write(pipes[1], childs, sizeof childs) == (ssize_t)sizeof childs ? 0 : 1);
    }
    assert_int_equal(read(pipes[0], childs, sizeof childs), sizeof childs);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(pipes[0]);
    close(pipes[1]);
    rng_fill(rng_buffered_rng(b), own, sizeof own);
    assert_memory_not_equal(own, childs, sizeof own);
    rng_buffered_close(b);
}

enum { DRAWS = 20000 };

struct drawing {
    const struct rng *rng;
    uint64_t drawn[DRAWS];
};

static void *draw(void *context)
{
    struct drawing *d = context;

    for (size_t i = 0; i < DRAWS; i++)
        rng_fill(d->rng, &d->drawn[i], sizeof d->drawn[i]);
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void threads_do_not_share_what_they_draw(void **state)
{
    static struct drawing one, two;
    static uint64_t all[2 * DRAWS];
    struct rng_buffered *b;
    pthread_t thread;

    (void)state;
    assert_int_equal(rng_buffered_open(rng_system(), &b), OK);
    one.rng = two.rng = rng_buffered_rng(b);
    assert_int_equal(pthread_create(&thread, NULL, draw, &one), 0);
    (void)draw(&two);
    pthread_join(thread, NULL);
    memcpy(all, one.drawn, sizeof one.drawn);
    memcpy(all + DRAWS, two.drawn, sizeof two.drawn);
    qsort(all, COUNT_OF(all), sizeof all[0], by_value);
    for (size_t i = 1; i < COUNT_OF(all); i++)
        assert_true(all[i - 1] != all[i]);
    rng_buffered_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_gives_different_bytes),
        cmocka_unit_test(a_seed_repeats_and_stays_below_its_bound),
        cmocka_unit_test(many_short_draws_ask_the_source_once),
        cmocka_unit_test(what_was_given_is_wiped),
        cmocka_unit_test(keys_come_straight_from_the_source),
        cmocka_unit_test(nothing_is_given_twice),
        cmocka_unit_test(a_child_draws_its_own),
        cmocka_unit_test(threads_do_not_share_what_they_draw),
    };
    return cmocka_run_group_tests_name("base/rng", tests, NULL, NULL);
}
