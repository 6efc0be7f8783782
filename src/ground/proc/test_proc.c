/* SPDX-License-Identifier: Apache-2.0 */
/* Real children: this program starts itself again with a role as its first argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ground/base/base.h"
#include "ground/proc/channel.h"
#include "ground/proc/sandbox.h"
#include "ground/proc/spawn.h"

enum {
    ECHO = 1,
    FAIL_IT,
    SILENCE,
    FDS,
    GRANDCHILD,
    ATTEMPTS,
    DIE,
    BATCH_MAX = 64,
    WAIT_MS = 10000
};

/* --- The child --------------------------------------------------------------------------------------------------------- */

static int number(const char *name)
{
    int64_t v = -1;
    return text_to_i64(span_text(name), &v) == OK ? (int)v : -1;
}

static void answer_fds(int fd, const struct proc_frame *q)
{
    uint8_t out[64];
    size_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *e;

    while (dir && (e = readdir(dir)) != NULL && n < sizeof out)
        if (e->d_name[0] != '.' && number(e->d_name) != dirfd(dir))
            out[n++] = (uint8_t)number(e->d_name);
    if (dir)
        closedir(dir);
    (void)!proc_answer(fd, q, span_of(out, n));
}

static void answer_grandchild(int fd, const struct proc_frame *q)
{
    static const char *const argv[] = {"test", "echo", NULL};
    struct proc_spec spec = {.argv = argv};
    struct proc_child child;
    uint8_t pid[4];

    if (proc_spawn(&spec, &child) != OK)
        abort();
    put_u32be(pid, (uint32_t)child.pid);
    (void)!proc_answer(fd, q, span_of(pid, 4));
}

static void answer_one(int fd, const struct proc_frame *q)
{
    if (q->type == ECHO) {
        (void)!proc_answer(fd, q, q->payload);
    } else if (q->type == FAIL_IT) {
        err_raise(ERR_CONFLICT, NULL, __FILE__, __LINE__, "seat_taken", "Row %d is held.", 7);
        (void)!proc_answer_error(fd, q, err_last());
    } else if (q->type == FDS) {
        answer_fds(fd, q);
    } else if (q->type == GRANDCHILD) {
        answer_grandchild(fd, q);
    } else if (q->type == DIE) {
        raise(SIGKILL);
    }
}

/* Answers what is there in reverse order. */
static int echo_main(void)
{
    static uint8_t room[BATCH_MAX][PROC_FRAME_MAX];
    struct proc_frame q[BATCH_MAX];

    for (;;) {
        size_t n = 0;
        enum err e = proc_receive(PROC_CHILD_FD, room[0], -1, &q[0]);
        while (e == OK && ++n < BATCH_MAX)
            e = proc_receive(PROC_CHILD_FD, room[n], 0, &q[n]);
        while (n > 0)
            answer_one(PROC_CHILD_FD, &q[--n]);
        if (e == ERR_NOT_FOUND)
            return 0;
        if (e != OK && e != ERR_EXPIRED)
            return 5;
    }
}

enum attempt {
    TRY_INET,
    TRY_UNIX,
    TRY_EXEC,
    TRY_OPEN_ELSEWHERE,
    TRY_OPEN_ABSOLUTE_AT,
    TRY_FORK,
    TRY_MAP_CODE,
    TRY_KILL_PARENT,
    TRY_OWN_FILE,
    TRY_MEMORY,
    TRY_THREAD,
    ATTEMPT_COUNT
};

static void *nothing(void *p)
{
    return p;
}

