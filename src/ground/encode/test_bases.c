/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ground/base/rng.h"
#include "ground/encode/base32.h"
#include "ground/encode/base45.h"
#include "ground/encode/base64.h"
#include "ground/encode/hex.h"

typedef enum err decode_fn(struct span text, uint8_t *out, size_t out_max, size_t *ret_len);
typedef void put_fn(struct buf *b, struct span bytes);

static void check_pair(put_fn *put, decode_fn *decode, const char *plain, const char *text)
{
    AUTO(buf_done) struct buf b;
    uint8_t out[64];
    size_t len = 99;

    buf_init(&b, 100);
    put(&b, span_text(plain));
    assert_string_equal(buf_text(&b), text);
    assert_int_equal(decode(span_text(text), out, sizeof out, &len), OK);
    assert_true(span_eq_text(span_of(out, len), plain));
    if (len > 0)
        assert_int_equal(decode(span_text(text), out, len - 1, &len), ERR_LIMIT);
}

static void check_bad(decode_fn *decode, const char *const *bad, size_t count)
{
    uint8_t out[64];
    size_t len = 99;
    for (size_t i = 0; i < count; i++)
        if (decode(span_text(bad[i]), out, sizeof out, &len) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(len, 99);
}

static void base45_gives_the_examples_of_its_rfc(void **state)
{
    (void)state;
    check_pair(base45_put, base45_decode, "AB", "BB8");
    check_pair(base45_put, base45_decode, "Hello!!", "%69 VD92EX0");
    check_pair(base45_put, base45_decode, "base-45", "UJCLQE7W581");
    check_pair(base45_put, base45_decode, "ietf!", "QED8WEX0");
    check_pair(base45_put, base45_decode, "", "");
}

static void base45_refuses_what_no_encoder_writes(void **state)
{
    static const char *const bad[] = {
        "A", "BB8B", "bb8", "GGW", ":::", "::", "V5", "B\n8", "BB=", "B\x80Z"};
    (void)state;
    check_bad(base45_decode, bad, COUNT_OF(bad));
}

static void base64_gives_the_examples_of_its_rfc(void **state)
{
    static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char *const text[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                       "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    static const char *const url[] = {"", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        check_pair(base64_put, base64_decode, plain[i], text[i]);
        check_pair(base64url_put, base64url_decode, plain[i], url[i]);
    }
    check_pair(base64_put, base64_decode, "\xfb\xff\xfe", "+//+");
    check_pair(base64url_put, base64url_decode, "\xfb\xff\xfe", "-__-");
}

static void base64_refuses_other_alphabets_padding_and_loose_bits(void **state)
{
    static const char *const bad[] = {"Zg",   "Zg=",  "Zg===", "Zh==", "Zm9=",     "=",
                                      "====", "Z===", "Zm 8",  "-__-", "Zg==Zg==", "Zm9v\n"};
    static const char *const bad_url[] = {"Zg==", "+//+", "Zh", "Zm9", "Z", "Zm9vY", "Zg ", "Z%"};
    (void)state;
    check_bad(base64_decode, bad, COUNT_OF(bad));
    check_bad(base64url_decode, bad_url, 7);
}

static void base32_gives_the_examples_of_its_rfc(void **state)
{
    static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char *const text[] = {"",        "MY",       "MZXQ",      "MZXW6",
                                       "MZXW6YQ", "MZXW6YTB", "MZXW6YTBOI"};
    static const char *const bad[] = {"M",  "MZX",      "MZXW6Y", "my", "MZ",
                                      "M1", "MY======", "MZXR",   "M Y"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(plain); i++)
        check_pair(base32_put, base32_decode, plain[i], text[i]);
    check_bad(base32_decode, bad, COUNT_OF(bad));
}

static void hex_is_lower_case(void **state)
{
    static const char *const bad[] = {"0", "0g", "AB", "0x", " 0", "g0"};
    char out[7];
    (void)state;
    check_pair(hex_put, hex_decode, "\xff\x10 z", "ff10207a");
    check_pair(hex_put, hex_decode, "", "");
    check_bad(hex_decode, bad, COUNT_OF(bad));
    hex_format(SPAN_LIT("\x01\xab\xcd"), out);
    assert_string_equal(out, "01abcd");
}

static void random_bytes_come_back(void **state)
{
    static const struct {
        put_fn *put;
        decode_fn *decode;
    } kinds[] = {{base45_put, base45_decode},
                 {base64_put, base64_decode},
                 {base64url_put, base64url_decode},
                 {base32_put, base32_decode},
                 {hex_put, hex_decode}};
    struct rng_seeded rng;
    uint8_t in[300], out[300];
    size_t len;
    (void)state;

    rng_seeded_init(&rng, 45);
    for (size_t round = 0; round < 2000; round++) {
        AUTO(buf_done) struct buf b;
        struct span plain = {in, rng_below(&rng.rng, sizeof in)};
        rng_fill(&rng.rng, in, plain.len);
        buf_init(&b, 1000);
        kinds[round % 5].put(&b, plain);
        assert_int_equal(kinds[round % 5].decode(buf_span(&b), out, sizeof out, &len), OK);
        assert_true(span_eq(span_of(out, len), plain));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base45_gives_the_examples_of_its_rfc),
        cmocka_unit_test(base45_refuses_what_no_encoder_writes),
        cmocka_unit_test(base64_gives_the_examples_of_its_rfc),
        cmocka_unit_test(base64_refuses_other_alphabets_padding_and_loose_bits),
        cmocka_unit_test(base32_gives_the_examples_of_its_rfc),
        cmocka_unit_test(hex_is_lower_case),
        cmocka_unit_test(random_bytes_come_back),
    };
    return cmocka_run_group_tests_name("encode/bases", tests, NULL, NULL);
}
