/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/hold/test_fixture.h"
#include "sale/order/order.h"
#include "trust/ledger/audit.h"

/* Two seats of the hall: 2 x (4000 + 250). */
enum { PAIR_MINOR = 8500 };

struct order_call {
    struct order_request req;
    struct order_id order;
    int64_t account_no;
    struct payment_id payment;
    struct stripe_session session;
    bool again;
    int64_t next_ms;
    struct refund_id refund;
    struct stripe_refund answer;
    struct order_row row;
    struct payment_row payment_row;
    struct refund_row refunds[4];
    size_t count;
};

#define LEDGER fix.catalog.ledger

static enum err order_(struct store_tx *tx, void *context)
{
    struct order_call *c = context;
    struct order_placed placed;
    TRY(order_place(tx, LEDGER, maps, &c->req, &placed));
    c->row = placed.order;
    return OK;
}
static enum err cancel_(struct store_tx *tx, void *context)
{
    struct order_call *c = context;
    return order_cancel(tx, LEDGER, c->order, c->account_no, &c->row);
}
static enum err over_(struct store_tx *tx, void *context)
{
    struct order_call *c = context;
    return order_session_over(tx, LEDGER, c->payment);
}
static enum err failed_(struct store_tx *tx, void *context)
{
    struct order_call *c = context;
    return order_session_failed(tx, LEDGER, c->payment, c->again, c->next_ms);
}
static enum err says_(struct store_tx *tx, void *context)
{
    struct order_call *c = context;
    return order_session_says(tx, LEDGER, &c->session);
}
static enum err refund_says_(struct store_tx *tx, void *context)
{
    struct order_call *c = context;
    return order_refund_says(tx, LEDGER, c->refund, &c->answer);
}
static enum err return_first_place_(struct store_tx *tx, void *context)
{
    struct order_call *c = context;
    struct ticket_row tickets[2];
    size_t count;

    TRY(store_tickets_of_order(tx, c->order, tickets, COUNT_OF(tickets), &count));
    return places_return(tx, tickets[0].event_no, tickets[0].place_no, tickets[0].id);
}
static enum err read_(struct store_tx *tx, void *context)
{
    struct order_call *c = context;
    TRY(store_order_by_id(tx, c->order, &c->row));
    TRY(store_refunds_of_order(tx, c->order, c->refunds, COUNT_OF(c->refunds), &c->count));
    enum err e = store_payment_newest(tx, c->order, &c->payment_row);
    return e == ERR_NOT_FOUND ? OK : e;
}

/* --- doing ---------------------------------------------------------------------------------------------------------- */

static enum err order(uint8_t n, uint8_t hold, int64_t account_no)
{
    struct order_call c = {.req = {.id = ORDER_ID(n),
                                   .hold = HOLD_ID(hold),
                                   .account_no = account_no,
                                   .return_origin = "https://shop.example"}};
    return run(order_, &c);
}

static struct order_call read_order(uint8_t n)
{
    struct order_call c = {.order = ORDER_ID(n)};
    assert_int_equal(store_testing_read(&fix.t, read_, &c), OK);
    return c;
}

static enum order_status status_now(uint8_t n)
{
    return read_order(n).row.status;
}

static struct payment_row payment_now(uint8_t n)
{
    return read_order(n).payment_row;
}

/* The provider's session for the newest attempt of the order. */
static struct stripe_session session_of(uint8_t n, enum stripe_session_status status, bool paid)
{
    struct order_call c = read_order(n);
    struct stripe_session s = {.status = status, .paid = paid, .amount = c.row.amount};
    (void)snprintf(s.ref, sizeof s.ref, "cs_%u_%d", n, (int)c.payment_row.attempt);
    payment_id_format(c.payment_row.id, s.client_reference);
    if (status == STRIPE_OPEN)
        (void)snprintf(s.url, sizeof s.url, "https://pay.example/%s", s.ref);
    if (paid)
        (void)snprintf(s.intent_ref, sizeof s.intent_ref, "pi_%u", n);
    return s;
}

static enum err over(uint8_t n)
{
    struct order_call c = {.payment = payment_now(n).id};
    return run(over_, &c);
}

static enum err says(uint8_t n, enum stripe_session_status status, bool paid)
{
    struct order_call c = {.session = session_of(n, status, paid)};
    return run(says_, &c);
}

static enum err paid(uint8_t n)
{
    return says(n, STRIPE_COMPLETE, true);
}

static enum err expired(uint8_t n)
{
    return says(n, STRIPE_EXPIRED, false);
}

static enum err cancel(uint8_t n, int64_t account_no)
{
    struct order_call c = {.order = ORDER_ID(n), .account_no = account_no};
    return run(cancel_, &c);
}

static enum err session_failed(uint8_t n, bool again, int64_t next_ms)
{
    struct order_call c = {.payment = payment_now(n).id, .again = again, .next_ms = next_ms};
    return run(failed_, &c);
}

