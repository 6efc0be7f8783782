/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ground/base/utf8.h"
#include "ground/encode/cbor.h"
#include "trust/credential/credential.h"

/* CWT claims (RFC 8392), COSE_Key parameters (RFC 9052 section 7), confirmation (RFC 8747). */
enum {
    CLAIM_EXPIRES = 4,
    CLAIM_NOT_BEFORE = 5,
    CLAIM_TICKET = 7,
    CLAIM_HOLDER = 8,
    CLAIM_GATEHOUSE = -65537,
    CNF_COSE_KEY = 1,
    KEY_TYPE = 1,
    KEY_TYPE_OKP = 1,
    KEY_CURVE = -1,
    KEY_CURVE_ED25519 = 6,
    KEY_X = -2,
    GATEHOUSE_ITEMS = 6
};
#define TIME_MAX_S INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

#define ENSURE_CLAIMS(condition, why)                                                              \
    ENSURE(condition, ERR_INVALID, "bad_claims", "Bad ticket: " why)

const char *credential_form_word(enum credential_form form)
{
    switch (form) {
    case CREDENTIAL_LIVE:
        return "live";
    case CREDENTIAL_PAPER:
        return "paper";
    case CREDENTIAL_WALLET:
        return "wallet";
    }
    return "unknown";
}

static enum err check_claims(const struct ticket_claims *c)
{
    struct span place = span_of(c->place, strnlen(c->place, sizeof c->place));

    ENSURE_CLAIMS(!id_is_zero(c->ticket.b), "no ticket id.");
    ENSURE_CLAIMS(c->event_number > 0, "no event.");
    ENSURE_CLAIMS(c->generation > 0, "generations begin at 1.");
    ENSURE_CLAIMS(place.len <= CREDENTIAL_PLACE_MAX, "a place that is too long.");
    TRY(utf8_check_line(place, CREDENTIAL_PLACE_MAX, NULL));
    ENSURE_CLAIMS(c->form >= CREDENTIAL_LIVE && c->form <= CREDENTIAL_WALLET, "an unknown form.");
    ENSURE_CLAIMS(c->has_holder == (c->form == CREDENTIAL_LIVE),
                  "a live ticket has a holder key, and no other has.");
    ENSURE_CLAIMS(c->not_before_s >= 0 && c->not_before_s <= TIME_MAX_S && c->expires_s >= 0 &&
                      c->expires_s <= TIME_MAX_S,
                  "a time out of range.");
    ENSURE_CLAIMS(!c->expires_s || c->not_before_s < c->expires_s, "it ends before it begins.");
    if (c->has_holder)
        TRY(ed25519_public_key_check(c->holder_key));
    return OK;
}

enum err credential_claims_encode(const struct ticket_claims *c, struct buf *out)
{
    TRY(check_claims(c));
    cbor_put_map(out, 2u + (c->expires_s != 0) + (c->not_before_s != 0) + c->has_holder);
    if (c->expires_s) {
        cbor_put_uint(out, CLAIM_EXPIRES);
        cbor_put_int(out, c->expires_s);
    }
    if (c->not_before_s) {
        cbor_put_uint(out, CLAIM_NOT_BEFORE);
        cbor_put_int(out, c->not_before_s);
    }
    cbor_put_uint(out, CLAIM_TICKET);
    cbor_put_bytes(out, SPAN_ARRAY(c->ticket.b));
    if (c->has_holder) {
        cbor_put_uint(out, CLAIM_HOLDER);
        cbor_put_map(out, 1);
        cbor_put_uint(out, CNF_COSE_KEY);
        cbor_put_map(out, 3);
        cbor_put_uint(out, KEY_TYPE);
        cbor_put_uint(out, KEY_TYPE_OKP);
        cbor_put_int(out, KEY_CURVE);
        cbor_put_uint(out, KEY_CURVE_ED25519);
        cbor_put_int(out, KEY_X);
        cbor_put_bytes(out, SPAN_ARRAY(c->holder_key));
    }
    cbor_put_int(out, CLAIM_GATEHOUSE);
    cbor_put_array(out, GATEHOUSE_ITEMS);
    cbor_put_uint(out, c->event_number);
    cbor_put_uint(out, c->generation);
    cbor_put_uint(out, c->place_no);
    cbor_put_text(out, span_text(c->place));
    cbor_put_uint(out, (uint64_t)c->form);
    cbor_put_uint(out, c->entry_class);
    return buf_check(out);
}

