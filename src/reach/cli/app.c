/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/cli/app.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "door/admission/admission.h"
#include "ground/crypto/tls.h"
#include "ground/crypto/x509.h"
#include "ground/proc/spawn.h"
#include "reach/cli/map_loading.h"
#include "reach/cli/test_clock.h"
#include "reach/cli/tls_files.h"
#include "reach/courier/courier.h"
#include "reach/http/http.h"
#include "reach/settlement/settlement.h"
#include "store/sqlite/sqlite.h"
#include "trust/ledger/sequencer.h"

enum {
    SIGNER_TIMEOUT_MS = 10000,
    STOP_GRACE_MS = 3000,
    LOOPS_NICE = -10, /* as the writer: a door whose loop waits behind it waits for a whole batch */
    SEQUENCE_EVERY_MS = 300, /* from beginning to beginning */
    ORIGIN_MAX = 300,
    EVENT_MEMORY_MAX = 1 << 20,
    HEAP_KEPT_BYTES = 16 << 20,
    MAPPED_FROM_BYTES = 4 << 20,
    OWNER_LINK_MS = 24 * 60 * 60 * 1000,
    PAGES_DIR_MAX = INSTALL_PATH_MAX
};

struct app {
    struct install *install;
    char mail_dir[INSTALL_PATH_MAX];
    bool mails_shown; /* demonstration: to anybody who asks */
    struct test_clock *test_clock;
    const struct clock *clock;
    struct rng_buffered *rng;

    struct proc_child signer_child, courier_child;
    struct signer_client signer;
    bool signer_open;
    struct courier_client *courier;

    struct disk log_disk, state_disk;
    struct keyring *keyring;
    struct ledger *ledger;
    struct store *store;
    struct seat_maps *maps;
    struct map_loading map_loading;
    struct writer *writer;
    struct vkey vkey;
    char vkey_text[VKEY_TEXT_MAX + 2];
    struct sequencer *sequencer;
    struct sequencer_thread *sequencer_thread;
    struct admission_keys *admission_keys;
    struct settlement *settlement;
    struct buf webhook_secret, ca_pem;
    struct tls_context *tls;
    struct api *api;
    struct http_server *server;

    char origin[ORIGIN_MAX], http_origin[ORIGIN_MAX], tls_origin[ORIGIN_MAX],
        pages_dir[PAGES_DIR_MAX];
    char http_host[64], tls_host[64], proxies[SETTING_MAX];
    uint16_t http_port, tls_port;
    int http_fd, tls_fd; /* -1: none, or the server's */
    char owner_link[ORIGIN_MAX + 64];
    bool listening; /* atomic: api, sequencer and settlement may be told what was committed */
    bool failed;    /* atomic */
};

/*
 * Why: glibc gives the top of a thread's heap back to the kernel as soon as 128 kB of it are free and asks for it again with the
 * next allocation, a page at a time. A reader of SQLite drops its pages after each commit and reads them anew, so that it happened
 * hundreds of times a second and was a twentieth of all time. What is kept this way is bounded by the caches it was used for.
 */
static void keep_memory(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_KEPT_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES);
}

/* As many connections as the system's limit for the program allows: a soft limit of a thousand is for programs that use select. */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_warn("the limit of open files cannot be raised: %s", strerror(errno));
}

/* --- what the writer tells ----------------------------------------------------------------------------------------------- */

static void on_released(void *context, const struct store_note *notes, size_t count)
{
    struct app *app = context;
    seat_maps_released(app->maps, notes, count);
}

static void on_committed(void *context, const struct store_note *notes, size_t count)
{
    struct app *app = context;
    bool entries = false;

    seat_maps_committed(app->maps, notes, count);
    if (!__atomic_load_n(&app->listening, __ATOMIC_ACQUIRE))
        return;
    for (size_t i = 0; i < count && !entries; i++)
        entries = notes[i].kind == NOTE_ENTRY;
    if (entries)
        sequencer_wake(app->sequencer_thread);
    api_committed(app->api, notes, count);
}

static void on_opened(void *context, struct order_id order, const char *url)
{
    struct app *app = context;
    if (__atomic_load_n(&app->listening, __ATOMIC_ACQUIRE))
        api_order_opened(app->api, order, url);
}

