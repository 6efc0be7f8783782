/* SPDX-License-Identifier: Apache-2.0 */
/* main - options, start and end of gatehouse-sandbox. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "ground/crypto/crypto.h"
#include "ground/crypto/tls.h"
#include "ground/proc/spawn.h"
#include "prog/sandbox/sandbox.h"

enum { GRACE_MS = 1000, BODY_MAX = 64 * 1024 };

static const char help[] =
    "Usage: gatehouse-sandbox --db FILE --key-file FILE [options]\n"
    "\n"
    "A payment provider to test Gatehouse against. It speaks a subset of the Stripe API, shows a\n"
    "payment page, sends signed webhooks, and moves no money. See docs/sandbox.md.\n"
    "\n"
    "  --listen ADDRESS:PORT        where to listen (127.0.0.1:0; port 0: any free one)\n"
    "  --db FILE                    its database, made when absent\n"
    "  --key-file FILE              the secret key that API requests must carry\n"
    "  --webhook-url URL            where events are posted; none are without it\n"
    "  --webhook-secret-file FILE   signs them (Stripe-Signature)\n"
    "  --ca-file FILE               authorities to trust when posting (PEM)\n"
    "  --tls-cert FILE --tls-key FILE   serve HTTPS; without them, plain HTTP on loopback only\n"
    "  --public-url URL             how browsers reach it (the address it listens on)\n"
    "  --listen-plain ADDRESS:PORT  plain HTTP on loopback too, for payment pages of shops at\n"
    "                               http://127.0.0.1, http://localhost or http://[::1]\n"
    "  --help, --version\n"
    "\n"
    "When it is ready it prints one line of JSON with its address. SIGINT and SIGTERM end it.\n"
    "Exit status: 0 ended by a signal, 1 failed, 2 wrong usage.\n";

struct options {
    const char *listen, *db, *key_file, *webhook_url, *webhook_secret_file, *ca_file;
    const char *tls_cert, *tls_key, *public_url, *listen_plain;
};

/* 0 go on, 1 done (help, version), 2 wrong. */
static int read_options(int argc, char **argv, struct options *o)
{
    enum { LISTEN = 1, DB, KEY, URL, SECRET, CA, CERT, TLS_KEY, PUBLIC, PLAIN, HELP, VERSION };
    static const struct option names[] = {{"listen", required_argument, NULL, LISTEN},
                                          {"db", required_argument, NULL, DB},
                                          {"key-file", required_argument, NULL, KEY},
                                          {"webhook-url", required_argument, NULL, URL},
                                          {"webhook-secret-file", required_argument, NULL, SECRET},
                                          {"ca-file", required_argument, NULL, CA},
                                          {"tls-cert", required_argument, NULL, CERT},
                                          {"tls-key", required_argument, NULL, TLS_KEY},
                                          {"public-url", required_argument, NULL, PUBLIC},
                                          {"listen-plain", required_argument, NULL, PLAIN},
                                          {"help", no_argument, NULL, HELP},
                                          {"version", no_argument, NULL, VERSION},
                                          {NULL, 0, NULL, 0}};
    const char **const places[] = {NULL,           &o->listen,      &o->db,
                                   &o->key_file,   &o->webhook_url, &o->webhook_secret_file,
                                   &o->ca_file,    &o->tls_cert,    &o->tls_key,
                                   &o->public_url, &o->listen_plain};

    *o = (struct options){.listen = "127.0.0.1:0"};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (c == HELP) {
            (void)fputs(help, stdout);
            return 1;
        }
        if (c == VERSION) {
            (void)puts("gatehouse-sandbox " GATEHOUSE_VERSION);
            return 1;
        }
        if (c < LISTEN || c > PLAIN)
            return 2;
        *places[c] = optarg;
    }
    if (optind < argc || !o->db || !o->key_file || !o->tls_cert != !o->tls_key ||
        !o->webhook_url != !o->webhook_secret_file) {
        (void)fputs("gatehouse-sandbox: --db and --key-file are needed; --tls-cert goes with "
                    "--tls-key, --webhook-url "
                    "with --webhook-secret-file. See --help.\n",
                    stderr);
        return 2;
    }
    return 0;
}

/* The first line of a file. */
static enum err read_secret(const char *path, char out[KEY_TEXT_MAX])
{
    FILE *f = fopen(path, "re");

    ENSURE(f, ERR_IO, "cannot_open", "%s cannot be opened: %s.", path, strerror(errno));
    bool got = fgets(out, KEY_TEXT_MAX, f) != NULL;
    (void)fclose(f);
    out[got ? strcspn(out, "\r\n") : 0] = '\0';
    ENSURE(strlen(out) >= 8, ERR_INVALID, "bad_key", "%s holds no secret of 8 or more bytes.",
           path);
    return OK;
}

struct place {
    char host[64]; /* an IP address */
    uint16_t port;
};

static enum err read_listen(const char *option, const char *text, struct place *ret_place)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;

    ENSURE(colon && text_to_u64(span_text(colon + 1), &port) == OK && port <= UINT16_MAX,
           ERR_INVALID, "bad_listen", "--%s takes ADDRESS:PORT.", option);
    struct span host = span_of(text, (size_t)(colon - text));
    if (host.len > 2 && host.data[0] == '[')
        host = span_sub(host, 1, host.len - 2);
    ret_place->port = (uint16_t)port;
    return span_to_text(host, ret_place->host, sizeof ret_place->host);
}

