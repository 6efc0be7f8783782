/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/http/rate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reach/http/inner.h"

enum { WAYS = 8, LOCKS = 64, SLOTS_MAX = 1 << 24, KEY_MAX = 256 };

/* full_us is when the bucket will be full; what lies in the past is as good as an empty place. */
struct bucket {
    uint64_t key;
    int64_t full_us;
};

struct http_rate {
    const struct http_rate_class *classes;
    size_t class_count, set_count;
    const struct clock *clock;
    struct http_hash_key secret;
    pthread_mutex_t locks[LOCKS];
    struct bucket *buckets; /* set_count sets of WAYS */
};

enum err http_rate_open(const struct http_rate_class *classes, size_t count, size_t slots,
                        const struct clock *clock, const struct rng *rng,
                        struct http_rate **ret_rate)
{
    size_t sets = LOCKS;
    for (size_t i = 0; i < count; i++)
        ENSURE(classes[i].quota > 0 && classes[i].quota <= 1000000 && classes[i].window_s > 0 &&
                   classes[i].window_s <= 31 * 86400,
               ERR_INVALID, "bad_rate_class", "Rate class %s has no sensible quota or window.",
               classes[i].name);
    ENSURE(slots <= SLOTS_MAX, ERR_INVALID, "bad_rate_class", "The rate table is too large.");
    while (sets * WAYS < slots)
        sets *= 2;
    struct http_rate *r = calloc(1, sizeof *r);
    struct bucket *buckets = calloc(sets * WAYS, sizeof *buckets);
    if (!r || !buckets) {
        free(r);
        free(buckets);
        FAIL(ERR_NOMEM, "no_memory", "No memory for rate limits.");
    }
    r->classes = classes;
    r->class_count = count;
    r->set_count = sets;
    r->clock = clock;
    r->buckets = buckets;
    rng_fill(rng, &r->secret, sizeof r->secret);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&r->locks[i], NULL);
    *ret_rate = r;
    return OK;
}

void http_rate_close(struct http_rate *rate)
{
    if (!rate)
        return;
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&rate->locks[i]);
    free(rate->buckets);
    wipe(&rate->secret, sizeof rate->secret);
    free(rate);
}

/* The key's bucket in its set, or the one nearest to full, taken over. */
static struct bucket *bucket_for(struct bucket *set, uint64_t key)
{
    struct bucket *fullest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (set[i].full_us < fullest->full_us)
            fullest = &set[i];
    }
    *fullest = (struct bucket){.key = key};
    return fullest;
}

static uint64_t hash_key(const struct http_rate *r, size_t class, struct span key)
{
    uint8_t text[8 + 8 + KEY_MAX];
    uint64_t whole = http_hash(&r->secret, key);
    size_t part = key.len < KEY_MAX ? key.len : KEY_MAX;
    put_u64be(text, class);
    put_u64be(text + 8, whole);
    if (part)
        memcpy(text + 16, key.data, part);
    return http_hash(&r->secret, span_of(text, 16 + part)) | 1; /* 0 marks a place never used */
}

struct http_rate_verdict http_rate_check(struct http_rate *r, size_t class, struct span key)
{
    INVARIANT(class < r->class_count, "there is such a rate class");
    const struct http_rate_class *k = &r->classes[class];
    int64_t window_us = (int64_t)k->window_s * 1000000, token_us = window_us / k->quota;
    uint64_t hash = hash_key(r, class, key);
    size_t set = (hash >> 1) % r->set_count;
    struct http_rate_verdict v = {.class = k};

    pthread_mutex_lock(&r->locks[set % LOCKS]);
    int64_t now_us = clock_mono_ms(r->clock) * 1000;
    struct bucket *b = bucket_for(&r->buckets[set * WAYS], hash);
    int64_t full_us = b->full_us > now_us ? b->full_us : now_us;
    v.allowed = full_us + token_us - now_us <= token_us * k->quota;
    if (v.allowed)
        b->full_us = full_us = full_us + token_us;
    pthread_mutex_unlock(&r->locks[set % LOCKS]);

    int64_t spare_us = token_us * k->quota - (full_us - now_us);
    v.remaining = (unsigned)(spare_us / token_us);
    int64_t wait_us = v.remaining ? full_us - now_us : token_us - spare_us;
    v.wait_s = (unsigned)((wait_us + 999999) / 1000000);
    return v;
}

void http_rate_headers(struct http_exchange *x, const struct http_rate_verdict *v)
{
    char text[120];
    (void)snprintf(text, sizeof text, "\"%.40s\";q=%u;w=%u", v->class->name, v->class->quota,
                   v->class->window_s);
    http_header_text(x, "RateLimit-Policy", text);
    (void)snprintf(text, sizeof text, "\"%.40s\";r=%u;t=%u", v->class->name, v->remaining,
                   v->wait_s);
    http_header_text(x, "RateLimit", text);
    if (!v->allowed) {
        (void)snprintf(text, sizeof text, "%u", v->wait_s);
        http_header_text(x, "Retry-After", text);
    }
}

void http_rate_refuse(struct http_exchange *x, const struct http_rate_verdict *v)
{
    char member[80];
    (void)snprintf(member, sizeof member, "\"violated-policies\":[\"%.40s\"]", v->class->name);
    http_rate_headers(x, v);
    http_reply_problem(
        x, &(struct http_problem){
               .status = 429,
               .type = "https://iana.org/assignments/http-problem-types#quota-exceeded",
               .title = "Request cannot be satisfied as assigned quota has been exceeded",
               .more_members = span_text(member)});
}
