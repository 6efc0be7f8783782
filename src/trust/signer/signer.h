/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_SIGNER_SIGNER_H
#define TRUST_SIGNER_SIGNER_H

/*
 * signer - the process that holds the signing keys, and what the server asks of it.
 *
 * The server sends typed fields, never bytes to be signed; the signer rebuilds what it signs. It has its own directory (keystore,
 * mint journal, log head, approvals), no network, no database. A compromised server can therefore neither read a signing key, nor
 * make two different tickets for one (event, place, generation, form), nor more places than the capacity given at the first
 * opening or approved by the owner since, nor have a log signed that does not continue the last one (promises T2, L2).
 *
 * What it is not: it does not know orders, money or people; whether a ticket is due is the server's decision, and the audit
 * compares journal, ledger and tickets afterwards.
 *
 * Reading order: this header (what the server calls), wire.h (the messages), server.c (the process), state.h and journal.h
 * (the memory of mints), keystore.h, log_head.h, approval.h, master.h.
 */
#include "ground/base/base.h"
#include "ground/proc/channel.h"
#include "ground/proc/spawn.h"
#include "trust/credential/credential.h"
#include "trust/ledger/merkle.h"
#include "trust/signer/journal.h"

enum {
    SIGNER_MINT_MAX = 64, /* claims a message */
    SIGNER_KEYS_MAX = 64, /* generations of one organiser */
    SIGNER_JOURNAL_READ_MAX = 500,
    SIGNER_MESSAGE_MAX = 60 * 1024, /* a webhook's body */
    SIGNER_NOTE_MAX = 1024,
    SIGNER_VKEY_MAX = 400,
    SIGNER_WEBHOOK_ID_BYTES = 16,
};

/* --- The process (the program's `signer` subcommand) --------------------------------------------------------------- */

struct signer_config {
    const char *dir; /* exists, owned by this user; everything durable is below */
    const char *
        master_path; /* used when $CREDENTIALS_DIRECTORY/gatehouse-master does not exist; made at first run */
    const char *
        log_origin; /* the ledger's origin and key name; fixed at first run, another one is refused later */
};
/* Serve the socket until the other side closes. Returns the exit code; why it could not start is on standard error. */
int signer_main(int fd, const struct signer_config *config);

/* --- Beside the process: the admin command and the audit ------------------------------------------------------------ */

/* Allow an event up to this many places and this capacity; takes effect when the server opens the event again. */
RESULT signer_approve_capacity(const struct signer_config *config, const struct clock *clock,
                               uint32_t event_no, uint32_t places, uint32_t capacity);
/* Every record of the mint journal below the signer's directory, in order; also while the signer runs. */
RESULT signer_journal_scan(const char *dir, journal_visit visit, void *context,
                           struct journal_head *ret_head);

/* --- The server's side (any number of threads) ----------------------------------------------------------------------- */

/*
 * Besides what is named, each of these fails with ERR_BUSY "peer_gone" or "peer_busy" (not sent), ERR_UNCERTAIN "no_answer", ERR_CORRUPT
 * "bad_answer", and ERR_IO when the signer's disk does. All may be asked again: the same question has the same answer.
 */
struct signer_client {
    struct proc_channel *channel;
    int timeout_ms;
};
/* Takes child->fd. Asks for the status once, so that a signer that could not start is noticed here (its exit closes the socket). */
RESULT signer_client_open(struct proc_child *child, int timeout_ms,
                          struct signer_client *ret_client);
void signer_client_close(struct signer_client *c);

struct signer_status {
    struct journal_head journal;
    uint64_t log_size; /* last signed, 0 for none */
    struct merkle_hash log_root;
    uint32_t keys;
    bool landlock;              /* paths are confined, not only system calls */
    char vkey[SIGNER_VKEY_MAX]; /* the log's verifier key */
};
RESULT signer_status(const struct signer_client *c, struct signer_status *ret_status);

