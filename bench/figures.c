/* SPDX-License-Identifier: Apache-2.0 */
/* figures - samples and how they are written. */
#include <stdlib.h>

#include "bench.h"

void samples_add(struct samples *s, int64_t us)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 4096;
        s->us = realloc(s->us, s->cap * sizeof *s->us);
        if (!s->us)
            die("no memory for samples");
    }
    s->us[s->count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double at(const struct samples *s, double part)
{
    size_t i = (size_t)(part * (double)s->count);
    return (double)s->us[i < s->count ? i : s->count - 1] / 1000.0;
}

void write_number(struct json_writer *w, const char *key, double value)
{
    char text[40];
    int n = snprintf(text, sizeof text, "%.3f", value);

    json_w_key(w, key);
    json_w_raw(w, span_of(text, (size_t)n));
}

void samples_write(struct samples *s, struct json_writer *w, const char *key)
{
    json_w_kv_object(w, key);
    json_w_kv_i64(w, "count", (int64_t)s->count);
    if (s->count) {
        qsort(s->us, s->count, sizeof *s->us, by_value);
        write_number(w, "p50_ms", at(s, 0.5));
        write_number(w, "p99_ms", at(s, 0.99));
        write_number(w, "p999_ms", at(s, 0.999));
        write_number(w, "max_ms", at(s, 1.0));
    }
    json_w_end(w);
}

void samples_done(struct samples *s)
{
    free(s->us);
    *s = (struct samples){0};
}

void machine_write(struct json_writer *w)
{
    double load[1] = {0};

    if (getloadavg(load, 1) != 1)
        load[0] = -1;
    write_number(w, "loadavg", load[0]);
    json_w_kv_bool(w, "machine_busy", load[0] > 1.0);
    if (load[0] > 1.0)
        say("warning: the machine is busy (load %.2f before the run); the figures are too low",
            load[0]);
}
