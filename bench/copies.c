/* SPDX-License-Identifier: Apache-2.0 */
#include "copies.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ground/base/thread.h"

enum {
    BACKUP_NICE = 10,
    REPORT_MAX = 3,
    SLICE_PAGES = 64, /* 256 kB in 10 ms */
    SLICE_US = 10000,
};

struct copies {
    char from[BENCH_PATH_MAX + 32], to[BENCH_PATH_MAX + 32];
    pid_t pid;
    int stop, report; /* our ends: closed to end it; what it did */
};

static void check(sqlite3 *db, int code)
{
    if (code != SQLITE_OK && code != SQLITE_DONE)
        die("a copy of the database: %s", sqlite3_errmsg(db));
}

static sqlite3 *open_file(const char *path, int flags)
{
    sqlite3 *db;

    if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK)
        die("a copy of the database: %s: %s", path, sqlite3_errmsg(db));
    return db;
}

static void sync_file(int fd)
{
    if (fdatasync(fd) != 0)
        die("a copy of the database: %s", strerror(errno));
}

/*
 * A slice of pages at a time, each on the disk before the next, and not faster than 25 MB a second: a whole copy at once would fill the
 * disk's queue for tenths of a second. The reader's transaction keeps all slices at one moment, however much is sold meanwhile.
 */
static void copy_slices(sqlite3 *from, sqlite3 *to, int fd)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    int code = SQLITE_OK;

    if (!backup)
        die("a copy of the database: %s", sqlite3_errmsg(to));
    for (int64_t due = now_us(); code == SQLITE_OK; due += SLICE_US) {
        code = sqlite3_backup_step(backup, SLICE_PAGES);
        sync_file(fd);
        int64_t rest = due + SLICE_US - now_us();
        if (code == SQLITE_OK && rest > 0)
            (void)poll(NULL, 0, (int)(rest / 1000));
    }
    check(to, code);
    check(to, sqlite3_backup_finish(backup));
}

static void copy_once(const struct copies *c)
{
    (void)unlink(c->to);
    int fd = open(c->to, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        die("a copy of the database: %s: %s", c->to, strerror(errno));
    sqlite3 *from = open_file(c->from, SQLITE_OPEN_READONLY),
            *to = open_file(c->to, SQLITE_OPEN_READWRITE);
    check(from, sqlite3_busy_timeout(from, 5000));
    /* What is copied is in the file, not in memory, when it is synced. */
    check(to,
          sqlite3_exec(to, "PRAGMA journal_mode = OFF; PRAGMA cache_size = 1", NULL, NULL, NULL));
    check(from, sqlite3_exec(from, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL));
    copy_slices(from, to, fd);
    (void)sqlite3_close(from);
    (void)sqlite3_close(to);
    sync_file(fd);
    close(fd);
}

static bool is_sound(const char *path)
{
    sqlite3 *db = open_file(path, SQLITE_OPEN_READWRITE);
    sqlite3_stmt *q;

    check(db, sqlite3_prepare_v2(db, "PRAGMA quick_check", -1, &q, NULL));
    bool sound =
        sqlite3_step(q) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(q, 0), "ok") == 0;
    (void)sqlite3_finalize(q);
    (void)sqlite3_close(db);
    return sound;
}

static bool is_to_stop(int fd)
{
    char byte;
    return read(fd, &byte, 1) == 0; /* -1 while the other end is open: it does not wait */
}

static void run(const struct copies *c, int stop, int report)
{
    double sums[REPORT_MAX] = {0}; /* copies, seconds, sound */

    thread_nice(BACKUP_NICE);
    do {
        int64_t began = now_us();
        copy_once(c);
        sums[0]++;
        sums[1] += (double)(now_us() - began) / 1e6;
    } while (!is_to_stop(stop));
    sums[2] = is_sound(c->to);
    if (write(report, sums, sizeof sums) != sizeof sums)
        die("a copy of the database: its report");
}

struct copies *copies_begin(const struct world *w)
{
    struct copies *c = calloc(1, sizeof *c);
    int stop[2], report[2];

    if (!c || pipe2(stop, O_CLOEXEC | O_NONBLOCK) != 0 || pipe2(report, O_CLOEXEC) != 0)
        die("a copy of the database: %s", strerror(errno));
    (void)snprintf(c->from, sizeof c->from, "%s/db/gatehouse.sqlite", w->dir);
    (void)snprintf(c->to, sizeof c->to, "%s/copy.db", w->dir);
    c->pid = fork();
    if (c->pid < 0)
        die("a copy of the database: %s", strerror(errno));
    if (c->pid == 0) {
        close(stop[1]);
        run(c, stop[0], report[1]);
        _exit(0);
    }
    close(stop[0]);
    close(report[1]);
    c->stop = stop[1];
    c->report = report[0];
    return c;
}

void copies_end(struct copies *c, struct copying *ret)
{
    double sums[REPORT_MAX];
    struct stat s;
    int status = -1;

    close(c->stop);
    if (read(c->report, sums, sizeof sums) != sizeof sums ||
        waitpid(c->pid, &status, 0) != c->pid || status != 0 || stat(c->to, &s) != 0)
        die("a copy of the database: the copying process did not end well");
    *ret = (struct copying){(unsigned)sums[0], sums[1], s.st_size, sums[2] != 0};
    (void)unlink(c->to);
    close(c->report);
    free(c);
}
