/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "trust/signer/approval.h"
#include "trust/signer/master.h"
#include "trust/signer/signer.h"
#include "trust/signer/wire.h"

/* Ask; what comes back and cannot be read is the signer's fault, not the caller's. */
#define READABLE(condition)                                                                        \
    ENSURE(condition, ERR_CORRUPT, "bad_answer", "The signer's answer cannot be read.")

static enum err ask(const struct signer_client *c, enum signer_message type, const struct buf *in,
                    struct buf *out)
{
    TRY(buf_check(in));
    return proc_call(c->channel, (uint16_t)type, buf_span(in), c->timeout_ms, out);
}

static void begin(struct buf *in, struct buf *out)
{
    buf_init(in, PROC_PAYLOAD_MAX);
    buf_init(out, PROC_PAYLOAD_MAX);
}

enum err signer_client_open(struct proc_child *child, int timeout_ms,
                            struct signer_client *ret_client)
{
    struct signer_client c = {.timeout_ms = timeout_ms};
    struct signer_status status;

    TRY(proc_channel_open(child->fd, &c.channel));
    child->fd = -1;
    enum err e = signer_status(&c, &status);
    if (e != OK)
        proc_channel_close(c.channel);
    TRY(e);
    *ret_client = c;
    return OK;
}

void signer_client_close(struct signer_client *c)
{
    proc_channel_close(c->channel);
    c->channel = NULL;
}

static enum err read_status(struct cursor *in, struct signer_status *s)
{
    TRY(cursor_u64be(in, &s->journal.sequence));
    TRY(cursor_copy(in, s->journal.hash, sizeof s->journal.hash));
    TRY(cursor_u64be(in, &s->log_size));
    TRY(cursor_copy(in, s->log_root.b, sizeof s->log_root.b));
    TRY(cursor_u32be(in, &s->keys));
    TRY(wire_get_bool(in, &s->landlock));
    return span_to_text(in->rest, s->vkey, sizeof s->vkey);
}

enum err signer_status(const struct signer_client *c, struct signer_status *ret_status)
{
    AUTO(buf_done) struct buf in = {0};
    AUTO(buf_done) struct buf out = {0};
    struct signer_status status = {0};

    begin(&in, &out);
    TRY(ask(c, SIGNER_STATUS, &in, &out));
    struct cursor at = {buf_span(&out)};
    READABLE(read_status(&at, &status) == OK);
    *ret_status = status;
    return OK;
}

enum err signer_event_open(const struct signer_client *c, const struct signer_event *event)
{
    AUTO(buf_done) struct buf in = {0};
    AUTO(buf_done) struct buf out = {0};

    begin(&in, &out);
    buf_put_u32be(&in, event->organiser_no);
    buf_put_u32be(&in, event->event_no);
    buf_put_u8(&in, event->test_mode);
    buf_put_u32be(&in, event->places);
    buf_put_u32be(&in, event->capacity);
    return ask(c, SIGNER_EVENT_OPEN, &in, &out);
}

static enum err read_minted(struct cursor *in, struct signer_minted *ret_minted)
{
    struct signer_minted m = {0};
    uint8_t code, slug_len;
    uint16_t text_len;
    struct span s;

    TRY(cursor_u8(in, &code));
    READABLE(code < ERR_COUNT);
    m.code = (enum err)code;
    if (m.code == OK) {
        TRY(cursor_u32be(in, &m.kid));
        TRY(cursor_u16be(in, &text_len));
        TRY(cursor_take(in, text_len, &s));
        TRY(span_to_text(s, m.text, sizeof m.text));
    } else {
        TRY(cursor_u8(in, &slug_len));
        TRY(cursor_take(in, slug_len, &s));
        TRY(span_to_text(s, m.slug, sizeof m.slug));
    }
    *ret_minted = m;
    return OK;
}

