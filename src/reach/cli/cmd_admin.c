/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_admin - gatehouse admin: what is done at the machine and not through the server. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ground/crypto/x509.h"
#include "reach/cli/commands.h"
#include "reach/cli/install.h"
#include "reach/cli/options.h"
#include "store/sqlite/sqlite.h"
#include "store/store/store_catalog.h"
#include "store/store/writer.h"
#include "trust/auth/auth.h"
#include "trust/signer/signer.h"

enum {
    OWNER_LINK_MS = 24 * 60 * 60 * 1000,
    EVENT_MEMORY_MAX = 1 << 20,
    PLACES_MAX = 1 << 24,
    DAYS_LEFT_MIN = 14,
    SPACE_MIN_MIB = 1024,
};
#define DAY_MS (24 * 60 * 60 * INT64_C(1000))

static const char usage[] =
    "Usage: gatehouse admin owner-link --dir DIR\n"
    "       gatehouse admin approve-capacity --dir DIR --event evt_... --places N\n"
    "       gatehouse admin check --dir DIR\n"
    "owner-link makes a new one-time link for setting up the first owner; only while no server "
    "runs\n"
    "(a running one printed its own) and there is no owner yet.\n"
    "approve-capacity allows the signer to make tickets for up to N places of an event, more than\n"
    "when it went on sale; it takes effect when the event is put on sale again.\n"
    "check looks at settings, file permissions, certificates and disk space, one line each.\n"
    "  --dir DIR     the data directory\n"
    "  --event ID    the event's id\n"
    "  --places N    how many places it may have\n"
    "  --help        this text\n"
    "Exit status: 0 done, 1 no (an owner exists, a check failed), 2 wrong use or could not run.\n";

/* --- owner-link -------------------------------------------------------------------------------------------------------------- */

struct owner_link {
    bool missing;
    char token[AUTH_TOKEN_TEXT];
};

static enum err make_link(struct store_tx *tx, void *context)
{
    struct owner_link *link = context;

    TRY(auth_owner_missing(tx, &link->missing));
    return link->missing ? auth_one_time_make(tx, ONE_TIME_OWNER, SPAN_LIT("owner"), OWNER_LINK_MS,
                                              link->token)
                         : OK;
}

static enum err open_store(const struct install *i, bool read_only, struct store **ret_store)
{
    char path[INSTALL_PATH_MAX], backup[INSTALL_PATH_MAX];

    install_path(i, "db/gatehouse.sqlite", path);
    install_path(i, "db/backup", backup);
    ENSURE(access(path, R_OK) == 0, ERR_NOT_FOUND, "no_database",
           "%s is not there: this installation was never served. Start gatehouse serve first.",
           path);
    const struct store_config config = {.driver = store_sqlite(),
                                        .url = path,
                                        .clock = clock_system(),
                                        .rng = rng_system(),
                                        .backup_dir = backup,
                                        .read_only = read_only};
    return store_open(&config, ret_store);
}

static enum err write_link(const struct install *i, struct owner_link *link)
{
    static const struct writer_config one = {.queue_max = 1, .batch_max = LANE_COUNT};
    struct store *store;
    struct writer *writer;

    TRY(open_store(i, false, &store));
    enum err e = writer_start(store, &one, &writer);
    if (e == OK) {
        e = writer_call(writer, LANE_BACK, make_link, link);
        writer_stop(writer);
    }
    store_close(store);
    return e;
}

/* Where the pages are going to be, as far as the settings say; a port of 0 is known only to the server that runs. */
static void origin_of(const struct settings *s, char *out, size_t size)
{
    if (s->server_origin[0])
        (void)snprintf(out, size, "%s", s->server_origin);
    else if (s->server_listen[0])
        (void)snprintf(out, size, "http://%s", s->server_listen);
    else
        (void)snprintf(out, size, "https://%s", s->server_tls_listen);
}

static int owner_link(const struct install *i)
{
    struct owner_link link = {.missing = false};
    char origin[SETTING_MAX + 16];

    if (write_link(i, &link) != OK)
        return options_failed("admin owner-link");
    if (!link.missing) {
        (void)fputs(
            "gatehouse: this installation has an owner already. Owners are added on the staff "
            "pages.\n",
            stderr);
        return EXIT_NO;
    }
    origin_of(&i->settings, origin, sizeof origin);
    (void)printf("%s/staff/setup#%s\nIt works once, for 24 hours, while the server runs.\n", origin,
                 link.token);
    wipe(link.token, sizeof link.token);
    return EXIT_DONE;
}

