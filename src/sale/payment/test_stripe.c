/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ground/crypto/crypto.h"
#include "sale/payment/stripe.h"

#define NOW_MS INT64_C(1790000000000)
#define SECRET SPAN_LIT("whsec_test_secret")
#define PAYMENT "pay_01j9zzzzzzzzzzzzzzzzzzzzzz"
#define REFUND "rfd_01j9zzzzzzzzzzzzzzzzzzzzzz"

#define REFUSED(expression, code, wanted_slug)                                                     \
    do {                                                                                           \
        assert_int_equal((expression), (code));                                                    \
        assert_string_equal(err_last()->slug, (wanted_slug));                                      \
    } while (0)

static struct money eur(int64_t minor)
{
    return (struct money){minor, {"EUR"}};
}

/* --- requests ------------------------------------------------------------------------------------------------------- */

static void a_session_is_asked_for_as_the_provider_documents_it(void **state)
{
    struct stripe_request r;
    struct stripe_session_wish w = {.amount = {8550, {"CHF"}},
                                    .title = "Gr\xc3\xbc\xc3\x9f & \"more\"=+%",
                                    .success_url = "https://shop.example/orders/x?a=b&c=d",
                                    .cancel_url = "https://shop.example/c",
                                    .expires_ms = NOW_MS + 1999};
    (void)state;

    assert_int_equal(payment_id_parse(span_text(PAYMENT), &w.payment), OK);
    assert_int_equal(stripe_session_create(&w, &r), OK);
    assert_string_equal(r.method, "POST");
    assert_string_equal(r.path, "/v1/checkout/sessions");
    assert_string_equal(r.idempotency_key, PAYMENT);
    assert_string_equal(
        buf_text(&r.form),
        "mode=payment&client_reference_id=" PAYMENT "&metadata[payment]=" PAYMENT
        "&success_url=https%3A%2F%2Fshop.example%2Forders%2Fx%3Fa%3Db%26c%3Dd"
        "&cancel_url=https%3A%2F%2Fshop.example%2Fc&expires_at=1790000001"
        "&line_items[0][quantity]=1&line_items[0][price_data][currency]=chf"
        "&line_items[0][price_data][unit_amount]=8550"
        "&line_items[0][price_data][product_data][name]=Gr%C3%BC%C3%9F%20%26%20%22more%22%3D%2B%25"
        "&payment_method_types[0]=card");
    buf_done(&r.form);
}

static void a_wish_that_does_not_fit_is_refused_whole(void **state)
{
    static char title[4000];
    struct stripe_request r;
    struct stripe_session_wish w = {
        .amount = eur(1), .title = title, .success_url = "https://a", .cancel_url = "https://a"};
    (void)state;

    memset(title, '%', sizeof title - 1);
    assert_int_equal(stripe_session_create(&w, &r), ERR_LIMIT);
    assert_null(r.form.data); /* nothing is left to free */
}

static void asking_and_expiring_name_the_session_in_the_path(void **state)
{
    struct stripe_request r;
    (void)state;

    assert_int_equal(stripe_session_ask("cs_test_a1", &r), OK);
    assert_string_equal(r.method, "GET");
    assert_string_equal(r.path, "/v1/checkout/sessions/cs_test_a1");
    assert_int_equal(r.form.len, 0);
    assert_string_equal(r.idempotency_key, "");
    assert_int_equal(stripe_session_expire("cs_test_a1", &r), OK);
    assert_string_equal(r.method, "POST");
    assert_string_equal(r.path, "/v1/checkout/sessions/cs_test_a1/expire");
}

