/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_STORE_ALERT_H
#define STORE_STORE_STORE_ALERT_H

/*
 * store_alert - rows of alerts, as values. Kinds and the merge rule are in watch/alert. Texts that are returned live in the arena.
 *
 * change_no is one more than any before at each insert, merge and acknowledgement: whoever remembers the newest it saw finds what
 * is new, whatever changed.
 */
#include "store/store/store_catalog.h"

struct alert_row {
    int64_t alert_no, organiser_no, event_no; /* event_no 0: none */
    struct alert_id id;
    struct event_id event; /* zero when event_no is 0 */
    const char *kind;
    int severity; /* 1 note .. 4 act now */
    const char *subject, *facts, *state;
    int64_t at_ms, change_no, handled_ms; /* handled_ms 0: not handled */
};

/* An open one. Gives its number; event and the other texts are as in the row. */
RESULT store_alert_insert(struct store_tx *tx, const struct alert_row *row, int64_t *ret_alert_no);
/* New facts for an open alert. */
RESULT store_alert_merge(struct store_tx *tx, int64_t alert_no, const char *facts);
/* open -> acknowledged; ret_changed is false when it was not open. */
RESULT store_alert_acknowledge(struct store_tx *tx, struct alert_id id, int64_t account_no,
                               bool *ret_changed);
/* The newest open alert of this kind and subject raised at or after since_ms. ERR_NOT_FOUND "no_alert". */
RESULT store_alert_open_like(struct store_tx *tx, struct arena *a, int64_t organiser_no,
                             int64_t event_no, const char *kind, const char *subject,
                             int64_t since_ms, struct alert_row *ret_row);
/* ERR_NOT_FOUND "no_alert". */
RESULT store_alert_by_id(struct store_tx *tx, struct arena *a, struct alert_id id,
                         struct alert_row *ret_row);
/* Newest first; page.after_no is the alert_no of the last one seen. organiser_no 0: all. */
RESULT store_alert_list(struct store_tx *tx, struct arena *a, int64_t organiser_no,
                        const struct store_page *page, struct alert_row **ret_rows,
                        size_t *ret_count);
/* Of every organiser, ascending by change_no, those that changed after this change. */
RESULT store_alerts_changed(struct store_tx *tx, struct arena *a, int64_t after_change_no,
                            size_t max, struct alert_row **ret_rows, size_t *ret_count);
/* 0 when there is none. */
RESULT store_alert_newest_change(struct store_tx *tx, int64_t *ret_change_no);

#endif
