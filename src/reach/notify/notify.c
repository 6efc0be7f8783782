/* SPDX-License-Identifier: Apache-2.0 */
/* notify - due jobs to the courier, their ends to the writer. */
#include "reach/notify/notify.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 60 * 1000, RETRY_MIN_MS = 30 * 1000, RETRY_MAX_MS = 60 * 60 * 1000 };

struct notify {
    struct notify_config config;
    pthread_mutex_t lock; /* what follows */
    bool stopped;
    size_t references;                       /* the owner's and one for each job under way */
    struct job_id active[NOTIFY_ACTIVE_MAX]; /* jobs under way; zeros: free */
};

/* A job on its way: to the courier, then to the writer. */
struct errand {
    struct command command; /* first */
    struct notify *n;
    struct job_id job;
    int64_t attempts;
    bool sent, hopeless;
    char why[ERR_SLUG_MAX];
};

static void drop_reference(struct notify *n)
{
    pthread_mutex_lock(&n->lock);
    bool last = --n->references == 0;
    pthread_mutex_unlock(&n->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&n->lock);
    free(n);
}

enum err notify_new(const struct notify_config *config, struct notify **ret_notify)
{
    struct notify *n = calloc(1, sizeof *n);

    ENSURE(n, ERR_NOMEM, "no_memory", "No memory.");
    n->config = *config;
    n->references = 1;
    pthread_mutex_init(&n->lock, NULL);
    *ret_notify = n;
    return OK;
}

void notify_free(struct notify *n)
{
    if (!n)
        return;
    pthread_mutex_lock(&n->lock);
    n->stopped = true;
    pthread_mutex_unlock(&n->lock);
    drop_reference(n);
}

/* Mark the job as under way; false when it is, or when enough are. */
static bool take_job(struct notify *n, struct job_id job)
{
    struct job_id *room = NULL;
    bool known = false;

    pthread_mutex_lock(&n->lock);
    for (size_t i = 0; i < COUNT_OF(n->active); i++) {
        known |= job_id_eq(n->active[i], job);
        if (job_id_eq(n->active[i], (struct job_id){0}))
            room = &n->active[i];
    }
    bool taken = !known && room && !n->stopped;
    if (taken) {
        *room = job;
        n->references++;
    }
    pthread_mutex_unlock(&n->lock);
    return taken;
}

static void end_errand(struct errand *e)
{
    struct notify *n = e->n;

    pthread_mutex_lock(&n->lock);
    for (size_t i = 0; i < COUNT_OF(n->active); i++)
        if (job_id_eq(n->active[i], e->job))
            n->active[i] = (struct job_id){0};
    pthread_mutex_unlock(&n->lock);
    drop_reference(n);
    free(e);
}

/* --- The end of a job, on the writer --------------------------------------------------------------------------------- */

static enum err note_end(struct store_tx *tx, struct command *c)
{
    const struct errand *e = (const struct errand *)c;
    int64_t wait_ms = RETRY_MIN_MS;
    enum err code;

    for (int64_t i = 0; i < e->attempts && wait_ms < RETRY_MAX_MS; i++)
        wait_ms *= 2;
    if (e->sent)
        code = store_job_done(tx, e->job);
    else if (e->hopeless || e->attempts + 1 >= NOTIFY_TRIES_MAX)
        code = store_job_dead(tx, e->job, e->why);
    else
        code = store_job_retry(tx, e->job, store_now_ms(tx) + wait_ms, e->why);
    return code == ERR_NOT_FOUND ? OK : code; /* ended before */
}

static void noted(struct command *c, const struct err_info *error)
{
    if (error)
        log_error_info(LOG_ERROR, "noting the end of a mail", error);
    end_errand((struct errand *)c);
}

/* Why under the lock: after notify_free nothing may reach the writer. */
static void submit_end(struct errand *e)
{
    struct notify *n = e->n;

    e->command = (struct command){.run = note_end, .done = noted, .lane = LANE_BACK};
    pthread_mutex_lock(&n->lock);
    bool taken = !n->stopped && writer_submit(n->config.writer, &e->command) == OK;
    pthread_mutex_unlock(&n->lock);
    if (!taken)
        end_errand(e); /* it is due still, and will be sent again */
}

static void sent(void *context, const struct courier_answer *a)
{
    struct errand *e = context;
    char id[ID_TEXT_MAX];

    e->sent = a->outcome == COURIER_ANSWERED && a->status >= 200 && a->status < 300;
    if (!e->sent) {
        (void)snprintf(e->why, sizeof e->why, "%.24s_%d", a->why, a->status);
        job_id_format(e->job, id);
        log_warn("a mail (%s) was not sent: %s", id, e->why);
    }
    submit_end(e);
}

/* --- The way out ----------------------------------------------------------------------------------------------------- */

/* A mail that cannot be written is dead when it never will be. */
static void give_up(struct errand *e, enum err code)
{
    e->hopeless = code == ERR_EXPIRED || code == ERR_NOT_FOUND || code == ERR_INVALID;
    (void)snprintf(e->why, sizeof e->why, "%s", err_last()->slug);
    log_error_info(LOG_WARN, "a mail cannot be written", err_last());
    submit_end(e);
}

static enum err send_mail(struct notify *n, const struct store_job *job, struct errand *e,
                          const struct notify_mail *mail)
{
    char name[ID_TEXT_MAX];

    job_id_format(job->id, name);
    const struct courier_mail m = {.name = name,
                                   .to = mail->to,
                                   .message = buf_span(&mail->message),
                                   .deadline_ms = DEADLINE_MS,
                                   .done = sent,
                                   .context = e};
    return courier_submit_mail(n->config.courier, &m);
}

static enum err run_job(struct notify *n, struct store_tx *tx, const struct store_job *job)
{
    struct notify_mail mail = {0};
    struct errand *e = calloc(1, sizeof *e);

    ENSURE(e, ERR_NOMEM, "no_memory", "No memory for a mail.");
    if (!take_job(n, job->id)) {
        free(e);
        return OK;
    }
    *e = (struct errand){.n = n, .job = job->id, .attempts = job->attempts};
    enum err code = notify_compose(tx, &n->config, job, &mail);
    if (code == OK) {
        code = send_mail(n, job, e, &mail);
        buf_done(&mail.message);
    }
    if (code == ERR_BUSY)
        end_errand(e); /* later */
    else if (code != OK)
        give_up(e, code);
    return OK;
}

enum err notify_run(struct notify *n, struct store_reader *reader)
{
    struct store_job jobs[NOTIFY_ACTIVE_MAX];
    struct store_tx *tx;
    size_t count = 0;

    TRY(store_read_begin(reader, &tx));
    enum err e = store_job_due(tx, jobs, COUNT_OF(jobs), &count);
    for (size_t i = 0; e == OK && i < count; i++)
        if (strncmp(jobs[i].kind, "mail.", 5) == 0)
            e = run_job(n, tx, &jobs[i]);
    store_read_end(tx);
    return e;
}