static void a_reference_that_would_change_the_path_is_refused(void **state)
{
    static const char *const bad[] = {"",      "a/b",  "../refunds", "cs?x=1", "cs#",
                                      "cs%2f", "cs a", "cs.",        "cs\n",   "cs-1"};
    char longest[STRIPE_REF_MAX + 2];
    struct stripe_request r;
    (void)state;

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        REFUSED(stripe_session_ask(bad[i], &r), ERR_INVALID, "bad_provider_ref");
        REFUSED(stripe_session_expire(bad[i], &r), ERR_INVALID, "bad_provider_ref");
        REFUSED(stripe_refund_create((struct refund_id){{1}}, bad[i], eur(1), &r), ERR_INVALID,
                "bad_provider_ref");
    }
    memset(longest, 'a', sizeof longest);
    longest[STRIPE_REF_MAX - 1] = '\0';
    assert_int_equal(stripe_session_expire(longest, &r), OK);
    assert_true(strlen(r.path) > STRIPE_REF_MAX);
    longest[STRIPE_REF_MAX - 1] = 'a';
    longest[STRIPE_REF_MAX] = '\0';
    REFUSED(stripe_session_ask(longest, &r), ERR_INVALID, "bad_provider_ref");
}

static void a_refund_names_payment_amount_and_itself(void **state)
{
    struct stripe_request r;
    struct refund_id id;
    (void)state;

    assert_int_equal(refund_id_parse(span_text(REFUND), &id), OK);
    assert_int_equal(stripe_refund_create(id, "pi_1", eur(8550), &r), OK);
    assert_string_equal(r.path, "/v1/refunds");
    assert_string_equal(r.idempotency_key, REFUND);
    assert_string_equal(buf_text(&r.form),
                        "payment_intent=pi_1&amount=8550&metadata[refund]=" REFUND);
    buf_done(&r.form);
}

/* --- answers -------------------------------------------------------------------------------------------------------- */

#define SESSION_WITH(metadata, members)                                                            \
    "{\"id\":\"cs_test_a1\",\"object\":\"checkout.session\",\"livemode\":false,"                   \
    "\"metadata\":" metadata "," members "}"
#define SESSION(members) SESSION_WITH("{\"x\":\"y\",\"payment\":\"" PAYMENT "\"}", members)
#define PAID                                                                                       \
    "\"amount_total\":8550,\"currency\":\"eur\","                                                  \
    "\"payment_intent\":\"pi_1\",\"payment_status\":\"paid\",\"status\":\"complete\",\"url\":null"

static enum err session(const char *json, struct stripe_session *s)
{
    return stripe_session_read(span_text(json), s);
}

static void a_paid_session_is_read(void **state)
{
    struct stripe_session s;
    (void)state;

    assert_int_equal(session(SESSION(PAID), &s), OK);
    assert_string_equal(s.ref, "cs_test_a1");
    assert_string_equal(s.intent_ref, "pi_1");
    assert_string_equal(s.client_reference, PAYMENT);
    assert_string_equal(s.url, "");
    assert_int_equal(s.status, STRIPE_COMPLETE);
    assert_true(s.paid);
    assert_int_equal(s.amount.amount_minor, 8550);
    assert_string_equal(s.amount.currency.code, "EUR");
}

static void only_complete_and_paid_counts_as_paid(void **state)
{
    static const struct {
        const char *status, *payment;
        enum stripe_session_status is;
        bool paid;
    } cases[] = {{"open", "unpaid", STRIPE_OPEN, false},
                 {"open", "paid", STRIPE_OPEN, false},
                 {"expired", "paid", STRIPE_EXPIRED, false},
                 {"expired", "unpaid", STRIPE_EXPIRED, false},
                 {"complete", "unpaid", STRIPE_COMPLETE, false},
                 {"complete", "no_payment_required", STRIPE_COMPLETE, false},
                 {"complete", "Paid", STRIPE_COMPLETE, false},
                 {"complete", "paid", STRIPE_COMPLETE, true}};
    struct stripe_session s;
    char json[600];
    (void)state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        (void)snprintf(
            json, sizeof json,
            SESSION("\"amount_total\":1,\"currency\":\"eur\",\"payment_intent\":\"pi\","
                    "\"url\":\"https://p/1\",\"status\":\"%s\",\"payment_status\":\"%s\""),
            cases[i].status, cases[i].payment);
        assert_int_equal(session(json, &s), OK);
        assert_int_equal(s.status, cases[i].is);
        assert_int_equal(s.paid, cases[i].paid);
    }
}