static uint8_t attempt(enum attempt what, const struct disk *disk, int dir)
{
    static char *const none[] = {NULL};
    pthread_t thread;
    pid_t pid;
    int fd = 0;

    errno = 0;
    switch (what) {
    case TRY_INET:
        fd = socket(AF_INET, SOCK_STREAM, 0);
        break;
    case TRY_UNIX:
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        break;
    case TRY_EXEC:
        fd = execve("/nonexistent-program", none, none);
        return errno == ENOENT ? 0 : (uint8_t)errno;
    case TRY_OPEN_ELSEWHERE:
        fd = open("/etc/passwd", O_RDONLY);
        break;
    case TRY_OPEN_ABSOLUTE_AT:
        fd = openat(dir, "/etc/passwd", O_RDONLY);
        break;
    case TRY_FORK:
        pid = fork();
        if (pid == 0)
            _exit(0);
        fd = pid < 0 ? -1 : 0;
        break;
    case TRY_MAP_CODE:
        fd = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                     MAP_FAILED
                 ? -1
                 : 0;
        break;
    case TRY_KILL_PARENT:
        fd = kill(getppid(), 0);
        break;
    case TRY_OWN_FILE:
        fd = disk->replace(disk->self, "sub/file", SPAN_LIT("x"), 0600) == OK &&
                     disk->create(disk->self, "once", SPAN_LIT("x"), 0600) == OK
                 ? 0
                 : -1;
        break;
    case TRY_MEMORY:
        fd = calloc(1, 8 << 20) ? 0 : -1;
        break;
    case TRY_THREAD:
        errno = pthread_create(&thread, NULL, nothing, NULL);
        fd = errno ? -1 : pthread_join(thread, NULL);
        break;
    case ATTEMPT_COUNT:
        break;
    }
    return fd >= 0 ? 0 : (uint8_t)(errno ? errno : 255);
}

/* Confine itself as told, try everything, answer with the errno of each. */
static int attempts_main(const char *profile, const char *dir)
{
    static uint8_t room[PROC_FRAME_MAX];
    const char *dirs[] = {dir};
    struct sandbox_spec spec = {.write_dirs = dirs, .write_dir_count = 1};
    uint8_t out[ATTEMPT_COUNT + 2] = {0};
    struct proc_frame q;
    struct disk disk;
    struct rlimit core;
    bool landlock = false;
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir_fd < 0 || disk_open(dir, &disk) != OK)
        return 1;
    spec.profile = strcmp(profile, "signer") == 0 ? SANDBOX_SIGNER : SANDBOX_NETWORK;
    if (strcmp(profile, "network") == 0)
        spec.write_dir_count = 0;
    if (strcmp(profile, "none") != 0 && sandbox_enter(&spec, &landlock) != OK)
        return 2;
    if (proc_receive(PROC_CHILD_FD, room, -1, &q) != OK)
        return 3;
    for (int i = 0; i < ATTEMPT_COUNT; i++)
        out[i] = attempt((enum attempt)i, &disk, dir_fd);
    out[ATTEMPT_COUNT] = landlock;
    out[ATTEMPT_COUNT + 1] = getrlimit(RLIMIT_CORE, &core) == 0 ? core.rlim_max == 0 : 2;
    if (proc_answer(PROC_CHILD_FD, &q, SPAN_ARRAY(out)) != OK)
        return 4;
    _exit(0);
}

/* --- The tests ---------------------------------------------------------------------------------------------------------- */

struct peer {
    struct proc_child child;
    struct proc_channel *channel;
};

static struct peer start(const char *role, const char *a, const char *b)
{
    const char *const argv[] = {"test", role, a, b, NULL};
    struct proc_spec spec = {.argv = argv};
    struct peer p;

    assert_int_equal(proc_spawn(&spec, &p.child), OK);
    assert_int_equal(proc_channel_open(p.child.fd, &p.channel), OK);
    p.child.fd = -1;
    return p;
}

static void stop(struct peer *p)
{
    proc_channel_close(p->channel);
    proc_stop(&p->child, WAIT_MS);
    assert_int_equal(p->child.pid, 0);
}

static enum err ask(struct peer *p, uint16_t type, struct span s, int timeout_ms, struct buf *out)
{
    buf_init(out, PROC_PAYLOAD_MAX);
    return proc_call(p->channel, type, s, timeout_ms, out);
}

static void a_question_gets_its_answer(void **state)
{
    static uint8_t big[PROC_PAYLOAD_MAX + 1];
    struct peer p = start("echo", NULL, NULL);
    struct buf out;

    (void)state;
    memset(big, 0x5a, sizeof big);
    assert_int_equal(ask(&p, ECHO, SPAN_LIT("hello"), WAIT_MS, &out), OK);
    assert_true(span_eq_text(buf_span(&out), "hello"));
    buf_done(&out);
    assert_int_equal(ask(&p, ECHO, span_of(NULL, 0), WAIT_MS, &out), OK);
    assert_int_equal(out.len, 0);
    buf_done(&out);
    assert_int_equal(ask(&p, ECHO, span_of(big, PROC_PAYLOAD_MAX), WAIT_MS, &out), OK);
    assert_true(span_eq(buf_span(&out), span_of(big, PROC_PAYLOAD_MAX)));
    buf_done(&out);
    assert_int_equal(ask(&p, ECHO, SPAN_ARRAY(big), WAIT_MS, &out), ERR_LIMIT);
    buf_init(&out, 3);
    assert_int_equal(proc_call(p.channel, ECHO, SPAN_LIT("hello"), WAIT_MS, &out), ERR_LIMIT);
    buf_done(&out);
    stop(&p);
}