static enum err refunded(uint8_t n, bool done, bool failed, int64_t amount_minor)
{
    struct order_call c = read_order(n);

    assert_int_equal(c.count, 1);
    c.refund = c.refunds[0].id;
    c.answer = (struct stripe_refund){
        .done = done, .failed = failed, .amount = {amount_minor, c.row.amount.currency}};
    (void)snprintf(c.answer.ref, sizeof c.answer.ref, "re_%u", n);
    return run(refund_says_, &c);
}

/* Seats first and first + 1 of event 1, held and ordered by the account. */
static void ordered(uint8_t n, int64_t account_no, uint32_t first)
{
    struct hold hold;
    assert_int_equal(place(pair(n, account_no, first), &hold), OK);
    assert_int_equal(order(n, n, account_no), OK);
}

/* --- looking -------------------------------------------------------------------------------------------------------- */

static int64_t tickets(uint8_t n)
{
    char sql[120];
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM ticket WHERE order_id = x'b1%028d%02x' AND status = "
                   "'valid'",
                   0, n);
    return number(sql);
}

static int64_t places_in(enum place_state state)
{
    char sql[80];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM place WHERE event_no = 1 AND state = %d",
                   (int)state);
    return number(sql);
}

static int64_t booked(const char *account)
{
    char sql[100];
    (void)snprintf(sql, sizeof sql,
                   "SELECT coalesce(sum(amount_minor), 0) FROM posting WHERE ledger_account = '%s'",
                   account);
    return number(sql);
}

static size_t findings;
static char last_finding[200];
static void found(void *context, const struct ledger_finding *f)
{
    (void)context;
    findings++;
    (void)snprintf(last_finding, sizeof last_finding, "%s", f->sentence);
    print_message("# %s: %s\n", f->subject, f->sentence);
}

static enum err audit_(struct store_tx *tx, void *context)
{
    const struct ledger_audit_config config = {.found = found};
    struct ledger_audit_result result;
    (void)context;
    TRY(ledger_audit(tx, LEDGER, &config, &result));
    assert_int_equal(result.findings, findings);
    return OK;
}

/* Every row is what its newest entry says, and the rules among rows hold (checks.def): M1, O2, O3, O4. */
static size_t audit(void)
{
    findings = 0;
    assert_int_equal(store_testing_read(&fix.t, audit_, NULL), OK);
    assert_int_equal(number("SELECT count(*) FROM (SELECT 1 FROM posting GROUP BY booking_id "
                            "HAVING sum(amount_minor) <> 0)"),
                     0);
    return findings;
}

/* It succeeds, and nothing changed: no entry, no order's version, no ticket, no posting, no job. */
#define NOTHING(expression)                                                                        \
    do {                                                                                           \
        const char *sum_ = "SELECT (SELECT count(*) FROM entry) + 1000 * (SELECT "                 \
                           "coalesce(sum(version), 0) FROM sale_order) + 1000000 * (SELECT "       \
                           "count(*) FROM posting) + 100000000 * (SELECT count(*) FROM job)";      \
        int64_t before_ = number(sum_);                                                            \
        assert_int_equal((expression), OK);                                                        \
        assert_int_equal(number(sum_), before_);                                                   \
    } while (0)

/* --- the world ------------------------------------------------------------------------------------------------------ */

static enum err make_person(struct store_tx *tx, void *context)
{
    return keyring_person_create(tx, fix.keyring, context);
}

static enum err tell_of_account(struct store_tx *tx, void *context)
{
    const int64_t *account_no = context;
    struct order_buyer buyer;
    struct entry_draft d;

    TRY(store_order_buyer(tx, *account_no, &buyer));
    entry_begin(&d, tx, ENTRY_account_created, 0, 0);
    entry_person(&d, FIELD_account, buyer.person_no, SPAN_ARRAY(buyer.account.b));
    entry_names(&d, AUDIT_account, buyer.account.b);
    return ledger_append(tx, LEDGER, &d, NULL);
}

static void make_account(int64_t account_no)
{
    int64_t person_no;
    char sql[250];

    assert_int_equal(store_testing_run(&fix.t, make_person, &person_no), OK);
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO account (account_no, id, person_no, status, created_ms) VALUES "
                   "(%d, x'0100000000000000000000000000000%d', %d, 'active', 1)",
                   (int)account_no, (int)account_no, (int)person_no);
    store_testing_sql(&fix.t, sql);
    assert_int_equal(store_testing_run(&fix.t, tell_of_account, &account_no), OK);
}

static int open_shop(void **state)
{
    static const struct category_wish free_prices[] = {
        {0, SPAN_LIT("First"), SPAN_LIT("#102030"), 0, 0},
        {1, SPAN_LIT("Second"), SPAN_LIT("#405060"), 0, 0}};
    struct event_request req = fix_event_request(1, 1);

    (void)fix_open(state);
    make_account(1);
    make_account(2);
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    assert_int_equal(fix_status(FIX_ORGANISER, req.id, EVENT_ON_SALE), OK);
    req = fix_event_request(2, 1);
    req.categories = free_prices;
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    assert_int_equal(fix_status(FIX_ORGANISER, req.id, EVENT_ON_SALE), OK);
    assert_int_equal(seat_maps_new(fix.t.store, &maps), OK);
    return 0;
}

