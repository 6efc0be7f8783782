/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/store/internal.h"

enum {
    RESTART_BYTES = 128 << 20,       /* log size past which the writer restarts it */
    RESTART_LATEST_BYTES = 32 << 20, /* beyond that, when the copying does not keep up */
    RESTART_LEFT_BYTES =
        4 << 20, /* not copied yet: the writer copies it itself and stands still meanwhile */
    RESTART_AGAIN_BYTES = 8 << 20, /* growth before the next try when a reader was in the way */
    /* Growth of the log that wakes the copying thread. Why so much: a page that was written ten times meanwhile is copied once. */
    COPY_BYTES = 48 << 20,
    COPY_LAST_BYTES = 2 << 20, /* the same when a restart is near, so that little is left for it */
    /* With savepoints, after a batch was lost: whoever fails half way on purpose does not make all run twice. */
    CAREFUL_BATCHES = 256,
    /* Everybody waits for the writer: on two processors it spent as long waiting for its turn as at work. */
    WRITER_NICE = -10,
    COPYING_NICE = 5,
};

struct lane {
    struct command *first, **last;
    size_t count;
};

struct writer {
    struct store *store;
    struct writer_config config;
    pthread_mutex_t mutex; /* lanes, stopping, figures, copy_* */
    pthread_cond_t work, copy_work;
    struct lane lanes[LANE_COUNT];
    bool stopping, copy_stopping;
    struct writer_figures figures;
    struct command **batch;     /* batch_max places */
    unsigned careful_batches;   /* how many more are run with savepoints */
    uint64_t restart_bytes;     /* log size at which to try the next restart */
    uint64_t copied_bytes;      /* log size when the copying thread was last woken */
    uint64_t done_bytes;        /* the same of the last copy that ended */
    pthread_mutex_t checkpoint; /* one checkpoint at a time: the engine would refuse a second */
    struct store_conn *copy_conn;
    pthread_t thread, copy_thread;
};

/* ---- the queue ------------------------------------------------------------------------------------------------------- */

static void lane_init(struct lane *l)
{
    *l = (struct lane){.last = &l->first};
}

static size_t lane_take(struct lane *l, struct command **out, size_t max)
{
    size_t n = 0;

    while (n < max && l->first) {
        struct command *c = l->first;
        l->first = c->next;
        c->next = NULL;
        out[n++] = c;
    }
    if (!l->first)
        l->last = &l->first;
    l->count -= n;
    return n;
}

/*
 * Fill the batch: the door first, but at most half of it, then sales, of which an eighth is left to the rest; what is unused
 * goes to whoever waits, the door first. So no lane starves another, and an empty lane costs nothing.
 */
static size_t take_batch(struct writer *w)
{
    size_t max = w->config.batch_max, n = 0;

    n += lane_take(&w->lanes[LANE_DOOR], w->batch, max - max / 2);
    n += lane_take(&w->lanes[LANE_SALE], w->batch + n, max - n - (max + 7) / 8);
    n += lane_take(&w->lanes[LANE_BACK], w->batch + n, (max + 7) / 8);
    for (int lane = 0; lane < LANE_COUNT; lane++)
        n += lane_take(&w->lanes[lane], w->batch + n, max - n);
    return n;
}

enum err writer_submit(struct writer *w, struct command *c)
{
    INVARIANT((unsigned)c->lane < LANE_COUNT, "a command has a lane");
    struct lane *lane = &w->lanes[c->lane];
    bool taken;

    pthread_mutex_lock(&w->mutex);
    taken = !w->stopping && lane->count < w->config.queue_max;
    if (taken) {
        c->next = NULL;
        *lane->last = c;
        lane->last = &c->next;
        lane->count++;
        pthread_cond_signal(&w->work);
    }
    pthread_mutex_unlock(&w->mutex);
    ENSURE(taken, ERR_BUSY, "queue_full", "Too much work is waiting; send the request again.");
    return OK;
}

/* ---- a batch --------------------------------------------------------------------------------------------------------- */

static enum err run_one(struct store_tx *tx, void *context)
{
    struct command *c = context;
    return c->run(tx, c);
}

/*
 * Run all in one transaction. Not OK: it is gone, and no command of the batch happened; *ret_again says that it was lost to one
 * that failed half way, so that all of them run again, each in a savepoint.
 */
static enum err run_batch(struct writer *w, size_t count, size_t *ret_failed,
                          struct store_tx **ret_tx, bool *ret_again)
{
    bool careful = w->careful_batches > 0, lost;
    struct store_tx *tx;
    size_t first_note, failed = 0;

