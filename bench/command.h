/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_COMMAND_H
#define BENCH_COMMAND_H

/*
 * command - one measurement: its name, what it takes, what it does. Each stands at the end of its own file and in the list of
 * main.c. run reads its options, calls arguments_end, measures, and writes members of the JSON object that w is inside of.
 */
#include "bench.h"

struct arguments;

struct bench_command {
    const char *name, *summary;
    const char *options; /* lines of the usage, each with its newline */
    void (*run)(struct arguments *a, struct json_writer *w);
};

extern const struct bench_command sellout_command, gate_command, map_command, login_command,
    ledger_command, grow_command, baseline_command;

/* --- options; each dies with a sentence when the value is not of its kind -------------------------------------------------- */

enum { ARGUMENTS_MAX = 64 };
struct arguments {
    int count;
    char **words;
    bool used[ARGUMENTS_MAX];
    char program[BENCH_PATH_MAX];
};
void arguments_init(struct arguments *a, int count, char **words);
unsigned arguments_number(struct arguments *a, const char *option, unsigned otherwise, unsigned min,
                          unsigned max);
bool arguments_flag(struct arguments *a, const char *option);
const char *arguments_text(struct arguments *a, const char *option, const char *otherwise);
/* --program, or the server that was built beside this tool; good as long as a. */
const char *arguments_program(struct arguments *a);
/* Dies when a word was not asked for. */
void arguments_end(const struct arguments *a);

#endif
