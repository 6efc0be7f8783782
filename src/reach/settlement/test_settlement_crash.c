/* SPDX-License-Identifier: Apache-2.0 */
/* A payment whose process, courier or clock fails between two steps, and what the next start finds. */
#include "reach/settlement/test_settlement_rig.h"

/* --- The process dies between two steps ------------------------------------------------------------------------------ */

static void crash_before_the_question(void **state)
{
    (void)state;
    stop_settlement();
    struct purchase p = buy(0);
    restart_settlement();
    assert_false(has_page(&p));
    assert_true(settlement_want_page(w.settlement, p.id));
    EVENTUALLY(has_page(&p));
    assert_int_equal(p.payment.attempt, 1); /* nobody knows that nothing was sent: the same key */
}

static void crash_while_the_question_is_out(void **state)
{
    (void)state;
    fault("{\"kind\":\"slow\",\"path\":\"/v1/checkout\",\"delay_ms\":200}");
    struct purchase p = buy(0);

    restart_settlement(); /* the answer, if there was one, is dropped */
    assert_true(settlement_want_page(w.settlement, p.id));
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
    assert_true(settlement_want_page(w.settlement, p.id));
    EVENTUALLY(has_page(&p));
    assert_string_equal(p.url, before.url);
    assert_int_equal(number("SELECT count(*) FROM payment"), 1);
    assert_int_equal(pay_with(before.url, "4242424242424242"), 303);
    assert_true(settlement_ask_now(w.settlement, p.id));
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
    assert_true(settlement_want_page(w.settlement, p.id));
    EVENTUALLY(has_page(&p));
}

/* After a crash in a rush everybody looks for a page at once, and each waits then without asking again. */
static void whoever_wants_a_page_in_a_crowd_is_not_forgotten(void **state)
{
    (void)state;
    stop_settlement();
    struct purchase last = buy(2); /* offered to nobody */
    start_settlement_with(1);
    fault("{\"kind\":\"slow\",\"path\":\"/v1/checkout\",\"delay_ms\":300}");
    (void)buy(0); /* the one call; nobody else is asked for until it ends */
    for (int i = 0; i < 1000; i++)
        assert_true(
            settlement_want_page(w.settlement, order_id_make(clock_system(), rng_system())));
    assert_true(settlement_want_page(w.settlement, last.id));
    EVENTUALLY(has_page(&last));
}

static void whoever_finds_no_room_is_told_so(void **state)
{
    struct order_id first = order_id_make(clock_system(), rng_system());
    int taken = 0;

    (void)state;
    stop_settlement();
    start_settlement_with(1);
    fault("{\"kind\":\"slow\",\"path\":\"/v1/checkout\",\"delay_ms\":300}");
    struct purchase p = buy(0);
    assert_true(settlement_want_page(w.settlement, first));
    while (settlement_want_page(w.settlement, order_id_make(clock_system(), rng_system())))
        taken++;
    assert_in_range(taken, 1000, 100 * 1000);
    assert_true(settlement_want_page(w.settlement, first)); /* it has its place */
    EVENTUALLY(has_page(&p));
    EVENTUALLY(settlement_want_page(w.settlement, order_id_make(clock_system(), rng_system())));
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
    assert_true(settlement_want_page(w.settlement, p.id));
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(crash_before_the_question),
        TEST(crash_while_the_question_is_out),
        TEST(crash_between_charge_and_commit),
        TEST(a_session_made_before_the_start_is_given_again),
        TEST(a_session_made_before_the_start_is_expired_by_the_provider),
        TEST(a_session_that_may_have_been_seen_is_not_given_up),
        TEST(a_session_is_given_again_whatever_changed_meanwhile),
        TEST(money_of_before_a_long_stop_is_found),
        TEST(a_session_that_was_never_made_frees_the_places_by_the_providers_word),
        TEST(a_page_is_found_at_once_though_it_was_looked_at_before_the_start),
        TEST(whoever_wants_a_page_in_a_crowd_is_not_forgotten),
        TEST(whoever_finds_no_room_is_told_so),
        TEST(a_failure_that_the_provider_keeps_ends_the_order_past_its_time),
        TEST(words_that_are_not_the_first_ones_are_a_persons_to_look_at),
        TEST(a_session_nobody_answers_about_is_over_after_a_day_with_an_alert),
        TEST(a_clock_set_back_makes_no_second_attempt),
        TEST(a_dead_courier_loses_nothing),
    };

    return is_tester(argc, argv) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
