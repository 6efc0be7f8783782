/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/catalog/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FILE_BYTES_MAX = 256 << 10,
    TIMES_MAX = 4096,
    TYPES_MAX = 256,
    CHARS_MAX = 1024,
    DAY_S = 86400,
    YEARS_400_DAYS = 146097,
};

struct zone_type {
    int32_t offset_s;
    bool dst;
    uint8_t abbreviation; /* index into chars */
};

/* One change of a POSIX TZ rule. */
struct zone_rule {
    char form; /* 'M' month.week.day, 'J' day without 29 February, 'N' day with it */
    int32_t month, week, day;
    int32_t time_s; /* local, may be negative or past a day */
};

struct zone {
    uint32_t time_count, type_count;
    int64_t times[TIMES_MAX];
    uint8_t type_at[TIMES_MAX];
    struct zone_type types[TYPES_MAX];
    char chars[CHARS_MAX + 1];
    /* the footer */
    bool has_rule, has_dst;
    char std_name[ZONE_ABBREVIATION_MAX], dst_name[ZONE_ABBREVIATION_MAX];
    int32_t std_offset_s, dst_offset_s;
    struct zone_rule to_dst, to_std;
};

#define BAD(condition)                                                                             \
    ENSURE(condition, ERR_INVALID, "bad_time_zone", "The time zone's file is not well-formed.")

/* --- names and files ------------------------------------------------------------------------------------------------- */

enum err zone_check_name(struct span name, const char *pointer)
{
    bool part = false; /* the part so far has a character, and began with a letter */

    ENSURE_AT(name.len >= 1 && name.len < ZONE_NAME_MAX, pointer, ERR_INVALID, "bad_time_zone",
              "A time zone is written like Europe/Berlin.");
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        bool other = (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+';
        bool ok = letter || (part && (other || c == '/'));
        ENSURE_AT(ok, pointer, ERR_INVALID, "bad_time_zone",
                  "A time zone is written like Europe/Berlin.");
        part = c != '/';
    }
    ENSURE_AT(part, pointer, ERR_INVALID, "bad_time_zone",
              "A time zone is written like Europe/Berlin.");
    return OK;
}

void zone_free(struct zone **z)
{
    if (!z || !*z)
        return;
    free(*z);
    *z = NULL;
}

static enum err read_file(const char *path, struct buf *out)
{
    AUTO(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    uint8_t part[4096];

    ENSURE(fd >= 0, ERR_INVALID, "bad_time_zone", "This system does not know that time zone.");
    for (;;) {
        ssize_t n = read(fd, part, sizeof part);
        if (n < 0 && errno == EINTR)
            continue;
        ENSURE(n >= 0, ERR_INVALID, "bad_time_zone", "This system does not know that time zone.");
        if (n == 0)
            break;
        buf_put(out, part, (size_t)n);
        BAD(!out->failed);
    }
    return OK;
}

enum err zone_open(const char *dir, struct span name, struct zone **ret_zone)
{
    AUTO(buf_done) struct buf file;
    char path[512];

    buf_init(&file, FILE_BYTES_MAX);
    TRY(zone_check_name(name, NULL));
    int n = snprintf(path, sizeof path, "%s/%.*s", dir ? dir : "/usr/share/zoneinfo", (int)name.len,
                     (const char *)name.data);
    ENSURE(n > 0 && (size_t)n < sizeof path, ERR_INVALID, "bad_time_zone", "The path is too long.");
    TRY(read_file(path, &file));
    return zone_parse(buf_span(&file), ret_zone);
}

/* --- TZif ------------------------------------------------------------------------------------------------------------ */

struct tzif_header {
    uint8_t version;
    uint32_t isut, isstd, leap, times, types, chars;
};

static enum err read_header(struct cursor *in, struct tzif_header *h)
{
    struct span magic, reserved;

