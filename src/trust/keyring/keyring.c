/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/keyring/keyring.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store/store_keyring.h"

/*
 * Key file: a sealed box under the master key, AAD "gatehouse-keyring-1", of
 *     lookup key [32] | u16 count | count x (u32 epoch number, u64 began at ms, key [32]), ascending.
 */
#define FILE_AAD "gatehouse-keyring-1"

enum {
    EPOCHS_MAX = 520,
    EPOCH_BYTES = 4 + 8 + SECRET_BYTES,
    FILE_BYTES_MAX = SECRET_BYTES + 2 + EPOCHS_MAX * EPOCH_BYTES,
    FILE_MODE = 0600,
};
#define EPOCH_MS (INT64_C(7) * 24 * 3600 * 1000)

struct epoch {
    uint32_t no;
    int64_t began_ms;
    uint8_t key[SECRET_BYTES];
};

struct secrets {
    uint8_t master[SECRET_BYTES];
    uint8_t lookup[SECRET_BYTES];
    size_t count;
    struct epoch epochs[EPOCHS_MAX]; /* ascending; the last is the current one */
};

/*
 * Keys that commands used last, unwrapped. Only write transactions look here and there is one at a time, so it needs no lock, and
 * what they read is the newest there is. Forgotten as a whole when changes were undone: a key that a command made may then be
 * nowhere else, and what is sealed under it would be lost.
 */
enum { MEMO_SLOTS = 256 };

struct memo_slot {
    int64_t scope, subject_no; /* scope 0: a person */
    struct person_id person;
    uint8_t key[SECRET_BYTES];
    bool full;
};

struct memo {
    uint64_t undone;
    struct memo_slot slots[MEMO_SLOTS]; /* where a key belongs is given by its number */
};

struct keyring {
    struct memo *memo;
    const struct disk *disk;
    const struct clock *clock;
    const struct rng *rng;
    char *path;
    pthread_rwlock_t lock; /* of secrets->count and epochs */
    struct secrets *secrets;
};

/* --- The key file ------------------------------------------------------------------------------------------------------ */

static enum err write_file(struct keyring *kr)
{
    AUTO(buf_done) struct buf plain, box;
    const struct secrets *s = kr->secrets;

    buf_init(&plain, FILE_BYTES_MAX);
    buf_init(&box, FILE_BYTES_MAX + SEALED_BOX_OVERHEAD);
    buf_put(&plain, s->lookup, sizeof s->lookup);
    buf_put_u16be(&plain, (uint16_t)s->count);
    for (size_t i = 0; i < s->count; i++) {
        buf_put_u32be(&plain, s->epochs[i].no);
        buf_put_u64be(&plain, (uint64_t)s->epochs[i].began_ms);
        buf_put(&plain, s->epochs[i].key, SECRET_BYTES);
    }
    TRY(buf_check(&plain));
    uint8_t *out = buf_grow(&box, plain.len + SEALED_BOX_OVERHEAD);
    ENSURE(out, ERR_NOMEM, "no_memory", "No memory for the key file.");
    sealed_box_seal(s->master, kr->rng, SPAN_LIT(FILE_AAD), buf_span(&plain), out);
    return kr->disk->replace(kr->disk->self, kr->path, buf_span(&box), FILE_MODE);
}

static enum err parse_file(struct secrets *s, struct span plain)
{
    struct cursor c = {plain};
    uint16_t count;
    uint64_t began;

    TRY(cursor_copy(&c, s->lookup, sizeof s->lookup));
    TRY(cursor_u16be(&c, &count));
    ENSURE(count >= 1 && count <= EPOCHS_MAX, ERR_CORRUPT, "bad_key_file",
           "The key file names %u epochs.", count);
    for (s->count = 0; s->count < count; s->count++) {
        struct epoch *e = &s->epochs[s->count];
        TRY(cursor_u32be(&c, &e->no));
        TRY(cursor_u64be(&c, &began));
        TRY(cursor_copy(&c, e->key, SECRET_BYTES));
        e->began_ms = (int64_t)began;
        ENSURE(s->count == 0 || e[-1].no < e->no, ERR_CORRUPT, "bad_key_file",
               "The epochs of the key file are not in order.");
    }
    ENSURE(c.rest.len == 0, ERR_CORRUPT, "bad_key_file", "The key file is too long.");
    return OK;
}

