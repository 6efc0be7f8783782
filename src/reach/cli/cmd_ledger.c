/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_ledger - gatehouse ledger verify, from the log's files and its public key alone. The audit is in cmd_audit.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ground/crypto/crypto.h"
#include "ground/encode/base64.h"
#include "ground/encode/json.h"
#include "reach/cli/cmd_audit.h"
#include "reach/cli/commands.h"
#include "reach/cli/options.h"
#include "trust/ledger/tile.h"
#include "trust/ledger/verify.h"

enum {
    PATH_BYTES_MAX = 1200,
    ROOT_TEXT_MAX = 64,
    CHECKPOINT_WAIT_MS = 1500,
    CHECKPOINT_LOOK_MS = 50,
};

static const char usage[] =
    "Usage: gatehouse ledger verify --dir DIR [--vkey FILE] [--json]\n"
    "       gatehouse ledger audit --dir DIR [--vkey FILE] [--json]\n"
    "verify recomputes the public log from its files and compares it with what was signed. It "
    "needs\n"
    "no database and no secret: DIR may also be a copy of the log alone.\n"
    "audit opens every entry of the database against the log, compares every row with the entry\n"
    "about it, and every ticket the signer made with its row; what does not fit is named.\n"
    "Both work beside a running server.\n"
    "  --dir DIR    the data directory (verify: or a copy of its log folder)\n"
    "  --vkey FILE  the log's public key (default: DIR/log-vkey); better one kept elsewhere\n"
    "  --json       one JSON object instead of sentences\n"
    "  --help       this text\n"
    "Exit status: 0 all is well, 1 something does not fit, 2 could not run.\n";

/* --- The log as it stood ------------------------------------------------------------------------------------------------------ */

/* What the full file begins with, where the partial one is gone: the full one was written before. */
static enum err read_cut(const struct log_view *v, const char *path, struct buf *out)
{
    struct tile_path p;
    char full[TILE_PATH_MAX];
    size_t from = out->len, keep;
    struct cursor c;
    struct span entry;

    if (tile_path_parse(span_text(path), &p) != OK || p.width == TILE_WIDTH)
        FAIL(ERR_NOT_FOUND, "no_file", "There is no %s.", path);
    unsigned width = p.width;
    p.width = TILE_WIDTH;
    tile_path_format(&p, full);
    TRY(v->real.read(v->real.self, full, out));
    keep = (size_t)width * MERKLE_HASH_BYTES;
    if (p.entries) {
        c.rest = span_sub(buf_span(out), from, out->len);
        for (unsigned i = 0; i < width && c.rest.len > 0; i++)
            if (bundle_next(&c, &entry) != OK)
                return OK; /* not whole: for the reader to complain about */
        keep = out->len - from - c.rest.len;
    }
    if (out->len - from > keep)
        out->len = from + keep;
    return OK;
}

static enum err view_read(void *self, const char *path, struct buf *out)
{
    const struct log_view *v = self;

    if (strcmp(path, "checkpoint") == 0) {
        ENSURE(v->published, ERR_NOT_FOUND, "no_file", "There is no checkpoint.");
        buf_put_span(out, buf_span(&v->checkpoint));
        return buf_check(out);
    }
    enum err e = v->real.read(v->real.self, path, out);
    return e == ERR_NOT_FOUND ? read_cut(v, path, out) : e;
}

/* A server that has just begun publishes its first checkpoint within a moment: wait for it. */
static enum err read_checkpoint(const struct disk *real, struct buf *out)
{
    const struct clock *clock = clock_system();
    const struct timespec pause = {0, CHECKPOINT_LOOK_MS * 1000000L};
    int64_t until = clock_mono_ms(clock) + CHECKPOINT_WAIT_MS;

    for (;;) {
        enum err e = real->read(real->self, "checkpoint", out);
        if (e != ERR_NOT_FOUND || clock_mono_ms(clock) >= until)
            return e;
        (void)nanosleep(&pause, NULL);
    }
}

enum err log_view_open(const char *dir, struct log_view *ret_view)
{
    struct log_view *v = ret_view;

    *v = (struct log_view){.published = false};
    ENSURE(access(dir, R_OK | X_OK) == 0, ERR_NOT_FOUND, "no_log", "%s cannot be read: %s.", dir,
           strerror(errno));
    TRY(disk_open(dir, &v->real));
    buf_init(&v->checkpoint, NOTE_BYTES_MAX + 1);
    enum err e = read_checkpoint(&v->real, &v->checkpoint);
    v->published = e == OK || e == ERR_LIMIT; /* too long: what was read is no checkpoint either */
    if (e != OK && e != ERR_NOT_FOUND && e != ERR_LIMIT) {
        log_view_close(v);
        return e;
    }
    v->disk = (struct disk){.read = view_read, .self = v};
    return OK;
}

void log_view_close(struct log_view *v)
{
    disk_close(&v->real);
    buf_done(&v->checkpoint);
}

