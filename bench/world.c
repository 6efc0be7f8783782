/* SPDX-License-Identifier: Apache-2.0 */
/* world - a server of its own: a fresh directory, the program started and stopped as an operator would, /proc read for its cost. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

enum { READY_MS = 60000, STOP_MS = 60000, CHILDREN_MAX = 8 };

/* The server in hand and its directory: neither outlives a tool that gave up. */
static pid_t running;
static char made[BENCH_PATH_MAX];

static int remove_entry(const char *path, const struct stat *s, int kind, struct FTW *f)
{
    (void)s;
    (void)kind;
    (void)f;
    return remove(path);
}

_Noreturn void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fputs("gatehouse-bench: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    if (running > 0 && kill(running, SIGKILL) == 0)
        (void)waitpid(running, NULL, 0);
    if (made[0])
        (void)nftw(made, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    exit(2);
}

void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

void must(enum err e, const char *what)
{
    char text[512];

    if (e == OK)
        return;
    err_describe(err_last(), text, sizeof text);
    die("%s: %s", what, text);
}

int64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* --- programs ---------------------------------------------------------------------------------------------------------------- */

static pid_t start(const char *program, const char *const *arguments, int *ret_out)
{
    const char *argv[24] = {program};
    int pipes[2];

    for (size_t i = 0; arguments[i]; i++) {
        if (i + 2 >= COUNT_OF(argv))
            die("too many arguments");
        argv[i + 1] = arguments[i];
    }
    if (pipe2(pipes, O_CLOEXEC) != 0)
        die("pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid == 0) {
        (void)dup2(pipes[1], STDOUT_FILENO);
        (void)execv(program, (char *const *)argv);
        _exit(127);
    }
    close(pipes[1]);
    *ret_out = pipes[0];
    return pid;
}

int world_run(const struct world *w, const char *const *arguments, struct buf *out)
{
    uint8_t chunk[4096];
    int fd, status;
    pid_t pid = start(w->program, arguments, &fd);
    ssize_t n;

    while ((n = read(fd, chunk, sizeof chunk)) > 0)
        buf_put(out, chunk, (size_t)n);
    close(fd);
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        die("%s %s did not end by itself", w->program, arguments[0]);
    return WEXITSTATUS(status);
}

static void path_in(const struct world *w, const char *name, char *out)
{
    if (snprintf(out, BENCH_PATH_MAX, "%s/%s", w->dir, name) >= BENCH_PATH_MAX)
        die("path too long");
}

static void read_file(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(out, 1, size - 1, f) : 0;

    if (!f)
        die("%s: %s", path, strerror(errno));
    (void)fclose(f);
    while (n && (out[n - 1] == '\n' || out[n - 1] == '\r' || out[n - 1] == ' '))
        n--;
    out[n] = '\0';
}

static void write_settings(const struct world *w)
{
    char path[BENCH_PATH_MAX];

    path_in(w, "gatehouse.conf", path);
    FILE *f = fopen(path, "we");
    if (!f)
        die("%s: %s", path, strerror(errno));
    (void)fprintf(f,
                  "[server]\nlisten = 127.0.0.1:%u\norigin = http://127.0.0.1:%u\n"
                  "[provider]\norigin = http://127.0.0.1:%u\nkey_file = %s/provider-key\n"
                  "webhook_secret_file = %s/webhook-secret\n"
                  "[mail]\n[log]\norigin = bench.invalid/log\n"
                  "[limits]\nrates = off\nconnections_per_client = 0\n",
                  w->port, w->port, w->provider_port, w->dir, w->dir);
    if (fclose(f) != 0)
        die("%s: %s", path, strerror(errno));
}

/* Takes the ready line as it comes: true once it is whole. Dies when it will not come. */
static bool read_ready(struct world *w, int wait_ms)
{
    struct pollfd p = {.fd = w->out, .events = POLLIN};

    while (poll(&p, 1, wait_ms) > 0) {
        if (w->line_len + 1 == sizeof w->line || read(w->out, w->line + w->line_len, 1) != 1)
            die("the server ended before it was ready");
        if (w->line[w->line_len++] == '\n')
            return true;
    }
    if (now_us() > w->begun_us + READY_MS * 1000LL)
        die("the server was not ready in time");
    return false;
}

static void take_ready(struct world *w)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object root;
    struct span link = {0};

    must(json_parse(span_of(w->line, w->line_len), sizeof w->line, &doc), "ready line");
    must(json_root(doc, &root), "ready line");
    must(json_opt_text(&root, "owner_link", 1000, &link), "ready line");
    size_t hash = span_find(link, '#');
    if (link.len && hash < link.len)
        must(span_to_text(span_sub(link, hash + 1, link.len), w->owner_link_token,
                          sizeof w->owner_link_token),
             "owner link");
}

void world_begin(struct world *w)
{
    const char *const arguments[] = {"serve", "--dir", w->dir, NULL};

    w->line_len = 0;
    w->begun_us = now_us();
    w->pid = running = start(w->program, arguments, &w->out);
}

static bool ready_within(struct world *w, int wait_ms)
{
    if (!read_ready(w, wait_ms))
        return false;
    take_ready(w);
    return true;
}

