/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real store and writer, the real courier process, and the real gatehouse-sandbox (its path is the argument): every way that a
 * payment can go. The store's clock stands still; the sandbox's is set to it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

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

#define EVENTUALLY(condition)                                                                      \
    do {                                                                                           \
        int64_t until_ = clock_mono_ms(clock_system()) + PATIENCE_MS;                              \
        while (!(condition)) {                                                                     \
            if (clock_mono_ms(clock_system()) > until_)                                            \
                fail_msg("never became true: %s", #condition);                                     \
            (void)poll(NULL, 0, 3);                                                                \
        }                                                                                          \
    } while (0)

/* --- The provider ---------------------------------------------------------------------------------------------------- */

static int post(const char *path, const char *type, const char *body)
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

static void fault(const char *json)
{
    assert_int_equal(post("/sandbox/faults", "application/json", json), 200);
}

static void set_provider_clock(void)
{
    char json[64];
    (void)snprintf(json, sizeof json, "{\"now_ms\":%lld}",
                   (long long)clock_now_ms(&fix.t.clock.clock));
    assert_int_equal(post("/sandbox/clock", "application/json", json), 200);
}

static void advance(int64_t by_ms)
{
    clock_fixed_set(&fix.t.clock, clock_now_ms(&fix.t.clock.clock) + by_ms);
    if (w.sandbox.pid > 0)
        set_provider_clock();
    settlement_wake(w.settlement);
}

/* What a card does on the page: 303 paid, 402 declined. */
static int pay_with(const char *url, const char *card)
{
    char form[100];
    const char *path = strstr(url, "/pay/");

    assert_non_null(path);
    (void)snprintf(form, sizeof form, "card=%s&expiry=12%%2F34&cvc=123", card);
    return post(path, "application/x-www-form-urlencoded", form);
}

/* Why by hand: the child's standard output is ours, and ours is the test's report. */
static void start_sandbox(void)
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

static enum err make_account(struct store_tx *tx, void *context)
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

static void on_opened(void *context, struct order_id order, const char *url)
{
    (void)context;
    assert_non_null(strstr(url, "/pay/"));
    heard.last = order;
    atomic_fetch_add(&heard.opened, 1);
}

static void on_told(void *context)
{
    (void)context;
    atomic_store(&heard.told, atomic_load(&heard.opened));
}

static void start_settlement_with(size_t calls_max)
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

static void start_settlement(void)
{
    start_settlement_with(0);
}

static void stop_settlement(void)
{
    settlement_stop(w.settlement);
    settlement_free(w.settlement);
    w.settlement = NULL;
}

static void restart_settlement(void)
{
    stop_settlement();
    advance(1); /* what was made before the start is older than the start */
    start_settlement();
}

static void start_courier(void)
{
    const char *const argv[] = {"test-settlement", "--courier", NULL};
    const struct proc_spec spec = {.argv = argv};
    const struct courier_config config = {.targets = {{w.sandbox_address, KEY}}, .mail_dir = w.dir};

    assert_int_equal(proc_spawn(&spec, &w.courier_child), OK);
    int fd = w.courier_child.fd;
    w.courier_child.fd = -1;
    assert_int_equal(courier_open(fd, &config, NULL, NULL, &w.courier), OK);
}

static int set_up(void **state)
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

static void empty_dir(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL)
        (void)unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    assert_int_equal(rmdir(dir), 0);
}

static void stop_sandbox(void)
{
    int status = -1;

    if (w.sandbox.pid <= 0)
        return;
    assert_int_equal(kill(w.sandbox.pid, SIGTERM), 0);
    assert_int_equal(proc_wait(&w.sandbox, PATIENCE_MS, &status), OK);
    assert_int_equal(status, 0);
}

static int tear_down(void **state)
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

static enum err place(struct store_tx *tx, void *context)
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

static enum err run_offering(struct store_tx *tx, struct command *c)
{
    return place(tx, ((struct offering *)c)->p);
}

static void offer_now(const struct purchase *p)
{
    bool taken = settlement_offer(w.settlement, &p->first_attempt, p->order.event_no);
    assert_true(taken == (w.settlement != NULL));
}

