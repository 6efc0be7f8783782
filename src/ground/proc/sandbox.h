/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_PROC_SANDBOX_H
#define GROUND_PROC_SANDBOX_H

/*
 * sandbox - give up, for good, what a process will not need: a seccomp filter, Landlock where the kernel has it, no new
 * privileges, no core dumps, no ptrace by others of the same user.
 *
 * A refused call fails with EPERM (it does not kill), so that a library that probes for something degrades instead of ending
 * the process. Enter after the libraries have started (crypto_init) and all but the own directory is open.
 *
 * Without Landlock the filter still forbids network, new programs, tracing and executable memory, but cannot see paths: what
 * the user may read stays readable. sandbox_enter says which it was, and the caller reports it.
 */
#include <stdbool.h>
#include <stddef.h>

#include "ground/base/result.h"

enum sandbox_profile {
    /* An allow-list: files below the given directories by descriptor, the sockets already open, memory, time. No threads. */
    SANDBOX_SIGNER,
    /* A deny-list for programs that need network and threads: no new programs, tracing, mounts, kernel interfaces, namespaces. */
    SANDBOX_NETWORK,
};

struct sandbox_spec {
    enum sandbox_profile profile;
    const char *const *write_dirs; /* may be read and written below */
    size_t write_dir_count;
    const char *const *read_paths; /* may be read (files or directories) */
    size_t read_path_count;
};

/* ERR_IO "sandbox_failed": the caller must not go on. ret_landlock: paths are confined too. */
RESULT sandbox_enter(const struct sandbox_spec *spec, bool *ret_landlock);
/* Only no core dumps and no ptrace: for programs that hold secrets but cannot be confined. */
RESULT sandbox_no_dumps(void);

#endif
