/* SPDX-License-Identifier: Apache-2.0 */
/* R1: kill -9 at any moment, a hundred times: what was acknowledged is there, nothing is half there, the lock is free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/store/store_core.h"
#include "store/store/testing.h"
#include "store/store/writer.h"

enum { ROUNDS = 100, THREADS = 8, KILL_AFTER_MAX_US = 12000 };

static const uint8_t mark[ID_BYTES] = {0xAC};

/* Two rows a command: both or none must be found. */
struct work {
    struct writer *writer;
    uint32_t round, thread, number;
    int pipe;
};

static struct job_id work_id(const struct work *w, uint32_t half)
{
    struct job_id id = {{0}};

    put_u32be(id.b, w->round);
    put_u32be(id.b + 4, w->thread);
    put_u32be(id.b + 8, w->number);
    put_u32be(id.b + 12, half);
    return id;
}

static enum err write_both(struct store_tx *tx, void *context)
{
    TRY(store_job_add(tx, work_id(context, 0), "first", mark, 1));
    return store_job_add(tx, work_id(context, 1), "second", mark, 1);
}

static void *work_on(void *context)
{
    struct work *w = context;

    for (;; w->number++) {
        INVARIANT(writer_call(w->writer, LANE_SALE, write_both, w) == OK, "a write succeeds");
        struct job_id id = work_id(w, 0);
        INVARIANT(write(w->pipe, id.b, ID_BYTES) == ID_BYTES, "the parent hears of it");
    }
    return NULL;
}

static _Noreturn void child_main(struct store_testing *t, uint32_t round, int pipe)
{
    struct writer_config config = {.queue_max = 100, .batch_max = 32};
    struct work work[THREADS];
    struct writer *writer;
    pthread_t threads[THREADS];

    store_testing_reopen(t);
    INVARIANT(writer_start(t->store, &config, &writer) == OK, "the writer starts");
    for (uint32_t i = 0; i < THREADS; i++) {
        work[i] = (struct work){writer, round, i, 0, pipe};
        INVARIANT(pthread_create(&threads[i], NULL, work_on, &work[i]) == 0, "threads start");
    }
    for (;;)
        pause();
}

struct acks {
    uint8_t *ids;
    size_t count;
    size_t missing;
};

static void read_acks(int pipe, struct acks *acks, size_t max)
{
    for (; acks->count < max; acks->count++) {
        acks->ids = reallocarray(acks->ids, acks->count + 1, ID_BYTES);
        assert_non_null(acks->ids);
        /* Why whole ids: writes up to PIPE_BUF are atomic. */
        if (read(pipe, acks->ids + acks->count * ID_BYTES, ID_BYTES) != ID_BYTES)
            return;
    }
}

/* Adding an acknowledged job again is a conflict; when it is not, the job was missing. */
static enum err add_again(struct store_tx *tx, void *context)
{
    struct acks *acks = context;

    for (size_t i = 0; i < acks->count; i++) {
        struct job_id id;
        memcpy(id.b, acks->ids + i * ID_BYTES, ID_BYTES);
        acks->missing += store_job_add(tx, id, "again", mark, 1) != ERR_CONFLICT;
    }
    FAIL(ERR_CONFLICT, "undo", "Nothing of this stays.");
}

static size_t one_round(struct store_testing *t, uint32_t round, const struct rng *rng)
{
    struct acks acks = {0};
    int ends[2], status;

    store_testing_suspend(t);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        child_main(t, round, ends[1]);
    }
    close(ends[1]);
    read_acks(ends[0], &acks, 1 + rng_below(rng, 20)); /* it is under way */
    long wait_ns = (long)rng_below(rng, KILL_AFTER_MAX_US) * 1000;
    nanosleep(&(struct timespec){0, wait_ns}, NULL); /* the moment is what is tested */
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    read_acks(ends[0], &acks, SIZE_MAX);
    close(ends[0]);

    store_testing_reopen(t);
    assert_int_equal(store_testing_run(t, add_again, &acks), ERR_CONFLICT);
    assert_string_equal(err_last()->slug, "undo");
    assert_int_equal(acks.missing, 0);
    assert_int_equal(store_testing_number(t,
                                          "SELECT (SELECT count(*) FROM job WHERE kind = 'first')"
                                          " - (SELECT count(*) FROM job WHERE kind = 'second')"),
                     0);
    free(acks.ids);
    return acks.count;
}

static void killed_a_hundred_times_it_keeps_every_acknowledged_command(void **state)
{
    struct store_testing t;
    struct rng_seeded rng;
    size_t acknowledged = 0;

    (void)state;
    rng_seeded_init(&rng, 20261123);
    store_testing_open(&t);
    for (uint32_t round = 0; round < ROUNDS; round++)
        acknowledged += one_round(&t, round, &rng.rng);
    assert_true(acknowledged > ROUNDS);
    assert_true((size_t)store_testing_number(&t, "SELECT count(*) FROM job") >= 2 * acknowledged);
    assert_int_equal(store_testing_number(&t, "SELECT count(*) FROM pragma_integrity_check"
                                              " WHERE integrity_check <> 'ok'"),
                     0);
    print_message("# %zu acknowledged\n", acknowledged);
    store_testing_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_a_hundred_times_it_keeps_every_acknowledged_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
