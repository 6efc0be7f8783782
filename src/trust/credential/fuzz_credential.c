/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text through the whole reader, and, so that the layers inside are reached without their keys, any bytes as each layer.
 * The first byte says which: 0 text, 1 sealed bytes, 2 ticket, 3 claims; any other is text as a whole.
 */
#include <string.h>

#include "trust/credential/credential.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ed25519_key issuer;
static struct secret32 gate;

static bool find_gate(void *self, const uint8_t kid[COSE_KID_BYTES], struct secret32 *ret_key)
{
    uint8_t ours[COSE_KID_BYTES];
    (void)self;
    credential_gate_kid(gate.b, ours);
    *ret_key = gate;
    return memcmp(kid, ours, COSE_KID_BYTES) == 0;
}

static bool find_issuer(void *self, const uint8_t kid[COSE_KID_BYTES],
                        uint8_t ret_public_key[ED25519_PUBLIC_BYTES])
{
    uint8_t ours[COSE_KID_BYTES];
    (void)self;
    credential_issuer_kid(issuer.public_key, ours);
    memcpy(ret_public_key, issuer.public_key, ED25519_PUBLIC_BYTES);
    return memcmp(kid, ours, COSE_KID_BYTES) == 0;
}

static enum err read_text(struct span text)
{
    static const struct credential_keys keys = {.gate_key = find_gate, .issuer_key = find_issuer};
    static const struct credential_expect expect = {
        .event_number = 4711, .now_ms = 5, .closes_ms = 10, .static_honoured = true};
    struct credential_verdict v;
    INVARIANT(credential_read(text, &keys, &expect, &v) == OK, "any text gets a verdict");
    return OK;
}

/* Claims that decode are encoded again as the same bytes. */
static enum err read_claims(struct span bytes)
{
    AUTO(buf_done) struct buf again = {0};
    struct ticket_claims c;

    TRY(credential_claims_decode(bytes, &c));
    buf_init(&again, CREDENTIAL_SEALED_MAX);
    INVARIANT(credential_claims_encode(&c, &again) == OK && span_eq(buf_span(&again), bytes),
              "there is one encoding");
    return OK;
}

static enum err read_sealed(struct span sealed)
{
    AUTO(buf_done) struct buf text;
    buf_init(&text, CREDENTIAL_TEXT_MAX);
    TRY(credential_text(sealed, false, &text));
    return read_text(buf_span(&text));
}

static enum err read_ticket(struct span ticket)
{
    static const uint8_t iv[AES256GCM_IV_BYTES];
    AUTO(buf_done) struct buf sealed;
    struct cose_sign1 m;

    if (cose_sign1_parse(ticket, &m) == OK)
        (void)!read_claims(m.payload);
    buf_init(&sealed, 4096);
    TRY(credential_seal(ticket, gate.b, iv, &sealed));
    return read_sealed(buf_span(&sealed));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    struct span all = span_of(data, size), rest = span_sub(all, 1, size);

    if (!ready) {
        INVARIANT(crypto_init() == OK, "the libraries start");
        uint8_t seed[ED25519_SEED_BYTES];
        for (uint8_t i = 0; i < sizeof seed; i++) {
            seed[i] = i;
            gate.b[i] = (uint8_t)(64 + i);
        }
        ed25519_key_from_seed(seed, &issuer);
        ready = true;
    }
    switch (size > 0 ? data[0] : 0xff) {
    case 1:
        (void)!read_sealed(rest);
        break;
    case 2:
        (void)!read_ticket(rest);
        break;
    case 3:
        (void)!read_claims(rest);
        break;
    case 0:
        (void)!read_text(rest);
        break;
    default:
        (void)!read_text(all);
    }
    return 0;
}
