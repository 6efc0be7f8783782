/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "sale/catalog/test_fixture.h"
#include "sale/hold/seat_view.h"

static struct packed *plan;
static struct seat_view view;
static struct seat_pick pick;

static void use(struct plan *p)
{
    AUTO(buf_done) struct buf b;

    buf_init(&b, PACKED_MAX);
    assert_int_equal(plan_pack(p, &b), OK);
    assert_int_equal(plan_unpack(buf_span(&b), &plan), OK);
    plan_free(&p);
    assert_int_equal(seat_view_init(&view, plan->places), OK);
    assert_int_equal(seat_pick_init(&pick, plan), OK);
    seat_pick_load(&pick, &view);
}

static int open_hall(void **state)
{
    (void)state;
    assert_int_equal(crypto_init(), OK);
    use(fix_hall());
    return 0;
}

static int close_plan(void **state)
{
    (void)state;
    seat_pick_done(&pick);
    seat_view_done(&view);
    packed_free(&plan);
    return 0;
}

static void take(uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        seat_pick_set(&pick, first + i, false);
}

static void best_is(uint8_t category, uint32_t count, bool split, const uint32_t *expected)
{
    uint32_t got[50];
    assert_true(seat_pick_best(&pick, category, count, split, got));
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(got[i], expected[i]);
}
#define BEST(category, count, split, ...)                                                          \
    best_is(category, count, split, (const uint32_t[]){__VA_ARGS__})

static void the_middle_of_the_first_row(void **state)
{
    (void)state;
    BEST(0, 2, false, 4, 5);
    BEST(0, 4, false, 2, 3, 4, 5); /* a seat beside the middle, so that four more fit */
    BEST(1, 2, false, 22, 23);
}

static void a_single_seat_is_not_left_alone(void **state)
{
    (void)state;
    take(0, 4); /* row 1: free are 4..9 */
    /* 5, 6 would be nearer the middle than 6, 7, and would leave seat 4 alone */
    BEST(0, 2, false, 4, 5);
    take(4, 1); /* free are 5..9: two of five leave three, or one and two */
    BEST(0, 2, false, 5, 6);
    take(9, 1); /* free are 5..8: three of four leave one in any case */
    BEST(0, 3, false, 5, 6, 7);
}

static void the_next_row_when_the_first_has_no_gap_as_long(void **state)
{
    (void)state;
    take(3, 1);
    take(7, 1);
    BEST(0, 4, false, 12, 13, 14, 15);
    BEST(0, 3, false, 4, 5, 6); /* still fits between */
}

static void rows_are_only_split_when_allowed(void **state)
{
    uint32_t got[50];
    (void)state;
    take(0, 8);
    take(12, 8); /* free are 8, 9 and 10, 11 */
    assert_false(seat_pick_best(&pick, 0, 4, false, got));
    BEST(0, 4, true, 8, 9, 10, 11);
    assert_false(seat_pick_best(&pick, 0, 5, true, got));
}

static void longer_than_the_lengths_that_are_indexed(void **state)
{
    uint32_t got[50];
    (void)state;
    BEST(0, 9, false, 0, 1, 2, 3, 4, 5, 6, 7, 8);
    take(4, 1);
    BEST(0, 10, false, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19);
    take(14, 1);
    assert_false(seat_pick_best(&pick, 0, 6, false, got));
}

static void a_seat_given_back_is_picked_again(void **state)
{
    uint32_t got[50];
    (void)state;
    take(0, 20);
    assert_false(seat_pick_best(&pick, 0, 1, true, got));
    seat_pick_set(&pick, 17, true);
    seat_pick_set(&pick, 17, true); /* twice is once */
    BEST(0, 1, false, 17);
    assert_false(seat_pick_best(&pick, 0, 2, true, got));
}

static void slots_come_in_order_and_never_more_than_there_are(void **state)
{
    uint32_t got[50];
    (void)state;
    assert_true(seat_pick_area(&pick, 0, 3, got));
    assert_int_equal(got[0], 26);
    assert_int_equal(got[2], 28);
    take(26, 28);
    assert_false(seat_pick_area(&pick, 0, 3, got));
    assert_true(seat_pick_area(&pick, 0, 2, got));
    assert_int_equal(got[0], 54);
    seat_pick_set(&pick, 30, true);
    assert_true(seat_pick_area(&pick, 0, 3, got));
    assert_int_equal(got[0], 30);
}

