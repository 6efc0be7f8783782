/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_LEDGER_VERIFY_H
#define TRUST_LEDGER_VERIFY_H

/*
 * verify - is the log what it says it is? From the files and the log's public key alone: every entry is hashed, every tile
 * recomputed, the root compared with the signed checkpoint. Needs no database and no secret; anybody with a copy can run it.
 */
#include "trust/ledger/note.h"
#include "trust/ledger/tile.h"

struct ledger_verify_report {
    uint64_t size;           /* of the checkpoint */
    struct merkle_hash root; /* of the checkpoint */
    uint64_t files;          /* looked at */
    /* The first thing that is wrong, when something is. */
    char file[TILE_PATH_MAX];
    uint64_t offset; /* in that file */
    char sentence[160];
};

/*
 * OK; or ERR_CORRUPT "log_altered" with file, offset and sentence set in the report (a bad checkpoint is ERR_CORRUPT too).
 * ERR_NOT_FOUND "no_checkpoint" when nothing was published yet. ERR_IO passes.
 */
RESULT ledger_verify(const struct disk *disk, const struct vkey *key,
                     struct ledger_verify_report *ret_report);

#endif
