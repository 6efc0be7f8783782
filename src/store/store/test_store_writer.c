/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: group commit, one command's failure alone, notes, lanes, bounds. Disk faults are in store/sqlite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void on_released(void *context, const struct store_note *notes, size_t count)
{
    struct seen *seen = &((struct rig *)context)->seen;

    for (size_t i = 0; i < count && seen->released_count < NOTES_MAX; i++)
        seen->released[seen->released_count++] = notes[i];
}

static void on_committed(void *context, const struct store_note *notes, size_t count)
{
    struct seen *seen = &((struct rig *)context)->seen;

    for (size_t i = 0; i < count && seen->committed_count < NOTES_MAX; i++)
        seen->committed[seen->committed_count++] = notes[i];
}

/* Forget what was released and will not be committed. */
static void on_lost(void *context)
{
    struct seen *seen = &((struct rig *)context)->seen;

    seen->released_count = seen->committed_count;
    seen->lost++;
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_non_null(rig);
    store_testing_open(&rig->t);
    pthread_mutex_init(&rig->mutex, NULL);
    pthread_cond_init(&rig->change, NULL);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    writer_stop(rig->writer);
    store_testing_close(&rig->t);
    free(rig);
    return 0;
}

static void start(struct rig *rig, size_t queue_max, size_t batch_max)
{
    struct writer_config config = {.queue_max = queue_max,
                                   .batch_max = batch_max,
                                   .released = on_released,
                                   .committed = on_committed,
                                   .lost = on_lost,
                                   .context = rig};
    assert_int_equal(writer_start(rig->t.store, &config, &rig->writer), OK);
}

/* Add a job row and two notes, then fail if told to. */
static enum err run_job(struct store_tx *tx, struct command *c)
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

static void job_done(struct command *c, const struct err_info *error)
{
    struct job *j = (struct job *)(void *)c;

    pthread_mutex_lock(&j->rig->mutex);
    j->got = error ? error->code : OK;
    j->done_calls++;
    j->rig->order[j->rig->ended++ % COMMANDS] = j->number;
    pthread_cond_broadcast(&j->rig->change);
    pthread_mutex_unlock(&j->rig->mutex);
}

static void wait_ended(struct rig *rig, int count)
{
    pthread_mutex_lock(&rig->mutex);
    while (rig->ended < count)
        pthread_cond_wait(&rig->change, &rig->mutex);
    pthread_mutex_unlock(&rig->mutex);
}

/* A command that holds the writer until its gate opens, so that what is submitted meanwhile waits. */
static enum err run_gate(struct store_tx *tx, struct command *c)
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

static void submit_gate_in(struct rig *rig, struct job *gate, int number, bool added,
                           enum writer_lane lane)
{
    *gate = (struct job){.command = {.run = run_gate, .done = job_done, .lane = lane},
                         .rig = rig,
                         .number = number,
                         .added = added,
                         .gate = ++rig->gates};
    assert_int_equal(writer_submit(rig->writer, &gate->command), OK);
}

static void submit_gate(struct rig *rig, struct job *gate, int number, bool added)
{
    submit_gate_in(rig, gate, number, added, LANE_BACK);
}

static void wait_at_gate(struct rig *rig, const struct job *gate)
{
    pthread_mutex_lock(&rig->mutex);
    while (rig->gates_reached < gate->gate)
        pthread_cond_wait(&rig->change, &rig->mutex);
    pthread_mutex_unlock(&rig->mutex);
}

static void close_gate(struct rig *rig, struct job *gate)
{
    submit_gate(rig, gate, -1, false);
    wait_at_gate(rig, gate);
}

static void open_gate(struct rig *rig)
{
    pthread_mutex_lock(&rig->mutex);
    rig->gates_open++;
    pthread_cond_broadcast(&rig->change);
    pthread_mutex_unlock(&rig->mutex);
}

static struct job new_job(struct rig *rig, int number, enum writer_lane lane)
{
    return (struct job){
        .command = {.run = run_job, .done = job_done, .lane = lane}, .rig = rig, .number = number};
}

