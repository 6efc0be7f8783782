/* SPDX-License-Identifier: Apache-2.0 */
/* The published examples: ours verify, all others are refused by name; what is signed is what the examples say is signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ground/base/disk.h"
#include "ground/encode/hex.h"
#include "ground/encode/json.h"
#include "trust/credential/cose.h"

enum { BYTES_MAX = 1024 };

static struct json_doc *load(const char *name)
{
    AUTO(disk_close) struct disk disk;
    AUTO(buf_done) struct buf text;
    struct json_doc *doc = NULL;

    buf_init(&text, 1 << 20);
    assert_int_equal(disk_open(VECTORS_DIR "/cose", &disk), OK);
    assert_int_equal(disk.read(disk.self, name, &text), OK);
    assert_int_equal(json_parse(buf_span(&text), 1 << 20, &doc), OK);
    return doc;
}

/* Hexadecimal in either case, as the examples have it. */
static struct span member_hex(struct json_object *o, const char *key, uint8_t *out)
{
    char lower[2 * BYTES_MAX];
    struct span s;
    size_t len;

    assert_int_equal(json_need_text(o, key, sizeof lower, &s), OK);
    for (size_t i = 0; i < s.len; i++)
        lower[i] = (char)(s.data[i] >= 'A' && s.data[i] <= 'F' ? s.data[i] + 32 : s.data[i]);
    assert_int_equal(hex_decode(span_of(lower, s.len), out, BYTES_MAX, &len), OK);
    return span_of(out, len);
}

struct example {
    const char *file, *slug; /* NULL: parses and verifies */
};

static struct span message_of(const struct json_doc *doc, uint8_t *out)
{
    struct json_object root, output;
    assert_int_equal(json_root(doc, &root), OK);
    assert_int_equal(json_need_object(&root, "output", &output), OK);
    return member_hex(&output, "cbor", out);
}

static void each_signature_is_judged_by_name(void **state)
{
    static const struct example examples[] = {
        {"eddsa-examples/eddsa-sig-01.json", NULL},
        {"eddsa-examples/eddsa-sig-02.json", "bad_signature"}, /* Ed448 */
        {"sign1-tests/sign-fail-01.json", "bad_tag"},          /* 998 */
        {"sign1-tests/sign-fail-02.json", "bad_algorithm"},    /* ES256, as all that follow */
        {"sign1-tests/sign-fail-03.json", "bad_algorithm"},    /* -999 */
        {"sign1-tests/sign-fail-04.json", "bad_algorithm"},    /* "unknown" */
        {"sign1-tests/sign-fail-06.json", "bad_algorithm"},
        {"sign1-tests/sign-fail-07.json", "bad_algorithm"},
        {"sign1-tests/sign-pass-01.json", "bad_algorithm"}, /* not in the protected header */
        {"sign1-tests/sign-pass-02.json", "bad_algorithm"},
        {"sign1-tests/sign-pass-03.json", "bad_tag"}, /* none */
        {"CWT/A_3.json", "bad_algorithm"},
        {"CWT/A_4.json", "bad_tag"}, /* COSE_Mac0 */
        {"CWT/A_5.json", "bad_tag"}, /* COSE_Encrypt0 */
        {"CWT/A_6.json", "bad_tag"},
        {"CWT/A_7.json", "bad_tag"}};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(examples); i++) {
        AUTO(json_doc_free) struct json_doc *doc = load(examples[i].file);
        uint8_t bytes[BYTES_MAX], key[BYTES_MAX] = {0};
        struct json_object root, input, sign, jwk;
        struct cose_sign1 m;
        struct span message = message_of(doc, bytes);
        enum err e = cose_sign1_parse(message, &m);

        if (e == OK) {
            assert_int_equal(json_root(doc, &root), OK);
            assert_int_equal(json_need_object(&root, "input", &input), OK);
            assert_int_equal(json_need_object(&input, "sign0", &sign), OK);
            assert_int_equal(json_need_object(&sign, "key", &jwk), OK);
            (void)member_hex(&jwk, "x_hex", key);
            e = cose_sign1_verify(&m, (struct span){0}, key);
        }
        if ((e == OK) != (examples[i].slug == NULL) ||
            (examples[i].slug && strcmp(err_last()->slug, examples[i].slug) != 0))
            fail_msg("%s: %s", examples[i].file, e == OK ? "verified" : err_last()->slug);
    }
}