static void an_error_arrives_as_it_was_raised(void **state)
{
    struct peer p = start("echo", NULL, NULL);
    struct buf out;

    (void)state;
    assert_int_equal(ask(&p, FAIL_IT, SPAN_LIT(""), WAIT_MS, &out), ERR_CONFLICT);
    assert_string_equal(err_last()->slug, "seat_taken");
    assert_string_equal(err_last()->detail, "Row 7 is held.");
    stop(&p);
}

static void *ask_many(void *context)
{
    struct peer *p = context;
    enum { WINDOW = 32, ROUNDS = 40 };
    static _Thread_local struct proc_pending pending[WINDOW];
    static _Thread_local struct buf out[WINDOW];
    uint8_t payload[16];
    intptr_t wrong = 0;

    for (uint32_t r = 0; r < ROUNDS; r++) {
        for (uint32_t i = 0; i < WINDOW; i++) {
            put_u64be(payload, (uint64_t)(uintptr_t)&pending);
            put_u64be(payload + 8, r << 16 | i);
            buf_init(&out[i], 64);
            wrong += proc_call_begin(p->channel, ECHO, SPAN_ARRAY(payload), WAIT_MS, &out[i],
                                     &pending[i]) != OK;
        }
        for (uint32_t i = 0; i < WINDOW; i++) {
            wrong += proc_call_end(p->channel, &pending[i], WAIT_MS) != OK;
            wrong += out[i].len != 16 || get_u64be(out[i].data) != (uint64_t)(uintptr_t)&pending ||
                     get_u64be(out[i].data + 8) != (r << 16 | i);
            buf_done(&out[i]);
        }
    }
    return (void *)wrong;
}

static void many_questions_of_many_threads_find_their_askers(void **state)
{
    struct peer p = start("echo", NULL, NULL);
    pthread_t threads[4];
    void *wrong;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_many, &p), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    stop(&p);
}

static void no_answer_in_time_is_uncertain_and_the_channel_goes_on(void **state)
{
    struct peer p = start("echo", NULL, NULL);
    struct buf out;

    (void)state;
    assert_int_equal(ask(&p, SILENCE, SPAN_LIT(""), 30, &out), ERR_UNCERTAIN);
    assert_int_equal(ask(&p, ECHO, SPAN_LIT("still"), WAIT_MS, &out), OK);
    buf_done(&out);
    stop(&p);
}

static void a_killed_child_leaves_the_question_uncertain_and_takes_no_more(void **state)
{
    struct peer p = start("echo", NULL, NULL);
    struct buf out;
    int status;

    (void)state;
    assert_int_equal(ask(&p, DIE, SPAN_LIT(""), WAIT_MS, &out), ERR_UNCERTAIN);
    assert_int_equal(proc_wait(&p.child, WAIT_MS, &status), OK);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(ask(&p, ECHO, SPAN_LIT(""), WAIT_MS, &out), ERR_BUSY);
    assert_false(proc_channel_alive(p.channel));
    stop(&p);
}

