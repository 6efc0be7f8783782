/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/ticket/code.h"

#include <stdio.h>
#include <string.h>

enum err ticket_claims_of(const struct ticket_row *row, const struct packed *plan,
                          struct ticket_claims *ret_claims)
{
    struct ticket_claims c = {
        .ticket = row->id, .place_no = row->place_no, .form = CREDENTIAL_PAPER};
    char label[PLACE_LABEL_MAX];

    _Static_assert((int)PLACE_LABEL_MAX == (int)CREDENTIAL_PLACE_MAX + 1, "a label fits a claim");
    ENSURE(row->event_no >= 1 && row->event_no <= UINT32_MAX && row->generation >= 1 &&
               row->generation <= UINT32_MAX && row->category_no >= 0 &&
               row->category_no <= UINT16_MAX && row->place_no < plan->places,
           ERR_CORRUPT, "bad_row", "The ticket does not fit the plan of its event.");
    place_label(plan, row->place_no, label);
    memcpy(c.place, label, sizeof c.place);
    c.event_number = (uint32_t)row->event_no;
    c.generation = (uint32_t)row->generation;
    c.entry_class = (uint16_t)row->category_no;
    *ret_claims = c;
    return OK;
}

static void refuse(struct signer_minted *m)
{
    memset(m, 0, sizeof *m);
    m->code = ERR_CONFLICT;
    (void)snprintf(m->slug, sizeof m->slug, "ticket_not_valid");
}

enum err ticket_codes(const struct signer_client *signer, const struct ticket_row *rows,
                      size_t count, const struct packed *plan, struct signer_minted *ret_codes)
{
    struct ticket_claims claims[SIGNER_MINT_MAX];
    struct signer_minted minted[SIGNER_MINT_MAX];
    size_t at[SIGNER_MINT_MAX]; /* which row a claim is of */

    for (size_t i = 0; i < count;) {
        size_t waiting = 0;
        for (; i < count && waiting < SIGNER_MINT_MAX; i++) {
            if (rows[i].status != TICKET_VALID) {
                refuse(&ret_codes[i]);
                continue;
            }
            TRY(ticket_claims_of(&rows[i], plan, &claims[waiting]));
            at[waiting++] = i;
        }
        if (waiting == 0)
            continue;
        TRY(signer_mint(signer, claims, waiting, minted));
        for (size_t k = 0; k < waiting; k++)
            ret_codes[at[k]] = minted[k];
    }
    return OK;
}

enum err ticket_code(const struct signer_client *signer, const struct ticket_row *row,
                     const struct packed *plan, struct buf *out)
{
    struct signer_minted minted;

    TRY(ticket_codes(signer, row, 1, plan, &minted));
    if (minted.code == ERR_CONFLICT && strcmp(minted.slug, "ticket_not_valid") == 0)
        FAIL(ERR_CONFLICT, "ticket_not_valid", "The ticket is not valid.");
    ENSURE(minted.code == OK, minted.code, minted.slug, "The signer refuses to sign this ticket.");
    buf_put_text(out, minted.text);
    return buf_check(out);
}
