/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_SIGNER_HANDLERS_H
#define TRUST_SIGNER_HANDLERS_H

/*
 * handlers - what each question does. A handler reads its fields, changes the state in memory, queues journal records and writes the
 * answer; the loop in server.c makes the records durable before any answer leaves.
 */
#include "ground/base/base.h"
#include "ground/proc/channel.h"
#include "trust/ledger/note.h"
#include "trust/signer/keystore.h"
#include "trust/signer/log_head.h"
#include "trust/signer/state.h"

struct signer {
    const struct disk *disk;
    const struct clock *clock;
    struct secret32 master;
    struct keystore keys;
    struct log_head log_head;
    struct vkey vkey; /* the log's */
    struct state state;
    bool landlock;
    bool doubtful; /* memory and journal may differ: load again before the next question */
};

/* One question. Appends to out; out is what was promised only after the journal has been synced. */
RESULT signer_handle(struct signer *s, const struct proc_frame *question, struct buf *out);

#endif
