/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_LEDGER_SEQUENCER_H
#define TRUST_LEDGER_SEQUENCER_H

/*
 * sequencer - turns committed entries into the public log: leaves, bundles, tiles, and one signed checkpoint after the other.
 *
 * One step: read the commitments beyond the integrated size in one snapshot; write full bundles and tiles (immutable) and the
 * partial ones of the new size; read all of them back and recompute the root from those bytes; reserve (size, root) in the
 * state file by compare-and-swap, the point of no return; have it signed; publish `checkpoint`; collect partials whose full
 * tile exists. What a crash leaves undone, sequencer_open does again from the files: the same bytes, the same root.
 *
 * The state file lies on its own disk, which is no part of any backup: restoring it would be a fork.
 * What it is not: the signing key and its own memory of what was signed are in trust/signer; witnesses are asked elsewhere.
 *
 * Invariants:
 *   L2a  nothing is signed before its bundles, tiles and reservation are durable and were read back;
 *   L2b  two roots of one size are never reserved, so never signed;
 *   L2c  any doubt (a file that differs, a database shorter than the log, an entry missing) stops the sequencer for good:
 *        every later step is ERR_CORRUPT "sequencer_stopped" until the process starts again and recovery succeeds.
 * Only one process may run it: the caller holds the installation's lock.
 */
#include "store/store/store.h"
#include "trust/ledger/merkle.h"
#include "trust/ledger/note.h"

/*
 * Sign the checkpoint of new_size, which provably continues old_size (count 0 when that is 0 or the same size): append the note
 * with the log's line. After a crash it is asked again for what it may have signed already, and must answer the same.
 */
typedef enum err (*ledger_sign_fn)(void *context, uint64_t old_size, uint64_t new_size,
                                   const struct merkle_hash *root, const struct merkle_hash *proof,
                                   size_t count, struct buf *note);

struct sequencer;

struct sequencer_config {
    const struct disk *disk;  /* of the log: checkpoint, tile/... */
    const struct disk *state; /* of the reservation; never in a backup */
    const char *state_path;
    const struct vkey *key; /* of the log; its name is the origin */
    ledger_sign_fn sign;
    void *sign_context;
    bool
        may_create; /* only for a new installation; a missing state file is otherwise ERR_CORRUPT "no_log_state" */
};

/* Recovers. ERR_CORRUPT when files and reservation contradict each other: nothing is signed then. */
RESULT sequencer_open(const struct sequencer_config *config, struct sequencer **ret_sequencer);
void sequencer_close(struct sequencer *s);

enum { SEQUENCER_STEP_MAX = 65536 };
/* Integrate and publish at most SEQUENCER_STEP_MAX entries. ret_grown (may be NULL): how many. */
RESULT sequencer_step(struct sequencer *s, struct store_reader *reader, uint64_t *ret_grown);
/* Published size; any thread. */
uint64_t sequencer_size(const struct sequencer *s);

/* --- As a thread --------------------------------------------------------------------------------------------------------- */
struct sequencer_thread;
struct sequencer_thread_config {
    struct sequencer
        *sequencer; /* stays the caller's; not touched by others while the thread runs */
    struct store *store;
    int64_t
        interval_ms; /* at least this long from the beginning of one step to that of the next, e.g. 100 */
    /* On the thread, after each publication; may be NULL. */
    void (*published)(void *context, uint64_t size);
    /* Once, on the thread, which then ends: the process should stop selling. */
    void (*failed)(void *context, const struct err_info *error);
    void *context;
};
RESULT sequencer_start(const struct sequencer_thread_config *config,
                       struct sequencer_thread **ret_thread);
/* There are new entries (call on NOTE_ENTRY after a commit); any thread, never blocks for long. Without it: once a second. */
void sequencer_wake(struct sequencer_thread *t);
/* Integrates what is there, then ends the thread. */
void sequencer_stop(struct sequencer_thread *t);

#endif
