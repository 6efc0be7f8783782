/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_LOG_COPY_H
#define STORE_STORE_LOG_COPY_H

/*
 * log_copy - keeps the database's log short: a thread of its own copies it into the file while the writer goes on writing, and past
 * 128 MB the writer, which then stands still, begins it anew. Private to this room.
 */
#include "store/store/store.h"

struct log_copy;

RESULT log_copy_start(struct store *s, struct log_copy **ret_copy);
void log_copy_stop(struct log_copy *l); /* NULL is fine */
/* On the writer's thread, between two transactions. */
void log_copy_mind(struct log_copy *l);
void log_copy_figures(struct log_copy *l, uint64_t *ret_checkpoints, uint64_t *ret_log_bytes);

#endif
