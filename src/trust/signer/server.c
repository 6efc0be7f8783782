/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signing process: start, sandbox, and the loop.
 *
 * Group commit: every question that waits is handled, the journal is written and synced once, then all are answered. Nothing that
 * depends on a record leaves before the record is on the disk. When writing fails (full disk), the whole batch fails and memory is
 * rebuilt from what the disk holds; when that fails too, the process ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "ground/crypto/crypto.h"
#include "ground/proc/sandbox.h"
#include "trust/signer/handlers.h"
#include "trust/signer/master.h"
#include "trust/signer/signer.h"
#include "trust/signer/wire.h"

enum { BATCH_MAX = JOURNAL_BATCH_MAX / SIGNER_MINT_MAX, LOCK_WAIT_MS = 5000, LOCK_STEP_MS = 20 };

struct batch {
    uint8_t rooms[BATCH_MAX][PROC_FRAME_MAX];
    struct proc_frame questions[BATCH_MAX];
    struct buf answers[BATCH_MAX];
    enum err results[BATCH_MAX];
    struct err_info errors[BATCH_MAX];
    size_t count;
};

static void batch_free(struct batch **b)
{
    if (!*b)
        return;
    for (size_t i = 0; i < BATCH_MAX; i++)
        buf_done(&(*b)->answers[i]);
    free(*b);
}

/* --- Start ----------------------------------------------------------------------------------------------------------- */

/*
 * One signer a directory. Why it waits a moment: at a restart the signer before may be on its way out. Why flock and a file of its
 * own: closing any other descriptor of a file drops fcntl locks.
 */
static enum err take_lock(const char *dir, int *ret_fd)
{
    AUTO(fd_close) int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ENSURE(dir_fd >= 0, ERR_IO, "no_signer_dir", "The signer's directory %s: %s", dir,
           strerror(errno));
    AUTO(fd_close) int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    ENSURE(fd >= 0, ERR_IO, "no_lock", "The signer's lock cannot be opened: %s", strerror(errno));
    struct timespec step = {0, LOCK_STEP_MS * 1000000L};
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited += LOCK_STEP_MS) {
        ENSURE(errno == EWOULDBLOCK && waited < LOCK_WAIT_MS, ERR_BUSY, "signer_running",
               "Another signer uses this directory.");
        nanosleep(&step, NULL);
    }
    *ret_fd = fd;
    fd = -1;
    return OK;
}

static enum err file_exists(const struct disk *disk, const char *name, bool *ret_exists)
{
    AUTO(buf_done) struct buf none = {0};

    buf_init(&none, 1);
    enum err e = disk->read(disk->self, name, &none);
    *ret_exists = e != ERR_NOT_FOUND;
    return e == ERR_NOT_FOUND || e == ERR_LIMIT ? OK : e;
}

/*
 * A first run makes journal, master key, log head and keystore, in this order, so that a keystore means that all of them were there.
 * A directory that has only some of its files has lost others, and is not one to go on with.
 */
static enum err first_run(struct signer *s, const struct signer_config *config, bool has_head)
{
    ENSURE(s->state.journal.head.sequence == 0, ERR_CORRUPT, "signer_incomplete",
           "The signer's directory has lost its keystore; restore it whole.");
    TRY(master_read(config->master_path, !has_head, &s->master));
    if (has_head)
        TRY(log_head_open(s->disk, &s->master, &s->log_head));
    ENSURE(s->log_head.size == 0, ERR_CORRUPT, "signer_incomplete",
           "The signer's directory has lost its keystore; restore it whole.");
    TRY(log_head_create(s->disk, &s->master, &s->log_head));
    return keystore_create(s->disk, s->clock, &s->master, config->log_origin, &s->keys);
}

static enum err load_files(struct signer *s, const struct signer_config *config)
{
    bool has_keys, has_head, has_journal;

    TRY(file_exists(s->disk, "keystore", &has_keys));
    TRY(file_exists(s->disk, "log_head", &has_head));
    TRY(file_exists(s->disk, "mint/00000001.journal", &has_journal));
    ENSURE(!has_keys || (has_head && has_journal), ERR_CORRUPT, "signer_incomplete",
           "The signer's directory has lost its %s; restore it whole.",
           has_head ? "mint journal" : "log head");
    if (has_keys) { /* the master key first: without it nothing here is touched */
        TRY(master_read(config->master_path, false, &s->master));
        TRY(keystore_open(s->disk, s->clock, &s->master, &s->keys));
        TRY(log_head_open(s->disk, &s->master, &s->log_head));
    }
    TRY(state_open(s->disk, &s->state));
    if (!has_keys)
        TRY(first_run(s, config, has_head));
    ENSURE(strcmp(s->keys.origin, config->log_origin) == 0, ERR_CONFLICT, "other_origin",
           "The ledger's origin is %s; it never changes.", s->keys.origin);
    const struct keystore_key *log = keystore_find(&s->keys, KEY_LOG, false, 0, NULL);
    ENSURE(log, ERR_CORRUPT, "no_log_key", "The keystore has no log key.");
    return vkey_make(s->keys.origin, NOTE_ED25519, log->ed25519.public_key, &s->vkey);
}