static enum err read_file(struct keyring *kr, bool *ret_found)
{
    AUTO(buf_done) struct buf box, plain;

    buf_init(&box, FILE_BYTES_MAX + SEALED_BOX_OVERHEAD);
    buf_init(&plain, FILE_BYTES_MAX);
    enum err e = kr->disk->read(kr->disk->self, kr->path, &box);
    *ret_found = e != ERR_NOT_FOUND;
    if (e == ERR_NOT_FOUND)
        return OK;
    TRY(e);
    ENSURE(box.len > SEALED_BOX_OVERHEAD, ERR_CORRUPT, "bad_key_file", "The key file is cut off.");
    uint8_t *out = buf_grow(&plain, box.len - SEALED_BOX_OVERHEAD);
    ENSURE(out, ERR_NOMEM, "no_memory", "No memory for the key file.");
    TRY(sealed_box_open(kr->secrets->master, SPAN_LIT(FILE_AAD), buf_span(&box), out));
    return parse_file(kr->secrets, buf_span(&plain));
}

/* K1: the new epoch is on the disk before this returns. The write lock is held. */
static enum err begin_epoch(struct keyring *kr)
{
    struct secrets *s = kr->secrets;
    struct epoch *e = &s->epochs[s->count];

    ENSURE(s->count < EPOCHS_MAX, ERR_LIMIT, "too_many_epochs",
           "The key file holds %d epochs: let old ones be dropped.", EPOCHS_MAX);
    e->no = s->count > 0 ? e[-1].no + 1 : 1;
    e->began_ms = clock_now_ms(kr->clock);
    rng_fill(kr->rng, e->key, SECRET_BYTES);
    s->count++;
    enum err code = write_file(kr);
    if (code != OK) {
        s->count--;
        wipe(e, sizeof *e);
    }
    return code;
}

static enum err open_into(struct keyring *kr, const struct keyring_config *config)
{
    bool found;

    ENSURE(pthread_rwlock_init(&kr->lock, NULL) == 0, ERR_NOMEM, "no_memory", "No lock.");
    kr->path = strdup(config->path);
    kr->secrets = secret_new(sizeof *kr->secrets);
    kr->memo = secret_new(sizeof *kr->memo);
    ENSURE(kr->path && kr->secrets && kr->memo, ERR_NOMEM, "no_memory",
           "No memory for the keyring.");
    memset(kr->secrets, 0, sizeof *kr->secrets);
    memset(kr->memo, 0, sizeof *kr->memo);
    memcpy(kr->secrets->master, config->master, SECRET_BYTES);
    TRY(read_file(kr, &found));
    if (found)
        return OK;
    ENSURE(config->may_create, ERR_CORRUPT, "no_key_file",
           "The key file %s is missing: without it nothing personal can be read. Restore it.",
           config->path);
    rng_fill(kr->rng, kr->secrets->lookup, SECRET_BYTES);
    return begin_epoch(kr);
}

enum err keyring_open(const struct keyring_config *config, struct keyring **ret_keyring)
{
    struct keyring *kr = calloc(1, sizeof *kr);

    ENSURE(kr, ERR_NOMEM, "no_memory", "No memory for the keyring.");
    kr->disk = config->disk;
    kr->clock = config->clock;
    kr->rng = config->rng;
    enum err e = open_into(kr, config);
    if (e != OK) {
        keyring_close(kr);
        return err_trace(e, __FILE__, __LINE__);
    }
    *ret_keyring = kr;
    return OK;
}