/* Against a slow way of saying the same: is there a gap of that length at all, and are the seats free and side by side? */
static void agrees_with_looking_at_every_seat(void **state)
{
    struct rng_seeded r;
    bool free[56];
    uint32_t got[50];
    (void)state;

    rng_seeded_init(&r, 7);
    memset(free, 1, sizeof free);
    for (int i = 0; i < 20000; i++) {
        uint32_t place = (uint32_t)rng_below(&r.rng, 56);
        free[place] = rng_below(&r.rng, 3) == 0;
        seat_pick_set(&pick, place, free[place]);
        uint32_t count = 1 + (uint32_t)rng_below(&r.rng, 10);
        uint32_t gap = 0, most = 0;
        for (uint32_t s = 0; s < 20; s++) {
            gap = s % 10 == 0 ? 0 : gap;
            gap = free[s] ? gap + 1 : 0;
            most = gap > most ? gap : most;
        }
        bool found = seat_pick_best(&pick, 0, count, false, got);
        assert_int_equal(found, most >= count);
        for (uint32_t s = 0; found && s < count; s++) {
            assert_true(got[s] < 20 && free[got[s]]);
            assert_true(s == 0 || (got[s] == got[s - 1] + 1 && got[s] % 10 != 0));
        }
    }
}

static void the_last_seats_of_a_stadium_are_found_quickly(void **state)
{
    struct plan_stadium s = {SPAN_LIT("Arena"), 80000, 3, 48};
    struct timespec from, to;
    struct plan *p = NULL;
    uint32_t got[50], sold = 0;
    (void)state;

    (void)close_plan(NULL);
    assert_int_equal(plan_generate_stadium(&s, &p), OK);
    use(p);
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    for (uint8_t category = 0; category < 3; category++)
        while (seat_pick_best(&pick, category, 2, false, got)) {
            take(got[0], 2);
            sold += 2;
        }
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    double took = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    print_message("# sold %u of 80,000 in pairs: %.2f us a pick\n", sold,
                  took * 1e6 / (sold / 2.0));
    assert_in_range(sold, 77500, 80000); /* rows of odd length keep one */
    assert_true(took < 20);
}

static void holds_are_over_in_the_order_of_their_times(void **state)
{
    uint32_t place;
    (void)state;
    seat_view_set(&view, 5, PLACE_HELD, 300);
    seat_view_set(&view, 6, PLACE_HELD, 100);
    seat_view_set(&view, 7, PLACE_HELD, 200);
    assert_false(seat_view_over(&view, 99, &place));
    assert_true(seat_view_over(&view, 100, &place)); /* at its millisecond */
    assert_int_equal(place, 6);
    seat_view_set(&view, 6, PLACE_FREE, 0);
    seat_view_set(&view, 7, PLACE_HELD, 400); /* refreshed */
    assert_false(seat_view_over(&view, 299, &place));
    seat_view_set(&view, 7, PLACE_FREE, 0);
    seat_view_set(&view, 7, PLACE_HELD, 250); /* released and held anew, for less */
    assert_true(seat_view_over(&view, 299, &place));
    assert_int_equal(place, 7);
    seat_view_set(&view, 7, PLACE_FREE, 0);
    seat_view_set(&view, 5, PLACE_SOLD, 0);
    assert_false(seat_view_over(&view, INT64_MAX, &place));
    assert_int_equal(view.due_count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_hall, close_plan)
    const struct CMUnitTest tests[] = {
        TEST(the_middle_of_the_first_row),
        TEST(a_single_seat_is_not_left_alone),
        TEST(the_next_row_when_the_first_has_no_gap_as_long),
        TEST(rows_are_only_split_when_allowed),
        TEST(longer_than_the_lengths_that_are_indexed),
        TEST(a_seat_given_back_is_picked_again),
        TEST(slots_come_in_order_and_never_more_than_there_are),
        TEST(agrees_with_looking_at_every_seat),
        TEST(the_last_seats_of_a_stadium_are_found_quickly),
        TEST(holds_are_over_in_the_order_of_their_times),
    };
    return cmocka_run_group_tests_name("seat_pick", tests, NULL, NULL);
}
