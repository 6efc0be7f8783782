/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "ground/base/disk.h"
#include "ground/base/rng.h"
#include "ground/encode/base45.h"
#include "ground/encode/hex.h"
#include "ground/encode/json.h"
#include "ground/encode/qr.h"
#include "trust/credential/checked.h"
#include "trust/credential/credential.h"

enum { FORGERY_TICKETS = 100 };

struct ring {
    struct ed25519_key issuer;
    struct secret32 gate;
    uint8_t issuer_kid[COSE_KID_BYTES], gate_kid[COSE_KID_BYTES];
    struct checked_tickets *checked; /* NULL: none remembered */
};

static bool find_gate(void *self, const uint8_t kid[COSE_KID_BYTES], struct secret32 *ret_key)
{
    struct ring *r = self;
    *ret_key = r->gate;
    return memcmp(kid, r->gate_kid, COSE_KID_BYTES) == 0;
}

static bool find_issuer(void *self, const uint8_t kid[COSE_KID_BYTES],
                        uint8_t ret_public_key[ED25519_PUBLIC_BYTES])
{
    struct ring *r = self;
    memcpy(ret_public_key, r->issuer.public_key, ED25519_PUBLIC_BYTES);
    return memcmp(kid, r->issuer_kid, COSE_KID_BYTES) == 0;
}

static struct credential_keys keys_of(struct ring *r)
{
    return (struct credential_keys){
        .gate_key = find_gate, .issuer_key = find_issuer, .self = r, .checked = r->checked};
}

static void ring_init(struct ring *r, const uint8_t *seed, const uint8_t *gate)
{
    *r = (struct ring){0};
    ed25519_key_from_seed(seed, &r->issuer);
    memcpy(r->gate.b, gate, sizeof r->gate.b);
    credential_issuer_kid(r->issuer.public_key, r->issuer_kid);
    credential_gate_kid(r->gate.b, r->gate_kid);
}

static void ring_random(struct ring *r)
{
    struct secret32 seed, gate;
    secret32_random(&seed);
    secret32_random(&gate);
    ring_init(r, seed.b, gate.b);
}

static const struct credential_expect expect_4711 = {.event_number = 4711,
                                                     .now_ms = 1800000000000,
                                                     .opens_ms = 1799990000000,
                                                     .closes_ms = 1800010000000,
                                                     .static_honoured = true};

static struct ticket_claims random_claims(const struct rng *rng)
{
    struct ticket_claims c = {.event_number = 4711,
                              .generation = 1 + (uint32_t)rng_below(rng, 3),
                              .place_no = (uint32_t)rng_below(rng, 80000),
                              .form = rng_below(rng, 2) ? CREDENTIAL_PAPER : CREDENTIAL_WALLET,
                              .entry_class = (uint16_t)rng_below(rng, 4)};
    rng_fill(rng, c.ticket.b, sizeof c.ticket.b);
    (void)snprintf(c.place, sizeof c.place, "Block %u, seat %u", (unsigned)rng_below(rng, 40),
                   (unsigned)rng_below(rng, 2000));
    return c;
}

static void make_sealed(const struct ring *r, const struct ticket_claims *c, struct buf *out)
{
    AUTO(buf_done) struct buf ticket;
    uint8_t iv[AES256GCM_IV_BYTES];

    buf_init(&ticket, 1000);
    buf_init(out, 1000);
    rng_fill(rng_system(), iv, sizeof iv);
    assert_int_equal(credential_sign(c, &r->issuer, &ticket), OK);
    assert_int_equal(credential_seal(buf_span(&ticket), r->gate.b, iv, out), OK);
}

static void make_text(const struct ring *r, const struct ticket_claims *c, struct buf *out)
{
    AUTO(buf_done) struct buf sealed;
    make_sealed(r, c, &sealed);
    buf_init(out, CREDENTIAL_TEXT_MAX);
    assert_int_equal(credential_text(buf_span(&sealed), false, out), OK);
}

