/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_SETTLEMENT_TEST_SETTLEMENT_RIG_H
#define REACH_SETTLEMENT_TEST_SETTLEMENT_RIG_H

/*
 * test_settlement_rig - a real store and writer, the real courier process, and the real gatehouse-sandbox (its path is the argument).
 * The store's clock stands still; the sandbox's is set to it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "ground/base/test_eventually.h"
#include "ground/proc/spawn.h"
#include "reach/courier/fetch.h"
#include "reach/settlement/settlement.h"
#include "sale/catalog/test_fixture.h"
#include "sale/hold/seat_map.h"
#include "trust/auth/auth.h"

enum { PATIENCE_MS = 20000, CALL_MS = 400 };
#define KEY "sk_test_settlement"
#define AFTER_LOOK_MS (ORDER_ASK_MS + 1000)

static const char *sandbox_path;

static struct world {
    char dir[32], sandbox_address[64];
    pid_t sandbox_pid;
    struct proc_child sandbox, courier_child;
    struct courier_client *courier;
    struct writer *writer;
    struct seat_maps *maps;
    struct settlement *settlement;
    int64_t account_no;
    const char *origin;
} w;

/* --- The provider ---------------------------------------------------------------------------------------------------- */

static inline int post(const char *path, const char *type, const char *body)
{
    char url[256];
    int status = 0;
    struct fetch_request r = {.url = url, .body = span_text(body), .deadline_ms = PATIENCE_MS};

    (void)snprintf(url, sizeof url, "%s%s", w.sandbox_address, path);
    r.headers[r.header_count++] = (struct courier_header){"Content-Type", type};
    r.bearer = path[1] == 's' ? KEY : NULL; /* /sandbox/... */
    assert_int_equal(fetch_post(&r, &status), OK);
    return status;
}

static inline void fault(const char *json)
{
    assert_int_equal(post("/sandbox/faults", "application/json", json), 200);
}

static inline void set_provider_clock(void)
{
    char json[64];
    (void)snprintf(json, sizeof json, "{\"now_ms\":%lld}",
                   (long long)clock_now_ms(&fix.t.clock.clock));
    assert_int_equal(post("/sandbox/clock", "application/json", json), 200);
}

static inline void advance(int64_t by_ms)
{
    clock_fixed_set(&fix.t.clock, clock_now_ms(&fix.t.clock.clock) + by_ms);
    if (w.sandbox.pid > 0)
        set_provider_clock();
    settlement_wake(w.settlement);
}

/* What a card does on the page: 303 paid, 402 declined. */
static inline int pay_with(const char *url, const char *card)
{
    char form[100];
    const char *path = strstr(url, "/pay/");

    assert_non_null(path);
    (void)snprintf(form, sizeof form, "card=%s&expiry=12%%2F34&cvc=123", card);
    return post(path, "application/x-www-form-urlencoded", form);
}