void keyring_close(struct keyring *kr)
{
    if (!kr)
        return;
    secret_free(kr->secrets);
    secret_free(kr->memo);
    free(kr->path);
    pthread_rwlock_destroy(&kr->lock);
    free(kr);
}

/* --- Wrapping ---------------------------------------------------------------------------------------------------------- */

/* What a wrapped key belongs to: its box opens nowhere else. */
struct owner {
    uint8_t b[1 + 16];
    size_t len;
};

static struct owner owner_person(struct person_id id)
{
    struct owner o = {.len = 1 + ID_BYTES};
    o.b[0] = 'p';
    memcpy(o.b + 1, id.b, ID_BYTES);
    return o;
}

static struct owner owner_scope(int64_t scope, int64_t subject_no)
{
    struct owner o = {.len = 1 + 16};
    o.b[0] = 's';
    put_u64be(o.b + 1, (uint64_t)scope);
    put_u64be(o.b + 9, (uint64_t)subject_no);
    return o;
}

static enum err current_epoch(struct keyring *kr, struct epoch *ret_epoch)
{
    enum err e = OK;
    int64_t now = clock_now_ms(kr->clock);

    pthread_rwlock_rdlock(&kr->lock);
    *ret_epoch = kr->secrets->epochs[kr->secrets->count - 1];
    pthread_rwlock_unlock(&kr->lock);
    if (now - ret_epoch->began_ms < EPOCH_MS)
        return OK;
    pthread_rwlock_wrlock(&kr->lock);
    *ret_epoch = kr->secrets->epochs[kr->secrets->count - 1];
    if (now - ret_epoch->began_ms >= EPOCH_MS) {
        e = begin_epoch(kr);
        if (e == OK)
            *ret_epoch = kr->secrets->epochs[kr->secrets->count - 1];
    }
    pthread_rwlock_unlock(&kr->lock);
    return e;
}

static void epoch_wipe(struct epoch *e)
{
    wipe(e, sizeof *e);
}

static enum err wrap(struct keyring *kr, const struct owner *owner, const struct secret32 *key,
                     struct wrapped_key *ret_wrapped)
{
    AUTO(epoch_wipe) struct epoch e;

    TRY(current_epoch(kr, &e));
    ret_wrapped->epoch_no = e.no;
    sealed_box_seal(e.key, kr->rng, span_of(owner->b, owner->len), SPAN_ARRAY(key->b),
                    ret_wrapped->box);
    return OK;
}

static bool epoch_key(struct keyring *kr, int64_t epoch_no, struct secret32 *ret_key)
{
    bool found = false;

    pthread_rwlock_rdlock(&kr->lock);
    for (size_t i = kr->secrets->count; i-- > 0 && !found;) {
        if (kr->secrets->epochs[i].no != epoch_no)
            continue;
        memcpy(ret_key->b, kr->secrets->epochs[i].key, SECRET_BYTES);
        found = true;
    }
    pthread_rwlock_unlock(&kr->lock);
    return found;
}

static enum err unwrap(struct keyring *kr, const struct owner *owner,
                       const struct wrapped_key *wrapped, struct secret32 *ret_key)
{
    AUTO(secret32_wipe) struct secret32 epoch;

    ENSURE(epoch_key(kr, wrapped->epoch_no, &epoch), ERR_CORRUPT, "epoch_unknown",
           "The key file has no epoch %lld: it is older than the database, or that epoch is over.",
           (long long)wrapped->epoch_no);
    if (sealed_box_open(epoch.b, span_of(owner->b, owner->len), SPAN_ARRAY(wrapped->box),
                        ret_key->b) != OK)
        FAIL(ERR_CORRUPT, "bad_wrapped_key", "A wrapped key was altered or moved.");
    return OK;
}

/* --- What commands remember ---------------------------------------------------------------------------------------------- */

