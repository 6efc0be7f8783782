/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/catalog/event_facts.h"

#include <stdlib.h>

enum { FACTS_BYTES_MAX = 1 << 20 };

static enum err fill(struct store_tx *tx, int64_t event_no, struct event_facts *f)
{
    struct category_row *rows;
    size_t count;

    TRY(store_event_by_no(tx, &f->memory, event_no, &f->row));
    f->row.description = NULL;
    TRY(store_category_list(tx, &f->memory, event_no, &rows, &count));
    for (size_t i = 0; i < count; i++)
        f->categories[rows[i].no] = &rows[i];
    return OK;
}

enum err event_facts_load(struct store_tx *tx, int64_t event_no, struct event_facts **ret_facts)
{
    struct event_facts *f = calloc(1, sizeof *f);

    ENSURE(f, ERR_NOMEM, "no_memory", "No memory for what is known of an event.");
    f->references = 1;
    arena_init(&f->memory, FACTS_BYTES_MAX);
    enum err e = fill(tx, event_no, f);
    if (e != OK) {
        event_facts_release(&f);
        return err_trace(e, __FILE__, __LINE__);
    }
    *ret_facts = f;
    return OK;
}

struct event_facts *event_facts_keep(struct event_facts *f)
{
    if (f)
        (void)__atomic_add_fetch(&f->references, 1, __ATOMIC_RELAXED);
    return f;
}

void event_facts_release(struct event_facts **f)
{
    if (*f && __atomic_sub_fetch(&(*f)->references, 1, __ATOMIC_ACQ_REL) == 0) {
        arena_done(&(*f)->memory);
        free(*f);
    }
    *f = NULL;
}
