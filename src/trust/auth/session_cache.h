/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_AUTH_SESSION_CACHE_H
#define TRUST_AUTH_SESSION_CACHE_H

/*
 * session_cache - sessions that were found, with the grants of their accounts, so that the next request need not ask the store.
 *
 * What it is: the answers of auth_session_find and access_load, kept under the token's hash until something of the account
 * changes. What it is not: a place where a session is decided: that stays in the rows, and in the clock at each find.
 *
 * Invariants:
 *   K1  whoever was told of a change (sign-out, suspension, a role given or taken, staff or not, a session seen again) never
 *       meets what was remembered before it: the change leaves NOTE_SESSION in its transaction, session_cache_committed is called
 *       before its answer, and a session is remembered as of a mark taken before the snapshot it was read in;
 *   K2  time is judged at each find as in the store: the end, the idle end, needs_touch, and the end of each grant;
 *   K3  tokens are not kept, only their hashes; what is not a live session is not kept; places are bounded, and who is crowded
 *       out is asked of the store again.
 */
#include "store/store/notes.h"
#include "store/store/stamps.h"
#include "trust/auth/auth.h"

enum { SESSION_CACHE_MAX = 1 << 20 };

struct session_cache;

/* Room for `sessions` of them, rounded up; ERR_INVALID "bad_cache" past SESSION_CACHE_MAX. */
RESULT session_cache_new(size_t sessions, struct session_cache **ret_cache);
/* NULL is fine. */
void session_cache_free(struct session_cache *c);

/* For session_cache_load: take it before the snapshot begins. */
struct stamp_mark session_cache_mark(const struct session_cache *c);

/*
 * False: not remembered, or not any more; ask the store with session_cache_load. Any thread. ret_mark: as of when it was read;
 * who begins a snapshot later can ask session_cache_unchanged whether it still agrees with it.
 */
bool session_cache_find(struct session_cache *c, struct span token, int64_t now_ms,
                        struct stamp_mark *ret_mark, struct session *ret_session,
                        struct access *ret_access);
bool session_cache_unchanged(const struct session_cache *c, int64_t account_no,
                             struct stamp_mark mark);
/*
 * auth_session_find and access_load, remembered when what they read is durable. tx: a snapshot that began after mark was taken. ERR_UNAUTHENTICATED
 * "no_session" as there.
 */
RESULT session_cache_load(struct session_cache *c, struct stamp_mark mark, struct store_tx *tx,
                          struct span token, struct session *ret_session,
                          struct access *ret_access);
/*
 * At a start, when everybody comes back at once: remember sessions before they are asked for, those among the newest `looks` rows. tx and
 * mark as above.
 */
RESULT session_cache_fill(struct session_cache *c, struct stamp_mark mark, struct store_tx *tx,
                          size_t looks);
/* What the writer committed; before any answer to it. On the writer thread. */
void session_cache_committed(struct session_cache *c, const struct store_note *notes, size_t count);

#endif
