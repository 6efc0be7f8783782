/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_demo - gatehouse demo: an installation of its own, made at the first start, with a payment provider to test with beside it.
 *
 * The provider is another program (gatehouse-sandbox) with its own database and its own origin, a child of this process. What
 * the settings file does not say (ports, provider, mail folder) is put into the settings in memory, so that the file stays what
 * gatehouse init makes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ground/encode/json.h"
#include "ground/proc/sandbox.h"
#include "ground/proc/spawn.h"
#include "reach/cli/app.h"
#include "reach/cli/commands.h"
#include "reach/cli/demo_seed.h"
#include "reach/cli/options.h"
#include "reach/cli/tls_files.h"

enum {
    LOOK_EVERY_MS = 200,
    PROVIDER_READY_MS = 10000,
    PROVIDER_GRACE_MS = 1500,
    URL_MAX = 300,
    READY_LINE_MAX = 2048,
    HOST_MAX = 64,
    SANDBOX_PORT = 8090,
};

#define LOOPBACK "127.0.0.1"
#define EVERYWHERE "0.0.0.0"

static const char usage[] =
    "Usage: gatehouse demo [options]\n"
    "Starts a demonstration: three events, a payment provider that moves no money,\n"
    "mails on a page. The first start makes its data directory; later ones go on\n"
    "with it. Ctrl-C ends it.\n"
    "  --dir DIR               where its data is (data/demo)\n"
    "  --port N                plain HTTP, for this machine (8080; 0: any)\n"
    "  --tls-port N            HTTPS, for phones on the network (8443; 0: any)\n"
    "  --sandbox-port N        the payment provider (8090; 0: any)\n"
    "  --sandbox-plain-port N  the same for this machine, in plain HTTP (one more\n"
    "                          than --sandbox-port; 0: any)\n"
    "  --local                 this machine only: no HTTPS, nothing on the network\n"
    "  --json                  print one line of JSON first when it is ready\n"
    "  --verbose               log what goes well, too\n"
    "  --help                  this text\n"
    "Exit status: 0 ended by a signal, 2 could not start or a part of it failed.\n";

struct demo {
    const char *dir;
    bool local, json, verbose, first;
    uint16_t port, tls_port, sandbox_port, plain_port;
    char host[HOST_MAX];                            /* how the network knows this machine */
    char provider_url[URL_MAX], plain_url[URL_MAX]; /* plain_url: "" when the other is plain too */
    char scanner_token[AUTH_TOKEN_TEXT];            /* "" when there is no club night */
    struct install install;
    int lock_fd;
    struct proc_child provider;
    struct app *app;
};

/* --- Ports -------------------------------------------------------------------------------------------------------------------- */

struct port_wish {
    const char *option, *text, *address;
    uint16_t preset, *port;
    int fd; /* held until all are chosen, so that no two are the same */
};