static void a_place_stays_sold_while_its_ticket_is_live(void **state)
{
    struct order_call c = {.order = ORDER_ID(1)};
    (void)state;

    ordered(1, 1, 0);
    assert_int_equal(paid(1), OK);
    REFUSED(run(return_first_place_, &c), ERR_CONFLICT, "place_not_sold");
    assert_int_equal(places_in(PLACE_SOLD), 2);
    store_testing_sql(&fix.t,
                      "UPDATE ticket SET status = 'refunded', past_generation = generation");
    assert_int_equal(run(return_first_place_, &c), OK);
    assert_int_equal(places_in(PLACE_SOLD), 1);
}

/* --- placing -------------------------------------------------------------------------------------------------------- */

static void a_hold_becomes_an_order_with_an_attempt(void **state)
{
    (void)state;

    ordered(1, 1, 0);
    struct order_call c = read_order(1);
    assert_int_equal(c.row.status, ORDER_AWAITING);
    assert_int_equal(c.row.amount.amount_minor, PAIR_MINOR);
    assert_int_equal(c.row.pay_until_ms, STORE_TESTING_NOW_MS + ORDER_PAY_MS);
    assert_int_equal(c.payment_row.state, PAYMENT_OPEN);
    assert_int_equal(c.payment_row.attempt, 1);
    assert_int_equal(c.payment_row.next_ms, STORE_TESTING_NOW_MS + ORDER_ASK_MS);
    assert_int_equal(c.payment_row.amount.amount_minor, PAIR_MINOR);
    assert_int_equal(places_in(PLACE_ORDERED), 2);
    assert_int_equal(status_of(1, 1), HOLD_ORDERED);
    assert_int_equal(tickets(1), 0);
    assert_int_equal(audit(), 0);
}

static void the_same_order_again_is_the_same_order(void **state)
{
    struct hold hold;
    (void)state;

    ordered(1, 1, 0);
    NOTHING(order(1, 1, 1));
    at(2 * HOUR_MS);
    NOTHING(order(1, 1, 1));
    at(0);
    REFUSED(order(1, 1, 2), ERR_CONFLICT, "id_reused");
    assert_int_equal(place(pair(2, 1, 4), &hold), OK);
    REFUSED(order(1, 2, 1), ERR_CONFLICT, "id_reused");
    REFUSED(order(2, 1, 1), ERR_CONFLICT, "hold_ordered");
    assert_int_equal(status_of(2, 1), HOLD_LIVE);
}

static void nobody_keeps_more_than_five_orders_unpaid(void **state)
{
    struct hold hold;
    (void)state;

    for (uint8_t n = 1; n <= ORDER_WAITING_MAX; n++)
        ordered(n, 1, 2u * (n - 1u));
    assert_int_equal(place(pair(6, 1, 10), &hold), OK);
    REFUSED(order(6, 6, 1), ERR_LIMIT, "too_many_orders");
    assert_int_equal(status_of(6, 1), HOLD_LIVE);
    ordered(7, 2, 12); /* somebody else may */
    assert_int_equal(paid(1), OK);
    assert_int_equal(order(6, 6, 1), OK); /* paid ones do not count */
    assert_int_equal(audit(), 0);
}

static void a_hold_that_is_not_the_buyers_or_over_makes_no_order(void **state)
{
    struct hold hold;
    (void)state;

    assert_int_equal(place(pair(1, 1, 0), &hold), OK);
    assert_int_equal(place(pair(2, 1, 2), &hold), OK);
    REFUSED(order(1, 9, 1), ERR_NOT_FOUND, "no_hold");
    REFUSED(order(1, 1, 2), ERR_NOT_FOUND, "no_hold");
    assert_int_equal(release(2, 1), OK);
    REFUSED(order(1, 2, 1), ERR_CONFLICT, "hold_ended");
    at(HOLD_MS);
    REFUSED(order(1, 1, 1), ERR_EXPIRED, "hold_expired");
    at(HOLD_MS - 1);
    /* The refusals moved the clock's floor: time never goes back. */
    REFUSED(order(1, 1, 1), ERR_EXPIRED, "hold_expired");
    assert_int_equal(number("SELECT count(*) FROM sale_order"), 0);
}

static void closing_the_event_ends_ordering(void **state)
{
    struct hold hold;
    (void)state;

    assert_int_equal(place(pair(1, 1, 0), &hold), OK);
    assert_int_equal(set_status(EVENT_CLOSED), OK);
    REFUSED(order(1, 1, 1), ERR_CONFLICT, "not_on_sale");
    assert_int_equal(status_of(1, 1), HOLD_LIVE);
    assert_int_equal(places_in(PLACE_ORDERED), 0);
}