    TRY(cursor_take(in, 4, &magic));
    BAD(span_eq_text(magic, "TZif"));
    TRY(cursor_u8(in, &h->version));
    TRY(cursor_take(in, 15, &reserved));
    TRY(cursor_u32be(in, &h->isut));
    TRY(cursor_u32be(in, &h->isstd));
    TRY(cursor_u32be(in, &h->leap));
    TRY(cursor_u32be(in, &h->times));
    TRY(cursor_u32be(in, &h->types));
    TRY(cursor_u32be(in, &h->chars));
    BAD(h->times <= TIMES_MAX && h->types >= 1 && h->types <= TYPES_MAX && h->chars >= 1 &&
        h->chars <= CHARS_MAX && h->leap <= 1000 && h->isut <= TYPES_MAX && h->isstd <= TYPES_MAX);
    return OK;
}

static size_t block_bytes(const struct tzif_header *h, size_t time_size)
{
    return h->times * (time_size + 1) + h->types * 6 + h->chars + h->leap * (time_size + 4) +
           h->isstd + h->isut;
}

static enum err read_block(struct zone *z, struct cursor *in, const struct tzif_header *h)
{
    struct span skipped;

    z->time_count = h->times;
    z->type_count = h->types;
    for (uint32_t i = 0; i < h->times; i++) {
        uint64_t t;
        TRY(cursor_u64be(in, &t));
        z->times[i] = (int64_t)t;
        BAD(i == 0 || z->times[i] > z->times[i - 1]);
    }
    for (uint32_t i = 0; i < h->times; i++) {
        TRY(cursor_u8(in, &z->type_at[i]));
        BAD(z->type_at[i] < h->types);
    }
    for (uint32_t i = 0; i < h->types; i++) {
        uint32_t offset;
        uint8_t dst;
        TRY(cursor_u32be(in, &offset));
        TRY(cursor_u8(in, &dst));
        TRY(cursor_u8(in, &z->types[i].abbreviation));
        z->types[i].offset_s = (int32_t)offset;
        z->types[i].dst = dst != 0;
        BAD(z->types[i].abbreviation < h->chars && z->types[i].offset_s > -100000 &&
            z->types[i].offset_s < 100000);
    }
    TRY(cursor_copy(in, z->chars, h->chars));
    z->chars[h->chars] = '\0';
    return cursor_take(in, h->leap * 12 + h->isstd + h->isut, &skipped);
}

/* --- the footer: a POSIX TZ string ("CET-1CEST,M3.5.0,M10.5.0/3") ------------------------------------------------------ */

static bool peek(const struct cursor *in, uint8_t c)
{
    return in->rest.len > 0 && in->rest.data[0] == c;
}

static bool accept(struct cursor *in, uint8_t c)
{
    if (!peek(in, c))
        return false;
    in->rest = span_sub(in->rest, 1, in->rest.len);
    return true;
}

static enum err read_name(struct cursor *in, char out[ZONE_ABBREVIATION_MAX])
{
    bool quoted = accept(in, '<');
    size_t len = 0;

    while (in->rest.len > 0) {
        uint8_t c = in->rest.data[0];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && !(quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-')))
            break;
        BAD(len < ZONE_ABBREVIATION_MAX - 1);
        out[len++] = (char)c;
        in->rest = span_sub(in->rest, 1, in->rest.len);
    }
    out[len] = '\0';
    BAD(len >= 1 && (!quoted || accept(in, '>')));
    return OK;
}

static enum err read_number(struct cursor *in, int32_t max, int32_t *ret_value)
{
    int32_t v = 0;
    bool any = false;

    while (in->rest.len > 0 && in->rest.data[0] >= '0' && in->rest.data[0] <= '9') {
        v = v * 10 + (in->rest.data[0] - '0');
        BAD(v <= max);
        any = true;
        in->rest = span_sub(in->rest, 1, in->rest.len);
    }
    BAD(any);
    *ret_value = v;
    return OK;
}

/* [+-]hh[:mm[:ss]] as seconds; hours up to 167 (RFC 8536, 3.3.1). */
static enum err read_clock(struct cursor *in, int32_t *ret_s)
{
    bool minus = accept(in, '-');
    int32_t h, m = 0, s = 0;