/* Why by hand: the child's standard output is ours, and ours is the test's report. */
static inline void start_sandbox(void)
{
    char db[64], key[64], line[300];
    const char *argv[] = {"gatehouse-sandbox", "--db", db, "--key-file", key, NULL};
    const struct proc_spec spec = {.path = sandbox_path, .argv = argv};
    int out[2], ours;
    size_t n = 0;

    (void)snprintf(db, sizeof db, "%s/sandbox.db", w.dir);
    (void)snprintf(key, sizeof key, "%s/key", w.dir);
    FILE *f = fopen(key, "w");
    assert_non_null(f);
    assert_true(fputs(KEY "\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    (void)fflush(stdout);
    ours = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_int_equal(dup2(out[1], STDOUT_FILENO), STDOUT_FILENO);
    enum err e = proc_spawn(&spec, &w.sandbox);
    assert_int_equal(dup2(ours, STDOUT_FILENO), STDOUT_FILENO);
    close(ours);
    close(out[1]);
    assert_int_equal(e, OK);
    while (n + 1 < sizeof line && (n == 0 || line[n - 1] != '\n')) {
        ssize_t got = read(out[0], line + n, sizeof line - 1 - n);
        assert_true(got > 0);
        n += (size_t)got;
    }
    line[n] = '\0';
    close(out[0]);
    const char *at = strstr(line, "\"address\":\"");
    assert_non_null(at);
    at += 11;
    (void)snprintf(w.sandbox_address, sizeof w.sandbox_address, "%.*s", (int)strcspn(at, "\""), at);
    set_provider_clock();
}

/* --- The world ------------------------------------------------------------------------------------------------------- */

static inline enum err make_account(struct store_tx *tx, void *context)
{
    struct auth auth = {.keyring = fix.keyring, .ledger = fix.catalog.ledger, .issuer = "Test"};
    struct account_request req = {.id = FIX_ID(account, 0xc0, 1),
                                  .mail = SPAN_LIT("fan@example.org"),
                                  .name = SPAN_LIT("Zo\xC3\xAB")};
    return auth_account_create(tx, &auth, &req, context);
}

/* On the courier's thread: pages told, and of how many it was said that this was all for now. */
static struct {
    _Atomic int opened, told;
    struct order_id last;
} heard;

static inline void on_opened(void *context, struct order_id order, const char *url)
{
    (void)context;
    assert_non_null(strstr(url, "/pay/"));
    heard.last = order;
    atomic_fetch_add(&heard.opened, 1);
}

static inline void on_told(void *context)
{
    (void)context;
    atomic_store(&heard.told, atomic_load(&heard.opened));
}

static inline void start_settlement_with(size_t calls_max)
{
    const struct settlement_config config = {.store = fix.t.store,
                                             .writer = w.writer,
                                             .ledger = fix.catalog.ledger,
                                             .keyring = fix.keyring,
                                             .courier = w.courier,
                                             .clock = &fix.t.clock.clock,
                                             .rng = &fix.t.rng.rng,
                                             .origin = w.origin,
                                             .mail_from = "shop@example.org",
                                             .maps = w.maps,
                                             .mail = true,
                                             .opened = on_opened,
                                             .told = on_told,
                                             .calls_max = calls_max,
                                             .call_ms = CALL_MS,
                                             .provider = true};
    assert_int_equal(settlement_start(&config, &w.settlement), OK);
}

static inline void start_settlement(void)
{
    start_settlement_with(0);
}

static inline void stop_settlement(void)
{
    settlement_stop(w.settlement);
    settlement_free(w.settlement);
    w.settlement = NULL;
}

static inline void restart_settlement(void)
{
    stop_settlement();
    advance(1); /* what was made before the start is older than the start */
    start_settlement();
}

static inline void start_courier(void)
{
    const char *const argv[] = {"test-settlement", "--courier", NULL};
    const struct proc_spec spec = {.argv = argv};
    const struct courier_config config = {.targets = {{w.sandbox_address, KEY}}, .mail_dir = w.dir};

    assert_int_equal(proc_spawn(&spec, &w.courier_child), OK);
    int fd = w.courier_child.fd;
    w.courier_child.fd = -1;
    assert_int_equal(courier_open(fd, &config, NULL, NULL, &w.courier), OK);
}

static inline int set_up(void **state)
{
    struct event_request req = fix_event_request(1, 1);

    memset(&w, 0, sizeof w);
    atomic_store(&heard.opened, 0);
    atomic_store(&heard.told, 0);
    w.origin = "https://shop.example.org";
    (void)snprintf(w.dir, sizeof w.dir, "/tmp/settlement-test-XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    (void)fix_open(state);
    assert_int_equal(store_testing_run(&fix.t, make_account, &w.account_no), OK);
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    assert_int_equal(fix_status(FIX_ORGANISER, req.id, EVENT_ON_SALE), OK);
    assert_int_equal(seat_maps_new(fix.t.store, &w.maps), OK);
    const struct writer_config config = {.queue_max = 256,
                                         .batch_max = 32,
                                         .released = seat_maps_released,
                                         .committed = seat_maps_committed,
                                         .lost = seat_maps_lost,
                                         .context = w.maps};
    assert_int_equal(writer_start(fix.t.store, &config, &w.writer), OK);
    start_sandbox();
    start_courier();
    start_settlement();
    return 0;
}

static inline void empty_dir(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL)
        (void)unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    assert_int_equal(rmdir(dir), 0);
}

static inline void stop_sandbox(void)
{
    int status = -1;

    if (w.sandbox.pid <= 0)
        return;
    assert_int_equal(kill(w.sandbox.pid, SIGTERM), 0);
    assert_int_equal(proc_wait(&w.sandbox, PATIENCE_MS, &status), OK);
    assert_int_equal(status, 0);
}

static inline int tear_down(void **state)
{
    stop_settlement();
    writer_stop(w.writer);
    courier_close(w.courier);
    proc_stop(&w.courier_child, PATIENCE_MS);
    stop_sandbox();
    proc_stop(&w.sandbox, 0);
    /* M1 at every end: bookings sum to zero. */
    assert_int_equal(number("SELECT coalesce(sum(amount_minor), 0) FROM posting"), 0);
    seat_maps_free(w.maps);
    empty_dir(w.dir);
    return fix_close(state);
}

/* --- Buying ---------------------------------------------------------------------------------------------------------- */

struct purchase {
    struct order_id id;
    uint32_t first;
    struct order_row order;
    struct payment_row payment;
    struct payment_row first_attempt;
    char url[STRIPE_URL_MAX]; /* where it can be paid */
};

static inline enum err place(struct store_tx *tx, void *context)
{
    struct purchase *p = context;
    struct hold_request hold = {.id = hold_id_make(clock_system(), rng_system()),
                                .event = EVENT_ID(1),
                                .account_no = w.account_no,
                                .want = HOLD_NAMED,
                                .places = {p->first, p->first + 1},
                                .place_count = 2};
    struct order_request order = {
        .id = p->id, .hold = hold.id, .account_no = w.account_no, .return_origin = w.origin};
    struct order_placed placed;
    struct hold held;

    TRY(hold_place(tx, w.maps, &hold, &held));
    TRY(order_place(tx, fix.catalog.ledger, w.maps, &order, &placed));
    p->order = placed.order;
    p->first_attempt = placed.payment;
    return OK;
}

/* As the api does: on the writer thread, when the order is durable. */
struct offering {
    struct command command; /* first */
    struct purchase *p;
    unsigned times;
    _Atomic bool done;
};

static inline enum err run_offering(struct store_tx *tx, struct command *c)
{
    return place(tx, ((struct offering *)c)->p);
}

static inline void offer_now(const struct purchase *p)
{
    bool taken = settlement_offer(w.settlement, &p->first_attempt, p->order.event_no);
    assert_true(taken == (w.settlement != NULL));
}

static inline void offer_it(struct command *c, const struct err_info *error)
{
    struct offering *o = (struct offering *)c;

    assert_null(error);
    for (unsigned i = 0; i < o->times; i++)
        offer_now(o->p);
    atomic_store(&o->done, true);
}

static inline void offer(struct purchase *p, unsigned times)
{
    struct offering o = {
        {.run = run_offering, .done = offer_it, .lane = LANE_SALE}, p, times, false};

    assert_int_equal(writer_submit(w.writer, &o.command), OK);
    EVENTUALLY(atomic_load(&o.done));
}

static inline struct purchase buy(uint32_t first)
{
    struct purchase p = {.id = order_id_make(clock_system(), rng_system()), .first = first};

    offer(&p, 1);
    return p;
}

static inline enum err look_(struct store_tx *tx, void *context)
{
    struct purchase *p = context;
    TRY(store_order_by_id(tx, p->id, &p->order));
    return store_payment_newest(tx, p->id, &p->payment);
}

static inline struct purchase *look(struct purchase *p)
{
    assert_int_equal(store_testing_read(&fix.t, look_, p), OK);
    return p;
}

static inline bool has_page(struct purchase *p)
{
    return settlement_page(w.settlement, p->id, p->url) && look(p)->payment.state == PAYMENT_OPEN;
}

#define STATUS(p) (look(p)->order.status)

static inline struct purchase buy_until_page(uint32_t first)
{
    struct purchase p = buy(first);
    EVENTUALLY(has_page(&p));
    return p;
}

static inline int64_t tickets(void)
{
    return number("SELECT count(*) FROM ticket WHERE status = 'valid'");
}

static inline enum err cancel_(struct store_tx *tx, void *context)
{
    struct purchase *p = context;
    return order_cancel(tx, fix.catalog.ledger, p->id, w.account_no, &p->order);
}

/* The first mail in the folder whose subject begins so; decoded no further. */
static inline bool has_mail(const char *words, const char *more)
{
    DIR *d = opendir(w.dir);
    struct dirent *e;
    bool found = false;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL && !found) {
        char path[400], text[8192] = "";
        if (!strstr(e->d_name, ".eml"))
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", w.dir, e->d_name);
        FILE *f = fopen(path, "r");
        if (!f)
            continue;
        size_t n = fread(text, 1, sizeof text - 1, f);
        text[n] = '\0';
        (void)fclose(f);
        found = strstr(text, words) && strstr(text, more) &&
                strstr(text, "To: fan@example.org\r\n") &&
                strstr(text, "From: shop@example.org\r\n");
    }
    closedir(d);
    return found;
}

struct saying {
    struct stripe_session session;
};

static inline enum err says_(struct store_tx *tx, void *context)
{
    struct saying *s = context;
    return order_session_says(tx, fix.catalog.ledger, &s->session);
}

/* As a webhook would bring it. */
static inline void provider_says(const struct purchase *p, enum stripe_session_status status,
                                 const char *intent)
{
    struct saying s = {.session = {.status = status,
                                   .paid = status == STRIPE_COMPLETE,
                                   .amount = p->payment.amount}};
    (void)snprintf(s.session.ref, sizeof s.session.ref, "%s", strrchr(p->url, '/') + 1);
    payment_id_format(p->payment.id, s.session.client_reference);
    (void)snprintf(s.session.intent_ref, sizeof s.session.intent_ref, "%s", intent);
    if (writer_call(w.writer, LANE_SALE, says_, &s) != OK)
        fail_msg("%s", err_last()->slug);
    settlement_wake(w.settlement);
}

/* True when this process is to run the tests; as the courier it does not return. */
static inline bool is_tester(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--courier") == 0)
        _exit(courier_main(PROC_CHILD_FD)); /* a confined process cannot look for leaks */
    if (argc != 2)
        return false;
    sandbox_path = argv[1];
    (void)signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_ERROR, "test");
    return true;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
