/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/signer/handlers.h"

#include <string.h>

#include "trust/credential/credential.h"
#include "trust/signer/approval.h"
#include "trust/signer/signer.h"
#include "trust/signer/wire.h"

static enum err handle_status(struct signer *s, struct cursor *in, struct buf *out)
{
    char vkey[VKEY_TEXT_MAX + 1];

    TRY(wire_end(in));
    vkey_format(&s->vkey, vkey);
    buf_put_u64be(out, s->state.journal.head.sequence);
    buf_put(out, s->state.journal.head.hash, JOURNAL_HASH_BYTES);
    buf_put_u64be(out, s->log_head.size);
    buf_put(out, s->log_head.root.b, sizeof s->log_head.root.b);
    buf_put_u32be(out, (uint32_t)s->keys.count);
    buf_put_u8(out, s->landlock);
    buf_put_text(out, vkey);
    return OK;
}

/* --- Events ---------------------------------------------------------------------------------------------------------- */

static enum err read_event(struct cursor *in, struct signer_event *ret_event)
{
    struct signer_event e;

    TRY(cursor_u32be(in, &e.organiser_no));
    TRY(cursor_u32be(in, &e.event_no));
    TRY(wire_get_bool(in, &e.test_mode));
    TRY(cursor_u32be(in, &e.places));
    TRY(cursor_u32be(in, &e.capacity));
    TRY(wire_end(in));
    ENSURE(e.organiser_no > 0 && e.event_no > 0, ERR_INVALID, "bad_message",
           "Organisers and events are numbered from 1.");
    ENSURE(e.places >= 1 && e.capacity >= 1 && e.capacity <= e.places, ERR_INVALID, "bad_capacity",
           "A capacity is 1 to the number of places.");
    *ret_event = e;
    return OK;
}

/* An event that is open already: may it have these limits? */
static enum err check_limits(struct signer *s, const struct state_event *now,
                             const struct signer_event *wanted)
{
    struct approval approval = {wanted->event_no, wanted->places, wanted->capacity};
    bool covers = true;

    ENSURE(now->organiser_no == wanted->organiser_no && now->test_mode == wanted->test_mode,
           ERR_CONFLICT, "event_organiser",
           "The event was opened for another organiser or in another mode.");
    ENSURE(wanted->capacity >= now->live, ERR_CONFLICT, "capacity_used",
           "More places than this have tickets already.");
    if (wanted->capacity > now->capacity || wanted->places > now->places)
        TRY(approval_covers(s->disk, &s->master, &approval, &covers));
    ENSURE(covers, ERR_DENIED, "not_approved",
           "The owner has not approved this capacity; see the admin command.");
    return OK;
}

static enum err handle_event_open(struct signer *s, struct cursor *in, struct buf *out)
{
    struct signer_event e;
    const struct keystore_key *key;

    (void)out;
    TRY(read_event(in, &e));
    const struct state_event *now = state_event(&s->state, e.event_no);
    if (now) {
        TRY(check_limits(s, now, &e));
        if (now->capacity == e.capacity && now->places == e.places)
            return OK;
    }
    TRY(keystore_need(&s->keys, KEY_TICKET, e.test_mode, e.organiser_no, NULL, &key));
    TRY(keystore_need(&s->keys, KEY_GATE, e.test_mode, e.event_no, NULL, &key));
    struct journal_record record = {
        .kind = now ? JOURNAL_EVENT_LIMITS : JOURNAL_EVENT_OPEN,
        .form = e.test_mode,
        .event_no = e.event_no,
        .organiser_no = e.organiser_no,
        .places = e.places,
        .capacity = e.capacity,
        .time_ms = clock_now_ms(s->clock),
    };
    enum err recorded = state_record(&s->state, &record);
    s->doubtful |= recorded != OK;
    return recorded;
}

/* --- Minting --------------------------------------------------------------------------------------------------------- */

/*
 * Why the IV is derived and not random: the same ticket asked for again gives the same code, and a repeated IV can only come with
 * the same ticket. 96 bits of a keyed hash; an event has far fewer than 2^32 tickets.
 */