enum err vkey_file_read(const char *path, struct vkey *ret_key)
{
    char line[VKEY_TEXT_MAX + 3];
    FILE *f = fopen(path, "re");

    ENSURE(f, ERR_NOT_FOUND, "no_vkey",
           "The log's public key %s cannot be read: %s. gatehouse serve writes it when it starts.",
           path, strerror(errno));
    bool got = fgets(line, sizeof line, f) != NULL;
    (void)fclose(f);
    ENSURE(got, ERR_INVALID, "bad_vkey", "%s holds no verifier key.", path);
    line[strcspn(line, "\r\n")] = '\0';
    return vkey_parse(span_text(line), ret_key);
}

/* --- verify ------------------------------------------------------------------------------------------------------------------- */

/* DIR/log of an installation, or DIR itself when it is a copy of the log. */
static void find_log(const char *dir, char *out)
{
    (void)snprintf(out, PATH_BYTES_MAX, "%.1000s/checkpoint", dir);
    bool copy = access(out, F_OK) == 0;
    (void)snprintf(out, PATH_BYTES_MAX, copy ? "%.1000s" : "%.1000s/log", dir);
}

static void root_text(const struct merkle_hash *root, char out[ROOT_TEXT_MAX])
{
    AUTO(buf_done) struct buf b = {0};

    buf_init(&b, ROOT_TEXT_MAX - 1);
    base64_put(&b, SPAN_ARRAY(root->b));
    (void)snprintf(out, ROOT_TEXT_MAX, "%s", buf_text(&b));
}

static int print_json(const struct ledger_verify_report *r, bool good, const char *root)
{
    AUTO(buf_done) struct buf b = {0};
    struct json_writer w;

    buf_init(&b, 8192);
    json_w_init(&w, &b);
    json_w_object(&w);
    json_w_kv_bool(&w, "ok", good);
    json_w_kv_i64(&w, "entries", (int64_t)r->size);
    json_w_kv_i64(&w, "files", (int64_t)r->files);
    json_w_kv_cstr(&w, "root", root);
    json_w_kv_array(&w, "findings");
    if (!good) {
        json_w_object(&w);
        json_w_kv_cstr(&w, "kind", "log");
        json_w_kv_cstr(&w, "subject", r->file);
        json_w_kv_i64(&w, "offset", (int64_t)r->offset);
        json_w_kv_cstr(&w, "sentence", r->sentence);
        json_w_end(&w);
    }
    json_w_end(&w);
    json_w_end(&w);
    if (json_w_finish(&w) != OK)
        return options_failed("ledger verify");
    (void)puts(buf_text(&b));
    return good ? EXIT_DONE : EXIT_NO;
}

static int verify_command(const char *dir, const char *vkey_path, bool json)
{
    AUTO(log_view_close) struct log_view view = {.published = false};
    struct ledger_verify_report report;
    char path[PATH_BYTES_MAX], root[ROOT_TEXT_MAX];
    struct vkey key;

    (void)snprintf(path, sizeof path, "%.1000s/log-vkey", dir);
    if (vkey_file_read(vkey_path ? vkey_path : path, &key) != OK)
        return options_failed("ledger verify");
    find_log(dir, path);
    if (crypto_init() != OK || log_view_open(path, &view) != OK)
        return options_failed("ledger verify");
    enum err e = ledger_verify(&view.disk, &key, &report);
    if (e != OK && e != ERR_CORRUPT)
        return options_failed("ledger verify");
    root_text(&report.root, root);
    if (json)
        return print_json(&report, e == OK, root);
    if (e == ERR_CORRUPT) {
        (void)printf("%s, byte %llu: %s\nlog: does not verify\n", report.file,
                     (unsigned long long)report.offset, report.sentence);
        return EXIT_NO;
    }
    (void)printf("log %s: %llu entries in %llu files, root %s: verified\n", key.name,
                 (unsigned long long)report.size, (unsigned long long)report.files, root);
    return EXIT_DONE;
}

/* --------------------------------------------------------------------------------------------------------------------------- */

int command_ledger(int argc, char **argv)
{
    const char *dir = NULL, *vkey = NULL, *what = NULL;
    bool json = false;
    const struct option_spec specs[] = {
        {"dir", &dir, NULL}, {"vkey", &vkey, NULL}, {"json", NULL, &json}};
    int words = 0;

    options_read(argc, argv, usage, specs, COUNT_OF(specs), &what, 1, &words);
    bool verify = words == 1 && strcmp(what, "verify") == 0;
    bool audit = words == 1 && strcmp(what, "audit") == 0;
    if (!dir || (!verify && !audit)) {
        (void)fprintf(stderr, "gatehouse: ledger needs verify or audit, and --dir.\n%s", usage);
        return EXIT_FAILED;
    }
    return verify ? verify_command(dir, vkey, json) : audit_command(dir, vkey, json);
}
