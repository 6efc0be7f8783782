/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor_postgres - the sale of floor.c in PostgreSQL's hands: the same rows, four commits, as many clients as buyers would be.
 * Its programs are looked for where Debian puts them. They refuse to run as root, so root gives them another's name.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "floors.h"

enum {
    READY_MS = 30000,
    STEP_MS = 60000,
    OUT_MAX = 65536,
    SOCKET_DIR_MAX = 80,
    NAME_MAX_BYTES = 64,
    SALES_PER_S_MAX = 5000,
    PLANNING_S = 1
};

struct cluster {
    char bin[BENCH_PATH_MAX], dir[SOCKET_DIR_MAX];
    bool other; /* run as uid and gid, not as ourselves */
    uid_t uid;
    gid_t gid;
    pid_t server;
};

/* --- what is asked of it --------------------------------------------------------------------------------------------------------- */

static const char schema[] =
    "CREATE TABLE place (event_no INT, place_no INT, state INT, generation INT, until_ms BIGINT, "
    "hold_id BYTEA, order_id BYTEA, ticket_id BYTEA, PRIMARY KEY (event_no, place_no));"
    "CREATE TABLE hold (id BYTEA PRIMARY KEY, e INT, o INT, a INT, status TEXT, f BYTEA, places "
    "BYTEA, c BIGINT, x BIGINT, l BIGINT);"
    "CREATE INDEX hold_live ON hold (a, e) WHERE status='live';"
    "CREATE TABLE sale_order (id BYTEA PRIMARY KEY, o INT, e INT, a INT, hold_id BYTEA UNIQUE, "
    "status TEXT, amount INT, currency TEXT, c BIGINT, p BIGINT, x INT, n INT, version INT);"
    "CREATE INDEX order_account ON sale_order (a, c);"
    "CREATE INDEX order_event ON sale_order (e, c);"
    "CREATE TABLE order_line (order_id BYTEA, place_no INT, c INT, p INT, f INT, PRIMARY KEY "
    "(order_id, place_no));"
    "CREATE TABLE payment (id BYTEA PRIMARY KEY, order_id BYTEA, o INT, attempt INT, state TEXT, "
    "session_ref TEXT, intent_ref TEXT UNIQUE, amount INT, currency TEXT, "
    "captured_minor INT, refunded INT, tries INT, next_ms BIGINT, c BIGINT);"
    "CREATE INDEX payment_due ON payment (next_ms) WHERE state='open';"
    "CREATE TABLE posting (b BYTEA, line INT, order_id BYTEA, acc TEXT, amount INT, currency TEXT, "
    "at BIGINT, PRIMARY KEY (b, line));"
    "CREATE TABLE ticket (id BYTEA PRIMARY KEY, o INT, e INT, place_no INT, g INT, past INT, "
    "order_id BYTEA, a INT, c INT, p INT, f INT, currency TEXT, status TEXT, s INT, last BYTEA, "
    "at BIGINT, UNIQUE (e, place_no, past));"
    "CREATE TABLE entry (entry_no BIGINT PRIMARY KEY, id BYTEA UNIQUE, kind INT, o INT, e INT, at "
    "BIGINT, sealed BYTEA, c BYTEA);"
    "CREATE SEQUENCE sale_no MINVALUE 0; CREATE SEQUENCE entry_no;";

#define N ":n::int"
#define ID "decode(md5('s'||" N "),'hex')"
#define ENTRY                                                                                      \
    "INSERT INTO entry SELECT n, decode(md5('e'||n),'hex'), 20, 1, 1, 1790000000000, "             \
    "decode(repeat('ab',300),'hex'), decode(repeat('00',32),'hex') FROM nextval('entry_no') n;\n"

static void script_seats(struct buf *out, unsigned per_order, const char *format)
{
    for (unsigned i = 0; i < per_order; i++) {
        for (const char *at = format; *at; at++)
            if (*at == '@')
                buf_printf(out, "(" N "*%u+%u)", per_order, i);
            else
                buf_put_u8(out, (uint8_t)*at);
    }
}