static void derive_iv(const uint8_t gate_key[SECRET_BYTES], struct span ticket,
                      uint8_t ret_iv[AES256GCM_IV_BYTES])
{
    uint8_t iv_key[SHA256_BYTES], mac[SHA256_BYTES];

    hmac_sha256(span_of(gate_key, SECRET_BYTES), SPAN_LIT("gatehouse gate iv 1"), iv_key);
    hmac_sha256(SPAN_ARRAY(iv_key), ticket, mac);
    memcpy(ret_iv, mac, AES256GCM_IV_BYTES);
    wipe(iv_key, sizeof iv_key);
}

static enum err sign_and_seal(struct signer *s, const struct ticket_claims *claims,
                              const struct state_event *event, const struct keystore_key *issuer,
                              struct buf *out)
{
    AUTO(buf_done) struct buf ticket = {0};
    AUTO(buf_done) struct buf sealed = {0};
    uint8_t iv[AES256GCM_IV_BYTES];
    const struct keystore_key *gate =
        keystore_find(&s->keys, KEY_GATE, event->test_mode, claims->event_number, NULL);

    ENSURE(gate, ERR_CORRUPT, "no_gate_key", "An open event has no gate key.");
    buf_init(&ticket, CREDENTIAL_SEALED_MAX);
    buf_init(&sealed, CREDENTIAL_SEALED_MAX);
    TRY(credential_sign(claims, &issuer->ed25519, &ticket));
    derive_iv(gate->ed25519.seed, buf_span(&ticket), iv);
    TRY(credential_seal(buf_span(&ticket), gate->ed25519.seed, iv, &sealed));
    return credential_text(buf_span(&sealed), event->test_mode, out);
}

static void claims_to_record(const struct ticket_claims *claims, struct journal_record *record)
{
    record->kind = JOURNAL_MINT;
    record->form = (uint8_t)claims->form;
    record->event_no = claims->event_number;
    record->place_no = claims->place_no;
    record->generation = claims->generation;
    memcpy(record->ticket_id, claims->ticket.b, sizeof record->ticket_id);
}

static enum err mint(struct signer *s, const struct ticket_claims *claims, uint32_t *ret_kid,
                     struct buf *out)
{
    const struct state_mint *known;
    struct journal_record record = {0};

    TRY(wire_claims_hash(claims, record.claims_hash));
    claims_to_record(claims, &record);
    TRY(state_mint_check(&s->state, &record, &known));
    const struct state_event *event = state_event(&s->state, claims->event_number);
    const struct keystore_key *issuer =
        known ? keystore_find_kid(&s->keys, event->test_mode, event->organiser_no, known->kid)
              : keystore_find(&s->keys, KEY_TICKET, event->test_mode, event->organiser_no, NULL);
    ENSURE(issuer, ERR_CORRUPT, "no_ticket_key", "A signing key of the journal is missing.");
    TRY(sign_and_seal(s, claims, event, issuer, out)); /* refuses claims out of range */
    *ret_kid = issuer->kid;
    if (known)
        return OK;
    record.organiser_no = event->organiser_no;
    record.kid = issuer->kid;
    record.time_ms = clock_now_ms(s->clock);
    enum err recorded = state_record(&s->state, &record);
    s->doubtful |= recorded != OK;
    return recorded;
}

static void put_refusal(struct buf *out, const struct err_info *why)
{
    size_t n = strlen(why->slug);

    buf_put_u8(out, (uint8_t)why->code);
    buf_put_u8(out, (uint8_t)n);
    buf_put(out, why->slug, n);
}

static enum err handle_mint(struct signer *s, struct cursor *in, struct buf *out)
{
    struct ticket_claims claims[SIGNER_MINT_MAX];
    uint8_t count;

