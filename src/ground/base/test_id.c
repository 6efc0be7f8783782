/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ground/base/id.h"

static void ids_go_out_and_come_back(void **state)
{
    struct rng_seeded rng;
    (void)state;
    rng_seeded_init(&rng, 1);
    for (int i = 0; i < 1000; i++) {
        struct order_id id = order_id_make(clock_system(), &rng.rng), back;
        char text[ID_TEXT_MAX];
        order_id_format(id, text);
        assert_int_equal(strlen(text), 30);
        assert_int_equal(strncmp(text, "ord_", 4), 0);
        assert_int_equal(order_id_parse(span_text(text), &back), OK);
        assert_true(order_id_eq(id, back));
    }
}

static void extremes_have_their_text(void **state)
{
    uint8_t zero[ID_BYTES] = {0}, ones[ID_BYTES], back[ID_BYTES];
    char text[ID_TEXT_MAX];
    (void)state;
    memset(ones, 0xff, sizeof ones);
    id_format("tkt", zero, text);
    assert_string_equal(text, "tkt_00000000000000000000000000");
    assert_int_equal(id_parse("tkt", span_text(text), back), OK);
    assert_true(id_is_zero(back));
    id_format("tkt", ones, text);
    assert_string_equal(text, "tkt_7zzzzzzzzzzzzzzzzzzzzzzzzz");
    assert_int_equal(id_parse("tkt", span_text(text), back), OK);
    assert_memory_equal(back, ones, ID_BYTES);
    assert_false(id_is_zero(ones));
}

static void anything_else_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "tkt_",
        "ord_00000000000000000000000001",  /* another kind */
        "TKT_00000000000000000000000001",  /* case */
        "tkt-00000000000000000000000001",  /* no underscore */
        "tkt_0000000000000000000000001",   /* short */
        "tkt_000000000000000000000000011", /* long */
        "tkt_80000000000000000000000000",  /* 129 bits */
        "tkt_0000000000000000000000000i",  /* letters that Crockford leaves out */
        "tkt_0000000000000000000000000l",
        "tkt_0000000000000000000000000o",
        "tkt_0000000000000000000000000u",
        "tkt_0000000000000000000000000A",
        "tkt_0000000000000000000000000 ",
        "tkt_0000000000000000000000000\xff"};
    struct ticket_id id = {.b = {9}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (ticket_id_parse(span_text(bad[i]), &id) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(ticket_id_parse(SPAN_LIT("tkt_0000000000000000000000000\0"), &id),
                     ERR_INVALID);
    assert_int_equal(id.b[0], 9);
}

static void a_text_names_one_id_only(void **state)
{
    struct rng_seeded rng;
    struct ticket_id id, back;
    char text[ID_TEXT_MAX], again[ID_TEXT_MAX];
    (void)state;
    rng_seeded_init(&rng, 2);
    id = ticket_id_make(clock_system(), &rng.rng);
    ticket_id_format(id, text);
    for (size_t i = 4; i < 30; i++) {
        char was = text[i];
        for (int c = 1; c < 256; c++) {
            text[i] = (char)c;
            if (ticket_id_parse(span_text(text), &back) != OK)
                continue;
            ticket_id_format(back, again);
            assert_string_equal(again, text);
            assert_int_equal(ticket_id_eq(id, back), (char)c == was);
        }
        text[i] = was;
    }
}

static void new_ids_sort_by_their_time(void **state)
{
    struct clock_fixed clock;
    struct rng_seeded rng;
    struct event_id a, b, c;
    (void)state;
    rng_seeded_init(&rng, 3);
    clock_fixed_init(&clock, 1800000000000);
    a = event_id_make(&clock.clock, &rng.rng);
    b = event_id_make(&clock.clock, &rng.rng);
    clock_fixed_set(&clock, 1800000000001);
    c = event_id_make(&clock.clock, &rng.rng);
    assert_memory_equal(a.b, b.b, 6);
    assert_memory_not_equal(a.b, b.b, ID_BYTES);
    assert_true(memcmp(a.b, c.b, ID_BYTES) < 0 && memcmp(b.b, c.b, ID_BYTES) < 0);
    assert_true(get_u64be(a.b) >> 16 == UINT64_C(1800000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_go_out_and_come_back),   cmocka_unit_test(extremes_have_their_text),
        cmocka_unit_test(anything_else_is_refused),   cmocka_unit_test(a_text_names_one_id_only),
        cmocka_unit_test(new_ids_sort_by_their_time),
    };
    return cmocka_run_group_tests_name("base/id", tests, NULL, NULL);
}
