/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_LEDGER_LEDGER_H
#define TRUST_LEDGER_LEDGER_H

/*
 * ledger - appending entries in the transaction of the change, and opening them again.
 *
 * What it is: the private side of the log. Each entry is a row whose fields are sealed under the keys of persons, tickets,
 * events, tenants (trust/keyring) and whose 32-byte commitment is all that the public log ever sees.
 * What it is not: the tree and its files (sequencer.h, tile.h, merkle.h), their check (verify.h), the comparison with the
 * tables (audit.h).
 *
 * Invariants:
 *   L-A  entry numbers are contiguous from 0 and given by the single writer inside its transaction: a command that is undone
 *        leaves no gap;
 *   L-B  the commitment binds every field, the four columns in clear, and a digest of every row the entry names;
 *   L-C  a row named by an entry is digested as it stands at the append: change the row first, then append, and do not change
 *        it again in the same command without another entry.
 */
#include "trust/keyring/keyring.h"
#include "trust/ledger/entry.h"

struct ledger;

RESULT ledger_new(struct keyring *keyring, struct ledger **ret_ledger);
void ledger_free(struct ledger *l);

/*
 * Append the draft (once: it is spent afterwards). Write transaction only. Every row named is paid for (D1) and NOTE_ENTRY is
 * noted. ret_entry_no may be NULL. Expected failures: ERR_LIMIT "entry_too_large", ERR_INVALID "entry_incomplete" (a field of
 * kinds.def is missing), ERR_NOT_FOUND "no_row" (a named row is not there), ERR_EXPIRED "erased" (a person is).
 */
RESULT ledger_append(struct store_tx *tx, struct ledger *l, struct entry_draft *d,
                     int64_t *ret_entry_no);

/*
 * Open a stored entry into the view (entry_view_init first; may be reused). Checks the commitment against every field digest,
 * and every field digest against its value where the key still exists. ERR_NOT_FOUND "no_entry"; ERR_CORRUPT "entry_altered"
 * with a sentence that says which part does not fit.
 */
RESULT ledger_entry_open(struct store_tx *tx, struct ledger *l, int64_t entry_no,
                         struct entry_view *v);
RESULT ledger_entry_open_by_id(struct store_tx *tx, struct ledger *l, const uint8_t id[ID_BYTES],
                               struct entry_view *v);

/* Digest of the audited columns of a row (audited.def). ERR_NOT_FOUND "no_row". */
RESULT ledger_row_digest(struct store_tx *tx, enum store_audit table,
                         const uint8_t row_id[ID_BYTES], uint8_t ret_digest[SHA256_BYTES]);

/* The leaf of an entry: 01 01 || commitment. */
void ledger_leaf(const uint8_t commitment[SHA256_BYTES], uint8_t ret_leaf[ENTRY_LEAF_BYTES]);

#endif
