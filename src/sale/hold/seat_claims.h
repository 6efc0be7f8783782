/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_HOLD_SEAT_CLAIMS_H
#define SALE_HOLD_SEAT_CLAIMS_H

/*
 * seat_claims - places that the writer gave to a hold in a batch that is not durable yet: a mark at each, which goes when the hold is
 * published or its batch is lost. The writer's thread makes and ends claims; any thread looks. Private to this room.
 */
#include <stdatomic.h>

#include "store/store/notes.h"
#include "store/store/store.h"

struct seat_claims {
    _Atomic uint32_t *tags; /* HOLD_TAG; 0: none */
    uint32_t places;
    size_t count; /* the writer thread's */
};

bool seat_claims_init(struct seat_claims *c, uint32_t places); /* false: no memory */
void seat_claims_done(struct seat_claims *c);
/* What a command has left behind: a hold claims the place, a place given back is nobody's. */
void seat_claims_released(struct seat_claims *c, const struct store_note *note);
/* It is published from here on, unless the place was taken anew in the batch that runs. */
void seat_claims_committed(struct seat_claims *c, const struct store_note *note);
void seat_claims_lost(struct seat_claims *c);
bool seat_claimed_by_another(const struct seat_claims *c, uint32_t place, uint32_t tag);

#endif
