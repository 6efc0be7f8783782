/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "sale/catalog/zone.h"

static void at(const char *name, const char *utc, const char *expected)
{
    struct zone *z = NULL;
    char text[ZONE_TEXT_MAX];
    int64_t ms;

    assert_int_equal(time_parse(span_text(utc), &ms), OK);
    assert_int_equal(zone_open(NULL, span_text(name), &z), OK);
    zone_format(z, ms, text);
    assert_string_equal(text, expected);
    zone_free(&z);
}

static void the_clock_on_the_wall(void **state)
{
    (void)state;
    at("Europe/Berlin", "2026-12-12T18:30:00Z", "Sat 12 Dec 2026, 19:30 CET");
    at("Europe/Berlin", "2026-07-01T18:30:00Z", "Wed 1 Jul 2026, 20:30 CEST");
    at("America/New_York", "2026-03-08T06:59:59Z", "Sun 8 Mar 2026, 01:59 EST");
    at("America/New_York", "2026-03-08T07:00:00Z", "Sun 8 Mar 2026, 03:00 EDT");
    at("Asia/Kathmandu", "2026-01-01T00:00:00Z", "Thu 1 Jan 2026, 05:45 +0545");
    at("UTC", "1999-12-31T23:59:59Z", "Fri 31 Dec 1999, 23:59 UTC");
}

static void changes_happen_at_their_second_also_by_the_footer_rule(void **state)
{
    (void)state;
    at("Europe/Berlin", "2026-03-29T00:59:59Z", "Sun 29 Mar 2026, 01:59 CET");
    at("Europe/Berlin", "2026-03-29T01:00:00Z", "Sun 29 Mar 2026, 03:00 CEST");
    at("Europe/Berlin", "2060-03-28T00:59:59Z", "Sun 28 Mar 2060, 01:59 CET");
    at("Europe/Berlin", "2060-03-28T01:00:00Z", "Sun 28 Mar 2060, 03:00 CEST");
    at("Europe/Berlin", "2060-10-31T00:59:59Z", "Sun 31 Oct 2060, 02:59 CEST");
    at("Europe/Berlin", "2060-10-31T01:00:00Z", "Sun 31 Oct 2060, 02:00 CET");
    /* the south: summer over the turn of the year */
    at("Australia/Sydney", "2070-01-15T00:00:00Z", "Wed 15 Jan 2070, 11:00 AEDT");
    at("Australia/Sydney", "2070-07-15T00:00:00Z", "Tue 15 Jul 2070, 10:00 AEST");
}

/* The C library is the other opinion; TZ is set only here. */
static void agrees_with_the_c_library(void **state)
{
    static const char *const names[] = {
        "Europe/Berlin",       "America/St_Johns", "Africa/Cairo",
        "Australia/Lord_Howe", "Asia/Tehran",      "America/Santiago",
        "Pacific/Apia",        "Europe/Dublin",    "Asia/Gaza"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct zone *z = NULL;
        assert_int_equal(zone_open(NULL, span_text(names[i]), &z), OK);
        assert_int_equal(setenv("TZ", names[i], 1), 0);
        tzset();
        for (int64_t s = -1000000000; s < 4000000000; s += 86400 * 5 + 3617) {
            struct zone_time got;
            struct tm want;
            time_t t = (time_t)s;
            zone_local(z, s * 1000, &got);
            assert_non_null(localtime_r(&t, &want));
            assert_int_equal(got.offset_s, want.tm_gmtoff);
            assert_int_equal(got.year, want.tm_year + 1900);
            assert_int_equal(got.month, want.tm_mon + 1);
            assert_int_equal(got.day, want.tm_mday);
            assert_int_equal(got.hour, want.tm_hour);
            assert_int_equal(got.minute, want.tm_min);
            assert_int_equal(got.second, want.tm_sec);
            assert_int_equal(got.weekday, want.tm_wday);
            assert_string_equal(got.abbreviation, want.tm_zone);
        }
        zone_free(&z);
    }
    unsetenv("TZ");
    tzset();
}

static void names_that_are_no_zone_are_refused(void **state)
{
    static const char *const names[] = {"",
                                        "../../etc/passwd",
                                        "/etc/passwd",
                                        "Europe//Berlin",
                                        "Europe/",
                                        "Europe/Berlin/",
                                        "Europe/Atlantis",
                                        "Europe",
                                        ".",
                                        "zone.tab",
                                        "Europe/../Asia/Tokyo",
                                        "tzdata.zi",
                                        "leapseconds",
                                        "Europe/Berlin\n"};
    struct zone *z = NULL;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_int_equal(zone_open(NULL, span_text(names[i]), &z), ERR_INVALID);
        assert_string_equal(err_last()->slug, "bad_time_zone");
        assert_null(z);
    }
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    AUTO(buf_done) struct buf b;
    struct zone *z = NULL;
    char text[ZONE_TEXT_MAX];
    (void)state;

    buf_init(&b, 1000);
    for (uint32_t block = 0; block < 2; block++) {
        buf_put(&b, "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
        for (int i = 0; i < 4; i++)
            buf_put_u32be(&b, 0);
        buf_put_u32be(&b, 1);
        buf_put_u32be(&b, 4);
        buf_put(&b, "\0\0\0\0\0\0UTC\0", 10);
    }
    buf_put_text(&b, "\nUTC0\n");
    struct span good = buf_span(&b);
    assert_int_equal(zone_parse(good, &z), OK);
    zone_format(z, 0, text);
    assert_string_equal(text, "Thu 1 Jan 1970, 00:00 UTC");
    zone_free(&z);
    for (size_t cut = 0; cut < good.len; cut++)
        assert_int_equal(zone_parse(span_sub(good, 0, cut), &z), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_on_the_wall),
        cmocka_unit_test(changes_happen_at_their_second_also_by_the_footer_rule),
        cmocka_unit_test(agrees_with_the_c_library),
        cmocka_unit_test(names_that_are_no_zone_are_refused),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
    };
    return cmocka_run_group_tests_name("zone", tests, NULL, NULL);
}