static void a_session_that_is_none_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "null",
        "{\"object\":\"checkout.session\"}",
        "{\"object\":\"refund\",\"id\":\"re_1\"}",
        /* paid, by nothing */
        SESSION("\"amount_total\":1,\"currency\":\"eur\",\"payment_status\":\"paid\","
                "\"payment_intent\":null,\"status\":\"complete\""),
        /* no such status */
        SESSION("\"amount_total\":1,\"currency\":\"eur\",\"payment_status\":\"unpaid\","
                "\"status\":\"done\""),
        /* amounts: none, negative, a fraction, text, too much; currencies: none, unknown, long */
        SESSION("\"currency\":\"eur\",\"payment_status\":\"unpaid\",\"status\":\"open\""),
        SESSION("\"amount_total\":-1,\"currency\":\"eur\",\"payment_status\":\"unpaid\","
                "\"status\":\"open\""),
        SESSION("\"amount_total\":1.5,\"currency\":\"eur\",\"payment_status\":\"unpaid\","
                "\"status\":\"open\""),
        SESSION("\"amount_total\":\"1\",\"currency\":\"eur\",\"payment_status\":\"unpaid\","
                "\"status\":\"open\""),
        SESSION("\"amount_total\":1000000001,\"currency\":\"eur\",\"payment_status\":\"unpaid\","
                "\"status\":\"open\""),
        SESSION("\"amount_total\":1,\"payment_status\":\"unpaid\",\"status\":\"open\""),
        SESSION("\"amount_total\":1,\"currency\":\"zzz\",\"payment_status\":\"unpaid\","
                "\"status\":\"open\""),
        SESSION("\"amount_total\":1,\"currency\":\"euro\",\"payment_status\":\"unpaid\","
                "\"status\":\"open\""),
        /* a reference that would change a path */
        "{\"object\":\"checkout.session\",\"id\":\"../x\",\"amount_total\":1,\"currency\":\"eur\","
        "\"payment_status\":\"unpaid\",\"status\":\"open\"}",
        SESSION("\"amount_total\":1,\"currency\":\"eur\",\"payment_intent\":\"pi/1\","
                "\"payment_status\":\"paid\",\"status\":\"complete\""),
        /* said twice */
        SESSION(PAID ",\"status\":\"open\""),
    };
    struct stripe_session s;
    (void)state;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (session(bad[i], &s) != ERR_INVALID)
            fail_msg("taken: %s", bad[i]);
}

static void an_address_that_is_no_web_address_is_refused(void **state)
{
    static const char *const bad[] = {
        "javascript:alert(1)", "//pay.example", "ftp://x", "https:x",
        "https://a b",         "https://a\\n",  "/pay",    "https://\\\""};
    struct stripe_session s;
    char json[600];
    (void)state;

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        (void)snprintf(json, sizeof json,
                       SESSION("\"amount_total\":1,\"currency\":\"eur\",\"payment_status\":"
                               "\"unpaid\",\"status\":\"open\",\"url\":\"%s\""),
                       bad[i]);
        REFUSED(session(json, &s), ERR_INVALID, "bad_provider_answer");
    }
}

