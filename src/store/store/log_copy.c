/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/log_copy.h"

#include <pthread.h>
#include <stdlib.h>

#include "store/store/internal.h"

enum {
    RESTART_BYTES = 128 << 20,       /* log size past which the writer restarts it */
    RESTART_LATEST_BYTES = 64 << 20, /* beyond that, when the copying does not keep up */
    RESTART_LEFT_BYTES =
        6 << 20, /* not copied yet: the writer copies it itself and stands still meanwhile */
    RESTART_AGAIN_BYTES = 8 << 20, /* growth before the next try when a reader was in the way */
    /* Growth of the log that wakes the copying thread. Why so much: a page that was written ten times meanwhile is copied once. */
    COPY_BYTES = 96 << 20,
    COPY_LAST_BYTES = 2 << 20, /* the same when a restart is near, so that little is left for it */
    COPYING_NICE = 5,
};

struct log_copy {
    struct store *store;
    struct store_conn *conn;
    pthread_mutex_t mutex; /* stopping, checkpoints, *_bytes but restart_bytes */
    pthread_cond_t work;
    bool stopping;
    uint64_t checkpoints, log_bytes;
    uint64_t copied_bytes;      /* log size when the thread was last woken */
    uint64_t done_bytes;        /* the same of the last copy that ended */
    uint64_t restart_bytes;     /* log size at which to try the next restart; the writer's */
    pthread_mutex_t checkpoint; /* one checkpoint at a time: the engine would refuse a second */
    pthread_t thread;
};

/* What a reader or the writer holds up comes next time. */
static void *copy_main(void *context)
{
    struct log_copy *l = context;
    const struct store_driver *driver = store_config_of(l->store)->driver;
    uint64_t seen = 0;

    thread_nice(COPYING_NICE);
    pthread_mutex_lock(&l->mutex);
    for (;;) {
        while (!l->stopping && seen == l->copied_bytes)
            pthread_cond_wait(&l->work, &l->mutex);
        if (l->stopping)
            break;
        seen = l->copied_bytes;
        pthread_mutex_unlock(&l->mutex);
        pthread_mutex_lock(&l->checkpoint);
        enum err code = driver->checkpoint(l->conn, false);
        pthread_mutex_unlock(&l->checkpoint);
        pthread_mutex_lock(&l->mutex);
        /* Why: a copy that failed loses nothing, the log still holds it; a failed fsync has ended the process. */
        if (code == OK)
            l->checkpoints++;
        if (code == OK && seen <= l->copied_bytes) /* else the log has begun anew since */
            l->done_bytes = seen;
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

/* The log has grown too long: the copy that goes on no longer spares the disk, and the writer stands still until it has ended. */
static void take_from_copying(struct log_copy *l)
{
    const struct store_driver *driver = store_config_of(l->store)->driver;

    driver->hurry(l->conn, true);
    pthread_mutex_lock(&l->checkpoint);
    driver->hurry(l->conn, false);
}

/*
 * The writer stands still while it restarts the log: not before the copying thread has left it little to do, nor while that one copies,
 * unless the log has grown too long for such kindness. True: l->checkpoint is held.
 */
static bool may_restart(struct log_copy *l, uint64_t bytes)
{
    pthread_mutex_lock(&l->mutex);
    uint64_t left = bytes > l->done_bytes ? bytes - l->done_bytes : 0;
    pthread_mutex_unlock(&l->mutex);
    if (bytes < l->restart_bytes)
        return false;
    if (bytes >= l->restart_bytes + RESTART_LATEST_BYTES) {
        take_from_copying(l);
        return true;
    }
    return left <= RESTART_LEFT_BYTES && pthread_mutex_trylock(&l->checkpoint) == 0;
}

void log_copy_mind(struct log_copy *l)
{
    uint64_t bytes = tx_log_bytes(l->store);
    bool restarted = false;

    if (bytes < RESTART_BYTES)
        l->restart_bytes = RESTART_BYTES;
    if (may_restart(l, bytes)) {
        restarted = tx_restart_log(l->store) == OK;
        pthread_mutex_unlock(&l->checkpoint);
        l->restart_bytes = restarted ? RESTART_BYTES : bytes + RESTART_AGAIN_BYTES;
    }
    pthread_mutex_lock(&l->mutex);
    l->log_bytes = bytes;
    l->checkpoints += restarted;
    if (bytes < l->copied_bytes) /* the log has begun anew */
        l->copied_bytes = l->done_bytes = 0;
    if (bytes >= l->copied_bytes + (bytes < RESTART_BYTES ? COPY_BYTES : COPY_LAST_BYTES)) {
        l->copied_bytes = bytes;
        pthread_cond_signal(&l->work);
    }
    pthread_mutex_unlock(&l->mutex);
}

void log_copy_figures(struct log_copy *l, uint64_t *ret_checkpoints, uint64_t *ret_log_bytes)
{
    pthread_mutex_lock(&l->mutex);
    *ret_checkpoints = l->checkpoints;
    *ret_log_bytes = l->log_bytes;
    pthread_mutex_unlock(&l->mutex);
}

static void log_copy_free(struct log_copy *l)
{
    if (l->conn)
        store_config_of(l->store)->driver->close(l->conn);
    pthread_mutex_destroy(&l->mutex);
    pthread_mutex_destroy(&l->checkpoint);
    pthread_cond_destroy(&l->work);
    free(l);
}

static enum err open_and_start(struct log_copy *l)
{
    const struct store_config *config = store_config_of(l->store);

    TRY(config->driver->open(config, CONN_CHECKPOINT, &l->conn));
    return thread_start(&l->thread, "checkpoints", copy_main, l);
}

enum err log_copy_start(struct store *s, struct log_copy **ret_copy)
{
    struct log_copy *l = calloc(1, sizeof *l);

    ENSURE(l, ERR_NOMEM, "no_memory", "No memory for the writer.");
    l->store = s;
    l->restart_bytes = RESTART_BYTES;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_mutex_init(&l->checkpoint, NULL);
    pthread_cond_init(&l->work, NULL);
    enum err code = open_and_start(l);
    if (code != OK) {
        log_copy_free(l);
        return err_trace(code, __FILE__, __LINE__);
    }
    *ret_copy = l;
    return OK;
}

void log_copy_stop(struct log_copy *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->mutex);
    l->stopping = true;
    store_config_of(l->store)->driver->hurry(l->conn, true);
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->mutex);
    pthread_join(l->thread, NULL);
    log_copy_free(l);
}