static void a_free_order_is_paid_at_once(void **state)
{
    struct hold_request req = pair(1, 1, 0);
    struct hold hold;
    (void)state;

    req.event = EVENT_ID(2);
    assert_int_equal(place(req, &hold), OK);
    assert_int_equal(order(1, 1, 1), OK);
    assert_int_equal(status_now(1), ORDER_PAID);
    assert_int_equal(tickets(1), 2);
    assert_int_equal(number("SELECT count(*) FROM payment"), 0);
    assert_int_equal(number("SELECT count(*) FROM posting"), 0);
    assert_int_equal(number("SELECT count(*) FROM job WHERE kind = 'mail.order_paid'"), 1);
    assert_int_equal(number("SELECT count(*) FROM entry WHERE kind = 21"), 1);
    assert_int_equal(audit(), 0);
    NOTHING(order(1, 1, 1));
    REFUSED(cancel(1, 1), ERR_CONFLICT, "order_state");
}

/* --- paying --------------------------------------------------------------------------------------------------------- */

static void money_makes_tickets_in_one_transaction(void **state)
{
    (void)state;

    ordered(1, 1, 0);
    assert_int_equal(says(1, STRIPE_COMPLETE, true), OK);
    struct order_call c = read_order(1);
    assert_int_equal(c.row.status, ORDER_PAID);
    assert_int_equal(c.row.ended_ms, STORE_TESTING_NOW_MS);
    assert_int_equal(c.payment_row.state, PAYMENT_CAPTURED);
    assert_int_equal(c.payment_row.captured_minor, PAIR_MINOR);
    assert_string_equal(c.payment_row.intent_ref, "pi_1");
    assert_int_equal(tickets(1), 2);
    assert_int_equal(places_in(PLACE_SOLD), 2);
    assert_int_equal(places_in(PLACE_ORDERED), 0);
    assert_int_equal(booked("provider"), PAIR_MINOR);
    assert_int_equal(booked("sales"), -8000);
    assert_int_equal(booked("fees"), -500);
    assert_int_equal(number("SELECT count(*) FROM job WHERE kind = 'mail.order_paid'"), 1);
    assert_int_equal(audit(), 0);
}

static void an_open_session_does_not_put_off_the_end_of_its_order(void **state)
{
    (void)state;

    ordered(1, 1, 0);
    assert_int_equal(says(1, STRIPE_OPEN, false), OK);
    assert_int_equal(payment_now(1).next_ms, STORE_TESTING_NOW_MS + ORDER_ASK_MS);
    assert_int_equal(cancel(1, 1), OK);
    assert_int_equal(payment_now(1).next_ms, STORE_TESTING_NOW_MS);
    assert_int_equal(says(1, STRIPE_OPEN, false), OK); /* asked before, answered after */
    assert_int_equal(payment_now(1).next_ms, STORE_TESTING_NOW_MS + ORDER_END_MS);
}

static void the_same_news_again_does_nothing(void **state)
{
    (void)state;

    ordered(1, 1, 0);
    assert_int_equal(says(1, STRIPE_OPEN, false), OK);
    assert_int_equal(says(1, STRIPE_COMPLETE, true), OK);
    NOTHING(says(1, STRIPE_COMPLETE, true));
    NOTHING(says(1, STRIPE_EXPIRED, false));
    NOTHING(says(1, STRIPE_OPEN, false));
    NOTHING(session_failed(1, false, 0));
    NOTHING(session_failed(1, true, 0));
    REFUSED(cancel(1, 1), ERR_CONFLICT, "order_state");
    assert_int_equal(tickets(1), 2);
    assert_int_equal(audit(), 0);
}

static void another_amount_settles_nothing(void **state)
{
    struct order_call c;
    (void)state;

    ordered(1, 1, 0);
    c = (struct order_call){.session = session_of(1, STRIPE_COMPLETE, true)};
    c.session.amount.amount_minor--;
    REFUSED(run(says_, &c), ERR_CONFLICT, "amount_mismatch");
    c.session.amount = (struct money){PAIR_MINOR, {"USD"}};
    REFUSED(run(says_, &c), ERR_CONFLICT, "amount_mismatch");
    assert_int_equal(status_now(1), ORDER_AWAITING);
    assert_int_equal(payment_now(1).state, PAYMENT_OPEN);
    /* The right one settles. */
    assert_int_equal(says(1, STRIPE_COMPLETE, true), OK);
    assert_int_equal(status_now(1), ORDER_PAID);
    assert_int_equal(audit(), 0);
}