static struct credential_verdict read_code(struct ring *r, struct span text,
                                           const struct credential_expect *expect)
{
    struct credential_keys keys = keys_of(r);
    struct credential_verdict v;
    memset(&v, 0xff, sizeof v);
    assert_int_equal(credential_read(text, &keys, expect, &v), OK);
    return v;
}

/* --- golden.json ----------------------------------------------------------------------------------------------------- */

static struct json_doc *golden(struct json_object *ret_root, struct ring *ret_ring)
{
    AUTO(disk_close) struct disk disk;
    AUTO(buf_done) struct buf text;
    struct json_doc *doc = NULL;
    struct span seed_hex, gate_hex;
    uint8_t seed[32], gate[32];
    size_t len;

    buf_init(&text, 1 << 20);
    assert_int_equal(disk_open(VECTORS_DIR "/credential", &disk), OK);
    assert_int_equal(disk.read(disk.self, "golden.json", &text), OK);
    assert_int_equal(json_parse(buf_span(&text), 1 << 20, &doc), OK);
    assert_int_equal(json_root(doc, ret_root), OK);
    assert_int_equal(json_need_text(ret_root, "issuer_seed", 64, &seed_hex), OK);
    assert_int_equal(json_need_text(ret_root, "gate_key", 64, &gate_hex), OK);
    assert_int_equal(hex_decode(seed_hex, seed, sizeof seed, &len), OK);
    assert_int_equal(hex_decode(gate_hex, gate, sizeof gate, &len), OK);
    ring_init(ret_ring, seed, gate);
    return doc;
}

static void check_hex(struct json_object *o, const char *key, struct span bytes)
{
    AUTO(buf_done) struct buf hex;
    struct span wanted;

    buf_init(&hex, 4096);
    hex_put(&hex, bytes);
    assert_int_equal(json_need_text(o, key, 4096, &wanted), OK);
    assert_true(span_eq(buf_span(&hex), wanted));
}

static void read_claims(struct json_object *o, struct ticket_claims *c)
{
    struct span ticket, place, form, holder = {0};
    int64_t event, generation, place_no, entry_class;
    size_t len;

    *c = (struct ticket_claims){0};
    assert_int_equal(json_need_text(o, "ticket", 32, &ticket), OK);
    assert_int_equal(hex_decode(ticket, c->ticket.b, ID_BYTES, &len), OK);
    assert_int_equal(json_need_i64(o, "event_number", 1, UINT32_MAX, &event), OK);
    assert_int_equal(json_need_i64(o, "generation", 1, UINT32_MAX, &generation), OK);
    assert_int_equal(json_need_i64(o, "place_no", 0, UINT32_MAX, &place_no), OK);
    assert_int_equal(json_need_i64(o, "entry_class", 0, UINT16_MAX, &entry_class), OK);
    assert_int_equal(json_need_text(o, "place", CREDENTIAL_PLACE_MAX, &place), OK);
    assert_int_equal(json_need_text(o, "form", 10, &form), OK);
    assert_int_equal(json_opt_i64(o, "not_before_s", 1, INT64_MAX, &c->not_before_s), OK);
    assert_int_equal(json_opt_i64(o, "expires_s", 1, INT64_MAX, &c->expires_s), OK);
    assert_int_equal(json_opt_text(o, "holder_key", 64, &holder), OK);
    assert_int_equal(json_object_end(o), OK);
    c->event_number = (uint32_t)event;
    c->generation = (uint32_t)generation;
    c->place_no = (uint32_t)place_no;
    c->entry_class = (uint16_t)entry_class;
    assert_int_equal(span_to_text(place, c->place, sizeof c->place), OK);
    for (int f = CREDENTIAL_LIVE; f <= CREDENTIAL_WALLET; f++)
        if (span_eq_text(form, credential_form_word((enum credential_form)f)))
            c->form = (enum credential_form)f;
    c->has_holder = holder.len > 0;
    if (c->has_holder)
        assert_int_equal(hex_decode(holder, c->holder_key, sizeof c->holder_key, &len), OK);
}

