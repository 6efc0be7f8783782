/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/http/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ground/base/fd.h"
#include "ground/crypto/crypto.h"

enum { PATH_MAX_HERE = 512, ETAG_MAX = 40, CODINGS = 3 };

struct form {
    struct span content; /* data is NULL when there is none */
    char etag[ETAG_MAX];
};

struct file {
    char *path; /* "/shop/app.js" */
    const char *type;
    bool immutable;
    struct form forms[CODINGS]; /* as it is, br, gzip */
};

struct http_files {
    struct file *files; /* in order of path */
    size_t count, bytes, bytes_max;
};

static const char *const coding_names[CODINGS] = {"", "br", "gzip"};
static const char *const coding_ends[CODINGS] = {"", ".br", ".gz"};

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static const char *type_of(const char *path)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".json", "application/json"},
        {".webmanifest", "application/manifest+json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".webp", "image/webp"},
        {".avif", "image/avif"},
        {".ico", "image/x-icon"},
        {".wasm", "application/wasm"},
        {".woff2", "font/woff2"},
        {".txt", "text/plain; charset=utf-8"},
        {".xml", "application/xml"},
        {".map", "application/json"},
        {".pem", "application/x-pem-file"},
    };
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (ends_in(path, types[i][0]))
            return types[i][1];
    return "application/octet-stream";
}