    TRY(cursor_u8(in, &count));
    ENSURE(count >= 1 && count <= SIGNER_MINT_MAX, ERR_INVALID, "bad_message",
           "A message asks for 1 to %d tickets.", SIGNER_MINT_MAX);
    for (size_t i = 0; i < count; i++)
        TRY(wire_get_claims(in, &claims[i]));
    TRY(wire_end(in));
    for (size_t i = 0; i < count && !s->doubtful; i++) {
        AUTO(buf_done) struct buf text = {0};
        uint32_t kid = 0;
        buf_init(&text, CREDENTIAL_TEXT_MAX);
        if (mint(s, &claims[i], &kid, &text) != OK) {
            put_refusal(out, err_last());
            continue;
        }
        buf_put_u8(out, OK);
        buf_put_u32be(out, kid);
        buf_put_u16be(out, (uint16_t)text.len);
        buf_put_span(out, buf_span(&text));
    }
    return buf_check(out);
}

/* --- Keys ------------------------------------------------------------------------------------------------------------ */

static void put_public_key(struct buf *out, const struct keystore_key *key)
{
    buf_put_u32be(out, key->kid);
    buf_put_u32be(out, key->generation);
    buf_put_u64be(out, (uint64_t)key->created_ms);
    buf_put(out, key->ed25519.public_key, sizeof key->ed25519.public_key);
}

static enum err handle_public_keys(struct signer *s, struct cursor *in, struct buf *out)
{
    uint32_t organiser_no;
    bool test_mode;

    TRY(cursor_u32be(in, &organiser_no));
    TRY(wire_get_bool(in, &test_mode));
    TRY(wire_end(in));
    const struct keystore_key *key =
        keystore_find(&s->keys, KEY_TICKET, test_mode, organiser_no, NULL);
    for (; key; key = keystore_previous(&s->keys, key))
        put_public_key(out, key);
    return OK;
}

static enum err handle_key_rotate(struct signer *s, struct cursor *in, struct buf *out)
{
    const struct keystore_key *key;
    uint32_t organiser_no;
    bool test_mode;

    TRY(cursor_u32be(in, &organiser_no));
    TRY(wire_get_bool(in, &test_mode));
    TRY(wire_end(in));
    ENSURE(keystore_find(&s->keys, KEY_TICKET, test_mode, organiser_no, NULL), ERR_NOT_FOUND,
           "no_ticket_key", "The organiser has no ticket key that could be replaced.");
    TRY(keystore_add(&s->keys, KEY_TICKET, test_mode, organiser_no, NULL, &key));
    put_public_key(out, key);
    return OK;
}

static enum err handle_gate_key(struct signer *s, struct cursor *in, struct buf *out)
{
    uint32_t event_no;

    TRY(cursor_u32be(in, &event_no));
    TRY(wire_end(in));
    const struct state_event *event = state_event(&s->state, event_no);
    ENSURE(event, ERR_NOT_FOUND, "event_not_open", "The signer has not opened this event.");
    const struct keystore_key *key =
        keystore_find(&s->keys, KEY_GATE, event->test_mode, event_no, NULL);
    ENSURE(key, ERR_CORRUPT, "no_gate_key", "An open event has no gate key.");
    buf_put_u32be(out, key->kid);
    buf_put(out, key->ed25519.seed, sizeof key->ed25519.seed);
    return OK;
}

/* --- The log --------------------------------------------------------------------------------------------------------- */

static enum err handle_log_sign(struct signer *s, struct cursor *in, struct buf *out)
{
    struct merkle_hash root, proof[MERKLE_PROOF_MAX];
    uint8_t signature[ED25519_SIGNATURE_BYTES];
    const struct keystore_key *key = keystore_find(&s->keys, KEY_LOG, false, 0, NULL);
    uint64_t old_size, new_size;
    size_t count = 0;

    ENSURE(key, ERR_CORRUPT, "no_log_key", "The keystore has no log key.");
    TRY(cursor_u64be(in, &old_size));
    TRY(cursor_u64be(in, &new_size));
    TRY(cursor_copy(in, root.b, sizeof root.b));
    for (; in->rest.len > 0 && count < MERKLE_PROOF_MAX; count++)
        TRY(cursor_copy(in, proof[count].b, sizeof proof[count].b));
    TRY(wire_end(in));
    TRY(log_head_advance(&s->log_head, old_size, new_size, &root, proof, count));
    size_t at = out->len;
    checkpoint_format(out, s->vkey.name, new_size, &root);
    TRY(buf_check(out));
    ed25519_sign(&key->ed25519, span_sub(buf_span(out), at, out->len), signature);
    buf_put_u8(out, '\n');
    note_put_signature(out, &s->vkey, SPAN_ARRAY(signature));
    return buf_check(out);
}