#define BEGIN "\\startpipeline\nBEGIN;\n"
#define COMMIT "COMMIT;\n\\endpipeline\n"

/* The statements of floor.c in its order, one round trip a commit. :n is the sale's number, ids are its hash. */
static void script(struct buf *out, unsigned per_order)
{
    buf_put_text(out, "SELECT nextval('sale_no') AS n \\gset\n" BEGIN);
    script_seats(out, per_order,
                 "UPDATE place SET state=1, hold_id=" ID ", until_ms=1790000000000 WHERE "
                 "event_no=1 AND place_no=@ AND state=0;\n");
    buf_put_text(out, "INSERT INTO hold VALUES (" ID ",1,1,1,'live',decode(repeat('00',32),'hex'),"
                      "decode(repeat('00',8),'hex'),1,1,1);\n" COMMIT BEGIN);
    script_seats(out, per_order,
                 "UPDATE place SET state=2, hold_id=NULL, until_ms=0, order_id=" ID " WHERE "
                 "event_no=1 AND place_no=@ AND state=1;\n"
                 "INSERT INTO order_line VALUES (" ID ",@,0,4000,250);\n");
    buf_put_text(out, "UPDATE hold SET status='ordered' WHERE id=" ID " AND status='live';\n"
                      "INSERT INTO sale_order VALUES (" ID ",1,1,1," ID
                      ",'awaiting_payment',8500,'EUR'," N "," N ",NULL,NULL,1);\n"
                      "INSERT INTO payment VALUES (" ID "," ID ",1,1,'open',NULL,NULL,"
                      "8500,'EUR',0,0,0," N "," N ");\n" ENTRY COMMIT BEGIN
                      "UPDATE payment SET state='captured', session_ref='cs_'||" N ", "
                      "intent_ref='pi_'||" N ", captured_minor=8500 WHERE id=" ID ";\n"
                      "UPDATE sale_order SET status='paid', version=version+1 WHERE id=" ID ";\n");
    for (int line = 0; line < 3; line++)
        buf_printf(out, "INSERT INTO posting VALUES (" ID ",%d," ID ",'sales',1,'EUR',1);\n", line);
    buf_put_text(out, ENTRY ENTRY);
    script_seats(out, per_order,
                 "UPDATE place SET state=3, order_id=NULL, ticket_id=decode(md5('t'||@),'hex'), "
                 "generation=1 WHERE event_no=1 AND place_no=@ AND state=2;\n"
                 "INSERT INTO ticket VALUES (decode(md5('t'||@),'hex'),1,1,@,1,0," ID
                 ",1,0,4000,250,'EUR','valid',1," ID ",1);\n" ENTRY);
    buf_put_text(out, COMMIT);
    must(buf_check(out), "script");
}

/* --- its programs ---------------------------------------------------------------------------------------------------------------- */

static pid_t start(const struct cluster *c, const char *program, const char *const *arguments,
                   int out)
{
    const char *argv[24] = {program};
    char path[BENCH_PATH_MAX + 32];

    for (size_t i = 0; arguments[i]; i++) {
        if (i + 2 >= COUNT_OF(argv))
            die("too many arguments");
        argv[i + 1] = arguments[i];
    }
    (void)snprintf(path, sizeof path, "%s/%s", c->bin, program);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)dup2(nothing, STDIN_FILENO);
    (void)dup2(out >= 0 ? out : nothing, STDOUT_FILENO);
    (void)dup2(out >= 0 ? out : nothing, STDERR_FILENO);
    if (c->other && (setgroups(0, NULL) != 0 || setgid(c->gid) != 0 || setuid(c->uid) != 0))
        _exit(127);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the change of user, which clears it */
    if (chdir("/") != 0)
        _exit(127);
    (void)execv(path, (char *const *)argv);
    _exit(127);
}

