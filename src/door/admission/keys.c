/* SPDX-License-Identifier: Apache-2.0 */
/* keys - the ring of gate and issuer keys, filled from the signer. */
#include "door/admission/inner.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "trust/credential/checked.h"

/* What is known of one event. The organiser's issuer keys stand with each of its events: a ring answers without a second look-up. */
struct ring_event {
    int64_t event_no, organiser_no;
    int64_t asked_ms; /* monotonic, when the signer last gave it */
    int64_t used_ms;  /* monotonic, when it was last wanted; atomic */
    int64_t
        neighbours_ms; /* monotonic, when the organiser's other events were looked at; 0: never */
    struct signer_gate_key gate;
    struct signer_public_key issuers[SIGNER_KEYS_MAX];
    size_t issuer_count;
};

struct admission_keys {
    const struct signer_client *signer;
    const struct clock *clock;
    pthread_rwlock_t lock;
    struct ring_event **events; /* each in guarded memory */
    size_t count;
    struct known_scanner *scanners; /* by the end of their ids, which is random */
    struct checked_tickets *checked;
};

enum err admission_keys_new(const struct signer_client *signer, const struct clock *clock,
                            struct admission_keys **ret_keys)
{
    struct admission_keys *k = calloc(1, sizeof *k);
    struct ring_event **events = calloc(ADMISSION_EVENTS_MAX, sizeof(struct ring_event *));
    struct known_scanner *scanners = calloc(ADMISSION_SCANNERS_MAX, sizeof *scanners);
    struct checked_tickets *checked = NULL;

    if (!k || !events || !scanners || checked_tickets_new(ADMISSION_TICKETS_MAX, &checked) != OK ||
        pthread_rwlock_init(&k->lock, NULL) != 0) {
        checked_tickets_free(checked);
        free(k);
        free(events);
        free(scanners);
        FAIL(ERR_NOMEM, "no_memory", "There is no memory for the keys of the doors.");
    }
    k->signer = signer;
    k->clock = clock;
    k->events = events;
    k->scanners = scanners;
    k->checked = checked;
    *ret_keys = k;
    return OK;
}

void admission_keys_free(struct admission_keys *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->count; i++)
        secret_free(k->events[i]);
    pthread_rwlock_destroy(&k->lock);
    free(k->events);
    free(k->scanners);
    checked_tickets_free(k->checked);
    free(k);
}

static struct known_scanner *scanner_place(struct admission_keys *k, struct device_id id)
{
    return &k->scanners[get_u16be(id.b + ID_BYTES - 2) % ADMISSION_SCANNERS_MAX];
}

void admission_keep_scanner(struct admission_keys *k, const struct known_scanner *scanner)
{
    pthread_rwlock_wrlock(&k->lock);
    *scanner_place(k, scanner->id) = *scanner;
    pthread_rwlock_unlock(&k->lock);
}

bool admission_find_scanner(struct admission_keys *k, struct device_id id,
                            struct known_scanner *ret_scanner)
{
    pthread_rwlock_rdlock(&k->lock);
    const struct known_scanner *place = scanner_place(k, id);
    bool found = place->event_no != 0 && device_id_eq(place->id, id);
    if (found)
        *ret_scanner = *place;
    pthread_rwlock_unlock(&k->lock);
    return found;
}

int64_t admission_known_event(struct admission_keys *k, struct device_id id)
{
    struct known_scanner scanner;
    return admission_find_scanner(k, id, &scanner) ? scanner.event_no : 0;
}

/* Under the lock. */
static struct ring_event *find(const struct admission_keys *k, int64_t event_no)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->events[i]->event_no == event_no)
            return k->events[i];
    return NULL;
}

/* A place for one more, the one that nobody wanted for longest when all are taken. Under the write lock; NULL when memory is refused. */
static struct ring_event *make_room(struct admission_keys *k)
{
    struct ring_event *oldest;

    if (k->count < ADMISSION_EVENTS_MAX) {
        struct ring_event *e = secret_new(sizeof *e);
        if (e)
            k->events[k->count++] = e;
        return e;
    }
    oldest = k->events[0];
    for (size_t i = 1; i < k->count; i++)
        if (k->events[i]->used_ms < oldest->used_ms)
            oldest = k->events[i];
    return oldest;
}