static void check_golden_code(struct ring *r, struct json_object *o)
{
    AUTO(buf_done) struct buf cbor;
    AUTO(buf_done) struct buf ticket;
    AUTO(buf_done) struct buf sealed;
    AUTO(buf_done) struct buf text;
    struct json_object claims;
    struct ticket_claims c, back;
    struct span iv_hex, wanted;
    uint8_t iv[AES256GCM_IV_BYTES];
    size_t len;
    bool test_mode;

    buf_init(&cbor, 1000);
    buf_init(&ticket, 1000);
    buf_init(&sealed, 1000);
    buf_init(&text, 1000);
    assert_int_equal(json_need_object(o, "claims", &claims), OK);
    read_claims(&claims, &c);
    assert_int_equal(json_need_text(o, "iv", 24, &iv_hex), OK);
    assert_int_equal(hex_decode(iv_hex, iv, sizeof iv, &len), OK);
    assert_int_equal(json_need_bool(o, "test_mode", &test_mode), OK);
    assert_int_equal(credential_claims_encode(&c, &cbor), OK);
    check_hex(o, "claims_cbor", buf_span(&cbor));
    assert_int_equal(credential_claims_decode(buf_span(&cbor), &back), OK);
    assert_memory_equal(&back, &c, sizeof c);
    assert_int_equal(credential_sign(&c, &r->issuer, &ticket), OK);
    check_hex(o, "ticket", buf_span(&ticket));
    assert_int_equal(credential_seal(buf_span(&ticket), r->gate.b, iv, &sealed), OK);
    check_hex(o, "sealed", buf_span(&sealed));
    assert_int_equal(credential_text(buf_span(&sealed), test_mode, &text), OK);
    assert_int_equal(json_need_text(o, "text", 1000, &wanted), OK);
    assert_true(span_eq(buf_span(&text), wanted));
    assert_true(sealed.len <= CREDENTIAL_SEALED_MAX);
    assert_true(c.form == CREDENTIAL_LIVE || sealed.len <= CREDENTIAL_STATIC_MAX);
}

static void another_implementation_makes_the_same_codes(void **state)
{
    struct json_object root, o;
    struct json_array accept;
    struct ring r;
    AUTO(json_doc_free) struct json_doc *doc = golden(&root, &r);
    (void)doc;
    (void)state;

    check_hex(&root, "issuer_public", SPAN_ARRAY(r.issuer.public_key));
    check_hex(&root, "issuer_kid", SPAN_ARRAY(r.issuer_kid));
    check_hex(&root, "gate_kid", SPAN_ARRAY(r.gate_kid));
    assert_int_equal(json_need_array(&root, "accept", 1000, &accept), OK);
    assert_true(accept.count >= 6);
    for (size_t i = 0; i < accept.count; i++) {
        assert_int_equal(json_item_object(&accept, i, &o), OK);
        check_golden_code(&r, &o);
    }
}

