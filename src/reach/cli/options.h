/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_CLI_OPTIONS_H
#define REACH_CLI_OPTIONS_H

/* options - "--name value" and "--flag" arguments, each at most once; "--help" prints the usage and exits 0. */
#include <stdbool.h>

struct option_spec {
    const char *name;   /* "dir" for --dir */
    const char **value; /* takes a value; or NULL */
    bool *flag;         /* is a flag; or NULL */
};

/*
 * Ends the process with status 0 after printing the usage for --help, with status 2 and one sentence for anything not in the table.
 * Words that are no options go to rest (at most rest_max; more is wrong use).
 */
void options_read(int argc, char **argv, const char *usage, const struct option_spec *specs,
                  int spec_count, const char **rest, int rest_max, int *ret_rest_count);
/*
 * For a program that gatehouse serve starts: the process ends with status 2 and one sentence when it was started by another version,
 * or by none (of is NULL).
 */
void options_of_same_version(const char *of);
/* One sentence on standard error: "gatehouse: <detail>", from the last error; returns EXIT_FAILED. */
int options_failed(const char *doing);

#endif
