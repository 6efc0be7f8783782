/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ground/base/clock.h"

static void check_time(const char *text, int64_t ms, const char *canonical)
{
    char out[TIME_TEXT_MAX];
    int64_t got = -1;
    assert_int_equal(time_parse(span_text(text), &got), OK);
    assert_true(got == ms);
    time_format(ms, out);
    assert_string_equal(out, canonical);
}

static void times_are_read_and_written(void **state)
{
    (void)state;
    check_time("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z");
    check_time("2026-11-23T19:30:00Z", 1795462200000, "2026-11-23T19:30:00Z");
    check_time("2026-11-23T20:30:00+01:00", 1795462200000, "2026-11-23T19:30:00Z");
    check_time("2026-11-23T14:00:00-05:30", 1795462200000, "2026-11-23T19:30:00Z");
    check_time("2026-11-23T19:30:00.5Z", 1795462200500, "2026-11-23T19:30:00.500Z");
    check_time("2026-11-23T19:30:00.0069Z", 1795462200006, "2026-11-23T19:30:00.006Z");
    check_time("2024-02-29T23:59:59Z", 1709251199000, "2024-02-29T23:59:59Z");
    check_time("2000-02-29T00:00:00Z", 951782400000, "2000-02-29T00:00:00Z");
    check_time("2038-01-19T03:14:08Z", 2147483648000, "2038-01-19T03:14:08Z");
    check_time("9999-12-31T23:59:59.999Z", 253402300799999, "9999-12-31T23:59:59.999Z");
}

static void times_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "2026-11-23",
                                      "2026-11-23T19:30:00",
                                      "2026-11-23 19:30:00Z",
                                      "2026-11-23t19:30:00z",
                                      "2026-11-23T19:30Z",
                                      "2026-02-29T00:00:00Z",
                                      "2100-02-29T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-04-31T00:00:00Z",
                                      "2026-04-00T00:00:00Z",
                                      "2026-11-23T24:00:00Z",
                                      "2026-11-23T23:60:00Z",
                                      "2026-11-23T23:59:60Z",
                                      "1969-12-31T23:59:59Z",
                                      "2026-11-23T19:30:00.Z",
                                      "2026-11-23T19:30:00+0100",
                                      "2026-11-23T19:30:00+24:00",
                                      "2026-11-23T19:30:00+01:60",
                                      "2026-11-23T19:30:00ZZ",
                                      "2026-11-23T19:30:00.1234567890123Z",
                                      "+026-11-23T19:30:00Z",
                                      "2026-1a-23T19:30:00Z",
                                      "20261-11-23T19:30:00Z"};
    int64_t ms = 7;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (time_parse(span_text(bad[i]), &ms) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(ms, 7);
    assert_string_equal(err_last()->slug, "bad_time");
}

static void every_day_comes_back(void **state)
{
    char out[TIME_TEXT_MAX];
    int64_t got;
    (void)state;
    for (int64_t day = 0; day < 2932897; day += 13) {
        time_format(day * 86400000 + 45296789, out);
        assert_int_equal(time_parse(span_text(out), &got), OK);
        assert_true(got == day * 86400000 + 45296789);
    }
    time_format(-1, out);
    assert_string_equal(out, "1969-12-31T23:59:59.999Z");
}

static void the_machines_clocks_run(void **state)
{
    const struct clock *c = clock_system();
    int64_t begin = clock_mono_ms(c);
    (void)state;
    assert_true(clock_now_ms(c) > INT64_C(1700000000000));
    for (int i = 0; i < 1000; i++)
        assert_true(clock_mono_ms(c) >= begin);
}

static void a_shifted_clock_moves_with_the_machine(void **state)
{
    struct clock_shifted c;
    (void)state;
    clock_shifted_init(&c);
    clock_shifted_advance(&c, 86400000);
    int64_t ahead = clock_now_ms(&c.clock) - clock_now_ms(clock_system());
    assert_true(ahead > 86400000 - 5000 && ahead <= 86400000);
    clock_shifted_advance(&c, -86400000);
    ahead = clock_now_ms(&c.clock) - clock_now_ms(clock_system());
    assert_true(ahead > -5000 && ahead <= 0);
}

static void a_fixed_clock_stands_still(void **state)
{
    struct clock_fixed c;
    (void)state;
    clock_fixed_init(&c, 42);
    assert_int_equal(clock_now_ms(&c.clock), 42);
    assert_int_equal(clock_mono_ms(&c.clock), 42);
    clock_fixed_set(&c, 43);
    assert_int_equal(clock_now_ms(&c.clock), 43);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read_and_written),
        cmocka_unit_test(times_that_are_none_are_refused),
        cmocka_unit_test(every_day_comes_back),
        cmocka_unit_test(the_machines_clocks_run),
        cmocka_unit_test(a_shifted_clock_moves_with_the_machine),
        cmocka_unit_test(a_fixed_clock_stands_still),
    };
    return cmocka_run_group_tests_name("base/clock", tests, NULL, NULL);
}
