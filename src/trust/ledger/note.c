/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/ledger/note.h"

#include <string.h>

#include "ground/crypto/crypto.h"
#include "ground/encode/base64.h"
#include "ground/encode/hex.h"

#define DASH "\xe2\x80\x94 " /* U+2014 and a space begin a signature line */

enum { KEY_ID_BYTES = 4, DASH_BYTES = sizeof DASH - 1, TIME_BYTES = 8 };

#define BAD_NOTE(why) FAIL(ERR_INVALID, "bad_note", "Not a signed note: %s.", why)

/* --- Names and keys -------------------------------------------------------------------------------------------------- */

/* Length of the Unicode white space at the start of s, 0 when there is none (White_Space property). */
static size_t space_bytes(struct span s)
{
    static const char *const spaces[] = {
        "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81",
        "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86",
        "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8",
        "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
    };
    if (s.len > 0 && (s.data[0] <= 0x20 || s.data[0] == 0x7f))
        return 1;
    for (size_t i = 0; i < COUNT_OF(spaces); i++)
        if (span_starts(s, spaces[i]))
            return strlen(spaces[i]);
    return 0;
}

static bool name_ok(struct span name)
{
    if (name.len == 0 || name.len > NOTE_NAME_MAX || !utf8_valid(name) ||
        span_find(name, '+') != name.len)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (space_bytes(span_sub(name, i, name.len)) > 0)
            return false;
    return true;
}

static uint32_t key_id(struct span name, uint8_t type, const uint8_t public_key[32])
{
    uint8_t hash[SHA256_BYTES], middle[2] = {'\n', type};
    struct span parts[] = {name, SPAN_ARRAY(middle), span_of(public_key, 32)};

    sha256_parts(parts, COUNT_OF(parts), hash);
    return get_u32be(hash);
}

enum err vkey_make(const char *name, uint8_t type, const uint8_t public_key[32],
                   struct vkey *ret_vkey)
{
    struct vkey k = {.type = type};

    ENSURE(name_ok(span_text(name)), ERR_INVALID, "bad_key_name",
           "A key name is 1 to %d bytes of UTF-8 without spaces and '+'.", NOTE_NAME_MAX);
    INVARIANT(type == NOTE_ED25519 || type == NOTE_COSIGNATURE, "a known type of note key");
    TRY(span_to_text(span_text(name), k.name, sizeof k.name));
    memcpy(k.public_key, public_key, sizeof k.public_key);
    k.id = key_id(span_text(name), type, public_key);
    *ret_vkey = k;
    return OK;
}

#define BAD_VKEY() FAIL(ERR_INVALID, "bad_vkey", "Not a verifier key of a known type.")

enum err vkey_parse(struct span text, struct vkey *ret_vkey)
{
    /* The base64 may hold a '+': split at the first two only. */
    size_t first = span_find(text, '+');
    struct span name = span_sub(text, 0, first), rest = span_sub(text, first + 1, text.len);
    size_t second = span_find(rest, '+');
    uint8_t id[KEY_ID_BYTES], key[1 + 32];
    size_t id_len, key_len;
    struct vkey k = {0};

    if (!name_ok(name) || second != 8 || second == rest.len ||
        hex_decode(span_sub(rest, 0, 8), id, sizeof id, &id_len) != OK || id_len != sizeof id ||
        base64_decode(span_sub(rest, 9, rest.len), key, sizeof key, &key_len) != OK ||
        key_len != sizeof key || (key[0] != NOTE_ED25519 && key[0] != NOTE_COSIGNATURE))
        BAD_VKEY();
    TRY(span_to_text(name, k.name, sizeof k.name));
    k.type = key[0];
    memcpy(k.public_key, key + 1, sizeof k.public_key);
    k.id = key_id(name, k.type, k.public_key);
    if (k.id != get_u32be(id))
        BAD_VKEY();
    *ret_vkey = k;
    return OK;
}

void vkey_format(const struct vkey *key, char out[VKEY_TEXT_MAX + 1])
{
    AUTO(buf_done) struct buf b;
    uint8_t raw[1 + 32];

    raw[0] = key->type;
    memcpy(raw + 1, key->public_key, 32);
    buf_init(&b, VKEY_TEXT_MAX + 1);
    buf_printf(&b, "%s+%08x+", key->name, key->id);
    base64_put(&b, SPAN_ARRAY(raw));
    INVARIANT(buf_check(&b) == OK, "a vkey fits its maximum");
    memcpy(out, buf_text(&b), b.len + 1);
}

/* --- Notes ----------------------------------------------------------------------------------------------------------- */

enum err note_signature_parse(struct span line, struct note_signature *ret_signature)
{
    struct note_signature s;
    uint8_t raw[NOTE_SIGNATURE_BYTES_MAX];
    size_t len;