/* Bind it for a moment: a port that is taken is better said now, and with the option that helps. */
static enum err choose_port(struct port_wish *w)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    uint64_t port = w->preset;
    int on = 1;

    w->fd = -1;
    ENSURE(!w->text || (text_to_u64(span_text(w->text), &port) == OK && port <= UINT16_MAX),
           ERR_INVALID, "bad_port", "--%s takes a number from 0 to 65535.", w->option);
    at.sin_port = htons((uint16_t)port);
    ENSURE(inet_pton(AF_INET, w->address, &at.sin_addr) == 1, ERR_INVALID, "bad_address",
           "%s is no address.", w->address);
    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ENSURE(w->fd >= 0 && setsockopt(w->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0, ERR_IO,
           "no_socket", "No socket: %s.", strerror(errno));
    ENSURE(bind(w->fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(w->fd, 1) == 0 &&
               getsockname(w->fd, (struct sockaddr *)&at, &len) == 0,
           ERR_CONFLICT, "port_taken",
           "port %u cannot be used (%s); choose another with --%s, or 0 for any.", (unsigned)port,
           strerror(errno), w->option);
    *w->port = ntohs(at.sin_port);
    return OK;
}

/* After the provider's, when that one is a number; any, when that is any. */
static uint16_t next_port(const char *text)
{
    uint64_t port = SANDBOX_PORT;

    if (text && (text_to_u64(span_text(text), &port) != OK || port >= UINT16_MAX))
        port = 0;
    return port > 0 ? (uint16_t)(port + 1) : 0;
}

static enum err choose_ports(struct port_wish *wishes, size_t count)
{
    enum err e = OK;
    size_t n = 0;

    while (e == OK && n < count)
        e = choose_port(&wishes[n++]);
    while (n > 0)
        if (wishes[--n].fd >= 0)
            close(wishes[n].fd);
    return e;
}

/* --- The installation ---------------------------------------------------------------------------------------------------------- */

static enum err make_directories(const char *path)
{
    char part[INSTALL_PATH_MAX];

    ENSURE(strlen(path) < sizeof part, ERR_LIMIT, "bad_path", "The directory's name is too long.");
    (void)snprintf(part, sizeof part, "%s", path);
    for (char *slash = part + 1;; *slash++ = '/') {
        slash = strchr(slash, '/');
        if (slash)
            *slash = '\0';
        ENSURE(mkdir(part, 0700) == 0 || errno == EEXIST, ERR_IO, "disk_failed",
               "%s cannot be made: %s.", part, strerror(errno));
        if (!slash)
            return OK;
    }
}

static enum err lock(struct demo *d, const char *own)
{
    char path[INSTALL_PATH_MAX];

    (void)snprintf(path, sizeof path, "%.900s/lock", own);
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    ENSURE(d->lock_fd >= 0, ERR_IO, "disk_failed", "%s cannot be opened: %s.", path,
           strerror(errno));
    ENSURE(flock(d->lock_fd, LOCK_EX | LOCK_NB) == 0, ERR_BUSY, "in_use",
           "a demonstration with the data of %s runs already.", d->dir);
    return OK;
}

/* The provider's folder marks a demonstration: nobody's real installation is sold from by accident. */
static enum err open_install(struct demo *d)
{
    const struct install_wish wish = {.dir = d->dir};
    char conf[INSTALL_PATH_MAX], own[INSTALL_PATH_MAX];

    ENSURE(strlen(d->dir) > 0 && strlen(d->dir) <= 500, ERR_INVALID, "bad_path",
           "--dir takes the name of a directory.");
    (void)snprintf(conf, sizeof conf, "%.500s/gatehouse.conf", d->dir);
    (void)snprintf(own, sizeof own, "%.500s/sandbox", d->dir);
    d->first = access(conf, F_OK) != 0;
    ENSURE(d->first || access(own, F_OK) == 0, ERR_CONFLICT, "not_a_demo",
           "%s holds an installation that is no demonstration; choose another --dir.", d->dir);
    if (d->first)
        TRY(make_directories(own));
    TRY(lock(d, own));
    if (d->first)
        TRY(install_create(&wish, clock_system()));
    return install_open(d->dir, &d->install);
}

__attribute__((format(printf, 2, 3))) static void set(char *setting, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(setting, SETTING_MAX, format, args);
    va_end(args);
}

static void put_settings(struct demo *d)
{
    struct settings *s = &d->install.settings;

    set(s->server_listen, LOOPBACK ":%u", d->port);
    set(s->server_tls_listen, "%s", "");
    set(s->provider_ca_file, "%s", "");
    if (!d->local) {
        set(s->server_tls_listen, EVERYWHERE ":%u", d->tls_port);
        if (!s->server_tls_cert[0])
            set(s->provider_ca_file, "tls/ca.pem");
    }
    (void)snprintf(d->provider_url, sizeof d->provider_url, "%s://%s:%u",
                   d->local ? "http" : "https", d->local ? LOOPBACK : d->host, d->sandbox_port);
    if (!d->local)
        (void)snprintf(d->plain_url, sizeof d->plain_url, "http://" LOOPBACK ":%u", d->plain_port);
    set(s->provider_origin, "%s", d->provider_url);
    set(s->provider_key_file, "provider-key");
    set(s->provider_webhook_secret_file, "webhook-secret");
    set(s->mail_url, "%s", "");
    set(s->mail_dir, "mail");
}

/* --- The provider -------------------------------------------------------------------------------------------------------------- */

static enum err spawn_provider(struct demo *d)
{
    char program[INSTALL_PATH_MAX], listen_at[HOST_MAX], db[INSTALL_PATH_MAX],
        key[INSTALL_PATH_MAX], secret[INSTALL_PATH_MAX], cert[INSTALL_PATH_MAX],
        cert_key[INSTALL_PATH_MAX], hook[URL_MAX], plain_at[HOST_MAX];
    const struct settings *s = &d->install.settings;
    const char *argv[24] = {"gatehouse-sandbox",
                            "--listen",
                            listen_at,
                            "--db",
                            db,
                            "--key-file",
                            key,
                            "--webhook-url",
                            hook,
                            "--webhook-secret-file",
                            secret};
    /* Beside this program, or where the build puts it. */
    static const char *const places[] = {"gatehouse-sandbox", "sandbox/gatehouse-sandbox"};
    size_t n = 11;

    TRY(proc_find(places, COUNT_OF(places), X_OK, program, sizeof program));
    (void)snprintf(listen_at, sizeof listen_at, "%s:%u", d->local ? LOOPBACK : EVERYWHERE,
                   d->sandbox_port);
    (void)snprintf(hook, sizeof hook, "http://" LOOPBACK ":%u/api/v1/provider/webhook", d->port);
    install_path(&d->install, "sandbox/sandbox.sqlite", db);
    install_path(&d->install, "provider-key", key);
    install_path(&d->install, "webhook-secret", secret);
    if (!d->local) {
        bool own = s->server_tls_cert[0] != '\0';
        install_path(&d->install, own ? s->server_tls_cert : "tls/server.pem", cert);
        install_path(&d->install, own ? s->server_tls_key : "tls/server-key.pem", cert_key);
        (void)snprintf(plain_at, sizeof plain_at, LOOPBACK ":%u", d->plain_port);
        const char *const more[] = {"--tls-cert",     cert,           "--tls-key",
                                    cert_key,         "--public-url", d->provider_url,
                                    "--listen-plain", plain_at};
        for (size_t i = 0; i < COUNT_OF(more); i++)
            argv[n++] = more[i];
    }
    const struct proc_spec spec = {.path = program, .argv = argv, .output = true};
    return proc_spawn(&spec, &d->provider);
}

/* Its first line says that it listens; the end of the socket before that, that it could not. */
static enum err await_provider(struct demo *d)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct pollfd p = {.fd = d->provider.fd, .events = POLLIN};
    struct json_object root;
    char line[READY_LINE_MAX];
    bool ready = false;
    int n;

    do
        n = poll(&p, 1, PROVIDER_READY_MS);
    while (n < 0 && errno == EINTR);
    ENSURE(n > 0, ERR_EXPIRED, "provider_silent", "gatehouse-sandbox did not become ready in %d s.",
           PROVIDER_READY_MS / 1000);
    ssize_t len = recv(d->provider.fd, line, sizeof line, 0);
    ENSURE(len > 0, ERR_IO, "provider_ended",
           "gatehouse-sandbox ended before it was ready; see above.");
    TRY(json_parse(span_of(line, (size_t)len), sizeof line, &doc));
    TRY(json_root(doc, &root));
    TRY(json_need_bool(&root, "ready", &ready));
    ENSURE(ready, ERR_IO, "provider_ended", "gatehouse-sandbox is not ready.");
    return OK;
}

