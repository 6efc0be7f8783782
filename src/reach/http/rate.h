/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_HTTP_RATE_H
#define REACH_HTTP_RATE_H

/*
 * rate - token buckets by class and key (an address, an account, a device, a card, a product), in a table of fixed size.
 *
 * A bucket is one number, the time at which it will be full again (GCRA). Keys are hashed with a secret, so that nobody can
 * choose collisions. When a set of the table is full, the bucket nearest to full is forgotten: an attacker with many keys
 * displaces other fresh buckets, never one that is being held back.
 */
#include "ground/base/clock.h"
#include "ground/base/rng.h"
#include "ground/base/span.h"
#include "reach/http/exchange.h"

struct http_rate_class {
    const char *name;  /* static, [a-z0-9-] */
    unsigned quota;    /* tokens: the burst */
    unsigned window_s; /* in which an empty bucket fills again */
};

struct http_rate;

struct http_rate_verdict {
    bool allowed;
    const struct http_rate_class *class;
    unsigned remaining;
    unsigned wait_s; /* until one more token, when there is none; else until the bucket is full */
};

/* classes must outlive the limiter; slots is rounded up to a power of two. ERR_INVALID on an empty class. */
RESULT http_rate_open(const struct http_rate_class *classes, size_t count, size_t slots,
                      const struct clock *clock, const struct rng *rng,
                      struct http_rate **ret_rate);
void http_rate_close(struct http_rate *rate);
/* Take one token from the bucket of (class, key). Any thread. */
struct http_rate_verdict http_rate_check(struct http_rate *rate, size_t class, struct span key);
/* RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10), and Retry-After when it was refused. */
void http_rate_headers(struct http_exchange *x, const struct http_rate_verdict *verdict);
/* 429 with those headers and the problem type quota-exceeded. */
void http_rate_refuse(struct http_exchange *x, const struct http_rate_verdict *verdict);

#endif