static void waiting_commands_share_a_commit(void **state)
{
    static struct job jobs[COMMANDS], gate;
    struct rig *rig = *state;
    struct writer_figures f;

    start(rig, 1000, 128);
    close_gate(rig, &gate);
    for (int i = 0; i < COMMANDS; i++) {
        jobs[i] = new_job(rig, i, LANE_SALE);
        assert_int_equal(writer_submit(rig->writer, &jobs[i].command), OK);
    }
    open_gate(rig);
    wait_ended(rig, COMMANDS + 1);
    writer_figures(rig->writer, &f);
    assert_int_equal(f.commands, COMMANDS + 1);
    /* How many depends on the disk: what is taken at once, 16, up to all that fits. */
    assert_in_range(f.batches, 1 + (COMMANDS + 127) / 128, 1 + (COMMANDS + 15) / 16);
    assert_in_range(f.largest_batch, 16, 128);
    assert_int_equal(f.failed, 0);
    assert_int_equal(f.lost, 0);
    for (int i = 0; i < COMMANDS; i++) {
        assert_int_equal(jobs[i].got, OK);
        assert_int_equal(jobs[i].done_calls, 1);
    }
    assert_int_equal(store_testing_number(&rig->t, "SELECT count(*) FROM job"), COMMANDS);
}

static void a_failing_command_leaves_no_trace_and_its_neighbours_stay(void **state)
{
    static struct job jobs[30], gate;
    struct rig *rig = *state;
    struct writer_figures f;

    start(rig, 1000, 64);
    close_gate(rig, &gate);
    for (int i = 0; i < 30; i++) {
        jobs[i] = new_job(rig, i, LANE_SALE);
        jobs[i].fail_with = i % 3 == 1 ? ERR_CONFLICT : OK;
        assert_int_equal(writer_submit(rig->writer, &jobs[i].command), OK);
    }
    open_gate(rig);
    wait_ended(rig, 31);
    writer_figures(rig->writer, &f);
    assert_int_equal(f.repeated, 1);
    assert_int_equal(rig->seen.lost, 1);
    assert_int_equal(f.failed, 10);
    assert_int_equal(store_testing_number(&rig->t, "SELECT count(*) FROM job"), 20);
    assert_int_equal(store_testing_number(&rig->t, "SELECT count(*) FROM job WHERE due_ms % 3 = 1"),
                     0);
    for (int i = 0; i < 30; i++)
        assert_int_equal(jobs[i].got, jobs[i].fail_with);
    /* Notes: of released commands only, in the order they ran, the same for both callbacks. */
    assert_int_equal(rig->seen.released_count, 40);
    assert_int_equal(rig->seen.committed_count, 40);
    assert_memory_equal(rig->seen.released, rig->seen.committed, 40 * sizeof(struct store_note));
    for (int i = 0, n = 0; i < 30; i++) {
        if (i % 3 == 1)
            continue;
        assert_int_equal(rig->seen.committed[2 * n].a, i);
        assert_int_equal(rig->seen.committed[2 * n + 1].kind, 99);
        assert_int_equal(rig->seen.committed[2 * n + 1].a, i);
        n++;
    }
}

static void a_command_that_fails_before_it_changed_anything_repeats_nobody(void **state)
{
    static struct job jobs[30], gate;
    struct rig *rig = *state;
    struct writer_figures f;

    start(rig, 1000, 64);
    close_gate(rig, &gate);
    for (int i = 0; i < 30; i++) {
        jobs[i] = new_job(rig, i, LANE_SALE);
        jobs[i].fail_first = i % 3 == 1;
        jobs[i].fail_with = jobs[i].fail_first ? ERR_CONFLICT : OK;
        assert_int_equal(writer_submit(rig->writer, &jobs[i].command), OK);
    }
    open_gate(rig);
    wait_ended(rig, 31);
    writer_figures(rig->writer, &f);
    assert_int_equal(f.failed, 10);
    assert_int_equal(f.repeated, 0);
    assert_int_equal(rig->seen.lost, 0);
    assert_int_equal(store_testing_number(&rig->t, "SELECT count(*) FROM job"), 20);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(jobs[i].got, jobs[i].fail_with);
        assert_int_equal(jobs[i].runs, 1);
        assert_int_equal(jobs[i].done_calls, 1);
    }
}

