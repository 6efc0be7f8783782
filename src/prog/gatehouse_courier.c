/* SPDX-License-Identifier: Apache-2.0 */
/* gatehouse-courier - the only process that calls out; gatehouse serve starts it. */
#include "ground/base/log.h"
#include "ground/proc/spawn.h"
#include "reach/cli/options.h"
#include "reach/courier/courier.h"

int main(int argc, char **argv)
{
    options_read(argc, argv, "Usage: gatehouse-courier (started by gatehouse serve)\n", NULL, 0,
                 NULL, 0, NULL);
    log_setup(LOG_INFO, "courier");
    return courier_main(PROC_CHILD_FD);
}