    *ret_again = false;
    TRY(tx_begin(w->store, &tx));
    for (size_t i = 0; i < count; i++) {
        struct command *c = w->batch[i];
        enum err code = (careful ? tx_command : tx_attempt)(tx, run_one, c, &first_note, &lost);
        if (lost) {
            struct err_info why;
            err_save(&why);
            tx_rollback(tx);
            *ret_again = !careful;
            return err_restore(&why);
        }
        c->error.code = OK;
        if (code != OK) {
            err_save(&c->error);
            failed++;
        } else if (w->config.released && tx->note_count > first_note) {
            w->config.released(w->config.context, tx->notes + first_note,
                               tx->note_count - first_note);
        }
    }
    TRY(tx_commit(tx));
    *ret_failed = failed;
    *ret_tx = tx;
    return OK;
}

/* What the callers of a lost batch are told: it did not happen, and whether another try may help is in the code. */
static void lost_error(enum err code, struct err_info *ret_error)
{
    if (err_last()->code != code)
        (void)err_raise(code, NULL, __FILE__, __LINE__, "batch_lost", "The write failed.");
    err_save(ret_error);
    if (code != ERR_BUSY && code != ERR_CORRUPT)
        ret_error->code = ERR_IO;
}

static void process(struct writer *w, size_t count)
{
    struct err_info lost;
    struct store_tx *tx = NULL;
    size_t failed = 0;
    bool again, repeated;
    enum err code = run_batch(w, count, &failed, &tx, &again);

    repeated = again;
    if (again) {
        if (w->config.lost)
            w->config.lost(w->config.context);
        w->careful_batches = CAREFUL_BATCHES;
        code = run_batch(w, count, &failed, &tx, &again);
    } else if (w->careful_batches > 0) {
        w->careful_batches--;
    }
    if (code != OK) {
        lost_error(code, &lost);
        if (w->config.lost)
            w->config.lost(w->config.context);
    } else if (w->config.committed && tx->note_count) {
        w->config.committed(w->config.context, tx->notes, tx->note_count);
    }
    pthread_mutex_lock(&w->mutex);
    w->figures.batches++;
    w->figures.repeated += repeated;
    w->figures.commands += count;
    w->figures.failed += failed;
    w->figures.lost += code != OK ? count : 0;
    if (count > w->figures.largest_batch)
        w->figures.largest_batch = count;
    pthread_mutex_unlock(&w->mutex);
    for (size_t i = 0; i < count; i++) {
        struct command *c = w->batch[i];
        if (code != OK)
            c->error = lost;
        c->done(c, c->error.code == OK ? NULL : &c->error);
    }
    if (w->config.ended)
        w->config.ended(w->config.context);
}

/* ---- checkpoints ----------------------------------------------------------------------------------------------------- */

/* Copies the log into the file while the writer goes on writing; what a reader or the writer holds up comes next time. */
static void *copy_main(void *context)
{
    struct writer *w = context;
    const struct store_driver *driver = store_config_of(w->store)->driver;
    uint64_t seen = 0;

    thread_nice(COPYING_NICE);
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (!w->copy_stopping && seen == w->copied_bytes)
            pthread_cond_wait(&w->copy_work, &w->mutex);
        if (w->copy_stopping)
            break;
        seen = w->copied_bytes;
        pthread_mutex_unlock(&w->mutex);
        pthread_mutex_lock(&w->checkpoint);
        enum err code = driver->checkpoint(w->copy_conn, false);
        pthread_mutex_unlock(&w->checkpoint);
        pthread_mutex_lock(&w->mutex);
        /* Why: a copy that failed loses nothing, the log still holds it; a failed fsync has ended the process. */
        if (code == OK)
            w->figures.checkpoints++;
        if (code == OK && seen <= w->copied_bytes) /* else the log has begun anew since */
            w->done_bytes = seen;
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

/* The writer stands still while it restarts the log: not before the copying thread has left it little to do. */
static bool time_to_restart(struct writer *w, uint64_t bytes)
{
    pthread_mutex_lock(&w->mutex);
    uint64_t left = bytes > w->done_bytes ? bytes - w->done_bytes : 0;
    pthread_mutex_unlock(&w->mutex);
    return bytes >= w->restart_bytes &&
           (left <= RESTART_LEFT_BYTES || bytes >= w->restart_bytes + RESTART_LATEST_BYTES);
}

static void mind_log(struct writer *w)
{
    uint64_t bytes = tx_log_bytes(w->store);
    bool restarted = false;

    if (bytes < RESTART_BYTES)
        w->restart_bytes = RESTART_BYTES;
    /* Why trylock: while the other thread copies, a restart could only wait for it. */
    if (time_to_restart(w, bytes) && pthread_mutex_trylock(&w->checkpoint) == 0) {
        restarted = tx_restart_log(w->store) == OK;
        pthread_mutex_unlock(&w->checkpoint);
        w->restart_bytes = restarted ? RESTART_BYTES : bytes + RESTART_AGAIN_BYTES;
    }
    pthread_mutex_lock(&w->mutex);
    w->figures.wal_bytes = bytes;
    w->figures.checkpoints += restarted;
    if (bytes < w->copied_bytes) /* the log has begun anew */
        w->copied_bytes = w->done_bytes = 0;
    if (bytes >= w->copied_bytes + (bytes < RESTART_BYTES ? COPY_BYTES : COPY_LAST_BYTES)) {
        w->copied_bytes = bytes;
        pthread_cond_signal(&w->copy_work);
    }
    pthread_mutex_unlock(&w->mutex);
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */

static void *writer_main(void *context)
{
    struct writer *w = context;
    size_t count;

    thread_nice(WRITER_NICE);
    for (;;) {
        pthread_mutex_lock(&w->mutex);
        while ((count = take_batch(w)) == 0 && !w->stopping)
            pthread_cond_wait(&w->work, &w->mutex);
        pthread_mutex_unlock(&w->mutex);
        if (count == 0)
            return NULL;
        process(w, count);
        mind_log(w);
    }
}

static void writer_free(struct writer *w)
{
    if (w->copy_conn)
        store_config_of(w->store)->driver->close(w->copy_conn);
    pthread_mutex_destroy(&w->mutex);
    pthread_mutex_destroy(&w->checkpoint);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->copy_work);
    free(w->batch);
    free(w);
}

static void stop_copying(struct writer *w)
{
    pthread_mutex_lock(&w->mutex);
    w->copy_stopping = true;
    pthread_cond_signal(&w->copy_work);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->copy_thread, NULL);
}