static void a_refund_is_read_with_its_three_ends(void **state)
{
    static const struct {
        const char *status;
        bool done, failed;
    } cases[] = {{"succeeded", true, false},
                 {"failed", false, true},
                 {"canceled", false, true},
                 {"pending", false, false},
                 {"requires_action", false, false}};
    struct stripe_refund r;
    char json[400];
    (void)state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        (void)snprintf(json, sizeof json,
                       "{\"id\":\"re_1\",\"object\":\"refund\",\"amount\":8550,\"currency\":"
                       "\"eur\",\"payment_intent\":\"pi_1\",\"reason\":null,\"status\":\"%s\","
                       "\"metadata\":{\"refund\":\"" REFUND "\"}}",
                       cases[i].status);
        assert_int_equal(stripe_refund_read(span_text(json), &r), OK);
        assert_int_equal(r.done, cases[i].done);
        assert_int_equal(r.failed, cases[i].failed);
        assert_string_equal(r.client_reference, REFUND);
        assert_string_equal(r.intent_ref, "pi_1");
        assert_int_equal(r.amount.amount_minor, 8550);
    }
    assert_int_equal(stripe_refund_read(SPAN_LIT("{\"id\":\"re_1\",\"object\":\"refund\",\"amount\""
                                                 ":1,\"currency\":\"eur\",\"status\":\"pending\","
                                                 "\"metadata\":null}"),
                                        &r),
                     OK);
    assert_string_equal(r.client_reference, "");
    REFUSED(stripe_refund_read(span_text(SESSION(PAID)), &r), ERR_INVALID, "bad_provider_answer");
}

/* --- webhooks ------------------------------------------------------------------------------------------------------- */

static struct stripe_event event;

static enum err hook_at(const char *header, const char *body, int64_t now_ms)
{
    return stripe_webhook_read(SECRET, span_text(header), span_text(body), now_ms, &event);
}

static enum err signed_hook(const char *body)
{
    AUTO(buf_done) struct buf header = {0};

    buf_init(&header, 200);
    stripe_webhook_sign(SECRET, span_text(body), NOW_MS, &header);
    return hook_at(buf_text(&header), body, NOW_MS);
}

#define EVENT(type, object)                                                                        \
    "{\"id\":\"evt_1\",\"object\":\"event\",\"type\":\"" type "\",\"data\":{\"object\":" object "}}"

/* printf '1790000000.BODY' | openssl dgst -sha256 -hmac whsec_test_secret */
#define BODY "{\"id\":\"evt_1\",\"object\":\"event\"}"
#define MAC "765d0d35514a56905b8ddef451bc5570cc45dfa0395a213879a36689a6be55a3"

static void the_signature_is_the_one_openssl_computes(void **state)
{
    AUTO(buf_done) struct buf header = {0};
    (void)state;

    buf_init(&header, 200);
    stripe_webhook_sign(SECRET, SPAN_LIT(BODY), NOW_MS + 999, &header);
    assert_string_equal(buf_text(&header), "t=1790000000,v1=" MAC);
    /* Past the signature: it is the body that is no event. */
    REFUSED(hook_at("t=1790000000,v1=" MAC, BODY, NOW_MS), ERR_INVALID, "missing_field");
    buf_reset(&header);
    stripe_webhook_sign(SPAN_LIT("whsec_abc"), SPAN_LIT("{\"object\":\"event\"}"),
                        INT64_C(1492774577000), &header);
    assert_string_equal(buf_text(&header),
                        "t=1492774577,"
                        "v1=696e2fbc38ede7013716228f3e4f5f809571af18ebd5101e2af6cc5dc2e3bac4");
}

static void one_of_several_signatures_is_enough(void **state)
{
    static const char *const good[] = {
        ("t=1790000000,v1=" MAC ",v0=00"),
        ("t=1790000000,v0=6ffbb59b2300aae63f272406069a9788598b792a,v1=00,v1=" MAC),
        ("t=1790000000,v1=0000000000000000000000000000000000000000000000000000000000000000,"
         "v1=" MAC)};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(good); i++)
        REFUSED(hook_at(good[i], BODY, NOW_MS), ERR_INVALID, "missing_field");
}