static struct memo_slot *memo_slot(struct store_tx *tx, struct keyring *kr, int64_t scope,
                                   int64_t subject_no)
{
    struct memo *m = kr->memo;

    if (m->undone != store_undone(tx)) {
        wipe(m->slots, sizeof m->slots);
        m->undone = store_undone(tx);
    }
    return &m->slots[((uint64_t)subject_no * 5 + (uint64_t)scope) % MEMO_SLOTS];
}

/* person is set where scope is 0. */
static bool memo_get(struct store_tx *tx, struct keyring *kr, int64_t scope, int64_t subject_no,
                     struct person_id *person, struct secret32 *ret_key)
{
    if (!store_writes(tx))
        return false;
    const struct memo_slot *s = memo_slot(tx, kr, scope, subject_no);
    if (!s->full || s->scope != scope || s->subject_no != subject_no)
        return false;
    memcpy(ret_key->b, s->key, SECRET_BYTES);
    if (person)
        *person = s->person;
    return true;
}

static void memo_put(struct store_tx *tx, struct keyring *kr, int64_t scope, int64_t subject_no,
                     const struct person_id *person, const struct secret32 *key)
{
    if (!store_writes(tx))
        return;
    struct memo_slot *s = memo_slot(tx, kr, scope, subject_no);
    s->scope = scope;
    s->subject_no = subject_no;
    s->person = person ? *person : (struct person_id){{0}};
    memcpy(s->key, key->b, SECRET_BYTES);
    s->full = true;
}

static void memo_forget_person(struct store_tx *tx, struct keyring *kr, int64_t person_no)
{
    struct memo_slot *s = memo_slot(tx, kr, 0, person_no);

    if (s->scope == 0 && s->subject_no == person_no)
        wipe(s, sizeof *s);
}

/* --- Persons ----------------------------------------------------------------------------------------------------------- */

enum err keyring_person_create(struct store_tx *tx, struct keyring *kr, int64_t *ret_person_no)
{
    AUTO(secret32_wipe) struct secret32 key;
    struct person_id id = person_id_make(store_clock(tx), store_rng(tx));
    struct owner owner = owner_person(id);
    struct wrapped_key wrapped;

    rng_fill(kr->rng, key.b, sizeof key.b);
    TRY(wrap(kr, &owner, &key, &wrapped));
    return store_person_insert(tx, id, &wrapped, ret_person_no);
}

static enum err person_key(struct store_tx *tx, struct keyring *kr, int64_t person_no,
                           struct person_id *ret_id, struct secret32 *ret_key)
{
    struct person_key_row row;

    if (memo_get(tx, kr, 0, person_no, ret_id, ret_key))
        return OK;
    TRY(store_person_key(tx, person_no, &row));
    struct owner owner = owner_person(row.id);
    TRY(unwrap(kr, &owner, &row.key, ret_key));
    memo_put(tx, kr, 0, person_no, &row.id, ret_key);
    *ret_id = row.id;
    return OK;
}

enum err keyring_person_key(struct store_tx *tx, struct keyring *kr, int64_t person_no,
                            struct secret32 *ret_key)
{
    struct person_id id;
    return person_key(tx, kr, person_no, &id, ret_key);
}

enum err keyring_person_erase(struct store_tx *tx, struct keyring *kr, int64_t person_no)
{
    struct person_key_row row;

    memo_forget_person(tx, kr, person_no); /* K2 */
    enum err e = store_person_key(tx, person_no, &row);
    if (e == ERR_EXPIRED)
        return OK;
    TRY(e);
    return store_person_erase(tx, person_no, store_now_ms(tx));
}

/* Key and associated data of one column of one person. */
static void column_key(const struct secret32 *person, struct person_id id, const char *column,
                       struct buf *aad, struct secret32 *ret_key)
{
    buf_put_text(aad, "column/");
    buf_put_text(aad, column);
    hkdf_sha256_expand(person->b, buf_span(aad), ret_key->b, sizeof ret_key->b);
    buf_put(aad, id.b, ID_BYTES);
    INVARIANT(buf_check(aad) == OK, "a column name is short");
}

