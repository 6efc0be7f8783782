/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_PROC_SPAWN_H
#define GROUND_PROC_SPAWN_H

/*
 * spawn - start another program of this source as a child that talks over one socket and dies with its parent.
 *
 * The child has standard input from /dev/null, output (unless asked for) and error as ours, PROC_CHILD_FD one end of the socket
 * pair (channel.h), and no other descriptor; default signal handling; SIGKILL when the parent's spawning thread ends.
 * Traps: the kernel ties that last to the thread, not the process, so spawn from one that lives as long as the program.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "ground/base/result.h"

enum { PROC_CHILD_FD = 3 };

struct proc_spec {
    const char *path;        /* NULL: this very program (/proc/self/exe) */
    const char *const *argv; /* argv[0] included, NULL at the end */
    const char *const *env;  /* NULL: ours */
    bool output; /* its prints arrive at our end of the socket, a message each; no channel then */
};

struct proc_child {
    pid_t pid; /* 0 when there is none */
    int fd;    /* our end; proc_channel_open takes it, set to -1 then */
};

/*
 * What is installed with this program: the first of the places, each relative to its folder, that access(2) allows (X_OK for a program).
 * ERR_NOT_FOUND "no_program" names the first and the last.
 */
RESULT proc_find(const char *const *places, size_t count, int how, char *out, size_t size);
/* ERR_IO "spawn_failed" also when the program cannot be executed. */
RESULT proc_spawn(const struct proc_spec *spec, struct proc_child *ret_child);
/* Wait for its end; *ret_status as of waitpid. ERR_EXPIRED "still_running" after timeout_ms (-1: for ever). */
RESULT proc_wait(struct proc_child *child, int timeout_ms, int *ret_status);
/* Close our end (the child sees the end of its input), wait, then kill. Reaped and fd closed in any case. */
void proc_stop(struct proc_child *child, int grace_ms);

/*
 * Signals as a file descriptor: SIGTERM, SIGINT, SIGHUP are blocked in this thread and those it starts later, SIGPIPE is ignored.
 * Read with proc_signals_read, 0 when none waits.
 */
RESULT proc_signals_open(int *ret_fd);
int proc_signals_read(int fd);

#endif
