/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_cache - sets of WAYS ways to a place, found by the token's hash; a change voids them by the account's stamp. A way gets the
 * next place when it first needs one and keeps it, so that the memory of few sessions lies together.
 */
#include "trust/auth/session_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "trust/auth/inner.h"

enum { WAYS = 8, LOCKS = 64 };

struct way {
    uint32_t tag; /* of the token's hash */
    uint32_t at;  /* places[at - 1]; 0: none yet */
};

struct place {
    bool taken;
    uint8_t hash[SHA256_BYTES];
    struct session_row row;
    struct stamp_mark mark;
    int64_t used_ms;
    size_t grant_count;
    struct access_grant *grants; /* NULL when there are none */
};

struct session_cache {
    struct stamps stamps;
    size_t set_count;
    struct way *ways; /* set_count sets of WAYS; a set's lock guards them and their places */
    struct place *places;
    _Atomic uint32_t given; /* of the places */
    pthread_mutex_t locks[LOCKS];
};

enum err session_cache_new(size_t sessions, struct session_cache **ret_cache)
{
    size_t sets = LOCKS;

    ENSURE(sessions <= SESSION_CACHE_MAX, ERR_INVALID, "bad_cache", "At most %d sessions.",
           SESSION_CACHE_MAX);
    while (sets * WAYS < sessions)
        sets *= 2;
    struct session_cache *c = calloc(1, sizeof *c);
    struct way *ways = calloc(sets * WAYS, sizeof *ways);
    struct place *places = calloc(sets * WAYS, sizeof *places);
    if (!c || !ways || !places) {
        free(c);
        free(ways);
        free(places);
        FAIL(ERR_NOMEM, "no_memory", "No memory for sessions.");
    }
    c->set_count = sets;
    c->ways = ways;
    c->places = places;
    for (size_t i = 0; i < LOCKS; i++)
        INVARIANT(pthread_mutex_init(&c->locks[i], NULL) == 0, "a mutex can be made");
    *ret_cache = c;
    return OK;
}

static void clear(struct place *p)
{
    free(p->grants);
    *p = (struct place){0};
}

void session_cache_free(struct session_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->given; i++)
        clear(&c->places[i]);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&c->locks[i]);
    free(c->ways);
    free(c->places);
    free(c);
}

/* ---- what was said since ---- */

struct stamp_mark session_cache_mark(const struct session_cache *c)
{
    return stamps_mark(&c->stamps);
}

void session_cache_committed(struct session_cache *c, const struct store_note *notes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (notes[i].kind == NOTE_SESSION)
            stamps_change(&c->stamps, notes[i].a);
}

bool session_cache_unchanged(const struct session_cache *c, int64_t account_no,
                             struct stamp_mark mark)
{
    return stamps_good(&c->stamps, account_no, mark);
}

static bool is_current(const struct session_cache *c, const struct place *p)
{
    return session_cache_unchanged(c, p->row.account_no, p->mark);
}

/* ---- places ---- */

static size_t set_of(const struct session_cache *c, const uint8_t hash[SHA256_BYTES])
{
    return get_u64be(hash) % c->set_count;
}

static uint32_t tag_of(const uint8_t hash[SHA256_BYTES])
{
    return get_u32be(hash + 8);
}

static struct place *place_at(const struct session_cache *c, const struct way *w)
{
    return w->at ? &c->places[w->at - 1] : NULL;
}

static struct place *place_of(struct session_cache *c, size_t set, const uint8_t *hash)
{
    const struct way *ways = &c->ways[set * WAYS];

    for (size_t i = 0; i < WAYS; i++) {
        struct place *p = ways[i].tag == tag_of(hash) ? place_at(c, &ways[i]) : NULL;
        if (p && p->taken && memcmp(p->hash, hash, SHA256_BYTES) == 0)
            return p;
    }
    return NULL;
}

/* One that is empty or void, a new one, or the one that was longest not asked for. */
static struct way *way_to_take(struct session_cache *c, size_t set)
{
    struct way *ways = &c->ways[set * WAYS], *best = NULL, *without = NULL;

    for (size_t i = 0; i < WAYS; i++) {
        const struct place *p = place_at(c, &ways[i]);
        if (!p) {
            without = &ways[i];
            continue;
        }
        if (!p->taken || !is_current(c, p))
            return &ways[i];
        if (!best || p->used_ms < place_at(c, best)->used_ms)
            best = &ways[i];
    }
    return without ? without : best;
}

