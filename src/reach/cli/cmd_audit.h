/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_CLI_CMD_AUDIT_H
#define REACH_CLI_CMD_AUDIT_H

/*
 * cmd_audit - gatehouse ledger audit, and what it shares with gatehouse ledger verify: the log as it stood at one moment.
 *
 * Both work beside a server that goes on publishing. A log_view is a disk for ledger_verify and ledger_audit that keeps the
 * checkpoint it was opened with, and cuts a partial file out of the full one that has taken its place since. Opened before the
 * database's snapshot, it never shows an entry that the snapshot does not have.
 */
#include "ground/base/base.h"
#include "trust/ledger/note.h"

struct log_view {
    struct disk disk; /* pass &x.disk; only reading works */
    struct disk real;
    struct buf checkpoint;
    bool published; /* there was a checkpoint */
};
/* dir holds checkpoint and tile/. The view does not move in memory afterwards. ERR_NOT_FOUND "no_log". */
RESULT log_view_open(const char *dir, struct log_view *ret_view);
void log_view_close(struct log_view *v); /* a zero one is fine */

/* The line of a verifier key file. ERR_NOT_FOUND "no_vkey", ERR_INVALID "bad_vkey". */
RESULT vkey_file_read(const char *path, struct vkey *ret_key);

/* Returns the exit status. vkey_path NULL: the one that serve wrote. */
int audit_command(const char *dir, const char *vkey_path, bool json);

#endif
