/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disk faults: a layer between SQLite and the files fails the N-th operation, for N throughout a run, and watches that nothing is
 * acknowledged before its fsync. Each N runs in a process of its own, since a failed fsync ends it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/sqlite/conn.h"
#include "store/sqlite/sqlite.h"
#include "store/store/internal.h"
#include "store/store/store_core.h"
#include "store/store/testing.h"
#include "store/store/writer.h"

/* ---- the layer ------------------------------------------------------------------------------------------------------- */

enum fault { FAULT_NONE, FAULT_READ, FAULT_WRITE_IO, FAULT_WRITE_FULL, FAULT_SYNC };

struct layer_file {
    sqlite3_file base; /* first */
    bool is_log;
    sqlite3_file *real; /* behind this struct */
};

static struct {
    sqlite3_vfs *real;
    enum fault fault; /* atomics: the copying thread comes by too */
    int countdown;    /* the operation of that kind which fails, 1 the next; below 1 none */
    bool stays;       /* so do all after it */
    int fired;
    int log_dirty;                        /* bytes of the log written and not synced */
    int database_written, database_dirty; /* bytes of all other files, the same */
    int database_dirty_most;
} layer;

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct layer_file *)f)->real;
}

static bool fails(enum fault a, enum fault b)
{
    enum fault now = __atomic_load_n(&layer.fault, __ATOMIC_SEQ_CST);

    if (now == FAULT_NONE || (now != a && now != b))
        return false;
    int left = __atomic_sub_fetch(&layer.countdown, 1, __ATOMIC_SEQ_CST);
    if (left != 0 && !(left < 0 && layer.stays))
        return false;
    __atomic_add_fetch(&layer.fired, 1, __ATOMIC_SEQ_CST);
    return true;
}

static int layer_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int layer_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
    if (fails(FAULT_READ, FAULT_READ))
        return SQLITE_IOERR_READ;
    return real_of(f)->pMethods->xRead(real_of(f), out, n, at);
}

static int layer_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    if (fails(FAULT_WRITE_IO, FAULT_WRITE_FULL))
        return layer.fault == FAULT_WRITE_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    if (((struct layer_file *)f)->is_log) {
        __atomic_add_fetch(&layer.log_dirty, n, __ATOMIC_SEQ_CST);
    } else {
        __atomic_add_fetch(&layer.database_written, n, __ATOMIC_SEQ_CST);
        int dirty = __atomic_add_fetch(&layer.database_dirty, n, __ATOMIC_SEQ_CST);
        if (dirty > layer.database_dirty_most) /* only the copying writes them */
            layer.database_dirty_most = dirty;
    }
    return real_of(f)->pMethods->xWrite(real_of(f), data, n, at);
}

static int layer_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int layer_sync(sqlite3_file *f, int flags)
{
    if (fails(FAULT_SYNC, FAULT_SYNC))
        return SQLITE_IOERR_FSYNC;
    int code = real_of(f)->pMethods->xSync(real_of(f), flags);
    if (code == SQLITE_OK)
        __atomic_store_n(((struct layer_file *)f)->is_log ? &layer.log_dirty
                                                          : &layer.database_dirty,
                         0, __ATOMIC_SEQ_CST);
    return code;
}

static int layer_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int layer_lock(sqlite3_file *f, int kind)
{
    return real_of(f)->pMethods->xLock(real_of(f), kind);
}

static int layer_unlock(sqlite3_file *f, int kind)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), kind);
}

static int layer_reserved(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int layer_control(sqlite3_file *f, int what, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), what, arg);
}

static int layer_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int layer_device(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int layer_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int layer_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void layer_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int layer_shm_unmap(sqlite3_file *f, int remove)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

static int layer_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags,
                      int *out_flags)
{
    static const sqlite3_io_methods methods = {2,
                                               layer_close,
                                               layer_read,
                                               layer_write,
                                               layer_truncate,
                                               layer_sync,
                                               layer_size,
                                               layer_lock,
                                               layer_unlock,
                                               layer_reserved,
                                               layer_control,
                                               layer_sector,
                                               layer_device,
                                               layer_shm_map,
                                               layer_shm_lock,
                                               layer_shm_barrier,
                                               layer_shm_unmap,
                                               NULL,
                                               NULL};
    struct layer_file *file = (struct layer_file *)f;

    (void)vfs;
    file->real = (sqlite3_file *)(void *)(file + 1);
    file->is_log = (flags & SQLITE_OPEN_WAL) != 0;
    int code = layer.real->xOpen(layer.real, name, file->real, flags, out_flags);
    f->pMethods = file->real->pMethods ? &methods : NULL;
    return code;
}

static sqlite3_vfs faults;