static void offer_it(struct command *c, const struct err_info *error)
{
    struct offering *o = (struct offering *)c;

    assert_null(error);
    for (unsigned i = 0; i < o->times; i++)
        offer_now(o->p);
    atomic_store(&o->done, true);
}

static void offer(struct purchase *p, unsigned times)
{
    struct offering o = {
        {.run = run_offering, .done = offer_it, .lane = LANE_SALE}, p, times, false};

    assert_int_equal(writer_submit(w.writer, &o.command), OK);
    EVENTUALLY(atomic_load(&o.done));
}

static struct purchase buy(uint32_t first)
{
    struct purchase p = {.id = order_id_make(clock_system(), rng_system()), .first = first};

    offer(&p, 1);
    return p;
}

static enum err look_(struct store_tx *tx, void *context)
{
    struct purchase *p = context;
    TRY(store_order_by_id(tx, p->id, &p->order));
    return store_payment_newest(tx, p->id, &p->payment);
}

static struct purchase *look(struct purchase *p)
{
    assert_int_equal(store_testing_read(&fix.t, look_, p), OK);
    return p;
}

static bool has_page(struct purchase *p)
{
    return settlement_page(w.settlement, p->id, p->url) && look(p)->payment.state == PAYMENT_OPEN;
}

#define STATUS(p) (look(p)->order.status)

static struct purchase buy_until_page(uint32_t first)
{
    struct purchase p = buy(first);
    EVENTUALLY(has_page(&p));
    return p;
}

static int64_t tickets(void)
{
    return number("SELECT count(*) FROM ticket WHERE status = 'valid'");
}

static enum err cancel_(struct store_tx *tx, void *context)
{
    struct purchase *p = context;
    return order_cancel(tx, fix.catalog.ledger, p->id, w.account_no, &p->order);
}

/* The first mail in the folder whose subject begins so; decoded no further. */
static bool has_mail(const char *words, const char *more)
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

/* --- The ways of a payment ------------------------------------------------------------------------------------------- */

static void paid(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);

    assert_non_null(strstr(p.url, "/pay/cs_test_"));
    assert_int_equal(pay_with(p.url, "4242424242424242"), 303);
    settlement_ask_now(w.settlement, p.id);
    EVENTUALLY(STATUS(&p) == ORDER_PAID);
    assert_int_equal(p.payment.state, PAYMENT_CAPTURED);
    assert_int_equal(tickets(), 2);
    EVENTUALLY(has_mail("Subject: Your tickets: Evening\r\n", "row 1, seat 1: EUR 42.50\r\n"));
    assert_true(has_mail("Hello Zo=C3=AB,\r\n", "https://shop.example.org/tickets\r\n"));
    assert_true(has_mail("Wed 21 Oct 2026, 16:13 CEST", "Paid: EUR 85.00\r\n"));
    EVENTUALLY(number("SELECT count(*) FROM job WHERE state = 'done'") == 1);
}

static void declined_then_paid(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(2);

    assert_int_equal(pay_with(p.url, "4000000000000002"), 402);
    advance(AFTER_LOOK_MS); /* looked at: still open */
    EVENTUALLY(look(&p)->payment.next_ms > clock_now_ms(&fix.t.clock.clock));
    assert_int_equal(STATUS(&p), ORDER_AWAITING);
    assert_int_equal(tickets(), 0);
    assert_int_equal(pay_with(p.url, "4242424242424242"), 303);
    advance(AFTER_LOOK_MS); /* no webhook ever comes in these tests: it is asked */
    EVENTUALLY(STATUS(&p) == ORDER_PAID);
    assert_int_equal(tickets(), 2);
}

static void unpaid_is_expired_and_free(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(4);

    advance(ORDER_PAY_MS + 1000);
    EVENTUALLY(STATUS(&p) == ORDER_EXPIRED);
    assert_int_equal(p.payment.state, PAYMENT_EXPIRED);
    assert_int_equal(number("SELECT count(*) FROM place WHERE state = 2"), 0);
    assert_int_equal(pay_with(p.url, "4242424242424242"), 409);
    struct purchase again = buy_until_page(4);
    assert_int_equal(STATUS(&again), ORDER_AWAITING);
}

