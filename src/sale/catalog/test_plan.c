/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sale/catalog/packed.h"

#define HEAD                                                                                       \
    "{\"name\":\"T\",\"size\":{\"width\":500,\"height\":400},\"categories\":[{\"name\":\"A\","     \
    "\"color\":\"#102030\"},{\"name\":\"B\"}],\"zones\":["
#define SEAT(guid, number, x, category)                                                            \
    "{\"seat_guid\":\"" guid "\",\"seat_number\":\"" number "\",\"position\":{\"x\":" x            \
    ",\"y\":0.5},\"category\":\"" category "\"}"
#define SEAT_UUID(guid, uuid, x)                                                                   \
    "{\"seat_guid\":\"" guid "\",\"uuid\":\"" uuid                                                 \
    "\",\"seat_number\":\"1\",\"position\":{\"x\":" x ",\"y\":0},\"category\":\"A\"}"
#define ROW(label, seats)                                                                          \
    "{\"row_number\":\"" label                                                                     \
    "\",\"row_number_position\":\"both\",\"position\":{\"x\":10,\"y\":20},\"seats\":[" seats "]}"
#define ZONE(name, rows)                                                                           \
    "{\"name\":\"" name "\",\"position\":{\"x\":100,\"y\":100},\"rows\":[" rows "]}"
#define TAIL "]}"

struct loaded {
    struct plan *p;
    struct packed *packed;
    struct plan_repairs repairs;
    struct buf bytes;
};

static void load(const char *json, struct loaded *l)
{
    *l = (struct loaded){0};
    buf_init(&l->bytes, PACKED_MAX);
    if (plan_import(span_text(json), &l->p, &l->repairs) != OK)
        fail_msg("%s at %s: %s", err_last()->slug, err_last()->pointer, err_last()->detail);
    assert_int_equal(plan_pack(l->p, &l->bytes), OK);
    assert_int_equal(plan_unpack(buf_span(&l->bytes), &l->packed), OK);
}

static void unload(struct loaded *l)
{
    plan_free(&l->p);
    packed_free(&l->packed);
    buf_done(&l->bytes);
}

static void refused(const char *json, enum err code, const char *slug, const char *pointer)
{
    struct plan *p = NULL;
    struct plan_repairs repairs;

    assert_int_equal(plan_import(span_text(json), &p, &repairs), code);
    assert_string_equal(err_last()->slug, slug);
    assert_string_equal(err_last()->pointer, pointer);
    assert_null(p);
}

static void positions_add_up_from_zone_to_seat(void **state)
{
    struct loaded l;
    (void)state;

    load(HEAD ZONE("N", ROW("5", SEAT("g1", "11", "0", "A") "," SEAT("g2", "12", "25.25", "B")))
             TAIL,
         &l);
    assert_int_equal(l.packed->places, 2);
    assert_int_equal(l.packed->at[0].x, 110 * 4);
    assert_int_equal(l.packed->at[0].y, 482);
    assert_int_equal(l.packed->at[1].x, 541);
    assert_int_equal(l.packed->category[0], 0);
    assert_int_equal(l.packed->category[1], 1);
    assert_int_equal(l.packed->width, 500);
    assert_int_equal(l.repairs.count, 0);
    unload(&l);
}

static void places_have_names_and_labels(void **state)
{
    struct place_names n;
    char label[PLACE_LABEL_MAX];
    struct loaded l;
    (void)state;

    load(HEAD ZONE("North stand with a very long name",
                   ROW("5", SEAT("a", "11", "0", "A") "," SEAT(
                                "b", "12", "25",
                                "A"))) "," ZONE("Süd", ROW("Ä", SEAT("c", "x7", "0", "B"))) TAIL,
         &l);
    place_names(l.packed, 1, &n);
    assert_string_equal(n.zone, "North stand with a very long name");
    assert_string_equal(n.row, "5");
    assert_string_equal(n.seat, "12");
    assert_string_equal(n.area, "");
    place_label(l.packed, 1, label);
    assert_string_equal(label, "North stand with a/5/12");
    place_label(l.packed, 2, label);
    assert_string_equal(label, "Süd/Ä/x7");
    unload(&l);
}

