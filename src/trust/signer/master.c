/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/signer/master.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREDENTIAL_NAME "gatehouse-master"

enum { MASTER_PATH_MAX = 1024 };

/*
 * Why the group bits are not looked at below a credentials directory: systemd grants the service's user by an ACL, whose mask
 * stat shows as group bits.
 */
static enum err read_key_file(const char *path, mode_t refused, struct secret32 *ret_master)
{
    AUTO(secret32_wipe) struct secret32 key;
    struct stat st;
    uint8_t more;

    AUTO(fd_close) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        FAIL(ERR_NOT_FOUND, "no_master_key", "There is no master key at %s.", path);
    ENSURE(fd >= 0 && fstat(fd, &st) == 0, ERR_IO, "no_master_key",
           "The master key cannot be read: %s", strerror(errno));
    ENSURE(S_ISREG(st.st_mode) && (st.st_mode & refused) == 0 &&
               (st.st_uid == geteuid() || st.st_uid == 0),
           ERR_DENIED, "master_key_exposed",
           "The master key %s must be a file that only its owner may read (chmod 600).", path);
    ssize_t n = read(fd, key.b, sizeof key.b);
    ENSURE(n == SECRET_BYTES && read(fd, &more, 1) == 0, ERR_CORRUPT, "bad_master_key",
           "The master key %s does not have exactly %d bytes.", path, SECRET_BYTES);
    *ret_master = key;
    return OK;
}

static enum err sync_dir_of(const char *path)
{
    char dir[MASTER_PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;

    ENSURE(n < sizeof dir, ERR_INVALID, "bad_path", "The master key's path is too long.");
    memcpy(dir, path, n);
    dir[n] = '\0';
    AUTO(fd_close)
    int fd = open(n ? dir : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ENSURE(fd >= 0 && fsync(fd) == 0, ERR_IO, "master_key_failed",
           "The master key could not be made durable: %s", strerror(errno));
    return OK;
}

static enum err create_key_file(const char *path)
{
    AUTO(secret32_wipe) struct secret32 key;

    AUTO(fd_close) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    ENSURE(fd >= 0, ERR_IO, "master_key_failed", "The master key %s cannot be made: %s", path,
           strerror(errno));
    secret32_random(&key);
    ENSURE(write(fd, key.b, sizeof key.b) == SECRET_BYTES && fsync(fd) == 0, ERR_IO,
           "master_key_failed", "The master key could not be written: %s", strerror(errno));
    return sync_dir_of(path);
}

enum err master_read(const char *path, bool create, struct secret32 *ret_master)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    char given[MASTER_PATH_MAX];

    if (credentials) {
        int n = snprintf(given, sizeof given, "%s/" CREDENTIAL_NAME, credentials);
        ENSURE(n > 0 && (size_t)n < sizeof given, ERR_INVALID, "bad_path",
               "CREDENTIALS_DIRECTORY is too long.");
        enum err e = read_key_file(given, 07, ret_master);
        if (e != ERR_NOT_FOUND)
            return e;
    }
    enum err e = read_key_file(path, 077, ret_master);
    if (e != ERR_NOT_FOUND || !create)
        return e;
    TRY(create_key_file(path));
    return read_key_file(path, 077, ret_master);
}

void master_derive(const struct secret32 *master, const char *label, struct secret32 *ret_key)
{
    hkdf_sha256(SPAN_LIT("gatehouse signer"), SPAN_ARRAY(master->b), span_text(label), ret_key->b,
                sizeof ret_key->b);
}