static void cancelled_ends_after_the_providers_word(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(6);

    assert_int_equal(writer_call(w.writer, LANE_SALE, cancel_, &p), OK);
    assert_int_equal(p.order.status, ORDER_AWAITING);
    settlement_wake(w.settlement);
    EVENTUALLY(STATUS(&p) == ORDER_CANCELLED);
    assert_int_equal(pay_with(p.url, "4242424242424242"), 409);
    assert_int_equal(number("SELECT count(*) FROM place WHERE state = 2"), 0);
}

static void paid_while_it_was_to_expire(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(8);

    assert_int_equal(pay_with(p.url, "4242424242424242"), 303);
    assert_int_equal(writer_call(w.writer, LANE_SALE, cancel_, &p), OK);
    settlement_wake(w.settlement);
    EVENTUALLY(STATUS(&p) == ORDER_PAID); /* expiring is refused, so it is asked */
    assert_int_equal(tickets(), 2);
}

static void an_offered_attempt_is_asked_for_once(void **state)
{
    (void)state;
    struct purchase p = {.id = order_id_make(clock_system(), rng_system())};
    /* A second question would be answered otherwise than the first. */
    fault("{\"kind\":\"error_500_once\",\"times\":1}");
    offer(&p, 3);
    settlement_wake(w.settlement);
    EVENTUALLY(look(&p)->payment.attempt == 2);
    assert_int_equal(number("SELECT count(*) FROM payment WHERE state = 'failed'"), 1);
    advance(2000);
    EVENTUALLY(has_page(&p));
    assert_int_equal(number("SELECT count(*) FROM payment"), 2);

    struct purchase q = {.id = order_id_make(clock_system(), rng_system()), .first = 2};
    offer(&q, 1);
    EVENTUALLY(has_page(&q));
    assert_int_equal(q.payment.attempt, 1);
    EVENTUALLY(atomic_load(&heard.told) == 2); /* one page each, told and told of */
    assert_int_equal(atomic_load(&heard.opened), 2);
    assert_true(order_id_eq(heard.last, q.id));
    assert_int_equal(pay_with(q.url, "4242424242424242"), 303);
    advance(AFTER_LOOK_MS);
    EVENTUALLY(STATUS(&q) == ORDER_PAID);
}

static void an_offer_keeps_its_turn_while_enough_is_in_flight(void **state)
{
    (void)state;
    struct purchase p[3];

    stop_settlement();
    for (uint32_t i = 0; i < 3; i++) {
        p[i] = (struct purchase){.id = order_id_make(clock_system(), rng_system()), .first = 2 * i};
        offer(&p[i], 0);
    }
    start_settlement_with(1); /* whom it does not keep, it does not find in the rows either */
    for (int i = 0; i < 3; i++)
        offer_now(&p[i]);
    for (int i = 0; i < 3; i++)
        EVENTUALLY(has_page(&p[i]));
}

static void an_attempt_offered_again_while_enough_is_in_flight_is_asked_for_once(void **state)
{
    (void)state;
    struct purchase p = {.id = order_id_make(clock_system(), rng_system())};

    stop_settlement();
    start_settlement_with(1);
    fault(
        "{\"kind\":\"error_500_once\",\"times\":2}"); /* one for each attempt, if each asks once */
    offer(&p, 3);
    EVENTUALLY(look(&p)->payment.attempt == 2);
    advance(2000);
    EVENTUALLY(look(&p)->payment.attempt == 3);
    assert_int_equal(number("SELECT count(*) FROM payment WHERE state = 'failed'"), 2);
}

static void an_attempt_offered_at_the_end_is_found_later(void **state)
{
    (void)state;

    stop_settlement();
    struct purchase p = buy(0); /* offered to nobody */
    start_settlement();
    advance(AFTER_LOOK_MS);
    EVENTUALLY(has_page(&p));
}