static void put_origin(const struct place *p, bool tls, char *out, size_t size)
{
    bool v6 = strchr(p->host, ':') != NULL;

    (void)snprintf(out, size, "%s://%s%s%s:%u", tls ? "https" : "http", v6 ? "[" : "", p->host,
                   v6 ? "]" : "", p->port);
}

/* Under the lock: a request may be there already, and waits for its addresses. */
static enum err say_ready(struct sandbox *sb, const struct options *o, const struct place *at,
                          bool tls)
{
    char address[128];

    put_origin(&at[0], tls, address, sizeof address);
    (void)snprintf(sb->public_url, sizeof sb->public_url, "%s",
                   o->public_url ? o->public_url : address);
    printf("{\"ready\":true,\"address\":\"%s\",\"public_url\":\"%s\"", address, sb->public_url);
    if (o->listen_plain) {
        put_origin(&at[1], false, sb->plain_url, sizeof sb->plain_url);
        printf(",\"plain_url\":\"%s\"", sb->plain_url);
    }
    ENSURE(puts("}") >= 0 && fflush(stdout) == 0, ERR_IO, "cannot_write",
           "The address cannot be printed.");
    return OK;
}

static enum err start_server(struct sandbox *sb, const struct options *o, struct tls_context *tls)
{
    static struct place at[2]; /* as long as the server: it keeps the texts */
    struct http_config config;

    http_config_init(&config);
    TRY(read_listen("listen", o->listen, &at[0]));
    config.listeners[config.listener_count++] = (struct http_listener){at[0].host, at[0].port, tls};
    if (o->listen_plain) {
        TRY(read_listen("listen-plain", o->listen_plain, &at[1]));
        config.listeners[config.listener_count++] =
            (struct http_listener){at[1].host, at[1].port, NULL};
    }
    config.limits.body_max = BODY_MAX;
    config.limits.connections_per_client_max = 0;
    config.context = sb;
    config.handle = api_handle;
    pthread_mutex_lock(&sb->lock);
    enum err e = http_server_open(&config, &sb->server);
    if (e == OK) {
        for (size_t i = 0; i < config.listener_count; i++)
            at[i].port = http_server_port(sb->server, i);
        e = say_ready(sb, o, at, tls != NULL);
    }
    pthread_mutex_unlock(&sb->lock);
    return e;
}

static enum err wait_for_signal(int signals)
{
    struct pollfd p = {.fd = signals, .events = POLLIN};

    while (poll(&p, 1, -1) < 0)
        ENSURE(errno == EINTR, ERR_IO, "poll", "Cannot wait: %s.", strerror(errno));
    return OK;
}

static enum err serve(struct sandbox *sb, const struct options *o, struct tls_context *tls,
                      int signals)
{
    pthread_t let_go, deliver;

    TRY(thread_start(&let_go, "let go", api_let_go, sb));
    TRY(thread_start(&deliver, "webhooks", hooks_deliver, sb));
    enum err e = start_server(sb, o, tls);
    if (e == OK)
        e = wait_for_signal(signals);
    pthread_mutex_lock(&sb->lock);
    sb->stopping = true;
    pthread_cond_broadcast(&sb->some_held);
    pthread_cond_broadcast(&sb->some_hook);
    pthread_mutex_unlock(&sb->lock);
    pthread_join(let_go, NULL);
    pthread_join(deliver, NULL);
    http_server_close(sb->server);
    return e;
}

static void init_locks(struct sandbox *sb)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&sb->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&sb->some_held, &attr);
    pthread_cond_init(&sb->some_hook, &attr);
    pthread_condattr_destroy(&attr);
}

static enum err run(struct sandbox *sb, const struct options *o)
{
    struct tls_context *tls = NULL;
    int signals;

    /* B4: not into a core file either. */
    ENSURE(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) == 0, ERR_IO, "core_limit",
           "Core files cannot be switched off: %s.", strerror(errno));
    TRY(crypto_init());
    TRY(proc_signals_open(&signals));
    TRY(read_secret(o->key_file, sb->key));
    if (o->webhook_secret_file)
        TRY(read_secret(o->webhook_secret_file, sb->webhook_secret));
    if (o->tls_cert)
        TRY(tls_context_server_files(o->tls_cert, o->tls_key, &tls));
    sb->webhook_url = o->webhook_url;
    sb->ca_file = o->ca_file;
    init_locks(sb);
    enum err e = state_open(sb, o->db);
    if (e == OK)
        e = serve(sb, o, tls, signals);
    kv_close(sb->kv);
    tls_context_close(tls);
    return e;
}

int main(int argc, char **argv)
{
    struct options o;
    int done = read_options(argc, argv, &o);

    if (done)
        return done == 1 ? 0 : 2;
    log_setup(LOG_INFO, "sandbox");
    struct sandbox *sb = calloc(1, sizeof *sb);
    if (!sb)
        return 1;
    enum err e = run(sb, &o);
    if (e != OK)
        log_error_info(LOG_FATAL, "gatehouse-sandbox ends", err_last());
    wipe(sb, sizeof *sb);
    free(sb);
    return e == OK ? 0 : 1;
}