enum err signer_mint(const struct signer_client *c, const struct ticket_claims *claims,
                     size_t count, struct signer_minted *ret_minted)
{
    AUTO(buf_done) struct buf in = {0};
    AUTO(buf_done) struct buf out = {0};

    ENSURE(count >= 1 && count <= SIGNER_MINT_MAX, ERR_LIMIT, "too_many_claims",
           "1 to %d tickets are minted at once.", SIGNER_MINT_MAX);
    begin(&in, &out);
    buf_put_u8(&in, (uint8_t)count);
    for (size_t i = 0; i < count; i++)
        wire_put_claims(&in, &claims[i]);
    TRY(ask(c, SIGNER_MINT, &in, &out));
    struct cursor at = {buf_span(&out)};
    for (size_t i = 0; i < count; i++)
        READABLE(read_minted(&at, &ret_minted[i]) == OK);
    READABLE(wire_end(&at) == OK);
    return OK;
}

static enum err read_public_key(struct cursor *in, struct signer_public_key *ret_key)
{
    struct signer_public_key key;
    uint64_t created;

    TRY(cursor_u32be(in, &key.kid));
    TRY(cursor_u32be(in, &key.generation));
    TRY(cursor_u64be(in, &created));
    TRY(cursor_copy(in, key.public_key, sizeof key.public_key));
    key.created_ms = (int64_t)created;
    *ret_key = key;
    return OK;
}

enum err signer_public_keys(const struct signer_client *c, uint32_t organiser_no, bool test_mode,
                            struct signer_public_key *ret_keys, size_t *ret_count)
{
    AUTO(buf_done) struct buf in = {0};
    AUTO(buf_done) struct buf out = {0};
    size_t count = 0;

    begin(&in, &out);
    buf_put_u32be(&in, organiser_no);
    buf_put_u8(&in, test_mode);
    TRY(ask(c, SIGNER_PUBLIC_KEYS, &in, &out));
    struct cursor at = {buf_span(&out)};
    for (; at.rest.len > 0; count++)
        READABLE(count < SIGNER_KEYS_MAX && read_public_key(&at, &ret_keys[count]) == OK);
    *ret_count = count;
    return OK;
}

enum err signer_key_rotate(const struct signer_client *c, uint32_t organiser_no, bool test_mode,
                           struct signer_public_key *ret_key)
{
    AUTO(buf_done) struct buf in = {0};
    AUTO(buf_done) struct buf out = {0};

    begin(&in, &out);
    buf_put_u32be(&in, organiser_no);
    buf_put_u8(&in, test_mode);
    TRY(ask(c, SIGNER_KEY_ROTATE, &in, &out));
    struct cursor at = {buf_span(&out)};
    READABLE(read_public_key(&at, ret_key) == OK && wire_end(&at) == OK);
    return OK;
}

enum err signer_gate_key(const struct signer_client *c, uint32_t event_no,
                         struct signer_gate_key *ret_key)
{
    AUTO(buf_done) struct buf in = {0};
    AUTO(buf_done) struct buf out = {0};

    begin(&in, &out);
    buf_put_u32be(&in, event_no);
    TRY(ask(c, SIGNER_GATE_KEY, &in, &out));
    struct cursor at = {buf_span(&out)};
    READABLE(out.len == 4 + SECRET_BYTES && cursor_u32be(&at, &ret_key->kid) == OK &&
             cursor_copy(&at, ret_key->key.b, sizeof ret_key->key.b) == OK);
    return OK;
}

enum err signer_log_sign(const struct signer_client *c, uint64_t old_size, uint64_t new_size,
                         const struct merkle_hash *new_root, const struct merkle_hash *proof,
                         size_t proof_count, struct buf *ret_note)
{
    AUTO(buf_done) struct buf in = {0};
    AUTO(buf_done) struct buf out = {0};

    begin(&in, &out);
    buf_put_u64be(&in, old_size);
    buf_put_u64be(&in, new_size);
    buf_put(&in, new_root->b, sizeof new_root->b);
    for (size_t i = 0; i < proof_count; i++)
        buf_put(&in, proof[i].b, sizeof proof[i].b);
    TRY(ask(c, SIGNER_LOG_SIGN, &in, &out));
    buf_put_span(ret_note, buf_span(&out));
    return buf_check(ret_note);
}