static void a_signature_that_does_not_fit_is_denied(void **state)
{
    static const char *const bad[] = {
        "",
        "v1=" MAC,
        "t=1790000000",
        "t=1790000000,",
        "t=1790000000,v1=",
        "t=1790000000,v0=" MAC,
        "t=1790000000,v1=" MAC "00",
        "t=1790000000,v1=765d0d35514a56905b8ddef451bc5570cc45dfa0395a213879a36689a6be55",
        "t=1790000000,v1=865d0d35514a56905b8ddef451bc5570cc45dfa0395a213879a36689a6be55a3",
        "t=1790000000, v1=" MAC,
        "t=1790000001,v1=" MAC,
        "t=01790000000,v1=" MAC,
        "t=-1790000000,v1=" MAC,
        "t=1790000000x,v1=" MAC,
        "t=,v1=" MAC,
        "t=99999999999999999999,v1=" MAC,
        "t=9223372036854775807,v1=" MAC,
        "v1=" MAC ",t=1790000000"};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (hook_at(bad[i], BODY, NOW_MS) != ERR_DENIED ||
            strcmp(err_last()->slug, "bad_webhook_signature") != 0)
            fail_msg("taken: %s", bad[i]);
    REFUSED(hook_at("t=1790000000,v1=" MAC, BODY " ", NOW_MS), ERR_DENIED, "bad_webhook_signature");
    REFUSED(stripe_webhook_read(SPAN_LIT("whsec_other"), SPAN_LIT("t=1790000000,v1=" MAC),
                                SPAN_LIT(BODY), NOW_MS, &event),
            ERR_DENIED, "bad_webhook_signature");
}

static void an_empty_secret_believes_nobody(void **state)
{
    AUTO(buf_done) struct buf header = {0};
    const struct span none = {0};
    (void)state;

    buf_init(&header, 200);
    stripe_webhook_sign(none, SPAN_LIT(BODY), NOW_MS, &header);
    REFUSED(stripe_webhook_read(none, buf_span(&header), SPAN_LIT(BODY), NOW_MS, &event),
            ERR_DENIED, "bad_webhook_signature");
}

static void an_old_signature_is_denied_to_the_millisecond(void **state)
{
    (void)state;

    REFUSED(hook_at("t=1790000000,v1=" MAC, BODY, NOW_MS + STRIPE_TOLERANCE_MS), ERR_INVALID,
            "missing_field");
    REFUSED(hook_at("t=1790000000,v1=" MAC, BODY, NOW_MS - STRIPE_TOLERANCE_MS), ERR_INVALID,
            "missing_field");
    REFUSED(hook_at("t=1790000000,v1=" MAC, BODY, NOW_MS + STRIPE_TOLERANCE_MS + 1), ERR_DENIED,
            "bad_webhook_signature");
    REFUSED(hook_at("t=1790000000,v1=" MAC, BODY, NOW_MS - STRIPE_TOLERANCE_MS - 1), ERR_DENIED,
            "bad_webhook_signature");
}

static void events_of_interest_are_read(void **state)
{
    (void)state;

    assert_int_equal(signed_hook(EVENT("checkout.session.completed", SESSION(PAID))), OK);
    assert_int_equal(event.kind, STRIPE_EVENT_SESSION_COMPLETED);
    assert_string_equal(event.ref, "evt_1");
    assert_true(event.session.paid);
    assert_int_equal(
        signed_hook(EVENT("checkout.session.expired",
                          SESSION("\"amount_total\":1,\"currency\":\"eur\",\"status\":\"expired\","
                                  "\"payment_status\":\"unpaid\""))),
        OK);
    assert_int_equal(event.kind, STRIPE_EVENT_SESSION_EXPIRED);
    assert_int_equal(event.session.status, STRIPE_EXPIRED);
    assert_int_equal(
        signed_hook(EVENT("refund.updated",
                          "{\"id\":\"re_1\",\"object\":\"refund\",\"amount\":8550,\"currency\":"
                          "\"eur\",\"status\":\"succeeded\",\"metadata\":{\"refund\":\"" REFUND
                          "\"}}")),
        OK);
    assert_int_equal(event.kind, STRIPE_EVENT_REFUND);
    assert_true(event.refund.done);
}

