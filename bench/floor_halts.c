/* SPDX-License-Identifier: Apache-2.0 */
/*
 * halts - how long the whole machine stands still when its processors and its disk are busy. A virtual machine often has a quota of
 * its host's time, and the work of its disk counts: then nothing runs until the period is over, and no program here can answer.
 */
#include <pthread.h>
#include <stdlib.h>

#include "floors.h"

enum {
    GAPS_MAX = 65536,
    GAP_US = 2000,             /* shorter ones are other threads' turns */
    COMMIT_BYTES = 256 * 1024, /* as a server commits */
    FILE_COMMITS = 256,
    SPINNERS_MAX = 64,
};

struct gap {
    int64_t from_us, to_us;
};

struct spinner {
    pthread_t thread;
    int64_t until_us;
    size_t count;
    struct gap gaps[GAPS_MAX];
};

static void *spin(void *context)
{
    struct spinner *s = context;

    for (int64_t now, before = now_us(); (now = now_us()) < s->until_us; before = now)
        if (now - before >= GAP_US && s->count < GAPS_MAX)
            s->gaps[s->count++] = (struct gap){before, now};
    return NULL;
}

static void intersect(const struct spinner *a, const struct spinner *b, struct spinner *ret_both)
{
    ret_both->count = 0;
    for (size_t i = 0, j = 0; i < a->count && j < b->count && ret_both->count < GAPS_MAX;) {
        const struct gap x = a->gaps[i], y = b->gaps[j];
        struct gap both = {x.from_us > y.from_us ? x.from_us : y.from_us,
                           x.to_us < y.to_us ? x.to_us : y.to_us};
        if (both.to_us - both.from_us >= GAP_US)
            ret_both->gaps[ret_both->count++] = both;
        if (x.to_us < y.to_us)
            i++;
        else
            j++;
    }
}

static void sum_up(const struct spinner *s, double seconds, struct floor_halts *ret_halts)
{
    int64_t sum_us = 0, longest_us = 0;

    for (size_t i = 0; i < s->count; i++) {
        int64_t us = s->gaps[i].to_us - s->gaps[i].from_us;
        sum_us += us;
        longest_us = us > longest_us ? us : longest_us;
    }
    *ret_halts =
        (struct floor_halts){.per_s = (double)s->count / seconds,
                             .share = (double)sum_us / (seconds * 1e6),
                             .mean_ms = s->count ? (double)sum_us / 1e3 / (double)s->count : 0,
                             .longest_ms = (double)longest_us / 1e3};
}

void floor_halts(const char *dir, double seconds, struct floor_halts *ret_halts)
{
    unsigned count = floor_processors() < SPINNERS_MAX ? floor_processors() : SPINNERS_MAX;
    struct spinner *spinners = calloc(count, sizeof *spinners), *both = calloc(2, sizeof *both);
    const struct spinner *all = spinners;
    int64_t until_us = now_us() + (int64_t)(seconds * 1e6);
    char path[BENCH_PATH_MAX];

    if (!spinners || !both || snprintf(path, sizeof path, "%s/floor.halts", dir) >= BENCH_PATH_MAX)
        die("halts: no memory, or path too long");
    for (unsigned i = 0; i < count; i++) {
        spinners[i].until_us = until_us;
        if (pthread_create(&spinners[i].thread, NULL, spin, &spinners[i]) != 0)
            die("halts: no thread");
    }
    (void)floor_syncs(path, COMMIT_BYTES, FILE_COMMITS, until_us);
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(spinners[i].thread, NULL);
    for (unsigned i = 1; i < count; i++) {
        intersect(all, &spinners[i], &both[i % 2]);
        all = &both[i % 2];
    }
    sum_up(all, seconds, ret_halts);
    free(spinners);
    free(both);
}
