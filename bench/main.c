/* SPDX-License-Identifier: Apache-2.0 */
/* gatehouse-bench - which measurement was meant. The figures are one JSON object, the last line of standard output. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "ground/crypto/crypto.h"

static const char usage[] =
    "Usage: gatehouse-bench sellout [options]   sell a stadium to the last seat through the API\n"
    "       gatehouse-bench baseline [options]  what this machine does without us\n"
    "Options of sellout:\n"
    "  --seats N         places of the stadium (2000)\n"
    "  --buyers M        buyers in a closed loop (64)\n"
    "  --per-order K     seats a buyer takes, 1 to 10 (2)\n"
    "  --provider-ms L   the provider's latency (0)\n"
    "  --connections C   keep-alive connections (as many as buyers)\n"
    "  --kill            kill -9 the server at random instants, start it again, go on\n"
    "  --keep            leave the data directory where it is\n"
    "  --program FILE    the server (gatehouse beside this program's folder)\n"
    "Options of baseline: --per-order K, --dir DIR (what disk to measure; /var/tmp)\n"
    "The data directory is made in $TMPDIR or /var/tmp. Exit status: 0 no promise was broken, 1 "
    "one was, 2 could not run.\n";

struct options {
    struct sellout_wish sellout;
    const char *dir;
};

static unsigned number(const char *option, const char *text, unsigned min, unsigned max)
{
    uint64_t n;

    if (!text || text_to_u64(span_text(text), &n) != OK || n < min || n > max)
        die("%s takes a number from %u to %u", option, min, max);
    return (unsigned)n;
}

static void read_options(int argc, char **argv, struct options *o)
{
    for (int i = 2; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(name, "--kill") == 0)
            o->sellout.kill = true;
        else if (strcmp(name, "--keep") == 0)
            o->sellout.keep = true;
        else if (strcmp(name, "--seats") == 0)
            o->sellout.seats = number(name, value, 100, 250000), i++;
        else if (strcmp(name, "--buyers") == 0)
            o->sellout.buyers = number(name, value, 1, 10000), i++;
        else if (strcmp(name, "--per-order") == 0)
            o->sellout.per_order = number(name, value, 1, 10), i++;
        else if (strcmp(name, "--provider-ms") == 0)
            o->sellout.provider_ms = number(name, value, 0, 60000), i++;
        else if (strcmp(name, "--connections") == 0)
            o->sellout.connections = number(name, value, 1, 10000), i++;
        else if (strcmp(name, "--program") == 0 && value)
            o->sellout.program = argv[++i];
        else if (strcmp(name, "--dir") == 0 && value)
            o->dir = argv[++i];
        else
            die("there is no option %s; try --help", name);
    }
    if (o->sellout.connections == 0)
        o->sellout.connections = o->sellout.buyers;
}

/* build/bench/gatehouse-bench -> build/src/prog/gatehouse */
static const char *beside(char *out)
{
    ssize_t n = readlink("/proc/self/exe", out, BENCH_PATH_MAX - 32);

    if (n <= 0)
        die("where is this program?");
    out[n] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(out, '/');
        if (slash)
            *slash = '\0';
    }
    size_t len = strlen(out);
    (void)snprintf(out + len, BENCH_PATH_MAX - len, "/src/prog/gatehouse");
    return out;
}

static void baseline(const struct options *o, struct json_writer *w)
{
    struct floors f;

    floors_measure(o->dir, o->sellout.per_order, 3.0, &f);
    json_w_kv_i64(w, "per_order", o->sellout.per_order);
    write_number(w, "sqlite_sales_per_s", f.sales_per_s);
    write_number(w, "fsyncs_per_s", f.fsyncs_per_s);
    write_number(w, "ed25519_verifies_per_s", f.verifies_per_s);
}

/* A run that broke a promise must not look like a good one to a script. */
static int print(struct buf *out)
{
    (void)puts(buf_text(out));
    return memmem(out->data, out->len, "\"violations\":0", 14) ||
                   !memmem(out->data, out->len, "\"violations\":", 13)
               ? 0
               : 1;
}

int main(int argc, char **argv)
{
    struct options o = {.sellout = {.seats = 2000, .buyers = 64, .per_order = 2},
                        .dir = "/var/tmp"};
    AUTO(buf_done) struct buf out = {0};
    char program[BENCH_PATH_MAX];
    struct json_writer w;

    if (argc < 2 || strcmp(argv[1], "--help") == 0 ||
        (argc > 2 && strcmp(argv[2], "--help") == 0)) {
        (void)fputs(usage, argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    read_options(argc, argv, &o);
    if (!o.sellout.program)
        o.sellout.program = beside(program);
    must(crypto_init(), "crypto");
    (void)signal(SIGPIPE, SIG_IGN);
    buf_init(&out, 65536);
    json_w_init(&w, &out);
    json_w_object(&w);
    json_w_kv_cstr(&w, "bench", argv[1]);
    machine_write(&w);
    if (strcmp(argv[1], "sellout") == 0)
        sellout_run(&o.sellout, &w);
    else if (strcmp(argv[1], "baseline") == 0)
        baseline(&o, &w);
    else
        die("there is no measurement %s; try --help", argv[1]);
    json_w_end(&w);
    must(json_w_finish(&w), "figures");
    return print(&out);
}
