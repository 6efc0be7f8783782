/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_STORE_LEDGER_H
#define STORE_STORE_STORE_LEDGER_H

/*
 * store_ledger - rows of entry; audited rows as bytes to be digested; what an audit asks. For trust/ledger only.
 */
#include "store/store/store.h"

struct stored_entry {
    int64_t entry_no;
    struct entry_id id;
    int64_t kind, organiser_no, event_no, at_ms;
    uint8_t commitment[32];
    struct span sealed; /* borrowed: in a visit until it returns, else from the caller's buf */
};

RESULT store_entry_next(struct store_tx *tx, int64_t *ret_entry_no);
RESULT store_entry_insert(struct store_tx *tx, const struct stored_entry *entry);
/* The sealed bytes are appended to buf. ERR_NOT_FOUND "no_entry". */
RESULT store_entry_by_no(struct store_tx *tx, int64_t entry_no, struct stored_entry *ret_entry,
                         struct buf *sealed);
RESULT store_entry_by_id(struct store_tx *tx, const uint8_t id[ID_BYTES],
                         struct stored_entry *ret_entry, struct buf *sealed);
/* All entries in order. */
RESULT store_entry_scan(struct store_tx *tx,
                        enum err (*visit)(void *context, const struct stored_entry *entry),
                        void *context);
/* At most max commitments from this number on, in order. */
RESULT store_entry_commitments(struct store_tx *tx, int64_t from_no, size_t max,
                               enum err (*visit)(void *context, int64_t entry_no,
                                                 const uint8_t commitment[32]),
                               void *context);

/*
 * The audited columns of a row in one form: for each column 'n', or 'i' and 8 bytes, or 't' / 'b', u32 length and bytes. An
 * order's lines follow its columns. Appended to out. As it is in the database, or as the command that has just changed it says
 * (tx_row_known). ERR_NOT_FOUND "no_row".
 */
RESULT store_row_encode(struct store_tx *tx, enum store_audit table, const uint8_t id[ID_BYTES],
                        struct buf *out);
/* Every row of the table, in no order. */
RESULT store_row_scan(struct store_tx *tx, enum store_audit table,
                      enum err (*visit)(void *context, const uint8_t id[ID_BYTES],
                                        struct span encoded),
                      void *context);
/* "ticket"; "none" for AUDIT_none. */
const char *store_audit_table_name(enum store_audit table);
/* "tkt": the prefix of the table's ids. */
const char *store_audit_id_prefix(enum store_audit table);

/* Rules that rows together must keep; each query gives what breaks it. */
enum store_check {
#define CHECK(name, prefix, sentence) STORE_CHECK_##name,
#include "store/store/checks.def"
#undef CHECK
    STORE_CHECK_COUNT
};
/* visit gets the id (zeros when NULL) and number of each finding, and the words of checks.def. */
RESULT store_check_run(struct store_tx *tx, enum store_check check,
                       enum err (*visit)(void *context, const char *prefix, const char *sentence,
                                         const uint8_t id[ID_BYTES], int64_t number),
                       void *context);

#endif
