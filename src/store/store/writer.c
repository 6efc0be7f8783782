/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/writer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/store/internal.h"
#include "store/store/log_copy.h"

enum {
    /* With savepoints, after a batch was lost: whoever fails half way on purpose does not make all run twice. */
    CAREFUL_BATCHES = 256,
    /* Commands taken from the queue at a time: how long one that goes first, or a batch that may be committed, waits for others. */
    TAKEN_MAX = 16,
    /*
     * While a door scans, and so long after: so many others in a batch, and taken at a time. What a scan waits for is a batch of sales and
     * its sync; so as many more as the disk takes longer than this.
     */
    BESIDE_DOOR = 16,
    BESIDE_DOOR_TAKEN = 4,
    BESIDE_DOOR_SYNC_MS = 16,
    DOOR_MS = 300,
    /* After a batch of so many scans alone the next one waits for so many, or for config.gather_us. */
    THICK = 4,
    GATHERED = 8,
    /* So many commands wait that they are worth two wakeups of threads: the sync is left to the other one. */
    HANDOVER_COMMANDS = 12,
    /* Everybody waits for the writer: on two processors it spent as long waiting for its turn as at work. */
    WRITER_NICE = -10,
    PAGES_BYTES = 26 << 20, /* the database's pages in memory come to about this */
};

struct lane {
    struct command *first, **last;
    size_t count;
};

struct batch {
    struct command **commands; /* batch_max places */
    size_t count, failed;
    size_t others; /* not the door's */
    bool refused;  /* some were at once, and wait to be sent */
    struct store_note *notes;
    size_t note_count, note_cap;
};

/* Of the batch that was committed last. */
enum flight { ON_GROUND, FLYING, SYNCED }; /* answered; being synced; durable, to be answered */

struct writer {
    struct store *store;
    struct writer_config config;
    const struct clock *clock;
    pthread_mutex_t mutex;     /* lanes, stopping, doors, figures; flight changes under it */
    pthread_cond_t work, sync; /* for the writer, for the thread that syncs */
    struct lane lanes[LANE_COUNT];
    bool stopping, sync_stopping;
    int64_t door_until_ms; /* monotonic: until then batches leave room for the door */
    bool door_only;        /* the writer waits, and takes nothing else into this batch */
    bool thick;            /* the last batch was of scans alone, and of many */
    bool gathering;        /* the writer waits for more scans */
    struct writer_figures figures;
    struct batch batches[2], *open, *flown; /* open: its transaction runs, unless it is empty */
    struct store_tx *tx;                    /* of the open one */
    _Atomic enum flight flight;
    _Atomic int64_t sync_ms;  /* how long the last one took */
    unsigned careful_batches; /* how many more are run with savepoints */
    struct log_copy *log_copy;
    pthread_t thread, sync_thread;
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

/* How many others may be taken at once into the open batch. */
static size_t others_room(const struct writer *w)
{
    if (clock_mono_ms(w->clock) >= w->door_until_ms)
        return TAKEN_MAX;
    size_t max = BESIDE_DOOR * (1 + (size_t)w->sync_ms / BESIDE_DOOR_SYNC_MS);
    if (w->open->others >= max)
        return 0;
    size_t left = max - w->open->others;
    return left < BESIDE_DOOR_TAKEN ? left : BESIDE_DOOR_TAKEN;
}

/* Sales, of which an eighth is left to the rest; what one leaves unused the other takes. */
static size_t take_others(struct writer *w, struct command **to, size_t max)
{
    size_t rest = (max + 7) / 8, n = lane_take(&w->lanes[LANE_SALE], to, max - rest);

    n += lane_take(&w->lanes[LANE_BACK], to + n, rest);
    n += lane_take(&w->lanes[LANE_SALE], to + n, max - n);
    n += lane_take(&w->lanes[LANE_BACK], to + n, max - n);
    return n;
}

/*
 * Put what waits into the open batch: the door first, but at most half of it, then the others, then the door again if there is room.
 * So no lane starves another, and an empty lane costs nothing. While a door scans, the batches of others are short.
 */
static size_t take(struct writer *w)
{
    size_t room = w->config.batch_max - w->open->count, max = room < TAKEN_MAX ? room : TAKEN_MAX;
    struct command **to = w->open->commands + w->open->count;
    size_t n = lane_take(&w->lanes[LANE_DOOR], to, max - max / 2);

    if (n > 0)
        w->door_until_ms = clock_mono_ms(w->clock) + DOOR_MS;
    size_t allowed = others_room(w);
    size_t others = take_others(w, to + n, max - n < allowed ? max - n : allowed);
    n += others;
    n += lane_take(&w->lanes[LANE_DOOR], to + n, max - n);
    w->open->count += n;
    w->open->others += others;
    return n;
}

static bool is_gathered(const struct writer *w)
{
    size_t scans = w->lanes[LANE_DOOR].count;

    return scans >= GATHERED || scans >= w->config.queue_max || w->lanes[LANE_SALE].count > 0 ||
           w->lanes[LANE_BACK].count > 0 || w->stopping;
}

/* A command has just come: has the writer to know? */
static bool is_waited_for(const struct writer *w, const struct command *c)
{
    return w->gathering ? is_gathered(w) : c->lane == LANE_DOOR || !w->door_only;
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
        if (is_waited_for(w, c))
            pthread_cond_signal(&w->work);
    }
    pthread_mutex_unlock(&w->mutex);
    ENSURE(taken, ERR_BUSY, "queue_full", "Too much work is waiting; send the request again.");
    return OK;
}