static void a_session_nobody_knows_is_not_ours(void **state)
{
    struct order_call c;
    (void)state;

    ordered(1, 1, 0);
    c = (struct order_call){.session = session_of(1, STRIPE_COMPLETE, true)};
    payment_id_format((struct payment_id){{9}}, c.session.client_reference);
    REFUSED(run(says_, &c), ERR_NOT_FOUND, "no_payment");
    c.session.client_reference[0] = '\0';
    REFUSED(run(says_, &c), ERR_NOT_FOUND, "no_payment");
    order_id_format(ORDER_ID(1), c.session.client_reference);
    REFUSED(run(says_, &c), ERR_NOT_FOUND, "no_payment");
    assert_int_equal(status_now(1), ORDER_AWAITING);
    assert_int_equal(paid(1), OK);
    assert_int_equal(tickets(1), 2);
    assert_string_equal(payment_now(1).session_ref, "cs_1_1");
}

static void two_sessions_do_not_share_a_payment(void **state)
{
    struct order_call c;
    (void)state;

    ordered(1, 1, 0);
    ordered(2, 1, 4);
    assert_int_equal(paid(1), OK);
    c = (struct order_call){.session = session_of(2, STRIPE_COMPLETE, true)};
    (void)snprintf(c.session.intent_ref, sizeof c.session.intent_ref, "pi_1");
    REFUSED(run(says_, &c), ERR_CONFLICT, "constraint");
    assert_int_equal(tickets(2), 0);
    assert_int_equal(audit(), 0);
}

/* --- ends without money --------------------------------------------------------------------------------------------- */

static void an_expired_session_frees_the_seats(void **state)
{
    struct hold hold;
    (void)state;

    ordered(1, 1, 0);
    at(ORDER_PAY_MS + 1);
    assert_int_equal(place(pair(2, 2, 0), &hold), ERR_CONFLICT); /* not by time alone */
    assert_int_equal(says(1, STRIPE_EXPIRED, false), OK);
    assert_int_equal(status_now(1), ORDER_EXPIRED);
    assert_int_equal(payment_now(1).state, PAYMENT_EXPIRED);
    assert_int_equal(places_in(PLACE_ORDERED), 0);
    assert_int_equal(audit(), 0);
    NOTHING(says(1, STRIPE_EXPIRED, false));
    NOTHING(expired(1));
    assert_int_equal(place(pair(2, 2, 0), &hold), OK);
    NOTHING(expired(1)); /* what another holds now stays his */
    assert_int_equal(places_in(PLACE_HELD), 2);
}

static void a_cancelled_order_waits_for_the_provider(void **state)
{
    (void)state;

    ordered(1, 1, 0);
    REFUSED(cancel(1, 2), ERR_NOT_FOUND, "no_order");
    REFUSED(cancel(9, 1), ERR_NOT_FOUND, "no_order");
    at(5000);
    assert_int_equal(cancel(1, 1), OK);
    assert_int_equal(status_now(1), ORDER_AWAITING);
    assert_int_equal(payment_now(1).next_ms, STORE_TESTING_NOW_MS + 5000);
    assert_int_equal(places_in(PLACE_ORDERED), 2);
    assert_int_equal(audit(), 0);
    NOTHING(cancel(1, 1));
    assert_int_equal(expired(1), OK);
    assert_int_equal(status_now(1), ORDER_CANCELLED);
    assert_int_equal(places_in(PLACE_ORDERED), 0);
    assert_int_equal(audit(), 0);
    REFUSED(cancel(1, 1), ERR_CONFLICT, "order_state");
}

static void who_pays_before_the_cancellation_arrives_has_tickets(void **state)
{
    (void)state;

    ordered(1, 1, 0);
    assert_int_equal(cancel(1, 1), OK);
    assert_int_equal(paid(1), OK);
    assert_int_equal(status_now(1), ORDER_PAID);
    NOTHING(expired(1));
    assert_int_equal(tickets(1), 2);
    assert_int_equal(audit(), 0);
}

/* --- attempts that came to nothing ---------------------------------------------------------------------------------- */

static void a_lost_answer_makes_a_new_attempt_under_a_new_key(void **state)
{
    struct order_call late;
    (void)state;

    ordered(1, 1, 0);
    struct payment_row first = payment_now(1);
    late = (struct order_call){.session = session_of(1, STRIPE_EXPIRED, false)};
    assert_int_equal(session_failed(1, true, STORE_TESTING_NOW_MS + 4000), OK);
    struct payment_row second = payment_now(1);
    assert_int_equal(second.attempt, 2);
    assert_int_equal(second.state, PAYMENT_OPEN);
    assert_int_equal(second.next_ms, STORE_TESTING_NOW_MS + 4000);
    assert_false(payment_id_eq(first.id, second.id));
    assert_int_equal(number("SELECT count(*) FROM payment WHERE state = 'failed'"), 1);
    assert_int_equal(status_now(1), ORDER_AWAITING);
    assert_int_equal(places_in(PLACE_ORDERED), 2);
    assert_int_equal(audit(), 0);
    NOTHING(run(says_, &late)); /* the session that was made after all, and that nobody saw */
    assert_int_equal(paid(1), OK);
    assert_int_equal(tickets(1), 2);
    assert_int_equal(audit(), 0);
}

