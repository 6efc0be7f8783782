/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <string.h>
#include <unistd.h>

#include "ground/proc/spawn.h"

void arguments_init(struct arguments *a, int count, char **words)
{
    if (count > ARGUMENTS_MAX)
        die("too many options");
    *a = (struct arguments){.count = count, .words = words};
}

/* The word at which the option stands; -1 without it. */
static int find(struct arguments *a, const char *option)
{
    for (int i = 0; i < a->count; i++)
        if (!a->used[i] && strcmp(a->words[i], option) == 0) {
            a->used[i] = true;
            return i;
        }
    return -1;
}

bool arguments_flag(struct arguments *a, const char *option)
{
    return find(a, option) >= 0;
}

const char *arguments_text(struct arguments *a, const char *option, const char *otherwise)
{
    int at = find(a, option);

    if (at < 0)
        return otherwise;
    if (at + 1 >= a->count || a->used[at + 1])
        die("%s takes a value", option);
    a->used[at + 1] = true;
    return a->words[at + 1];
}

unsigned arguments_number(struct arguments *a, const char *option, unsigned otherwise, unsigned min,
                          unsigned max)
{
    const char *text = arguments_text(a, option, NULL);
    uint64_t n;

    if (!text)
        return otherwise;
    if (text_to_u64(span_text(text), &n) != OK || n < min || n > max)
        die("%s takes a number from %u to %u", option, min, max);
    return (unsigned)n;
}

const char *arguments_program(struct arguments *a)
{
    static const char *const built[] = {"../src/prog/gatehouse"};
    const char *given = arguments_text(a, "--program", NULL);

    if (given)
        return given;
    must(proc_find(built, COUNT_OF(built), X_OK, a->program, sizeof a->program), "the server");
    return a->program;
}

void arguments_end(const struct arguments *a)
{
    for (int i = 0; i < a->count; i++)
        if (!a->used[i])
            die("there is no option %s; try --help", a->words[i]);
}
