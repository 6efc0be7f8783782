/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ground/crypto/crypto.h"
#include "ground/crypto/x509.h"

static const int64_t DAY_MS = 86400000;

struct pems {
    struct buf ca, ca_key, cert, key;
};

static int setup(void **state)
{
    static struct pems p;
    static const char *const names[] = {"tickets.example.org", "*.tickets.example.org", "127.0.0.1",
                                        "2001:db8::1"};
    struct x509_request request = {names, COUNT_OF(names), X509_LEAF_DAYS_MAX};

    buf_init(&p.ca, X509_PEM_MAX);
    buf_init(&p.ca_key, X509_PEM_MAX);
    buf_init(&p.cert, X509_PEM_MAX);
    buf_init(&p.key, X509_PEM_MAX);
    assert_int_equal(x509_ca_create(clock_system(), "Gatehouse local CA", &p.ca, &p.ca_key), OK);
    assert_int_equal(
        x509_issue(clock_system(), buf_span(&p.ca), buf_span(&p.ca_key), &request, &p.cert, &p.key),
        OK);
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    struct pems *p = *state;
    buf_done(&p->ca);
    buf_done(&p->ca_key);
    buf_done(&p->cert);
    buf_done(&p->key);
    return 0;
}

static bool covers(struct pems *p, const char *name)
{
    bool c = false;
    assert_int_equal(x509_covers(buf_span(&p->cert), name, &c), OK);
    return c;
}

static void a_certificate_covers_its_names_and_no_other(void **state)
{
    assert_true(covers(*state, "tickets.example.org"));
    assert_true(covers(*state, "a.tickets.example.org"));
    assert_true(covers(*state, "127.0.0.1"));
    assert_true(covers(*state, "2001:db8::1"));
    assert_false(covers(*state, "example.org"));
    assert_false(covers(*state, "127.0.0.2"));
    assert_false(covers(*state, "Gatehouse"));
}

static void lifetimes_are_what_phones_accept(void **state)
{
    struct pems *p = *state;
    struct x509_facts leaf, ca;

    assert_int_equal(x509_read(buf_span(&p->cert), &leaf), OK);
    assert_int_equal(x509_read(buf_span(&p->ca), &ca), OK);
    assert_true(leaf.not_after_ms - leaf.not_before_ms <= 397 * DAY_MS);
    assert_true(ca.not_after_ms - clock_now_ms(clock_system()) > 3649 * DAY_MS);
    assert_true(ca.is_ca);
    assert_false(leaf.is_ca);
    assert_memory_not_equal(leaf.fingerprint, ca.fingerprint, 32);
    assert_memory_not_equal(leaf.key_pin, ca.key_pin, 32);
}

static void the_chain_verifies_and_strangers_do_not(void **state)
{
    struct pems *p = *state;
    AUTO(buf_done) struct buf other = {0}, other_key = {0};
    struct clock_fixed late;

    buf_init(&other, X509_PEM_MAX);
    buf_init(&other_key, X509_PEM_MAX);
    assert_int_equal(x509_issued_by(clock_system(), buf_span(&p->cert), buf_span(&p->ca)), OK);
    assert_int_equal(x509_ca_create(clock_system(), "Gatehouse local CA", &other, &other_key), OK);
    assert_int_equal(x509_issued_by(clock_system(), buf_span(&p->cert), buf_span(&other)),
                     ERR_DENIED);
    clock_fixed_init(&late, clock_now_ms(clock_system()) + 400 * DAY_MS);
    assert_int_equal(x509_issued_by(&late.clock, buf_span(&p->cert), buf_span(&p->ca)), ERR_DENIED);
}

static enum err issue(struct pems *p, struct span ca, const char *name, int days)
{
    AUTO(buf_done) struct buf cert = {0}, key = {0};
    struct x509_request request = {&name, 1, days};

    buf_init(&cert, X509_PEM_MAX);
    buf_init(&key, X509_PEM_MAX);
    return x509_issue(clock_system(), ca, buf_span(&p->ca_key), &request, &cert, &key);
}

static void bad_requests_are_refused(void **state)
{
    struct pems *p = *state;
    struct span ca = buf_span(&p->ca);
    static const char *const bad[] = {"",   "a b",  "-a.org", "a-.org",    "a..b",
                                      ".a", "a.b.", "a,b=c",  "1.2.3.4/8", "a.*.org"};
    struct x509_facts facts;

    assert_int_equal(issue(p, ca, "ok.example", 1), OK);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(issue(p, ca, bad[i], 1), ERR_INVALID);
    assert_int_equal(issue(p, ca, "ok.example", 398), ERR_INVALID);
    assert_int_equal(issue(p, ca, "ok.example", 0), ERR_INVALID);
    assert_int_equal(issue(p, buf_span(&p->cert), "ok.example", 1), ERR_CORRUPT);
    assert_int_equal(x509_read(SPAN_LIT("-----BEGIN CERTIFICATE-----\nAAAA\n"), &facts),
                     ERR_INVALID);
    assert_int_equal(x509_read(span_of(NULL, 0), &facts), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_covers_its_names_and_no_other),
        cmocka_unit_test(lifetimes_are_what_phones_accept),
        cmocka_unit_test(the_chain_verifies_and_strangers_do_not),
        cmocka_unit_test(bad_requests_are_refused),
    };
    return crypto_init() == OK ? cmocka_run_group_tests(tests, setup, teardown) : 1;
}