static void on_told(void *context)
{
    struct app *app = context;
    if (__atomic_load_n(&app->listening, __ATOMIC_ACQUIRE))
        api_orders_told(app->api);
}

static void on_ended(void *context)
{
    struct app *app = context;
    if (app->api)
        api_ended(app->api);
}

static void on_lost(void *context)
{
    struct app *app = context;
    seat_maps_lost(app->maps);
}

static void fail(struct app *app, const char *what)
{
    log_error("%s: the server ends", what);
    __atomic_store_n(&app->failed, true, __ATOMIC_RELEASE);
}

static void on_courier_gone(void *context)
{
    fail(context, "the courier process has ended");
}

static void on_sequencer_failed(void *context, const struct err_info *error)
{
    log_error_info(LOG_ERROR, "sequencer", error);
    fail(context, "the ledger cannot go on");
}

static enum err sign_log(void *context, uint64_t old_size, uint64_t new_size,
                         const struct merkle_hash *root, const struct merkle_hash *proof,
                         size_t count, struct buf *note)
{
    struct app *app = context;
    return signer_log_sign(&app->signer, old_size, new_size, root, proof, count, note);
}

/* --- children -------------------------------------------------------------------------------------------------------------- */

/* Beside this program, as the build has them, or where README.md installs them. Of another version they refuse. */
static enum err start_child(const char *const *argv, const char *installed,
                            struct proc_child *ret_child)
{
    const char *const places[] = {argv[0], installed};
    char program[INSTALL_PATH_MAX];

    TRY(proc_find(places, COUNT_OF(places), X_OK, program, sizeof program));
    return proc_spawn(&(struct proc_spec){.path = program, .argv = argv}, ret_child);
}

static enum err start_children(struct app *app)
{
    const char *const signer[] = {"gatehouse-signer", "--of", GATEHOUSE_VERSION, "--dir",
                                  app->install->dir,  NULL};
    const char *const courier[] = {"gatehouse-courier", "--of", GATEHOUSE_VERSION, NULL};

    TRY(start_child(signer, "../libexec/gatehouse/gatehouse-signer", &app->signer_child));
    return start_child(courier, "../libexec/gatehouse/gatehouse-courier", &app->courier_child);
}

static enum err open_signer(struct app *app)
{
    TRY(signer_client_open(&app->signer_child, SIGNER_TIMEOUT_MS, &app->signer));
    app->signer_open = true;
    return OK;
}

/* --- store, ledger, writer ------------------------------------------------------------------------------------------------- */

static enum err open_keyring(struct app *app)
{
    AUTO(secret32_wipe) struct secret32 master = {0};
    char database[INSTALL_PATH_MAX];

    TRY(install_site_master(app->install, &master));
    install_path(app->install, "db/gatehouse.sqlite", database);
    const struct keyring_config config = {.disk = &app->install->disk,
                                          .path = "keys/keyring",
                                          .master = master.b,
                                          .clock = app->clock,
                                          .rng = rng_buffered_rng(app->rng),
                                          .may_create = access(database, F_OK) != 0};
    TRY(keyring_open(&config, &app->keyring));
    return ledger_new(app->keyring, &app->ledger);
}

static enum err open_store(struct app *app)
{
    char database[INSTALL_PATH_MAX], backup[INSTALL_PATH_MAX];

    install_path(app->install, "db/gatehouse.sqlite", database);
    install_path(app->install, "db/backup", backup);
    const struct store_config config = {.driver = store_sqlite(),
                                        .url = database,
                                        .clock = app->clock,
                                        .rng = rng_buffered_rng(app->rng),
                                        .backup_dir = backup};
    TRY(store_open(&config, &app->store));
    return seat_maps_new(app->store, &app->maps);
}

static enum err open_writer(struct app *app)
{
    const struct settings *s = &app->install->settings;
    const struct writer_config writer = {.queue_max = (size_t)setting_number(s->limits_queue),
                                         .batch_max = (size_t)setting_number(s->limits_batch),
                                         .gather_us = WRITER_GATHER_US,
                                         .released = on_released,
                                         .committed = on_committed,
                                         .lost = on_lost,
                                         .ended = on_ended,
                                         .context = app};
    return writer_start(app->store, &writer, &app->writer);
}

static enum err open_log(struct app *app)
{
    struct signer_status status;
    char path[INSTALL_PATH_MAX];

