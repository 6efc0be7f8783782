/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DOOR_ADMISSION_ADMISSION_H
#define DOOR_ADMISSION_ADMISSION_H

/*
 * admission - who gets in: scanners are enrolled, scans are judged, each ticket admits as often as its entry rule says.
 *
 * A scan has two halves. scan_judge runs off the writer, on a reader: it checks the device's signature and reads the code with the
 * event's keys; what the scanner thinks of the code is not even an input. scan_record runs in the writer: it looks at what only the
 * store knows (is the ticket still valid, was it used), writes the scan whatever came of it, its ledger entry and its alerts.
 * What it is not: the code's format (trust/credential), the signing keys (trust/signer), offline doors (door/node).
 *
 * Invariants:
 *   A1  a ticket's n-th admission happens once: the partial UNIQUE index scan_admission decides, n <= the event's entries_max;
 *   A2  every judged scan leaves a row and a ledger entry, the rejected ones too; an answer is for ever: the same (device, sequence,
 *       code) gets it again, the same number with another code is refused;
 *   A3  a code that was validly signed and has no ticket row, or that of another place or a later generation, is never admitted and raises unknown_ticket;
 *   A4  alerts are raised in the transaction of the scan.
 */
#include "sale/catalog/event_facts.h"
#include "store/store/store_admission.h"
#include "store/store/store_ticket.h"
#include "trust/auth/auth.h"
#include "trust/credential/credential.h"
#include "trust/ledger/ledger.h"
#include "trust/signer/signer.h"

enum {
    DEVICE_NAME_MAX = 80, /* bytes; also of the gate */
    DEVICE_ENROLMENT_MS = 15 * 60 * 1000,
    SCAN_CODE_MAX = 1024, /* bytes of a code that is looked at; longer is malformed */
};

/* --- Scanners -------------------------------------------------------------------------------------------------------- */

struct device_enrolment {
    int64_t organiser_no, event_no; /* the caller has checked that the account may enrol for them */
    struct span name, gate;
    int64_t by_account_no; /* 0: the installation */
};
/* A one-time token good for DEVICE_ENROLMENT_MS. ERR_INVALID "bad_text"; ERR_NOT_FOUND "no_event" unless it is the organiser's. */
RESULT device_enrolment_begin(struct store_tx *tx, const struct device_enrolment *wish,
                              char ret_token[AUTH_TOKEN_TEXT]);
/*
 * The device's own request, with the key it made. Entry device_enrolled. The row's texts live in the arena. ERR_EXPIRED "link_used" for
 * a token that is unknown, used or over; ERR_INVALID "bad_public_key"; ERR_CONFLICT "id_reused" for a used id or key.
 */
RESULT device_enrol(struct store_tx *tx, struct arena *a, struct ledger *ledger, struct span token,
                    struct device_id id, const uint8_t public_key[ED25519_PUBLIC_BYTES],
                    struct device_row *ret_device);
/* For good; twice is fine. Entry device_revoked. The caller has checked the organiser. ERR_NOT_FOUND "no_device". */
RESULT device_revoke(struct store_tx *tx, struct ledger *ledger, struct device_id id,
                     int64_t by_account_no);

/* --- Keys to read codes with ------------------------------------------------------------------------------------------- */

/*
 * Gate keys and issuer keys as the signer has them, loaded when first needed (never on the writer), kept in guarded memory; any number
 * of threads. A key id that is not known has the organiser's keys asked for again, at most once in ADMISSION_KEYS_AGAIN_MS.
 */
struct admission_keys;
enum {
    ADMISSION_KEYS_AGAIN_MS = 5000,
    ADMISSION_EVENTS_MAX = 256,
    ADMISSION_SCANNERS_MAX = 4096,
    ADMISSION_TICKETS_MAX = 1 << 17 /* whose issuer signature is remembered as checked: 4 MB */
};
/* signer and clock must outlive it. */
RESULT admission_keys_new(const struct signer_client *signer, const struct clock *clock,
                          struct admission_keys **ret_keys);
