/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/cli/install.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ground/crypto/x509.h"
#include "ground/encode/base64.h"

enum { SECRET_TEXT_MAX = 4096 };

static const char *const directories[] = {"db",  "db/backup", "keys", "signer",
                                          "log", "log-state", "tls",  "mail"};

void install_path(const struct install *i, const char *name, char *out)
{
    if (name[0] == '/')
        (void)snprintf(out, INSTALL_PATH_MAX, "%.1000s", name);
    else
        (void)snprintf(out, INSTALL_PATH_MAX, "%.500s/%.500s", i->dir, name);
}

static enum err make_directory(const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return OK;
    FAIL(ERR_IO, "disk_failed", "%s cannot be made: %s.", path, strerror(errno));
}

/* The directory and those above it. */
static enum err make_directories(const char *path)
{
    char part[INSTALL_PATH_MAX];

    ENSURE(strlen(path) < sizeof part - 64, ERR_INVALID, "bad_path",
           "The directory's name is too long.");
    (void)snprintf(part, sizeof part, "%s", path);
    for (char *slash = part + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        TRY(make_directory(part));
        *slash = '/';
    }
    return make_directory(part);
}

static enum err write_secret_bytes(const struct disk *disk, const char *path)
{
    struct secret32 key;

    secret32_random(&key);
    enum err e = disk->create(disk->self, path, SPAN_ARRAY(key.b), 0600);
    secret32_wipe(&key);
    return e;
}

/* prefix and 32 random bytes in base64url: a secret for a provider. */
static enum err write_secret_text(const struct disk *disk, const char *path, const char *prefix)
{
    AUTO(buf_done) struct buf text = {0};
    struct secret32 key;

    secret32_random(&key);
    buf_init(&text, SECRET_TEXT_MAX);
    buf_put_text(&text, prefix);
    base64url_put(&text, SPAN_ARRAY(key.b));
    secret32_wipe(&key);
    buf_put_text(&text, "\n");
    TRY(buf_check(&text));
    return disk->create(disk->self, path, buf_span(&text), 0600);
}

static enum err write_authority(const struct disk *disk, const struct clock *clock)
{
    AUTO(buf_done) struct buf cert = {0};
    AUTO(buf_done) struct buf key = {0};

    buf_init(&cert, X509_PEM_MAX);
    buf_init(&key, X509_PEM_MAX);
    TRY(x509_ca_create(clock, "Gatehouse local authority", &cert, &key));
    TRY(disk->create(disk->self, "tls/ca.pem", buf_span(&cert), 0644));
    return disk->create(disk->self, "tls/ca-key.pem", buf_span(&key), 0600);
}

static void without_scheme(const char *origin, char *out, size_t size)
{
    const char *rest = strstr(origin, "://");
    (void)snprintf(out, size, "%s/log", rest ? rest + 3 : origin);
}

static enum err write_settings(const struct install_wish *wish, const struct disk *disk)
{
    AUTO(buf_done) struct buf text = {0};
    struct settings s;

    settings_defaults(&s);
    if (wish->origin)
        (void)snprintf(s.server_origin, SETTING_MAX, "%s", wish->origin);
    if (wish->listen)
        (void)snprintf(s.server_listen, SETTING_MAX, "%s", wish->listen);
    if (wish->tls_listen)
        (void)snprintf(s.server_tls_listen, SETTING_MAX, "%s", wish->tls_listen);
    if (wish->log_origin)
        (void)snprintf(s.log_origin, SETTING_MAX, "%s", wish->log_origin);
    else
        without_scheme(wish->origin ? wish->origin : "gatehouse.localhost", s.log_origin,
                       SETTING_MAX);
    (void)snprintf(s.provider_key_file, SETTING_MAX, "provider-key");
    (void)snprintf(s.provider_webhook_secret_file, SETTING_MAX, "webhook-secret");
    buf_init(&text, 65536);
    settings_write(&s, &text);
    TRY(buf_check(&text));
    return disk->create(disk->self, "gatehouse.conf", buf_span(&text), 0600);
}

