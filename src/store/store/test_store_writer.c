/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: group commit, one command's failure alone, notes, bounds. Doors are in test_store_writer_door.c, disk faults in store/sqlite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "store/store/test_writer_rig.h"

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

/* --- a copy of the log that lasts until it is hurried --- */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t change;
    bool hurried, copying;
    _Atomic uint64_t log_bytes;
} copy = {.mutex = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static enum err copy_until_hurried(struct store_conn *c, bool restart)
{
    if (restart) {
        copy.log_bytes = 0;
        return store_sqlite()->checkpoint(c, restart);
    }
    pthread_mutex_lock(&copy.mutex);
    copy.copying = true;
    pthread_cond_broadcast(&copy.change);
    while (!copy.hurried)
        pthread_cond_wait(&copy.change, &copy.mutex);
    pthread_mutex_unlock(&copy.mutex);
    return OK;
}

static void hurry_copy(struct store_conn *c, bool on)
{
    (void)c;
    pthread_mutex_lock(&copy.mutex);
    copy.hurried = on;
    pthread_cond_broadcast(&copy.change);
    pthread_mutex_unlock(&copy.mutex);
}

static uint64_t pretend_log_bytes(struct store_conn *c)
{
    (void)c;
    return copy.log_bytes;
}

/* The copying thread is at work, and goes on until somebody waits for it. */
static void start_while_copying(struct rig *rig, struct job *first)
{
    static struct store_driver slow;

    slow = *store_sqlite();
    slow.checkpoint = copy_until_hurried;
    slow.hurry = hurry_copy;
    slow.log_bytes = pretend_log_bytes;
    copy.hurried = copy.copying = false;
    copy.log_bytes = UINT64_C(100) << 20;
    rig->t.driver = &slow;
    store_testing_reopen(&rig->t);
    start(rig, 100, 64);
    submit_job(rig, first, 1);
    pthread_mutex_lock(&copy.mutex);
    while (!copy.copying)
        pthread_cond_wait(&copy.change, &copy.mutex);
    pthread_mutex_unlock(&copy.mutex);
}

static void a_log_that_has_grown_too_long_hurries_the_copy(void **state)
{
    static struct job first, second, third;
    struct rig *rig = *state;

    start_while_copying(rig, &first);
    copy.log_bytes = UINT64_C(200) << 20;
    submit_job(rig, &second, 2);
    wait_ended(rig, 2);
    submit_job(rig, &third, 3); /* runs only when the writer stands still no more */
    wait_ended(rig, 3);
    assert_int_equal(copy.log_bytes, 0);
}

static void a_stop_hurries_the_copy(void **state)
{
    static struct job first;
    struct rig *rig = *state;

    start_while_copying(rig, &first);
    writer_stop(rig->writer);
    rig->writer = NULL;
    assert_int_equal(first.got, OK);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(waiting_commands_share_a_commit),
        CASE(a_failing_command_leaves_no_trace_and_its_neighbours_stay),
        CASE(a_command_that_fails_before_it_changed_anything_repeats_nobody),
        CASE(after_a_lost_batch_the_next_ones_are_careful),
        CASE(a_full_lane_refuses_and_the_others_do_not),
        CASE(many_threads_call_and_each_gets_its_own_outcome),
        CASE(stopping_runs_what_waits_and_refuses_what_comes),
        CASE(the_next_batch_runs_while_one_is_synced_and_nothing_is_told_before),
        CASE(a_batch_lost_meanwhile_takes_nothing_with_it),
        CASE(a_refusal_that_may_be_told_at_once_waits_for_nothing),
        CASE(a_lone_batch_is_synced_before_the_next_runs),
        CASE(a_snapshot_of_what_is_not_durable_waits_or_knows_it),
        CASE(the_log_stays_bounded_though_a_reader_holds_it_for_a_while),
        CASE(a_log_that_has_grown_too_long_hurries_the_copy),
        CASE(a_stop_hurries_the_copy),
        CASE(a_writer_needs_sane_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
