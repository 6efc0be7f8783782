/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_CATALOG_PLAN_MAKE_H
#define SALE_CATALOG_PLAN_MAKE_H

/* plan_make - what the makers of plans (import, generators) share. No other room includes it. */
#include "sale/catalog/plan.h"

RESULT plan_new(struct plan **ret_plan);
/* count zeroed items; ret_array is the address of a pointer. */
RESULT plan_array(struct plan *p, size_t count, size_t size, void *ret_array);
RESULT plan_text(struct plan *p, struct span text, const char **ret_text);
/* Move everything so that nothing has a negative coordinate, and make the size hold it all. True when it did something. */
bool plan_fit(struct plan *p);
/* Give every seat a seat_guid of its own; each change is a repair. row_base[z] is the number of the first row of zone z. */
RESULT plan_unique_guids(struct plan *p, const uint32_t *row_base, struct plan_repairs *repairs);
void plan_repair_add(struct plan_repairs *r, const char *kind, const char *pointer, const char *was,
                     const char *now);

#endif
