/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_CATALOG_CATALOG_ENTRY_H
#define SALE_CATALOG_CATALOG_ENTRY_H

/* catalog_entry - what catalog.c and event.c share. No other room includes it. */
#include "ground/encode/json.h"
#include "sale/catalog/catalog.h"

/* Begin an entry with its actor; by may be NULL. */
void catalog_entry(struct entry_draft *d, struct store_tx *tx, enum entry_kind kind,
                   const struct catalog_actor *by, int64_t organiser_no, int64_t event_no);
RESULT catalog_text(struct arena *a, struct span text, const char **ret_text);
/* Always ERR_CONFLICT "id_reused". */
RESULT id_reused(void);

/* ERR_NOT_FOUND becomes OK and false: for asking whether an id is taken. */
RESULT catalog_found(enum err code, bool *ret_found);

#endif