/* --- approve-capacity -------------------------------------------------------------------------------------------------------- */

static enum err find_event(const struct install *i, struct event_id id, int64_t *ret_no)
{
    AUTO(arena_done) struct arena arena = {0};
    struct store_reader *reader;
    struct event_row event = {0};
    struct store *store;
    struct store_tx *tx;

    arena_init(&arena, EVENT_MEMORY_MAX);
    TRY(open_store(i, true, &store));
    enum err e = store_reader_open(store, &reader);
    if (e == OK) {
        e = store_read_begin(reader, &tx);
        if (e == OK) {
            e = store_event_by_id(tx, &arena, id, &event);
            store_read_end(tx);
        }
        store_reader_close(reader);
    }
    store_close(store);
    if (e == OK)
        *ret_no = event.no;
    return e;
}

static int approve_capacity(const struct install *i, const char *event_text,
                            const char *places_text)
{
    char own[INSTALL_PATH_MAX], master[INSTALL_PATH_MAX];
    struct event_id event;
    uint64_t places;
    int64_t no;

    if (!event_text || event_id_parse(span_text(event_text), &event) != OK || !places_text ||
        text_to_u64(span_text(places_text), &places) != OK || places < 1 || places > PLACES_MAX) {
        (void)fprintf(stderr,
                      "gatehouse: approve-capacity needs --event evt_... and --places N (1 to "
                      "%d).\n",
                      PLACES_MAX);
        return EXIT_FAILED;
    }
    install_path(i, "signer", own);
    install_path(i, "keys/signer-master", master);
    const struct signer_config config = {
        .dir = own, .master_path = master, .log_origin = i->settings.log_origin};
    if (find_event(i, event, &no) != OK ||
        signer_approve_capacity(&config, clock_system(), (uint32_t)no, (uint32_t)places,
                                (uint32_t)places) != OK)
        return options_failed("admin approve-capacity");
    (void)printf("%s may have up to %llu places.\n", event_text, (unsigned long long)places);
    return EXIT_DONE;
}

/* --- check --------------------------------------------------------------------------------------------------------------------- */

struct checking {
    const struct install *install;
    int bad;
};

__attribute__((format(printf, 3, 4))) static void say(struct checking *c, bool good,
                                                      const char *format, ...)
{
    va_list args;

    c->bad += !good;
    (void)fputs(good ? "ok    " : "WRONG ", stdout);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
}

/* needed: absent is wrong; else it is not mentioned. */
static void check_private(struct checking *c, const char *name, bool needed)
{
    char path[INSTALL_PATH_MAX];
    struct stat st;

    install_path(c->install, name, path);
    if (lstat(path, &st) != 0) {
        if (needed || errno != ENOENT)
            say(c, false, "%s: %s", name, strerror(errno));
        return;
    }
    if (S_ISLNK(st.st_mode))
        say(c, false, "%s is a symbolic link", name);
    else if (st.st_uid != geteuid())
        say(c, false, "%s belongs to another user", name);
    else if ((st.st_mode & 077) != 0)
        say(c, false, "%s may be read by others: chmod %s %s", name,
            S_ISDIR(st.st_mode) ? "700" : "600", path);
    else
        say(c, true, "%s is private", name);
}

static void check_permissions(struct checking *c)
{
    const struct settings *s = &c->install->settings;
    /* What serve makes at its first start may not be there yet. */
    static const char *const made_later[] = {"keys/signer-master", "keys/keyring",
                                             "tls/server-key.pem", "db/gatehouse.sqlite"};
    static const char *const always[] = {
        ".", "gatehouse.conf", "keys", "keys/site-master", "db", "signer", "tls/ca-key.pem"};
    const char *const named[] = {s->provider_key_file, s->provider_webhook_secret_file,
                                 s->mail_password_file, s->server_tls_key};

    for (size_t i = 0; i < COUNT_OF(always); i++)
        check_private(c, always[i], true);
    for (size_t i = 0; i < COUNT_OF(made_later); i++)
        check_private(c, made_later[i], false);
    for (size_t i = 0; i < COUNT_OF(named); i++)
        if (named[i][0])
            check_private(c, named[i], true);
}

