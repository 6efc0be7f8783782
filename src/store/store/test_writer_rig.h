/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_TEST_WRITER_RIG_H
#define STORE_STORE_TEST_WRITER_RIG_H

/*
 * test_writer_rig - a writer over a fresh database whose commands a test can hold at gates, and whose disk a test can hold in its syncs.
 */
#include <pthread.h>
#include <stdlib.h>

#include "store/sqlite/sqlite.h"
#include "store/store/driver.h"
#include "store/store/store_core.h"
#include "store/store/testing.h"
#include "store/store/writer.h"

enum { COMMANDS = 500, NOTES_MAX = 4096 };

/* What the callbacks of the writer saw, all on its thread. */
struct seen {
    struct store_note released[NOTES_MAX], committed[NOTES_MAX];
    size_t released_count, committed_count;
    int lost;
};

struct rig {
    struct store_testing t;
    struct seen seen;
    struct writer *writer;
    unsigned gather_us; /* for start */
    pthread_mutex_t mutex;
    pthread_cond_t change;
    int gates, gates_reached, gates_open;
    int order[COMMANDS], ended;
};

struct job {
    struct command command; /* first */
    struct rig *rig;
    int number;
    enum err fail_with;
    bool fail_first; /* before anything was changed */
    enum err got;
    int runs;
    int done_calls;
    int gate;   /* which one, from 1 */
    bool added; /* a gate that adds a row like any job */
};

static inline void on_released(void *context, const struct store_note *notes, size_t count)
{
    struct seen *seen = &((struct rig *)context)->seen;

    for (size_t i = 0; i < count && seen->released_count < NOTES_MAX; i++)
        seen->released[seen->released_count++] = notes[i];
}

static inline void on_committed(void *context, const struct store_note *notes, size_t count)
{
    struct seen *seen = &((struct rig *)context)->seen;

    for (size_t i = 0; i < count && seen->committed_count < NOTES_MAX; i++)
        seen->committed[seen->committed_count++] = notes[i];
}

/* Forget what was released and will not be committed. */
static inline void on_lost(void *context)
{
    struct seen *seen = &((struct rig *)context)->seen;

    seen->released_count = seen->committed_count;
    seen->lost++;
}

static inline int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_non_null(rig);
    store_testing_open(&rig->t);
    pthread_mutex_init(&rig->mutex, NULL);
    pthread_cond_init(&rig->change, NULL);
    *state = rig;
    return 0;
}

static inline int tear_down(void **state)
{
    struct rig *rig = *state;

    writer_stop(rig->writer);
    store_testing_close(&rig->t);
    free(rig);
    return 0;
}

static inline void start(struct rig *rig, size_t queue_max, size_t batch_max)
{
    struct writer_config config = {.queue_max = queue_max,
                                   .batch_max = batch_max,
                                   .gather_us = rig->gather_us,
                                   .released = on_released,
                                   .committed = on_committed,
                                   .lost = on_lost,
                                   .context = rig};
    assert_int_equal(writer_start(rig->t.store, &config, &rig->writer), OK);
}

/* Add a job row and two notes, then fail if told to. */
static inline enum err run_job(struct store_tx *tx, struct command *c)
{
    struct job *j = (struct job *)(void *)c;
    struct job_id id = {{0}};
    uint8_t subject[ID_BYTES] = {1};

    j->runs++;
    ENSURE(!j->fail_first, j->fail_with, "asked_to_fail", "Command %d.", j->number);
    put_u32be(id.b, (uint32_t)j->number);
    TRY(store_job_add(tx, id, "test", subject, j->number));
    store_note(tx, (struct store_note){.kind = 99, .a = j->number});
    ENSURE(j->fail_with == OK, j->fail_with, "asked_to_fail", "Command %d.", j->number);
    return OK;
}

static inline void job_done(struct command *c, const struct err_info *error)
{
    struct job *j = (struct job *)(void *)c;

    pthread_mutex_lock(&j->rig->mutex);
    j->got = error ? error->code : OK;
    j->done_calls++;
    j->rig->order[j->rig->ended++ % COMMANDS] = j->number;
    pthread_cond_broadcast(&j->rig->change);
    pthread_mutex_unlock(&j->rig->mutex);
}

