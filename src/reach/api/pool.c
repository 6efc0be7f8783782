/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool - a few threads for work that takes longer than a loop may be kept: waiting for the signer, importing plans; and others for
 * hashing passwords. The queue is bounded; what does not fit is told to come back.
 */
#include <pthread.h>
#include <stdlib.h>

#include "reach/api/call.h"

enum { POOL_THREADS_MAX = 16 };

struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct call **queue; /* ring of max entries */
    size_t max, first, count;
    bool stopping;
    bool in_gaps;
    size_t thread_count;
    pthread_t threads[POOL_THREADS_MAX];
};

/*
 * Until something is queued, or it is time to stop. The memory of passwords goes back first, not after a while: a thread in the gaps of
 * the others may not come to it then. Without the lock, for the same reason: loops wait for it.
 */
static void wait_for_work(struct pool *p)
{
    if (p->count == 0 && password_memory_is_kept()) {
        pthread_mutex_unlock(&p->mutex);
        password_memory_drop();
        pthread_mutex_lock(&p->mutex);
    }
    while (p->count == 0 && !p->stopping)
        pthread_cond_wait(&p->wake, &p->mutex);
}

static void *work(void *context)
{
    struct pool *p = context;

    if (p->in_gaps)
        thread_in_gaps();
    pthread_mutex_lock(&p->mutex);
    for (;;) {
        wait_for_work(p);
        if (p->count == 0)
            break;
        struct call *c = p->queue[p->first];
        p->first = (p->first + 1) % p->max;
        p->count--;
        pthread_mutex_unlock(&p->mutex);
        call_run_work(c);
        pthread_mutex_lock(&p->mutex);
    }
    pthread_mutex_unlock(&p->mutex);
    password_memory_drop();
    return NULL;
}

enum err pool_new(const struct pool_wish *wish, struct pool **ret_pool)
{
    struct pool *p = calloc(1, sizeof *p);
    size_t threads = wish->threads < POOL_THREADS_MAX ? wish->threads : POOL_THREADS_MAX;

    ENSURE(p, ERR_NOMEM, "no_memory", "No memory.");
    p->queue = calloc(wish->queue_max, sizeof(struct call *));
    p->max = wish->queue_max;
    p->in_gaps = wish->in_gaps;
    INVARIANT(pthread_mutex_init(&p->mutex, NULL) == 0 && pthread_cond_init(&p->wake, NULL) == 0,
              "a mutex can be made");
    while (p->queue && p->thread_count < threads &&
           thread_start(&p->threads[p->thread_count], wish->name, work, p) == OK)
        p->thread_count++;
    if (p->thread_count < threads) {
        pool_free(p);
        FAIL(ERR_NOMEM, "no_memory", "The work pool could not be started.");
    }
    *ret_pool = p;
    return OK;
}

/* Runs what is queued, then ends. */
void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->mutex);
    p->stopping = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
    for (size_t i = 0; i < p->thread_count; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->mutex);
    free(p->queue);
    free(p);
}

enum err pool_submit(struct pool *p, struct call *c)
{
    bool queued = false;

    pthread_mutex_lock(&p->mutex);
    if (p->count < p->max && !p->stopping) {
        p->queue[(p->first + p->count) % p->max] = c;
        p->count++;
        queued = true;
        pthread_cond_signal(&p->wake);
    }
    pthread_mutex_unlock(&p->mutex);
    ENSURE(queued, ERR_BUSY, "queue_full", "Too much is being worked on; try again in a moment.");
    return OK;
}