/* Who fails half way again and again does not make every batch run twice. */
static void after_a_lost_batch_the_next_ones_are_careful(void **state)
{
    static struct job jobs[20];
    struct rig *rig = *state;
    struct writer_figures f;

    start(rig, 1000, 64);
    for (int i = 0; i < 20; i++) {
        jobs[i] = new_job(rig, i, LANE_SALE);
        jobs[i].fail_with = ERR_CONFLICT;
        assert_int_equal(writer_submit(rig->writer, &jobs[i].command), OK);
        wait_ended(rig, i + 1);
        assert_int_equal(jobs[i].got, ERR_CONFLICT);
        assert_int_equal(jobs[i].runs, i == 0 ? 2 : 1);
    }
    writer_figures(rig->writer, &f);
    assert_int_equal(f.repeated, 1);
    assert_int_equal(f.failed, 20);
    assert_int_equal(store_testing_number(&rig->t, "SELECT count(*) FROM job"), 0);
}

static void a_full_lane_refuses_and_the_others_do_not(void **state)
{
    static struct job jobs[12], gate;
    struct rig *rig = *state;

    start(rig, 10, 16);
    close_gate(rig, &gate);
    for (int i = 0; i < 10; i++) {
        jobs[i] = new_job(rig, i, LANE_SALE);
        assert_int_equal(writer_submit(rig->writer, &jobs[i].command), OK);
    }
    jobs[10] = new_job(rig, 10, LANE_SALE);
    assert_int_equal(writer_submit(rig->writer, &jobs[10].command), ERR_BUSY);
    assert_string_equal(err_last()->slug, "queue_full");
    jobs[11] = new_job(rig, 11, LANE_DOOR);
    assert_int_equal(writer_submit(rig->writer, &jobs[11].command), OK);
    open_gate(rig);
    wait_ended(rig, 12);
    assert_int_equal(jobs[10].done_calls, 0);
    assert_int_equal(writer_submit(rig->writer, &jobs[10].command), OK);
    wait_ended(rig, 13);
    assert_int_equal(jobs[10].got, OK);
}

static void the_door_goes_first_and_starves_nobody(void **state)
{
    static struct job jobs[90], gate;
    struct rig *rig = *state;
    int door = 0, sale = 0, back = 0;

    start(rig, 100, 16);
    close_gate(rig, &gate);
    for (int i = 0; i < 90; i++) { /* 0..29 back, 30..59 sale, 60..89 door: the worst order */
        jobs[i] = new_job(rig, i, i < 30 ? LANE_BACK : i < 60 ? LANE_SALE : LANE_DOOR);
        assert_int_equal(writer_submit(rig->writer, &jobs[i].command), OK);
    }
    open_gate(rig);
    wait_ended(rig, 91);
    assert_int_equal(rig->order[1], 60);
    for (int i = 1; i <= 16; i++) { /* the first batch of 16 */
        door += rig->order[i] >= 60;
        sale += rig->order[i] >= 30 && rig->order[i] < 60;
        back += rig->order[i] < 30;
    }
    assert_int_equal(door, 12);
    assert_int_equal(sale, 3);
    assert_int_equal(back, 1);
    for (int lane = 0; lane < 3; lane++) /* within a lane: first come, first served */
        for (int i = 1, last = -1; i <= 90; i++) {
            if (rig->order[i] / 30 != lane)
                continue;
            assert_true(rig->order[i] > last);
            last = rig->order[i];
        }
}

struct counting {
    struct rig *rig;
    int from, failures;
};

static enum err call_one(struct store_tx *tx, void *context)
{
    struct job_id id = {{7}};
    uint8_t subject[ID_BYTES] = {1};

    put_u32be(id.b + 4, (uint32_t) * (int *)context);
    return store_job_add(tx, id, "call", subject, 1);
}

static void *call_many(void *context)
{
    struct counting *c = context;

    for (int i = c->from; i < c->from + 50; i++)
        c->failures += writer_call(c->rig->writer, LANE_SALE, call_one, &i) != OK;
    return NULL;
}

