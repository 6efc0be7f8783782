/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_THREAD_H
#define GROUND_BASE_THREAD_H

/*
 * thread - starting a thread the way every thread of a program here is started: with a name (top, perf and core dumps show it)
 * and without signals, which are the main thread's.
 */
#include <pthread.h>

#include "ground/base/result.h"

enum { THREAD_NAME_MAX = 15 };

/* ERR_NOMEM "no_thread". The name is copied, as far as it fits. */
RESULT thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *context),
                    void *context);
/*
 * How far the calling thread stands back behind others (1 to 19), or goes before them (-1 to -20, which the system allows only to
 * whom it trusts: LimitNICE of a systemd unit). A wish: nothing depends on it but speed when processors are short.
 */
void thread_nice(int nice);
/*
 * The calling thread is woken for many small pieces of work: a wake does not take the processor from who runs, so that it finds more of
 * them when its turn comes and the processor changes hands less often. It waits for that turn as long as its nice value says. A wish as well.
 */
void thread_in_bursts(void);
/*
 * The calling thread works where a processor has nothing else to do, and every wake of another takes it away at once, also of one that works
 * in bursts. A wish as well.
 */
void thread_in_gaps(void);
/*
 * The calling thread is about to allocate so much over time, in small pieces. Why: the heap of a thread grows by a system call for
 * each page or two, under a lock that page faults of all threads take; this makes it grow once. No memory is taken, only addresses. A
 * wish as well.
 */
void thread_expect_heap(size_t bytes);

#endif
