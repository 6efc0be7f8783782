/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_CREDENTIAL_COSE_H
#define TRUST_CREDENTIAL_COSE_H

/*
 * cose - the two COSE messages a ticket is made of (RFC 9052, RFC 9053): COSE_Sign1 with Ed25519, COSE_Encrypt0 with
 * AES-256-GCM. Every other algorithm, tag and header is refused by name. Nothing here knows what a ticket is.
 *
 * Invariants:
 *   E1  the algorithm stands in the protected header and is the one the function is for; the message never chooses it;
 *   E2  bytes are deterministic CBOR with the right tag; headers are alg, content type, kid and IV and no others, each once;
 *   E3  an empty protected map counts as the zero-length string in what is signed (RFC 9052 section 4.4).
 *
 * Slugs: bad_cbor, bad_tag, bad_cose (shape or header), bad_algorithm (all ERR_INVALID); bad_signature, bad_seal (ERR_DENIED).
 */
#include <stdint.h>

#include "ground/base/span.h"
#include "ground/crypto/crypto.h"

enum {
    COSE_KID_BYTES = 4,
    COSE_TAG_ENCRYPT0 = 16,
    COSE_TAG_SIGN1 = 18,
    COSE_ALG_A256GCM = 3,
    COSE_ALG_EDDSA = -8,
    COSE_HEADER_ALG = 1,
    COSE_HEADER_CONTENT_TYPE = 3,
    COSE_HEADER_KID = 4,
    COSE_HEADER_IV = 5
};

/* All spans are borrowed from the message. */
struct cose_headers {
    struct span protected_map; /* content of the protected byte string */
    /* Bit n: the header with label n is there. */
    unsigned protected_labels, unprotected_labels;
    struct span kid, iv; /* empty when absent */
};

struct cose_sign1 {
    struct cose_headers headers;
    struct span payload, signature;
};

struct cose_encrypt0 {
    struct cose_headers headers;
    struct span ciphertext; /* with its tag; IV is headers.iv, 12 bytes */
};

/* Shape only; nothing is proved before the second call of each pair. */
RESULT cose_sign1_parse(struct span message, struct cose_sign1 *ret_sign1);
RESULT cose_sign1_verify(const struct cose_sign1 *m, struct span external,
                         const uint8_t public_key[ED25519_PUBLIC_BYTES]);
RESULT cose_encrypt0_parse(struct span message, struct cose_encrypt0 *ret_encrypt0);
/* ret_plain holds ciphertext.len - AES256GCM_TAG_BYTES. */
RESULT cose_encrypt0_open(const struct cose_encrypt0 *m, struct span external,
                          const uint8_t key[AES256GCM_KEY_BYTES], uint8_t *ret_plain);

/* Messages of ours: protected {alg, kid}, unprotected {} or {IV}. Appended to out. */
RESULT cose_sign1_make(const struct ed25519_key *key, const uint8_t kid[COSE_KID_BYTES],
                       struct span payload, struct buf *out);
RESULT cose_encrypt0_make(const uint8_t key[AES256GCM_KEY_BYTES], const uint8_t kid[COSE_KID_BYTES],
                          const uint8_t iv[AES256GCM_IV_BYTES], struct span plain, struct buf *out);

/* What is signed, and what is authenticated beside the ciphertext: RFC 9052 sections 4.4 and 5.3. */
void cose_put_sig_structure(struct buf *out, struct span protected_map, struct span external,
                            struct span payload);
void cose_put_enc_structure(struct buf *out, struct span protected_map, struct span external);

#endif