static void an_answer_lost_at_creation_makes_a_new_attempt(void **state)
{
    (void)state;
    fault("{\"kind\":\"timeout_after_charge\",\"path\":\"/v1/checkout\",\"delay_ms\":1000}");
    struct purchase p = buy(0);

    EVENTUALLY(look(&p)->payment.attempt == 2);
    assert_int_equal(p.payment.state, PAYMENT_OPEN);
    advance(2000);
    EVENTUALLY(has_page(&p));
    assert_int_equal(pay_with(p.url, "4242424242424242"), 303);
    advance(AFTER_LOOK_MS);
    EVENTUALLY(STATUS(&p) == ORDER_PAID);
    assert_int_equal(number("SELECT count(*) FROM payment WHERE state = 'captured'"), 1);
}

static void a_failing_provider_is_asked_again(void **state)
{
    (void)state;
    fault("{\"kind\":\"error_500_once\",\"times\":2}");
    struct purchase p = buy(0);

    EVENTUALLY(look(&p)->payment.attempt == 2);
    advance(2000);
    EVENTUALLY(look(&p)->payment.attempt == 3);
    advance(4000);
    EVENTUALLY(has_page(&p));
}

static void a_refused_session_ends_the_order(void **state)
{
    (void)state;
    stop_settlement();
    w.origin = "ftp://shop.example.org"; /* the provider takes no such address */
    start_settlement();
    struct purchase p = buy(0);
    EVENTUALLY(STATUS(&p) == ORDER_EXPIRED);
    assert_int_equal(p.payment.state, PAYMENT_FAILED);
    assert_int_equal(number("SELECT count(*) FROM place WHERE state = 2"), 0);
}

static void an_unreachable_provider_keeps_the_attempt(void **state)
{
    (void)state;
    stop_sandbox();
    struct purchase p = buy(0);
    EVENTUALLY(look(&p)->payment.tries >= 1);
    assert_int_equal(p.payment.attempt, 1);
    assert_int_equal(p.payment.state, PAYMENT_OPEN);
    advance(ORDER_PAY_MS + 1000); /* nobody can have paid */
    EVENTUALLY(STATUS(&p) == ORDER_EXPIRED);
}

/* --- Money that comes too late --------------------------------------------------------------------------------------- */

struct saying {
    struct stripe_session session;
};

static enum err says_(struct store_tx *tx, void *context)
{
    struct saying *s = context;
    return order_session_says(tx, fix.catalog.ledger, &s->session);
}

/* As a webhook would bring it. */
static void provider_says(const struct purchase *p, enum stripe_session_status status,
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

/* Paid at the provider; its intent is found on its list by the one who asks: the order of another purchase. */
static void intent_of(const struct purchase *p, char out[STRIPE_REF_MAX])
{
    /* A second purchase is not needed: the captured payment row holds the intent. */
    (void)snprintf(out, STRIPE_REF_MAX, "%s", p->payment.intent_ref);
}

static void late_money_takes_free_places(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);

    provider_says(&p, STRIPE_EXPIRED, "");
    assert_int_equal(STATUS(&p), ORDER_EXPIRED);
    provider_says(&p, STRIPE_COMPLETE, "pi_late");
    assert_int_equal(STATUS(&p), ORDER_PAID);
    assert_int_equal(tickets(), 2);
}

static void late_money_goes_back(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0), donor = buy_until_page(2);
    char intent[STRIPE_REF_MAX];

    /* A payment that the provider really has, so that it can really refund. */
    assert_int_equal(pay_with(donor.url, "4242424242424242"), 303);
    stop_settlement();
    provider_says(&p, STRIPE_EXPIRED, "");
    struct purchase other = buy(0); /* the places have gone */
    start_settlement();
    advance(AFTER_LOOK_MS);
    EVENTUALLY(STATUS(&donor) == ORDER_PAID);
    intent_of(&donor, intent);
    store_testing_sql(&fix.t, "UPDATE payment SET intent_ref = intent_ref || 'x' WHERE state = "
                              "'captured'");
    provider_says(&p, STRIPE_COMPLETE, intent);
    assert_int_equal(STATUS(&p), ORDER_EXPIRED);
    EVENTUALLY(number("SELECT count(*) FROM refund WHERE state = 'done'") == 1);
    assert_int_equal(tickets(), 2); /* the donor's */
    EVENTUALLY(has_mail("Subject: Your money goes back: Evening\r\n", "EUR 85.00"));
    assert_int_equal(number("SELECT count(*) FROM alert"), 0);
    (void)other;
}