static void each_code_gets_the_verdict_it_deserves(void **state)
{
    struct json_object root, o, e;
    struct json_array judge;
    struct ring r;
    AUTO(json_doc_free) struct json_doc *doc = golden(&root, &r);
    size_t valid = 0;
    (void)doc;
    (void)state;

    assert_int_equal(json_need_array(&root, "judge", 1000, &judge), OK);
    assert_true(judge.count > 100);
    for (size_t i = 0; i < judge.count; i++) {
        struct credential_expect expect = {0};
        struct span name, text, reason;
        int64_t event;
        assert_int_equal(json_item_object(&judge, i, &o), OK);
        assert_int_equal(json_need_text(&o, "name", 200, &name), OK);
        assert_int_equal(json_need_text(&o, "text", 10000, &text), OK);
        assert_int_equal(json_need_text(&o, "reason", 40, &reason), OK);
        assert_int_equal(json_need_object(&o, "expect", &e), OK);
        assert_int_equal(json_need_i64(&e, "event_number", 0, UINT32_MAX, &event), OK);
        assert_int_equal(json_need_i64(&e, "now_ms", 0, INT64_MAX, &expect.now_ms), OK);
        assert_int_equal(json_need_i64(&e, "opens_ms", 0, INT64_MAX, &expect.opens_ms), OK);
        assert_int_equal(json_need_i64(&e, "closes_ms", 0, INT64_MAX, &expect.closes_ms), OK);
        assert_int_equal(json_need_bool(&e, "static_honoured", &expect.static_honoured), OK);
        assert_int_equal(json_need_bool(&e, "test_mode", &expect.test_mode), OK);
        expect.event_number = (uint32_t)event;
        struct credential_verdict v = read_code(&r, text, &expect);
        if (!span_eq_text(reason, credential_reason_word(v.reason)))
            fail_msg("%s: %s, not %s", (const char *)name.data, credential_reason_word(v.reason),
                     (const char *)reason.data);
        assert_true(v.has_claims || v.reason == CREDENTIAL_MALFORMED ||
                    v.reason == CREDENTIAL_UNKNOWN_KEY || v.reason == CREDENTIAL_FORGED);
        valid += v.reason == CREDENTIAL_VALID;
    }
    assert_true(valid >= 8);
}

/* --- forgery --------------------------------------------------------------------------------------------------------- */

static void a_ticket_comes_back_as_it_was_signed(void **state)
{
    struct rng_seeded rng;
    struct ring r;
    (void)state;

    rng_seeded_init(&rng, 7);
    ring_random(&r);
    for (int i = 0; i < 50; i++) {
        AUTO(buf_done) struct buf text;
        struct ticket_claims c = random_claims(&rng.rng);
        make_text(&r, &c, &text);
        struct credential_verdict v = read_code(&r, buf_span(&text), &expect_4711);
        assert_int_equal(v.reason, CREDENTIAL_VALID);
        assert_true(v.has_claims);
        assert_memory_equal(&v.claims, &c, sizeof c);
    }
}

