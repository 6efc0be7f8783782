/* SPDX-License-Identifier: Apache-2.0 */
/* keys - the ticket keys of an organiser: which there are, and making the next. Private halves never leave the signer. */
#include <stdio.h>

#include "door/admission/admission.h"
#include "ground/encode/base64.h"
#include "reach/api/list.h"

static enum err write_key(struct json_writer *w, const struct signer_public_key *k, bool signs)
{
    AUTO(buf_done) struct buf text = {0};
    char kid[9];

    buf_init(&text, 100);
    base64_put(&text, SPAN_ARRAY(k->public_key));
    TRY(buf_check(&text));
    (void)snprintf(kid, sizeof kid, "%08x", k->kid);
    json_w_object(w);
    json_w_kv_cstr(w, "kid", kid);
    json_w_kv_i64(w, "generation", k->generation);
    json_w_kv_bool(w, "signs", signs);
    json_w_kv_text(w, "public_key", buf_span(&text));
    json_w_kv_time(w, "created_at", k->created_ms);
    json_w_end(w);
    return OK;
}

enum err api_ticket_keys_get(struct call *c)
{
    struct signer_public_key keys[SIGNER_KEYS_MAX];
    struct organiser_row organiser;
    struct json_writer w;
    size_t count;

    TRY(call_organiser(c, &organiser));
    call_close_snapshot(c);
    TRY(signer_public_keys(c->api->config.signer, (uint32_t)organiser.no, false, keys, &count));
    list_begin(c, &w);
    for (size_t i = 0; i < count; i++)
        TRY(write_key(&w, &keys[i], i == 0)); /* newest first: it signs, the others only verify */
    return list_end(c, &w, false, 0, 0);
}

struct rotation {
    struct organiser_row organiser;
    struct signer_public_key key;
};

static enum err rotate_write(struct call *c)
{
    struct rotation *r = c->args;
    struct order_buyer me;
    struct entry_draft d;
    struct json_writer w;
    char kid[9];

    TRY(store_order_buyer(c->tx, c->session.account_no, &me));
    (void)snprintf(kid, sizeof kid, "%08x", r->key.kid);
    entry_begin(&d, c->tx, ENTRY_key_rotated, r->organiser.no, 0);
    entry_id(&d, FIELD_organiser, r->organiser.id.b);
    entry_str(&d, FIELD_key_id, kid);
    entry_bytes(&d, FIELD_public_key, SPAN_ARRAY(r->key.public_key));
    entry_person(&d, FIELD_actor, me.person_no, span_of(me.account.b, ID_BYTES));
    TRY(ledger_append(c->tx, c->api->config.ledger, &d, NULL));
    call_begin(c, 201, &w);
    TRY(write_key(&w, &r->key, true));
    return call_end(c, &w);
}

/*
 * The signer makes the key first: if the entry then fails, a key exists that the ledger does not name yet, and asking again
 * makes another. A repeat with the same Idempotency-Key is answered before that.
 */
enum err api_ticket_key_post(struct call *c)
{
    struct rotation *r;
    bool answered;

    TRY(call_alloc(c, sizeof *r, &r));
    TRY(call_organiser(c, &r->organiser));
    TRY(call_no_members(c));
    TRY(call_answered(c, &answered));
    if (answered)
        return OK;
    call_close_snapshot(c);
    TRY(signer_key_rotate(c->api->config.signer, (uint32_t)r->organiser.no, false, &r->key));
    admission_keys_changed(c->api->config.admission_keys, r->organiser.no);
    return call_write(c, rotate_write, r);
}