    TRY(signer_status(&app->signer, &status));
    TRY(vkey_parse(span_text(status.vkey), &app->vkey));
    vkey_format(&app->vkey, app->vkey_text);
    TRY(app->install->disk.replace(app->install->disk.self, "log-vkey", span_text(status.vkey),
                                   0644));
    install_path(app->install, "log", path);
    TRY(disk_open(path, &app->log_disk));
    install_path(app->install, "log-state", path);
    TRY(disk_open(path, &app->state_disk));
    const struct sequencer_config config = {.disk = &app->log_disk,
                                            .state = &app->state_disk,
                                            .state_path = "reserved",
                                            .key = &app->vkey,
                                            .sign = sign_log,
                                            .sign_context = app,
                                            .may_create = status.log_size == 0};
    TRY(sequencer_open(&config, &app->sequencer));
    const struct sequencer_thread_config thread = {.sequencer = app->sequencer,
                                                   .store = app->store,
                                                   .interval_ms = SEQUENCE_EVERY_MS,
                                                   .failed = on_sequencer_failed,
                                                   .context = app};
    return sequencer_start(&thread, &app->sequencer_thread);
}

/* So that the first scan does not wait for the signer on a loop. An event that cannot be opened is told, and others go on. */
static enum err load_keys_of(struct app *app, struct store_reader *reader, int64_t event_no)
{
    AUTO(arena_done) struct arena arena = {0};
    struct event_row event = {0};
    struct store_tx *tx;

    arena_init(&arena, EVENT_MEMORY_MAX);
    TRY(store_read_begin(reader, &tx));
    enum err e = store_event_by_no(tx, &arena, event_no, &event);
    store_read_end(tx);
    TRY(e);
    if (admission_keys_load(app->admission_keys, event.organiser_no, event.no, false) != OK)
        log_error_info(LOG_WARN, "the keys of an event on sale", err_last());
    return OK;
}

static enum err load_keys(struct app *app)
{
    const struct map_loading *l = &app->map_loading;
    struct store_reader *reader;
    enum err e = OK;

    TRY(store_reader_open(app->store, &reader));
    for (size_t i = 0; e == OK && i < l->count; i++)
        e = load_keys_of(app, reader, l->events[i]);
    store_reader_close(reader);
    return e;
}

/* --- addresses ------------------------------------------------------------------------------------------------------------- */

/* From here on nobody is turned away: who comes before the server is open waits a moment longer for an answer. */
static enum err listen_early(struct app *app)
{
    const struct settings *s = &app->install->settings;

    if (s->server_listen[0]) {
        TRY(setting_address(s->server_listen, app->http_host, sizeof app->http_host,
                            &app->http_port));
        TRY(http_listen(app->http_host, app->http_port, false, &app->http_fd, &app->http_port));
        bool six = strchr(app->http_host, ':') != NULL;
        (void)snprintf(app->http_origin, ORIGIN_MAX, six ? "http://[%s]:%u" : "http://%s:%u",
                       app->http_host, app->http_port);
    }
    if (s->server_tls_listen[0]) {
        char shown[64];
        TRY(setting_address(s->server_tls_listen, app->tls_host, sizeof app->tls_host,
                            &app->tls_port));
        TRY(http_listen(app->tls_host, app->tls_port, true, &app->tls_fd, &app->tls_port));
        tls_files_shown_address(app->tls_host, shown, sizeof shown);
        (void)snprintf(app->tls_origin, ORIGIN_MAX, "https://%s:%u", shown, app->tls_port);
    }
    ENSURE(app->http_origin[0] || app->tls_origin[0], ERR_INVALID, "no_listener",
           "Nothing to listen on: set listen or tls_listen in gatehouse.conf.");
    (void)snprintf(app->origin, ORIGIN_MAX, "%.299s",
                   s->server_origin[0]  ? s->server_origin
                   : app->tls_origin[0] ? app->tls_origin
                                        : app->http_origin);
    return OK;
}

/* --- talking to the world ------------------------------------------------------------------------------------------------------ */

static enum err read_optional_secret(struct app *app, const char *path, struct buf *out)
{
    return path[0] ? install_secret(app->install, path, out) : OK;
}

static enum err open_courier(struct app *app)
{
    const struct settings *s = &app->install->settings;
    AUTO(buf_done) struct buf key = {0};
    AUTO(buf_done) struct buf password = {0};
    char ca_file[INSTALL_PATH_MAX];