static void labels_are_cut_between_characters(void **state)
{
    char label[PLACE_LABEL_MAX];
    struct loaded l;
    (void)state;

    load(HEAD ZONE("ääääääääääääääää", ROW("öööööö", SEAT("a", "üüüüüü", "0", "A"))) TAIL, &l);
    place_label(l.packed, 0, label);
    assert_true(strlen(label) <= 24);
    assert_true(utf8_valid(span_text(label)));
    assert_string_equal(label, "ääää/ööö/üüü");
    unload(&l);
}

static void a_seat_guid_used_twice_is_taken_from_its_uuid(void **state)
{
    struct loaded l;
    (void)state;

    load(HEAD ZONE("N",
                   ROW("1", SEAT_UUID("g", "u1", "0") "," SEAT_UUID("g", "u2", "25") "," SEAT_UUID(
                                "g", "u2",
                                "50") "," SEAT_UUID("h", "u4",
                                                    "75")) "," ROW("2", SEAT_UUID("h", "g", "0")))
             TAIL,
         &l);
    assert_int_equal(l.packed->places, 5); /* five seats, five numbers, whatever the names say */
    assert_string_equal(l.p->seats[0].guid, "g");
    assert_string_equal(l.p->seats[1].guid, "u2");
    assert_string_equal(l.p->seats[2].guid, "place-2");
    assert_string_equal(l.p->seats[3].guid, "h");
    assert_string_equal(l.p->seats[4].guid, "place-4"); /* its uuid is another seat's guid */
    assert_int_equal(l.repairs.count, 3);
    assert_string_equal(l.repairs.list[0].kind, "guid_from_uuid");
    assert_string_equal(l.repairs.list[0].pointer, "#/zones/0/rows/0/seats/1/seat_guid");
    assert_string_equal(l.repairs.list[1].kind, "guid_counted");
    assert_string_equal(l.repairs.list[2].pointer, "#/zones/0/rows/1/seats/0/seat_guid");
    unload(&l);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    refused("[]", ERR_INVALID, "wrong_type", "#");
    refused("{\"name\":\"x\",\"categories\":[]}", ERR_INVALID, "missing_field", "#/zones");
    refused(HEAD ZONE("N", ROW("1", SEAT("a", "1", "0", "C"))) TAIL, ERR_INVALID,
            "unknown_category", "#/zones/0/rows/0/seats/0/category");
    refused(HEAD ZONE("N", ROW("1", SEAT("a", "1", "\"0\"", "A"))) TAIL, ERR_INVALID, "wrong_type",
            "#/zones/0/rows/0/seats/0/position/x");
    refused(HEAD ZONE("N", ROW("1", SEAT("a", "1", "0", "A\",\"price\":\"3"))) TAIL, ERR_INVALID,
            "unknown_field", "#/zones/0/rows/0/seats/0/price");
    refused(HEAD ZONE("N", ROW("1", SEAT("a", "1\\n", "0", "A"))) TAIL, ERR_INVALID, "bad_text",
            "#/zones/0/rows/0/seats/0/seat_number");
    refused(HEAD ZONE("N", "") TAIL, ERR_INVALID, "empty_plan", "#/zones");
    refused(HEAD ZONE("N", ROW("1", SEAT("a", "1", "1e9", "A"))) TAIL, ERR_INVALID, "out_of_range",
            "#/zones/0/rows/0/seats/0/position/x");
    refused("{\"name\":\"x\",\"categories\":[{\"name\":\"A\"},{\"name\":\"A\"}],\"zones\":[]}",
            ERR_INVALID, "duplicate_category", "#/categories/1");
    refused(HEAD
            "{\"position\":{\"x\":0,\"y\":0},\"rows\":[],\"areas\":[{\"shape\":\"star\"}]}" TAIL,
            ERR_INVALID, "out_of_range", "#/zones/0/areas/0/shape");
}

