/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/cli/test_clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_EVERY_MS = 50 };

struct test_clock {
    struct clock_shifted clock;
    char path[1024];
    bool stopping; /* atomic */
    pthread_t thread;
};

/* What cannot be read or is no number leaves the clock as it is. */
static void look(struct test_clock *t)
{
    char text[32];
    int64_t offset_ms;
    int fd = open(t->path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;

    if (fd >= 0)
        close(fd);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
        n--;
    if (n > 0 && text_to_i64(span_of(text, (size_t)n), &offset_ms) == OK)
        clock_shifted_advance(&t->clock,
                              offset_ms - __atomic_load_n(&t->clock.offset_ms, __ATOMIC_RELAXED));
}

static void *run(void *context)
{
    struct test_clock *t = context;
    const struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * 1000000L};

    while (!__atomic_load_n(&t->stopping, __ATOMIC_ACQUIRE)) {
        look(t);
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

enum err test_clock_start(const char *path, struct test_clock **ret_clock)
{
    struct test_clock *t = calloc(1, sizeof *t);

    ENSURE(t, ERR_NOMEM, "no_memory", "No memory.");
    (void)snprintf(t->path, sizeof t->path, "%s", path);
    clock_shifted_init(&t->clock);
    look(t);
    if (pthread_create(&t->thread, NULL, run, t) != 0) {
        free(t);
        FAIL(ERR_NOMEM, "no_memory", "The test clock could not be started.");
    }
    *ret_clock = t;
    return OK;
}

const struct clock *test_clock_clock(struct test_clock *t)
{
    return &t->clock.clock;
}

void test_clock_stop(struct test_clock *t)
{
    if (!t)
        return;
    __atomic_store_n(&t->stopping, true, __ATOMIC_RELEASE);
    pthread_join(t->thread, NULL);
    free(t);
}