/* Late money, whose places have gone, of an intent that the provider does not know. */
static void owe_unknown_money(void)
{
    struct purchase p = buy_until_page(0);

    stop_settlement();
    provider_says(&p, STRIPE_EXPIRED, "");
    (void)buy(0);
    provider_says(&p, STRIPE_COMPLETE, "pi_unknown");
}

static void a_refund_is_not_ended_by_a_strangers_404(void **state)
{
    (void)state;
    owe_unknown_money();
    fault("{\"kind\":\"proxy_404_once\",\"path\":\"/v1/refunds\"}");
    start_settlement();
    EVENTUALLY(number("SELECT max(tries) FROM refund") == 1);
    assert_int_equal(number("SELECT count(*) FROM refund WHERE state = 'asked'"), 1);
    assert_int_equal(number("SELECT count(*) FROM alert WHERE kind = 'refund_failed'"), 0);
    advance(2000);
    EVENTUALLY(number("SELECT count(*) FROM refund WHERE state = 'failed'") == 1);
}

static void a_refund_that_nobody_answers_is_told_and_asked_on(void **state)
{
    (void)state;
    owe_unknown_money();
    fault("{\"kind\":\"proxy_404_once\",\"path\":\"/v1/refunds\",\"times\":12}");
    start_settlement();
    for (int64_t tries = 1; tries < 12; tries++) {
        EVENTUALLY(number("SELECT max(tries) FROM refund") >= tries);
        assert_int_equal(number("SELECT count(*) FROM alert WHERE kind = 'refund_unknown'"), 0);
        advance(61 * 1000);
    }
    EVENTUALLY(number("SELECT count(*) FROM alert WHERE kind = 'refund_unknown'") == 1);
    assert_int_equal(number("SELECT count(*) FROM refund WHERE state = 'asked'"), 1);
    advance(61 * 60 * 1000);
    EVENTUALLY(number("SELECT count(*) FROM refund WHERE state = 'failed'") == 1);
}

static void a_refused_refund_raises_an_alert(void **state)
{
    (void)state;
    owe_unknown_money();
    start_settlement();
    EVENTUALLY(number("SELECT count(*) FROM refund WHERE state = 'failed'") == 1);
    assert_int_equal(number("SELECT count(*) FROM alert WHERE kind = 'refund_failed'"), 1);
}

static void a_refund_answer_lost_is_asked_again_under_its_key(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0), donor = buy_until_page(2);
    char intent[STRIPE_REF_MAX];

    assert_int_equal(pay_with(donor.url, "4242424242424242"), 303);
    settlement_ask_now(w.settlement, donor.id);
    EVENTUALLY(STATUS(&donor) == ORDER_PAID);
    intent_of(&donor, intent);
    stop_settlement();
    provider_says(&p, STRIPE_EXPIRED, "");
    (void)buy(0);
    store_testing_sql(&fix.t, "UPDATE payment SET intent_ref = intent_ref || 'x' WHERE state = "
                              "'captured'");
    provider_says(&p, STRIPE_COMPLETE, intent);
    fault("{\"kind\":\"timeout_after_charge\",\"path\":\"/v1/refunds\",\"delay_ms\":1000}");
    start_settlement();
    EVENTUALLY(number("SELECT max(tries) FROM refund") == 1);
    advance(2000);
    /* A second refund of the whole would be refused by the provider: this is the first one's answer. */
    EVENTUALLY(number("SELECT count(*) FROM refund WHERE state = 'done'") == 1);
}