static void too_many_places_are_refused_before_the_work(void **state)
{
    AUTO(buf_done) struct buf b;
    struct plan *p = NULL;
    struct plan_repairs repairs;
    (void)state;

    buf_init(&b, PLAN_SOURCE_MAX + 100);
    buf_put_text(&b, HEAD);
    buf_put_text(&b, "{\"position\":{\"x\":0,\"y\":0},\"rows\":[{\"row_number\":\"1\",\"seats\":[");
    for (int i = 0; i <= PLAN_PLACES_MAX; i++)
        buf_put_text(&b, i == 0 ? "{}" : ",{}");
    buf_put_text(&b, "]}]}" TAIL);
    assert_int_equal(plan_import(buf_span(&b), &p, &repairs), ERR_LIMIT);
    assert_string_equal(err_last()->slug, "too_many_places");
    while (!b.failed && b.len <= PLAN_SOURCE_MAX)
        buf_put_text(&b, "          ");
    assert_int_equal(plan_import(buf_span(&b), &p, &repairs), ERR_LIMIT);
    assert_string_equal(err_last()->slug, "too_large");
}

static void what_stands_outside_makes_the_plan_larger(void **state)
{
    struct loaded l;
    (void)state;

    load(HEAD ZONE("N", ROW("1", SEAT("a", "1", "-300", "A") "," SEAT("b", "2", "900", "A"))) TAIL,
         &l);
    assert_int_equal(l.repairs.count, 1);
    assert_string_equal(l.repairs.list[0].kind, "size_grown");
    assert_int_equal(l.packed->at[0].x, 40);
    assert_int_equal(l.packed->at[1].x - l.packed->at[0].x, 4800);
    assert_int_equal(l.packed->width, 1220);
    unload(&l);
}

static void aisles_and_categories_end_a_run(void **state)
{
    struct loaded l;
    (void)state;

    load(HEAD ZONE("N", ROW("1", SEAT("a", "1", "0", "A") "," SEAT("b", "2", "25", "A") "," SEAT(
                                     "c", "3", "50",
                                     "A") "," SEAT("d", "4", "100",
                                                   "A") "," SEAT("e", "5", "125",
                                                                 "A") "," SEAT("f", "6", "150",
                                                                               "B"))) TAIL,
         &l);
    assert_int_equal(l.packed->run_count, 3);
    assert_int_equal(l.packed->runs[0].seats, 3);
    assert_int_equal(l.packed->runs[1].first, 3);
    assert_int_equal(l.packed->runs[1].seats, 2);
    assert_int_equal(l.packed->runs[2].category, 1);
    unload(&l);
}

/* All the shapes there are, a turned one among them. */
#define AREAS                                                                                      \
    "{\"position\":{\"x\":100,\"y\":100},\"rows\":[],\"areas\":["                                  \
    "{\"shape\":\"polygon\",\"color\":\"red\",\"position\":{\"x\":1,\"y\":2},"                     \
    "\"polygon\":{\"points\":[{\"x\":0,\"y\":0},{\"x\":9,\"y\":0},{\"x\":9,\"y\":9}]},"            \
    "\"text\":{\"text\":\"Bar\",\"size\":20,\"color\":\"#fff\",\"position\":{\"x\":4,\"y\":4}}},"  \
    "{\"shape\":\"rectangle\",\"border_color\":\"#123456\",\"rotation\":90,\"position\":{\"x\":"   \
    "50,\"y\":50},"                                                                                \
    "\"rectangle\":{\"width\":20,\"height\":10}},"                                                 \
    "{\"shape\":\"circle\",\"position\":{\"x\":70,\"y\":70},\"circle\":{\"radius\":5}},"           \
    "{\"shape\":\"ellipse\",\"rotation\":45.5,\"position\":{\"x\":70,\"y\":70},\"ellipse\":{"      \
    "\"radius\":{\"x\":8,\"y\":4}}},"                                                              \
    "{\"shape\":\"text\",\"color\":\"no "                                                          \
    "colour\",\"position\":{\"x\":5,\"y\":5},\"text\":{\"text\":\"Way "                            \
    "out\",\"position\":{\"x\":0,\"y\":0}}}"                                                       \
    "]}"

