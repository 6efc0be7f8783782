/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/base/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t which)
{
    struct timespec ts;
    INVARIANT(clock_gettime(which, &ts) == 0, "the machine has a clock");
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t system_now(void *self)
{
    (void)self;
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_mono(void *self)
{
    (void)self;
    return read_clock(CLOCK_MONOTONIC);
}

const struct clock *clock_system(void)
{
    static const struct clock system = {system_now, system_mono, NULL};
    return &system;
}

static int64_t shifted_now(void *self)
{
    struct clock_shifted *c = self;
    return read_clock(CLOCK_REALTIME) + __atomic_load_n(&c->offset_ms, __ATOMIC_RELAXED);
}

static int64_t shifted_mono(void *self)
{
    struct clock_shifted *c = self;
    return read_clock(CLOCK_MONOTONIC) + __atomic_load_n(&c->offset_ms, __ATOMIC_RELAXED);
}

void clock_shifted_init(struct clock_shifted *c)
{
    *c = (struct clock_shifted){.clock = {shifted_now, shifted_mono, c}};
}

void clock_shifted_advance(struct clock_shifted *c, int64_t by_ms)
{
    __atomic_fetch_add(&c->offset_ms, by_ms, __ATOMIC_RELAXED);
}

static int64_t fixed_now(void *self)
{
    struct clock_fixed *c = self;
    return __atomic_load_n(&c->at_ms, __ATOMIC_RELAXED);
}

void clock_fixed_init(struct clock_fixed *c, int64_t at_ms)
{
    *c = (struct clock_fixed){.clock = {fixed_now, fixed_now, c}, .at_ms = at_ms};
}

void clock_fixed_set(struct clock_fixed *c, int64_t at_ms)
{
    __atomic_store_n(&c->at_ms, at_ms, __ATOMIC_RELAXED);
}

/* Days since 1970-01-01 of a civil date, and back (Howard Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

static void civil_from_days(int64_t z, int64_t *ret_y, unsigned *ret_m, unsigned *ret_d)
{
    z += 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *ret_d = doy - (153 * mp + 2) / 5 + 1;
    *ret_m = mp < 10 ? mp + 3 : mp - 9;
    *ret_y = (int64_t)yoe + era * 400 + (*ret_m <= 2);
}

/* value's last `digits` decimal digits. */
static char *put_digits(char *out, unsigned value, int digits)
{
    for (int i = digits; i-- > 0; value /= 10)
        out[i] = (char)('0' + value % 10);
    return out + digits;
}

void time_format(int64_t at_ms, char *out)
{
    int64_t days = at_ms / 86400000, rest = at_ms % 86400000, year;
    unsigned month, day;
    char *at = out;

    if (rest < 0) {
        rest += 86400000;
        days--;
    }
    civil_from_days(days, &year, &month, &day);
    unsigned s = (unsigned)(rest / 1000), ms = (unsigned)(rest % 1000);
    at = put_digits(at, (unsigned)((year % 10000 + 10000) % 10000), 4);
    *at++ = '-';
    at = put_digits(at, month, 2);
    *at++ = '-';
    at = put_digits(at, day, 2);
    *at++ = 'T';
    at = put_digits(at, s / 3600, 2);
    *at++ = ':';
    at = put_digits(at, s / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, s % 60, 2);
    if (ms) {
        *at++ = '.';
        at = put_digits(at, ms, 3);
    }
    *at++ = 'Z';
    *at = '\0';
}

static bool two_digits(const uint8_t *p, unsigned *ret)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return false;
    *ret = (unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0');
    return true;
}

static unsigned month_days(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool parse_offset(struct span zone, int64_t *ret_ms)
{
    unsigned hours, minutes;

    if (span_eq_text(zone, "Z")) {
        *ret_ms = 0;
        return true;
    }
    if (zone.len != 6 || (zone.data[0] != '+' && zone.data[0] != '-') || zone.data[3] != ':' ||
        !two_digits(zone.data + 1, &hours) || !two_digits(zone.data + 4, &minutes) || hours > 23 ||
        minutes > 59)
        return false;
    *ret_ms = (int64_t)(hours * 60 + minutes) * 60000 * (zone.data[0] == '-' ? -1 : 1);
    return true;
}

enum err time_parse(struct span t, int64_t *ret_ms)
{
    unsigned century, yy, month, day, hour, minute, second, ms = 0;
    int64_t offset_ms;
    size_t at = 19;
    const uint8_t *p = t.data;

    ENSURE(t.len >= 20 && t.len < TIME_TEXT_MAX && two_digits(p, &century) &&
               two_digits(p + 2, &yy) && p[4] == '-' && two_digits(p + 5, &month) && p[7] == '-' &&
               two_digits(p + 8, &day) && p[10] == 'T' && two_digits(p + 11, &hour) &&
               p[13] == ':' && two_digits(p + 14, &minute) && p[16] == ':' &&
               two_digits(p + 17, &second),
           ERR_INVALID, "bad_time", "A time looks like 2026-11-23T19:30:00Z.");
    unsigned year = century * 100 + yy;
    ENSURE(year >= 1970 && month >= 1 && month <= 12 && day >= 1 &&
               day <= month_days(year, month) && hour < 24 && minute < 60 && second < 60,
           ERR_INVALID, "bad_time", "There is no such time.");
    if (p[at] == '.') {
        unsigned scale = 100;
        for (at++; at < t.len && p[at] >= '0' && p[at] <= '9'; at++, scale /= 10)
            ms += (unsigned)(p[at] - '0') * scale;
        ENSURE(at > 20, ERR_INVALID, "bad_time", "A time looks like 2026-11-23T19:30:00Z.");
    }
    ENSURE(parse_offset(span_sub(t, at, t.len), &offset_ms), ERR_INVALID, "bad_time",
           "A time ends in Z or an offset such as +01:00.");
    *ret_ms =
        (days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second) * 1000 +
        ms - offset_ms;
    return OK;
}