/* --- Webhooks -------------------------------------------------------------------------------------------------------- */

static enum err handle_webhook_key(struct signer *s, struct cursor *in, struct buf *out)
{
    uint8_t id[SIGNER_WEBHOOK_ID_BYTES];
    const struct keystore_key *key;

    TRY(cursor_copy(in, id, sizeof id));
    TRY(wire_end(in));
    TRY(keystore_need(&s->keys, KEY_WEBHOOK, false, 0, id, &key));
    buf_put(out, key->ed25519.public_key, sizeof key->ed25519.public_key);
    return OK;
}

static bool is_message_id(struct span id)
{
    if (id.len < 1 || id.len > 100)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        uint8_t c = id.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-'))
            return false;
    }
    return true;
}

static enum err handle_webhook_sign(struct signer *s, struct cursor *in, struct buf *out)
{
    AUTO(buf_done) struct buf message = {0};
    uint8_t id[SIGNER_WEBHOOK_ID_BYTES], id_len, signature[ED25519_SIGNATURE_BYTES];
    struct span message_id;
    uint64_t at_s;

    TRY(cursor_copy(in, id, sizeof id));
    TRY(cursor_u64be(in, &at_s));
    TRY(cursor_u8(in, &id_len));
    TRY(cursor_take(in, id_len, &message_id));
    ENSURE(is_message_id(message_id) && at_s <= INT64_MAX, ERR_INVALID, "bad_message",
           "A webhook message has an id of letters and digits, and a time.");
    const struct keystore_key *key = keystore_find(&s->keys, KEY_WEBHOOK, false, 0, id);
    ENSURE(key, ERR_NOT_FOUND, "no_webhook_key", "This endpoint has no key.");
    buf_init(&message, PROC_FRAME_MAX);
    buf_put_span(&message, message_id);
    buf_put_u8(&message, '.');
    buf_put_i64_text(&message, (int64_t)at_s);
    buf_put_u8(&message, '.');
    buf_put_span(&message, in->rest);
    TRY(buf_check(&message));
    ed25519_sign(&key->ed25519, buf_span(&message), signature);
    buf_put(out, signature, sizeof signature);
    return OK;
}

static enum err handle_journal_read(struct signer *s, struct cursor *in, struct buf *out)
{
    uint64_t from;
    uint32_t most;

    TRY(cursor_u64be(in, &from));
    TRY(cursor_u32be(in, &most));
    TRY(wire_end(in));
    ENSURE(most >= 1 && most <= SIGNER_JOURNAL_READ_MAX, ERR_INVALID, "bad_message",
           "At most %d records are read at once.", SIGNER_JOURNAL_READ_MAX);
    return journal_read(&s->state.journal, from, most, out);
}

enum err signer_handle(struct signer *s, const struct proc_frame *question, struct buf *out)
{
    static enum err (*const handlers[])(struct signer *, struct cursor *, struct buf *) = {
        [SIGNER_STATUS] = handle_status,
        [SIGNER_EVENT_OPEN] = handle_event_open,
        [SIGNER_MINT] = handle_mint,
        [SIGNER_PUBLIC_KEYS] = handle_public_keys,
        [SIGNER_KEY_ROTATE] = handle_key_rotate,
        [SIGNER_GATE_KEY] = handle_gate_key,
        [SIGNER_LOG_SIGN] = handle_log_sign,
        [SIGNER_WEBHOOK_KEY] = handle_webhook_key,
        [SIGNER_WEBHOOK_SIGN] = handle_webhook_sign,
        [SIGNER_JOURNAL_READ] = handle_journal_read,
    };
    struct cursor in = {question->payload};

    ENSURE(question->type < COUNT_OF(handlers) && handlers[question->type], ERR_INVALID,
           "bad_message", "There is no question of type %u.", question->type);
    TRY(handlers[question->type](s, &in, out));
    return buf_check(out);
}