static void another_amount_raises_an_alert(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);

    fault("{\"kind\":\"wrong_amount\"}");
    assert_int_equal(pay_with(p.url, "4242424242424242"), 303);
    advance(AFTER_LOOK_MS);
    EVENTUALLY(number("SELECT count(*) FROM alert WHERE kind = 'payment_mismatch'") == 1);
    assert_int_equal(STATUS(&p), ORDER_AWAITING);
    assert_int_equal(tickets(), 0);
}

/* --- The process dies between two steps ------------------------------------------------------------------------------ */

static void crash_before_the_question(void **state)
{
    (void)state;
    stop_settlement();
    struct purchase p = buy(0);
    restart_settlement();
    assert_false(has_page(&p));
    settlement_want_page(w.settlement, p.id);
    EVENTUALLY(has_page(&p));
    assert_int_equal(p.payment.attempt, 1); /* nobody knows that nothing was sent: the same key */
}

static void crash_while_the_question_is_out(void **state)
{
    (void)state;
    fault("{\"kind\":\"slow\",\"path\":\"/v1/checkout\",\"delay_ms\":200}");
    struct purchase p = buy(0);

    restart_settlement(); /* the answer, if there was one, is dropped */
    settlement_want_page(w.settlement, p.id);
    EVENTUALLY(has_page(&p));
    assert_int_equal(number("SELECT count(*) FROM payment"), 1);
    assert_int_equal(pay_with(p.url, "4242424242424242"), 303);
    advance(AFTER_LOOK_MS);
    EVENTUALLY(STATUS(&p) == ORDER_PAID);
}

static void crash_between_charge_and_commit(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);

    stop_settlement();
    assert_int_equal(pay_with(p.url, "4242424242424242"), 303);
    start_settlement();
    advance(AFTER_LOOK_MS);
    EVENTUALLY(STATUS(&p) == ORDER_PAID);
    assert_int_equal(tickets(), 2);
}

static void a_session_made_before_the_start_is_given_again(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);
    struct purchase before = p;

    restart_settlement();
    settlement_want_page(w.settlement, p.id);
    EVENTUALLY(has_page(&p));
    assert_string_equal(p.url, before.url);
    assert_int_equal(number("SELECT count(*) FROM payment"), 1);
    assert_int_equal(pay_with(before.url, "4242424242424242"), 303);
    settlement_ask_now(w.settlement, p.id);
    EVENTUALLY(STATUS(&p) == ORDER_PAID);
}

static void a_session_made_before_the_start_is_expired_by_the_provider(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);

    restart_settlement();
    assert_int_equal(writer_call(w.writer, LANE_SALE, cancel_, &p), OK);
    settlement_wake(w.settlement);
    EVENTUALLY(STATUS(&p) == ORDER_CANCELLED);
    assert_int_equal(p.payment.state, PAYMENT_EXPIRED);
    assert_int_equal(pay_with(p.url, "4242424242424242"), 409);
}

/* Its words are those of the attempt's row, whatever the event is called and wherever the pages are by now. */
static void a_session_is_given_again_whatever_changed_meanwhile(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);
    struct purchase before = p;

    stop_settlement();
    w.origin = "https://other.example.org";
    store_testing_sql(&fix.t, "UPDATE event SET name = 'Another name'");
    advance(AFTER_LOOK_MS);
    start_settlement();
    EVENTUALLY(has_page(&p));
    assert_string_equal(p.url, before.url);
}

/* How often the provider must be asked before it answers is not the test's to know: the clock goes on until it does. */
static bool is_paid_later(struct purchase *p)
{
    if (STATUS(p) == ORDER_PAID)
        return true;
    advance(AFTER_LOOK_MS);
    return false;
}

static void a_session_that_may_have_been_seen_is_not_given_up(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);

    stop_settlement();
    fault("{\"kind\":\"error_500_once\",\"path\":\"/v1/checkout\",\"times\":3}");
    advance(AFTER_LOOK_MS);
    start_settlement();
    EVENTUALLY(look(&p)->payment.tries >= 1);
    assert_int_equal(writer_call(w.writer, LANE_SALE, cancel_, &p), OK);
    settlement_wake(w.settlement);
    EVENTUALLY(look(&p)->payment.tries >= 2);
    assert_int_equal(p.payment.attempt, 1);
    assert_int_equal(STATUS(&p), ORDER_AWAITING);
    assert_int_equal(number("SELECT count(*) FROM place WHERE state = 2"), 2);
    /* Whoever saw it pays. */
    assert_int_equal(pay_with(p.url, "4242424242424242"), 303);
    EVENTUALLY(is_paid_later(&p));
}

