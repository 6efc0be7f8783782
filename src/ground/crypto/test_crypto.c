/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "ground/crypto/crypto.h"

static void sha256_forms_agree(void **state)
{
    static const uint8_t abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                  0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                  0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    uint8_t a[32], b[32], node[32];
    struct sha256_state s, fork;
    struct span parts[] = {SPAN_LIT("a"), {NULL, 0}, SPAN_LIT("bc")};

    (void)state;
    sha256(SPAN_LIT("abc"), a);
    assert_memory_equal(a, abc, 32);
    sha256_parts(parts, 3, b);
    assert_memory_equal(b, abc, 32);
    sha256_begin(&s);
    sha256_add(&s, SPAN_LIT("ab"));
    fork = s;
    sha256_add(&s, SPAN_LIT("c"));
    sha256_end(&s, b);
    assert_memory_equal(b, abc, 32);
    sha256_end(&fork, b);
    sha256(SPAN_LIT("ab"), a);
    assert_memory_equal(a, b, 32);
    uint8_t one = 1;
    struct span joined[] = {span_of(&one, 1), SPAN_ARRAY(a), SPAN_ARRAY(abc)};
    sha256_node(1, a, abc, node);
    sha256_parts(joined, 3, b);
    assert_memory_equal(node, b, 32);
}

static void a_signature_is_deterministic_and_bound_to_message_and_key(void **state)
{
    struct ed25519_key key, other;
    uint8_t sig[64], again[64];

    (void)state;
    ed25519_key_random(&key);
    ed25519_key_random(&other);
    ed25519_sign(&key, SPAN_LIT("ticket"), sig);
    ed25519_sign(&key, SPAN_LIT("ticket"), again);
    assert_memory_equal(sig, again, 64);
    assert_int_equal(ed25519_verify(key.public_key, SPAN_LIT("ticket"), sig), OK);
    assert_int_equal(ed25519_verify(key.public_key, SPAN_LIT("tickets"), sig), ERR_DENIED);
    assert_int_equal(ed25519_verify(other.public_key, SPAN_LIT("ticket"), sig), ERR_DENIED);
    sig[10] ^= 1;
    assert_int_equal(ed25519_verify(key.public_key, SPAN_LIT("ticket"), sig), ERR_DENIED);
    ed25519_key_from_seed(key.seed, &other);
    assert_memory_equal(&key, &other, sizeof key);
    ed25519_key_wipe(&key);
}

/* S + L is the same scalar: a lax verifier takes both, and one ticket would have two signatures. */
static void a_second_form_of_a_signature_is_refused(void **state)
{
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                      0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                      0,    0,    0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0x10};
    struct ed25519_key key;
    uint8_t sig[64];
    unsigned carry = 0;

    (void)state;
    ed25519_key_random(&key);
    ed25519_sign(&key, SPAN_LIT("x"), sig);
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)sig[32 + i] + order[i];
        sig[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_int_equal(ed25519_verify(key.public_key, SPAN_LIT("x"), sig), ERR_DENIED);
}

