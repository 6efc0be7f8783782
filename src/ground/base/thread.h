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

#endif
