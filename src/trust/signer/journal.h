/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_SIGNER_JOURNAL_H
#define TRUST_SIGNER_JOURNAL_H

/*
 * journal - everything the signer ever promised about places, append-only: the file that makes a second, different ticket for
 * the same (event, place, generation, form) impossible, and by which an audit can count what was minted.
 *
 * Files mint/00000001.journal, 00000002.journal, ... of JOURNAL_SEGMENT_RECORDS records of JOURNAL_RECORD_BYTES bytes:
 *
 *      0  u8  kind (enum journal_kind)         64  i64 time, Unix milliseconds
 *      1  u8  form (mint), test mode (open)    72  u64 sequence number, from 1 without gaps
 *      2  u16 0                                80  u32 organiser number
 *      4  u32 event number                     84  u32 capacity (open, limits)
 *      8  u32 place number (mint)              88  u32 places (open, limits)
 *     12  u32 generation (mint)                92  u32 kid of the signing key (mint)
 *     16  claims hash (mint, see wire.h)       96  SHA-256(hash of the record before || bytes 0..95)
 *     48  ticket id, 16 bytes (mint)               (the first record: 32 zero bytes before)
 *
 * Integers are big-endian. Invariants:
 *   J1  a record is on the disk (fdatasync) before anything that depends on it is answered;
 *   J2  only the end of the last segment may be torn, by at most JOURNAL_BATCH_MAX records, and is dropped at start; anything
 *       else that does not chain is ERR_CORRUPT and the signer does not start;
 *   J3  a new segment is begun only when the one before is full and on the disk.
 */
#include "ground/base/base.h"

enum {
    JOURNAL_RECORD_BYTES = 128,
    JOURNAL_HASH_BYTES = 32,
    JOURNAL_SEGMENT_RECORDS = 65536,
    JOURNAL_BATCH_MAX = 4096,
};

enum journal_kind { JOURNAL_MINT = 1, JOURNAL_EVENT_OPEN = 2, JOURNAL_EVENT_LIMITS = 3 };

struct journal_record {
    enum journal_kind kind;
    uint8_t form;
    uint32_t event_no, place_no, generation;
    uint8_t claims_hash[32];
    uint8_t ticket_id[16];
    int64_t time_ms;
    uint64_t sequence;
    uint32_t organiser_no, capacity, places, kid;
};

struct journal_head {
    uint64_t sequence; /* of the last record, 0 when empty */
    uint8_t hash[JOURNAL_HASH_BYTES];
};

/* Reads nothing but the record; ERR_CORRUPT "bad_record" for an unknown kind. */
RESULT journal_record_decode(const uint8_t bytes[JOURNAL_RECORD_BYTES],
                             struct journal_record *ret_record);

typedef enum err (*journal_visit)(void *context, const struct journal_record *record);

/*
 * All records in order; also for audits, while a signer runs or without one. A torn end is left alone and not visited.
 * ERR_CORRUPT "journal_broken". ret_head may be NULL.
 */
RESULT journal_scan(const struct disk *disk, journal_visit visit, void *context,
                    struct journal_head *ret_head);

struct journal {
    const struct disk *disk;
    struct journal_head head; /* of the last appended record, synced or not */
    int handle;               /* open segment, -1 */
    uint64_t segment;         /* its number, from 1 */
    uint64_t in_segment;      /* records in it, without pending ones */
    struct buf pending;       /* records not yet written */
};

/* Scan, drop a torn end, open for appending. */
RESULT journal_open(const struct disk *disk, journal_visit visit, void *context,
                    struct journal *ret_journal);
void journal_close(struct journal *j);
/* Chains and keeps it; sequence is set. ERR_LIMIT past JOURNAL_BATCH_MAX before a sync. */
RESULT journal_append(struct journal *j, struct journal_record *record);
/*
 * Write and fdatasync what is pending; nothing to do when nothing is. After an error (full disk) the journal must be closed and
 * opened again, and everything since the last sync counts as not having happened.
 */
RESULT journal_sync(struct journal *j);
/* Synced records from sequence number `from` on, as bytes, at most max_records; for audits through the running signer. */
RESULT journal_read(const struct journal *j, uint64_t from, size_t max_records, struct buf *out);

#endif