static struct place *place_to_take(struct session_cache *c, size_t set, const uint8_t *hash)
{
    struct way *w = way_to_take(c, set);

    if (!w->at)
        w->at = atomic_fetch_add(&c->given, 1) + 1;
    w->tag = tag_of(hash);
    return place_at(c, w);
}

static void copy_grants(const struct place *p, int64_t now_ms, struct access *ret_access)
{
    ret_access->account_no = p->row.account_no;
    ret_access->count = 0;
    for (size_t i = 0; i < p->grant_count; i++)
        if (p->grants[i].expires_ms == 0 || p->grants[i].expires_ms > now_ms)
            ret_access->grants[ret_access->count++] = p->grants[i];
}

bool session_cache_find(struct session_cache *c, struct span token, int64_t now_ms,
                        struct stamp_mark *ret_mark, struct session *ret_session,
                        struct access *ret_access)
{
    uint8_t hash[SHA256_BYTES];

    if (!token_hash(token, hash))
        return false;
    size_t set = set_of(c, hash);
    pthread_mutex_lock(&c->locks[set % LOCKS]);
    struct place *p = place_of(c, set, hash);
    bool good = p && is_current(c, p) && session_is_live(&p->row, now_ms);
    if (good) {
        p->used_ms = now_ms;
        *ret_mark = p->mark;
        session_fill(&p->row, now_ms, ret_session);
        copy_grants(p, now_ms, ret_access);
    } else if (p) {
        clear(p);
    }
    pthread_mutex_unlock(&c->locks[set % LOCKS]);
    return good;
}

/* Without memory for the grants it is not remembered, which costs only time. */
static void remember(struct session_cache *c, const uint8_t hash[SHA256_BYTES], int64_t now_ms,
                     struct stamp_mark mark, const struct session_row *row,
                     const struct access *access)
{
    struct access_grant *grants = NULL;
    size_t set = set_of(c, hash), bytes = access->count * sizeof *grants;

    if (bytes > 0) {
        grants = malloc(bytes);
        if (!grants)
            return;
        memcpy(grants, access->grants, bytes);
    }
    pthread_mutex_lock(&c->locks[set % LOCKS]);
    struct place *p = place_of(c, set, hash);
    if (p && p->mark.at > mark.at) { /* somebody read later */
        free(grants);
    } else {
        p = p ? p : place_to_take(c, set, hash);
        clear(p);
        *p = (struct place){.taken = true,
                            .row = *row,
                            .mark = mark,
                            .used_ms = now_ms,
                            .grant_count = access->count,
                            .grants = grants};
        memcpy(p->hash, hash, SHA256_BYTES);
    }
    pthread_mutex_unlock(&c->locks[set % LOCKS]);
}

enum err session_cache_load(struct session_cache *c, struct stamp_mark mark, struct store_tx *tx,
                            struct span token, struct session *ret_session,
                            struct access *ret_access)
{
    uint8_t hash[SHA256_BYTES];
    struct session_row row;

    TRY(session_row_by_token(tx, token, hash, &row));
    TRY(access_load(tx, row.account_no, ret_access));
    session_fill(&row, store_now_ms(tx), ret_session);
    if (store_sees_durable(tx))
        remember(c, hash, store_now_ms(tx), mark, &row, ret_access);
    return OK;
}

struct filling {
    struct session_cache *cache;
    struct stamp_mark mark;
    struct store_tx *tx;
};

static enum err fill_one(void *context, const uint8_t hash[SHA256_BYTES],
                         const struct session_row *row)
{
    struct filling *f = context;
    int64_t now_ms = store_now_ms(f->tx);
    struct access access;

    if (!session_is_live(row, now_ms))
        return OK;
    TRY(access_load(f->tx, row->account_no, &access));
    remember(f->cache, hash, now_ms, f->mark, row, &access);
    return OK;
}

enum err session_cache_fill(struct session_cache *c, struct stamp_mark mark, struct store_tx *tx,
                            size_t looks)
{
    struct filling f = {c, mark, tx};

    return store_sees_durable(tx) ? store_session_some(tx, looks, fill_one, &f) : OK;
}