static void shapes_are_drawn_where_they_stand(void **state)
{
    struct loaded l;
    (void)state;

    load(HEAD ZONE("N", ROW("1", SEAT("a", "1", "0", "A"))) "," AREAS TAIL, &l);
    const struct plan_decoration *d = l.p->decorations;
    assert_int_equal(l.p->decoration_count, 5);
    assert_int_equal(d[0].shape.point_count, 3);
    assert_int_equal(d[0].shape.color.r, 255);
    assert_string_equal(d[0].label, "Bar");
    assert_int_equal(d[0].label_at.x, (100 + 1 + 4) * 4);
    /* turned by 90 degrees clockwise round its corner: the width goes down, the height to the left */
    assert_int_equal(d[1].shape.points[2].x, (150 - 10) * 4);
    assert_int_equal(d[1].shape.points[2].y, (150 + 20) * 4);
    assert_int_equal(d[2].shape.kind, PLAN_ELLIPSE);
    assert_int_equal(d[2].shape.points[1].x, 20);
    assert_int_equal(d[3].shape.kind, PLAN_POLYGON);
    assert_int_equal(d[4].shape.point_count, 0);
    assert_string_equal(d[4].label, "Way out");
    unload(&l);
}

static void there_and_back(const char *json)
{
    AUTO(buf_done) struct buf out, out2;
    struct loaded l, again;

    buf_init(&out, PLAN_SOURCE_MAX);
    buf_init(&out2, PLAN_SOURCE_MAX);
    load(json, &l);
    assert_int_equal(plan_export(l.p, true, &out), OK);
    load(buf_text(&out), &again);
    assert_int_equal(again.repairs.count, 0);
    assert_true(span_eq(buf_span(&l.bytes), buf_span(&again.bytes)));
    assert_int_equal(plan_export(again.p, true, &out2), OK);
    assert_string_equal(buf_text(&out), buf_text(&out2));
    for (uint32_t i = 0; i < l.p->seat_count; i++) {
        assert_string_equal(l.p->seats[i].guid, again.p->seats[i].guid);
        assert_int_equal(l.p->seats[i].flags, again.p->seats[i].flags);
    }
    unload(&l);
    unload(&again);
}

static void a_plan_comes_back_as_it_went(void **state)
{
    (void)state;
    there_and_back(HEAD ZONE(
        "N",
        ROW("1",
            SEAT("a", "1", "0.75", "A") "," SEAT(
                "a", "x", "25",
                "B"))) "," AREAS
                       "],\"gatehouse\":{\"areas\":[{\"zone\":0,\"name\":\"Floor\",\"slots\":40,"
                       "\"category\":\"B\",\"color\":\"#112233\",\"shape\":\"ellipse\",\"points\":["
                       "400,400,50,60]}],"
                       "\"extras\":{\"a\":\"wheelchair companion\"}}}");
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, PLAN_SOURCE_MAX);
    assert_non_null(f);
    assert_true(fread(text, 1, PLAN_SOURCE_MAX - 1, f) > 0);
    (void)fclose(f);
    return text;
}

static void the_theatre_is_a_good_plan(void **state)
{
    char *json = read_file(EXAMPLES_DIR "/theatre.pretix.json");
    uint32_t wheelchairs = 0;
    struct loaded l;
    (void)state;

    load(json, &l);
    assert_int_equal(l.repairs.count, 0);
    assert_in_range(l.packed->seats, 400, 460);
    assert_int_equal(l.packed->category_count, 4);
    for (uint32_t i = 0; i < l.p->seat_count; i++)
        wheelchairs += (l.p->seats[i].flags & PLAN_WHEELCHAIR) != 0;
    assert_int_equal(wheelchairs, 4);
    /* stalls have two aisles: three runs a row */
    assert_int_equal(l.packed->runs[0].seats, 6);
    assert_int_equal(l.packed->runs[2].row, 0);
    assert_int_equal(l.packed->runs[3].row, 1);
    unload(&l);
    there_and_back(json);
    free(json);
}

static void without_ours_the_export_is_plain_pretix(void **state)
{
    AUTO(buf_done) struct buf out;
    struct loaded l;
    (void)state;

    buf_init(&out, PLAN_SOURCE_MAX);
    load(
        HEAD ZONE("N", ROW("1", SEAT("a", "1", "0",
                                     "A"))) "],\"gatehouse\":{\"areas\":[{\"zone\":0,"
                                            "\"name\":\"Floor\",\"slots\":40,\"category\":\"B\","
                                            "\"shape\":\"polygon\",\"points\":[0,0,40,0,40,40]}]}}",
        &l);
    assert_int_equal(l.packed->places, 41);
    assert_int_equal(plan_export(l.p, false, &out), OK);
    assert_null(strstr(buf_text(&out), "gatehouse"));
    assert_non_null(strstr(buf_text(&out), "\"text\":\"Floor\""));
    unload(&l);
}