    if (!minus)
        (void)accept(in, '+');
    TRY(read_number(in, 167, &h));
    if (accept(in, ':')) {
        TRY(read_number(in, 59, &m));
        if (accept(in, ':'))
            TRY(read_number(in, 59, &s));
    }
    *ret_s = (h * 3600 + m * 60 + s) * (minus ? -1 : 1);
    return OK;
}

static enum err read_rule(struct cursor *in, struct zone_rule *r)
{
    BAD(accept(in, ','));
    if (accept(in, 'M')) {
        r->form = 'M';
        TRY(read_number(in, 12, &r->month));
        BAD(accept(in, '.'));
        TRY(read_number(in, 5, &r->week));
        BAD(accept(in, '.'));
        TRY(read_number(in, 6, &r->day));
        BAD(r->month >= 1 && r->week >= 1);
    } else {
        r->form = accept(in, 'J') ? 'J' : 'N';
        TRY(read_number(in, 365, &r->day));
        BAD(r->form == 'N' || r->day >= 1);
    }
    r->time_s = 2 * 3600;
    if (accept(in, '/'))
        TRY(read_clock(in, &r->time_s));
    return OK;
}

static enum err read_footer(struct zone *z, struct cursor in)
{
    int32_t west;

    BAD(accept(&in, '\n'));
    if (accept(&in, '\n'))
        return OK; /* no rule: the last type goes on */
    z->has_rule = true;
    TRY(read_name(&in, z->std_name));
    TRY(read_clock(&in, &west));
    z->std_offset_s = -west;
    if (!peek(&in, '\n')) {
        z->has_dst = true;
        TRY(read_name(&in, z->dst_name));
        z->dst_offset_s = z->std_offset_s + 3600;
        if (!peek(&in, ',')) {
            TRY(read_clock(&in, &west));
            z->dst_offset_s = -west;
        }
        TRY(read_rule(&in, &z->to_dst));
        TRY(read_rule(&in, &z->to_std));
    }
    BAD(accept(&in, '\n'));
    return OK;
}

enum err zone_parse(struct span tzif, struct zone **ret_zone)
{
    AUTO(zone_free) struct zone *z = NULL;
    struct cursor in = {tzif};
    struct tzif_header h;
    struct span skipped;