/* Who paid in time has tickets, however long nobody could be told. */
static void money_of_before_a_long_stop_is_found(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);

    stop_settlement();
    assert_int_equal(pay_with(p.url, "4242424242424242"), 303);
    advance(STRIPE_KEY_KEPT_MS - 1000);
    start_settlement();
    EVENTUALLY(STATUS(&p) == ORDER_PAID);
    assert_int_equal(tickets(), 2);
}

static void a_session_that_was_never_made_frees_the_places_by_the_providers_word(void **state)
{
    (void)state;
    stop_settlement();
    struct purchase p = buy(0);

    advance(ORDER_SESSION_MS);
    start_settlement();
    EVENTUALLY(STATUS(&p) == ORDER_EXPIRED);
    assert_int_equal(p.payment.state, PAYMENT_EXPIRED);
    assert_int_equal(number("SELECT count(*) FROM alert"), 0);
}

static void a_page_is_found_at_once_though_it_was_looked_at_before_the_start(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);

    advance(AFTER_LOOK_MS); /* open still: the next look is in a minute */
    EVENTUALLY(look(&p)->payment.next_ms > clock_now_ms(&fix.t.clock.clock));
    restart_settlement();
    settlement_want_page(w.settlement, p.id);
    EVENTUALLY(has_page(&p));
}

/* Stripe keeps its own failure under the key, and gives it again each time. */
static void a_failure_that_the_provider_keeps_ends_the_order_past_its_time(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);

    stop_settlement();
    fault("{\"kind\":\"error_500_once\",\"path\":\"/v1/checkout\",\"times\":1000}");
    advance(AFTER_LOOK_MS);
    start_settlement();
    for (int64_t tries = 1; tries <= 10; tries++) {
        EVENTUALLY(look(&p)->payment.tries >= tries);
        advance(AFTER_LOOK_MS);
    }
    assert_int_equal(STATUS(&p), ORDER_AWAITING); /* it may be paid still */
    advance(ORDER_SESSION_MS);
    EVENTUALLY(STATUS(&p) == ORDER_EXPIRED);
    assert_int_equal(p.payment.state, PAYMENT_EXPIRED);
    assert_int_equal(number("SELECT count(*) FROM alert WHERE kind = 'payment_unknown'"), 1);
}

static void words_that_are_not_the_first_ones_are_a_persons_to_look_at(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);

    stop_settlement();
    store_testing_sql(&fix.t, "UPDATE payment SET title = 'Altered'");
    advance(ORDER_PAY_MS + AFTER_LOOK_MS);
    start_settlement();
    EVENTUALLY(number("SELECT count(*) FROM alert WHERE kind = 'payment_unknown'") == 1);
    assert_int_equal(STATUS(&p), ORDER_AWAITING);
    assert_int_equal(number("SELECT count(*) FROM place WHERE state = 2"), 2);
}

/* The day is over in which the provider keeps the key. */
static void a_session_nobody_answers_about_is_over_after_a_day_with_an_alert(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);

    stop_settlement();
    stop_sandbox();
    advance(STRIPE_KEY_KEPT_MS - 1000);
    start_settlement();
    EVENTUALLY(look(&p)->payment.tries >= 1);
    assert_int_equal(STATUS(&p), ORDER_AWAITING);
    advance(AFTER_LOOK_MS);
    EVENTUALLY(STATUS(&p) == ORDER_EXPIRED);
    assert_int_equal(p.payment.state, PAYMENT_EXPIRED);
    assert_int_equal(number("SELECT count(*) FROM alert WHERE kind = 'payment_unknown'"), 1);
    provider_says(&p, STRIPE_COMPLETE, "pi_late"); /* late money is late money */
    assert_int_equal(STATUS(&p), ORDER_PAID);
}

