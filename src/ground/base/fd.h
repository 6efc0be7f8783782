/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_FD_H
#define GROUND_BASE_FD_H

/* fd - a descriptor that its owner closes at the end: AUTO(fd_close) int fd = ...; hand it on by leaving -1 behind. */

/* Nothing happens when it is negative. */
void fd_close(int *fd);

#endif