void admission_keys_free(struct admission_keys *keys);
/*
 * Have an event's keys before its first scan asks for them; again: ask the signer anew unless it was asked within
 * ADMISSION_KEYS_AGAIN_MS. Blocks on the signer.
 */
RESULT admission_keys_load(struct admission_keys *k, int64_t organiser_no, int64_t event_no,
                           bool again);
/* The organiser's keys have just changed: who meets one that is not known asks for them at once. */
void admission_keys_changed(struct admission_keys *k, int64_t organiser_no);
/*
 * Before a code is shown: read it as a door will, so that the door finds its issuer's signature checked (credential/checked.h). A key that
 * the signer made a moment ago may not be known yet; then the door checks. ERR_CORRUPT "bad_code": no scanner would believe it; what the
 * signer's client says. Blocks on the signer, so never on the writer.
 */
RESULT admission_expect_code(struct admission_keys *keys, int64_t organiser_no, int64_t event_no,
                             struct span code);

/* --- Scans --------------------------------------------------------------------------------------------------------------- */

struct scan_request {
    struct device_id device;
    int64_t sequence;       /* 1, 2, ... of the device */
    struct span scanned_at; /* as sent: it is signed */
    int64_t scanned_ms;     /* the same, parsed */
    struct span code;
    uint8_t signature[ED25519_SIGNATURE_BYTES];
};

/* Appends what the device signs: "gatehouse/scan/1\n<device id>\n<sequence>\n<scanned_at>\n<code>". */
void scan_message(const struct scan_request *req, struct buf *out);

/* What scan_judge found; for scan_record. A zero one admits nobody. */
struct scan_judged {
    bool signature_checked;
    int64_t device_no, organiser_no, event_no, entries_max;
    struct credential_verdict verdict;
    uint8_t code_hash[SHA256_BYTES];
    const char *category_name; /* in the arena; "" when the code has no claims */
};
/*
 * On a reader. OK for any code whatever. ERR_UNAUTHENTICATED "bad_device_signature": no such device, or not its signature; ERR_DENIED
 * "device_revoked"; ERR_INVALID "bad_sequence"; what the signer's client says when keys must be loaded.
 */
RESULT scan_judge(struct store_tx *tx, struct arena *a, struct admission_keys *keys,
                  const struct scan_request *req, struct scan_judged *ret_judged);

/*
 * The same from memory, for a scanner of which scan_judge has let a scan pass before: its key, organiser and event never change, and
 * whether it was revoked meanwhile is asked by scan_record. facts: of the event that admission_known_event names. *ret_judged is false
 * when rows are needed all the same; then scan_judge. Errors as there.
 */
RESULT scan_judge_known(const struct event_facts *facts, int64_t now_ms, struct arena *a,
                        struct admission_keys *keys, const struct scan_request *req,
                        struct scan_judged *ret, bool *ret_judged);
/* The event of such a scanner; 0: not known. Any thread. */
int64_t admission_known_event(struct admission_keys *keys, struct device_id device);

struct scan_result {
    struct scan_id scan;
    bool admitted;
    const char *reason;      /* "ok" or a word of reasons.def; static, as say and form */
    const char *say;         /* to the visitor */
    struct ticket_id ticket; /* zero: the code names none of ours */
    char place[CREDENTIAL_PLACE_MAX + 1];
    const char *category_name; /* the judged one's */
    const char *form;          /* "paper" */
    int64_t entries_used, entries_max;
    int64_t first_ms; /* 0, or when the ticket was first admitted: for already_admitted */
    char first_gate[DEVICE_NAME_MAX + 1];
};
/*
 * In the writer. Entry scan_accepted (on the ticket's chain) or scan_rejected. ERR_DENIED "device_revoked"; ERR_CONFLICT
 * "sequence_reused".
 */
RESULT scan_record(struct store_tx *tx, struct ledger *ledger, const struct scan_request *req,
                   const struct scan_judged *judged, struct scan_result *ret_result);

/* Reads: store_device_by_id, store_device_list, store_scan_list, store_scan_admitted, store_scan_uses. */

#endif
