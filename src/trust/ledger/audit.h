/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_LEDGER_AUDIT_H
#define TRUST_LEDGER_AUDIT_H

/*
 * audit - does the database say what the log says? Opens every entry against its leaf, keeps the newest digest of every row the
 * entries name, and compares every audited row with it; then asks the rules that rows together must keep (checks.def).
 *
 * A row altered by hand is named, also when the stored entry about it was altered with it: an altered entry does not fit its
 * leaf any more and counts for nothing, so that the row is measured against the newest sound entry.
 * What it is not: the mint journal is the signer's; visit_entry gives every sound entry to whoever compares it (trust/signer,
 * sale/ticket). Needs the keys, and some 60 bytes of memory a row named.
 */
#include "trust/ledger/ledger.h"
#include "trust/ledger/note.h"

enum ledger_finding_kind {
    FINDING_LOG,   /* the public log does not verify */
    FINDING_ENTRY, /* an entry was altered, or does not fit its leaf */
    FINDING_ENTRY_MISSING,
    FINDING_ROW,         /* a row differs from the newest entry about it */
    FINDING_ROW_UNKNOWN, /* a row no entry tells of */
    FINDING_ROW_MISSING, /* a row an entry tells of is gone */
    FINDING_RULE,        /* rows contradict each other */
};

struct ledger_finding {
    enum ledger_finding_kind kind;
    char subject[64]; /* "tkt_...", "entry 17", "tile/0/000" */
    char sentence[200];
    int64_t entry_no; /* the entry meant, -1 when none */
};

struct ledger_audit_config {
    const struct disk *disk; /* of the log; NULL: entries are not compared with leaves */
    const struct vkey *key;  /* of the log; needed with disk */
    void (*found)(void *context, const struct ledger_finding *finding);
    /* Every sound entry, in order; may be NULL. The view is good until it returns. Not OK ends the audit. */
    enum err (*visit_entry)(void *context, const struct entry_view *entry);
    void *context;
};

struct ledger_audit_result {
    uint64_t entries; /* read */
    uint64_t leaves;  /* compared with the log */
    uint64_t closed;  /* whose own key is destroyed: only their commitment was compared */
    uint64_t rows;    /* compared */
    uint64_t findings;
};

/* OK says that the audit ran; ret_result->findings says what came of it. One read snapshot for all of it. */
RESULT ledger_audit(struct store_tx *tx, struct ledger *l, const struct ledger_audit_config *config,
                    struct ledger_audit_result *ret_result);

#endif