/* esbuild's "[name]-[hash].ext": eight base32 capitals and digits. */
static bool has_build_hash(const char *path)
{
    const char *dash = strrchr(path, '-');
    return dash && strlen(dash) > 9 && dash[9] == '.' &&
           strspn(dash + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == 8;
}

static enum err read_content(struct http_files *f, int fd, size_t size, struct span *ret_content)
{
    uint8_t *data = malloc(size + 1);
    size_t len = 0;
    ENSURE(data, ERR_NOMEM, "no_memory", "No memory for web files.");
    while (len < size) {
        ssize_t n = read(fd, data + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    if (len < size) {
        free(data);
        FAIL(ERR_IO, "web_file", "A web file could not be read to its end.");
    }
    f->bytes += size;
    *ret_content = span_of(data, size);
    return OK;
}

static struct file *file_named(struct http_files *f, const char *path, size_t len)
{
    for (size_t i = 0; i < f->count; i++)
        if (strlen(f->files[i].path) == len && memcmp(f->files[i].path, path, len) == 0)
            return &f->files[i];
    return NULL;
}

/* The table's entry for a path, made when it is new. */
static enum err entry_for(struct http_files *f, const char *path, size_t len,
                          struct file **ret_file)
{
    struct file *at = file_named(f, path, len);
    if (!at) {
        ENSURE(f->count < HTTP_FILES_MAX, ERR_LIMIT, "web_files", "There are too many web files.");
        at = &f->files[f->count];
        at->path = strndup(path, len);
        ENSURE(at->path, ERR_NOMEM, "no_memory", "No memory for web files.");
        at->type = type_of(at->path);
        at->immutable = has_build_hash(at->path);
        f->count++;
    }
    *ret_file = at;
    return OK;
}

static enum err load_file(struct http_files *f, int fd, size_t size, const char *path)
{
    size_t coding = ends_in(path, ".br") ? 1 : ends_in(path, ".gz") ? 2 : 0;
    uint8_t hash[SHA256_BYTES];
    struct file *file;

    ENSURE(size <= f->bytes_max - f->bytes, ERR_LIMIT, "web_files", "The web files are too large.");
    TRY(entry_for(f, path, strlen(path) - strlen(coding_ends[coding]), &file));
    struct form *form = &file->forms[coding];
    TRY(read_content(f, fd, size, &form->content));
    sha256(form->content, hash);
    form->etag[0] = '"';
    for (size_t i = 0; i < 16; i++)
        (void)snprintf(form->etag + 1 + 2 * i, 4, "%02x\"", hash[i]);
    return OK;
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static enum err load_dir(struct http_files *f, int fd, const char *path, unsigned depth);

static enum err load_entry(struct http_files *f, int dir, const char *name, const char *path,
                           unsigned depth)
{
    char child[PATH_MAX_HERE];
    struct stat st;

    ENSURE(snprintf(child, sizeof child, "%s/%s", path, name) < (int)sizeof child, ERR_LIMIT,
           "web_files", "A web file's path is too long.");
    AUTO(fd_close) int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ELOOP)
        return OK; /* a symbolic link */
    ENSURE(fd >= 0 && fstat(fd, &st) == 0, ERR_IO, "web_file", "The web file %s cannot be read.",
           child);
    if (S_ISDIR(st.st_mode)) {
        ENSURE(depth < HTTP_FILES_DEPTH_MAX, ERR_LIMIT, "web_files", "Web files lie too deep.");
        int taken = fd;
        fd = -1;
        return load_dir(f, taken, child, depth + 1);
    }
    return S_ISREG(st.st_mode) ? load_file(f, fd, (size_t)st.st_size, child) : OK;
}

/* Takes fd over. */
static enum err load_dir(struct http_files *f, int fd, const char *path, unsigned depth)
{
    AUTO(close_dir) DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        FAIL(ERR_IO, "web_file", "A folder of web files cannot be read.");
    }
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.')
            TRY(load_entry(f, dirfd(dir), e->d_name, path, depth));
    return OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

enum err http_files_open(const char *dir, size_t max_bytes, struct http_files **ret_files)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ENSURE(fd >= 0, ERR_NOT_FOUND, "no_web_files", "The folder of web files cannot be opened.");
    struct http_files *f = calloc(1, sizeof *f);
    if (f)
        f->files = calloc(HTTP_FILES_MAX, sizeof *f->files);
    if (!f || !f->files) {
        free(f);
        close(fd);
        FAIL(ERR_NOMEM, "no_memory", "No memory for web files.");
    }
    f->bytes_max = max_bytes;
    enum err code = load_dir(f, fd, "", 0);
    if (code != OK) {
        http_files_close(f);
        return code;
    }
    qsort(f->files, f->count, sizeof *f->files, by_path);
    *ret_files = f;
    return OK;
}

void http_files_close(struct http_files *files)
{
    if (!files)
        return;
    for (size_t i = 0; i < files->count; i++) {
        free(files->files[i].path);
        for (size_t k = 0; k < CODINGS; k++)
            free((void *)(uintptr_t)files->files[i].forms[k].content.data);
    }
    free(files->files);
    free(files);
}

static const struct file *find(const struct http_files *f, struct span path)
{
    char name[PATH_MAX_HERE];
    if (path.len == 0 || path.len + sizeof "index.html" > sizeof name ||
        memchr(path.data, 0, path.len))
        return NULL;
    memcpy(name, path.data, path.len);
    name[path.len] = 0;
    if (name[path.len - 1] == '/')
        memcpy(name + path.len, "index.html", sizeof "index.html");
    struct file key = {.path = name};
    const struct file *found = bsearch(&key, f->files, f->count, sizeof key, by_path);
    return found && found->forms[0].content.data ? found : NULL;
}

bool http_files_reply(const struct http_files *files, struct http_exchange *x, struct span path)
{
    const struct file *file = find(files, path);
    size_t coding = 0;

    if (!file || (x->request.method != HTTP_GET && x->request.method != HTTP_HEAD))
        return false;
    for (size_t i = 1; i < CODINGS && !coding; i++)
        if (file->forms[i].content.data && http_accepts_coding(&x->request, coding_names[i]))
            coding = i;
    http_header_text(x, "Cache-Control",
                     file->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    http_header_text(x, "Vary", "Accept-Encoding");
    if (coding)
        http_header_text(x, "Content-Encoding", coding_names[coding]);
    http_reply_static(x, file->type, file->forms[coding].content, file->forms[coding].etag);
    return true;
}

struct span http_files_get(const struct http_files *files, struct span path)
{
    const struct file *file = find(files, path);
    return file ? file->forms[0].content : (struct span){0};
}

size_t http_files_count(const struct http_files *files)
{
    return files->count;
}
