/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_BASE_DISK_H
#define GROUND_BASE_DISK_H

/*
 * disk - the file operations durable parts are built from, as an injected part: the simulator and the fault tests own them.
 * Paths are relative to the directory the disk was opened on; "..", absolute paths and symbolic links are refused.
 *
 * A failed fsync is never retried (the page cache may lie afterwards): the system disk aborts the process.
 */
#include "ground/base/span.h"

enum { DISK_FILES_MAX = 32 };

struct disk_file {
    const char *path;
    struct span content;
};

struct disk {
    /* Whole file into out. ERR_NOT_FOUND when there is none, ERR_LIMIT past out's maximum. */
    enum err (*read)(void *self, const char *path, struct buf *out);
    /* Create or replace: temporary file, write, fsync, rename, fsync of the directory. Directories are made as needed. */
    enum err (*replace)(void *self, const char *path, struct span content, unsigned mode);
    /* Create exclusively, the same steps; a file with identical content is accepted, other content is ERR_CONFLICT. */
    enum err (*create)(void *self, const char *path, struct span content, unsigned mode);
    /*
     * The same for up to DISK_FILES_MAX files, which share what is waited for: all contents are on their way to the disk before the
     * first fsync, and each directory is synced once. No name is there before its content is durable. When it fails, some are there.
     */
    enum err (*create_all)(void *self, const struct disk_file *files, size_t count, unsigned mode);
    /* Open for appending (made with mode when absent). */
    enum err (*append_open)(void *self, const char *path, unsigned mode, int *ret_handle);
    enum err (*append)(void *self, int handle, struct span content); /* all or error */
    enum err (*sync)(void *self, int handle);
    enum err (*truncate)(void *self, int handle,
                         uint64_t size); /* for dropping a torn tail at start */
    void (*close)(void *self, int handle);
    /* Without an fsync: after a power failure it may be there again. */
    enum err (*remove)(void *self, const char *path);
    /* Calls visit(context, name) for each name in the directory ("." is the disk's own), in no order. */
    enum err (*list)(void *self, const char *dir,
                     enum err (*visit)(void *context, const char *name), void *context);
    void *self;
};

/* A disk on a real directory, which must exist. Free with disk_close. */
RESULT disk_open(const char *dir, struct disk *ret_disk);
void disk_close(struct disk *d);

#endif
