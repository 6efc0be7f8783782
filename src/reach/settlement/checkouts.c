/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/settlement/checkouts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 16384 };

struct kept {
    struct kept *same;          /* in its bucket */
    struct kept *older, *newer; /* by when they came */
    struct order_id order;
    struct payment_id payment;
    size_t ref_bytes, url_bytes; /* each with the zero behind it */
    char text[];
};

struct checkouts {
    pthread_mutex_t lock;
    int64_t since_ms;
    size_t count, max;
    struct kept *oldest, *newest;
    struct kept *buckets[BUCKETS];
};

enum err checkouts_new(int64_t since_ms, size_t max, struct checkouts **ret)
{
    struct checkouts *c = calloc(1, sizeof *c);

    ENSURE(c, ERR_NOMEM, "no_memory", "No memory.");
    INVARIANT(pthread_mutex_init(&c->lock, NULL) == 0, "a mutex can be made");
    c->since_ms = since_ms;
    c->max = max;
    *ret = c;
    return OK;
}

void checkouts_free(struct checkouts *c)
{
    if (!c)
        return;
    for (struct kept *k = c->oldest, *next; k; k = next) {
        next = k->newer;
        free(k);
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* Where the order's link is, or the NULL that ends its bucket. Ids end in random bytes. */
static struct kept **link_of(struct checkouts *c, struct order_id order)
{
    struct kept **at = &c->buckets[get_u32be(&order.b[ID_BYTES - 4]) % BUCKETS];

    while (*at && !order_id_eq((*at)->order, order))
        at = &(*at)->same;
    return at;
}

static void take_out(struct checkouts *c, struct kept **at)
{
    struct kept *k = *at;

    *at = k->same;
    if (k->older)
        k->older->newer = k->newer;
    else
        c->oldest = k->newer;
    if (k->newer)
        k->newer->older = k->older;
    else
        c->newest = k->older;
    c->count--;
    free(k);
}

static void missed(struct checkouts *c, struct payment_id payment)
{
    int64_t made_ms = id_made_ms(payment.b);

    if (made_ms >= c->since_ms)
        c->since_ms = made_ms + 1;
}

static struct kept *make(struct order_id order, const struct checkout *checkout)
{
    size_t ref = strlen(checkout->session_ref) + 1, url = strlen(checkout->url) + 1;
    struct kept *k = malloc(sizeof *k + ref + url);

    if (!k)
        return NULL;
    *k = (struct kept){
        .order = order, .payment = checkout->payment, .ref_bytes = ref, .url_bytes = url};
    memcpy(k->text, checkout->session_ref, ref);
    memcpy(k->text + ref, checkout->url, url);
    return k;
}

static void put_in(struct checkouts *c, struct kept *k)
{
    struct kept **at = link_of(c, k->order);

    *at = k;
    k->older = c->newest;
    if (c->newest)
        c->newest->newer = k;
    else
        c->oldest = k;
    c->newest = k;
    c->count++;
}

void checkouts_keep(struct checkouts *c, struct order_id order, const struct checkout *checkout)
{
    struct kept *k = make(order, checkout);

    pthread_mutex_lock(&c->lock);
    struct kept **before = link_of(c, order);
    if (*before && !payment_id_eq((*before)->payment, checkout->payment))
        missed(c, (*before)->payment);
    if (*before)
        take_out(c, before);
    if (!k) {
        missed(c, checkout->payment);
    } else {
        put_in(c, k);
        if (c->count > c->max) {
            missed(c, c->oldest->payment);
            take_out(c, link_of(c, c->oldest->order));
        }
    }
    pthread_mutex_unlock(&c->lock);
}

bool checkouts_find(struct checkouts *c, struct order_id order, struct checkout *ret)
{
    pthread_mutex_lock(&c->lock);
    const struct kept *k = *link_of(c, order);
    if (k) {
        ret->payment = k->payment;
        memcpy(ret->session_ref, k->text, k->ref_bytes);
        memcpy(ret->url, k->text + k->ref_bytes, k->url_bytes);
    }
    pthread_mutex_unlock(&c->lock);
    return k != NULL;
}

void checkouts_forget(struct checkouts *c, struct order_id order)
{
    pthread_mutex_lock(&c->lock);
    struct kept **at = link_of(c, order);
    if (*at)
        take_out(c, at);
    pthread_mutex_unlock(&c->lock);
}

bool checkouts_may_miss(struct checkouts *c, struct payment_id payment)
{
    pthread_mutex_lock(&c->lock);
    bool may = id_made_ms(payment.b) < c->since_ms;
    pthread_mutex_unlock(&c->lock);
    return may;
}