static void weak_public_keys_are_refused_at_registration(void **state)
{
    /* identity, -1 (order 2), order 4, order 8, y = p (zero written non-canonically), identity with a sign bit, 2 + p */
    static const uint8_t bad[][32] = {
        {1},
        {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
        {0},
        {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
         0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
         0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
        {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
        {1, [31] = 0x80},
        {0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    };
    struct ed25519_key key;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(ed25519_public_key_check(bad[i]), ERR_INVALID);
    for (int i = 0; i < 50; i++) {
        ed25519_key_random(&key);
        assert_int_equal(ed25519_public_key_check(key.public_key), OK);
    }
}

static void a_sealed_box_opens_only_with_its_key_and_context(void **state)
{
    struct secret32 key, other;
    uint8_t box[3 + SEALED_BOX_OVERHEAD], again[sizeof box], out[3] = {0};

    (void)state;
    secret32_random(&key);
    secret32_random(&other);
    sealed_box_seal(key.b, rng_system(), SPAN_LIT("row 1"), SPAN_LIT("abc"), box);
    sealed_box_seal(key.b, rng_system(), SPAN_LIT("row 1"), SPAN_LIT("abc"), again);
    assert_memory_not_equal(box, again, sizeof box);
    assert_int_equal(sealed_box_open(key.b, SPAN_LIT("row 1"), SPAN_ARRAY(box), out), OK);
    assert_memory_equal(out, "abc", 3);
    memset(out, 0, 3);
    assert_int_equal(sealed_box_open(key.b, SPAN_LIT("row 2"), SPAN_ARRAY(box), out), ERR_DENIED);
    assert_int_equal(sealed_box_open(other.b, SPAN_LIT("row 1"), SPAN_ARRAY(box), out), ERR_DENIED);
    assert_int_equal(sealed_box_open(key.b, SPAN_LIT("row 1"), span_of(box, 39), out), ERR_DENIED);
    assert_memory_equal(out, "\0\0\0", 3);
}

static void gcm_refuses_what_was_altered_and_leaves_nothing(void **state)
{
    uint8_t key[32] = {7}, iv[12] = {1}, sealed[5 + 16], out[5];

    (void)state;
    assert_int_equal(aes256gcm_seal(key, iv, SPAN_LIT("aad"), SPAN_LIT("hello"), sealed), OK);
    assert_int_equal(aes256gcm_open(key, iv, SPAN_LIT("aad"), SPAN_ARRAY(sealed), out), OK);
    assert_memory_equal(out, "hello", 5);
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 0x20;
        assert_int_equal(aes256gcm_open(key, iv, SPAN_LIT("aad"), SPAN_ARRAY(sealed), out),
                         ERR_DENIED);
        assert_memory_equal(out, "\0\0\0\0\0", 5);
        sealed[i] ^= 0x20;
    }
    assert_int_equal(aes256gcm_open(key, iv, SPAN_LIT("aax"), SPAN_ARRAY(sealed), out), ERR_DENIED);
    assert_int_equal(aes256gcm_open(key, iv, SPAN_LIT("aad"), span_of(sealed, 15), out),
                     ERR_DENIED);
}

static void a_password_verifies_and_asks_for_a_rehash_when_the_cost_moved(void **state)
{
    struct password_cost low = {1, 64}, high = {2, 128};
    char text[PASSWORD_HASH_MAX], fan[PASSWORD_HASH_MAX];
    static const uint8_t long_one[PASSWORD_BYTES_MAX + 1];
    bool rehash = true;

    (void)state;
    assert_int_equal(password_hash(SPAN_LIT("correct horse"), low, text), OK);
    assert_int_equal(password_verify(SPAN_LIT("correct horse"), text, low, &rehash), OK);
    assert_false(rehash);
    assert_int_equal(password_verify(SPAN_LIT("correct horse"), text, high, &rehash), OK);
    assert_true(rehash);
    assert_int_equal(password_verify(SPAN_LIT("correct house"), text, low, &rehash), ERR_DENIED);
    assert_int_equal(password_verify(SPAN_LIT("x"), "$1$plain", low, &rehash), ERR_CORRUPT);
    assert_int_equal(password_hash(SPAN_ARRAY(long_one), low, text), ERR_LIMIT);
    assert_int_equal(password_verify(SPAN_ARRAY(long_one), text, low, &rehash), ERR_DENIED);
    assert_int_equal(password_hash(SPAN_LIT("p"), CRYPTO_PASSWORD_FAN, fan), OK);
    assert_non_null(strstr(fan, "$argon2id$v=19$m=19456,t=2,p=1$"));
    assert_int_equal(password_hash(SPAN_LIT("p"), CRYPTO_PASSWORD_STAFF, fan), OK);
    assert_non_null(strstr(fan, "m=65536,t=3,"));
}

static void passwords_of_others_verify(void **state)
{
    /* The first is a published vector of the reference implementation, the second was made by libsodium. */
    static const char reference[] = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$"
                                    "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    static const char sodium[] = "$argon2id$v=19$m=19456,t=2,p=1$HoMy0VgI0bV34VlAe1T0Yg$"
                                 "8ISXrc3k6TFbthkKN98oC5F5K2bEy7yJjScbTz01gio";
    bool rehash = true;

    (void)state;
    assert_int_equal(
        password_verify(SPAN_LIT("password"), reference, CRYPTO_PASSWORD_STAFF, &rehash), OK);
    assert_true(rehash);
    assert_int_equal(
        password_verify(SPAN_LIT("passwore"), reference, CRYPTO_PASSWORD_STAFF, &rehash),
        ERR_DENIED);
    assert_int_equal(
        password_verify(SPAN_LIT("correct horse"), sodium, CRYPTO_PASSWORD_FAN, &rehash), OK);
    assert_false(rehash);
}

static void a_stored_hash_that_is_not_one_of_ours_is_corrupt(void **state)
{
#define SALT "c29tc2FsdHNvbWVzYWx0MQ$"
#define DIGEST "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
    static const char *const texts[] = {
        "",
        "$argon2id$",
        "$argon2i$v=19$m=64,t=1,p=1$" SALT DIGEST,
        "$argon2id$v=16$m=64,t=1,p=1$" SALT DIGEST,
        "$argon2id$m=64,t=1,p=1$" SALT DIGEST,
        "$argon2id$v=19$t=1,m=64,p=1$" SALT DIGEST,
        "$argon2id$v=19$m=0,t=1,p=1$" SALT DIGEST,
        "$argon2id$v=19$m=7,t=1,p=1$" SALT DIGEST,
        "$argon2id$v=19$m=1048577,t=1,p=1$" SALT DIGEST,
        "$argon2id$v=19$m=64,t=0,p=1$" SALT DIGEST,
        "$argon2id$v=19$m=64,t=65,p=1$" SALT DIGEST,
        "$argon2id$v=19$m=64,t=1,p=2$" SALT DIGEST,
        "$argon2id$v=19$m=64,t=1,p=1$c2hvcnQ$" DIGEST,
        "$argon2id$v=19$m=64,t=1,p=1$" SALT "c2hvcnQ",
        "$argon2id$v=19$m=64,t=1,p=1$" SALT DIGEST "c",
        "$argon2id$v=19$m=64,t=1,p=1$" SALT DIGEST "=",
        "$argon2id$v=19$m=64,t=1,p=1$" SALT,
        "$argon2id$v=19$m=64,t=1,p=1$c29tc2FsdHNvbWVzYWx0MQ",
    };
    bool rehash;

    (void)state;
    assert_int_equal(password_verify(SPAN_LIT("x"), "$argon2id$v=19$m=64,t=1,p=1$" SALT DIGEST,
                                     CRYPTO_PASSWORD_FAN, &rehash),
                     ERR_DENIED); /* one of ours, of another password */
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(password_verify(SPAN_LIT("x"), texts[i], CRYPTO_PASSWORD_FAN, &rehash),
                         ERR_CORRUPT);
#undef SALT
#undef DIGEST
}

static long page_faults(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_minflt;
}

static long resident_kib(void)
{
    long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &size, &pages), 2);
    (void)fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void a_thread_keeps_the_memory_of_a_fans_password_until_it_drops_it(void **state)
{
    enum { FEW = 1000, MOST_KIB = 15 * 1024 }; /* 19 MiB are 4,864 pages */
    char first[PASSWORD_HASH_MAX], text[PASSWORD_HASH_MAX];
    bool rehash;

    (void)state;
    password_memory_drop();
    assert_false(password_memory_is_kept());
    assert_int_equal(password_hash(SPAN_LIT("p"), CRYPTO_PASSWORD_STAFF, text), OK);
    assert_false(password_memory_is_kept()); /* too large */
    assert_int_equal(password_hash(SPAN_LIT("p"), CRYPTO_PASSWORD_FAN, first), OK);
    assert_true(password_memory_is_kept());
    long before = page_faults();
    assert_int_equal(password_verify(SPAN_LIT("p"), first, CRYPTO_PASSWORD_FAN, &rehash), OK);
    assert_true(page_faults() - before < FEW);
    /* A smaller one in the same memory. */
    assert_int_equal(password_hash(SPAN_LIT("q"), ((struct password_cost){1, 64}), text), OK);
    assert_int_equal(password_verify(SPAN_LIT("q"), text, CRYPTO_PASSWORD_FAN, &rehash), OK);
    before = resident_kib();
    password_memory_drop();
    assert_false(password_memory_is_kept());
    assert_true(before - resident_kib() > MOST_KIB);
    assert_int_equal(password_verify(SPAN_LIT("p"), first, CRYPTO_PASSWORD_FAN, &rehash), OK);
}

static void nobodys_password_is_wrong(void **state)
{
    static const uint8_t long_one[PASSWORD_BYTES_MAX + 1];
    struct password_cost low = {1, 64};

    (void)state;
    assert_int_equal(password_waste(SPAN_LIT("p"), low), ERR_DENIED);
    assert_int_equal(password_waste(SPAN_ARRAY(long_one), low), ERR_DENIED);
}

static void guarded_memory_is_zeroed_and_writable(void **state)
{
    uint8_t *p = secret_new(100);

    (void)state;
    assert_non_null(p);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    memset(p, 7, 100);
    assert_true(crypto_eq(p, p + 50, 50));
    p[3] = 8;
    assert_false(crypto_eq(p, p + 50, 50));
    secret_free(p);
    secret_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_forms_agree),
        cmocka_unit_test(a_signature_is_deterministic_and_bound_to_message_and_key),
        cmocka_unit_test(a_second_form_of_a_signature_is_refused),
        cmocka_unit_test(weak_public_keys_are_refused_at_registration),
        cmocka_unit_test(a_sealed_box_opens_only_with_its_key_and_context),
        cmocka_unit_test(gcm_refuses_what_was_altered_and_leaves_nothing),
        cmocka_unit_test(a_password_verifies_and_asks_for_a_rehash_when_the_cost_moved),
        cmocka_unit_test(passwords_of_others_verify),
        cmocka_unit_test(a_stored_hash_that_is_not_one_of_ours_is_corrupt),
        cmocka_unit_test(a_thread_keeps_the_memory_of_a_fans_password_until_it_drops_it),
        cmocka_unit_test(nobodys_password_is_wrong),
        cmocka_unit_test(guarded_memory_is_zeroed_and_writable),
    };
    return crypto_init() == OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