static void each_encryption_is_judged_by_name(void **state)
{
    static const struct example examples[] = {
        {"aes-gcm-examples/aes-gcm-enc-03.json", NULL},            /* AES-256 */
        {"aes-gcm-examples/aes-gcm-enc-01.json", "bad_algorithm"}, /* AES-128, as all that follow */
        {"aes-gcm-examples/aes-gcm-enc-02.json", "bad_algorithm"}, /* AES-192 */
        {"aes-gcm-examples/aes-gcm-enc-04.json", "bad_algorithm"},
        {"encrypted-tests/aes-gcm-01.json", "bad_algorithm"},
        {"encrypted-tests/enc-fail-01.json", "bad_tag"},
        {"encrypted-tests/enc-fail-02.json", "bad_algorithm"},
        {"encrypted-tests/enc-fail-03.json", "bad_algorithm"},
        {"encrypted-tests/enc-fail-04.json", "bad_algorithm"},
        {"encrypted-tests/enc-fail-06.json", "bad_algorithm"},
        {"encrypted-tests/enc-fail-07.json", "bad_algorithm"},
        {"encrypted-tests/enc-pass-01.json", "bad_algorithm"},
        {"encrypted-tests/enc-pass-02.json", "bad_algorithm"},
        {"encrypted-tests/enc-pass-03.json", "bad_tag"},
        {"CWT/A_5.json", "bad_algorithm"}, /* AES-CCM */
        {"CWT/A_6.json", "bad_algorithm"},
        {"CWT/A_3.json", "bad_tag"},
        {"CWT/A_4.json", "bad_tag"}};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(examples); i++) {
        AUTO(json_doc_free) struct json_doc *doc = load(examples[i].file);
        uint8_t bytes[BYTES_MAX], key[BYTES_MAX] = {0}, plain[BYTES_MAX];
        struct json_object root, between;
        struct cose_encrypt0 m;
        struct span message = message_of(doc, bytes);
        enum err e = cose_encrypt0_parse(message, &m);

        if (e == OK) {
            assert_int_equal(json_root(doc, &root), OK);
            assert_int_equal(json_need_object(&root, "intermediates", &between), OK);
            (void)member_hex(&between, "CEK_hex", key);
            e = cose_encrypt0_open(&m, (struct span){0}, key, plain);
        }
        if ((e == OK) != (examples[i].slug == NULL) ||
            (examples[i].slug && strcmp(err_last()->slug, examples[i].slug) != 0))
            fail_msg("%s: %s", examples[i].file, e == OK ? "opened" : err_last()->slug);
        if (e == OK)
            assert_true(span_eq_text(span_of(plain, m.ciphertext.len - AES256GCM_TAG_BYTES),
                                     "This is the content."));
    }
}

/* The good examples of other algorithms still say which bytes are signed; sign-pass-01 is the empty protected map. */
static void what_is_signed_is_what_the_examples_say(void **state)
{
    static const struct {
        const char *file, *protected_map, *external;
    } examples[] = {{"eddsa-examples/eddsa-sig-01.json", "a201270300", ""},
                    {"eddsa-examples/eddsa-sig-02.json", "a10127", ""},
                    {"sign1-tests/sign-pass-01.json", "a0", ""},
                    {"sign1-tests/sign-pass-01.json", "", ""},
                    {"sign1-tests/sign-pass-02.json", "a10126", "11aa22bb33cc44dd55006699"},
                    {"sign1-tests/sign-pass-03.json", "a10126", ""}};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(examples); i++) {
        AUTO(json_doc_free) struct json_doc *doc = load(examples[i].file);
        AUTO(buf_done) struct buf built;
        uint8_t wanted[BYTES_MAX], map[16], external[16];
        size_t map_len, external_len;
        struct json_object root, between;

        assert_int_equal(
            hex_decode(span_text(examples[i].protected_map), map, sizeof map, &map_len), OK);
        assert_int_equal(
            hex_decode(span_text(examples[i].external), external, sizeof external, &external_len),
            OK);
        assert_int_equal(json_root(doc, &root), OK);
        assert_int_equal(json_need_object(&root, "intermediates", &between), OK);
        buf_init(&built, BYTES_MAX);
        cose_put_sig_structure(&built, span_of(map, map_len), span_of(external, external_len),
                               SPAN_LIT("This is the content."));
        assert_true(span_eq(buf_span(&built), member_hex(&between, "ToBeSign_hex", wanted)));
    }
}

