/* SPDX-License-Identifier: Apache-2.0 */
/* gatehouse-bench - which measurement was meant. The figures are one JSON object, the last line of standard output. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "ground/crypto/crypto.h"

static const struct bench_command *const commands[] = {
    &sellout_command, &gate_command, &map_command,     &login_command,
    &ledger_command,  &grow_command, &baseline_command};

static const char ending[] = "Options of all: --program FILE (the server; gatehouse beside this "
                             "program's folder), --dir DIR "
                             "(where data is put,\n"
                             "on the disk that is meant; $TMPDIR or /var/tmp).\n"
                             "Exit status: 0 no promise was broken, 1 one was, 2 could not run.\n";

static void print_usage(FILE *to)
{
    (void)fputs("Usage: gatehouse-bench COMMAND [options]\n", to);
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        (void)fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        (void)fprintf(to, "Options of %s:\n%s", commands[i]->name, commands[i]->options);
    (void)fputs(ending, to);
}

static const struct bench_command *find_command(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    die("there is no measurement %s; try --help", name);
}

/* A run that broke a promise must not look like a good one to a script. */
static int print(struct buf *out)
{
    static const char member[] = "\"violations\":";
    const char *at = buf_text(out);

    (void)puts(at);
    /* A command may have measured twice. */
    while ((at = strstr(at, member)) != NULL) {
        at += sizeof member - 1;
        if (*at != '0')
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    AUTO(buf_done) struct buf out = {0};
    struct arguments arguments;
    struct json_writer w;

    if (argc < 2 || strcmp(argv[1], "--help") == 0 ||
        (argc > 2 && strcmp(argv[2], "--help") == 0)) {
        print_usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    const struct bench_command *command = find_command(argv[1]);
    must(crypto_init(), "crypto");
    (void)signal(SIGPIPE, SIG_IGN);
    arguments_init(&arguments, argc - 2, argv + 2);
    buf_init(&out, 65536);
    json_w_init(&w, &out);
    json_w_object(&w);
    json_w_kv_cstr(&w, "bench", command->name);
    machine_write(&w);
    command->run(&arguments, &w);
    json_w_end(&w);
    must(json_w_finish(&w), "figures");
    return print(&out);
}
