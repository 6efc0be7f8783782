/* SPDX-License-Identifier: Apache-2.0 */
/* Every published vector that our primitives claim to satisfy, the rejected ones above all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "ground/crypto/crypto.h"

enum { FIELD_MAX = 8192 };

struct field {
    uint8_t data[FIELD_MAX];
    struct span s;
};

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void get_hex(const json_t *test, const char *name, struct field *f)
{
    const char *hex = json_string_value(json_object_get(test, name));
    assert_non_null(hex);
    size_t n = strlen(hex) / 2;
    assert_true(n <= sizeof f->data);
    for (size_t i = 0; i < n; i++)
        f->data[i] = (uint8_t)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    f->s = span_of(f->data, n);
}

static bool is_valid(const json_t *test)
{
    return strcmp(json_string_value(json_object_get(test, "result")), "valid") == 0;
}

static json_int_t number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

/* Runs check on every test; returns how many. */
static size_t each(const char *file, size_t (*check)(const json_t *group, const json_t *test))
{
    char path[512];
    json_t *group, *test;
    size_t i, k, ran = 0;

    snprintf(path, sizeof path, "%s/%s", WYCHEPROOF_DIR, file);
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        json_array_foreach(json_object_get(group, "tests"), k, test)
        {
            ran += check(group, test);
        }
    }
    json_decref(root);
    return ran;
}

static size_t check_ed25519(const json_t *group, const json_t *test)
{
    static struct field key, message, signature;
    enum err e = ERR_DENIED;

    get_hex(json_object_get(group, "publicKey"), "pk", &key);
    get_hex(test, "msg", &message);
    get_hex(test, "sig", &signature);
    assert_int_equal(key.s.len, ED25519_PUBLIC_BYTES);
    if (signature.s.len == ED25519_SIGNATURE_BYTES) /* our interface has no other length */
        e = ed25519_verify(key.data, message.s, signature.data);
    if ((e == OK) != is_valid(test))
        fail_msg("ed25519 tcId %d", (int)number(test, "tcId"));
    return 1;
}

static void ed25519_agrees(void **state)
{
    (void)state;
    assert_int_equal(each("ed25519_test.json", check_ed25519), 151);
}

static size_t check_gcm(const json_t *group, const json_t *test)
{
    static struct field key, iv, aad, plain, sealed, tag;
    uint8_t out[FIELD_MAX + 16];

    if (number(group, "keySize") != 256 || number(group, "ivSize") != 96 ||
        number(group, "tagSize") != 128)
        return 0;
    get_hex(test, "key", &key);
    get_hex(test, "iv", &iv);
    get_hex(test, "aad", &aad);
    get_hex(test, "msg", &plain);
    get_hex(test, "ct", &sealed);
    get_hex(test, "tag", &tag);
    memcpy(sealed.data + sealed.s.len, tag.data, tag.s.len);
    sealed.s.len += tag.s.len;
    enum err e = aes256gcm_open(key.data, iv.data, aad.s, sealed.s, out);
    if ((e == OK) != is_valid(test))
        fail_msg("aes_gcm tcId %d", (int)number(test, "tcId"));
    if (e == OK) {
        assert_true(span_eq(span_of(out, plain.s.len), plain.s));
        assert_int_equal(aes256gcm_seal(key.data, iv.data, aad.s, plain.s, out), OK);
        assert_true(span_eq(span_of(out, sealed.s.len), sealed.s));
    }
    return 1;
}

static void aes256gcm_agrees(void **state)
{
    (void)state;
    assert_true(each("aes_gcm_test.json", check_gcm) >= 60);
}

static size_t check_xchacha(const json_t *group, const json_t *test)
{
    static struct field key, nonce, aad, plain, cipher, tag, box;
    uint8_t out[FIELD_MAX];

    if (number(group, "ivSize") != 192 || number(group, "tagSize") != 128)
        return 0;
    get_hex(test, "key", &key);
    get_hex(test, "iv", &nonce);
    get_hex(test, "aad", &aad);
    get_hex(test, "msg", &plain);
    get_hex(test, "ct", &cipher);
    get_hex(test, "tag", &tag);
    memcpy(box.data, nonce.data, 24);
    memcpy(box.data + 24, cipher.data, cipher.s.len);
    memcpy(box.data + 24 + cipher.s.len, tag.data, 16);
    box.s = span_of(box.data, cipher.s.len + SEALED_BOX_OVERHEAD);
    enum err e = sealed_box_open(key.data, aad.s, box.s, out);
    if ((e == OK) != is_valid(test))
        fail_msg("xchacha20_poly1305 tcId %d", (int)number(test, "tcId"));
    if (e == OK)
        assert_true(span_eq(span_of(out, plain.s.len), plain.s));
    return 1;
}

static void sealed_box_agrees(void **state)
{
    (void)state;
    assert_true(each("xchacha20_poly1305_test.json", check_xchacha) >= 250);
}

static size_t check_hmac(const json_t *group, const json_t *test)
{
    static struct field key, message, tag;
    uint8_t mac[SHA256_BYTES];

    (void)group;
    get_hex(test, "key", &key);
    get_hex(test, "msg", &message);
    get_hex(test, "tag", &tag);
    hmac_sha256(key.s, message.s, mac);
    if (span_eq(span_of(mac, tag.s.len), tag.s) != is_valid(test))
        fail_msg("hmac_sha256 tcId %d", (int)number(test, "tcId"));
    return 1;
}

static void hmac_sha256_agrees(void **state)
{
    (void)state;
    assert_int_equal(each("hmac_sha256_test.json", check_hmac), 174);
}

static size_t check_hkdf(const json_t *group, const json_t *test)
{
    static struct field ikm, salt, info, okm;
    static uint8_t out[HKDF_OUT_MAX];
    json_int_t size = number(test, "size");

    (void)group;
    if (size > HKDF_OUT_MAX) {
        assert_false(is_valid(test));
        return 1;
    }
    get_hex(test, "ikm", &ikm);
    get_hex(test, "salt", &salt);
    get_hex(test, "info", &info);
    get_hex(test, "okm", &okm);
    hkdf_sha256(salt.s, ikm.s, info.s, out, (size_t)size);
    if (span_eq(span_of(out, (size_t)size), okm.s) != is_valid(test))
        fail_msg("hkdf_sha256 tcId %d", (int)number(test, "tcId"));
    return 1;
}

static void hkdf_sha256_agrees(void **state)
{
    (void)state;
    assert_int_equal(each("hkdf_sha256_test.json", check_hkdf), 86);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ed25519_agrees),     cmocka_unit_test(aes256gcm_agrees),
        cmocka_unit_test(sealed_box_agrees),  cmocka_unit_test(hmac_sha256_agrees),
        cmocka_unit_test(hkdf_sha256_agrees),
    };
    return crypto_init() == OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
