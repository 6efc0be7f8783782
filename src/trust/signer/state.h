/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_SIGNER_STATE_H
#define TRUST_SIGNER_STATE_H

/*
 * state - what the signer remembers: events with their limits, the newest generation of each place, every mint. It is the
 * journal, replayed; nothing else may change it.
 *
 * Invariants:
 *   P1  a key (event, place, generation, form) has one claims hash for ever;
 *   P2  the generation of a place never falls;
 *   P3  an event's live places (places that ever had a mint) are at most its capacity, each number below its places.
 */
#include "trust/signer/journal.h"
#include "trust/signer/table.h"

struct state_event {
    struct table_key key; /* event number */
    uint32_t organiser_no, places, capacity, live;
    bool test_mode;
};

struct state_mint {
    struct table_key key; /* event, place, generation, form */
    uint32_t kid;
    uint8_t claims_hash[32];
};

struct state_place {
    struct table_key key; /* event, place */
    uint32_t generation;
};

struct state {
    struct journal journal;
    struct table events, mints, places;
};

/* Replays the journal. state_done in any case. */
RESULT state_open(const struct disk *disk, struct state *ret_state);
void state_done(struct state *s);

struct state_event *state_event(const struct state *s, uint32_t event_no);
const struct state_mint *state_mint(const struct state *s, uint32_t event_no, uint32_t place_no,
                                    uint32_t generation, uint8_t form);
/*
 * May this mint be made? OK also when it was made before with the same claims (*ret_known then points at it, else NULL).
 * ERR_NOT_FOUND "event_not_open"; ERR_LIMIT "capacity"; ERR_CONFLICT "superseded", "mint_conflict".
 */
RESULT state_mint_check(const struct state *s, const struct journal_record *wanted,
                        const struct state_mint **ret_known);
/* Append to the journal and remember. Not on the disk before journal_sync. */
RESULT state_record(struct state *s, struct journal_record *record);

#endif
