/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/base/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ground/base/fd.h"

enum { PATH_BYTES_MAX = 512 };

enum { TEMP_NAME_MAX = 280 };

struct system_disk {
    int dir_fd;
};

static void sync_or_die(int fd)
{
    INVARIANT(fsync(fd) == 0, "a failed fsync cannot be repaired by a second one");
}

static enum err check_path(const char *path)
{
    ENSURE(path[0] && path[0] != '/' && strlen(path) < PATH_BYTES_MAX, ERR_INVALID, "bad_path",
           "Bad file path.");
    for (const char *p = path; p; p = strchr(p, '/')) {
        p += *p == '/';
        ENSURE(!(p[0] == '.' &&
                 (p[1] == '/' || p[1] == '\0' || (p[1] == '.' && (p[2] == '/' || !p[2])))) &&
                   *p != '/',
               ERR_INVALID, "bad_path", "Bad file path.");
    }
    return OK;
}

static enum err fail_errno(const char *what, const char *path)
{
    int why = errno;
    if (why == ENOENT)
        FAIL(ERR_NOT_FOUND, "no_file", "%s: there is no such file.", path);
    if (why == ENOSPC || why == EDQUOT)
        FAIL(ERR_IO, "disk_full", "%s %s: the disk is full.", what, path);
    FAIL(ERR_IO, "disk_failed", "%s %s: %s", what, path, strerror(why));
}

/* Open the directory part of path below the root, making what is missing; *ret_name is the last component. */
static enum err open_parent(struct system_disk *d, const char *path, bool make, int *ret_fd,
                            const char **ret_name)
{
    char part[PATH_BYTES_MAX];
    const char *at = path, *slash;
    AUTO(fd_close) int fd = -1;

    TRY(check_path(path));
    fd = openat(d->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno("open", path);
    while ((slash = strchr(at, '/')) != NULL) {
        size_t n = (size_t)(slash - at);
        memcpy(part, at, n);
        part[n] = '\0';
        if (make && mkdirat(fd, part, 0700) == 0)
            sync_or_die(fd);
        int next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return fail_errno("open", path);
        close(fd);
        fd = next;
        at = slash + 1;
    }
    *ret_fd = fd;
    *ret_name = at;
    fd = -1;
    return OK;
}

static enum err write_all(int fd, struct span content, const char *path)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.data, content.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno("write", path);
        content = span_sub(content, (size_t)n, content.len);
    }
    return OK;
}

static enum err read_fd(int fd, const char *path, struct buf *out)
{
    uint8_t block[16384];
    for (;;) {
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno("read", path);
        if (n == 0)
            return buf_check(out);
        buf_put(out, block, (size_t)n);
        TRY(buf_check(out));
    }
}

static enum err system_read(void *self, const char *path, struct buf *out)
{
    AUTO(fd_close) int parent = -1;
    AUTO(fd_close) int fd = -1;
    const char *name;

    TRY(open_parent(self, path, false, &parent, &name));
    fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fail_errno("open", path);
    return read_fd(fd, path, out);
}

