/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DOOR_ADMISSION_INNER_H
#define DOOR_ADMISSION_INNER_H

/* inner - what the files of this room share. */
#include "door/admission/admission.h"

/* One reading of a code: which event's keys, and which were not there. */
struct admission_ring {
    struct admission_keys *keys;
    int64_t organiser_no, event_no;
    bool gate_missed, issuer_missed;
};
struct credential_keys admission_ring_keys(struct admission_ring *ring);

/* What of a scanner never changes. Bounded: who is crowded out is read again. */
struct known_scanner {
    struct device_id id;
    int64_t no, organiser_no, event_no; /* event_no 0: a free place */
    uint8_t public_key[ED25519_PUBLIC_BYTES];
};
void admission_keep_scanner(struct admission_keys *k, const struct known_scanner *scanner);
bool admission_find_scanner(struct admission_keys *k, struct device_id id,
                            struct known_scanner *ret_scanner);

/* Is it time to look at the organiser's other events for a loaded one? True at most once in ADMISSION_KEYS_AGAIN_MS. */
bool admission_neighbours_due(struct admission_keys *k, int64_t event_no);

/* What a scan calls for: alerts by its reason. In the transaction of the scan. */
struct scan_facts {
    const struct device_row *device;
    const struct scan_row *scan;
    const struct scan_row *first; /* the admission before, NULL when none */
    bool unknown_ticket;          /* validly signed, but not a ticket of ours */
    int64_t skipped;              /* sequence numbers the device left out, 0 for none */
};
RESULT scan_alerts(struct store_tx *tx, const struct scan_facts *facts);

#endif
