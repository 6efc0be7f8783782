/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PASSES_H
#define BENCH_PASSES_H

/* passes - tickets with their codes, as visitors hold them: bought gratis through the API, up to fifty an order. */
#include "seed.h"

enum { PASSES_PER_ORDER = 50, PASS_CODE_MAX = 416, PASSES_MAX = 240000 };

struct pass {
    char ticket[ID_TEXT_MAX];
    char code[PASS_CODE_MAX];
    uint32_t fan;    /* whose it is */
    bool shown;      /* a scan of it was answered */
    uint8_t entered; /* answers that let it in */
};

/*
 * Places 0..count-1 of a gratis show with per_order_max PASSES_PER_ORDER. *ret_codes_per_s: how fast their codes came, each of
 * them signed for the first time.
 */
void passes_buy(struct rig *r, const struct stage *stage, const struct fan *fans, size_t fan_count,
                struct pass *passes, size_t count, double *ret_codes_per_s);

#endif
