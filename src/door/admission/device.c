/* SPDX-License-Identifier: Apache-2.0 */
/* device - scanners: the one-time token that enrols one, its key, its end. */
#include "door/admission/inner.h"

#include <string.h>

#include "store/store/notes.h"
#include "store/store/store_order.h"

/* The subject of the token: u64 organiser, u64 event, u64 account, then name and gate, each with a length byte. */
static enum err subject_put(const struct device_enrolment *w, struct buf *out)
{
    buf_put_u64be(out, (uint64_t)w->organiser_no);
    buf_put_u64be(out, (uint64_t)w->event_no);
    buf_put_u64be(out, (uint64_t)w->by_account_no);
    buf_put_u8(out, (uint8_t)w->name.len);
    buf_put_span(out, w->name);
    buf_put_u8(out, (uint8_t)w->gate.len);
    buf_put_span(out, w->gate);
    return buf_check(out);
}

static enum err take_text(struct cursor *c, struct span *ret_text)
{
    uint8_t len;

    TRY(cursor_u8(c, &len));
    return cursor_take(c, len, ret_text);
}

static enum err subject_get(struct span subject, struct device_enrolment *ret_wish)
{
    struct cursor c = {subject};
    uint64_t numbers[3];

    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        TRY(cursor_u64be(&c, &numbers[i]));
    TRY(take_text(&c, &ret_wish->name));
    TRY(take_text(&c, &ret_wish->gate));
    ret_wish->organiser_no = (int64_t)numbers[0];
    ret_wish->event_no = (int64_t)numbers[1];
    ret_wish->by_account_no = (int64_t)numbers[2];
    return OK;
}

enum err device_enrolment_begin(struct store_tx *tx, const struct device_enrolment *wish,
                                char ret_token[AUTH_TOKEN_TEXT])
{
    AUTO(buf_done) struct buf subject = {0};
    AUTO(arena_done) struct arena a = {0};
    struct event_row event;

    TRY(utf8_check_line(wish->name, DEVICE_NAME_MAX, "#/name"));
    TRY(utf8_check_line(wish->gate, DEVICE_NAME_MAX, "#/gate"));
    ENSURE_AT(wish->name.len <= DEVICE_NAME_MAX, "#/name", ERR_INVALID, "bad_text",
              "The name has at most %d bytes.", DEVICE_NAME_MAX);
    ENSURE_AT(wish->gate.len <= DEVICE_NAME_MAX, "#/gate", ERR_INVALID, "bad_text",
              "The gate has at most %d bytes.", DEVICE_NAME_MAX);
    arena_init(&a, 131072);
    TRY(store_event_by_no(tx, &a, wish->event_no, &event));
    ENSURE(event.organiser_no == wish->organiser_no, ERR_NOT_FOUND, "no_event",
           "There is no such event.");
    buf_init(&subject, AUTH_ONE_TIME_SUBJECT_MAX);
    TRY(subject_put(wish, &subject));
    return auth_one_time_make(tx, ONE_TIME_DEVICE, buf_span(&subject), DEVICE_ENROLMENT_MS,
                              ret_token);
}

/* The entry of what an account, or the installation, did with a device. */
static enum err append(struct store_tx *tx, struct ledger *ledger, enum entry_kind kind,
                       const struct device_row *d, int64_t by_account_no)
{
    struct entry_draft draft;
    struct order_buyer by;

    entry_begin(&draft, tx, kind, d->organiser_no, d->event_no);
    entry_id(&draft, FIELD_device, d->id.b);
    entry_str(&draft, FIELD_name, d->name);
    entry_str(&draft, FIELD_gate, d->gate);
    entry_bytes(&draft, FIELD_public_key, SPAN_ARRAY(d->public_key));
    if (by_account_no) {
        TRY(store_order_buyer(tx, by_account_no, &by));
        entry_person(&draft, FIELD_actor, by.person_no, span_of(by.account.b, ID_BYTES));
    }
    entry_names(&draft, AUDIT_device, d->id.b);
    TRY(ledger_append(tx, ledger, &draft, NULL));
    store_note(tx, (struct store_note){.kind = NOTE_SESSION});
    return OK;
}

enum err device_enrol(struct store_tx *tx, struct arena *a, struct ledger *ledger,
                      struct span token, struct device_id id,
                      const uint8_t public_key[ED25519_PUBLIC_BYTES], struct device_row *ret_device)
{
    AUTO(buf_done) struct buf subject = {0};
    struct device_enrolment wish;
    struct device_row d = {.id = id, .active = true};

    TRY(ed25519_public_key_check(public_key));
    buf_init(&subject, AUTH_ONE_TIME_SUBJECT_MAX);
    TRY(auth_one_time_use(tx, ONE_TIME_DEVICE, token, &subject));
    TRY(subject_get(buf_span(&subject), &wish));
    d.organiser_no = wish.organiser_no;
    d.event_no = wish.event_no;
    d.name = arena_text(a, wish.name);
    d.gate = arena_text(a, wish.gate);
    ENSURE(d.name && d.gate, ERR_NOMEM, "no_memory", "The names need more memory than there is.");
    memcpy(d.public_key, public_key, sizeof d.public_key);
    d.enrolled_by = wish.by_account_no;
    d.enrolled_ms = store_now_ms(tx);
    enum err e = store_device_insert(tx, &d);
    ENSURE(e != ERR_CONFLICT, ERR_CONFLICT, "id_reused",
           "This id or this key is another scanner's already.");
    TRY(e);
    TRY(append(tx, ledger, ENTRY_device_enrolled, &d, wish.by_account_no));
    return store_device_by_id(tx, a, id, ret_device);
}

enum err device_revoke(struct store_tx *tx, struct ledger *ledger, struct device_id id,
                       int64_t by_account_no)
{
    AUTO(arena_done) struct arena a = {0};
    struct device_row d;
    bool changed;

    arena_init(&a, 8192);
    TRY(store_device_by_id(tx, &a, id, &d));
    TRY(store_device_revoke(tx, id, &changed));
    if (!changed)
        return OK;
    return append(tx, ledger, ENTRY_device_revoked, &d, by_account_no);
}