static void check_certificate(struct checking *c, const char *name, bool renewed)
{
    AUTO(buf_done) struct buf pem = {0};
    char path[INSTALL_PATH_MAX], until[TIME_TEXT_MAX];
    struct x509_facts facts;
    uint8_t block[4096];
    size_t n;

    install_path(c->install, name, path);
    FILE *f = fopen(path, "re");
    if (!f) {
        say(c, renewed && errno == ENOENT, "%s: %s", name,
            renewed && errno == ENOENT ? "made when the server starts" : strerror(errno));
        return;
    }
    buf_init(&pem, X509_PEM_MAX);
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        buf_put(&pem, block, n);
    (void)fclose(f);
    if (x509_read(buf_span(&pem), &facts) != OK) {
        say(c, false, "%s is not a certificate", name);
        return;
    }
    int64_t now = clock_now_ms(clock_system()), left = (facts.not_after_ms - now) / DAY_MS;
    time_format(facts.not_after_ms, until);
    bool good = now >= facts.not_before_ms && now < facts.not_after_ms &&
                (renewed || left >= DAYS_LEFT_MIN);
    say(c, good, "%s is valid until %s", name, until);
}

static void check_settings(struct checking *c)
{
    const struct settings *s = &c->install->settings;

    say(c, true, "gatehouse.conf can be read");
    say(c, s->server_listen[0] || s->server_tls_listen[0], "an address to listen on is set");
    say(c, !s->server_tls_cert[0] == !s->server_tls_key[0], "tls_cert and tls_key go together");
    say(c,
        !s->provider_origin[0] || (s->provider_key_file[0] && s->provider_webhook_secret_file[0]),
        s->provider_origin[0] ? "the payment provider has key_file and webhook_secret_file"
                              : "no payment provider is set: only free orders can be made");
    say(c, s->mail_url[0] || s->mail_dir[0],
        s->mail_url[0] || s->mail_dir[0] ? "mails go somewhere"
                                         : "neither mail url nor mail dir is set");
    say(c, !s->test_clock_file[0],
        s->test_clock_file[0] ? "TEST MODE: a clock_file is set" : "not in test mode");
    say(c, strcmp(s->limits_rates, "on") == 0, "request limits are %s", s->limits_rates);
    if (s->server_tls_listen[0] && s->server_tls_cert[0])
        check_certificate(c, s->server_tls_cert, false);
    else if (s->server_tls_listen[0]) {
        check_certificate(c, "tls/ca.pem", false);
        check_certificate(c, "tls/server.pem", true);
    }
}

static int check(const struct install *i)
{
    struct checking c = {.install = i};
    struct statvfs space;

    check_settings(&c);
    check_permissions(&c);
    if (statvfs(i->dir, &space) != 0)
        say(&c, false, "disk space: %s", strerror(errno));
    else {
        uint64_t mib = (uint64_t)space.f_bavail * space.f_frsize >> 20;
        say(&c, mib >= SPACE_MIN_MIB, "%llu MiB free (at least %d)", (unsigned long long)mib,
            SPACE_MIN_MIB);
    }
    (void)printf(c.bad ? "check: %d wrong\n" : "check: all is well\n", c.bad);
    return c.bad ? EXIT_NO : EXIT_DONE;
}

/* --------------------------------------------------------------------------------------------------------------------------- */

int command_admin(int argc, char **argv)
{
    const char *dir = NULL, *event = NULL, *places = NULL, *what = "";
    const struct option_spec specs[] = {
        {"dir", &dir, NULL}, {"event", &event, NULL}, {"places", &places, NULL}};
    struct install install;
    int words = 0, status;

    options_read(argc, argv, usage, specs, COUNT_OF(specs), &what, 1, &words);
    bool link = strcmp(what, "owner-link") == 0, capacity = strcmp(what, "approve-capacity") == 0;
    if (!dir || (!link && !capacity && strcmp(what, "check") != 0) ||
        (!capacity && (event || places))) {
        (void)fprintf(stderr, "gatehouse: admin needs one of its commands, and --dir.\n%s", usage);
        return EXIT_FAILED;
    }
    if (crypto_init() != OK || install_open(dir, &install) != OK)
        return options_failed("admin");
    status = link       ? owner_link(&install)
             : capacity ? approve_capacity(&install, event, places)
                        : check(&install);
    install_close(&install);
    return status;
}
