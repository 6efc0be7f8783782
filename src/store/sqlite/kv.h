/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_SQLITE_KV_H
#define STORE_SQLITE_KV_H

/*
 * kv - values under names, in buckets, in one SQLite file; for a small program that is not Gatehouse (gatehouse-sandbox). The
 * product's own rows are in store/store.
 *
 * One connection, used by one thread at a time (the caller's lock). A change outside kv_begin and kv_commit is a transaction of
 * its own. What was committed is on disk (WAL, synchronous=FULL). Keys are UTF-8 texts in byte order.
 */
#include "ground/base/span.h"

struct kv;

enum { KV_KEY_MAX = 256, KV_VALUE_MAX = 1 << 20 };

/* Made with mode 0600 when it is not there. ERR_INVALID "not_ours" for a database of something else; ERR_BUSY "in_use". */
RESULT kv_open(const char *path, struct kv **ret_kv);
void kv_close(struct kv *kv); /* rolls back what is open; NULL is fine */

RESULT kv_begin(struct kv *kv);
RESULT kv_commit(struct kv *kv);
void kv_rollback(struct kv *kv); /* harmless outside of a transaction */

/* Create or replace. */
RESULT kv_put(struct kv *kv, const char *bucket, const char *key, struct span value);
/* Appended to out. ERR_NOT_FOUND "no_row". */
RESULT kv_get(struct kv *kv, const char *bucket, const char *key, struct buf *out);
RESULT kv_delete(struct kv *kv, const char *bucket, const char *key); /* absent is fine */

struct kv_scan {
    const char *bucket;
    const char *prefix; /* NULL: all */
    const char
        *after; /* only what comes after this key in the order of the scan; NULL: from its start */
    bool descending;
    size_t rows_max;
};
/* key and value are borrowed; the visit changes nothing in this kv. Not OK ends the scan with that. */
RESULT kv_scan(struct kv *kv, const struct kv_scan *scan,
               enum err (*visit)(void *context, const char *key, struct span value), void *context);

#endif