static enum err read_u32(struct cbor_reader *r, uint32_t *ret_value)
{
    uint64_t v;
    TRY(cbor_read_uint(r, UINT32_MAX, &v));
    *ret_value = (uint32_t)v;
    return OK;
}

static enum err read_time(struct cbor_reader *r, int64_t *ret_s)
{
    uint64_t v;
    TRY(cbor_read_uint(r, TIME_MAX_S, &v));
    ENSURE_CLAIMS(v > 0, "a time of zero.");
    *ret_s = (int64_t)v;
    return OK;
}

static enum err read_fixed(struct cbor_reader *r, uint8_t *out, size_t len)
{
    struct span s;
    TRY(cbor_read_bytes(r, len, &s));
    ENSURE_CLAIMS(s.len == len, "an id or key of another length.");
    memcpy(out, s.data, len);
    return OK;
}

static enum err expect_int(struct cbor_reader *r, int64_t wanted)
{
    int64_t v;
    TRY(cbor_read_int(r, &v));
    ENSURE_CLAIMS(v == wanted, "an unknown kind of holder key.");
    return OK;
}

static enum err read_holder(struct cbor_reader *r, uint8_t ret_key[ED25519_PUBLIC_BYTES])
{
    uint64_t pairs;

    TRY(cbor_read_map(r, 1, &pairs));
    ENSURE_CLAIMS(pairs == 1, "no holder key.");
    TRY(expect_int(r, CNF_COSE_KEY));
    TRY(cbor_read_map(r, 3, &pairs));
    ENSURE_CLAIMS(pairs == 3, "an unknown kind of holder key.");
    TRY(expect_int(r, KEY_TYPE));
    TRY(expect_int(r, KEY_TYPE_OKP));
    TRY(expect_int(r, KEY_CURVE));
    TRY(expect_int(r, KEY_CURVE_ED25519));
    TRY(expect_int(r, KEY_X));
    return read_fixed(r, ret_key, ED25519_PUBLIC_BYTES);
}

static enum err read_gatehouse(struct cbor_reader *r, struct ticket_claims *c)
{
    uint64_t items, v;
    struct span place;

    TRY(cbor_read_array(r, GATEHOUSE_ITEMS, &items));
    ENSURE_CLAIMS(items == GATEHOUSE_ITEMS, "a claim is missing.");
    TRY(read_u32(r, &c->event_number));
    TRY(read_u32(r, &c->generation));
    TRY(read_u32(r, &c->place_no));
    TRY(cbor_read_text(r, CREDENTIAL_PLACE_MAX, &place));
    TRY(span_to_text(place, c->place, sizeof c->place));
    TRY(cbor_read_uint(r, CREDENTIAL_WALLET, &v));
    c->form = (enum credential_form)v;
    TRY(cbor_read_uint(r, UINT16_MAX, &v));
    c->entry_class = (uint16_t)v;
    return OK;
}

static enum err read_claim(struct cbor_reader *r, struct ticket_claims *c)
{
    int64_t key;

    TRY(cbor_read_int(r, &key));
    switch (key) {
    case CLAIM_EXPIRES:
        return read_time(r, &c->expires_s);
    case CLAIM_NOT_BEFORE:
        return read_time(r, &c->not_before_s);
    case CLAIM_TICKET:
        return read_fixed(r, c->ticket.b, ID_BYTES);
    case CLAIM_HOLDER:
        c->has_holder = true;
        return read_holder(r, c->holder_key);
    case CLAIM_GATEHOUSE:
        return read_gatehouse(r, c);
    default:
        FAIL(ERR_INVALID, "bad_claims", "Bad ticket: a claim that is not known.");
    }
}

enum err credential_claims_decode(struct span bytes, struct ticket_claims *ret_claims)
{
    struct ticket_claims c = {0};
    struct cbor_reader r;
    uint64_t pairs;

    TRY(cbor_open(bytes, &r));
    TRY(cbor_read_map(&r, 5, &pairs));
    for (uint64_t i = 0; i < pairs; i++)
        TRY(read_claim(&r, &c));
    TRY(cbor_end(&r));
    /* Also finds what was missing: nothing that is left at zero passes. */
    TRY(check_claims(&c));
    *ret_claims = c;
    return OK;
}
