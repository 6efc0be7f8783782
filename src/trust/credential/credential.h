/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_CREDENTIAL_CREDENTIAL_H
#define TRUST_CREDENTIAL_CREDENTIAL_H

/*
 * credential - the ticket code: making it in the signer, reading it at a door.
 *
 *   claims  --issuer key-->  ticket (COSE_Sign1)  --gate key-->  sealed ticket (COSE_Encrypt0)  --base45-->  QR text
 *
 * The ticket is CWT claims (RFC 8392) as deterministic CBOR:
 *     { 4: expires, 5: not before, 7: ticket id (16 bytes), 8: {1: holder key},
 *       -65537: [event number, generation, place number, place, form, class] }
 * 4 and 5 (Unix seconds) stand only where they differ from the event's window, 8 only in a live ticket: a COSE_Key
 * {1: 1, -1: 6, -2: x}. Why one private claim: a claim key outside the registered range costs five bytes each time.
 * QR text is "GH1:" and the base45 of the sealed ticket, in test mode "GHT1:".
 *
 * A live code, which wraps the sealed ticket in a signature by the holder's device, is not read yet; a sealed ticket of form
 * live that comes without it is never accepted. What the store knows (superseded, refunded, admitted, ...) is decided by
 * door/admission with the same list of reasons. Who may have what signed is decided by trust/signer.
 *
 * Needs no store, no clock, no network and no allocation that grows with input: a venue node runs it offline.
 *
 * Invariants:
 *   K1  the same claims and key give the same ticket bytes; two different tickets never share bytes;
 *   K2  any change of one bit of a code, in its text or its bytes, is not accepted (test_credential.c tries all of them);
 *   K3  a verdict is CREDENTIAL_VALID only after seal, issuer signature, event, window and form have been checked, in this
 *       order; claims are given out only after the issuer signature was right;
 *   K4  a static code is at most CREDENTIAL_STATIC_MAX bytes before base45.
 */
#include <stdbool.h>
#include <stdint.h>

#include "ground/base/id.h"
#include "ground/base/span.h"
#include "ground/crypto/crypto.h"
#include "trust/credential/cose.h"

enum {
    CREDENTIAL_PLACE_MAX = 24,   /* bytes of UTF-8 */
    CREDENTIAL_STATIC_MAX = 225, /* bytes of a sealed paper or wallet ticket */
    CREDENTIAL_SEALED_MAX = 270, /* bytes of any sealed ticket */
    CREDENTIAL_TEXT_MAX = 5 + CREDENTIAL_SEALED_MAX / 2 * 3
};

enum credential_form { CREDENTIAL_LIVE = 1, CREDENTIAL_PAPER = 2, CREDENTIAL_WALLET = 3 };

struct ticket_claims {
    struct ticket_id ticket;
    uint32_t event_number; /* the event's short internal number, 1.. */
    uint32_t generation;   /* of (event, place), 1.. */
    uint32_t place_no;     /* number of the seat or slot in the event */
    char place[CREDENTIAL_PLACE_MAX + 1];
    enum credential_form form;
    uint16_t entry_class;
    int64_t not_before_s, expires_s; /* Unix seconds; 0: as the event's window */
    bool has_holder;                 /* exactly when form is live */
    uint8_t holder_key[ED25519_PUBLIC_BYTES];
};

enum credential_reason {
#define REASON(name, word, say) CREDENTIAL_##name,
#include "trust/credential/reasons.def"
#undef REASON
    CREDENTIAL_VALID
};

/* "forged", ...; "valid" for CREDENTIAL_VALID. Never NULL. */
const char *credential_reason_word(enum credential_reason reason);
/* One or two sentences for the person at the door; "" for CREDENTIAL_VALID. */
const char *credential_reason_say(enum credential_reason reason);
/* "live", "paper", "wallet". */
const char *credential_form_word(enum credential_form form);

/* Key ids: the first 4 bytes of SHA-256 over a label of their own kind and the key. They name, they do not prove. */
void credential_issuer_kid(const uint8_t public_key[ED25519_PUBLIC_BYTES],
                           uint8_t ret_kid[COSE_KID_BYTES]);
void credential_gate_kid(const uint8_t gate_key[AES256GCM_KEY_BYTES],
                         uint8_t ret_kid[COSE_KID_BYTES]);

/* ERR_INVALID "bad_claims" when a field is out of its range. Appends to out. */
RESULT credential_claims_encode(const struct ticket_claims *claims, struct buf *out);
/* Strict: ERR_INVALID for anything that credential_claims_encode does not write. */
RESULT credential_claims_decode(struct span bytes, struct ticket_claims *ret_claims);

/* Layer 1, for the signer only: claims to COSE_Sign1. Idempotent (Ed25519 is deterministic). */
RESULT credential_sign(const struct ticket_claims *claims, const struct ed25519_key *issuer,
                       struct buf *out);
/* Layer 2: the IV is fresh and random; it never comes twice under one gate key. */
RESULT credential_seal(struct span ticket, const uint8_t gate_key[AES256GCM_KEY_BYTES],
                       const uint8_t iv[AES256GCM_IV_BYTES], struct buf *out);
/* QR text of a sealed ticket. */
RESULT credential_text(struct span sealed, bool test_mode, struct buf *out);

/*
 * Where the reader finds keys. Each returns false when there is no such key. issuer_key must know only issuers that may sign
 * for the event in question; test keys and live keys are in different rings.
 */
struct credential_keys {
    bool (*gate_key)(void *self, const uint8_t kid[COSE_KID_BYTES], struct secret32 *ret_key);
    bool (*issuer_key)(void *self, const uint8_t kid[COSE_KID_BYTES],
                       uint8_t ret_public_key[ED25519_PUBLIC_BYTES]);
    void *self;
    struct checked_tickets *checked; /* may be NULL: then each signature is computed */
};

struct credential_expect {
    uint32_t event_number;
    int64_t now_ms;
    int64_t opens_ms, closes_ms; /* the event's window: opens_ms <= now_ms < closes_ms */
    bool static_honoured;        /* the event takes paper and wallet codes at this door */
    bool test_mode;
};

struct credential_verdict {
    enum credential_reason reason;
    bool has_claims; /* the issuer signature was right, whatever the reason */
    struct ticket_claims claims;
};

/*
 * Read a scanned text and judge it. OK with a verdict for any text whatever; another code only when the machine failed
 * (ERR_NOMEM, ERR_IO), and then nobody is admitted. ret_verdict->reason must be looked at: OK alone admits nobody.
 */
RESULT credential_read(struct span text, const struct credential_keys *keys,
                       const struct credential_expect *expect,
                       struct credential_verdict *ret_verdict);

#endif
