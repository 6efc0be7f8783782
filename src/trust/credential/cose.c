/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/credential/cose.h"

#include "ground/encode/cbor.h"

enum { MESSAGE_MAX = 4096, HEADERS_MAX = 8 };

#define ENSURE_COSE(condition, why) ENSURE(condition, ERR_INVALID, "bad_cose", "Bad COSE: " why)

/* Bytes that will be hashed: a failure here is the machine's. */
static enum err check_memory(const struct buf *b)
{
    ENSURE(!b->failed, ERR_NOMEM, "no_memory", "No memory for a COSE message.");
    return OK;
}

static struct span signed_form(struct span protected_map)
{
    return span_eq(protected_map, SPAN_LIT("\xa0")) ? (struct span){0} : protected_map;
}

void cose_put_sig_structure(struct buf *out, struct span protected_map, struct span external,
                            struct span payload)
{
    cbor_put_array(out, 4);
    cbor_put_text(out, SPAN_LIT("Signature1"));
    cbor_put_bytes(out, signed_form(protected_map));
    cbor_put_bytes(out, external);
    cbor_put_bytes(out, payload);
}

void cose_put_enc_structure(struct buf *out, struct span protected_map, struct span external)
{
    cbor_put_array(out, 3);
    cbor_put_text(out, SPAN_LIT("Encrypt0"));
    cbor_put_bytes(out, signed_form(protected_map));
    cbor_put_bytes(out, external);
}

static enum err read_header(struct cbor_reader *r, bool is_protected, int64_t algorithm,
                            struct cose_headers *h)
{
    unsigned *labels = is_protected ? &h->protected_labels : &h->unprotected_labels;
    enum cbor_kind kind;
    int64_t label, alg;
    uint64_t type;

    TRY(cbor_read_int(r, &label));
    ENSURE_COSE(label == COSE_HEADER_ALG || label == COSE_HEADER_CONTENT_TYPE ||
                    label == COSE_HEADER_KID || label == COSE_HEADER_IV,
                "a header that is not known.");
    ENSURE_COSE(!((h->protected_labels | h->unprotected_labels) & 1u << label), "a header twice.");
    *labels |= 1u << label;
    switch (label) {
    case COSE_HEADER_ALG:
        TRY(cbor_peek(r, &kind));
        ENSURE(is_protected && (kind == CBOR_UINT || kind == CBOR_NEGINT), ERR_INVALID,
               "bad_algorithm", "The algorithm is a number in the protected header.");
        TRY(cbor_read_int(r, &alg));
        ENSURE(alg == algorithm, ERR_INVALID, "bad_algorithm", "The algorithm is not %lld.",
               (long long)algorithm);
        return OK;
    case COSE_HEADER_CONTENT_TYPE:
        return cbor_read_uint(r, UINT16_MAX, &type);
    case COSE_HEADER_KID:
        return cbor_read_bytes(r, 64, &h->kid);
    default:
        ENSURE_COSE(!is_protected, "an IV in the protected header.");
        return cbor_read_bytes(r, AES256GCM_IV_BYTES, &h->iv);
    }
}

static enum err read_headers(struct cbor_reader *r, bool is_protected, int64_t algorithm,
                             struct cose_headers *h)
{
    uint64_t pairs;

    TRY(cbor_read_map(r, HEADERS_MAX, &pairs));
    for (uint64_t i = 0; i < pairs; i++)
        TRY(read_header(r, is_protected, algorithm, h));
    return OK;
}

/* Tag, array and both header maps; r is left at the first item after them. */
static enum err open_message(struct span message, uint64_t tag, uint64_t items, int64_t algorithm,
                             struct cbor_reader *r, struct cose_headers *h)
{
    struct cbor_reader inside;
    enum cbor_kind kind;
    uint64_t found;

    ENSURE_COSE(message.len <= MESSAGE_MAX, "longer than any message here.");
    TRY(cbor_open(message, r));
    TRY(cbor_peek(r, &kind));
    ENSURE(kind == CBOR_TAG, ERR_INVALID, "bad_tag", "A COSE message here begins with its tag.");
    TRY(cbor_read_tag(r, &found));
    ENSURE(found == tag, ERR_INVALID, "bad_tag", "The tag is not %llu.", (unsigned long long)tag);
    TRY(cbor_read_array(r, items, &found));
    ENSURE_COSE(found == items, "the array has another length.");
    *h = (struct cose_headers){0};
    TRY(cbor_read_bytes(r, message.len, &h->protected_map));
    if (h->protected_map.len > 0) {
        TRY(cbor_open(h->protected_map, &inside));
        TRY(read_headers(&inside, true, algorithm, h));
        TRY(cbor_end(&inside));
    }
    TRY(read_headers(r, false, algorithm, h));
    ENSURE(h->protected_labels & 1u << COSE_HEADER_ALG, ERR_INVALID, "bad_algorithm",
           "The protected header names no algorithm.");
    return OK;
}

enum err cose_sign1_parse(struct span message, struct cose_sign1 *ret_sign1)
{
    struct cbor_reader r;
    struct cose_sign1 m;

    TRY(open_message(message, COSE_TAG_SIGN1, 4, COSE_ALG_EDDSA, &r, &m.headers));
    ENSURE_COSE(m.headers.iv.len == 0, "an IV beside a signature.");
    TRY(cbor_read_bytes(&r, message.len, &m.payload));
    TRY(cbor_read_bytes(&r, message.len, &m.signature));
    TRY(cbor_end(&r));
    *ret_sign1 = m;
    return OK;
}

