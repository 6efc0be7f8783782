/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sale/catalog/packed.h"

static struct plan *stadium(uint32_t seats, uint32_t tiers, uint32_t sectors)
{
    struct plan_stadium s = {SPAN_LIT("Arena"), seats, tiers, sectors};
    struct plan *p = NULL;
    if (plan_generate_stadium(&s, &p) != OK)
        return NULL;
    return p;
}

static struct packed *pack(struct plan *p, size_t *ret_size)
{
    AUTO(buf_done) struct buf b;
    struct packed *packed = NULL;

    buf_init(&b, PACKED_MAX);
    assert_int_equal(plan_pack(p, &b), OK);
    assert_int_equal(plan_unpack(buf_span(&b), &packed), OK);
    *ret_size = b.len;
    return packed;
}

static void eighty_thousand_seats_pack_into_200_kilobytes(void **state)
{
    struct plan *p = stadium(80000, 3, 48);
    size_t size;
    (void)state;

    assert_non_null(p);
    struct packed *packed = pack(p, &size);
    assert_int_equal(packed->places, 80000);
    assert_int_equal(packed->seats, 80000);
    assert_int_equal(packed->zone_count, 144);
    assert_int_equal(packed->category_count, 3);
    assert_int_equal(packed->run_count, packed->row_count); /* a row of a sector has no aisle */
    print_message("# plan.bin %zu bytes, %u rows, %u x %u units\n", size, packed->row_count,
                  packed->width, packed->height);
    assert_true(size <= 230000);
    packed_free(&packed);
    plan_free(&p);
}

static void seats_do_not_overlap_and_stand_within_the_plan(void **state)
{
    struct plan *p = stadium(20000, 2, 24);
    size_t size;
    (void)state;

    assert_non_null(p);
    struct packed *packed = pack(p, &size);
    for (uint32_t i = 0; i < packed->seats; i++) {
        assert_in_range(packed->at[i].x, 0, packed->width * 4);
        assert_in_range(packed->at[i].y, 0, packed->height * 4);
        if (i + 1 < packed->seats && packed->row_of[i] == packed->row_of[i + 1])
            assert_in_range(
                hypot(packed->at[i + 1].x - packed->at[i].x, packed->at[i + 1].y - packed->at[i].y),
                88, 104);
    }
    packed_free(&packed);
    plan_free(&p);
}

static void exactly_as_many_seats_as_asked_for(void **state)
{
    static const uint32_t wishes[][3] = {{80000, 3, 48},  {80001, 3, 48}, {1000, 1, 8}, {777, 2, 6},
                                         {250000, 6, 96}, {54321, 4, 60}, {100, 1, 4}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wishes); i++) {
        struct plan *p = stadium(wishes[i][0], wishes[i][1], wishes[i][2]);
        size_t size;
        assert_non_null(p);
        assert_int_equal(p->seat_count, wishes[i][0]);
        struct packed *packed = pack(p, &size);
        assert_int_equal(packed->places, wishes[i][0]);
        packed_free(&packed);
        plan_free(&p);
    }
}

static void the_same_wish_gives_the_same_bytes(void **state)
{
    AUTO(buf_done) struct buf a, b;
    struct plan *p = stadium(5000, 2, 12), *q = stadium(5000, 2, 12);
    (void)state;

    buf_init(&a, PACKED_MAX);
    buf_init(&b, PACKED_MAX);
    assert_int_equal(plan_pack(p, &a), OK);
    assert_int_equal(plan_pack(q, &b), OK);
    assert_true(span_eq(buf_span(&a), buf_span(&b)));
    plan_free(&p);
    plan_free(&q);
}

static void a_stadium_goes_out_as_pretix_and_comes_back(void **state)
{
    AUTO(buf_done) struct buf out, a, b;
    struct plan *p = stadium(80000, 3, 48), *q = NULL;
    struct plan_repairs repairs;
    (void)state;

    buf_init(&out, PLAN_SOURCE_MAX);
    buf_init(&a, PACKED_MAX);
    buf_init(&b, PACKED_MAX);
    assert_int_equal(plan_export(p, false, &out), OK);
    print_message("# pretix file %zu bytes\n", out.len);
    assert_int_equal(plan_import(buf_span(&out), &q, &repairs), OK);
    assert_int_equal(repairs.count, 0);
    assert_int_equal(plan_pack(p, &a), OK);
    assert_int_equal(plan_pack(q, &b), OK);
    assert_true(span_eq(buf_span(&a), buf_span(&b)));
    plan_free(&p);
    plan_free(&q);
}

