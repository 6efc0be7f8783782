/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCH_ALERT_ALERT_H
#define WATCH_ALERT_ALERT_H

/*
 * alert - something that a person should look at: raised in the transaction of what happened, seen on the staff page within a
 * second (NOTE_ALERT wakes the stream), acknowledged by somebody.
 *
 * What it is: the kinds (alerts.def), raising with the merge rule, acknowledging. What it is not: the decision that something is
 * wrong (door/admission, watch/detect), who may see it (the caller checks the organiser), rows (store_alert.h).
 *
 * Invariants:
 *   W1  an alert is raised in the transaction of its cause: it is there exactly when the cause is;
 *   W2  the same kind about the same subject within ALERT_MERGE_MS of an open alert is counted in that alert, so that a flood of
 *       scans is one line; facts.count is how often;
 *   W3  every insert, merge and acknowledgement has a change_no above all before;
 *   W4  facts hold ids and words of the program, never personal data.
 */
#include "store/store/store_alert.h"

enum { ALERT_MERGE_MS = 60 * 1000, ALERT_FACTS_MAX = 2048, ALERT_SUBJECT_MAX = 64 };

enum alert_kind {
#define ALERT(name, severity, title, todo) ALERT_##name,
#include "watch/alert/alerts.def"
#undef ALERT
    ALERT_KIND_COUNT
};

const char *alert_kind_name(enum alert_kind kind);
int alert_severity(enum alert_kind kind);
/* For a person: what it is, and what to do about it. */
const char *alert_title(enum alert_kind kind);
const char *alert_todo(enum alert_kind kind);
/* ERR_NOT_FOUND "no_alert_kind". */
RESULT alert_kind_parse(struct span text, enum alert_kind *ret_kind);

struct alert_cause {
    enum alert_kind kind;
    int64_t organiser_no, event_no; /* event_no 0: none */
    const char *subject;            /* an id in text form */
    struct span
        facts; /* one JSON object without the member "count", which is ours; empty for none */
};
/* In the transaction of the cause. ret_alert_no may be NULL. ERR_INVALID "bad_facts" unless facts are one small JSON object. */
RESULT alert_raise(struct store_tx *tx, const struct alert_cause *cause, int64_t *ret_alert_no);
/*
 * open -> acknowledged, by this account; one that is not open any more stays as it is. The caller has checked that the account may
 * handle alerts of its organiser. ERR_NOT_FOUND "no_alert".
 */
RESULT alert_acknowledge(struct store_tx *tx, struct alert_id id, int64_t account_no);

#endif