/* The file is the caller's, open and not synced yet. */
static enum err write_temp(int parent, const char *path, const char *temp, struct span content,
                           unsigned mode, int *ret_fd)
{
    AUTO(fd_close) int fd = -1;

    (void)unlinkat(parent, temp, 0);
    fd = openat(parent, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return fail_errno("create", path);
    TRY(write_all(fd, content, path));
    *ret_fd = fd;
    fd = -1;
    return OK;
}

static enum err temp_name(const char *name, char *out, size_t size)
{
    int n = snprintf(out, size, ".%s.%d.tmp", name, (int)gettid());
    ENSURE(n > 0 && (size_t)n < size, ERR_INVALID, "bad_path", "File name too long.");
    return OK;
}

static enum err system_replace(void *self, const char *path, struct span content, unsigned mode)
{
    AUTO(fd_close) int parent = -1;
    AUTO(fd_close) int fd = -1;
    const char *name;
    char temp[TEMP_NAME_MAX];

    TRY(open_parent(self, path, true, &parent, &name));
    TRY(temp_name(name, temp, sizeof temp));
    TRY(write_temp(parent, path, temp, content, mode, &fd));
    sync_or_die(fd);
    if (renameat(parent, temp, parent, name) != 0)
        return fail_errno("rename", path);
    sync_or_die(parent);
    return OK;
}

static enum err same_content(void *self, const char *path, struct span content)
{
    AUTO(buf_done) struct buf there;

    buf_init(&there, content.len + 1);
    enum err e = system_read(self, path, &there);
    if (e == ERR_LIMIT || (e == OK && !span_eq(buf_span(&there), content)))
        FAIL(ERR_CONFLICT, "file_differs", "%s exists with other content.", path);
    return e;
}

struct making {
    int fd, parent;
    bool parent_shared; /* the parent is open for an earlier file */
    bool has_temp;
    const char *name;
    char temp[TEMP_NAME_MAX];
};

static bool same_dir(const char *a, const char *b)
{
    const char *end_a = strrchr(a, '/'), *end_b = strrchr(b, '/');
    size_t len_a = end_a ? (size_t)(end_a - a) : 0, len_b = end_b ? (size_t)(end_b - b) : 0;

    return len_a == len_b && memcmp(a, b, len_a) == 0;
}

/* The directory of files[i], which an earlier file may have opened. */
static enum err find_parent(struct system_disk *d, const struct disk_file *files, size_t i,
                            struct making *making)
{
    struct making *m = &making[i];
    const char *path = files[i].path;

    for (size_t j = 0; j < i; j++) {
        if (same_dir(path, files[j].path)) {
            const char *end = strrchr(path, '/');
            TRY(check_path(path));
            m->parent = making[j].parent;
            m->parent_shared = true;
            m->name = end ? end + 1 : path;
            return OK;
        }
    }
    return open_parent(d, path, true, &m->parent, &m->name);
}

static enum err make_temp(struct system_disk *d, const struct disk_file *files, size_t i,
                          unsigned mode, struct making *making)
{
    const struct disk_file *file = &files[i];
    struct making *m = &making[i];

    TRY(find_parent(d, files, i, making));
    TRY(temp_name(m->name, m->temp, sizeof m->temp));
    m->has_temp = true;
    TRY(write_temp(m->parent, file->path, m->temp, file->content, mode, &m->fd));
    /* Why ignored: it only begins what the fsync then waits for. */
    (void)sync_file_range(m->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return OK;
}

static enum err give_name(struct system_disk *d, const struct disk_file *file, struct making *m)
{
    int linked = linkat(m->parent, m->temp, m->parent, m->name, 0);
    int why = errno;

    (void)unlinkat(m->parent, m->temp, 0);
    m->has_temp = false;
    if (linked == 0)
        return OK;
    errno = why;
    return why == EEXIST ? same_content(d, file->path, file->content)
                         : fail_errno("link", file->path);
}

static enum err make_all(struct system_disk *d, const struct disk_file *files, size_t count,
                         unsigned mode, struct making *making)
{
    for (size_t i = 0; i < count; i++)
        TRY(make_temp(d, files, i, mode, making));
    for (size_t i = 0; i < count; i++)
        sync_or_die(making[i].fd);
    for (size_t i = 0; i < count; i++)
        TRY(give_name(d, &files[i], &making[i]));
    /* Why also for names that were there: whoever made them may have died before this. */
    for (size_t i = 0; i < count; i++)
        if (!making[i].parent_shared)
            sync_or_die(making[i].parent);
    return OK;
}

static enum err system_create_all(void *self, const struct disk_file *files, size_t count,
                                  unsigned mode)
{
    struct making making[DISK_FILES_MAX];

    INVARIANT(count <= DISK_FILES_MAX, "so many files are made at once");
    for (size_t i = 0; i < count; i++)
        making[i] = (struct making){.fd = -1, .parent = -1};
    enum err e = make_all(self, files, count, mode, making);
    for (size_t i = 0; i < count; i++) {
        fd_close(&making[i].fd);
        if (making[i].has_temp)
            (void)unlinkat(making[i].parent, making[i].temp, 0);
    }
    for (size_t i = 0; i < count; i++)
        if (!making[i].parent_shared)
            fd_close(&making[i].parent);
    return e;
}

static enum err system_create(void *self, const char *path, struct span content, unsigned mode)
{
    return system_create_all(self, &(struct disk_file){path, content}, 1, mode);
}

static enum err open_dir(struct system_disk *d, const char *path, int *ret_fd)
{
    AUTO(fd_close) int parent = -1;
    const char *name = ".";

    if (strcmp(path, ".") != 0)
        TRY(open_parent(d, path, false, &parent, &name));
    *ret_fd = openat(parent < 0 ? d->dir_fd : parent, name,
                     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *ret_fd < 0 ? fail_errno("open", path) : OK;
}

static enum err system_append_open(void *self, const char *path, unsigned mode, int *ret_handle)
{
    AUTO(fd_close) int parent = -1;
    const char *name;

    TRY(open_parent(self, path, true, &parent, &name));
    int fd = openat(parent, name, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return fail_errno("open", path);
    sync_or_die(parent);
    *ret_handle = fd;
    return OK;
}

static enum err system_append(void *self, int handle, struct span content)
{
    (void)self;
    return write_all(handle, content, "(append)");
}

static enum err system_sync(void *self, int handle)
{
    (void)self;
    INVARIANT(fdatasync(handle) == 0, "a failed fsync cannot be repaired by a second one");
    return OK;
}

static enum err system_truncate(void *self, int handle, uint64_t size)
{
    (void)self;
    if (ftruncate(handle, (off_t)size) != 0)
        return fail_errno("truncate", "(append)");
    sync_or_die(handle);
    return OK;
}

static void system_close(void *self, int handle)
{
    (void)self;
    close(handle);
}

static enum err system_remove(void *self, const char *path)
{
    AUTO(fd_close) int parent = -1;
    const char *name;

    TRY(open_parent(self, path, false, &parent, &name));
    if (unlinkat(parent, name, 0) != 0)
        return fail_errno("remove", path);
    return OK;
}

static enum err visit_all(DIR *dir, enum err (*visit)(void *, const char *), void *context)
{
    struct dirent *e;
    while ((e = readdir(dir)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            TRY(visit(context, e->d_name));
    return OK;
}

static enum err system_list(void *self, const char *path, enum err (*visit)(void *, const char *),
                            void *context)
{
    int fd = -1;

    TRY(open_dir(self, path, &fd));
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return fail_errno("open", path);
    }
    enum err e = visit_all(dir, visit, context);
    closedir(dir);
    return e;
}

enum err disk_open(const char *dir, struct disk *ret_disk)
{
    struct system_disk *d = malloc(sizeof *d);

    ENSURE(d, ERR_NOMEM, "no_memory", "No memory.");
    d->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->dir_fd < 0) {
        free(d);
        return fail_errno("open", dir);
    }
    *ret_disk = (struct disk){system_read,        system_replace, system_create, system_create_all,
                              system_append_open, system_append,  system_sync,   system_truncate,
                              system_close,       system_remove,  system_list,   d};
    return OK;
}

void disk_close(struct disk *disk)
{
    struct system_disk *d = disk ? disk->self : NULL;
    if (!d)
        return;
    close(d->dir_fd);
    free(d);
    disk->self = NULL;
}