enum { COLUMN_AAD_MAX = 128 };

enum err keyring_seal_column(struct store_tx *tx, struct keyring *kr, int64_t person_no,
                             const char *column, struct span plain, struct buf *out)
{
    AUTO(secret32_wipe) struct secret32 person, key;
    AUTO(buf_done) struct buf aad;
    struct person_id id;

    buf_init(&aad, COLUMN_AAD_MAX);
    TRY(person_key(tx, kr, person_no, &id, &person));
    column_key(&person, id, column, &aad, &key);
    uint8_t *box = buf_grow(out, plain.len + KEYRING_SEAL_OVERHEAD);
    if (!box)
        return buf_check(out);
    sealed_box_seal(key.b, kr->rng, buf_span(&aad), plain, box);
    return OK;
}

enum err keyring_open_column(struct store_tx *tx, struct keyring *kr, int64_t person_no,
                             const char *column, struct span sealed, struct buf *out)
{
    AUTO(secret32_wipe) struct secret32 person, key;
    AUTO(buf_done) struct buf aad;
    struct person_id id;

    buf_init(&aad, COLUMN_AAD_MAX);
    TRY(person_key(tx, kr, person_no, &id, &person));
    column_key(&person, id, column, &aad, &key);
    ENSURE(sealed.len >= KEYRING_SEAL_OVERHEAD, ERR_CORRUPT, "bad_column",
           "Sealed column %s is cut off.", column);
    size_t before = out->len, len = sealed.len - KEYRING_SEAL_OVERHEAD;
    uint8_t empty, *plain = len > 0 ? buf_grow(out, len) : &empty;
    if (!plain)
        return buf_check(out);
    if (sealed_box_open(key.b, buf_span(&aad), sealed, plain) != OK) {
        out->len = before;
        FAIL(ERR_CORRUPT, "bad_column", "Sealed column %s was altered or moved.", column);
    }
    return OK;
}

void keyring_lookup_hash(struct keyring *kr, const char *domain, struct span text,
                         uint8_t ret_hash[SHA256_BYTES])
{
    struct span parts[] = {span_text(domain), SPAN_LIT("\0"), text};
    hmac_sha256_parts(SPAN_ARRAY(kr->secrets->lookup), parts, COUNT_OF(parts), ret_hash);
}

/* --- Scopes ------------------------------------------------------------------------------------------------------------ */

enum err keyring_scope_key(struct store_tx *tx, struct keyring *kr, enum keyring_scope scope,
                           int64_t subject_no, struct secret32 *ret_key)
{
    struct wrapped_key wrapped;
    struct owner owner = owner_scope(scope, subject_no);
    bool found;

    TRY(store_scope_key(tx, scope, subject_no, &wrapped, &found));
    ENSURE(found, ERR_NOT_FOUND, "no_scope_key", "There is no key of scope %d for %lld.",
           (int)scope, (long long)subject_no);
    return unwrap(kr, &owner, &wrapped, ret_key);
}

enum err keyring_scope_key_make(struct store_tx *tx, struct keyring *kr, enum keyring_scope scope,
                                int64_t subject_no, struct secret32 *ret_key)
{
    struct wrapped_key wrapped;
    struct owner owner = owner_scope(scope, subject_no);
    AUTO(secret32_wipe) struct secret32 key;
    bool found;

    if (memo_get(tx, kr, scope, subject_no, NULL, ret_key))
        return OK;
    TRY(store_scope_key(tx, scope, subject_no, &wrapped, &found));
    if (found) {
        TRY(unwrap(kr, &owner, &wrapped, ret_key));
        memo_put(tx, kr, scope, subject_no, NULL, ret_key);
        return OK;
    }
    rng_fill(kr->rng, key.b, sizeof key.b);
    TRY(wrap(kr, &owner, &key, &wrapped));
    TRY(store_scope_key_insert(tx, scope, subject_no, &wrapped));
    *ret_key = key;
    return OK;
}