static void what_is_no_frame_is_refused(void **state)
{
    static uint8_t room[PROC_FRAME_MAX], huge[PROC_FRAME_MAX + 50];
    static const uint8_t good[] = {0, 0, 0, 1, 0, 9, 0, 0, 0, 0, 0, 3, 'x'};
    struct proc_frame f;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(send(pair[0], good, sizeof good, 0), sizeof good);
    assert_int_equal(send(pair[0], good, sizeof good - 1, 0), sizeof good - 1);
    assert_int_equal(send(pair[0], good, 5, 0), 5);
    assert_int_equal(send(pair[0], huge, sizeof huge, 0), sizeof huge);
    assert_int_equal(proc_receive(pair[1], room, 0, &f), OK);
    assert_int_equal(f.type, 9);
    assert_int_equal(f.id, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(proc_receive(pair[1], room, 0, &f), ERR_INVALID);
    assert_int_equal(proc_receive(pair[1], room, 0, &f), ERR_EXPIRED);
    close(pair[0]);
    assert_int_equal(proc_receive(pair[1], room, -1, &f), ERR_NOT_FOUND);
    close(pair[1]);
}

static void a_child_inherits_no_descriptor_but_its_own(void **state)
{
    int extra = open("/dev/null", O_RDONLY); /* without CLOEXEC */
    struct peer p = start("echo", NULL, NULL);
    struct buf out;

    (void)state;
    assert_int_equal(ask(&p, FDS, SPAN_LIT(""), WAIT_MS, &out), OK);
    assert_int_equal(out.len, 4);
    for (size_t i = 0; i < out.len; i++)
        assert_true(out.data[i] <= PROC_CHILD_FD);
    buf_done(&out);
    stop(&p);
    close(extra);
}

static void a_child_dies_with_its_parent(void **state)
{
    struct peer p = start("echo", NULL, NULL);
    struct buf out;

    (void)state;
    assert_int_equal(ask(&p, GRANDCHILD, SPAN_LIT(""), WAIT_MS, &out), OK);
    int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)get_u32be(out.data), 0U);
    assert_true(pidfd >= 0);
    struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 0), 0);
    kill(p.child.pid, SIGKILL);
    assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
    close(pidfd);
    buf_done(&out);
    stop(&p);
}

static void a_missing_program_is_an_error_not_a_child(void **state)
{
    static const char *const argv[] = {"x", NULL};
    struct proc_spec spec = {.path = "/nonexistent/program", .argv = argv};
    struct proc_child child = {0, -1};

    (void)state;
    assert_int_equal(proc_spawn(&spec, &child), ERR_IO);
    assert_int_equal(child.pid, 0);
}