bool world_ready(struct world *w)
{
    return ready_within(w, 0);
}

void world_start(struct world *w)
{
    world_begin(w);
    while (!ready_within(w, 100))
        ;
}

/* A free port below those the kernel hands out: it must be known before the server starts, and stay when it starts again. */
static uint16_t pick_port(void)
{
    for (int i = 0; i < 200; i++) {
        uint64_t r;
        rng_fill(rng_system(), &r, sizeof r);
        uint16_t port = (uint16_t)(12000 + r % 18000);
        char hex[16], line[256];
        bool used = false;
        (void)snprintf(hex, sizeof hex, "0100007F:%04X", port);
        FILE *f = fopen("/proc/net/tcp", "re");
        while (f && fgets(line, sizeof line, f))
            used |= strstr(line, hex) != NULL;
        if (f)
            (void)fclose(f);
        if (!used)
            return port;
    }
    die("no free port");
}

void world_make(const struct world_wish *wish, struct world *ret_world)
{
    const char *tmp = wish->dir ? wish->dir : getenv("TMPDIR");
    struct world *w = ret_world;
    AUTO(buf_done) struct buf out = {0};
    char path[BENCH_PATH_MAX];

    memset(w, 0, sizeof *w);
    w->provider_port = wish->provider_port;
    if (snprintf(w->program, sizeof w->program, "%s", wish->program) >= BENCH_PATH_MAX ||
        snprintf(w->dir, sizeof w->dir, "%s/gatehouse-bench-XXXXXX", tmp ? tmp : "/var/tmp") >=
            BENCH_PATH_MAX - 64)
        die("path too long");
    if (!mkdtemp(w->dir))
        die("%s: %s", w->dir, strerror(errno));
    (void)snprintf(made, sizeof made, "%s", w->dir);
    buf_init(&out, 1 << 20);
    const char *const arguments[] = {"init", "--dir", w->dir, NULL};
    if (world_run(w, arguments, &out) != 0)
        die("gatehouse init failed");
    w->port = pick_port();
    write_settings(w);
    path_in(w, "webhook-secret", path);
    read_file(path, w->webhook_secret, sizeof w->webhook_secret);
}

/* --- what it costs ----------------------------------------------------------------------------------------------------------- */

/* utime + stime in seconds; 0 when there is no such process. */
static double process_cpu_s(pid_t pid)
{
    unsigned long user = 0, system = 0;
    char path[64], text[1024];

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    const char *after = strrchr(text, ')');
    if (!after || sscanf(after + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                         &system) != 2)
        return 0;
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* The server and its children, which its main thread starts. */
static size_t family(const struct world *w, pid_t *pids)
{
    char path[64];
    size_t count = 0;
    int pid;

    pids[count++] = w->pid;
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)w->pid, (int)w->pid);
    FILE *f = fopen(path, "re");
    while (f && count < CHILDREN_MAX && fscanf(f, "%d", &pid) == 1)
        pids[count++] = pid;
    if (f)
        (void)fclose(f);
    return count;
}

double world_cpu_s(struct world *w)
{
    pid_t pids[CHILDREN_MAX];
    double sum = w->cpu_before_kill_s;
    size_t count = family(w, pids);

    for (size_t i = 0; i < count; i++)
        sum += process_cpu_s(pids[i]);
    return sum;
}

/* Of the server and its children; field is a line of /proc/<pid>/status. */
static long memory_kb(const struct world *w, const char *field)
{
    pid_t pids[CHILDREN_MAX];
    size_t count = family(w, pids), len = strlen(field);
    char path[64], line[256];
    long sum = 0, kb;

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pids[i]);
        FILE *f = fopen(path, "re");
        while (f && fgets(line, sizeof line, f))
            if (strncmp(line, field, len) == 0 && sscanf(line + len, "%ld", &kb) == 1)
                sum += kb;
        if (f)
            (void)fclose(f);
    }
    return sum;
}

long world_rss_kb(struct world *w)
{
    long sum = memory_kb(w, "VmHWM:");

    w->rss_peak_kb = sum > w->rss_peak_kb ? sum : w->rss_peak_kb;
    return w->rss_peak_kb;
}

long world_rss_now_kb(const struct world *w)
{
    return memory_kb(w, "VmRSS:");
}

/* --- its end ----------------------------------------------------------------------------------------------------------------- */

bool world_gone(struct world *w)
{
    int status;

    if (waitpid(w->pid, &status, WNOHANG) == 0)
        return false;
    close(w->out);
    w->pid = running = 0;
    return true;
}

void world_kill(struct world *w)
{
    (void)world_rss_kb(w);
    w->cpu_before_kill_s = world_cpu_s(w);
    (void)kill(w->pid, SIGKILL);
}

void world_stop(struct world *w)
{
    int64_t until = now_us() + STOP_MS * 1000LL;

    (void)kill(w->pid, SIGTERM);
    while (!world_gone(w)) {
        if (now_us() > until)
            die("the server does not end");
        (void)poll(NULL, 0, 2);
    }
}

void world_remove(struct world *w)
{
    if (nftw(w->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        say("warning: %s was not removed", w->dir);
}