/* Civil year of a Unix time (days_from_civil inverted; proleptic Gregorian). */
static int64_t utc_year(int64_t at_ms)
{
    int64_t day_ms = INT64_C(24) * 3600 * 1000;
    int64_t days = (at_ms >= 0 ? at_ms : at_ms - (day_ms - 1)) / day_ms + 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100); /* from 1 March */
    return yoe + era * 400 + (doy >= 306 ? 1 : 0);
}

int64_t keyring_tenant_subject(int64_t organiser_no, int64_t at_ms)
{
    return organiser_no * 10000 + utc_year(at_ms);
}

/* --- Care ---------------------------------------------------------------------------------------------------------------- */

enum { REWRAP_ROWS_MAX = 256 };

static enum err rewrap(struct keyring *kr, const struct owner *owner, struct wrapped_key *key)
{
    AUTO(secret32_wipe) struct secret32 plain;

    TRY(unwrap(kr, owner, key, &plain));
    return wrap(kr, owner, &plain, key);
}

static enum err rewrap_scopes(struct store_tx *tx, struct keyring *kr, int64_t epoch_no, size_t max,
                              size_t *ret_count)
{
    struct scope_key_row rows[REWRAP_ROWS_MAX];

    TRY(store_scope_keys_old(tx, epoch_no, rows, max, ret_count));
    for (size_t i = 0; i < *ret_count; i++) {
        struct owner owner = owner_scope(rows[i].scope, rows[i].subject_no);
        TRY(rewrap(kr, &owner, &rows[i].key));
        TRY(store_scope_rewrap(tx, rows[i].scope, rows[i].subject_no, &rows[i].key));
    }
    return OK;
}

static enum err rewrap_persons(struct store_tx *tx, struct keyring *kr, int64_t epoch_no,
                               size_t max, size_t *ret_count)
{
    struct person_key_row rows[REWRAP_ROWS_MAX];

    TRY(store_person_keys_old(tx, epoch_no, rows, max, ret_count));
    for (size_t i = 0; i < *ret_count; i++) {
        struct owner owner = owner_person(rows[i].id);
        TRY(rewrap(kr, &owner, &rows[i].key));
        TRY(store_person_rewrap(tx, rows[i].person_no, &rows[i].key));
    }
    return OK;
}

enum err keyring_rewrap(struct store_tx *tx, struct keyring *kr, size_t rows_max, bool *ret_left)
{
    AUTO(epoch_wipe) struct epoch e;
    size_t max = rows_max < REWRAP_ROWS_MAX ? rows_max : REWRAP_ROWS_MAX, scopes, persons;

    TRY(current_epoch(kr, &e));
    TRY(rewrap_scopes(tx, kr, e.no, max, &scopes));
    TRY(rewrap_persons(tx, kr, e.no, max, &persons));
    *ret_left = scopes == max || persons == max;
    return OK;
}

enum err keyring_drop_epochs(struct store_tx *snapshot, struct keyring *kr, int64_t keep_ms,
                             size_t *ret_dropped)
{
    int64_t oldest, now = clock_now_ms(kr->clock);
    struct secrets *s = kr->secrets;
    size_t n = 0;
    enum err e = OK;

    TRY(store_epoch_oldest(snapshot, &oldest));
    pthread_rwlock_wrlock(&kr->lock);
    /* An epoch ended when the next one began. The current one always stays. */
    while (n + 1 < s->count && s->epochs[n].no < oldest &&
           now - s->epochs[n + 1].began_ms > keep_ms)
        n++;
    if (n > 0) {
        memmove(s->epochs, s->epochs + n, (s->count - n) * sizeof s->epochs[0]);
        s->count -= n;
        wipe(&s->epochs[s->count], n * sizeof s->epochs[0]);
        e = write_file(kr);
    }
    pthread_rwlock_unlock(&kr->lock);
    TRY(e);
    *ret_dropped = n;
    return OK;
}
