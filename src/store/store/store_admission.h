/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_STORE_ADMISSION_H
#define STORE_STORE_STORE_ADMISSION_H

/*
 * store_admission - rows of devices (scanners) and scans, as values. Rules are in door/admission. Texts that are returned live in
 * the arena given; tenant checks are the caller's.
 */
#include "store/store/store_catalog.h"

enum { DEVICE_KEY_BYTES = 32, SCAN_HASH_BYTES = 32 };

struct device_row {
    int64_t no, organiser_no, event_no;
    struct device_id id;
    const char *name, *gate;
    uint8_t public_key[DEVICE_KEY_BYTES]; /* Ed25519 */
    bool active;
    int64_t enrolled_by, enrolled_ms; /* account_no, 0: the installation */
};

/* An active one. Audited. ERR_CONFLICT "constraint" for a used id or key. no is not read. */
RESULT store_device_insert(struct store_tx *tx, const struct device_row *row);
/* active -> revoked. Audited; ret_changed is false when it was revoked already. */
RESULT store_device_revoke(struct store_tx *tx, struct device_id id, bool *ret_changed);
/* ERR_NOT_FOUND "no_device". */
RESULT store_device_by_id(struct store_tx *tx, struct arena *a, struct device_id id,
                          struct device_row *ret_row);
/* Of an event, in the order they were enrolled; page.after_no is the no of the last one seen. */
RESULT store_device_list(struct store_tx *tx, struct arena *a, int64_t event_no,
                         const struct store_page *page, struct device_row **ret_rows,
                         size_t *ret_count);

struct scan_row {
    int64_t scan_no, organiser_no, event_no, device_no, sequence;
    struct scan_id id;
    struct ticket_id ticket; /* zero when the code names none */
    uint8_t code_hash[SCAN_HASH_BYTES];
    int64_t admission_no; /* 0 when not admitted */
    bool admitted, conflict;
    const char *reason; /* "ok" or a word of trust/credential/reasons.def */
    int64_t scanned_ms; /* the device's clock */
    int64_t received_ms;
    const char *device_name, *gate; /* not written */
};

/*
 * Audited. ret_inserted is false when the ticket's admission of this number has happened already: the partial UNIQUE index decides. ERR_CONFLICT
 * "constraint" for a used id or (device, sequence). scan_no is not read.
 */
RESULT store_scan_insert(struct store_tx *tx, const struct scan_row *row, bool *ret_inserted);
/* ERR_NOT_FOUND "no_scan". */
RESULT store_scan_by_sequence(struct store_tx *tx, struct arena *a, int64_t device_no,
                              int64_t sequence, struct scan_row *ret_row);
/* The admission of a ticket with this number that counts (not a conflict). ERR_NOT_FOUND "no_scan". */
RESULT store_scan_admission(struct store_tx *tx, struct arena *a, struct ticket_id ticket,
                            int64_t admission_no, struct scan_row *ret_row);
/* The highest number the device has sent, 0 when none. */
RESULT store_scan_last_sequence(struct store_tx *tx, int64_t device_no, int64_t *ret_sequence);
/* Newest first; page.after_no is the scan_no of the last one seen. event_no 0: all events of the organiser. */
RESULT store_scan_list(struct store_tx *tx, struct arena *a, int64_t organiser_no, int64_t event_no,
                       const struct store_page *page, struct scan_row **ret_rows,
                       size_t *ret_count);
/* Admissions of an event, conflicts aside. */
RESULT store_scan_admitted(struct store_tx *tx, int64_t event_no, int64_t *ret_count);
/* How often a ticket was admitted, conflicts aside. */
RESULT store_scan_uses(struct store_tx *tx, struct ticket_id ticket, int64_t *ret_count);
/* The same, counting only what was recorded before this scan. */
RESULT store_scan_uses_before(struct store_tx *tx, struct ticket_id ticket, int64_t scan_no,
                              int64_t *ret_count);

#endif