static void layer_install(void)
{
    layer.real = sqlite3_vfs_find(NULL);
    faults = *layer.real;
    faults.zName = "faults";
    faults.szOsFile = (int)sizeof(struct layer_file) + layer.real->szOsFile;
    faults.xOpen = layer_open;
    INVARIANT(sqlite3_vfs_register(&faults, 1) == SQLITE_OK, "the layer is the default");
}

static void layer_remove(void)
{
    INVARIANT(sqlite3_vfs_unregister(&faults) == SQLITE_OK &&
                  sqlite3_vfs_register(layer.real, 1) == SQLITE_OK,
              "the layer is gone, and the one below is the default again");
}

static void layer_arm(enum fault fault, int countdown, bool stays)
{
    layer.countdown = countdown;
    layer.stays = stays;
    layer.fired = 0;
    __atomic_store_n(&layer.fault, fault, __ATOMIC_SEQ_CST);
}

/* ---- a run: batches of commands, what was said about each -------------------------------------------------------------- */

enum {
    BATCHES = 6,
    PER_BATCH = 8,
    RUN_COMMANDS = BATCHES * PER_BATCH,
    BODY_BYTES = 3000,
    OLD_ROWS = 200
};
enum said { SAID_NOTHING, SAID_YES, SAID_NO };

/* In memory shared with the parent. */
struct report {
    unsigned char said[RUN_COMMANDS];
    int dirty_acks, lost_calls, wrong_codes, fired;
    int last_error; /* enum err of the last refusal */
};

struct write {
    struct command command; /* first */
    struct report *report;
    int number;
    pthread_mutex_t *mutex;
    pthread_cond_t *change;
    int *ended;
    bool *open;
};

/* Spread over the tree, so that each write meets pages that are not in memory yet. */
static void key_of(int number, uint8_t ret_key[STORE_HASH_BYTES])
{
    memset(ret_key, 0, STORE_HASH_BYTES);
    put_u32be(ret_key, ((uint32_t)number + 1) * UINT32_C(2654435761));
}

static enum err add_answer(struct store_tx *tx, int number)
{
    uint8_t key[STORE_HASH_BYTES], body[BODY_BYTES];
    struct store_answer answer = {.status = 200, .expires_ms = INT64_MAX};

    key_of(number, key);
    memset(body, number, sizeof body);
    return store_idempotency_put(tx, key, &answer, SPAN_ARRAY(body));
}

static enum err add_old_rows(struct store_tx *tx, void *context)
{
    (void)context;
    for (int i = 0; i < OLD_ROWS; i++)
        TRY(add_answer(tx, RUN_COMMANDS + i));
    return OK;
}

static enum err run_write(struct store_tx *tx, struct command *c)
{
    struct write *w = (struct write *)(void *)c;

    pthread_mutex_lock(w->mutex);
    while (!*w->open)
        pthread_cond_wait(w->change, w->mutex);
    pthread_mutex_unlock(w->mutex);
    return add_answer(tx, w->number);
}

static void write_done(struct command *c, const struct err_info *error)
{
    struct write *w = (struct write *)(void *)c;

    if (!error && __atomic_load_n(&layer.log_dirty, __ATOMIC_SEQ_CST) != 0)
        w->report->dirty_acks++;
    if (error) {
        w->report->last_error = (int)error->code;
        if (error->code != ERR_IO && error->code != ERR_BUSY && error->code != ERR_NOMEM)
            w->report->wrong_codes++;
    }
    w->report->said[w->number] = error ? SAID_NO : SAID_YES;
    pthread_mutex_lock(w->mutex);
    (*w->ended)++;
    pthread_cond_broadcast(w->change);
    pthread_mutex_unlock(w->mutex);
}

static void on_lost(void *context)
{
    ((struct report *)context)->lost_calls++;
}