    if (s->provider_origin[0])
        TRY(read_optional_secret(app, s->provider_key_file, &key));
    TRY(read_optional_secret(app, s->mail_password_file, &password));
    TRY(read_optional_secret(app, s->provider_webhook_secret_file, &app->webhook_secret));
    if (s->mail_dir[0] && !app->mail_dir[0])
        install_path(app->install, s->mail_dir, app->mail_dir);
    install_path(app->install, s->provider_ca_file, ca_file);
    struct courier_config config = {.ca_file = s->provider_ca_file[0] ? ca_file : NULL,
                                    .mail_url = s->mail_url[0] ? s->mail_url : NULL,
                                    .mail_user = s->mail_user[0] ? s->mail_user : NULL,
                                    .mail_password = password.len ? buf_text(&password) : NULL,
                                    .mail_from = s->mail_from[0] ? s->mail_from : NULL,
                                    .mail_dir = app->mail_dir[0] ? app->mail_dir : NULL};
    if (s->provider_origin[0]) {
        config.targets[COURIER_PROVIDER].origin = s->provider_origin;
        config.targets[COURIER_PROVIDER].key = key.len ? buf_text(&key) : NULL;
    }
    int fd = app->courier_child.fd;
    app->courier_child.fd = -1;
    return courier_open(fd, &config, on_courier_gone, app, &app->courier);
}

static enum err open_settlement(struct app *app)
{
    const struct settings *s = &app->install->settings;
    const struct settlement_config config = {.store = app->store,
                                             .writer = app->writer,
                                             .ledger = app->ledger,
                                             .keyring = app->keyring,
                                             .courier = app->courier,
                                             .clock = app->clock,
                                             .rng = rng_system(),
                                             .origin = app->origin,
                                             .mail_from = s->mail_from,
                                             .maps = app->maps,
                                             .opened = on_opened,
                                             .told = on_told,
                                             .opened_context = app,
                                             .mail = s->mail_url[0] || app->mail_dir[0],
                                             .provider = s->provider_origin[0] != '\0'};
    return settlement_start(&config, &app->settlement);
}

/* Pages: as set, else where the build and the package put them. */
static void find_pages(struct app *app)
{
    static const char *const beside[] = {"../../../web/dist", "../share/gatehouse/pages"};

    if (app->install->settings.pages_dir[0]) {
        install_path(app->install, app->install->settings.pages_dir, app->pages_dir);
        return;
    }
    if (proc_find(beside, COUNT_OF(beside), R_OK, app->pages_dir, sizeof app->pages_dir) == OK)
        return;
    app->pages_dir[0] = '\0';
    log_warn("no built pages were found: only the API is served");
}

static enum err open_api(struct app *app)
{
    const struct settings *s = &app->install->settings;

    find_pages(app);
    struct api_config config = {.store = app->store,
                                .keyring = app->keyring,
                                .ledger = app->ledger,
                                .maps = app->maps,
                                .signer = &app->signer,
                                .admission_keys = app->admission_keys,
                                .log_disk = &app->log_disk,
                                .log_vkey = app->vkey_text,
                                .pages_dir = app->pages_dir[0] ? app->pages_dir : NULL,
                                .origin = app->origin,
                                .webhook_secret = buf_span(&app->webhook_secret),
                                .ca_pem = app->ca_pem.len ? buf_text(&app->ca_pem) : NULL,
                                .mail_dir = app->mails_shown ? app->mail_dir : NULL,
                                .rates_off = !setting_on(s->limits_rates),
                                .clock = app->clock,
                                .rng = rng_system()};
    config.origins[0] = app->http_origin[0] ? app->http_origin : NULL;
    config.origins[1] = app->tls_origin[0] ? app->tls_origin : NULL;
    return api_new(&config, &app->api);
}

static enum err open_tls(struct app *app)
{
    const struct settings *s = &app->install->settings;