struct signer_event {
    uint32_t organiser_no, event_no;
    bool test_mode;
    uint32_t places;   /* place numbers are 0..places-1 */
    uint32_t capacity; /* places that may ever have a ticket, at most `places` */
};
/*
 * Before the first mint; makes the organiser's ticket key and the event's gate key where there are none. Again with the same or
 * lower limits is fine. ERR_DENIED "not_approved" for a raise without the owner's approval; ERR_CONFLICT "event_organiser",
 * "capacity_used" (lower than what is in use); ERR_INVALID "bad_capacity".
 */
RESULT signer_event_open(const struct signer_client *c, const struct signer_event *event);

struct signer_minted {
    enum err code;                      /* OK, or why not (of this one alone) */
    char slug[ERR_SLUG_MAX];            /* "" when OK */
    uint32_t kid;                       /* of the key that signed */
    char text[CREDENTIAL_TEXT_MAX + 1]; /* QR text of the sealed ticket */
};
/*
 * Each on its own: ERR_NOT_FOUND "event_not_open"; ERR_LIMIT "capacity"; ERR_CONFLICT "superseded", "mint_conflict"; ERR_INVALID
 * "bad_claims", "bad_public_key". The same claims again give the same text, also after a key rotation. count 1..SIGNER_MINT_MAX.
 */
RESULT signer_mint(const struct signer_client *c, const struct ticket_claims *claims, size_t count,
                   struct signer_minted *ret_minted);

struct signer_public_key {
    uint32_t kid, generation;
    int64_t created_ms;
    uint8_t public_key[ED25519_PUBLIC_BYTES];
};
/* Newest first; ret_keys holds SIGNER_KEYS_MAX. None for an organiser without events. */
RESULT signer_public_keys(const struct signer_client *c, uint32_t organiser_no, bool test_mode,
                          struct signer_public_key *ret_keys, size_t *ret_count);
/* A new ticket key from now on; the old ones go on verifying. ERR_LIMIT "too_many_keys". */
RESULT signer_key_rotate(const struct signer_client *c, uint32_t organiser_no, bool test_mode,
                         struct signer_public_key *ret_key);

struct signer_gate_key {
    uint32_t kid;
    struct secret32 key;
};
/* ERR_NOT_FOUND "event_not_open". */
RESULT signer_gate_key(const struct signer_client *c, uint32_t event_no,
                       struct signer_gate_key *ret_key);

/*
 * A signed checkpoint (C2SP note, the log's own line only) of a tree that provably continues the last signed one; proof_count 0
 * for the first. Appends to ret_note. ERR_CONFLICT "log_stale", "log_rollback", "log_fork": see log_head.h.
 */
RESULT signer_log_sign(const struct signer_client *c, uint64_t old_size, uint64_t new_size,
                       const struct merkle_hash *new_root, const struct merkle_hash *proof,
                       size_t proof_count, struct buf *ret_note);

/* The endpoint's public key, made when there is none. */
RESULT signer_webhook_key(const struct signer_client *c, const uint8_t id[SIGNER_WEBHOOK_ID_BYTES],
                          uint8_t ret_public_key[ED25519_PUBLIC_BYTES]);
/*
 * Standard Webhooks v1a: the signature over "message_id.seconds.body". message_id: 1..100 of [A-Za-z0-9_-]. ERR_NOT_FOUND
 * "no_webhook_key".
 */
RESULT signer_webhook_sign(const struct signer_client *c, const uint8_t id[SIGNER_WEBHOOK_ID_BYTES],
                           const char *message_id, int64_t at_s, struct span body,
                           uint8_t ret_signature[ED25519_SIGNATURE_BYTES]);

/* Up to SIGNER_JOURNAL_READ_MAX records from this sequence number on; 0 when there is none yet. */
RESULT signer_journal_read(const struct signer_client *c, uint64_t from,
                           struct journal_record *ret_records, size_t *ret_count);

#endif