/* It cannot be: nobody saw its address. When it is all the same, a person must look. */
static void money_for_an_attempt_that_was_given_up_changes_nothing(void **state)
{
    struct order_call first;
    (void)state;

    ordered(1, 1, 0);
    first = (struct order_call){.session = session_of(1, STRIPE_COMPLETE, true)};
    assert_int_equal(session_failed(1, true, 0), OK);
    REFUSED(run(says_, &first), ERR_CONFLICT, "payment_given_up");
    assert_true(order_wants_person(ERR_CONFLICT));
    assert_int_equal(status_now(1), ORDER_AWAITING);
    assert_int_equal(tickets(1), 0);
    assert_int_equal(paid(1), OK);
    assert_int_equal(audit(), 0);
}

static void a_session_past_its_time_ends_the_order_and_its_money_is_late(void **state)
{
    (void)state;

    ordered(1, 1, 0);
    ordered(2, 1, 4);
    at(ORDER_SESSION_MS);
    assert_int_equal(over(1), OK);
    assert_int_equal(status_now(1), ORDER_EXPIRED);
    assert_int_equal(payment_now(1).state, PAYMENT_EXPIRED);
    assert_int_equal(places_in(PLACE_ORDERED), 2);
    NOTHING(over(1));
    assert_int_equal(paid(1), OK);
    assert_int_equal(status_now(1), ORDER_PAID);
    assert_int_equal(paid(2), OK);
    NOTHING(over(2));
    assert_int_equal(tickets(2), 2);
    assert_int_equal(audit(), 0);
}

static void a_refused_attempt_ends_the_order(void **state)
{
    (void)state;

    ordered(1, 1, 0);
    assert_int_equal(session_failed(1, false, 0), OK);
    assert_int_equal(status_now(1), ORDER_EXPIRED);
    assert_int_equal(payment_now(1).state, PAYMENT_FAILED);
    assert_int_equal(places_in(PLACE_ORDERED), 0);
    assert_int_equal(audit(), 0);
    NOTHING(session_failed(1, true, 0));
}

static void no_new_attempt_for_who_cancelled_or_ran_out_of_time(void **state)
{
    (void)state;

    ordered(1, 1, 0);
    ordered(2, 1, 4);
    assert_int_equal(cancel(1, 1), OK);
    assert_int_equal(session_failed(1, true, 0), OK);
    assert_int_equal(status_now(1), ORDER_CANCELLED);
    at(ORDER_PAY_MS);
    assert_int_equal(session_failed(2, true, 0), OK);
    assert_int_equal(status_now(2), ORDER_EXPIRED);
    assert_int_equal(places_in(PLACE_ORDERED), 0);
    assert_int_equal(audit(), 0);
}

/* --- late money ----------------------------------------------------------------------------------------------------- */

static void late_money_takes_seats_that_are_free(void **state)
{
    (void)state;

    ordered(1, 1, 0);
    assert_int_equal(expired(1), OK);
    at(HOUR_MS);
    assert_int_equal(says(1, STRIPE_COMPLETE, true), OK);
    assert_int_equal(status_now(1), ORDER_PAID);
    assert_int_equal(tickets(1), 2);
    assert_int_equal(places_in(PLACE_SOLD), 2);
    assert_int_equal(number("SELECT count(*) FROM refund"), 0);
    assert_int_equal(audit(), 0);
    NOTHING(says(1, STRIPE_COMPLETE, true));
}

/* One of the two seats is enough: all or none. */
static void late_and_taken(void)
{
    struct hold hold;

    ordered(1, 1, 0);
    assert_int_equal(expired(1), OK);
    assert_int_equal(place(pair(2, 2, 1), &hold), OK);
    assert_int_equal(says(1, STRIPE_COMPLETE, true), OK);
}

static void late_money_whose_seats_are_gone_goes_back(void **state)
{
    (void)state;

    late_and_taken();
    struct order_call c = read_order(1);
    assert_int_equal(c.row.status, ORDER_EXPIRED);
    assert_int_equal(c.payment_row.state, PAYMENT_CAPTURED);
    assert_int_equal(c.payment_row.refunded_minor, PAIR_MINOR);
    assert_int_equal(c.count, 1);
    assert_int_equal(c.refunds[0].state, REFUND_ASKED);
    assert_int_equal(c.refunds[0].amount.amount_minor, PAIR_MINOR);
    assert_string_equal(c.refunds[0].intent_ref, "pi_1");
    assert_int_equal(tickets(1), 0);
    assert_int_equal(places_in(PLACE_HELD), 2);
    assert_int_equal(places_in(PLACE_ORDERED) + places_in(PLACE_SOLD), 0);
    assert_int_equal(booked("late_money"), -PAIR_MINOR);
    assert_int_equal(number("SELECT count(*) FROM job WHERE kind = 'mail.late_money'"), 1);
    assert_int_equal(audit(), 0);
    NOTHING(says(1, STRIPE_COMPLETE, true));
    NOTHING(paid(1));
    /* The other buyer goes on as if nothing had been. */
    assert_int_equal(order(2, 2, 2), OK);
    assert_int_equal(paid(2), OK);
    assert_int_equal(tickets(2), 2);
    assert_int_equal(audit(), 0);
}