    buf_init(&app->ca_pem, X509_PEM_MAX);
    if (!s->server_tls_listen[0])
        return OK;
    if (s->server_tls_cert[0]) {
        char cert[INSTALL_PATH_MAX], key[INSTALL_PATH_MAX];
        install_path(app->install, s->server_tls_cert, cert);
        install_path(app->install, s->server_tls_key, key);
        return tls_context_server_files(cert, key, &app->tls);
    }
    TRY(tls_files_ready(app->install, app->clock));
    TRY(app->install->disk.read(app->install->disk.self, "tls/ca.pem", &app->ca_pem));
    char cert[INSTALL_PATH_MAX], key[INSTALL_PATH_MAX];
    install_path(app->install, "tls/server.pem", cert);
    install_path(app->install, "tls/server-key.pem", key);
    return tls_context_server_files(cert, key, &app->tls);
}

static void add_listener(struct http_config *config, struct http_listener l, int *fd)
{
    config->listeners[config->listener_count] = l;
    config->sockets[config->listener_count++] = *fd;
    *fd = -1; /* the server's from now on */
}

static enum err open_server(struct app *app)
{
    const struct settings *s = &app->install->settings;
    struct http_config config;

    http_config_init(&config);
    if (app->http_origin[0])
        add_listener(&config, (struct http_listener){app->http_host, app->http_port, NULL},
                     &app->http_fd);
    if (app->tls_origin[0])
        add_listener(&config, (struct http_listener){app->tls_host, app->tls_port, app->tls},
                     &app->tls_fd);
    int64_t loops = setting_number(s->server_loops);
    config.loops = loops >= 1 && loops <= HTTP_LOOPS_MAX ? (unsigned)loops : 2;
    config.sse.threads = config.loops < HTTP_SSE_THREADS_MAX ? config.loops : HTTP_SSE_THREADS_MAX;
    config.nice = LOOPS_NICE;
    config.quick_loops = config.loops;
    config.accepts_later = true;
    config.limits.connections_per_client_max =
        (size_t)setting_number(s->limits_connections_per_client);
    config.clock = app->clock;
    config.rng = rng_system();
    config.csp = api_csp;
    config.problem_base = "/problems/";
    config.context = app->api;
    config.handle = api_handle;
    config.head = api_head;
    config.sse.context = app->api;
    config.sse.replay = api_replay;
    config.sse.stream_max_ms = 60 * 60 * 1000;
    config.sse.streams_max = 20000;
    (void)snprintf(app->proxies, sizeof app->proxies, "%s", s->server_trusted_proxies);
    for (char *rest = app->proxies, *word;
         (word = strsep(&rest, " ")) != NULL && config.trusted_count < HTTP_TRUSTED_MAX;)
        if (*word)
            config.trusted[config.trusted_count++] = word;
    return http_server_open(&config, &app->server);
}

/* --- first run ----------------------------------------------------------------------------------------------------------------- */

static enum err make_owner_link(struct store_tx *tx, void *context)
{
    struct app *app = context;
    char token[AUTH_TOKEN_TEXT];
    bool missing;

    app->owner_link[0] = '\0';
    TRY(auth_owner_missing(tx, &missing));
    if (!missing)
        return OK;
    TRY(auth_one_time_make(tx, ONE_TIME_OWNER, SPAN_LIT("owner"), OWNER_LINK_MS, token));
    (void)snprintf(app->owner_link, sizeof app->owner_link, "%s/staff/setup#%s",
                   app->http_origin[0] ? app->http_origin : app->origin, token);
    wipe(token, sizeof token);
    return OK;
}

static enum err open_parts(struct app *app, const struct app_config *config)
{
    const struct settings *s = &app->install->settings;
    char clock_file[INSTALL_PATH_MAX];