static void attempts(const char *profile, uint8_t out[ATTEMPT_COUNT + 2])
{
    char dir[] = "/tmp/gh-proc-XXXXXX";
    char command[64];
    struct buf answer;

    assert_non_null(mkdtemp(dir));
    struct peer p = start("attempts", profile, dir);
    assert_int_equal(ask(&p, ATTEMPTS, SPAN_LIT(""), WAIT_MS, &answer), OK);
    assert_int_equal(answer.len, ATTEMPT_COUNT + 2);
    memcpy(out, answer.data, ATTEMPT_COUNT + 2);
    buf_done(&answer);
    stop(&p);
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

/* What /bin/echo leaves at our end of its socket until it ends. */
static ssize_t echo_output(bool output, char *text, size_t size)
{
    static const char *const argv[] = {"echo", "hello", NULL};
    struct proc_spec spec = {.path = "/bin/echo", .argv = argv, .output = output};
    struct proc_child child;
    int status = -1;

    assert_int_equal(proc_spawn(&spec, &child), OK);
    assert_int_equal(proc_wait(&child, WAIT_MS, &status), OK);
    assert_int_equal(status, 0);
    ssize_t n = recv(child.fd, text, size, MSG_DONTWAIT);
    proc_stop(&child, WAIT_MS);
    return n;
}

static void what_a_child_prints_arrives_when_asked_for(void **state)
{
    char text[64];
    (void)state;

    assert_int_equal(echo_output(true, text, sizeof text), 6);
    assert_memory_equal(text, "hello\n", 6);
    assert_true(echo_output(false, text, sizeof text) <= 0);
}

static void a_program_is_found_beside_this_one(void **state)
{
    const char *const here[] = {"no-such-program", "test_proc_proc"};
    const char *const missing[] = {"no-such-program", "../no-such-folder/no-such-program"};
    const char *const not_a_program[] = {"libproc.a"};
    char path[PATH_MAX], self[PATH_MAX] = "", small[8];
    (void)state;

    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    assert_int_equal(proc_find(here, 2, X_OK, path, sizeof path), OK);
    assert_string_equal(path, self);
    assert_int_equal(proc_find(missing, 2, X_OK, path, sizeof path), ERR_NOT_FOUND);
    assert_string_equal(err_last()->slug, "no_program");
    assert_non_null(strstr(err_last()->detail, "no-such-program"));
    (void)snprintf(strrchr(self, '/'), 16, "/libproc.a");
    assert_int_equal(access(self, F_OK), 0);
    assert_int_equal(proc_find(not_a_program, 1, X_OK, path, sizeof path), ERR_NOT_FOUND);
    assert_int_equal(proc_find(not_a_program, 1, R_OK, path, sizeof path), OK);
    assert_string_equal(path, self);
    assert_int_equal(proc_find(here, 2, X_OK, small, sizeof small), ERR_NOT_FOUND);
}

static void without_a_sandbox_everything_works(void **state)
{
    uint8_t out[ATTEMPT_COUNT + 2];

    (void)state;
    attempts("none", out);
    for (int i = 0; i < ATTEMPT_COUNT; i++)
        assert_int_equal(out[i], 0);
}

static void the_signer_sandbox_refuses_all_but_its_own_files(void **state)
{
    uint8_t out[ATTEMPT_COUNT + 2];

    (void)state;
    attempts("signer", out);
    assert_int_equal(out[TRY_INET], EPERM);
    assert_int_equal(out[TRY_UNIX], EPERM);
    assert_int_equal(out[TRY_EXEC], EPERM);
    assert_int_equal(out[TRY_OPEN_ELSEWHERE], EPERM);
    assert_int_equal(out[TRY_FORK], EPERM);
    assert_int_equal(out[TRY_MAP_CODE], EPERM);
    assert_int_equal(out[TRY_KILL_PARENT], EPERM);
    assert_int_not_equal(out[TRY_THREAD], 0);
    assert_int_equal(out[TRY_OWN_FILE], 0);
    assert_int_equal(out[TRY_MEMORY], 0);
    if (out[ATTEMPT_COUNT]) /* this kernel has Landlock */
        assert_int_equal(out[TRY_OPEN_ABSOLUTE_AT], EACCES);
    else
        print_message(
            "# this kernel has no Landlock: absolute paths through openat not confined\n");
    assert_int_equal(out[ATTEMPT_COUNT + 1], 2); /* even asking for limits is refused */
}

static void the_network_sandbox_leaves_sockets_and_threads(void **state)
{
    uint8_t out[ATTEMPT_COUNT + 2];

    (void)state;
    attempts("network", out);
    assert_int_equal(out[TRY_INET], 0);
    assert_int_equal(out[TRY_THREAD], 0);
    assert_int_equal(out[TRY_OPEN_ELSEWHERE], 0);
    assert_int_equal(out[TRY_EXEC], EPERM);
    assert_int_equal(out[ATTEMPT_COUNT + 1], 1); /* no core dumps, for good */
}

static void signals_arrive_on_a_descriptor(void **state)
{
    struct pollfd p = {.events = POLLIN};

    (void)state;
    assert_int_equal(proc_signals_open(&p.fd), OK);
    assert_int_equal(proc_signals_read(p.fd), 0);
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
    assert_int_equal(proc_signals_read(p.fd), SIGTERM);
    close(p.fd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_gets_its_answer),
        cmocka_unit_test(an_error_arrives_as_it_was_raised),
        cmocka_unit_test(many_questions_of_many_threads_find_their_askers),
        cmocka_unit_test(no_answer_in_time_is_uncertain_and_the_channel_goes_on),
        cmocka_unit_test(a_killed_child_leaves_the_question_uncertain_and_takes_no_more),
        cmocka_unit_test(what_is_no_frame_is_refused),
        cmocka_unit_test(a_child_inherits_no_descriptor_but_its_own),
        cmocka_unit_test(a_child_dies_with_its_parent),
        cmocka_unit_test(a_missing_program_is_an_error_not_a_child),
        cmocka_unit_test(what_a_child_prints_arrives_when_asked_for),
        cmocka_unit_test(a_program_is_found_beside_this_one),
        cmocka_unit_test(without_a_sandbox_everything_works),
        cmocka_unit_test(the_signer_sandbox_refuses_all_but_its_own_files),
        cmocka_unit_test(the_network_sandbox_leaves_sockets_and_threads),
        cmocka_unit_test(signals_arrive_on_a_descriptor),
    };
    if (argc > 1 && strcmp(argv[1], "echo") == 0)
        return echo_main();
    if (argc > 3 && strcmp(argv[1], "attempts") == 0)
        return attempts_main(argv[2], argv[3]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
