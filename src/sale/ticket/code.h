/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_TICKET_CODE_H
#define SALE_TICKET_CODE_H

/*
 * code - the scannable text of a ticket: claims from its row and plan, minted by the signer.
 *
 * Blocks on the signer, so never on the writer. The same ticket gives the same text as long as it is valid: nothing is stored here.
 */
#include "sale/catalog/packed.h"
#include "sale/ticket/ticket.h"
#include "trust/signer/signer.h"

/*
 * The printed form: no holder key, the event's own window, the category as entry class, the compact label as place. ERR_CORRUPT
 * "bad_row" when the row does not fit its plan.
 */
RESULT ticket_claims_of(const struct ticket_row *row, const struct packed *plan,
                        struct ticket_claims *ret_claims);

/* Appends the text. ERR_CONFLICT "ticket_not_valid", what the signer refuses (signer_mint), what signer_client says. */
RESULT ticket_code(const struct signer_client *signer, const struct ticket_row *row,
                   const struct packed *plan, struct buf *out);

/*
 * Several tickets of one plan in few messages, each with its own outcome: ret_codes[i].code is OK and .text the code, or why not
 * (also CONFLICT "ticket_not_valid"). Any count.
 */
RESULT ticket_codes(const struct signer_client *signer, const struct ticket_row *rows, size_t count,
                    const struct packed *plan, struct signer_minted *ret_codes);

#endif
