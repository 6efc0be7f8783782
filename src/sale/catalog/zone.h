/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_CATALOG_ZONE_H
#define SALE_CATALOG_ZONE_H

/*
 * zone - what the clock on the wall of a venue shows: IANA time zones from the system's TZif files (RFC 8536, versions 2 to
 * 4, with the rule in the footer), without the process-global TZ. Immutable once opened, so threads share it.
 */
#include "ground/base/base.h"

struct zone;

enum { ZONE_NAME_MAX = 64, ZONE_ABBREVIATION_MAX = 8 };

/* "Europe/Berlin": letters, digits, '_', '-', '+' and single '/' between parts; ERR_INVALID "bad_time_zone" at pointer (may
 * be NULL). Says nothing about whether the system has it. */
RESULT zone_check_name(struct span name, const char *pointer);
/* dir NULL is /usr/share/zoneinfo. ERR_INVALID "bad_time_zone" when the name is unsafe, unknown or its file is not TZif. */
RESULT zone_open(const char *dir, struct span name, struct zone **ret_zone);
void zone_free(struct zone **z); /* NULL inside is fine */
/* Of the bytes of a TZif file; for tests and the fuzzer. */
RESULT zone_parse(struct span tzif, struct zone **ret_zone);

struct zone_time {
    int32_t year;
    uint8_t month, day, hour, minute, second; /* 1..12, 1..31 */
    uint8_t weekday;                          /* 0 Sunday .. 6 */
    int32_t offset_s;                         /* east of Greenwich */
    bool dst;
    char abbreviation[ZONE_ABBREVIATION_MAX];
};
/* The local time at an instant, Unix milliseconds. */
void zone_local(const struct zone *z, int64_t at_ms, struct zone_time *ret_time);

enum { ZONE_TEXT_MAX = 48 };
/* "Sat 12 Dec 2026, 19:30 CET"; out holds ZONE_TEXT_MAX. */
void zone_format(const struct zone *z, int64_t at_ms, char *out);

#endif