/* Submit while the first command waits, so that the others share a transaction; then wait for the end of all. */
static void run_batch_of(struct writer *w, struct report *report, int batch)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t change = PTHREAD_COND_INITIALIZER;
    struct write writes[PER_BATCH];
    int ended = 0;
    bool open = false;

    for (int i = 0; i < PER_BATCH; i++) {
        writes[i] = (struct write){{.run = run_write, .done = write_done, .lane = LANE_SALE},
                                   report,
                                   batch * PER_BATCH + i,
                                   &mutex,
                                   &change,
                                   &ended,
                                   &open};
        INVARIANT(writer_submit(w, &writes[i].command) == OK, "the queue has room");
    }
    pthread_mutex_lock(&mutex);
    open = true;
    pthread_cond_broadcast(&change);
    while (ended < PER_BATCH)
        pthread_cond_wait(&change, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void child_run(struct store_testing *t, struct report *report, enum fault fault, int nth,
                      bool stays)
{
    struct writer_config config = {
        .queue_max = 1000, .batch_max = 64, .lost = on_lost, .context = report};
    struct writer *w;

    store_testing_reopen(t);
    INVARIANT(writer_start(t->store, &config, &w) == OK, "the writer starts");
    layer_arm(fault, nth, stays);
    for (int b = 0; b < BATCHES; b++)
        run_batch_of(w, report, b);
    report->fired = layer.fired;
    if (stays) /* the disk has room again: the same process goes on */
        layer_arm(FAULT_NONE, 0, false);
    _exit(0); /* as a crash: nothing is closed */
}

struct found {
    struct report *report;
    int missing, half, unexpected;
};

static enum err compare(struct store_tx *tx, void *context)
{
    struct found *f = context;
    AUTO(buf_done) struct buf body;

    buf_init(&body, 1 << 16);
    for (int i = 0; i < RUN_COMMANDS; i++) {
        uint8_t key[STORE_HASH_BYTES];
        struct store_answer answer;
        key_of(i, key);
        buf_reset(&body);
        enum err code = store_idempotency_get(tx, key, &answer, &body);
        if (code != OK && code != ERR_NOT_FOUND)
            return code;
        f->missing += code != OK && f->report->said[i] == SAID_YES;
        f->unexpected += code == OK && f->report->said[i] == SAID_NO;
        f->half += code == OK && (body.len != BODY_BYTES || body.data[0] != (uint8_t)i ||
                                  body.data[BODY_BYTES - 1] != (uint8_t)i);
    }
    return OK;
}

/* In a child whose end is expected: no core, no words. */
static void abort_in_silence(void)
{
    struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)!freopen("/dev/null", "w", stderr);
}

/* Run with the N-th operation failing, look at what is left. False once N is past the last operation. */
static bool try_nth(struct report *report, enum fault fault, int nth, bool stays, bool aborts)
{
    struct store_testing t;
    struct found found = {.report = report};
    int status;

    memset(report, 0, sizeof *report);
    store_testing_open(&t);
    assert_int_equal(store_testing_run(&t, add_old_rows, NULL), OK);
    store_testing_suspend(&t);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (aborts)
            abort_in_silence();
        layer_install();
        child_run(&t, report, fault, nth, stays);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    bool aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    assert_true(aborted ? aborts : WIFEXITED(status) && WEXITSTATUS(status) == 0);
    store_testing_reopen(&t);
    assert_int_equal(store_testing_read(&t, compare, &found), OK);
    assert_int_equal(found.missing, 0);
    assert_int_equal(found.half, 0);
    assert_int_equal(found.unexpected, 0);
    assert_int_equal(report->dirty_acks, 0);
    assert_int_equal(report->wrong_codes, 0);
    assert_int_equal(store_testing_number(&t, "SELECT count(*) FROM pragma_integrity_check"
                                              " WHERE integrity_check <> 'ok'"),
                     0);
    store_testing_close(&t);
    return aborted || report->fired > 0;
}

static int count_said(const struct report *report, enum said said)
{
    int n = 0;

    for (int i = 0; i < RUN_COMMANDS; i++)
        n += report->said[i] == said;
    return n;
}

