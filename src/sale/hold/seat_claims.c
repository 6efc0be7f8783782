/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/hold/seat_claims.h"

#include <stdlib.h>

bool seat_claims_init(struct seat_claims *c, uint32_t places)
{
    *c = (struct seat_claims){.tags = calloc(places, sizeof *c->tags), .places = places};
    return c->tags != NULL;
}

void seat_claims_done(struct seat_claims *c)
{
    free(c->tags);
    c->tags = NULL;
}

static void claim(struct seat_claims *c, uint32_t place, uint32_t tag)
{
    uint32_t before = atomic_exchange(&c->tags[place], tag);

    c->count += (tag != 0) - (size_t)(before != 0);
}

void seat_claims_released(struct seat_claims *c, const struct store_note *n)
{
    int64_t state = note_place_state(n->c);

    if (n->b < c->places && (state == PLACE_HELD || state == PLACE_FREE))
        claim(c, n->b, state == PLACE_HELD ? note_hold_tag(n->c) : 0);
}

void seat_claims_committed(struct seat_claims *c, const struct store_note *n)
{
    if (n->b < c->places && note_place_state(n->c) == PLACE_HELD &&
        atomic_load(&c->tags[n->b]) == note_hold_tag(n->c))
        claim(c, n->b, 0);
}

void seat_claims_lost(struct seat_claims *c)
{
    for (uint32_t at = 0; at < c->places && c->count > 0; at++)
        claim(c, at, 0);
}

bool seat_claimed_by_another(const struct seat_claims *c, uint32_t place, uint32_t tag)
{
    uint32_t claimed = place < c->places ? atomic_load(&c->tags[place]) : 0;

    return claimed != 0 && claimed != tag;
}