static void what_is_authenticated_is_what_the_examples_say(void **state)
{
    static const struct {
        const char *file, *protected_map, *external;
    } examples[] = {{"aes-gcm-examples/aes-gcm-enc-03.json", "a10103", ""},
                    {"encrypted-tests/enc-pass-01.json", "a0", ""},
                    {"encrypted-tests/enc-pass-02.json", "a10101", "0011bbcc22dd4455dd220099"},
                    {"encrypted-tests/enc-pass-03.json", "", ""}};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(examples); i++) {
        AUTO(json_doc_free) struct json_doc *doc = load(examples[i].file);
        AUTO(buf_done) struct buf built;
        uint8_t wanted[BYTES_MAX], map[16], external[16];
        size_t map_len, external_len;
        struct json_object root, between;

        assert_int_equal(
            hex_decode(span_text(examples[i].protected_map), map, sizeof map, &map_len), OK);
        assert_int_equal(
            hex_decode(span_text(examples[i].external), external, sizeof external, &external_len),
            OK);
        assert_int_equal(json_root(doc, &root), OK);
        assert_int_equal(json_need_object(&root, "intermediates", &between), OK);
        buf_init(&built, BYTES_MAX);
        cose_put_enc_structure(&built, span_of(map, map_len), span_of(external, external_len));
        assert_true(span_eq(buf_span(&built), member_hex(&between, "AAD_hex", wanted)));
    }
}

static void messages_of_ours_come_back_and_external_data_counts(void **state)
{
    static const uint8_t kid[COSE_KID_BYTES] = "kid1", iv[AES256GCM_IV_BYTES] = "twelve bytes";
    AUTO(buf_done) struct buf out;
    AUTO(secret32_wipe) struct secret32 key;
    struct ed25519_key signer;
    struct cose_sign1 s;
    struct cose_encrypt0 e;
    uint8_t plain[64];
    (void)state;

    ed25519_key_random(&signer);
    secret32_random(&key);
    buf_init(&out, 1000);
    assert_int_equal(cose_sign1_make(&signer, kid, SPAN_LIT("payload"), &out), OK);
    assert_int_equal(cose_sign1_parse(buf_span(&out), &s), OK);
    assert_true(span_eq_text(s.payload, "payload"));
    assert_true(span_eq(s.headers.kid, SPAN_ARRAY(kid)));
    assert_int_equal(cose_sign1_verify(&s, (struct span){0}, signer.public_key), OK);
    assert_int_equal(cose_sign1_verify(&s, SPAN_LIT("x"), signer.public_key), ERR_DENIED);
    assert_int_equal(cose_encrypt0_parse(buf_span(&out), &e), ERR_INVALID);

    buf_reset(&out);
    assert_int_equal(cose_encrypt0_make(key.b, kid, iv, SPAN_LIT("content"), &out), OK);
    assert_int_equal(cose_encrypt0_parse(buf_span(&out), &e), OK);
    assert_int_equal(cose_encrypt0_open(&e, (struct span){0}, key.b, plain), OK);
    assert_memory_equal(plain, "content", 7);
    assert_int_equal(cose_encrypt0_open(&e, SPAN_LIT("x"), key.b, plain), ERR_DENIED);
    key.b[31] ^= 1;
    assert_int_equal(cose_encrypt0_open(&e, (struct span){0}, key.b, plain), ERR_DENIED);
    assert_int_equal(cose_sign1_parse(buf_span(&out), &s), ERR_INVALID);
    ed25519_key_wipe(&signer);
}

static int start(void **state)
{
    (void)state;
    return crypto_init() == OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_signature_is_judged_by_name),
        cmocka_unit_test(each_encryption_is_judged_by_name),
        cmocka_unit_test(what_is_signed_is_what_the_examples_say),
        cmocka_unit_test(what_is_authenticated_is_what_the_examples_say),
        cmocka_unit_test(messages_of_ours_come_back_and_external_data_counts),
    };
    return cmocka_run_group_tests_name("credential/cose", tests, start, NULL);
}