static void many_threads_call_and_each_gets_its_own_outcome(void **state)
{
    struct rig *rig = *state;
    pthread_t threads[16];
    struct counting counts[16];
    int again = 3;

    start(rig, 1000, 64);
    for (int i = 0; i < 16; i++) {
        counts[i] = (struct counting){.rig = rig, .from = i * 50};
        assert_int_equal(pthread_create(&threads[i], NULL, call_many, &counts[i]), 0);
    }
    for (int i = 0; i < 16; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(counts[i].failures, 0);
    }
    assert_int_equal(store_testing_number(&rig->t, "SELECT count(*) FROM job"), 800);
    assert_int_equal(writer_call(rig->writer, LANE_SALE, call_one, &again), ERR_CONFLICT);
    assert_string_equal(err_last()->slug, "constraint");
}

static void stopping_runs_what_waits_and_refuses_what_comes(void **state)
{
    static struct job jobs[20], gate;
    struct rig *rig = *state;

    start(rig, 100, 16);
    close_gate(rig, &gate);
    for (int i = 0; i < 20; i++) {
        jobs[i] = new_job(rig, i, LANE_SALE);
        assert_int_equal(writer_submit(rig->writer, &jobs[i].command), OK);
    }
    open_gate(rig);
    writer_stop(rig->writer);
    rig->writer = NULL;
    assert_int_equal(rig->ended, 21);
    assert_int_equal(store_testing_number(&rig->t, "SELECT count(*) FROM job"), 20);
}

