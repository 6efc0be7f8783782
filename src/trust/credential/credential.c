/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/credential/credential.h"

#include <string.h>

#include "ground/encode/base45.h"
#include "trust/credential/checked.h"

#define LIVE_PREFIX "GH1:"
#define TEST_PREFIX "GHT1:"

static const struct {
    const char *word, *say;
} reasons[] = {
#define REASON(name, word, say) {word, say},
#include "trust/credential/reasons.def"
#undef REASON
    {"valid", ""}};

const char *credential_reason_word(enum credential_reason reason)
{
    return reasons[reason <= CREDENTIAL_VALID ? reason : CREDENTIAL_MALFORMED].word;
}

const char *credential_reason_say(enum credential_reason reason)
{
    return reasons[reason <= CREDENTIAL_VALID ? reason : CREDENTIAL_MALFORMED].say;
}

static void make_kid(struct span label, struct span key, uint8_t ret_kid[COSE_KID_BYTES])
{
    uint8_t hash[SHA256_BYTES];
    const struct span parts[] = {label, key};

    sha256_parts(parts, COUNT_OF(parts), hash);
    memcpy(ret_kid, hash, COSE_KID_BYTES);
}

void credential_issuer_kid(const uint8_t public_key[ED25519_PUBLIC_BYTES],
                           uint8_t ret_kid[COSE_KID_BYTES])
{
    make_kid(SPAN_LIT("gatehouse/issuer-kid/v1\n"), span_of(public_key, ED25519_PUBLIC_BYTES),
             ret_kid);
}

void credential_gate_kid(const uint8_t gate_key[AES256GCM_KEY_BYTES],
                         uint8_t ret_kid[COSE_KID_BYTES])
{
    make_kid(SPAN_LIT("gatehouse/gate-kid/v1\n"), span_of(gate_key, AES256GCM_KEY_BYTES), ret_kid);
}

enum err credential_sign(const struct ticket_claims *claims, const struct ed25519_key *issuer,
                         struct buf *out)
{
    AUTO(buf_done) struct buf payload;
    uint8_t kid[COSE_KID_BYTES];

    buf_init(&payload, CREDENTIAL_SEALED_MAX);
    TRY(credential_claims_encode(claims, &payload));
    credential_issuer_kid(issuer->public_key, kid);
    return cose_sign1_make(issuer, kid, buf_span(&payload), out);
}

enum err credential_seal(struct span ticket, const uint8_t gate_key[AES256GCM_KEY_BYTES],
                         const uint8_t iv[AES256GCM_IV_BYTES], struct buf *out)
{
    uint8_t kid[COSE_KID_BYTES];

    ENSURE(ticket.len <= CREDENTIAL_SEALED_MAX, ERR_LIMIT, "too_large", "Too long for a ticket.");
    credential_gate_kid(gate_key, kid);
    return cose_encrypt0_make(gate_key, kid, iv, ticket, out);
}

enum err credential_text(struct span sealed, bool test_mode, struct buf *out)
{
    ENSURE(sealed.len <= CREDENTIAL_SEALED_MAX, ERR_LIMIT, "too_large",
           "A sealed ticket has at most %d bytes.", CREDENTIAL_SEALED_MAX);
    buf_put_text(out, test_mode ? TEST_PREFIX : LIVE_PREFIX);
    base45_put(out, sealed);
    return buf_check(out);
}

/* --- Reading --------------------------------------------------------------------------------------------------------- */

/* The machine's failures go up; everything else is a verdict. */
static bool is_verdict(enum err e)
{
    return e != ERR_NOMEM && e != ERR_IO && e != ERR_BUSY;
}

#define JUDGE(call, why)                                                                           \
    do {                                                                                           \
        enum err judged_ = (call);                                                                 \
        if (judged_ != OK && is_verdict(judged_)) {                                                \
            *ret_reason = (why);                                                                   \
            return OK;                                                                             \
        }                                                                                          \
        TRY(judged_);                                                                              \
    } while (0)

/* Exactly the headers that we write: protected {alg, kid of 4 bytes}, unprotected the ones given. */
static bool headers_are_ours(const struct cose_headers *h, unsigned unprotected_labels)
{
    return h->protected_labels == (1u << COSE_HEADER_ALG | 1u << COSE_HEADER_KID) &&
           h->unprotected_labels == unprotected_labels && h->kid.len == COSE_KID_BYTES;
}

/* Text to sealed bytes. */
static enum err take_text(struct span text, bool test_mode, uint8_t *out, size_t out_max,
                          size_t *ret_len)
{
    const char *prefix = test_mode ? TEST_PREFIX : LIVE_PREFIX;

    ENSURE(span_starts(text, prefix) && text.len <= CREDENTIAL_TEXT_MAX, ERR_INVALID, "bad_code",
           "Not a ticket code.");
    return base45_decode(span_sub(text, strlen(prefix), text.len), out, out_max, ret_len);
}

