/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/credential/checked.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct digest {
    uint8_t b[SHA256_BYTES]; /* zeros: a free place; nobody knows what has this digest */
};

struct checked_tickets {
    pthread_mutex_t mutex;
    size_t sets;
    struct digest *digests; /* CHECKED_WAYS a set */
};

enum err checked_tickets_new(size_t max, struct checked_tickets **ret_checked)
{
    INVARIANT(max >= CHECKED_WAYS && (max & (max - 1)) == 0, "sets of equal size");
    struct checked_tickets *c = calloc(1, sizeof *c);
    struct digest *digests = calloc(max, sizeof *digests);

    if (!c || !digests || pthread_mutex_init(&c->mutex, NULL) != 0) {
        free(c);
        free(digests);
        FAIL(ERR_NOMEM, "no_memory", "There is no memory for checked tickets.");
    }
    c->sets = max / CHECKED_WAYS;
    c->digests = digests;
    *ret_checked = c;
    return OK;
}

void checked_tickets_free(struct checked_tickets *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->mutex);
    free(c->digests);
    free(c);
}

void checked_digest(const uint8_t issuer[ED25519_PUBLIC_BYTES], struct span ticket,
                    uint8_t ret_digest[SHA256_BYTES])
{
    const struct span parts[] = {span_of(issuer, ED25519_PUBLIC_BYTES), ticket};
    sha256_parts(parts, COUNT_OF(parts), ret_digest);
}

static struct digest *set_of(const struct checked_tickets *c, const uint8_t digest[SHA256_BYTES])
{
    return &c->digests[get_u32be(digest) % c->sets * CHECKED_WAYS];
}

bool checked_tickets_has(struct checked_tickets *c, const uint8_t digest[SHA256_BYTES])
{
    const struct digest *set = set_of(c, digest);
    bool found = false;

    pthread_mutex_lock(&c->mutex);
    for (size_t i = 0; i < CHECKED_WAYS && !found; i++)
        found = memcmp(set[i].b, digest, SHA256_BYTES) == 0;
    pthread_mutex_unlock(&c->mutex);
    return found;
}

void checked_tickets_add(struct checked_tickets *c, const uint8_t digest[SHA256_BYTES])
{
    static const struct digest none = {{0}};
    struct digest *set = set_of(c, digest), *place;

    pthread_mutex_lock(&c->mutex);
    place = &set[digest[SHA256_BYTES - 1] % CHECKED_WAYS]; /* as good as random: who has to go */
    for (size_t i = 0; i < CHECKED_WAYS; i++) /* two readers may have found it right at once */
        if (memcmp(set[i].b, none.b, SHA256_BYTES) == 0 ||
            memcmp(set[i].b, digest, SHA256_BYTES) == 0) {
            place = &set[i];
            break;
        }
    memcpy(place->b, digest, SHA256_BYTES);
    pthread_mutex_unlock(&c->mutex);
}