/* Every bit of the sealed bytes, and every bit of every character of the text; the reader remembers the ticket that is changed. */
static void no_changed_bit_is_accepted(void **state)
{
    struct rng_seeded rng;
    struct ring r;
    size_t tried = 0;
    (void)state;

    rng_seeded_init(&rng, 11);
    ring_random(&r);
    assert_int_equal(checked_tickets_new(1024, &r.checked), OK);
    for (int i = 0; i < FORGERY_TICKETS; i++) {
        AUTO(buf_done) struct buf sealed;
        AUTO(buf_done) struct buf text;
        struct ticket_claims c = random_claims(&rng.rng);

        make_sealed(&r, &c, &sealed);
        buf_init(&text, CREDENTIAL_TEXT_MAX);
        assert_int_equal(credential_text(buf_span(&sealed), false, &text), OK);
        assert_int_equal(read_code(&r, buf_span(&text), &expect_4711).reason, CREDENTIAL_VALID);
        for (size_t bit = 0; bit < sealed.len * 8; bit++, tried++) {
            sealed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            buf_reset(&text);
            assert_int_equal(credential_text(buf_span(&sealed), false, &text), OK);
            if (read_code(&r, buf_span(&text), &expect_4711).reason == CREDENTIAL_VALID)
                fail_msg("bit %zu of the bytes", bit);
            sealed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        buf_reset(&text);
        assert_int_equal(credential_text(buf_span(&sealed), false, &text), OK);
        for (size_t bit = 0; bit < text.len * 8; bit++, tried++) {
            text.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (read_code(&r, buf_span(&text), &expect_4711).reason == CREDENTIAL_VALID)
                fail_msg("bit %zu of the text", bit);
            text.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_int_equal(read_code(&r, buf_span(&text), &expect_4711).reason, CREDENTIAL_VALID);
    }
    assert_true(tried > 300000);
    checked_tickets_free(r.checked);
}

/* The same for someone who holds the gate key, as every enrolled scanner does: layer 1 is changed, then sealed well. */
static void a_scanner_cannot_mint(void **state)
{
    struct rng_seeded rng;
    struct ring r;
    (void)state;

    rng_seeded_init(&rng, 13);
    ring_random(&r);
    assert_int_equal(checked_tickets_new(64, &r.checked), OK);
    for (int i = 0; i < 10; i++) {
        AUTO(buf_done) struct buf ticket;
        static const uint8_t iv[AES256GCM_IV_BYTES];
        struct ticket_claims c = random_claims(&rng.rng);

        buf_init(&ticket, 1000);
        assert_int_equal(credential_sign(&c, &r.issuer, &ticket), OK);
        /* Unchanged first, so that it is remembered, and last. */
        for (size_t turn = 0; turn <= ticket.len * 8 + 1; turn++) {
            AUTO(buf_done) struct buf sealed;
            AUTO(buf_done) struct buf text;
            size_t bit = turn - 1;
            bool changed = turn > 0 && bit < ticket.len * 8;
            if (changed)
                ticket.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            buf_init(&sealed, 1000);
            buf_init(&text, 1000);
            assert_int_equal(credential_seal(buf_span(&ticket), r.gate.b, iv, &sealed), OK);
            assert_int_equal(credential_text(buf_span(&sealed), false, &text), OK);
            struct credential_verdict v = read_code(&r, buf_span(&text), &expect_4711);
            assert_int_equal(v.reason == CREDENTIAL_VALID, !changed);
            assert_int_equal(v.has_claims, !changed);
            if (changed)
                ticket.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    checked_tickets_free(r.checked);
}

static void other_rings_read_nothing(void **state)
{
    struct rng_seeded rng;
    struct ring ours, theirs, mixed;
    AUTO(buf_done) struct buf text;
    (void)state;

    rng_seeded_init(&rng, 17);
    ring_random(&ours);
    ring_random(&theirs);
    struct ticket_claims c = random_claims(&rng.rng);
    make_text(&ours, &c, &text);
    assert_int_equal(read_code(&theirs, buf_span(&text), &expect_4711).reason,
                     CREDENTIAL_UNKNOWN_KEY);
    mixed = ours;
    mixed.issuer = theirs.issuer;
    assert_int_equal(read_code(&mixed, buf_span(&text), &expect_4711).reason, CREDENTIAL_FORGED);
    mixed = ours;
    memcpy(mixed.issuer_kid, theirs.issuer_kid, COSE_KID_BYTES);
    assert_int_equal(read_code(&mixed, buf_span(&text), &expect_4711).reason,
                     CREDENTIAL_UNKNOWN_KEY);
    mixed = ours;
    mixed.gate = theirs.gate;
    assert_int_equal(read_code(&mixed, buf_span(&text), &expect_4711).reason, CREDENTIAL_FORGED);
}

static void random_texts_are_no_tickets(void **state)
{
    struct rng_seeded rng;
    struct ring r;
    uint8_t bytes[CREDENTIAL_SEALED_MAX];
    (void)state;

    rng_seeded_init(&rng, 19);
    ring_random(&r);
    for (int i = 0; i < 20000; i++) {
        AUTO(buf_done) struct buf text;
        size_t len = rng_below(&rng.rng, sizeof bytes);
        rng_fill(&rng.rng, bytes, len);
        buf_init(&text, 1000);
        assert_int_equal(credential_text(span_of(bytes, len), false, &text), OK);
        assert_int_equal(read_code(&r, buf_span(&text), &expect_4711).reason, CREDENTIAL_MALFORMED);
    }
}

/* --- limits ---------------------------------------------------------------------------------------------------------- */

static void bad_claims_are_not_signed(void **state)
{
    struct rng_seeded rng;
    struct ring r;
    (void)state;

    rng_seeded_init(&rng, 23);
    ring_random(&r);
    const struct ticket_claims good = random_claims(&rng.rng);
    struct ticket_claims bad[12];
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        bad[i] = good;
    memset(bad[0].ticket.b, 0, ID_BYTES);
    bad[1].event_number = 0;
    bad[2].generation = 0;
    bad[3].place[0] = '\0';
    bad[4].place[0] = '\n';
    memset(bad[5].place, 'A', sizeof bad[5].place); /* without its terminator */
    bad[6].form = CREDENTIAL_LIVE;
    bad[7].has_holder = true;
    bad[8].form = (enum credential_form)0;
    bad[9].expires_s = -1;
    bad[10].not_before_s = bad[10].expires_s = 5;
    bad[11].form = CREDENTIAL_LIVE; /* with a key of low order */
    bad[11].has_holder = true;
    bad[11].holder_key[0] = 1;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        AUTO(buf_done) struct buf out;
        buf_init(&out, 1000);
        if (credential_sign(&bad[i], &r.issuer, &out) != ERR_INVALID)
            fail_msg("case %zu was signed", i);
        assert_int_equal(out.len, 0);
    }
}

static void the_largest_static_code_keeps_its_budget(void **state)
{
    struct ticket_claims c = {.event_number = UINT32_MAX,
                              .generation = UINT32_MAX,
                              .place_no = UINT32_MAX,
                              .place = "ABCDEFGHIJKLMNOPQRSTUVWX",
                              .form = CREDENTIAL_PAPER,
                              .entry_class = UINT16_MAX,
                              .not_before_s = INT64_C(253402300798),
                              .expires_s = INT64_C(253402300799)};
    static struct qr qr;
    AUTO(buf_done) struct buf sealed;
    AUTO(buf_done) struct buf text;
    struct ring r;
    (void)state;

    memset(c.ticket.b, 0xff, ID_BYTES);
    ring_random(&r);
    make_sealed(&r, &c, &sealed);
    make_text(&r, &c, &text);
    assert_int_equal(qr_encode(buf_span(&text), QR_MEDIUM, &qr), OK);
    print_message("# largest static code: %zu bytes, %zu characters, %zu modules a side\n",
                  sealed.len, text.len, qr.size);
    assert_true(sealed.len <= CREDENTIAL_STATIC_MAX);
    assert_true(qr.alphanumeric);
    assert_true(qr.size <= 65); /* version 12 */
    c.form = CREDENTIAL_LIVE;
    c.has_holder = true;
    memcpy(c.holder_key, r.issuer.public_key, sizeof c.holder_key);
    AUTO(buf_done) struct buf live;
    make_sealed(&r, &c, &live);
    assert_true(live.len <= CREDENTIAL_SEALED_MAX);
}

static void every_reason_has_its_words(void **state)
{
    (void)state;
    for (int i = 0; i < CREDENTIAL_VALID; i++) {
        assert_true(strlen(credential_reason_word((enum credential_reason)i)) > 3);
        assert_true(strlen(credential_reason_say((enum credential_reason)i)) > 10);
    }
    assert_string_equal(credential_reason_word(CREDENTIAL_VALID), "valid");
    assert_int_equal(((struct credential_verdict){0}).reason, CREDENTIAL_MALFORMED);
}

static int start(void **state)
{
    (void)state;
    return crypto_init() == OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_implementation_makes_the_same_codes),
        cmocka_unit_test(each_code_gets_the_verdict_it_deserves),
        cmocka_unit_test(a_ticket_comes_back_as_it_was_signed),
        cmocka_unit_test(no_changed_bit_is_accepted),
        cmocka_unit_test(a_scanner_cannot_mint),
        cmocka_unit_test(other_rings_read_nothing),
        cmocka_unit_test(random_texts_are_no_tickets),
        cmocka_unit_test(bad_claims_are_not_signed),
        cmocka_unit_test(the_largest_static_code_keeps_its_budget),
        cmocka_unit_test(every_reason_has_its_words),
    };
    return cmocka_run_group_tests_name("credential/credential", tests, start, NULL);
}