/* Layer 2 to layer 1. *ret_reason is CREDENTIAL_VALID when ret_ticket was written. */
static enum err open_seal(struct span sealed, const struct credential_keys *keys, uint8_t *out,
                          struct span *ret_ticket, enum credential_reason *ret_reason)
{
    AUTO(secret32_wipe) struct secret32 key;
    struct cose_encrypt0 m;

    JUDGE(cose_encrypt0_parse(sealed, &m), CREDENTIAL_MALFORMED);
    *ret_reason = CREDENTIAL_MALFORMED;
    if (!headers_are_ours(&m.headers, 1u << COSE_HEADER_IV))
        return OK;
    *ret_reason = CREDENTIAL_UNKNOWN_KEY;
    if (!keys->gate_key(keys->self, m.headers.kid.data, &key))
        return OK;
    JUDGE(cose_encrypt0_open(&m, (struct span){0}, key.b, out), CREDENTIAL_FORGED);
    *ret_ticket = span_of(out, m.ciphertext.len - AES256GCM_TAG_BYTES);
    *ret_reason = CREDENTIAL_VALID;
    return OK;
}

/* That the issuer signed it; computed only if it was not found right before. */
static enum err check_issuer(const struct cose_sign1 *m, struct span ticket,
                             const uint8_t public_key[ED25519_PUBLIC_BYTES],
                             struct checked_tickets *checked)
{
    uint8_t digest[SHA256_BYTES];

    if (!checked)
        return cose_sign1_verify(m, (struct span){0}, public_key);
    checked_digest(public_key, ticket, digest);
    if (checked_tickets_has(checked, digest))
        return OK;
    TRY(cose_sign1_verify(m, (struct span){0}, public_key));
    checked_tickets_add(checked, digest);
    return OK;
}

/* Layer 1 to claims. *ret_reason is CREDENTIAL_VALID when ret_claims was written. */
static enum err open_ticket(struct span ticket, const struct credential_keys *keys,
                            struct ticket_claims *ret_claims, enum credential_reason *ret_reason)
{
    uint8_t public_key[ED25519_PUBLIC_BYTES];
    struct cose_sign1 m;

    JUDGE(cose_sign1_parse(ticket, &m), CREDENTIAL_MALFORMED);
    *ret_reason = CREDENTIAL_MALFORMED;
    if (!headers_are_ours(&m.headers, 0))
        return OK;
    *ret_reason = CREDENTIAL_UNKNOWN_KEY;
    if (!keys->issuer_key(keys->self, m.headers.kid.data, public_key))
        return OK;
    JUDGE(check_issuer(&m, ticket, public_key, keys->checked), CREDENTIAL_FORGED);
    JUDGE(credential_claims_decode(m.payload, ret_claims), CREDENTIAL_MALFORMED);
    *ret_reason = CREDENTIAL_VALID;
    return OK;
}

/* A ticket's own times only ever narrow the event's window. */
static enum credential_reason judge(const struct ticket_claims *c,
                                    const struct credential_expect *expect)
{
    int64_t now_s = expect->now_ms / 1000;

    if (c->event_number != expect->event_number)
        return CREDENTIAL_WRONG_EVENT;
    if (expect->now_ms < expect->opens_ms || (c->not_before_s && now_s < c->not_before_s))
        return CREDENTIAL_TOO_EARLY;
    if (expect->now_ms >= expect->closes_ms || (c->expires_s && now_s >= c->expires_s))
        return CREDENTIAL_TOO_LATE;
    /* Why: a live code shows its sealed ticket to every camera; alone it proves nothing about who holds the phone. */
    if (c->form == CREDENTIAL_LIVE)
        return CREDENTIAL_STALE_CODE;
    return expect->static_honoured ? CREDENTIAL_VALID : CREDENTIAL_STATIC_NOT_HONOURED;
}

enum err credential_read(struct span text, const struct credential_keys *keys,
                         const struct credential_expect *expect,
                         struct credential_verdict *ret_verdict)
{
    uint8_t sealed[CREDENTIAL_SEALED_MAX], plain[CREDENTIAL_SEALED_MAX];
    size_t len;
    struct span ticket;
    struct credential_verdict v = {.reason = CREDENTIAL_MALFORMED};

    if (take_text(text, expect->test_mode, sealed, sizeof sealed, &len) == OK) {
        TRY(open_seal(span_of(sealed, len), keys, plain, &ticket, &v.reason));
        if (v.reason == CREDENTIAL_VALID) {
            TRY(open_ticket(ticket, keys, &v.claims, &v.reason));
            v.has_claims = v.reason == CREDENTIAL_VALID;
        }
        if (v.has_claims)
            v.reason = judge(&v.claims, expect);
    }
    *ret_verdict = v;
    return OK;
}