static void impossible_stadiums_are_refused(void **state)
{
    (void)state;
    assert_null(stadium(99, 1, 8));
    assert_null(stadium(250001, 3, 48));
    assert_null(stadium(1000, 0, 8));
    assert_null(stadium(1000, 7, 8));
    assert_null(stadium(1000, 1, 3));
    assert_null(stadium(1000, 1, 97));
    assert_null(stadium(100, 6, 96));
    assert_string_equal(err_last()->slug, "bad_plan");
}

static void a_club_has_areas_and_no_seats(void **state)
{
    const struct plan_category_wish categories[] = {{SPAN_LIT("Floor"), {1, 2, 3}},
                                                    {SPAN_LIT("Balcony"), {4, 5, 6}}};
    const struct plan_area_wish areas[] = {{SPAN_LIT("Floor"), 300, 0},
                                           {SPAN_LIT("Balcony"), 80, 1}};
    struct place_names n;
    char label[PLACE_LABEL_MAX];
    struct plan *p = NULL;
    size_t size;
    (void)state;

    assert_int_equal(plan_generate_areas(SPAN_LIT("Club"), categories, 2, areas, 2, &p), OK);
    struct packed *packed = pack(p, &size);
    assert_int_equal(packed->places, 380);
    assert_int_equal(packed->seats, 0);
    assert_int_equal(packed->areas[1].first, 300);
    assert_int_equal(packed->category[299], 0);
    assert_int_equal(packed->category[300], 1);
    assert_ptr_equal(packed_area_of(packed, 299), &packed->areas[0]);
    assert_ptr_equal(packed_area_of(packed, 300), &packed->areas[1]);
    place_names(packed, 379, &n);
    assert_string_equal(n.area, "Balcony");
    assert_string_equal(n.seat, "");
    place_label(packed, 379, label);
    assert_string_equal(label, "Balcony");
    packed_free(&packed);
    plan_free(&p);
}

static void impossible_clubs_are_refused(void **state)
{
    const struct plan_category_wish categories[] = {{SPAN_LIT("Floor"), {1, 2, 3}}};
    struct plan_area_wish area = {SPAN_LIT("Floor"), 0, 0};
    struct plan *p = NULL;
    (void)state;

    assert_int_equal(plan_generate_areas(SPAN_LIT("C"), categories, 1, &area, 1, &p), ERR_INVALID);
    assert_string_equal(err_last()->pointer, "#/areas/0");
    area.slots = 250001;
    assert_int_equal(plan_generate_areas(SPAN_LIT("C"), categories, 1, &area, 1, &p), ERR_LIMIT);
    area = (struct plan_area_wish){SPAN_LIT("Floor"), 5, 1};
    assert_int_equal(plan_generate_areas(SPAN_LIT("C"), categories, 1, &area, 1, &p), ERR_INVALID);
    assert_string_equal(err_last()->slug, "unknown_category");
    assert_int_equal(plan_generate_areas(SPAN_LIT("C"), categories, 1, &area, 0, &p), ERR_INVALID);
    assert_null(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eighty_thousand_seats_pack_into_200_kilobytes),
        cmocka_unit_test(seats_do_not_overlap_and_stand_within_the_plan),
        cmocka_unit_test(exactly_as_many_seats_as_asked_for),
        cmocka_unit_test(the_same_wish_gives_the_same_bytes),
        cmocka_unit_test(a_stadium_goes_out_as_pretix_and_comes_back),
        cmocka_unit_test(impossible_stadiums_are_refused),
        cmocka_unit_test(a_club_has_areas_and_no_seats),
        cmocka_unit_test(impossible_clubs_are_refused),
    };
    return cmocka_run_group_tests_name("generate", tests, NULL, NULL);
}
