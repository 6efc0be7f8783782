/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_LEDGER_NOTE_H
#define TRUST_LEDGER_NOTE_H

/*
 * note - signed notes, checkpoints, verifier keys and cosignatures, as other people's verifiers and witnesses read them.
 * Sources: C2SP signed-note v1.0.0, tlog-checkpoint, tlog-cosignature, tlog-proof (commit 5ba5ee8). Strict: what is not
 * exactly of the form is ERR_INVALID. Everything parsed is borrowed from the input.
 */
#include "trust/ledger/merkle.h"

enum {
    NOTE_BYTES_MAX = 128 * 1024,
    NOTE_SIGNATURES_MAX = 64,
    NOTE_NAME_MAX = 255,
    NOTE_SIGNATURE_BYTES_MAX = 4096,
    NOTE_ED25519 = 0x01,
    NOTE_COSIGNATURE = 0x04,
    VKEY_TEXT_MAX = NOTE_NAME_MAX + 1 + 8 + 1 + 48,
};

/* A verifier key of type NOTE_ED25519 or NOTE_COSIGNATURE. */
struct vkey {
    char name[NOTE_NAME_MAX + 1];
    uint8_t type;
    uint32_t id;
    uint8_t public_key[32];
};
/* ERR_INVALID "bad_key_name". */
RESULT vkey_make(const char *name, uint8_t type, const uint8_t public_key[32],
                 struct vkey *ret_vkey);
/* "name+hex8+base64". ERR_INVALID "bad_vkey". */
RESULT vkey_parse(struct span text, struct vkey *ret_vkey);
void vkey_format(const struct vkey *key, char out[VKEY_TEXT_MAX + 1]);

struct note_signature {
    struct span name;
    struct span base64;
    uint32_t key_id;
};
struct note {
    struct span text; /* what is signed, with its final newline */
    size_t count;
    struct note_signature signatures[NOTE_SIGNATURES_MAX];
};
/* ERR_INVALID "bad_note", ERR_LIMIT "note_too_large". */
RESULT note_parse(struct span bytes, struct note *ret_note);
/*
 * Each line by a given key must verify (one that does not rejects the note: ERR_DENIED "bad_signature"); lines by others are
 * ignored. ret_verified (may be NULL; key_count members) tells which keys signed; ERR_DENIED "unsigned" when none did.
 * ret_times (may be NULL) receives the POSIX seconds of cosignatures, 0 for plain signatures.
 */
RESULT note_verify(const struct note *note, const struct vkey *keys, size_t key_count,
                   bool *ret_verified, uint64_t *ret_times);
/* Append "(em dash) name base64(key id || signature)\n". */
void note_put_signature(struct buf *out, const struct vkey *key, struct span signature);
/* Parse one such line, without its newline. ERR_INVALID "bad_note". */
RESULT note_signature_parse(struct span line, struct note_signature *ret_signature);

struct checkpoint {
    struct span origin;
    uint64_t size;
    struct merkle_hash root;
};
/* Append origin, size, root: the text to be signed. ERR_INVALID "bad_origin" is asserted away: the origin is configuration. */
void checkpoint_format(struct buf *out, const char *origin, uint64_t size,
                       const struct merkle_hash *root);
/* ERR_INVALID "bad_checkpoint"; extension lines are accepted from others, ours have none. */
RESULT checkpoint_parse(struct span text, struct checkpoint *ret_checkpoint);
/*
 * Whole file: parse the note, demand a verified signature by key, the key's name as origin. ERR_INVALID, ERR_DENIED as above;
 * ERR_DENIED "other_origin".
 */
RESULT checkpoint_open(struct span bytes, const struct vkey *key,
                       struct checkpoint *ret_checkpoint);

/* The message a cosigner signs: "cosignature/v1\ntime <seconds>\n" || text. */
void cosignature_message(struct buf *out, uint64_t time_s, struct span text);

/* --- .tlog-proof ---------------------------------------------------------------------------------------------------- */
struct tlog_proof {
    struct span extra; /* base64 text as it stands, empty when there is no such line */
    uint64_t index;
    size_t count;
    struct merkle_hash hashes[MERKLE_PROOF_MAX];
    struct span checkpoint; /* the note */
};
/* extra: the bytes of the optional line, empty for none. */
void tlog_proof_format(struct buf *out, struct span extra, uint64_t index,
                       const struct merkle_hash *hashes, size_t count, struct span checkpoint);
/* ERR_INVALID "bad_proof_text". The checkpoint is not looked into. */
RESULT tlog_proof_parse(struct span text, struct tlog_proof *ret_proof);

#endif
