/* SPDX-License-Identifier: Apache-2.0 */
/* Every way that a payment can go; what happens when the process dies on the way is in test_settlement_crash.c. */
#include "reach/settlement/test_settlement_rig.h"

/* --- The ways of a payment ------------------------------------------------------------------------------------------- */

static void paid(void **state)
{
    (void)state;
    struct purchase p = buy_until_page(0);

    assert_non_null(strstr(p.url, "/pay/cs_test_"));
    assert_int_equal(pay_with(p.url, "4242424242424242"), 303);
    assert_true(settlement_ask_now(w.settlement, p.id));
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
    const struct CMUnitTest tests[] = {
        TEST(paid),
        TEST(declined_then_paid),
        TEST(unpaid_is_expired_and_free),
        TEST(cancelled_ends_after_the_providers_word),
        TEST(paid_while_it_was_to_expire),
        TEST(an_offered_attempt_is_asked_for_once),
        TEST(an_offer_keeps_its_turn_while_enough_is_in_flight),
        TEST(an_attempt_offered_again_while_enough_is_in_flight_is_asked_for_once),
        TEST(an_attempt_offered_at_the_end_is_found_later),
        TEST(an_answer_lost_at_creation_makes_a_new_attempt),
        TEST(a_failing_provider_is_asked_again),
        TEST(a_refused_session_ends_the_order),
        TEST(an_unreachable_provider_keeps_the_attempt),
        TEST(late_money_takes_free_places),
        TEST(late_money_goes_back),
        TEST(a_refund_is_not_ended_by_a_strangers_404),
        TEST(a_refund_that_nobody_answers_is_told_and_asked_on),
        TEST(a_refused_refund_raises_an_alert),
        TEST(a_refund_answer_lost_is_asked_again_under_its_key),
        TEST(another_amount_raises_an_alert),
        TEST(holds_that_are_over_are_swept),
    };

    return is_tester(argc, argv) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