    keep_memory();
    TRY(crypto_init());
    app->clock = clock_system();
    if (s->test_clock_file[0]) {
        install_path(app->install, s->test_clock_file, clock_file);
        log_warn("TEST MODE: the clock is moved by %s", clock_file);
    }
    app->mails_shown = config->mail_dir != NULL;
    if (app->mails_shown)
        (void)snprintf(app->mail_dir, sizeof app->mail_dir, "%s", config->mail_dir);
    TRY(listen_early(app));
    TRY(start_children(app)); /* before any thread */
    raise_descriptors();
    if (s->test_clock_file[0]) {
        TRY(test_clock_start(clock_file, &app->test_clock));
        app->clock = test_clock_clock(app->test_clock);
    }
    TRY(rng_buffered_open(rng_system(), &app->rng));
    TRY(open_keyring(app));
    TRY(open_store(app));
    TRY(map_loading_begin(app->store, app->maps, &app->map_loading));
    TRY(open_signer(app)); /* the children have started meanwhile */
    TRY(open_log(app));
    TRY(admission_keys_new(&app->signer, app->clock, &app->admission_keys));
    TRY(open_courier(app));
    TRY(open_tls(app));
    TRY(open_api(app));
    TRY(map_loading_end(&app->map_loading)); /* before anything is written */
    TRY(open_writer(app));
    TRY(open_settlement(app));
    TRY(load_keys(app));
    TRY(open_server(app));
    /*
     * Before the first request: what the api remembers of rows must hear of every change of them. Sessions it remembers already; nothing
     * that was written since can have changed one.
     */
    __atomic_store_n(&app->listening, true, __ATOMIC_RELEASE);
    TRY(api_start(app->api, app->writer, app->settlement, app->server));
    TRY(writer_call(app->writer, LANE_BACK, make_owner_link, app));
    return http_server_accept(app->server);
}

enum err app_open(const struct app_config *config, struct app **ret_app)
{
    struct app *app = calloc(1, sizeof *app);

    ENSURE(app, ERR_NOMEM, "no_memory", "No memory.");
    app->install = config->install;
    app->signer_child.fd = app->courier_child.fd = -1;
    app->http_fd = app->tls_fd = -1;
    enum err e = open_parts(app, config);
    if (e != OK) {
        struct err_info why;
        err_save(&why);
        app_close(app);
        return err_restore(&why);
    }
    *ret_app = app;
    return OK;
}

void app_close(struct app *app)
{
    if (!app)
        return;
    map_loading_await(&app->map_loading);
    if (app->api)
        api_drain(app->api); /* waiting requests are answered, so that the server can finish */
    if (app->server)
        http_server_stop(app->server, STOP_GRACE_MS);
    settlement_stop(app->settlement);
    writer_stop(app->writer);
    __atomic_store_n(&app->listening, false, __ATOMIC_RELEASE);
    if (app->api)
        api_stop(app->api); /* nobody calls it any more */
    settlement_free(app->settlement);
    sequencer_stop(app->sequencer_thread);
    courier_close(app->courier);
    http_server_close(app->server);
    fd_close(&app->http_fd);
    fd_close(&app->tls_fd);
    api_free(app->api);
    tls_context_close(app->tls);
    admission_keys_free(app->admission_keys);
    sequencer_close(app->sequencer);
    seat_maps_free(app->maps);
    store_close(app->store);
    ledger_free(app->ledger);
    keyring_close(app->keyring);
    disk_close(&app->log_disk);
    disk_close(&app->state_disk);
    if (app->signer_open)
        signer_client_close(&app->signer);
    proc_stop(&app->courier_child, STOP_GRACE_MS);
    proc_stop(&app->signer_child, STOP_GRACE_MS);
    test_clock_stop(app->test_clock);
    rng_buffered_close(app->rng);
    buf_done(&app->webhook_secret);
    buf_done(&app->ca_pem);
    free(app);
}

/* Leaves it to be reaped by app_close. */
static bool has_ended(const struct proc_child *child)
{
    siginfo_t info = {.si_pid = 0};

    return child->pid > 0 &&
           waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0;
}

bool app_failed(const struct app *app)
{
    if (__atomic_load_n(&app->failed, __ATOMIC_ACQUIRE))
        return true;
    if (!has_ended(&app->signer_child))
        return false;
    log_error("the signer process has ended: the server ends");
    return true;
}

const char *app_origin(const struct app *app)
{
    return app->origin;
}

const char *app_http_origin(const struct app *app)
{
    return app->http_origin;
}

const char *app_tls_origin(const struct app *app)
{
    return app->tls_origin;
}

const char *app_owner_link(const struct app *app)
{
    return app->owner_link;
}

struct writer *app_writer(struct app *app)
{
    return app->writer;
}

struct store *app_store(struct app *app)
{
    return app->store;
}

struct ledger *app_ledger(struct app *app)
{
    return app->ledger;
}

struct keyring *app_keyring(struct app *app)
{
    return app->keyring;
}

struct seat_maps *app_maps(struct app *app)
{
    return app->maps;
}

const struct signer_client *app_signer(struct app *app)
{
    return &app->signer;
}

const struct clock *app_clock(struct app *app)
{
    return app->clock;
}
