/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_WRITER_H
#define STORE_STORE_WRITER_H

/*
 * writer - the one write path: a bounded queue, one thread, group commit.
 *
 * Any thread submits commands. The writer takes what waits (door lane first; while a door scans, few of the others at a time;
 * scans that come thickly, eight or what comes in gather_us), runs all of it in one transaction, checks D1 after each, commits once (one fsync), then calls every command's `done`. When more is waiting,
 * another thread does the fsync and the next batch already runs; no batch is committed before the one before is durable, and nothing of
 * it is told before it is itself. So `done`
 * may be called in the middle of the next batch, between two of its commands, and readers see a commit a moment before it is durable
 * (store.h says how they wait). Nearly every command that fails does so before it has changed
 * anything, so none gets a savepoint; when one fails later, the transaction is rolled back and the whole batch runs again, each
 * command in a savepoint of its own. So `run` may be called twice, and must leave nothing behind but rows and what it writes anew.
 * Checkpoints: a thread of its own copies PASSIVE; past 128 MB of WAL the writer runs RESTART between batches.
 */
#include "store/store/store.h"

enum writer_lane { LANE_DOOR, LANE_SALE, LANE_BACK, LANE_COUNT };

struct command {
    /* On the writer thread. Not OK undoes it. May run a second time (above). Must not block, must not call the network. */
    enum err (*run)(struct store_tx *tx, struct command *c);
    /*
     * On the writer thread, after the commit is durable (error NULL) or after the command failed or was lost with its batch.
     * Must not block. May free the command.
     */
    void (*done)(struct command *c, const struct err_info *error);
    enum writer_lane lane;
    /*
     * When it is refused, `done` need not wait for the disk: the refusal promises nothing, and may have rested on a command that
     * is undone.
     */
    bool refused_at_once;
    struct command *next;  /* the queue's */
    struct err_info error; /* the queue's */
};

struct writer;

enum { WRITER_GATHER_US = 2000 }; /* what doors are served well with */

struct writer_config {
    size_t queue_max; /* commands waiting per lane; more are refused with ERR_BUSY */
    size_t batch_max; /* commands per transaction */
    /* How long a batch of scans that follows one of four and more waits for others to come; 0: not at all. */
    unsigned gather_us;
    /* On the writer thread; may be NULL. released: inside the batch, its effects are visible to later commands. lost: the
       batch was rolled back after some were released, forget what they said. */
    void (*released)(void *context, const struct store_note *notes, size_t count);
    void (*committed)(void *context, const struct store_note *notes, size_t count);
    void (*lost)(void *context);
    /* After the `done` of every command of a batch: what they gathered can go out at once. */
    void (*ended)(void *context);
    void *context;
};

RESULT writer_start(struct store *s, const struct writer_config *config,
                    struct writer **ret_writer);
/* Runs what is queued, then ends the thread. */
void writer_stop(struct writer *w);
/* ERR_BUSY "queue_full" when the lane is full or the writer is stopping; the command is then untouched. */
RESULT writer_submit(struct writer *w, struct command *c);
/* Submit and wait for the outcome; for set-up, CLI and tests. */
RESULT writer_call(struct writer *w, enum writer_lane lane,
                   enum err (*run)(struct store_tx *tx, void *context), void *context);

struct writer_figures {
    uint64_t batches, commands, failed, lost, checkpoints;
    uint64_t repeated; /* batches run again with savepoints */
    uint64_t largest_batch;
    uint64_t wal_bytes;
};
void writer_figures(struct writer *w, struct writer_figures *ret_figures);

#endif