enum err cose_sign1_verify(const struct cose_sign1 *m, struct span external,
                           const uint8_t public_key[ED25519_PUBLIC_BYTES])
{
    AUTO(buf_done) struct buf to_verify = {0};

    ENSURE(m->signature.len == ED25519_SIGNATURE_BYTES, ERR_DENIED, "bad_signature",
           "An Ed25519 signature has 64 bytes.");
    buf_init(&to_verify, 2 * MESSAGE_MAX + external.len);
    cose_put_sig_structure(&to_verify, m->headers.protected_map, external, m->payload);
    TRY(check_memory(&to_verify));
    return ed25519_verify(public_key, buf_span(&to_verify), m->signature.data);
}

enum err cose_encrypt0_parse(struct span message, struct cose_encrypt0 *ret_encrypt0)
{
    struct cbor_reader r;
    struct cose_encrypt0 m;

    TRY(open_message(message, COSE_TAG_ENCRYPT0, 3, COSE_ALG_A256GCM, &r, &m.headers));
    ENSURE_COSE(m.headers.iv.len == AES256GCM_IV_BYTES, "no IV of 12 bytes.");
    TRY(cbor_read_bytes(&r, message.len, &m.ciphertext));
    ENSURE_COSE(m.ciphertext.len >= AES256GCM_TAG_BYTES, "a ciphertext shorter than its tag.");
    TRY(cbor_end(&r));
    *ret_encrypt0 = m;
    return OK;
}

enum err cose_encrypt0_open(const struct cose_encrypt0 *m, struct span external,
                            const uint8_t key[AES256GCM_KEY_BYTES], uint8_t *ret_plain)
{
    AUTO(buf_done) struct buf aad = {0};

    buf_init(&aad, MESSAGE_MAX + external.len);
    cose_put_enc_structure(&aad, m->headers.protected_map, external);
    TRY(check_memory(&aad));
    return aes256gcm_open(key, m->headers.iv.data, buf_span(&aad), m->ciphertext, ret_plain);
}

/* {1: algorithm, 4: kid} */
static struct span make_protected(int64_t algorithm, const uint8_t kid[COSE_KID_BYTES],
                                  struct buf *out)
{
    buf_init(out, 32);
    cbor_put_map(out, 2);
    cbor_put_uint(out, COSE_HEADER_ALG);
    cbor_put_int(out, algorithm);
    cbor_put_uint(out, COSE_HEADER_KID);
    cbor_put_bytes(out, span_of(kid, COSE_KID_BYTES));
    return buf_span(out);
}

enum err cose_sign1_make(const struct ed25519_key *key, const uint8_t kid[COSE_KID_BYTES],
                         struct span payload, struct buf *out)
{
    AUTO(buf_done) struct buf protected_map = {0};
    AUTO(buf_done) struct buf to_sign = {0};
    uint8_t signature[ED25519_SIGNATURE_BYTES];
    struct span headers = make_protected(COSE_ALG_EDDSA, kid, &protected_map);

    ENSURE_COSE(payload.len <= MESSAGE_MAX / 2, "a payload that is too long.");
    buf_init(&to_sign, MESSAGE_MAX);
    cose_put_sig_structure(&to_sign, headers, (struct span){0}, payload);
    TRY(check_memory(&protected_map));
    TRY(check_memory(&to_sign));
    ed25519_sign(key, buf_span(&to_sign), signature);
    cbor_put_tag(out, COSE_TAG_SIGN1);
    cbor_put_array(out, 4);
    cbor_put_bytes(out, headers);
    cbor_put_map(out, 0);
    cbor_put_bytes(out, payload);
    cbor_put_bytes(out, SPAN_ARRAY(signature));
    return buf_check(out);
}

enum err cose_encrypt0_make(const uint8_t key[AES256GCM_KEY_BYTES],
                            const uint8_t kid[COSE_KID_BYTES], const uint8_t iv[AES256GCM_IV_BYTES],
                            struct span plain, struct buf *out)
{
    AUTO(buf_done) struct buf protected_map = {0};
    AUTO(buf_done) struct buf aad = {0};
    uint8_t sealed[MESSAGE_MAX / 2 + AES256GCM_TAG_BYTES];
    struct span headers = make_protected(COSE_ALG_A256GCM, kid, &protected_map);

    ENSURE_COSE(plain.len <= MESSAGE_MAX / 2, "a content that is too long.");
    buf_init(&aad, 128);
    cose_put_enc_structure(&aad, headers, (struct span){0});
    TRY(check_memory(&protected_map));
    TRY(check_memory(&aad));
    TRY(aes256gcm_seal(key, iv, buf_span(&aad), plain, sealed));
    cbor_put_tag(out, COSE_TAG_ENCRYPT0);
    cbor_put_array(out, 3);
    cbor_put_bytes(out, headers);
    cbor_put_map(out, 1);
    cbor_put_uint(out, COSE_HEADER_IV);
    cbor_put_bytes(out, span_of(iv, AES256GCM_IV_BYTES));
    cbor_put_bytes(out, span_of(sealed, plain.len + AES256GCM_TAG_BYTES));
    return buf_check(out);
}