static void stop_provider(struct demo *d)
{
    if (d->provider.pid > 0)
        (void)kill(d->provider.pid, SIGTERM);
    proc_stop(&d->provider, PROVIDER_GRACE_MS);
}

/* --- What is printed ---------------------------------------------------------------------------------------------------------- */

static void say_seeding(const char *words)
{
    (void)fprintf(stderr, "Preparing: %s\n", words);
}

static void print_json(const struct demo *d)
{
    AUTO(buf_done) struct buf b = {0};
    struct json_writer w;
    const char *link = app_owner_link(d->app), *tls = app_tls_origin(d->app);
    char scanner[URL_MAX];

    (void)snprintf(scanner, sizeof scanner, "%s/gate/#%s", app_http_origin(d->app),
                   d->scanner_token);
    buf_init(&b, 8192);
    json_w_init(&w, &b);
    json_w_object(&w);
    json_w_kv_bool(&w, "ready", true);
    json_w_kv_cstr(&w, "origin", app_origin(d->app));
    json_w_kv_cstr(&w, "http", app_http_origin(d->app));
    json_w_kv_cstr(&w, "https", tls[0] ? tls : NULL);
    json_w_kv_cstr(&w, "owner_link", link[0] ? link : NULL);
    json_w_kv_cstr(&w, "scanner_link", d->scanner_token[0] ? scanner : NULL);
    json_w_kv_bool(&w, "demo", true);
    json_w_kv_cstr(&w, "sandbox", d->provider_url);
    json_w_kv_cstr(&w, "sandbox_plain", d->plain_url[0] ? d->plain_url : NULL);
    json_w_kv_cstr(&w, "dir", d->install.dir);
    json_w_end(&w);
    if (json_w_finish(&w) == OK)
        (void)puts(buf_text(&b));
}

