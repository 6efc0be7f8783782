/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_LEDGER_OPEN_H
#define TRUST_LEDGER_OPEN_H

/* open - a stored row into a view; ledger_entry_open is the front door. Internal to ledger. */
#include "store/store/store_ledger.h"
#include "trust/ledger/ledger.h"

RESULT entry_open_stored(struct store_tx *tx, struct ledger *l, const struct stored_entry *row,
                         struct entry_view *v);

#endif
