/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_SIGNER_WIRE_H
#define TRUST_SIGNER_WIRE_H

/*
 * wire - the messages between server and signer, in frames of ground/proc/channel.h. Integers big-endian.
 *
 * type            question                                            answer
 * STATUS          -                                                   u64 sequence, 32 hash, u64 log size, 32 root, u32 keys,
 *                                                                     u8 landlock, vkey text
 * EVENT_OPEN      u32 organiser, u32 event, u8 test, u32 places,      -
 *                 u32 capacity
 * MINT            u8 count, then claims each (wire_put_claims)        per claims: u8 code; 0: u32 kid, u16 length, text;
 *                                                                     else u8 length, slug
 * PUBLIC_KEYS     u32 organiser, u8 test                              per key: u32 kid, u32 generation, i64 created, 32 key
 * KEY_ROTATE      u32 organiser, u8 test                              one key as above
 * GATE_KEY        u32 event                                           u32 kid, 32 key
 * LOG_SIGN        u64 old, u64 new, 32 root, 32 per proof hash        the signed note
 * WEBHOOK_KEY     16 id                                               32 public key
 * WEBHOOK_SIGN    16 id, u64 seconds, u8 length, message id, body     64 signature
 * JOURNAL_READ    u64 from, u32 most                                  records of journal.h
 */
#include "ground/base/base.h"
#include "trust/credential/credential.h"

enum signer_message {
    SIGNER_STATUS = 1,
    SIGNER_EVENT_OPEN,
    SIGNER_MINT,
    SIGNER_PUBLIC_KEYS,
    SIGNER_KEY_ROTATE,
    SIGNER_GATE_KEY,
    SIGNER_LOG_SIGN,
    SIGNER_WEBHOOK_KEY,
    SIGNER_WEBHOOK_SIGN,
    SIGNER_JOURNAL_READ,
};

/* 16 ticket, u32 event, u32 generation, u32 place number, u8 form, u16 class, i64 not before, i64 expires, u8 holder?, 32 holder key
 * (when there is one), u8 length, place. */
void wire_put_claims(struct buf *out, const struct ticket_claims *claims);
/* SHA-256 of what wire_put_claims writes: the claims hash of the mint journal, which an audit computes from a ticket's row. */
RESULT wire_claims_hash(const struct ticket_claims *claims, uint8_t ret_hash[SHA256_BYTES]);
/* ERR_INVALID "bad_claims". Whether the values are in range is credential's to say. */
RESULT wire_get_claims(struct cursor *in, struct ticket_claims *ret_claims);
/* A byte that is 0 or 1. */
RESULT wire_get_bool(struct cursor *in, bool *ret_value);
/* ERR_INVALID "bad_message" unless everything has been read. */
RESULT wire_end(const struct cursor *in);

#endif
