/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ground/base/base.h"
#include "reach/cli/commands.h"

static _Noreturn void wrong_use(const char *usage, const char *word, const char *why)
{
    (void)fprintf(stderr, "gatehouse: %s %s\n%s", word, why, usage);
    exit(EXIT_FAILED);
}

static const struct option_spec *find(const struct option_spec *specs, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(specs[i].name, name) == 0)
            return &specs[i];
    return NULL;
}

void options_read(int argc, char **argv, const char *usage, const struct option_spec *specs,
                  int spec_count, const char **rest, int rest_max, int *ret_rest_count)
{
    int rest_count = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            (void)fputs(usage, stdout);
            exit(EXIT_DONE);
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            if (rest_count == rest_max)
                wrong_use(usage, argv[i], "is not expected here.");
            rest[rest_count++] = argv[i];
            continue;
        }
        const struct option_spec *spec = find(specs, spec_count, argv[i] + 2);
        if (!spec)
            wrong_use(usage, argv[i], "is not an option of this command.");
        if (spec->flag) {
            *spec->flag = true;
            continue;
        }
        if (*spec->value || i + 1 == argc)
            wrong_use(usage, argv[i], *spec->value ? "is given twice." : "needs a value.");
        *spec->value = argv[++i];
    }
    if (ret_rest_count)
        *ret_rest_count = rest_count;
}

void options_of_same_version(const char *of)
{
    if (of && strcmp(of, GATEHOUSE_VERSION) == 0)
        return;
    (void)fprintf(stderr,
                  "gatehouse: this program of version %s is started by gatehouse serve of the same "
                  "version, not %s%s.\n",
                  GATEHOUSE_VERSION, of ? "of " : "by hand", of ? of : "");
    exit(EXIT_FAILED);
}

int options_failed(const char *doing)
{
    const struct err_info *info = err_last();

    (void)fprintf(stderr, "gatehouse: %s: %s\n", doing, info->detail);
    if (getenv("GATEHOUSE_TRACE")) {
        char text[900];
        err_describe(info, text, sizeof text);
        (void)fprintf(stderr, "gatehouse: %s\n", text);
    }
    return EXIT_FAILED;
}