/* Bold on a terminal. */
static void print_heading(const char *words)
{
    bool plain = !isatty(STDOUT_FILENO) || getenv("NO_COLOR");

    (void)printf(plain ? "\n%s\n" : "\n\033[1m%s\033[0m\n", words);
}

static void print_addresses(const char *where, const char *origin)
{
    print_heading(where);
    (void)printf("  shop   %s/\n"
                 "  staff  %s/staff/\n"
                 "  gate   %s/gate/\n"
                 "  mails  %s/mails\n",
                 origin, origin, origin, origin);
}

static void print_scanner(const struct demo *d, const char *tls)
{
    print_heading("Open a scanner at the Cellar Club (works once, within 15 minutes)");
    (void)printf("  %s/gate/#%s\n", app_http_origin(d->app), d->scanner_token);
    if (tls[0])
        (void)printf("or on a phone\n  %s/gate/#%s\n", tls, d->scanner_token);
    (void)printf("Its doors are open now. More scanners: staff > Scanners.\n");
}

static void print_welcome(const struct demo *d)
{
    const char *link = app_owner_link(d->app), *tls = app_tls_origin(d->app);

    print_heading("Gatehouse demonstration");
    (void)printf("  Its data is in %s; the next start goes on with it.\n", d->install.dir);
    print_addresses("On this machine", app_http_origin(d->app));
    if (tls[0]) {
        print_addresses("On phones in the same network", tls);
        (void)printf("  trust  %s/ca.crt (install it once: the warnings end)\n"
                     "         iPhone: Settings > Profile Downloaded; then\n"
                     "         General > About > Certificate Trust Settings\n"
                     "         Android: Settings > Security > Install a certificate > CA\n",
                     tls);
    }
    if (link[0]) {
        print_heading("Become the owner (works once, within a day)");
        (void)printf("  %s\n", link);
    }
    if (d->scanner_token[0])
        print_scanner(d, tls);
    print_heading("Pay");
    (void)printf("  4242 4242 4242 4242, any date ahead, any code (4000 0000 0000 0002: declined)\n"
                 "\nCtrl-C ends it.\n\n");
    (void)fflush(stdout);
}

/* --- Life ----------------------------------------------------------------------------------------------------------------------- */

