/* SPDX-License-Identifier: Apache-2.0 */
/* The sequencer as a thread: woken by commits, at least once a second, never more often than the interval. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "trust/ledger/sequencer.h"

enum { IDLE_MS = 1000, NICE = 5 /* nobody waits for it */ };

struct sequencer_thread {
    struct sequencer_thread_config config;
    struct store_reader *reader;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool woken, stopping;
    bool idle; /* waits for a wake: only then it needs a signal */
};

/* With the lock held: until stopping, or until woken where that counts, or for so long. */
static void wait_for(struct sequencer_thread *t, int64_t ms, bool wakes)
{
    int64_t end = clock_mono_ms(clock_system()) + ms;
    struct timespec at = {.tv_sec = end / 1000, .tv_nsec = (end % 1000) * 1000000};

    while (!t->stopping && !(wakes && t->woken))
        if (pthread_cond_clockwait(&t->changed, &t->lock, CLOCK_MONOTONIC, &at) != 0)
            return;
}

static enum err drain(struct sequencer_thread *t)
{
    uint64_t grown = SEQUENCER_STEP_MAX;

    while (grown == SEQUENCER_STEP_MAX) {
        TRY(sequencer_step(t->config.sequencer, t->reader, &grown));
        if (grown > 0 && t->config.published)
            t->config.published(t->config.context, sequencer_size(t->config.sequencer));
    }
    return OK;
}

static void *run(void *context)
{
    struct sequencer_thread *t = context;
    struct err_info error;
    bool stopping = false;
    int64_t begun_ms = clock_mono_ms(clock_system());

    thread_nice(NICE);
    while (!stopping) {
        pthread_mutex_lock(&t->lock);
        wait_for(t, begun_ms + t->config.interval_ms - clock_mono_ms(clock_system()), false);
        t->idle = true;
        wait_for(t, IDLE_MS, true);
        t->idle = t->woken = false;
        stopping = t->stopping;
        pthread_mutex_unlock(&t->lock);
        begun_ms = clock_mono_ms(clock_system());
        enum err e = drain(t);
        if (e == OK || e == ERR_BUSY)
            continue;
        err_save(&error);
        t->config.failed(t->config.context, &error);
        return NULL;
    }
    return NULL;
}

enum err sequencer_start(const struct sequencer_thread_config *config,
                         struct sequencer_thread **ret_thread)
{
    struct sequencer_thread *t = calloc(1, sizeof *t);

    ENSURE(t, ERR_NOMEM, "no_memory", "No memory for the sequencer.");
    t->config = *config;
    t->woken = true;
    enum err e = store_reader_open(config->store, &t->reader);
    if (e != OK) {
        free(t);
        return err_trace(e, __FILE__, __LINE__);
    }
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    e = thread_start(&t->thread, "sequencer", run, t);
    if (e != OK) {
        store_reader_close(t->reader);
        free(t);
        return err_trace(e, __FILE__, __LINE__);
    }
    *ret_thread = t;
    return OK;
}

void sequencer_wake(struct sequencer_thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->woken = true;
    if (t->idle)
        pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

void sequencer_stop(struct sequencer_thread *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stopping = true;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    store_reader_close(t->reader);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
}