/* ---- what was committed ---------------------------------------------------------------------------------------------- */

/*
 * Before the others when it is its turn, but a wake does not interrupt who runs: more commands have come then, and who reads meanwhile is
 * not held up twice.
 */
static void take_place_among_threads(void)
{
    thread_nice(WRITER_NICE);
    thread_in_bursts();
}

static void sync_timed(struct writer *w)
{
    int64_t began_ms = clock_mono_ms(w->clock);

    tx_sync(w->store);
    int64_t ms = clock_mono_ms(w->clock) - began_ms;
    w->sync_ms = ms > 0 ? ms : 0;
}

static void *sync_main(void *context)
{
    struct writer *w = context;

    take_place_among_threads();
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (!w->sync_stopping && w->flight != FLYING)
            pthread_cond_wait(&w->sync, &w->mutex);
        if (w->flight != FLYING)
            break;
        pthread_mutex_unlock(&w->mutex);
        sync_timed(w);
        pthread_mutex_lock(&w->mutex);
        w->flight = SYNCED;
        pthread_cond_signal(&w->work);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

static void end_commands(struct writer *w, struct batch *b, const struct err_info *lost)
{
    for (size_t i = 0; i < b->count; i++) {
        struct command *c = b->commands[i];
        if (!c) /* refused at once */
            continue;
        if (lost)
            c->error = *lost;
        c->done(c, c->error.code == OK ? NULL : &c->error);
    }
    b->count = b->failed = b->others = 0;
    b->refused = false;
    if (w->config.ended)
        w->config.ended(w->config.context);
}

/* It is durable: say so. May happen in the middle of the next transaction, between two of its commands. */
static void land(struct writer *w)
{
    struct batch *b = w->flown;

    w->flight = ON_GROUND; /* nobody else changes it now */
    if (w->config.committed && b->note_count)
        w->config.committed(w->config.context, b->notes, b->note_count);
    end_commands(w, b, NULL);
}

/* ---- the open batch -------------------------------------------------------------------------------------------------- */

static void count_batch(struct writer *w, const struct batch *b, bool lost)
{
    pthread_mutex_lock(&w->mutex);
    w->figures.batches++;
    w->figures.commands += b->count;
    w->figures.failed += b->failed;
    w->figures.lost += lost ? b->count : 0;
    if (b->count > w->figures.largest_batch)
        w->figures.largest_batch = b->count;
    pthread_mutex_unlock(&w->mutex);
}

/* What the callers of a lost batch are told: it did not happen, and whether another try may help is in the code. */
static void lose(struct writer *w, enum err code)
{
    struct err_info lost;

    if (err_last()->code != code)
        (void)err_raise(code, NULL, __FILE__, __LINE__, "batch_lost", "The write failed.");
    err_save(&lost);
    if (code != ERR_BUSY && code != ERR_CORRUPT)
        lost.code = ERR_IO;
    w->tx = NULL;
    if (w->config.lost)
        w->config.lost(w->config.context);
    count_batch(w, w->open, true);
    end_commands(w, w->open, &lost);
}

static enum err run_command(struct store_tx *tx, void *context)
{
    struct command *c = context;
    return c->run(tx, c);
}

static void refuse_now(struct writer *w, size_t i)
{
    struct command *c = w->open->commands[i];

    w->open->commands[i] = NULL;
    w->open->refused = true;
    c->done(c, &c->error);
}

/*
 * Run the commands from first on in the open transaction. Not OK: it is gone, and no command of the batch happened; *ret_again says
 * that it was lost to one that failed half way, so that all of them run again, each in a savepoint.
 */
static enum err run_from(struct writer *w, size_t first, bool *ret_again)
{
    bool careful = w->careful_batches > 0, lost;
    struct batch *b = w->open;
    size_t first_note;

    *ret_again = false;
    if (!w->tx)
        TRY(tx_begin(w->store, &w->tx));
    for (size_t i = first; i < b->count; i++) {
        struct command *c = b->commands[i];
        if (!c) { /* in the run before */
            b->failed++;
            continue;
        }
        if (w->flight == SYNCED)
            land(w);
        enum err code =
            (careful ? tx_command : tx_attempt)(w->tx, run_command, c, &first_note, &lost);
        if (lost) {
            struct err_info why;
            err_save(&why);
            tx_rollback(w->tx);
            w->tx = NULL;
            *ret_again = !careful;
            return err_restore(&why);
        }
        c->error.code = OK;
        if (code != OK) {
            err_save(&c->error);
            b->failed++;
            if (c->refused_at_once)
                refuse_now(w, i);
        } else if (w->config.released && w->tx->note_count > first_note) {
            w->config.released(w->config.context, w->tx->notes + first_note,
                               w->tx->note_count - first_note);
        }
    }
    return OK;
}

static void run_taken(struct writer *w, size_t first)
{
    bool again;
    enum err code = run_from(w, first, &again);

    if (again) {
        if (w->config.lost)
            w->config.lost(w->config.context);
        pthread_mutex_lock(&w->mutex);
        w->figures.repeated++;
        pthread_mutex_unlock(&w->mutex);
        w->careful_batches = CAREFUL_BATCHES;
        w->open->failed = 0;
        code = run_from(w, 0, &again);
    }
    if (code != OK) {
        lose(w, code);
    } else if (w->open->refused && w->config.ended) {
        w->open->refused = false;
        w->config.ended(w->config.context);
    }
}

/* The transaction's notes go with the batch, whose old ones make room for the next transaction's. */
static void swap_notes(struct store_tx *tx, struct batch *b)
{
    struct store_note *old = b->notes;
    size_t old_cap = b->note_cap;

    b->notes = tx->notes;
    b->note_count = tx->note_count;
    b->note_cap = tx->note_cap;
    tx->notes = old;
    tx->note_count = 0;
    tx->note_cap = old_cap;
}

/* By the other thread when there is enough to do meanwhile; else the writer waits for the disk itself. */
static void sync_flight(struct writer *w)
{
    size_t waiting = 0;

    pthread_mutex_lock(&w->mutex);
    for (int lane = 0; lane < LANE_COUNT; lane++)
        waiting += w->lanes[lane].count;
    bool handed_over = waiting >= HANDOVER_COMMANDS;
    if (handed_over) {
        w->flight = FLYING;
        pthread_cond_signal(&w->sync);
    }
    pthread_mutex_unlock(&w->mutex);
    if (handed_over)
        return;
    sync_timed(w);
    w->flight = SYNCED;
}

/* Commit the open batch; what comes next runs in the other one. */
static void depart(struct writer *w)
{
    struct batch *b = w->open;
    enum err code = tx_commit_early(w->tx);

    if (code != OK) {
        lose(w, code);
        return;
    }
    swap_notes(w->tx, b);
    w->tx = NULL;
    w->careful_batches -= w->careful_batches > 0;
    w->thick = b->count >= THICK && b->others == 0 && w->config.gather_us > 0;
    count_batch(w, b, false);
    w->open = w->flown;
    w->flown = b;
    sync_flight(w);
    if (w->flight == SYNCED) /* before the log is minded, which may take long */
        land(w);
    log_copy_mind(w->log_copy);
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */

static struct timespec after_us(unsigned us)
{
    struct timespec t;

    /* Why clock_gettime: a real wait of the thread, not product time. */
    INVARIANT(clock_gettime(CLOCK_MONOTONIC, &t) == 0, "the machine has a clock");
    t.tv_nsec += (long)us * 1000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

/*
 * A commit of eight scans costs the disk and the processors little more than one of four. Where few scan, and for sales, nobody waits.
 * Under the mutex.
 */
static void gather(struct writer *w)
{
    const struct timespec until = after_us(w->config.gather_us);

    w->gathering = true;
    while (!is_gathered(w) && pthread_cond_timedwait(&w->work, &w->mutex, &until) == 0)
        ;
    w->gathering = false;
}

/* Wait for something to do; the open batch may have got more commands. False when all is done and the writer is to stop. */
static bool wait_for_work(struct writer *w)
{
    bool busy;

    pthread_mutex_lock(&w->mutex);
    if (w->thick && w->open->count == 0 && w->flight == ON_GROUND)
        gather(w);
    while (take(w) == 0 && w->flight != SYNCED && !(w->stopping && w->flight == ON_GROUND)) {
        w->door_only = others_room(w) == 0;
        pthread_cond_wait(&w->work, &w->mutex);
    }
    w->door_only = false;
    busy = w->open->count > 0 || w->flight != ON_GROUND;
    pthread_mutex_unlock(&w->mutex);
    return busy;
}

/*
 * While one batch is being synced, the next one runs, and takes whatever comes until it can be committed itself: the slower the disk,
 * the larger the batches, but for those beside a door.
 */
static void *writer_main(void *context)
{
    struct writer *w = context;
    size_t had = 0;

    take_place_among_threads();
    thread_expect_heap(PAGES_BYTES);
    while (wait_for_work(w)) {
        if (w->open->count > had)
            run_taken(w, had);
        if (w->flight == SYNCED)
            land(w);
        if (w->open->count > 0 && w->flight == ON_GROUND)
            depart(w);
        had = w->open->count;
    }
    return NULL;
}

static void writer_free(struct writer *w)
{
    log_copy_stop(w->log_copy);
    for (size_t i = 0; i < COUNT_OF(w->batches); i++) {
        free(w->batches[i].commands);
        free(w->batches[i].notes);
    }
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->sync);
    free(w);
}

static void stop_syncing(struct writer *w)
{
    pthread_mutex_lock(&w->mutex);
    w->sync_stopping = true;
    pthread_cond_signal(&w->sync);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->sync_thread, NULL);
}

static enum err start_threads(struct writer *w)
{
    for (size_t i = 0; i < COUNT_OF(w->batches); i++) {
        w->batches[i].commands = calloc(w->config.batch_max, sizeof(struct command *));
        ENSURE(w->batches[i].commands, ERR_NOMEM, "no_memory", "No memory for the writer.");
    }
    TRY(log_copy_start(w->store, &w->log_copy));
    TRY(thread_start(&w->sync_thread, "sync", sync_main, w));
    enum err code = thread_start(&w->thread, "writer", writer_main, w);
    if (code != OK)
        stop_syncing(w);
    return code;
}

enum err writer_start(struct store *s, const struct writer_config *config,
                      struct writer **ret_writer)
{
    ENSURE(!store_config_of(s)->read_only && config->queue_max > 0 &&
               config->batch_max >= LANE_COUNT && config->batch_max <= 65536,
           ERR_INVALID, "bad_writer", "A writer needs a writable store, a queue and batches.");
    struct writer *w = calloc(1, sizeof *w);
    pthread_condattr_t monotonic;
    ENSURE(w, ERR_NOMEM, "no_memory", "No memory for the writer.");
    w->store = s;
    w->config = *config;
    w->clock = store_config_of(s)->clock;
    w->open = &w->batches[0];
    w->flown = &w->batches[1];
    pthread_mutex_init(&w->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&w->sync, NULL);
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
    stop_syncing(w);
    writer_free(w);
}

void writer_figures(struct writer *w, struct writer_figures *ret_figures)
{
    pthread_mutex_lock(&w->mutex);
    *ret_figures = w->figures;
    pthread_mutex_unlock(&w->mutex);
    log_copy_figures(w->log_copy, &ret_figures->checkpoints, &ret_figures->wal_bytes);
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