/* Until a signal, or until a part is gone. */
static int run_until_told(const struct demo *d, int signals)
{
    struct pollfd fds[] = {{.fd = signals, .events = POLLIN},
                           {.fd = d->provider.fd, .events = POLLIN}};

    for (;;) {
        fds[1].revents = 0;
        int n = poll(fds, COUNT_OF(fds), LOOK_EVERY_MS);
        if (n > 0 && (fds[0].revents & POLLIN) && proc_signals_read(signals) > 0)
            return EXIT_DONE;
        if (app_failed(d->app)) {
            (void)fputs(
                "gatehouse: demo: a part of the server has ended; the log above says which.\n",
                stderr);
            return EXIT_FAILED;
        }
        char ignored[READY_LINE_MAX];
        if (n > 0 && fds[1].revents != 0 &&
            recv(d->provider.fd, ignored, sizeof ignored, MSG_DONTWAIT) == 0) {
            (void)fputs("gatehouse: demo: the payment provider (gatehouse-sandbox) has ended.\n",
                        stderr);
            return EXIT_FAILED;
        }
    }
}

static enum err start(struct demo *d)
{
    char mail[INSTALL_PATH_MAX];

    TRY(sandbox_no_dumps());
    TRY(crypto_init());
    TRY(open_install(d));
    put_settings(d);
    if (!d->local && !d->install.settings.server_tls_cert[0])
        TRY(tls_files_ready(&d->install, clock_system()));
    TRY(spawn_provider(d));
    TRY(await_provider(d));
    install_path(&d->install, "mail", mail);
    TRY(app_open(&(struct app_config){.install = &d->install, .mail_dir = mail}, &d->app));
    TRY(demo_seed(d->app, say_seeding));
    enum err e = demo_scanner(d->app, d->scanner_token);
    return e == ERR_NOT_FOUND ? OK : e;
}

static int run(struct demo *d, int signals)
{
    int status;

    if (start(d) == OK) {
        if (d->json)
            print_json(d);
        print_welcome(d);
        status = run_until_told(d, signals);
    } else {
        status = options_failed("demo");
    }
    app_close(d->app);
    stop_provider(d);
    if (d->install.dir[0])
        install_close(&d->install);
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    return status;
}

/* The terminal is for the addresses: children log no more than we do. What the environment says already goes first. */
static void quiet(bool verbose)
{
    bool all = verbose || getenv("GATEHOUSE_TRACE");

    (void)setenv("GATEHOUSE_LOG", all ? "info" : "warn", 0);
    log_setup(LOG_WARN, "demo");
}

int command_demo(int argc, char **argv)
{
    struct demo d = {.lock_fd = -1, .provider = {.fd = -1}};
    const char *port = NULL, *tls_port = NULL, *sandbox_port = NULL, *plain_port = NULL;
    const struct option_spec specs[] = {{"dir", &d.dir, NULL},
                                        {"port", &port, NULL},
                                        {"tls-port", &tls_port, NULL},
                                        {"sandbox-port", &sandbox_port, NULL},
                                        {"sandbox-plain-port", &plain_port, NULL},
                                        {"local", NULL, &d.local},
                                        {"json", NULL, &d.json},
                                        {"verbose", NULL, &d.verbose}};
    int signals;

    options_read(argc, argv, usage, specs, COUNT_OF(specs), NULL, 0, NULL);
    if (!d.dir)
        d.dir = "data/demo";
    const char *outside = d.local ? LOOPBACK : EVERYWHERE;
    struct port_wish wishes[] = {
        {"port", port, LOOPBACK, 8080, &d.port, -1},
        {"sandbox-port", sandbox_port, outside, SANDBOX_PORT, &d.sandbox_port, -1},
        {"tls-port", tls_port, outside, 8443, &d.tls_port, -1},
        {"sandbox-plain-port", plain_port, LOOPBACK, next_port(sandbox_port), &d.plain_port, -1}};
    quiet(d.verbose);
    tls_files_shown_address(EVERYWHERE, d.host, sizeof d.host);
    if (proc_signals_open(&signals) != OK ||
        choose_ports(wishes, d.local ? 2 : COUNT_OF(wishes)) != OK)
        return options_failed("demo");
    int status = run(&d, signals);
    close(signals);
    return status;
}