enum err signer_webhook_key(const struct signer_client *c,
                            const uint8_t id[SIGNER_WEBHOOK_ID_BYTES],
                            uint8_t ret_public_key[ED25519_PUBLIC_BYTES])
{
    AUTO(buf_done) struct buf in = {0};
    AUTO(buf_done) struct buf out = {0};

    begin(&in, &out);
    buf_put(&in, id, SIGNER_WEBHOOK_ID_BYTES);
    TRY(ask(c, SIGNER_WEBHOOK_KEY, &in, &out));
    READABLE(out.len == ED25519_PUBLIC_BYTES);
    memcpy(ret_public_key, out.data, ED25519_PUBLIC_BYTES);
    return OK;
}

enum err signer_webhook_sign(const struct signer_client *c,
                             const uint8_t id[SIGNER_WEBHOOK_ID_BYTES], const char *message_id,
                             int64_t at_s, struct span body,
                             uint8_t ret_signature[ED25519_SIGNATURE_BYTES])
{
    AUTO(buf_done) struct buf in = {0};
    AUTO(buf_done) struct buf out = {0};
    struct span text = span_text(message_id);

    ENSURE(text.len <= 100 && body.len <= SIGNER_MESSAGE_MAX, ERR_LIMIT, "message_too_long",
           "A webhook message has at most %d bytes.", SIGNER_MESSAGE_MAX);
    begin(&in, &out);
    buf_put(&in, id, SIGNER_WEBHOOK_ID_BYTES);
    buf_put_u64be(&in, (uint64_t)at_s);
    buf_put_u8(&in, (uint8_t)text.len);
    buf_put_span(&in, text);
    buf_put_span(&in, body);
    TRY(ask(c, SIGNER_WEBHOOK_SIGN, &in, &out));
    READABLE(out.len == ED25519_SIGNATURE_BYTES);
    memcpy(ret_signature, out.data, ED25519_SIGNATURE_BYTES);
    return OK;
}

enum err signer_journal_read(const struct signer_client *c, uint64_t from,
                             struct journal_record *ret_records, size_t *ret_count)
{
    AUTO(buf_done) struct buf in = {0};
    AUTO(buf_done) struct buf out = {0};

    begin(&in, &out);
    buf_put_u64be(&in, from);
    buf_put_u32be(&in, SIGNER_JOURNAL_READ_MAX);
    TRY(ask(c, SIGNER_JOURNAL_READ, &in, &out));
    size_t count = out.len / JOURNAL_RECORD_BYTES;
    READABLE(count <= SIGNER_JOURNAL_READ_MAX && out.len % JOURNAL_RECORD_BYTES == 0);
    for (size_t i = 0; i < count; i++)
        TRY(journal_record_decode(out.data + i * JOURNAL_RECORD_BYTES, &ret_records[i]));
    *ret_count = count;
    return OK;
}

/* --- Beside the process ---------------------------------------------------------------------------------------------- */

enum err signer_approve_capacity(const struct signer_config *config, const struct clock *clock,
                                 uint32_t event_no, uint32_t places, uint32_t capacity)
{
    AUTO(secret32_wipe) struct secret32 master;
    AUTO(disk_close) struct disk disk = {0};
    struct approval approval = {event_no, places, capacity};

    ENSURE(event_no > 0 && places >= 1 && capacity >= 1 && capacity <= places, ERR_INVALID,
           "bad_capacity", "A capacity is 1 to the number of places.");
    TRY(master_read(config->master_path, false, &master));
    TRY(disk_open(config->dir, &disk));
    return approval_add(&disk, clock, &master, &approval);
}

enum err signer_journal_scan(const char *dir, journal_visit visit, void *context,
                             struct journal_head *ret_head)
{
    AUTO(disk_close) struct disk disk = {0};

    TRY(disk_open(dir, &disk));
    return journal_scan(&disk, visit, context, ret_head);
}
