/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/base/fd.h"

#include <unistd.h>

void fd_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}
