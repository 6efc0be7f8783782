/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/base/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum err thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *context),
                      void *context)
{
    char copy[THREAD_NAME_MAX + 1];
    sigset_t all, before;

    (void)snprintf(copy, sizeof copy, "%s", name);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int why = pthread_create(ret_thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    ENSURE(why == 0, ERR_NOMEM, "no_thread", "The thread %s cannot be started: %s.", name,
           strerror(why));
    /* Why ignored: a name is for people; the thread runs without it. */
    (void)pthread_setname_np(*ret_thread, copy);
    return OK;
}

void thread_nice(int nice)
{
    /* On Linux it is of the thread alone. Why ignored: see the header. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), nice);
}

static void wish_policy(int policy)
{
    const struct sched_param none = {0};

    /* On Linux 0 is the calling thread. Why ignored: see the header. */
    (void)sched_setscheduler(0, policy, &none);
}

void thread_in_bursts(void)
{
    wish_policy(SCHED_BATCH);
}

void thread_in_gaps(void)
{
    wish_policy(SCHED_IDLE);
}

void thread_expect_heap(size_t bytes)
{
    enum { PIECE = 1 << 20, PIECES_MAX = 64 }; /* pieces that the allocator takes from the heap */
    void *pieces[PIECES_MAX];
    size_t count = bytes / PIECE < PIECES_MAX ? bytes / PIECE : PIECES_MAX;

    for (size_t i = 0; i < count; i++)
        pieces[i] = malloc(PIECE);
    for (size_t i = count; i > 0; i--)
        free(pieces[i - 1]);
}