/* ---- a disk that syncs when it is told to ---------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t change;
    int begun, allowed; /* syncs */
} disk = {.mutex = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static void sync_when_allowed(struct store_conn *c)
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

static void allow_syncs(int count)
{
    pthread_mutex_lock(&disk.mutex);
    disk.allowed += count;
    pthread_cond_broadcast(&disk.change);
    pthread_mutex_unlock(&disk.mutex);
}

static void forbid_syncs(void)
{
    pthread_mutex_lock(&disk.mutex);
    disk.allowed = 0;
    pthread_mutex_unlock(&disk.mutex);
}

static void wait_sync_begun(int count)
{
    pthread_mutex_lock(&disk.mutex);
    while (disk.begun < count)
        pthread_cond_wait(&disk.change, &disk.mutex);
    pthread_mutex_unlock(&disk.mutex);
}

static void start_on_slow_disk(struct rig *rig)
{
    static struct store_driver slow;

    slow = *store_sqlite();
    slow.sync = sync_when_allowed;
    disk.begun = disk.allowed = 0;
    rig->t.driver = &slow;
    store_testing_reopen(&rig->t);
    start(rig, 100, 64);
}

static int ended_so_far(struct rig *rig)
{
    pthread_mutex_lock(&rig->mutex);
    int ended = rig->ended;
    pthread_mutex_unlock(&rig->mutex);
    return ended;
}

static void submit_job(struct rig *rig, struct job *j, int number)
{
    *j = new_job(rig, number, LANE_SALE);
    assert_int_equal(writer_submit(rig->writer, &j->command), OK);
}

enum { CROWD = 20 }; /* waiting commands that make it worth to leave the sync to its own thread */

struct flight {
    struct job first, second, crowd[CROWD];
};

/* The first command, which adds row 1, is being synced. The second stands at its gate, and the crowd behind it. */
static void start_flight(struct rig *rig, struct flight *f)
{
    start_on_slow_disk(rig);
    submit_gate(rig, &f->first, 1, true);
    wait_at_gate(rig, &f->first);
    submit_gate(rig, &f->second, 2, true);
    for (int i = 0; i < CROWD; i++) {
        f->crowd[i] = new_job(rig, 10 + i, LANE_BACK);
        assert_int_equal(writer_submit(rig->writer, &f->crowd[i].command), OK);
    }
    open_gate(rig);
    wait_sync_begun(1);
}

static void the_next_batch_runs_while_one_is_synced_and_nothing_is_told_before(void **state)
{
    static struct flight f;
    struct rig *rig = *state;

    start_flight(rig, &f);
    wait_at_gate(rig, &f.second); /* the writer did not wait for the disk */
    assert_int_equal(ended_so_far(rig), 0);
    assert_int_equal(rig->seen.committed_count, 0);
    allow_syncs(1);
    open_gate(rig);
    wait_ended(rig, 1); /* whether the second batch has come to its end or not */
    assert_int_equal(rig->order[0], 1);
    assert_int_equal(f.first.got, OK);
    wait_sync_begun(2);
    assert_int_equal(ended_so_far(rig), 1);
    allow_syncs(3); /* the crowd has a batch or two */
    wait_ended(rig, CROWD + 2);
    assert_int_equal(f.second.got, OK);
    assert_int_equal(store_testing_number(&rig->t, "SELECT count(*) FROM job"), CROWD + 2);
}

static void a_batch_lost_meanwhile_takes_nothing_with_it(void **state)
{
    static struct flight f;
    struct rig *rig = *state;

    start_flight(rig, &f);
    wait_at_gate(rig, &f.second);
    f.second.fail_with = ERR_CONFLICT;
    open_gate(rig);
    allow_syncs(4);
    wait_ended(rig, CROWD + 2);
    assert_int_equal(f.first.got, OK);
    assert_int_equal(f.first.runs, 1);
    assert_int_equal(f.second.got, ERR_CONFLICT);
    assert_int_equal(f.second.runs, 2);
    assert_int_equal(store_testing_number(&rig->t, "SELECT count(*) FROM job"), CROWD + 1);
}

static void a_refusal_that_may_be_told_at_once_waits_for_nothing(void **state)
{
    static struct job first, gate, refused, patient, failing;
    struct rig *rig = *state;

    start_on_slow_disk(rig);
    close_gate(rig, &gate);
    submit_job(rig, &first, 1);
    refused = new_job(rig, 2, LANE_SALE);
    refused.fail_with = ERR_CONFLICT;
    refused.fail_first = refused.command.refused_at_once = true;
    assert_int_equal(writer_submit(rig->writer, &refused.command), OK);
    patient = new_job(rig, 3, LANE_SALE);
    patient.fail_with = ERR_CONFLICT;
    patient.fail_first = true;
    assert_int_equal(writer_submit(rig->writer, &patient.command), OK);
    failing = new_job(rig, 4, LANE_SALE);
    failing.fail_with = ERR_LIMIT; /* half way: all run again */
    assert_int_equal(writer_submit(rig->writer, &failing.command), OK);
    open_gate(rig);
    allow_syncs(1); /* the gate's */
    wait_sync_begun(2);
    wait_ended(rig, 2);
    assert_int_equal(rig->order[0], -1);
    assert_int_equal(rig->order[1], 2);
    assert_int_equal(refused.got, ERR_CONFLICT);
    assert_int_equal(ended_so_far(rig), 2);
    allow_syncs(1);
    wait_ended(rig, 5);
    assert_int_equal(refused.runs, 1);
    assert_int_equal(refused.done_calls, 1);
    assert_int_equal(patient.runs, 2);
    assert_int_equal(patient.got, ERR_CONFLICT);
    assert_int_equal(failing.got, ERR_LIMIT);
    assert_int_equal(first.got, OK);
}

static void a_lone_batch_is_synced_before_the_next_runs(void **state)
{
    static struct job first, second;
    struct rig *rig = *state;

    start_on_slow_disk(rig);
    submit_job(rig, &first, 1);
    wait_sync_begun(1);
    submit_job(rig, &second, 2);
    assert_int_equal(ended_so_far(rig), 0);
    allow_syncs(2);
    wait_ended(rig, 2);
    assert_int_equal(rig->order[0], 1);
    assert_int_equal(rig->order[1], 2);
}

enum { SALES = 60, BESIDE_A_SCAN = 16, BATCHES_AFTER_A_SCAN = 256 };

/* Sales wait behind a gate, enough of them that its sync is left to the other thread. */
static void submit_sales_behind_a_gate(struct rig *rig, struct job *first, struct job *sales,
                                       int count)
{
    submit_gate(rig, first, 1, false);
    wait_at_gate(rig, first);
    for (int i = 0; i < count; i++)
        submit_job(rig, &sales[i], 1000 + rig->ended + i);
}

/* Without a scan all of them are one batch: its last command runs before anything is durable. */
static void expect_one_batch_of_sales(struct rig *rig)
{
    static struct job first, sales[SALES];
    int ended = ended_so_far(rig);

    submit_sales_behind_a_gate(rig, &first, sales, SALES - 1);
    submit_gate_in(rig, &sales[SALES - 1], 2, false, LANE_SALE);
    open_gate(rig);
    wait_at_gate(rig, &sales[SALES - 1]);
    assert_int_equal(ended_so_far(rig), ended);
    open_gate(rig);
    allow_syncs(2);
    wait_ended(rig, ended + 1 + SALES);
}

static void sales_that_wait_for_the_disk_together_are_one_batch(void **state)
{
    struct rig *rig = *state;
    struct writer_figures f;

    start_on_slow_disk(rig);
    expect_one_batch_of_sales(rig);
    writer_figures(rig->writer, &f);
    assert_int_equal(f.largest_batch, SALES);
}

static enum err do_nothing(struct store_tx *tx, void *context)
{
    (void)tx;
    (void)context;
    return OK;
}

static void while_a_door_scans_batches_of_sales_are_short(void **state)
{
    static struct job first, sales[SALES], scans[2];
    struct rig *rig = *state;
    struct writer_figures f;

    start_on_slow_disk(rig);
    submit_sales_behind_a_gate(rig, &first, sales, SALES);
    submit_gate_in(rig, &scans[0], 2, false, LANE_DOOR);
    open_gate(rig);
    wait_at_gate(rig, &scans[0]);
    open_gate(rig);
    submit_gate_in(rig, &scans[1], 3, false, LANE_DOOR);
    wait_at_gate(rig,
                 &scans[1]); /* into the same batch, whether the sales' part of it is full or not */
    assert_int_equal(ended_so_far(rig), 0);
    open_gate(rig);
    allow_syncs(SALES);
    wait_ended(rig, 1 + SALES + 2);
    writer_figures(rig->writer, &f);
    assert_in_range(f.largest_batch, 2, BESIDE_A_SCAN + 2);
    for (int i = 0; i < BATCHES_AFTER_A_SCAN; i++) {
        allow_syncs(1);
        assert_int_equal(writer_call(rig->writer, LANE_SALE, do_nothing, NULL), OK);
    }
    forbid_syncs();
    expect_one_batch_of_sales(rig);
}

struct look {
    struct store_waiter waiter; /* first */
    struct rig *rig;
    bool told, may_see; /* under disk.mutex */
    bool saw_early;     /* a snapshot began although nothing was allowed yet */
};

static void look_told(struct store_waiter *w)
{
    struct look *l = (struct look *)(void *)w;

    pthread_mutex_lock(&disk.mutex);
    l->told = true;
    pthread_cond_broadcast(&disk.change);
    pthread_mutex_unlock(&disk.mutex);
}

static void *look_begin(void *context)
{
    struct look *l = context;
    struct store_reader *reader;
    struct store_tx *tx;

    if (store_reader_open(l->rig->t.store, &reader) != OK)
        abort();
    if (store_read_begin(reader, &tx) != OK)
        abort();
    pthread_mutex_lock(&disk.mutex);
    l->saw_early = !l->may_see;
    pthread_mutex_unlock(&disk.mutex);
    store_read_end(tx);
    store_reader_close(reader);
    return NULL;
}

static void a_snapshot_of_what_is_not_durable_waits_or_knows_it(void **state)
{
    static struct job first;
    struct rig *rig = *state;
    struct look look = {.rig = rig, .waiter.durable = look_told};
    struct store_tx *tx;
    pthread_t thread;
    int64_t number = 0;

    start_on_slow_disk(rig);
    submit_job(rig, &first, 1);
    wait_sync_begun(1);
    assert_int_equal(store_read_early(rig->t.reader, &tx), OK);
    look.waiter.commit = store_seen(tx);
    assert_int_equal(store_query_int(tx, SQL_job_next_due, NULL, 0, &number), OK);
    store_read_end(tx);
    assert_int_equal(number, 1);
    assert_false(store_is_durable(rig->t.store, look.waiter.commit));
    assert_true(store_await(rig->t.store, &look.waiter));
    assert_int_equal(pthread_create(&thread, NULL, look_begin, &look), 0);
    pthread_mutex_lock(&disk.mutex);
    assert_false(look.told);
    look.may_see = true;
    pthread_mutex_unlock(&disk.mutex);
    allow_syncs(1);
    pthread_join(thread, NULL);
    wait_ended(rig, 1);
    assert_false(look.saw_early);
    assert_true(look.told);
    assert_true(store_is_durable(rig->t.store, look.waiter.commit));
    assert_false(store_await(rig->t.store, &look.waiter));
}

static enum err write_much(struct store_tx *tx, void *context)
{
    static uint8_t page[1 << 20];
    uint8_t key[STORE_HASH_BYTES] = {0};
    struct store_answer answer = {.status = 200, .expires_ms = INT64_MAX};

    put_u32be(key, (uint32_t) * (int *)context);
    memset(page, *(int *)context, sizeof page);
    return store_idempotency_put(tx, key, &answer, SPAN_ARRAY(page));
}

static void the_log_stays_bounded_though_a_reader_holds_it_for_a_while(void **state)
{
    struct rig *rig = *state;
    struct writer_figures f;
    struct store_tx *tx;

    start(rig, 100, 16);
    assert_int_equal(store_read_begin(rig->t.reader, &tx), OK);
    for (int i = 0; i < 200; i++) /* the snapshot keeps the log from beginning anew */
        assert_int_equal(writer_call(rig->writer, LANE_SALE, write_much, &i), OK);
    /* While it is held: afterwards the log may begin anew at any moment. The last batch may not be counted yet. */
    writer_figures(rig->writer, &f);
    assert_true(f.wal_bytes > 128 << 20);
    store_read_end(tx);
    for (int i = 200; i < 400; i++)
        assert_int_equal(writer_call(rig->writer, LANE_SALE, write_much, &i), OK);
    writer_figures(rig->writer, &f);
    assert_true(f.wal_bytes <= 200 << 20); /* 128, 64 more for the copying to keep up, a batch */
    assert_true(f.checkpoints > 0);
}

static void a_writer_needs_sane_bounds(void **state)
{
    struct rig *rig = *state;
    struct writer_config config = {.queue_max = 0, .batch_max = 16};

    assert_int_equal(writer_start(rig->t.store, &config, &rig->writer), ERR_INVALID);
    config = (struct writer_config){.queue_max = 10, .batch_max = 2};
    assert_int_equal(writer_start(rig->t.store, &config, &rig->writer), ERR_INVALID);
    assert_null(rig->writer);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(waiting_commands_share_a_commit),
        CASE(a_failing_command_leaves_no_trace_and_its_neighbours_stay),
        CASE(a_command_that_fails_before_it_changed_anything_repeats_nobody),
        CASE(after_a_lost_batch_the_next_ones_are_careful),
        CASE(a_full_lane_refuses_and_the_others_do_not),
        CASE(the_door_goes_first_and_starves_nobody),
        CASE(many_threads_call_and_each_gets_its_own_outcome),
        CASE(stopping_runs_what_waits_and_refuses_what_comes),
        CASE(the_next_batch_runs_while_one_is_synced_and_nothing_is_told_before),
        CASE(a_batch_lost_meanwhile_takes_nothing_with_it),
        CASE(a_refusal_that_may_be_told_at_once_waits_for_nothing),
        CASE(a_lone_batch_is_synced_before_the_next_runs),
        CASE(sales_that_wait_for_the_disk_together_are_one_batch),
        CASE(while_a_door_scans_batches_of_sales_are_short),
        CASE(a_snapshot_of_what_is_not_durable_waits_or_knows_it),
        CASE(the_log_stays_bounded_though_a_reader_holds_it_for_a_while),
        CASE(a_writer_needs_sane_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