static bool ended(pid_t pid, int64_t until_us, int *ret_status)
{
    pid_t got;

    while ((got = waitpid(pid, ret_status, WNOHANG)) == 0 && now_us() < until_us)
        (void)poll(NULL, 0, 5);
    if (got == 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, ret_status, 0);
    }
    return got == pid;
}

/* Run to its end, at most a minute; its words go to out, when that is wanted. */
static bool run(const struct cluster *c, const char *program, const char *const *arguments,
                struct buf *out)
{
    int pipes[2] = {-1, -1}, status = -1;
    int64_t until = now_us() + STEP_MS * 1000LL;
    uint8_t chunk[4096];
    ssize_t n = 1;

    if (out && pipe2(pipes, O_CLOEXEC) != 0)
        die("pipe: %s", strerror(errno));
    pid_t pid = start(c, program, arguments, pipes[1]);
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (out)
        close(pipes[1]);
    while (out && n > 0 && now_us() < until) {
        struct pollfd p = {.fd = pipes[0], .events = POLLIN};
        if (poll(&p, 1, 100) > 0 && (n = read(pipes[0], chunk, sizeof chunk)) > 0)
            buf_put(out, chunk, (size_t)n);
    }
    if (out)
        close(pipes[0]);
    return ended(pid, until, &status) && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* --- the cluster ------------------------------------------------------------------------------------------------------------------- */

/* The newest version installed; versions of two digits sort as text. */
static bool find_programs(struct cluster *c)
{
    glob_t found;
    bool any = glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0 && found.gl_pathc > 0;

    if (any) {
        (void)snprintf(c->bin, sizeof c->bin, "%s", found.gl_pathv[found.gl_pathc - 1]);
        *strrchr(c->bin, '/') = '\0';
    }
    globfree(&found);
    char path[BENCH_PATH_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/pgbench", c->bin);
    return any && access(path, X_OK) == 0;
}

static bool make_folder(struct cluster *c, const char *dir)
{
    const struct passwd *who = NULL;

    if (snprintf(c->dir, sizeof c->dir, "%s/gatehouse-pg-XXXXXX", dir) >= SOCKET_DIR_MAX ||
        !mkdtemp(c->dir)) {
        c->dir[0] = '\0';
        return false;
    }
    if (geteuid() != 0)
        return true;
    if (!(who = getpwnam("postgres")) && !(who = getpwnam("nobody")))
        return false;
    c->other = true;
    c->uid = who->pw_uid;
    c->gid = who->pw_gid;
    return chown(c->dir, c->uid, c->gid) == 0;
}

static bool put_file(const struct cluster *c, const char *name, struct span content, char *path)
{
    (void)snprintf(path, BENCH_PATH_MAX, "%s/%s", c->dir, name);
    FILE *f = fopen(path, "we");
    if (!f)
        return false;
    bool written = fwrite(content.data, 1, content.len, f) == content.len;
    written = fclose(f) == 0 && written;
    return written && chmod(path, 0644) == 0;
}

/* The database ends up in c->dir/data, the socket in c->dir. Durable as ours is: fsync and synchronous_commit are on. */
static bool serve(struct cluster *c)
{
    char data[BENCH_PATH_MAX];
    int64_t until = now_us() + READY_MS * 1000LL;

    (void)snprintf(data, sizeof data, "%s/data", c->dir);
    if (!run(c, "initdb",
             (const char *const[]){"-D", data, "-A", "trust", "-U", "bench", "-E", "UTF8",
                                   "--locale=C", "-N", NULL},
             NULL))
        return false;
    c->server = start(c, "postgres",
                      (const char *const[]){"-D", data, "-k", c->dir, "-c",
                                            "listen_addresses=", "-c", "shared_buffers=512MB", "-c",
                                            "max_wal_size=4GB", "-c", "max_connections=300", NULL},
                      -1);
    while (c->server > 0 && now_us() < until) {
        if (run(c, "pg_isready", (const char *const[]){"-q", "-h", c->dir, NULL}, NULL))
            return true;
        (void)poll(NULL, 0, 50);
    }
    return false;
}

/* option -f: a file, -c: a command */
static bool tell(const struct cluster *c, const char *option, const char *words)
{
    return run(c, "psql",
               (const char *const[]){"-q", "-X", "-v", "ON_ERROR_STOP=1", "-h", c->dir, "-U",
                                     "bench", option, words, "postgres", NULL},
               NULL);
}

/* The mean of "progress: 3.0 s, 812.4 tps, ..." of each second but the first, in which every client plans its statements. */
static double mean_rate(const char *words)
{
    double at, tps, sum = 0;
    int count = 0;

    while ((words = strstr(words, "progress: ")) != NULL) {
        if (sscanf(words, "progress: %lf s, %lf tps", &at, &tps) == 2 && at > PLANNING_S + 0.5) {
            sum += tps;
            count++;
        }
        words++;
    }
    return count ? sum / count : 0;
}

static bool sell(const struct cluster *c, const char *path, unsigned clients, unsigned seconds,
                 double *ret_rate)
{
    AUTO(buf_done) struct buf out = {0};
    char n[NAME_MAX_BYTES], t[NAME_MAX_BYTES];

    buf_init(&out, OUT_MAX);
    (void)snprintf(n, sizeof n, "%u", clients);
    (void)snprintf(t, sizeof t, "%u", seconds + PLANNING_S);
    if (!run(c, "pgbench",
             (const char *const[]){"-n", "-M", "prepared", "-h", c->dir, "-U", "bench", "-f", path,
                                   "-c", n, "-j", "2", "-P", "1", "-T", t, "postgres", NULL},
             &out))
        return false;
    *ret_rate = mean_rate(buf_text(&out));
    return true;
}

/* As many free places as can be sold in the time. */
static bool fill(const struct cluster *c, unsigned per_order, unsigned seconds)
{
    AUTO(buf_done) struct buf text = {0};
    char path[BENCH_PATH_MAX];

    buf_init(&text, OUT_MAX);
    buf_put_text(&text, schema);
    buf_printf(&text,
               "INSERT INTO place SELECT 1,i,0,0,0 FROM generate_series(0,%u) i; CHECKPOINT;",
               per_order * (seconds + 3 * PLANNING_S) * SALES_PER_S_MAX);
    return put_file(c, "schema.sql", buf_span(&text), path) && tell(c, "-f", path);
}

/* The first sales give the planner something to count: empty tables it would walk. */
static bool measure(const struct cluster *c, unsigned per_order, unsigned clients, unsigned seconds,
                    double *ret_rate)
{
    AUTO(buf_done) struct buf text = {0};
    char path[BENCH_PATH_MAX];
    double warm;

    buf_init(&text, OUT_MAX);
    script(&text, per_order);
    return fill(c, per_order, seconds) && put_file(c, "sale.sql", buf_span(&text), path) &&
           sell(c, path, clients, 0, &warm) && tell(c, "-c", "ANALYZE") &&
           sell(c, path, clients, seconds, ret_rate) && *ret_rate > 0;
}

static int remove_entry(const char *path, const struct stat *s, int kind, struct FTW *f)
{
    (void)s;
    (void)kind;
    (void)f;
    return remove(path);
}

bool floor_postgres_sales(const char *dir, unsigned per_order, unsigned clients, unsigned seconds,
                          double *ret_sales_per_s)
{
    struct cluster c = {0};
    int status;

    if (!find_programs(&c)) {
        say("PostgreSQL is not installed");
        return false;
    }
    bool done = make_folder(&c, dir) && serve(&c) &&
                measure(&c, per_order, clients, seconds, ret_sales_per_s);
    if (c.server > 0) {
        (void)kill(c.server, SIGINT); /* the fast end */
        (void)ended(c.server, now_us() + STEP_MS * 1000LL, &status);
    }
    if (c.dir[0])
        (void)nftw(c.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    if (!done)
        say("PostgreSQL is here but was not measured");
    return done;
}