static int share_report(void **state)
{
    *state = mmap(NULL, sizeof(struct report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                  -1, 0);
    return *state == MAP_FAILED ? -1 : 0;
}

static int unshare_report(void **state)
{
    return munmap(*state, sizeof(struct report));
}

static void without_a_fault_all_is_acknowledged_after_its_fsync(void **state)
{
    assert_false(try_nth(*state, FAULT_NONE, 0, false, false));
    assert_int_equal(count_said(*state, SAID_YES), RUN_COMMANDS);
}

/* Why steps: reads are many. Of writes, which the layer gathers (log_buffer.c), each one fails once. */
enum { READ_STEP = 7 };

/* Fail the N-th operation of a kind, until none is left; how many of them lost a batch. */
static int fail_each(struct report *report, enum fault fault, int step, int *ret_tried)
{
    int nth = 1, tried = 0, lost = 0;

    for (; try_nth(report, fault, nth, false, false); nth += step, tried++) {
        assert_int_equal(count_said(report, SAID_NOTHING), 0);
        assert_true(count_said(report, SAID_NO) <= PER_BATCH);
        assert_int_equal(report->lost_calls, count_said(report, SAID_NO) > 0);
        if (count_said(report, SAID_NO))
            assert_int_equal(report->last_error, ERR_IO);
        lost += report->lost_calls;
    }
    *ret_tried = tried;
    return lost;
}

static void each_failing_write_loses_its_batch_and_nothing_else(void **state)
{
    int tried, lost = fail_each(*state, FAULT_WRITE_IO, 1, &tried);
    assert_true(tried > BATCHES && lost >= BATCHES);
}

/* In the middle of a statement: SQLite gives the transaction up by itself. */
static void each_failing_read_loses_its_batch_and_nothing_else(void **state)
{
    int tried, lost = fail_each(*state, FAULT_READ, READ_STEP, &tried);
    assert_true(tried > 10 && lost > 10);
}

static void a_full_disk_refuses_from_then_on_and_keeps_what_was_acknowledged(void **state)
{
    struct report *report = *state;
    int nth = 1;

    for (; try_nth(report, FAULT_WRITE_FULL, nth, true, false); nth++) {
        assert_int_equal(count_said(report, SAID_NOTHING), 0);
        assert_true(count_said(report, SAID_NO) > 0);
        assert_int_equal(report->last_error, ERR_IO);
    }
    assert_true(nth > BATCHES);
}

static void a_failed_fsync_ends_the_process_before_any_acknowledgement(void **state)
{
    struct report *report = *state;
    int nth = 1;

    for (; try_nth(report, FAULT_SYNC, nth, false, true); nth++)
        assert_int_equal(count_said(report, SAID_NO), 0);
    assert_true(nth > BATCHES);
}

/* ---- copying the log --------------------------------------------------------------------------------------------------- */

enum { PORTION_BYTES = 64 * 4096 };

struct copying {
    struct store_testing *t;
    struct store_conn *conn;
    int failing_sync; /* which of them fails; 0: none */
};

static enum err add_one(struct store_tx *tx, void *context)
{
    (void)context;
    return add_answer(tx, 0);
}

/* In a snapshot, which keeps what comes after it from being copied, as a writer that goes on does. */
static enum err copy_while_it_grows(struct store_tx *tx, void *context)
{
    struct copying *c = context;

    (void)tx;
    TRY(store_testing_run(c->t, add_one, NULL));
    layer.database_written = layer.database_dirty = layer.database_dirty_most = 0;
    if (c->failing_sync)
        layer_arm(FAULT_SYNC, c->failing_sync, false);
    return store_sqlite()->checkpoint(c->conn, false);
}

static void begin_copying(struct store_testing *t, struct copying *ret)
{
    *ret = (struct copying){.t = t};
    store_testing_open(t);
    store_testing_suspend(t);
    layer_install();
    store_testing_reopen(t);
    assert_int_equal(store_testing_run(t, add_old_rows, NULL), OK);
    assert_int_equal(store_sqlite()->open(store_config_of(t->store), CONN_CHECKPOINT, &ret->conn),
                     OK);
}

static void end_copying(struct copying *c)
{
    store_sqlite()->close(c->conn);
    store_testing_close(c->t);
    layer_remove();
}

static void what_was_copied_is_on_the_disk_although_the_log_goes_on(void **state)
{
    struct store_testing t;
    struct copying c;

    (void)state;
    begin_copying(&t, &c);
    assert_int_equal(store_testing_read(&t, copy_while_it_grows, &c), OK);
    assert_true(layer.database_written > 0);
    assert_int_equal(layer.database_dirty, 0);
    end_copying(&c);
}

static void the_copy_goes_to_the_disk_in_portions(void **state)
{
    struct store_testing t;
    struct copying c;

    (void)state;
    begin_copying(&t, &c);
    assert_int_equal(store_testing_read(&t, copy_while_it_grows, &c), OK);
    assert_true(layer.database_written > 2 * PORTION_BYTES);
    assert_in_range(layer.database_dirty_most, 4096, PORTION_BYTES);
    end_copying(&c);
}

static void a_hurried_copy_is_synced_once(void **state)
{
    struct store_testing t;
    struct copying c;

    (void)state;
    begin_copying(&t, &c);
    store_sqlite()->hurry(c.conn, true);
    assert_int_equal(store_testing_read(&t, copy_while_it_grows, &c), OK);
    assert_int_equal(layer.database_dirty_most, layer.database_written);
    assert_int_equal(layer.database_dirty, 0);
    end_copying(&c);
}

/* The first sync of a copy is the log's, the second the first portion's. */
static void a_portion_that_cannot_be_synced_ends_the_process(void **state)
{
    struct store_testing t;
    struct copying c;
    int status;

    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        abort_in_silence();
        begin_copying(&t, &c);
        c.failing_sync = 2;
        enum err code = store_testing_read(&t, copy_while_it_grows, &c);
        _exit(code == OK ? 1 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, share_report, unshare_report)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_a_fault_all_is_acknowledged_after_its_fsync),
        CASE(each_failing_write_loses_its_batch_and_nothing_else),
        CASE(each_failing_read_loses_its_batch_and_nothing_else),
        CASE(a_full_disk_refuses_from_then_on_and_keeps_what_was_acknowledged),
        CASE(a_failed_fsync_ends_the_process_before_any_acknowledgement),
        CASE(what_was_copied_is_on_the_disk_although_the_log_goes_on),
        CASE(the_copy_goes_to_the_disk_in_portions),
        CASE(a_hurried_copy_is_synced_once),
        CASE(a_portion_that_cannot_be_synced_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