/* As if the clock had been set back by an hour since the attempt was made. */
static void a_clock_set_back_makes_no_second_attempt(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);
    char sql[200];

    stop_settlement();
    (void)snprintf(sql, sizeof sql, "UPDATE payment SET id = x'%012llx00000000000000000001'",
                   (unsigned long long)clock_now_ms(&fix.t.clock.clock) + 60 * 60 * 1000);
    store_testing_sql(&fix.t, sql);
    fault("{\"kind\":\"error_500_once\"}");
    start_settlement();
    settlement_want_page(w.settlement, p.id);
    EVENTUALLY(look(&p)->payment.tries >= 1);
    assert_int_equal(p.payment.attempt, 1);
}

static void a_dead_courier_loses_nothing(void **state)
{
    (void)state;
    assert_int_equal(kill(w.courier_child.pid, SIGKILL), 0);
    struct purchase p = buy(0);

    stop_settlement();
    courier_close(w.courier);
    proc_stop(&w.courier_child, PATIENCE_MS);
    start_courier();
    restart_settlement();
    advance(AFTER_LOOK_MS);
    EVENTUALLY(has_page(&p));
}

static void holds_that_are_over_are_swept(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);
    store_testing_sql(&fix.t,
                      "INSERT INTO hold (id, event_no, organiser_no, account_no, status, "
                      "fingerprint, places, created_ms, expires_ms, latest_ms) SELECT "
                      "x'77777777777777777777777777777777', event_no, organiser_no, account_no, "
                      "'live', fingerprint, x'00000030', 1, 2, 3 FROM hold LIMIT 1");
    EVENTUALLY(number("SELECT count(*) FROM hold WHERE status = 'expired'") == 1);
    (void)p;
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(paid),
        T(declined_then_paid),
        T(unpaid_is_expired_and_free),
        T(cancelled_ends_after_the_providers_word),
        T(paid_while_it_was_to_expire),
        T(an_offered_attempt_is_asked_for_once),
        T(an_offer_keeps_its_turn_while_enough_is_in_flight),
        T(an_attempt_offered_again_while_enough_is_in_flight_is_asked_for_once),
        T(an_attempt_offered_at_the_end_is_found_later),
        T(an_answer_lost_at_creation_makes_a_new_attempt),
        T(a_failing_provider_is_asked_again),
        T(a_refused_session_ends_the_order),
        T(an_unreachable_provider_keeps_the_attempt),
        T(late_money_takes_free_places),
        T(late_money_goes_back),
        T(a_refund_is_not_ended_by_a_strangers_404),
        T(a_refund_that_nobody_answers_is_told_and_asked_on),
        T(a_refused_refund_raises_an_alert),
        T(a_refund_answer_lost_is_asked_again_under_its_key),
        T(another_amount_raises_an_alert),
        T(crash_before_the_question),
        T(crash_while_the_question_is_out),
        T(crash_between_charge_and_commit),
        T(a_session_made_before_the_start_is_given_again),
        T(a_session_made_before_the_start_is_expired_by_the_provider),
        T(a_session_that_may_have_been_seen_is_not_given_up),
        T(a_session_is_given_again_whatever_changed_meanwhile),
        T(money_of_before_a_long_stop_is_found),
        T(a_session_that_was_never_made_frees_the_places_by_the_providers_word),
        T(a_page_is_found_at_once_though_it_was_looked_at_before_the_start),
        T(a_failure_that_the_provider_keeps_ends_the_order_past_its_time),
        T(words_that_are_not_the_first_ones_are_a_persons_to_look_at),
        T(a_session_nobody_answers_about_is_over_after_a_day_with_an_alert),
        T(a_clock_set_back_makes_no_second_attempt),
        T(a_dead_courier_loses_nothing),
        T(holds_that_are_over_are_swept),
    };

    if (argc > 1 && strcmp(argv[1], "--courier") == 0)
        _exit(courier_main(PROC_CHILD_FD)); /* a confined process cannot look for leaks */
    if (argc != 2)
        return 1;
    sandbox_path = argv[1];
    (void)signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_ERROR, "test");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