static enum err start(struct signer *s, const struct signer_config *config, struct disk *disk,
                      int *ret_lock)
{
    static const uint8_t no_key[ED25519_PUBLIC_BYTES];
    const char *dirs[] = {config->dir};
    struct sandbox_spec sandbox = {
        .profile = SANDBOX_SIGNER, .write_dirs = dirs, .write_dir_count = 1};
    struct vkey probe;

    TRY(vkey_make(config->log_origin, NOTE_ED25519, no_key, &probe)); /* is it a key name? */
    TRY(take_lock(config->dir, ret_lock));
    TRY(disk_open(config->dir, disk));
    s->disk = disk;
    s->clock = clock_system();
    TRY(load_files(s, config));
    return sandbox_enter(&sandbox, &s->landlock);
}

/* --- The loop -------------------------------------------------------------------------------------------------------- */

static bool depends_on_journal(uint16_t type)
{
    return type == SIGNER_MINT || type == SIGNER_EVENT_OPEN || type == SIGNER_GATE_KEY ||
           type == SIGNER_STATUS;
}

/* Forget what is not on the disk; fail what was answered from it. */
static enum err reload(struct signer *s, struct batch *b)
{
    struct err_info why;

    err_save(&why);
    if (why.code == OK)
        why = (struct err_info){.code = ERR_IO, .slug = "journal_failed"};
    for (size_t i = 0; i < b->count; i++) {
        if (!depends_on_journal(b->questions[i].type) || b->results[i] != OK)
            continue;
        b->results[i] = why.code;
        b->errors[i] = why;
    }
    state_done(&s->state);
    TRY(state_open(s->disk, &s->state));
    s->doubtful = false;
    return OK;
}

static void handle_all(struct signer *s, struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        buf_reset(&b->answers[i]);
        b->results[i] = s->doubtful ? ERR_IO : signer_handle(s, &b->questions[i], &b->answers[i]);
        if (b->results[i] == OK)
            continue;
        if (s->doubtful)
            b->results[i] = err_raise(ERR_IO, NULL, __FILE__, __LINE__, "journal_failed",
                                      "The signer could not write its journal.");
        err_save(&b->errors[i]);
        /* A refusal to sign the log is for the operator, whatever the server makes of it. */
        if (b->questions[i].type == SIGNER_LOG_SIGN && b->results[i] == ERR_CONFLICT)
            log_error_info(LOG_ERROR, "sign the log", &b->errors[i]);
    }
}

static enum err answer_all(int fd, struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        struct span answer = buf_span(&b->answers[i]);
        TRY(b->results[i] == OK ? proc_answer(fd, &b->questions[i], answer)
                                : proc_answer_error(fd, &b->questions[i], &b->errors[i]));
        wipe(b->answers[i].data, b->answers[i].len);
    }
    return OK;
}

/* All questions that wait now, at least one. A frame that is none ends the process: the other side is not ours. */
static enum err gather(int fd, struct batch *b)
{
    b->count = 0;
    TRY(proc_receive(fd, b->rooms[0], -1, &b->questions[0]));
    for (b->count = 1; b->count < BATCH_MAX; b->count++) {
        enum err e = proc_receive(fd, b->rooms[b->count], 0, &b->questions[b->count]);
        if (e == ERR_EXPIRED || e == ERR_NOT_FOUND)
            return OK; /* an end is seen again by the next call */
        TRY(e);
    }
    return OK;
}

static enum err serve(struct signer *s, int fd)
{
    AUTO(batch_free) struct batch *b = calloc(1, sizeof *b);

    ENSURE(b, ERR_NOMEM, "no_memory", "No memory.");
    for (size_t i = 0; i < BATCH_MAX; i++)
        buf_init(&b->answers[i], PROC_PAYLOAD_MAX);
    for (;;) {
        TRY(gather(fd, b));
        handle_all(s, b);
        if (s->doubtful || journal_sync(&s->state.journal) != OK) {
            log_error_info(LOG_ERROR, "write the mint journal", err_last());
            TRY(reload(s, b));
        }
        TRY(answer_all(fd, b));
    }
}

static void stop(struct signer *s, struct disk *disk, int lock)
{
    state_done(&s->state);
    keystore_done(&s->keys);
    secret32_wipe(&s->master);
    secret32_wipe(&s->log_head.key);
    secret_free(s);
    disk_close(disk);
    fd_close(&lock);
}

int signer_main(int fd, const struct signer_config *config)
{
    struct signer *s = NULL;
    struct disk disk = {0};
    int lock = -1;

    log_setup(LOG_INFO, "signer");
    if (crypto_init() != OK || (s = secret_new(sizeof *s)) == NULL) {
        log_error("the signer has no secret memory");
        return 1;
    }
    s->state.journal.handle = -1;
    bool started = start(s, config, &disk, &lock) == OK;
    if (!started) {
        log_error_info(LOG_ERROR, "start the signer", err_last());
    } else if (!s->landlock) {
        log_warn("this kernel has no Landlock: the signer's files are not confined by path");
    }
    bool ended = started && serve(s, fd) == ERR_NOT_FOUND;
    if (started && !ended)
        log_error_info(LOG_ERROR, "serve", err_last());
    stop(s, &disk, lock);
    return ended ? 0 : 1;
}