static inline void wait_ended(struct rig *rig, int count)
{
    pthread_mutex_lock(&rig->mutex);
    while (rig->ended < count)
        pthread_cond_wait(&rig->change, &rig->mutex);
    pthread_mutex_unlock(&rig->mutex);
}

/* A command that holds the writer until its gate opens, so that what is submitted meanwhile waits. */
static inline enum err run_gate(struct store_tx *tx, struct command *c)
{
    struct job *gate = (struct job *)(void *)c;
    struct rig *rig = gate->rig;

    pthread_mutex_lock(&rig->mutex);
    rig->gates_reached = gate->gate;
    pthread_cond_broadcast(&rig->change);
    while (rig->gates_open < gate->gate)
        pthread_cond_wait(&rig->change, &rig->mutex);
    pthread_mutex_unlock(&rig->mutex);
    return gate->added ? run_job(tx, c) : OK;
}

static inline void submit_gate_in(struct rig *rig, struct job *gate, int number, bool added,
                                  enum writer_lane lane)
{
    *gate = (struct job){.command = {.run = run_gate, .done = job_done, .lane = lane},
                         .rig = rig,
                         .number = number,
                         .added = added,
                         .gate = ++rig->gates};
    assert_int_equal(writer_submit(rig->writer, &gate->command), OK);
}

static inline void submit_gate(struct rig *rig, struct job *gate, int number, bool added)
{
    submit_gate_in(rig, gate, number, added, LANE_BACK);
}

static inline void wait_at_gate(struct rig *rig, const struct job *gate)
{
    pthread_mutex_lock(&rig->mutex);
    while (rig->gates_reached < gate->gate)
        pthread_cond_wait(&rig->change, &rig->mutex);
    pthread_mutex_unlock(&rig->mutex);
}

static inline void close_gate(struct rig *rig, struct job *gate)
{
    submit_gate(rig, gate, -1, false);
    wait_at_gate(rig, gate);
}

static inline void open_gate(struct rig *rig)
{
    pthread_mutex_lock(&rig->mutex);
    rig->gates_open++;
    pthread_cond_broadcast(&rig->change);
    pthread_mutex_unlock(&rig->mutex);
}

static inline struct job new_job(struct rig *rig, int number, enum writer_lane lane)
{
    return (struct job){
        .command = {.run = run_job, .done = job_done, .lane = lane}, .rig = rig, .number = number};
}

/* --- a disk that syncs when it is allowed to --- */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t change;
    int begun, allowed; /* syncs */
} disk = {.mutex = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static inline void sync_when_allowed(struct store_conn *c)
{
    pthread_mutex_lock(&disk.mutex);
    disk.begun++;
    pthread_cond_broadcast(&disk.change);
    while (disk.allowed == 0)
        pthread_cond_wait(&disk.change, &disk.mutex);
    disk.allowed--;
    pthread_mutex_unlock(&disk.mutex);
    store_sqlite()->sync(c);
}

static inline void allow_syncs(int count)
{
    pthread_mutex_lock(&disk.mutex);
    disk.allowed += count;
    pthread_cond_broadcast(&disk.change);
    pthread_mutex_unlock(&disk.mutex);
}

static inline void forbid_syncs(void)
{
    pthread_mutex_lock(&disk.mutex);
    disk.allowed = 0;
    pthread_mutex_unlock(&disk.mutex);
}

static inline void wait_sync_begun(int count)
{
    pthread_mutex_lock(&disk.mutex);
    while (disk.begun < count)
        pthread_cond_wait(&disk.change, &disk.mutex);
    pthread_mutex_unlock(&disk.mutex);
}

static inline void start_on_slow_disk(struct rig *rig)
{
    static struct store_driver slow;

    slow = *store_sqlite();
    slow.sync = sync_when_allowed;
    disk.begun = disk.allowed = 0;
    rig->t.driver = &slow;
    store_testing_reopen(&rig->t);
    start(rig, 100, 64);
}

static inline int ended_so_far(struct rig *rig)
{
    pthread_mutex_lock(&rig->mutex);
    int ended = rig->ended;
    pthread_mutex_unlock(&rig->mutex);
    return ended;
}

static inline void submit_job(struct rig *rig, struct job *j, int number)
{
    *j = new_job(rig, number, LANE_SALE);
    assert_int_equal(writer_submit(rig->writer, &j->command), OK);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
