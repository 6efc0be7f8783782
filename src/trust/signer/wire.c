/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/signer/wire.h"

#include <string.h>

enum { WIRE_CLAIMS_MAX = 256 };

void wire_put_claims(struct buf *out, const struct ticket_claims *claims)
{
    size_t place_len = strnlen(claims->place, CREDENTIAL_PLACE_MAX);

    buf_put(out, claims->ticket.b, sizeof claims->ticket.b);
    buf_put_u32be(out, claims->event_number);
    buf_put_u32be(out, claims->generation);
    buf_put_u32be(out, claims->place_no);
    buf_put_u8(out, (uint8_t)claims->form);
    buf_put_u16be(out, claims->entry_class);
    buf_put_u64be(out, (uint64_t)claims->not_before_s);
    buf_put_u64be(out, (uint64_t)claims->expires_s);
    buf_put_u8(out, claims->has_holder);
    if (claims->has_holder)
        buf_put(out, claims->holder_key, sizeof claims->holder_key);
    buf_put_u8(out, (uint8_t)place_len);
    buf_put(out, claims->place, place_len);
}

enum err wire_claims_hash(const struct ticket_claims *claims, uint8_t ret_hash[SHA256_BYTES])
{
    AUTO(buf_done) struct buf bytes = {0};

    buf_init(&bytes, WIRE_CLAIMS_MAX);
    wire_put_claims(&bytes, claims);
    TRY(buf_check(&bytes));
    sha256(buf_span(&bytes), ret_hash);
    return OK;
}

enum err wire_get_bool(struct cursor *in, bool *ret_value)
{
    uint8_t v;

    TRY(cursor_u8(in, &v));
    ENSURE(v <= 1, ERR_INVALID, "bad_message", "A yes or no is neither.");
    *ret_value = v;
    return OK;
}

enum err wire_end(const struct cursor *in)
{
    ENSURE(in->rest.len == 0, ERR_INVALID, "bad_message", "The message is longer than its fields.");
    return OK;
}

enum err wire_get_claims(struct cursor *in, struct ticket_claims *ret_claims)
{
    struct ticket_claims c = {0};
    struct span place;
    uint64_t not_before, expires;
    uint8_t form, place_len;

    TRY(cursor_copy(in, c.ticket.b, sizeof c.ticket.b));
    TRY(cursor_u32be(in, &c.event_number));
    TRY(cursor_u32be(in, &c.generation));
    TRY(cursor_u32be(in, &c.place_no));
    TRY(cursor_u8(in, &form));
    TRY(cursor_u16be(in, &c.entry_class));
    TRY(cursor_u64be(in, &not_before));
    TRY(cursor_u64be(in, &expires));
    TRY(wire_get_bool(in, &c.has_holder));
    if (c.has_holder)
        TRY(cursor_copy(in, c.holder_key, sizeof c.holder_key));
    TRY(cursor_u8(in, &place_len));
    TRY(cursor_take(in, place_len, &place));
    ENSURE(form >= CREDENTIAL_LIVE && form <= CREDENTIAL_WALLET, ERR_INVALID, "bad_claims",
           "There is no ticket of this form.");
    ENSURE(span_to_text(place, c.place, sizeof c.place) == OK, ERR_INVALID, "bad_claims",
           "The place is too long or no text.");
    c.form = (enum credential_form)form;
    c.not_before_s = (int64_t)not_before;
    c.expires_s = (int64_t)expires;
    *ret_claims = c;
    return OK;
}