/* The provider's account may serve other shops: their events must be acknowledged, whatever they look like. */
static void events_of_others_are_acknowledged_unread(void **state)
{
    static const char *const others[] = {
        EVENT("payout.paid", "{\"object\":\"payout\"}"), EVENT("checkout.session.completed", "{}"),
        EVENT("checkout.session.completed",
              SESSION_WITH("{\"payment\":\"cart-99\"}",
                           "\"mode\":\"setup\",\"amount_total\":null,\"currency\":null,"
                           "\"status\":\"complete\",\"payment_status\":\"no_payment_required\"")),
        EVENT("checkout.session.completed", SESSION_WITH("null", PAID)),
        /* Whoever follows a payment link of the same account can set this in its address. */
        EVENT("checkout.session.completed",
              SESSION_WITH("{}", "\"client_reference_id\":\"" PAYMENT "\"," PAID)),
        EVENT("refund.updated", "{\"id\":\"re_9\",\"object\":\"refund\",\"metadata\":{}}")};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(others); i++) {
        assert_int_equal(signed_hook(others[i]), OK);
        assert_int_equal(event.kind, STRIPE_EVENT_OTHER);
    }
}

static void a_refusal_is_the_providers_own_word(void **state)
{
    static const char *const others[] = {"",
                                         "{}",
                                         "[]",
                                         "{\"error\":null}",
                                         "{\"error\":\"idempotency_error\"}",
                                         "{\"type\":\"idempotency_error\"}",
                                         "{\"error\":{\"code\":\"idempotency_error\"}}",
                                         "<html>Not here</html>",
                                         "{\"error\":{\"type\":\"api_error\"}}"};
    (void)state;

    assert_int_equal(stripe_refusal_read(SPAN_LIT(
                         "{\"error\":{\"type\":\"idempotency_error\",\"message\":\"Keys ...\"}}")),
                     STRIPE_KEY_REUSED);
    assert_int_equal(
        stripe_refusal_read(SPAN_LIT("{\"error\":{\"type\":\"invalid_request_error\"}}")),
        STRIPE_REFUSED);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        assert_int_equal(stripe_refusal_read(span_text(others[i])), STRIPE_NO_REFUSAL);
}

static void a_signed_body_that_is_no_event_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        SESSION(PAID),
        "{\"id\":\"evt_1\",\"object\":\"event\",\"type\":\"x\"}",
        "{\"id\":\"evt/1\",\"object\":\"event\",\"type\":\"x\",\"data\":{\"object\":{}}}",
        "{\"object\":\"event\",\"type\":\"x\",\"data\":{\"object\":{}}}",
        EVENT("checkout.session.completed", SESSION("\"status\":\"complete\"")),
        EVENT("refund.updated",
              "{\"object\":\"charge\",\"metadata\":{\"refund\":\"" REFUND "\"}}")};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (signed_hook(bad[i]) != ERR_INVALID)
            fail_msg("taken: %s", bad[i]);
}

static int start(void **state)
{
    (void)state;
    return crypto_init() == OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_asked_for_as_the_provider_documents_it),
        cmocka_unit_test(a_wish_that_does_not_fit_is_refused_whole),
        cmocka_unit_test(asking_and_expiring_name_the_session_in_the_path),
        cmocka_unit_test(a_reference_that_would_change_the_path_is_refused),
        cmocka_unit_test(a_refund_names_payment_amount_and_itself),
        cmocka_unit_test(a_paid_session_is_read),
        cmocka_unit_test(only_complete_and_paid_counts_as_paid),
        cmocka_unit_test(a_session_that_is_none_is_refused),
        cmocka_unit_test(an_address_that_is_no_web_address_is_refused),
        cmocka_unit_test(a_refund_is_read_with_its_three_ends),
        cmocka_unit_test(the_signature_is_the_one_openssl_computes),
        cmocka_unit_test(one_of_several_signatures_is_enough),
        cmocka_unit_test(a_signature_that_does_not_fit_is_denied),
        cmocka_unit_test(an_empty_secret_believes_nobody),
        cmocka_unit_test(an_old_signature_is_denied_to_the_millisecond),
        cmocka_unit_test(events_of_interest_are_read),
        cmocka_unit_test(events_of_others_are_acknowledged_unread),
        cmocka_unit_test(a_refusal_is_the_providers_own_word),
        cmocka_unit_test(a_signed_body_that_is_no_event_is_refused),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
