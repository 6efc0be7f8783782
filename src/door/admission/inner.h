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
