/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/proc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ground/base/fd.h"

enum { REPORT_FD = 4, FD_SWEEP_MAX = 65536 };

/* From here to execve the child may call only what is safe after fork in a program with threads. */
static void close_from(unsigned first)
{
    struct rlimit limit;

    if (syscall(SYS_close_range, first, ~0U, 0U) == 0)
        return;
    rlim_t end = FD_SWEEP_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < end)
        end = limit.rlim_cur;
    for (rlim_t fd = first; fd < end; fd++)
        close((int)fd);
}

static void reset_signals(void)
{
    sigset_t none;

    for (int s = 1; s < NSIG; s++)
        signal(
            s,
            SIG_DFL); /* fails for SIGKILL, SIGSTOP and the C library's own; nothing to reset there */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Move two descriptors to 3 and 4 whatever their numbers are now. */
static bool place_fds(int socket_fd, int report_fd, bool output)
{
    int s = fcntl(socket_fd, F_DUPFD, 10), r = fcntl(report_fd, F_DUPFD, 10);
    int null_fd = open("/dev/null", O_RDONLY);

    return s >= 0 && r >= 0 && null_fd >= 0 && dup2(null_fd, STDIN_FILENO) >= 0 &&
           dup2(s, PROC_CHILD_FD) >= 0 && dup2(r, REPORT_FD) >= 0 &&
           (!output || dup2(s, STDOUT_FILENO) >= 0) && fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC) == 0;
}

static _Noreturn void become(const struct proc_spec *spec, pid_t parent, int socket_fd,
                             int report_fd)
{
    if (place_fds(socket_fd, report_fd, spec->output)) {
        report_fd = REPORT_FD;
        close_from(REPORT_FD + 1);
        reset_signals();
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
            execve(spec->path ? spec->path : "/proc/self/exe", (char *const *)(uintptr_t)spec->argv,
                   spec->env ? (char *const *)(uintptr_t)spec->env : environ);
    }
    int why = errno;
    ssize_t told = write(report_fd, &why, sizeof why);
    _exit(told == sizeof why ? 126 : 127);
}

/* Zero once the child runs its new program, or the errno that kept it from doing so. */
static int read_report(int fd)
{
    int why = 0;
    ssize_t n;

    do
        n = read(fd, &why, sizeof why);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno;
    return n == sizeof why ? (why ? why : EINVAL) : 0;
}

enum err proc_find(const char *const *places, size_t count, int how, char *out, size_t size)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    ENSURE(n > 0, ERR_IO, "no_program", "This program's own place is unknown: %s", strerror(errno));
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (slash)
        slash[1] = '\0';
    for (size_t i = 0; i < count; i++) {
        int len = snprintf(out, size, "%s%s", self, places[i]);
        if (len > 0 && (size_t)len < size && access(out, how) == 0)
            return OK;
    }
    FAIL(ERR_NOT_FOUND, "no_program", "%s is not in %s%s%s", places[0], self,
         count > 1 ? ", nor is it at " : "", count > 1 ? places[count - 1] : "");
}

enum err proc_spawn(const struct proc_spec *spec, struct proc_child *ret_child)
{
    int pair[2], report[2];
    pid_t parent = getpid();

    ENSURE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, ERR_IO, "spawn_failed",
           "No socket pair: %s", strerror(errno));
    AUTO(fd_close) int ours = pair[0];
    AUTO(fd_close) int theirs = pair[1];
    ENSURE(pipe2(report, O_CLOEXEC) == 0, ERR_IO, "spawn_failed", "No pipe: %s", strerror(errno));
    AUTO(fd_close) int report_in = report[0];
    AUTO(fd_close) int report_out = report[1];

    pid_t pid = fork();
    ENSURE(pid >= 0, ERR_IO, "spawn_failed", "No process: %s", strerror(errno));
    if (pid == 0)
        become(spec, parent, theirs, report_out);
    close(report_out);
    report_out = -1;
    int why = read_report(report_in);
    if (why != 0) {
        waitpid(pid, NULL, 0);
        FAIL(ERR_IO, "spawn_failed", "The program does not start: %s", strerror(why));
    }
    *ret_child = (struct proc_child){pid, ours};
    ours = -1;
    return OK;
}

enum err proc_wait(struct proc_child *child, int timeout_ms, int *ret_status)
{
    int status = 0;

    AUTO(fd_close) int pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0U);
    ENSURE(pidfd >= 0, ERR_IO, "wait_failed", "Cannot watch the child: %s", strerror(errno));
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int n;
    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    ENSURE(n != 0, ERR_EXPIRED, "still_running", "The child is still running.");
    ENSURE(n > 0 && waitpid(child->pid, &status, 0) == child->pid, ERR_IO, "wait_failed",
           "Cannot wait for the child: %s", strerror(errno));
    child->pid = 0;
    *ret_status = status;
    return OK;
}

void proc_stop(struct proc_child *child, int grace_ms)
{
    int status;

    if (child->fd >= 0)
        close(child->fd);
    child->fd = -1;
    if (child->pid <= 0)
        return;
    if (proc_wait(child, grace_ms, &status) == OK)
        return;
    kill(child->pid, SIGKILL);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    child->pid = 0;
}

enum err proc_signals_open(int *ret_fd)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    ENSURE(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0 && sigaction(SIGPIPE, &ignore, NULL) == 0,
           ERR_IO, "signals_failed", "Signals cannot be set up.");
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    ENSURE(fd >= 0, ERR_IO, "signals_failed", "No signal descriptor: %s", strerror(errno));
    *ret_fd = fd;
    return OK;
}

int proc_signals_read(int fd)
{
    struct signalfd_siginfo info;

    return read(fd, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}
