/* SPDX-License-Identifier: Apache-2.0 */
/* gatehouse-courier - the only process that calls out; gatehouse serve starts it. */
#include "ground/proc/spawn.h"
#include "reach/cli/options.h"
#include "reach/courier/courier.h"

int main(int argc, char **argv)
{
    const char *of = NULL;
    const struct option_spec specs[] = {{"of", &of, NULL}};

    options_read(argc, argv, "Usage: gatehouse-courier --of VERSION (started by gatehouse serve)\n",
                 specs, COUNT_OF(specs), NULL, 0, NULL);
    options_of_same_version(of);
    return courier_main(PROC_CHILD_FD);
}