    if (!span_starts(line, DASH))
        BAD_NOTE("a signature line begins with a dash and a space");
    line = span_sub(line, DASH_BYTES, line.len);
    size_t space = span_find(line, ' ');
    s.name = span_sub(line, 0, space);
    s.base64 = span_sub(line, space + 1, line.len);
    if (space == line.len || !name_ok(s.name))
        BAD_NOTE("bad key name");
    if (base64_decode(s.base64, raw, sizeof raw, &len) != OK || len <= KEY_ID_BYTES)
        BAD_NOTE("bad signature base64");
    s.key_id = get_u32be(raw);
    *ret_signature = s;
    return OK;
}

static bool text_ok(struct span text)
{
    if (!utf8_valid(text))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 && text.data[i] != '\n')
            return false;
    return true;
}

enum err note_parse(struct span bytes, struct note *ret_note)
{
    struct note n = {.count = 0};
    size_t split = bytes.len; /* of the last empty line: index of its newline */

    ENSURE(bytes.len <= NOTE_BYTES_MAX, ERR_LIMIT, "note_too_large",
           "A note of %zu bytes; at most %d are read.", bytes.len, NOTE_BYTES_MAX);
    if (bytes.len == 0 || bytes.data[bytes.len - 1] != '\n' || !text_ok(bytes))
        BAD_NOTE("not lines of text");
    for (size_t i = bytes.len; i-- > 1 && split == bytes.len;)
        if (bytes.data[i] == '\n' && bytes.data[i - 1] == '\n')
            split = i;
    if (split == bytes.len)
        BAD_NOTE("no empty line");
    n.text = span_sub(bytes, 0, split);
    for (struct span rest = span_sub(bytes, split + 1, bytes.len); rest.len > 0;) {
        size_t end = span_find(rest, '\n');
        ENSURE(n.count < NOTE_SIGNATURES_MAX, ERR_LIMIT, "note_too_large",
               "A note with more than %d signatures.", NOTE_SIGNATURES_MAX);
        TRY(note_signature_parse(span_sub(rest, 0, end), &n.signatures[n.count]));
        n.count++;
        rest = span_sub(rest, end + 1, rest.len);
    }
    if (n.count == 0)
        BAD_NOTE("no signature");
    *ret_note = n;
    return OK;
}

void cosignature_message(struct buf *out, uint64_t time_s, struct span text)
{
    buf_printf(out, "cosignature/v1\ntime %llu\n", (unsigned long long)time_s);
    buf_put_span(out, text);
}

static enum err verify_line(struct span text, const struct note_signature *line,
                            const struct vkey *key, uint64_t *ret_time)
{
    uint8_t raw[NOTE_SIGNATURE_BYTES_MAX];
    size_t len, want = KEY_ID_BYTES + ED25519_SIGNATURE_BYTES;

    TRY(base64_decode(line->base64, raw, sizeof raw, &len));
    want += key->type == NOTE_COSIGNATURE ? TIME_BYTES : 0;
    ENSURE(len == want, ERR_DENIED, "bad_signature", "A signature of %zu bytes.", len);
    if (key->type == NOTE_ED25519) {
        *ret_time = 0;
        return ed25519_verify(key->public_key, text, raw + KEY_ID_BYTES);
    }
    uint64_t time_s = get_u64be(raw + KEY_ID_BYTES);
    ENSURE(time_s > 0 && time_s <= INT64_MAX, ERR_DENIED, "bad_signature",
           "A cosignature with an impossible time.");
    AUTO(buf_done) struct buf message;
    buf_init(&message, NOTE_BYTES_MAX + 64);
    cosignature_message(&message, time_s, text);
    TRY(buf_check(&message));
    *ret_time = time_s;
    return ed25519_verify(key->public_key, buf_span(&message), raw + KEY_ID_BYTES + TIME_BYTES);
}

enum err note_verify(const struct note *note, const struct vkey *keys, size_t key_count,
                     bool *ret_verified, uint64_t *ret_times)
{
    bool any = false;

    for (size_t k = 0; k < key_count; k++) {
        bool verified = false;
        uint64_t time_s = 0;
        for (size_t i = 0; i < note->count; i++) {
            const struct note_signature *line = &note->signatures[i];
            if (line->key_id != keys[k].id || !span_eq_text(line->name, keys[k].name))
                continue;
            TRY(verify_line(note->text, line, &keys[k], &time_s));
            verified = true;
        }
        any = any || verified;
        if (ret_verified)
            ret_verified[k] = verified;
        if (ret_times)
            ret_times[k] = time_s;
    }
    ENSURE(any, ERR_DENIED, "unsigned", "The note has no signature by a known key.");
    return OK;
}

void note_put_signature(struct buf *out, const struct vkey *key, struct span signature)
{
    uint8_t raw[KEY_ID_BYTES + TIME_BYTES + ED25519_SIGNATURE_BYTES];

    INVARIANT(signature.len <= sizeof raw - KEY_ID_BYTES, "an Ed25519 signature or cosignature");
    put_u32be(raw, key->id);
    memcpy(raw + KEY_ID_BYTES, signature.data, signature.len);
    buf_put_text(out, DASH);
    buf_put_text(out, key->name);
    buf_put_u8(out, ' ');
    base64_put(out, span_of(raw, KEY_ID_BYTES + signature.len));
    buf_put_u8(out, '\n');
}