    BAD(tzif.len <= FILE_BYTES_MAX);
    TRY(read_header(&in, &h));
    BAD(h.version >= '2');
    TRY(cursor_take(&in, block_bytes(&h, 4), &skipped));
    TRY(read_header(&in, &h));
    z = calloc(1, sizeof *z);
    ENSURE(z, ERR_NOMEM, "no_memory", "No memory for a time zone.");
    TRY(read_block(z, &in, &h));
    TRY(read_footer(z, in));
    *ret_zone = z;
    z = NULL;
    return OK;
}

/* --- calendar (days from civil and back, after Howard Hinnant's public-domain algorithms) -------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a ^ b) < 0);
}

static int64_t days_of(int64_t year, int32_t month, int32_t day)
{
    year -= month <= 2;
    int64_t era = floor_div(year, 400);
    int64_t yoe = year - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * YEARS_400_DAYS + doe - 719468;
}

static void civil_of(int64_t days, int64_t *ret_year, int32_t *ret_month, int32_t *ret_day)
{
    days += 719468;
    int64_t era = floor_div(days, YEARS_400_DAYS);
    int64_t doe = days - era * YEARS_400_DAYS;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *ret_day = (int32_t)(doy - (153 * mp + 2) / 5 + 1);
    *ret_month = (int32_t)(mp < 10 ? mp + 3 : mp - 9);
    *ret_year = yoe + era * 400 + (*ret_month <= 2);
}

static bool leap_year(int64_t y)
{
    return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

static int32_t weekday_of(int64_t days)
{
    return (int32_t)((days % 7 + 11) % 7); /* 1970-01-01 was a Thursday */
}

/* When the rule applies in a year: seconds since 1970 by the local clock before the change. */
static int64_t rule_at(const struct zone_rule *r, int64_t year)
{
    int64_t first, days;

    if (r->form == 'N')
        return (days_of(year, 1, 1) + r->day) * DAY_S + r->time_s;
    if (r->form == 'J') {
        days = days_of(year, 1, 1) + r->day - 1 + (leap_year(year) && r->day >= 60);
        return days * DAY_S + r->time_s;
    }
    first = days_of(year, r->month, 1);
    days = first + (r->day - weekday_of(first) + 7) % 7 + (int64_t)(r->week - 1) * 7;
    int64_t next = r->month == 12 ? days_of(year + 1, 1, 1) : days_of(year, r->month + 1, 1);
    while (days >= next)
        days -= 7;
    return days * DAY_S + r->time_s;
}

struct zone_moment {
    int32_t offset_s;
    bool dst;
    const char *abbreviation;
};

static struct zone_moment moment_by_rule(const struct zone *z, int64_t at_s)
{
    struct zone_moment std = {z->std_offset_s, false, z->std_name};
    struct zone_moment dst = {z->dst_offset_s, true, z->dst_name};
    int64_t year;
    int32_t month, day;

    if (!z->has_dst)
        return std;
    civil_of(floor_div(at_s + z->std_offset_s, DAY_S), &year, &month, &day);
    int64_t start = rule_at(&z->to_dst, year) - z->std_offset_s;
    int64_t end = rule_at(&z->to_std, year) - z->dst_offset_s;
    bool summer = start < end ? at_s >= start && at_s < end : at_s >= start || at_s < end;
    return summer ? dst : std;
}

static struct zone_moment moment_of(const struct zone *z, int64_t at_s)
{
    uint32_t low = 0, high = z->time_count; /* the first change after at_s */
    uint8_t type = 0;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (z->times[mid] <= at_s)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == z->time_count && z->has_rule)
        return moment_by_rule(z, at_s);
    if (low > 0)
        type = z->type_at[low - 1];
    const struct zone_type *t = &z->types[type];
    return (struct zone_moment){t->offset_s, t->dst, z->chars + t->abbreviation};
}

void zone_local(const struct zone *z, int64_t at_ms, struct zone_time *ret_time)
{
    int64_t at_s = floor_div(at_ms, 1000), local, days, year;
    struct zone_moment m = moment_of(z, at_s);
    int32_t month, day;

    local = at_s + m.offset_s;
    days = floor_div(local, DAY_S);
    local -= days * DAY_S;
    civil_of(days, &year, &month, &day);
    *ret_time = (struct zone_time){.year = (int32_t)year,
                                   .month = (uint8_t)month,
                                   .day = (uint8_t)day,
                                   .hour = (uint8_t)(local / 3600),
                                   .minute = (uint8_t)(local / 60 % 60),
                                   .second = (uint8_t)(local % 60),
                                   .weekday = (uint8_t)weekday_of(days),
                                   .offset_s = m.offset_s,
                                   .dst = m.dst};
    (void)snprintf(ret_time->abbreviation, sizeof ret_time->abbreviation, "%s", m.abbreviation);
}

void zone_format(const struct zone *z, int64_t at_ms, char *out)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct zone_time t;

    zone_local(z, at_ms, &t);
    (void)snprintf(out, ZONE_TEXT_MAX, "%s %d %s %d, %02d:%02d %s", days[t.weekday], t.day,
                   months[t.month - 1], t.year, t.hour, t.minute, t.abbreviation);
}