static bool fresh(struct admission_keys *k, int64_t event_no, bool again)
{
    pthread_rwlock_rdlock(&k->lock);
    int64_t now_ms = clock_mono_ms(k->clock);
    struct ring_event *e = find(k, event_no);
    bool is = e && (!again || now_ms - e->asked_ms < ADMISSION_KEYS_AGAIN_MS);
    if (e)
        __atomic_store_n(&e->used_ms, now_ms, __ATOMIC_RELAXED);
    pthread_rwlock_unlock(&k->lock);
    return is;
}

enum err admission_keys_load(struct admission_keys *k, int64_t organiser_no, int64_t event_no,
                             bool again)
{
    if (fresh(k, event_no, again))
        return OK;
    struct ring_event *loaded = secret_new(sizeof *loaded);
    ENSURE(loaded, ERR_NOMEM, "no_memory", "There is no memory for the keys of the event.");
    memset(loaded, 0, sizeof *loaded);
    loaded->event_no = event_no;
    loaded->organiser_no = organiser_no;
    loaded->asked_ms = loaded->used_ms = clock_mono_ms(k->clock);
    enum err e = signer_gate_key(k->signer, (uint32_t)event_no, &loaded->gate);
    if (e == OK)
        e = signer_public_keys(k->signer, (uint32_t)organiser_no, false, loaded->issuers,
                               &loaded->issuer_count);
    if (e == OK) {
        pthread_rwlock_wrlock(&k->lock);
        struct ring_event *place = find(k, event_no);
        if (!place)
            place = make_room(k);
        if (place) {
            if (place->event_no == event_no)
                loaded->neighbours_ms = place->neighbours_ms;
            *place = *loaded;
        }
        pthread_rwlock_unlock(&k->lock);
        if (!place) {
            secret_free(loaded);
            FAIL(ERR_NOMEM, "no_memory", "There is no memory for the keys of the event.");
        }
    }
    secret_free(loaded);
    TRY(e);
    return OK;
}

void admission_keys_changed(struct admission_keys *k, int64_t organiser_no)
{
    pthread_rwlock_wrlock(&k->lock);
    for (size_t i = 0; i < k->count; i++)
        if (k->events[i]->organiser_no == organiser_no)
            k->events[i]->asked_ms = clock_mono_ms(k->clock) - ADMISSION_KEYS_AGAIN_MS;
    pthread_rwlock_unlock(&k->lock);
}

bool admission_neighbours_due(struct admission_keys *k, int64_t event_no)
{
    int64_t now_ms = clock_mono_ms(k->clock);

    pthread_rwlock_wrlock(&k->lock);
    struct ring_event *e = find(k, event_no);
    bool due = e && (!e->neighbours_ms || now_ms - e->neighbours_ms >= ADMISSION_KEYS_AGAIN_MS);
    if (due)
        e->neighbours_ms = now_ms;
    pthread_rwlock_unlock(&k->lock);
    return due;
}

/* This event's gate key, or that of another event of the same organiser, so that its tickets are told apart from forged ones. */
static bool ring_gate_key(void *self, const uint8_t kid[COSE_KID_BYTES], struct secret32 *ret_key)
{
    struct admission_ring *r = self;
    uint32_t wanted = get_u32be(kid);
    bool found = false;

    pthread_rwlock_rdlock(&r->keys->lock);
    for (size_t i = 0; i < r->keys->count && !found; i++) {
        const struct ring_event *e = r->keys->events[i];
        found = e->organiser_no == r->organiser_no && e->gate.kid == wanted;
        if (found)
            *ret_key = e->gate.key;
    }
    pthread_rwlock_unlock(&r->keys->lock);
    r->gate_missed |= !found;
    return found;
}

static bool ring_issuer_key(void *self, const uint8_t kid[COSE_KID_BYTES],
                            uint8_t ret_public_key[ED25519_PUBLIC_BYTES])
{
    struct admission_ring *r = self;
    uint32_t wanted = get_u32be(kid);
    bool found = false;

    pthread_rwlock_rdlock(&r->keys->lock);
    const struct ring_event *e = find(r->keys, r->event_no);
    for (size_t i = 0; e && i < e->issuer_count && !found; i++) {
        found = e->issuers[i].kid == wanted;
        if (found)
            memcpy(ret_public_key, e->issuers[i].public_key, ED25519_PUBLIC_BYTES);
    }
    pthread_rwlock_unlock(&r->keys->lock);
    r->issuer_missed |= !found;
    return found;
}

struct credential_keys admission_ring_keys(struct admission_ring *ring)
{
    return (struct credential_keys){.gate_key = ring_gate_key,
                                    .issuer_key = ring_issuer_key,
                                    .self = ring,
                                    .checked = ring->keys->checked};
}
