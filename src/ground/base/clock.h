/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_CLOCK_H
#define GROUND_BASE_CLOCK_H

/*
 * clock - time as an injected part. Product code never calls time() or clock_gettime() itself.
 * Wall time is Unix milliseconds UTC; the monotonic clock is for deadlines and never steps.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ground/base/result.h"
#include "ground/base/span.h"

struct clock {
    int64_t (*now_ms)(void *self);
    int64_t (*mono_ms)(void *self);
    void *self;
};

static inline int64_t clock_now_ms(const struct clock *c)
{
    return c->now_ms(c->self);
}

static inline int64_t clock_mono_ms(const struct clock *c)
{
    return c->mono_ms(c->self);
}

/* The machine's clocks. */
const struct clock *clock_system(void);

/* A clock for tests and test mode: system time plus an offset that can be moved; thread-safe. */
struct clock_shifted {
    struct clock clock; /* pass &x.clock */
    int64_t offset_ms;  /* atomic */
};
void clock_shifted_init(struct clock_shifted *c);
void clock_shifted_advance(struct clock_shifted *c, int64_t by_ms);

/* A clock that stands still until it is moved. */
struct clock_fixed {
    struct clock clock;
    int64_t at_ms; /* atomic */
};
void clock_fixed_init(struct clock_fixed *c, int64_t at_ms);
void clock_fixed_set(struct clock_fixed *c, int64_t at_ms);

enum { TIME_TEXT_MAX = 32 };
/* RFC 3339 UTC with milliseconds when they are not zero: "2026-11-23T19:30:00Z". out holds TIME_TEXT_MAX. */
void time_format(int64_t at_ms, char *out);
/* RFC 3339 with any offset; years 1970..9999. ERR_INVALID "bad_time". */
RESULT time_parse(struct span text, int64_t *ret_ms);

#endif