static void a_packed_plan_altered_anywhere_is_refused_or_sane(void **state)
{
    struct packed *p = NULL;
    struct loaded l;
    (void)state;

    load(HEAD ZONE("N", ROW("1", SEAT("a", "1", "0", "A") "," SEAT("b", "x", "25", "B")) "," ROW(
                            "2", SEAT("c", "1", "0", "A"))) "," AREAS TAIL,
         &l);
    struct span good = buf_span(&l.bytes);
    for (size_t cut = 0; cut < good.len; cut++)
        assert_int_equal(plan_unpack(span_sub(good, 0, cut), &p), ERR_INVALID);
    for (size_t i = 0; i < good.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            l.bytes.data[i] ^= (uint8_t)(1u << bit);
            if (plan_unpack(good, &p) == OK) {
                char label[PLACE_LABEL_MAX];
                for (uint32_t n = 0; n < p->places; n++)
                    place_label(p, n, label);
                packed_free(&p);
            }
            l.bytes.data[i] ^= (uint8_t)(1u << bit);
        }
    buf_put_u8(&l.bytes, 0);
    assert_int_equal(plan_unpack(buf_span(&l.bytes), &p), ERR_INVALID);
    unload(&l);
}

static void categories_are_read_from_the_head_alone(void **state)
{
    AUTO(arena_done) struct arena arena = {0};
    const struct plan_category *categories;
    struct loaded l;
    size_t count;
    (void)state;

    load(HEAD ZONE("N",
                   ROW("1", SEAT("a", "1", "0", "A") "," SEAT("b", "x", "25", "B"))) "," AREAS TAIL,
         &l);
    arena_init(&arena, 100000);
    assert_int_equal(plan_unpack_categories(buf_span(&l.bytes), &arena, &categories, &count), OK);
    assert_int_equal(count, l.packed->category_count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(categories[i].name, l.packed->categories[i].name);
        assert_memory_equal(&categories[i].color, &l.packed->categories[i].color,
                            sizeof categories[i].color);
    }
    for (size_t cut = 0; cut < 20; cut++)
        assert_int_equal(plan_unpack_categories(span_sub(buf_span(&l.bytes), 0, cut), &arena,
                                                &categories, &count),
                         ERR_INVALID);
    unload(&l);
}

static void repairs_are_told_as_json(void **state)
{
    AUTO(buf_done) struct buf out;
    struct plan_repairs r = {.count = 2, .kept = 1};
    (void)state;

    r.list[0] = (struct plan_repair){"guid_counted", "#/zones/0", "a\"", "b"};
    buf_init(&out, 10000);
    assert_int_equal(plan_repairs_json(&r, &out), OK);
    assert_string_equal(buf_text(&out),
                        "[{\"kind\":\"guid_counted\",\"pointer\":\"#/zones/0\",\"was\":"
                        "\"a\\\"\",\"now\":\"b\"},{\"kind\":\"more\",\"count\":1}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_add_up_from_zone_to_seat),
        cmocka_unit_test(categories_are_read_from_the_head_alone),
        cmocka_unit_test(places_have_names_and_labels),
        cmocka_unit_test(labels_are_cut_between_characters),
        cmocka_unit_test(a_seat_guid_used_twice_is_taken_from_its_uuid),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(too_many_places_are_refused_before_the_work),
        cmocka_unit_test(what_stands_outside_makes_the_plan_larger),
        cmocka_unit_test(aisles_and_categories_end_a_run),
        cmocka_unit_test(shapes_are_drawn_where_they_stand),
        cmocka_unit_test(a_plan_comes_back_as_it_went),
        cmocka_unit_test(the_theatre_is_a_good_plan),
        cmocka_unit_test(without_ours_the_export_is_plain_pretix),
        cmocka_unit_test(a_packed_plan_altered_anywhere_is_refused_or_sane),
        cmocka_unit_test(repairs_are_told_as_json),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
