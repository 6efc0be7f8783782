/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ground/base/rng.h"
#include "trust/credential/checked.h"
#include "trust/credential/credential.h"

enum { MAX = 64 };

static int open_checked(void **state)
{
    struct checked_tickets *c;
    assert_int_equal(checked_tickets_new(MAX, &c), OK);
    *state = c;
    return 0;
}

static int close_checked(void **state)
{
    checked_tickets_free(*state);
    return 0;
}

static void only_the_very_bytes_under_the_very_key_are_found(void **state)
{
    uint8_t issuer[ED25519_PUBLIC_BYTES] = {7}, ticket[100] = {9}, d[SHA256_BYTES];

    checked_digest(issuer, SPAN_ARRAY(ticket), d);
    assert_false(checked_tickets_has(*state, d));
    checked_tickets_add(*state, d);
    assert_true(checked_tickets_has(*state, d));
    for (size_t bit = 0; bit < sizeof ticket * 8; bit++) {
        ticket[bit / 8] ^= (uint8_t)(1u << bit % 8);
        checked_digest(issuer, SPAN_ARRAY(ticket), d);
        assert_false(checked_tickets_has(*state, d));
        ticket[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < sizeof issuer * 8; bit++) {
        issuer[bit / 8] ^= (uint8_t)(1u << bit % 8);
        checked_digest(issuer, SPAN_ARRAY(ticket), d);
        assert_false(checked_tickets_has(*state, d));
        issuer[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    checked_digest(issuer, SPAN_ARRAY(ticket), d);
    assert_true(checked_tickets_has(*state, d));
}

static void the_newest_is_found_and_no_more_than_there_is_room_for(void **state)
{
    struct rng_seeded rng;
    uint8_t d[MAX * 4][SHA256_BYTES];
    size_t found = 0;

    rng_seeded_init(&rng, 3);
    for (size_t i = 0; i < COUNT_OF(d); i++) {
        rng_fill(&rng.rng, d[i], sizeof d[i]);
        checked_tickets_add(*state, d[i]);
        assert_true(checked_tickets_has(*state, d[i]));
    }
    for (size_t i = 0; i < COUNT_OF(d); i++)
        found += checked_tickets_has(*state, d[i]);
    assert_in_range(found, MAX / 2, MAX);
}

/* --- with the reader of codes --------------------------------------------------------------------------------------------------- */

struct ring {
    struct ed25519_key issuer;
    struct secret32 gate;
};

static bool find_gate(void *self, const uint8_t kid[COSE_KID_BYTES], struct secret32 *ret_key)
{
    struct ring *r = self;
    (void)kid;
    *ret_key = r->gate;
    return true;
}

static bool find_issuer(void *self, const uint8_t kid[COSE_KID_BYTES],
                        uint8_t ret_public_key[ED25519_PUBLIC_BYTES])
{
    struct ring *r = self;
    (void)kid;
    memcpy(ret_public_key, r->issuer.public_key, ED25519_PUBLIC_BYTES);
    return true;
}

static enum credential_reason read_sealed(struct ring *r, struct checked_tickets *c,
                                          struct span ticket)
{
    static const uint8_t iv[AES256GCM_IV_BYTES];
    const struct credential_keys keys = {
        .gate_key = find_gate, .issuer_key = find_issuer, .self = r, .checked = c};
    const struct credential_expect expect = {.event_number = 1,
                                             .now_ms = 2000,
                                             .opens_ms = 1,
                                             .closes_ms = 5000,
                                             .static_honoured = true};
    AUTO(buf_done) struct buf sealed = {0};
    AUTO(buf_done) struct buf text = {0};
    struct credential_verdict v;

    buf_init(&sealed, 1000);
    buf_init(&text, 1000);
    assert_int_equal(credential_seal(ticket, r->gate.b, iv, &sealed), OK);
    assert_int_equal(credential_text(buf_span(&sealed), false, &text), OK);
    assert_int_equal(credential_read(buf_span(&text), &keys, &expect, &v), OK);
    return v.reason;
}

static void sign_ticket(struct ring *r, struct buf *out)
{
    const struct ticket_claims claims = {.ticket = {{5}},
                                         .event_number = 1,
                                         .generation = 1,
                                         .form = CREDENTIAL_PAPER,
                                         .place = "A"};

    buf_init(out, 1000);
    assert_int_equal(credential_sign(&claims, &r->issuer, out), OK);
}

/* The last byte belongs to the signature: the same ticket to every reader that does not compute. */
static void what_was_found_right_is_not_computed_again(void **state)
{
    AUTO(buf_done) struct buf ticket = {0};
    uint8_t d[SHA256_BYTES];
    struct ring r;

    ed25519_key_random(&r.issuer);
    secret32_random(&r.gate);
    sign_ticket(&r, &ticket);
    checked_digest(r.issuer.public_key, buf_span(&ticket), d);
    assert_int_equal(read_sealed(&r, *state, buf_span(&ticket)), CREDENTIAL_VALID);
    assert_true(checked_tickets_has(*state, d));
    ticket.data[ticket.len - 1] ^= 1;
    assert_int_equal(read_sealed(&r, *state, buf_span(&ticket)), CREDENTIAL_FORGED);
    checked_digest(r.issuer.public_key, buf_span(&ticket), d);
    assert_false(checked_tickets_has(*state, d));
    checked_tickets_add(*state, d);
    assert_int_equal(read_sealed(&r, *state, buf_span(&ticket)), CREDENTIAL_VALID);
    assert_int_equal(read_sealed(&r, NULL, buf_span(&ticket)), CREDENTIAL_FORGED);
}

static void a_ticket_of_a_key_that_counts_no_more_is_forged(void **state)
{
    AUTO(buf_done) struct buf ticket = {0};
    struct ring r;

    ed25519_key_random(&r.issuer);
    secret32_random(&r.gate);
    sign_ticket(&r, &ticket);
    assert_int_equal(read_sealed(&r, *state, buf_span(&ticket)), CREDENTIAL_VALID);
    ed25519_key_random(&r.issuer);
    assert_int_equal(read_sealed(&r, *state, buf_span(&ticket)), CREDENTIAL_FORGED);
}

static int start(void **state)
{
    (void)state;
    assert_int_equal(crypto_init(), OK);
    return 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_checked, close_checked)
    const struct CMUnitTest tests[] = {
        T(only_the_very_bytes_under_the_very_key_are_found),
        T(the_newest_is_found_and_no_more_than_there_is_room_for),
        T(what_was_found_right_is_not_computed_again),
        T(a_ticket_of_a_key_that_counts_no_more_is_forged),
    };
    return cmocka_run_group_tests_name("credential/checked", tests, start, NULL);
}