static enum err fill(const struct install_wish *wish, const struct disk *disk,
                     const struct clock *clock)
{
    TRY(write_secret_bytes(disk, "keys/site-master"));
    TRY(write_secret_text(disk, "provider-key", "sk_test_"));
    TRY(write_secret_text(disk, "webhook-secret", "whsec_"));
    TRY(write_authority(disk, clock));
    return write_settings(wish, disk); /* last: its presence says that the rest is there */
}

enum err install_create(const struct install_wish *wish, const struct clock *clock)
{
    char path[INSTALL_PATH_MAX + 16];
    struct disk disk;

    TRY(make_directories(wish->dir));
    (void)snprintf(path, sizeof path, "%s/gatehouse.conf", wish->dir);
    ENSURE(access(path, F_OK) != 0, ERR_CONFLICT, "exists", "%s holds an installation already.",
           wish->dir);
    for (size_t i = 0; i < COUNT_OF(directories); i++) {
        (void)snprintf(path, sizeof path, "%.900s/%s", wish->dir, directories[i]);
        TRY(make_directory(path));
    }
    TRY(disk_open(wish->dir, &disk));
    enum err e = fill(wish, &disk, clock);
    disk_close(&disk);
    return e;
}

enum err install_open(const char *dir, struct install *ret_install)
{
    char resolved[PATH_MAX], path[INSTALL_PATH_MAX];

    memset(ret_install, 0, sizeof *ret_install);
    ENSURE(realpath(dir, resolved) && strlen(resolved) <= 500, ERR_NOT_FOUND, "no_install",
           "There is no installation in %s. Make one with: gatehouse init --dir %s", dir, dir);
    (void)snprintf(ret_install->dir, sizeof ret_install->dir, "%.900s", resolved);
    install_path(ret_install, "gatehouse.conf", path);
    ENSURE(access(path, R_OK) == 0, ERR_NOT_FOUND, "no_install",
           "There is no installation in %s. Make one with: gatehouse init --dir %s", dir, dir);
    TRY(settings_load(path, &ret_install->settings));
    return disk_open(ret_install->dir, &ret_install->disk);
}

void install_close(struct install *i)
{
    disk_close(&i->disk);
}

/*
 * Read a file that only its owner may read: none of the refused bits. Why fewer below a credentials directory: systemd grants the
 * service's user by an ACL, whose mask stat shows as group bits.
 */
static enum err read_private(const char *path, mode_t refused, struct buf *out)
{
    struct stat st;
    uint8_t block[SECRET_TEXT_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    ENSURE(fd >= 0, ERR_NOT_FOUND, "no_secret", "%s cannot be read: %s.", path, strerror(errno));
    bool private = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & refused) == 0;
    ssize_t n = private ? read(fd, block, sizeof block) : -1;
    close(fd);
    ENSURE(private, ERR_DENIED, "open_secret", "%s may be read by others. Run: chmod 600 %s", path,
           path);
    ENSURE(n > 0, ERR_IO, "disk_failed", "%s cannot be read.", path);
    buf_put(out, block, (size_t)n);
    wipe(block, sizeof block);
    return buf_check(out);
}

enum err install_site_master(const struct install *i, struct secret32 *ret_key)
{
    AUTO(buf_done) struct buf bytes = {0};
    char path[INSTALL_PATH_MAX];
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    bool given = false;

    if (credentials && strlen(credentials) < 900) {
        (void)snprintf(path, sizeof path, "%s/gatehouse-site-master", credentials);
        given = access(path, R_OK) == 0;
    }
    if (!given)
        install_path(i, "keys/site-master", path);
    buf_init(&bytes, SECRET_TEXT_MAX);
    TRY(read_private(path, given ? 07 : 077, &bytes));
    ENSURE(bytes.len == SECRET_BYTES, ERR_CORRUPT, "bad_secret", "%s must hold %d bytes.", path,
           SECRET_BYTES);
    memcpy(ret_key->b, bytes.data, SECRET_BYTES);
    return OK;
}

enum err install_secret(const struct install *i, const char *path, struct buf *out)
{
    char full[INSTALL_PATH_MAX];

    install_path(i, path, full);
    buf_init(out, SECRET_TEXT_MAX);
    TRY(read_private(full, 077, out));
    while (out->len > 0 && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
        out->len--;
    ENSURE(out->len > 0, ERR_INVALID, "bad_secret", "%s is empty.", full);
    return OK;
}