static void a_refund_is_done_once(void **state)
{
    (void)state;

    late_and_taken();
    at(1000);
    assert_int_equal(refunded(1, false, false, PAIR_MINOR), OK);
    assert_int_equal(number("SELECT next_ms FROM refund"),
                     STORE_TESTING_NOW_MS + 1000 + ORDER_ASK_MS);
    assert_int_equal(refunded(1, true, false, PAIR_MINOR), OK);
    struct order_call c = read_order(1);
    assert_int_equal(c.refunds[0].state, REFUND_DONE);
    assert_string_equal(c.refunds[0].refund_ref, "re_1");
    assert_int_equal(booked("late_money"), 0);
    assert_int_equal(booked("provider"), 0);
    assert_int_equal(audit(), 0);
    NOTHING(refunded(1, true, false, PAIR_MINOR));
    NOTHING(refunded(1, false, true, PAIR_MINOR));
    NOTHING(paid(1));
}

static void a_refund_of_another_amount_is_not_done(void **state)
{
    (void)state;

    late_and_taken();
    REFUSED(refunded(1, true, false, PAIR_MINOR - 1), ERR_CONFLICT, "amount_mismatch");
    assert_int_equal(read_order(1).refunds[0].state, REFUND_ASKED);
    assert_int_equal(booked("late_money"), -PAIR_MINOR);
}

/* Nobody has the money back: the audit says so until somebody has. */
static void a_failed_refund_leaves_the_money_visible(void **state)
{
    (void)state;

    late_and_taken();
    assert_int_equal(refunded(1, false, true, 0), OK);
    struct order_call c = read_order(1);
    assert_int_equal(c.refunds[0].state, REFUND_FAILED);
    assert_int_equal(c.payment_row.refunded_minor, 0);
    assert_int_equal(booked("late_money"), -PAIR_MINOR);
    assert_int_equal(audit(), 1);
    assert_non_null(strstr(last_finding, "neither tickets were issued nor a refund asked"));
    NOTHING(refunded(1, false, true, 0));
    NOTHING(refunded(1, true, false, PAIR_MINOR));
}

static void a_refund_nobody_asked_for_is_unknown(void **state)
{
    struct order_call c = {.refund = {{9}}, .answer = {.done = true}};
    (void)state;

    REFUSED(run(refund_says_, &c), ERR_NOT_FOUND, "no_refund");
}

/* --- lists -------------------------------------------------------------------------------------------------------- */

struct listing {
    bool by_event, tickets;
    struct store_page page;
    size_t given;
    uint8_t seen[32][ID_BYTES];
};

static enum err list_(struct store_tx *tx, void *context)
{
    struct listing *l = context;
    struct ticket_row tickets[8];
    struct order_row rows[8];
    size_t count;

    if (l->tickets)
        TRY(store_tickets_of_account(tx, 1, &l->page, tickets, &count));
    else if (l->by_event)
        TRY(store_orders_of_event(tx, FIX_ORGANISER, 1, &l->page, rows, &count));
    else
        TRY(store_orders_of_account(tx, 1, &l->page, rows, &count));
    for (size_t i = 0; i < count; i++) {
        int64_t at_ms = l->tickets ? tickets[i].issued_ms : rows[i].created_ms;
        assert_true(l->page.after_key == 0 || at_ms <= l->page.after_key);
        l->page.after_no = l->page.after_key == at_ms ? l->page.after_no + 1 : 1;
        l->page.after_key = at_ms;
        memcpy(l->seen[l->given++], l->tickets ? tickets[i].id.b : rows[i].id.b, ID_BYTES);
    }
    return OK;
}