static enum err start_threads(struct writer *w)
{
    const struct store_config *config = store_config_of(w->store);

    w->batch = calloc(w->config.batch_max, sizeof(struct command *));
    ENSURE(w->batch, ERR_NOMEM, "no_memory", "No memory for the writer.");
    TRY(config->driver->open(config, CONN_CHECKPOINT, &w->copy_conn));
    TRY(thread_start(&w->copy_thread, "checkpoints", copy_main, w));
    enum err code = thread_start(&w->thread, "writer", writer_main, w);
    if (code != OK)
        stop_copying(w);
    return code;
}

enum err writer_start(struct store *s, const struct writer_config *config,
                      struct writer **ret_writer)
{
    ENSURE(!store_config_of(s)->read_only && config->queue_max > 0 &&
               config->batch_max >= LANE_COUNT && config->batch_max <= 65536,
           ERR_INVALID, "bad_writer", "A writer needs a writable store, a queue and batches.");
    struct writer *w = calloc(1, sizeof *w);
    ENSURE(w, ERR_NOMEM, "no_memory", "No memory for the writer.");
    w->store = s;
    w->config = *config;
    w->restart_bytes = RESTART_BYTES;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_mutex_init(&w->checkpoint, NULL);
    pthread_cond_init(&w->work, NULL);
    pthread_cond_init(&w->copy_work, NULL);
    for (int i = 0; i < LANE_COUNT; i++)
        lane_init(&w->lanes[i]);
    enum err code = start_threads(w);
    if (code != OK) {
        writer_free(w);
        return err_trace(code, __FILE__, __LINE__);
    }
    *ret_writer = w;
    return OK;
}

void writer_stop(struct writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    w->stopping = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    stop_copying(w);
    writer_free(w);
}

void writer_figures(struct writer *w, struct writer_figures *ret_figures)
{
    pthread_mutex_lock(&w->mutex);
    *ret_figures = w->figures;
    pthread_mutex_unlock(&w->mutex);
}

/* ---- submit and wait ------------------------------------------------------------------------------------------------- */

struct call {
    struct command command; /* first */
    enum err (*run)(struct store_tx *tx, void *context);
    void *context;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool has_ended;
    struct err_info error;
};

static enum err call_run(struct store_tx *tx, struct command *c)
{
    struct call *call = (struct call *)(void *)c;
    return call->run(tx, call->context);
}

static void call_done(struct command *c, const struct err_info *error)
{
    struct call *call = (struct call *)(void *)c;

    pthread_mutex_lock(&call->mutex);
    call->error.code = OK;
    if (error)
        call->error = *error;
    call->has_ended = true;
    pthread_cond_signal(&call->ended);
    pthread_mutex_unlock(&call->mutex);
}

enum err writer_call(struct writer *w, enum writer_lane lane,
                     enum err (*run)(struct store_tx *tx, void *context), void *context)
{
    struct call call = {.command = {.run = call_run, .done = call_done, .lane = lane},
                        .run = run,
                        .context = context,
                        .mutex = PTHREAD_MUTEX_INITIALIZER,
                        .ended = PTHREAD_COND_INITIALIZER};

    TRY(writer_submit(w, &call.command));
    pthread_mutex_lock(&call.mutex);
    while (!call.has_ended)
        pthread_cond_wait(&call.ended, &call.mutex);
    pthread_mutex_unlock(&call.mutex);
    pthread_mutex_destroy(&call.mutex);
    pthread_cond_destroy(&call.ended);
    return call.error.code == OK ? OK : err_restore(&call.error);
}