/* --- Checkpoints ----------------------------------------------------------------------------------------------------- */

static void put_hash(struct buf *out, const struct merkle_hash *hash)
{
    base64_put(out, SPAN_ARRAY(hash->b));
    buf_put_u8(out, '\n');
}

static bool parse_hash(struct span line, struct merkle_hash *ret_hash)
{
    size_t len;
    return base64_decode(line, ret_hash->b, sizeof ret_hash->b, &len) == OK &&
           len == sizeof ret_hash->b;
}

/* One line without its newline; false when there is none. */
static bool take_line(struct span *rest, struct span *ret_line)
{
    size_t end = span_find(*rest, '\n');
    if (end == rest->len)
        return false;
    *ret_line = span_sub(*rest, 0, end);
    *rest = span_sub(*rest, end + 1, rest->len);
    return true;
}

void checkpoint_format(struct buf *out, const char *origin, uint64_t size,
                       const struct merkle_hash *root)
{
    INVARIANT(name_ok(span_text(origin)), "the origin is a key name");
    buf_printf(out, "%s\n%llu\n", origin, (unsigned long long)size);
    put_hash(out, root);
}

enum err checkpoint_parse(struct span text, struct checkpoint *ret_checkpoint)
{
    struct checkpoint c;
    struct span size, root, line;

    ENSURE(take_line(&text, &c.origin) && c.origin.len > 0 && take_line(&text, &size) &&
               text_to_u64(size, &c.size) == OK && take_line(&text, &root) &&
               parse_hash(root, &c.root),
           ERR_INVALID, "bad_checkpoint", "Not a checkpoint: origin, size, root.");
    while (text.len > 0)
        ENSURE(take_line(&text, &line) && line.len > 0, ERR_INVALID, "bad_checkpoint",
               "Bad extension line in a checkpoint.");
    *ret_checkpoint = c;
    return OK;
}

enum err checkpoint_open(struct span bytes, const struct vkey *key,
                         struct checkpoint *ret_checkpoint)
{
    struct note note;
    struct checkpoint c;

    TRY(note_parse(bytes, &note));
    TRY(note_verify(&note, key, 1, NULL, NULL));
    TRY(checkpoint_parse(note.text, &c));
    ENSURE(span_eq_text(c.origin, key->name), ERR_DENIED, "other_origin",
           "The checkpoint is of another log.");
    *ret_checkpoint = c;
    return OK;
}

/* --- Proofs as text -------------------------------------------------------------------------------------------------- */

#define PROOF_FIRST_LINE "c2sp.org/tlog-proof@v1"

void tlog_proof_format(struct buf *out, struct span extra, uint64_t index,
                       const struct merkle_hash *hashes, size_t count, struct span checkpoint)
{
    buf_put_text(out, PROOF_FIRST_LINE "\n");
    if (extra.len > 0) {
        buf_put_text(out, "extra ");
        base64_put(out, extra);
        buf_put_u8(out, '\n');
    }
    buf_printf(out, "index %llu\n", (unsigned long long)index);
    for (size_t i = 0; i < count; i++)
        put_hash(out, &hashes[i]);
    buf_put_u8(out, '\n');
    buf_put_span(out, checkpoint);
}

#define BAD_PROOF_TEXT() FAIL(ERR_INVALID, "bad_proof_text", "Not a tlog-proof.")

enum err tlog_proof_parse(struct span text, struct tlog_proof *ret_proof)
{
    struct span line;
    struct tlog_proof p = {.count = 0};

    if (text.len > NOTE_BYTES_MAX || !take_line(&text, &line) ||
        !span_eq_text(line, PROOF_FIRST_LINE) || !take_line(&text, &line))
        BAD_PROOF_TEXT();
    if (span_starts(line, "extra ")) {
        uint8_t *room;
        size_t len;
        AUTO(buf_done) struct buf scratch;
        p.extra = span_sub(line, 6, line.len);
        buf_init(&scratch, NOTE_BYTES_MAX);
        room = buf_grow(&scratch, p.extra.len + 1);
        if (!room || base64_decode(p.extra, room, scratch.len, &len) != OK || len == 0 ||
            !take_line(&text, &line))
            BAD_PROOF_TEXT();
    }
    if (!span_starts(line, "index ") || text_to_u64(span_sub(line, 6, line.len), &p.index) != OK)
        BAD_PROOF_TEXT();
    for (;;) {
        if (!take_line(&text, &line))
            BAD_PROOF_TEXT();
        if (line.len == 0)
            break;
        if (p.count == MERKLE_PROOF_MAX - 1 || !parse_hash(line, &p.hashes[p.count++]))
            BAD_PROOF_TEXT();
    }
    if (text.len == 0)
        BAD_PROOF_TEXT();
    p.checkpoint = text;
    *ret_proof = p;
    return OK;
}