static void all_are_seen_once(bool by_event, bool of_tickets, size_t total, size_t limit)
{
    struct listing l = {.by_event = by_event, .tickets = of_tickets, .page.limit = limit};
    size_t before;

    do {
        before = l.given;
        assert_int_equal(store_testing_read(&fix.t, list_, &l), OK);
    } while (l.given > before);
    assert_int_equal(l.given, total);
    for (size_t i = 0; i < total; i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(l.seen[i], l.seen[k], ID_BYTES);
}

/* A batch makes many orders in one millisecond, and an order many tickets: no page may lose one of them. */
static void lists_lose_nothing_between_pages(void **state)
{
    (void)state;

    for (uint8_t n = 1; n <= 7; n++) {
        at(n > 5 ? 1000 : 0);
        ordered(n, 1, (uint32_t)2 * n);
        assert_int_equal(paid(n), OK);
    }
    for (size_t limit = 1; limit <= 8; limit++) {
        all_are_seen_once(false, false, 7, limit);
        all_are_seen_once(true, false, 7, limit);
        all_are_seen_once(false, true, 14, limit);
    }
}

/* --- any order of events -------------------------------------------------------------------------------------------- */

/* One step of what may happen to order n, in whatever state it is. Only what is documented may come of it. */
static void step(uint8_t n, uint64_t what)
{
    enum err e = OK;

    switch (what) {
    case 0:
        e = over(n);
        break;
    case 1:
        e = paid(n);
        break;
    case 2:
        e = expired(n);
        break;
    case 3:
        e = cancel(n, 1);
        break;
    case 4:
        e = session_failed(n, true, STORE_TESTING_NOW_MS);
        break;
    case 5:
        e = session_failed(n, false, 0);
        break;
    case 6:
        if (read_order(n).count)
            e = refunded(n, true, false, read_order(n).row.amount.amount_minor);
        break;
    default:
        e = says(n, STRIPE_OPEN, false);
    }
    if (e != OK && e != ERR_CONFLICT && e != ERR_NOT_FOUND)
        fail_msg("order %u, step %d: %s", n, (int)what, err_last()->slug);
}

/* All fight for six seats, and late news of old orders comes at any time: money and tickets agree after every step. */
static void money_and_tickets_agree_after_any_events(void **state)
{
    enum { ROUNDS = 60, STEPS = 9 };
    const struct rng *rng = &fix.t.rng.rng;
    uint8_t orders[ROUNDS], count = 0;
    struct hold hold;
    (void)state;

    for (uint8_t n = 1; n <= ROUNDS; n++) {
        if (place(pair(n, 1, 2 * (uint32_t)rng_below(rng, 3)), &hold) == OK) {
            assert_int_equal(order(n, n, 1), OK);
            orders[count++] = n;
        }
        for (int i = 0; i < STEPS; i++) {
            uint8_t m = orders[rng_below(rng, count)];
            step(m, rng_below(rng, 8));
            struct order_call c = read_order(m);
            bool is_paid = c.row.status == ORDER_PAID;
            assert_int_equal(tickets(m), is_paid ? 2 : 0);
            assert_int_equal(c.payment_row.captured_minor - c.payment_row.refunded_minor,
                             is_paid ? PAIR_MINOR : 0);
        }
        assert_int_equal(audit(), 0);
    }
    assert_int_equal(places_in(PLACE_SOLD), 2 * number("SELECT count(*) FROM sale_order WHERE "
                                                       "status = 'paid'"));
    assert_true(number("SELECT count(*) FROM refund") > 0);
}

int main(void)
{
#define SHOP_TEST(name) cmocka_unit_test_setup_teardown(name, open_shop, close_sale)
    const struct CMUnitTest tests[] = {
        SHOP_TEST(a_place_stays_sold_while_its_ticket_is_live),
        SHOP_TEST(a_hold_becomes_an_order_with_an_attempt),
        SHOP_TEST(the_same_order_again_is_the_same_order),
        SHOP_TEST(nobody_keeps_more_than_five_orders_unpaid),
        SHOP_TEST(a_hold_that_is_not_the_buyers_or_over_makes_no_order),
        SHOP_TEST(closing_the_event_ends_ordering),
        SHOP_TEST(a_free_order_is_paid_at_once),
        SHOP_TEST(money_makes_tickets_in_one_transaction),
        SHOP_TEST(an_open_session_does_not_put_off_the_end_of_its_order),
        SHOP_TEST(the_same_news_again_does_nothing),
        SHOP_TEST(another_amount_settles_nothing),
        SHOP_TEST(a_session_nobody_knows_is_not_ours),
        SHOP_TEST(two_sessions_do_not_share_a_payment),
        SHOP_TEST(an_expired_session_frees_the_seats),
        SHOP_TEST(a_cancelled_order_waits_for_the_provider),
        SHOP_TEST(who_pays_before_the_cancellation_arrives_has_tickets),
        SHOP_TEST(a_lost_answer_makes_a_new_attempt_under_a_new_key),
        SHOP_TEST(money_for_an_attempt_that_was_given_up_changes_nothing),
        SHOP_TEST(a_session_past_its_time_ends_the_order_and_its_money_is_late),
        SHOP_TEST(a_refused_attempt_ends_the_order),
        SHOP_TEST(no_new_attempt_for_who_cancelled_or_ran_out_of_time),
        SHOP_TEST(late_money_takes_seats_that_are_free),
        SHOP_TEST(late_money_whose_seats_are_gone_goes_back),
        SHOP_TEST(a_refund_is_done_once),
        SHOP_TEST(a_refund_of_another_amount_is_not_done),
        SHOP_TEST(a_failed_refund_leaves_the_money_visible),
        SHOP_TEST(a_refund_nobody_asked_for_is_unknown),
        SHOP_TEST(lists_lose_nothing_between_pages),
        SHOP_TEST(money_and_tickets_agree_after_any_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
