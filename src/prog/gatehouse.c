/* SPDX-License-Identifier: Apache-2.0 */
/* gatehouse - the program that people call: which subcommand was meant. */
#include <stdio.h>
#include <string.h>

#include "reach/cli/commands.h"

static const struct {
    const char *name, *words;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"demo", "try it: a demonstration with three events and a test payment provider", command_demo},
    {"init", "make a data directory", command_init},
    {"serve", "serve an installation", command_serve},
    {"admin", "owner link, capacity approvals, checks", command_admin},
    {"ledger", "verify the public log, audit the database against it", command_ledger},
    {"version", "print the version", command_version},
};

static void usage(FILE *out)
{
    (void)fputs("Usage: gatehouse COMMAND [options]\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        (void)fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].words);
    (void)fputs("gatehouse COMMAND --help says more. Exit status: 0 done, 1 the answer is no, 2 "
                "wrong use or could not run.\n",
                out);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return EXIT_FAILED;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0)
        return command_version(1, argv);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    (void)fprintf(stderr, "gatehouse: there is no command %s.\n", argv[1]);
    usage(stderr);
    return EXIT_FAILED;
}
