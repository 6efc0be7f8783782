/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cbor.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ground/base/rng.h"
#include "ground/encode/cbor.h"
#include "ground/encode/hex.h"

static struct span from_hex(const char *hex, uint8_t *out, size_t max)
{
    size_t len = 0;
    assert_int_equal(hex_decode(span_text(hex), out, max, &len), OK);
    return span_of(out, len);
}

static enum err check_hex(const char *hex)
{
    uint8_t out[256];
    return cbor_check(from_hex(hex, out, sizeof out));
}

/* RFC 8949 appendix A, the rows of the kinds there are here. */
static void the_examples_of_the_rfc_pass(void **state)
{
    static const char *const good[] = {"00",
                                       "01",
                                       "0a",
                                       "17",
                                       "1818",
                                       "1819",
                                       "1864",
                                       "1903e8",
                                       "1a000f4240",
                                       "1b000000e8d4a51000",
                                       "1bffffffffffffffff",
                                       "3bffffffffffffffff",
                                       "20",
                                       "29",
                                       "3863",
                                       "3903e7",
                                       "f4",
                                       "f5",
                                       "f6",
                                       "c074323031332d30332d32315432303a30343a30305a",
                                       "c11a514b67b0",
                                       "d74401020304",
                                       "d818456449455446",
                                       "40",
                                       "4401020304",
                                       "60",
                                       "6161",
                                       "6449455446",
                                       "62225c",
                                       "62c3bc",
                                       "63e6b0b4",
                                       "64f0908591",
                                       "80",
                                       "83010203",
                                       "8301820203820405",
                                       "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
                                       "a0",
                                       "a201020304",
                                       "a26161016162820203",
                                       "826161a161626163",
                                       "a56161614161626142616361436164614461656145"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (check_hex(good[i]) != OK)
            fail_msg("refused: %s", good[i]);
}

static void other_encodings_are_refused(void **state)
{
    static const char *const bad[] = {"", /* nothing */
                                      "1800",
                                      "1817",
                                      "190001",
                                      "1900ff",
                                      "1a0000ffff",
                                      "1b00000000ffffffff", /* too long */
                                      "3800",
                                      "390001",
                                      "580100",
                                      "590001aa",
                                      "7801"
                                      "61",
                                      "9801"
                                      "01",
                                      "b80101"
                                      "01",
                                      "d80100",
                                      "5f42010243030405ff",
                                      "7f657374726561646d696e67ff",
                                      "9fff",
                                      "bfff",
                                      "9f01ff", /* indefinite */
                                      "1c",
                                      "1d",
                                      "1e",
                                      "1f",
                                      "fc",
                                      "fd",
                                      "fe",
                                      "ff",
                                      "3f",
                                      "df", /* reserved */
                                      "f90000",
                                      "fa47c35000",
                                      "fb3ff199999999999a", /* floating point */
                                      "f7",
                                      "f0",
                                      "e0",
                                      "f820",
                                      "f8ff",
                                      "f814",
                                      "f3", /* simple values */
                                      "a201020102",
                                      "a203040102",
                                      "a2616201616101",
                                      "a2626161016162"
                                      "01",
                                      "a2200101"
                                      "01", /* keys */
                                      "61ff",
                                      "62c080",
                                      "63eda080",
                                      "64f4908080",
                                      "61c3", /* UTF-8 */
                                      "0000",
                                      "8000",
                                      "f6f6", /* after the item */
                                      "44010203",
                                      "6261",
                                      "8201",
                                      "a101",
                                      "d7",
                                      "19",
                                      "1903",
                                      "83",
                                      "9affffffff",
                                      "9bffffffffffffffff",
                                      "5bffffffffffffffff",
                                      "bbffffffffffffffff",
                                      "a1", /* cut off */
                                      "818181818181818181"
                                      "00"}; /* depth 9 */
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (check_hex(bad[i]) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(check_hex("818181818181818100"), OK); /* depth 8 */
    assert_int_equal(check_hex("c6c6c6c6c6c6c6c600"), OK);
    assert_int_equal(check_hex("c6c6c6c6c6c6c6c6c600"), ERR_INVALID);
}

static void keys_are_ordered_by_their_bytes(void **state)
{
    (void)state;
    /* 10, 100, -1, "z", "aa", [100], [-1], false: the order that RFC 8949 section 4.2.1 gives as its example */
    assert_int_equal(check_hex("a80a0018640020006"
                               "17a006261610081186400812000f400"),
                     OK);
    assert_int_equal(check_hex("a21864000a00"), ERR_INVALID);
}

static void what_is_put_can_be_read(void **state)
{
    AUTO(buf_done) struct buf b;
    struct cbor_reader r;
    uint64_t n, u;
    int64_t i;
    struct span s, item;
    bool yes;
    enum cbor_kind kind;
    (void)state;

    buf_init(&b, 1000);
    cbor_put_tag(&b, 18);
    cbor_put_array(&b, 7);
    cbor_put_uint(&b, UINT64_MAX);
    cbor_put_int(&b, INT64_MIN);
    cbor_put_bytes(&b, SPAN_LIT("\0\1"));
    cbor_put_text(&b, SPAN_LIT("ok"));
    cbor_put_bool(&b, true);
    cbor_put_map(&b, 1);
    cbor_put_int(&b, -8);
    cbor_put_int(&b, 1000);
    cbor_put_array(&b, 0);
    assert_int_equal(cbor_open(buf_span(&b), &r), OK);
    assert_int_equal(cbor_read_tag(&r, &n), OK);
    assert_int_equal(n, 18);
    assert_int_equal(cbor_read_map(&r, 9, &n), ERR_INVALID);
    assert_int_equal(cbor_read_array(&r, 6, &n), ERR_INVALID);
    assert_int_equal(cbor_read_array(&r, 7, &n), OK);
    assert_int_equal(cbor_read_int(&r, &i), ERR_INVALID);
    assert_int_equal(cbor_read_uint(&r, UINT64_MAX - 1, &u), ERR_INVALID);
    assert_int_equal(cbor_read_uint(&r, UINT64_MAX, &u), OK);
    assert_true(u == UINT64_MAX);
    assert_int_equal(cbor_read_int(&r, &i), OK);
    assert_true(i == INT64_MIN);
    assert_int_equal(cbor_read_text(&r, 9, &s), ERR_INVALID);
    assert_int_equal(cbor_read_bytes(&r, 1, &s), ERR_INVALID);
    assert_int_equal(cbor_read_bytes(&r, 2, &s), OK);
    assert_true(span_eq(s, SPAN_LIT("\0\1")));
    assert_int_equal(cbor_read_text(&r, 2, &s), OK);
    assert_int_equal(cbor_peek(&r, &kind), OK);
    assert_int_equal(kind, CBOR_SIMPLE);
    assert_int_equal(cbor_read_bool(&r, &yes), OK);
    assert_true(yes);
    assert_int_equal(cbor_end(&r), ERR_INVALID);
    assert_int_equal(cbor_skip(&r, &item), OK);
    assert_true(span_eq(item, SPAN_LIT("\xa1\x27\x19\x03\xe8")));
    assert_int_equal(cbor_skip(&r, NULL), OK);
    assert_int_equal(cbor_end(&r), OK);
    assert_int_equal(cbor_peek(&r, &kind), ERR_INVALID);
    assert_int_equal(cbor_skip(&r, NULL), ERR_INVALID);
}

static void booleans_are_not_null(void **state)
{
    struct cbor_reader r;
    bool yes;
    (void)state;
    assert_int_equal(cbor_open(SPAN_LIT("\xf6"), &r), OK);
    assert_int_equal(cbor_read_bool(&r, &yes), ERR_INVALID);
    assert_int_equal(cbor_open(SPAN_LIT("\xf4"), &r), OK);
    assert_int_equal(cbor_read_bool(&r, &yes), OK);
    assert_false(yes);
}

/* A random deterministic item is what libcbor understands too, and any mutation that passes still has one encoding. */
static void put_random(struct buf *b, const struct rng *rng, int depth)
{
    uint8_t bytes[4] = "abcd";
    uint64_t n = rng_below(rng, 3);

    switch (rng_below(rng, depth < 5 ? 7 : 4)) {
    case 0:
        cbor_put_uint(b, rng_below(rng, UINT64_MAX) >> rng_below(rng, 64));
        return;
    case 1:
        cbor_put_int(b, (int64_t)(rng_below(rng, UINT64_MAX) >> rng_below(rng, 64)));
        return;
    case 2:
        cbor_put_bytes(b, span_of(bytes, n));
        return;
    case 3:
        cbor_put_text(b, span_of(bytes, n));
        return;
    case 4:
        cbor_put_array(b, n);
        break;
    case 5:
        cbor_put_tag(b, n);
        n = 1;
        break;
    default:
        cbor_put_map(b, n);
        for (uint64_t i = 0; i < n; i++) {
            cbor_put_uint(b, i);
            put_random(b, rng, depth + 1);
        }
        return;
    }
    for (uint64_t i = 0; i < n; i++)
        put_random(b, rng, depth + 1);
}

static void check_with_libcbor(struct span s)
{
    struct cbor_load_result result;
    unsigned char *again = NULL;
    size_t size = 0;

    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] >= 0xc6 && s.data[i] <= 0xd4)
            return; /* perhaps a short tag, which libcbor 0.8 does not know */
    cbor_item_t *item = cbor_load(s.data, s.len, &result);
    assert_non_null(item);
    assert_int_equal(result.read, s.len);
    size_t len = cbor_serialize_alloc(item, &again, &size);
    assert_true(span_eq(span_of(again, len), s));
    free(again);
    cbor_decref(&item);
}

static void libcbor_agrees(void **state)
{
    struct rng_seeded rng;
    size_t passed = 0;
    (void)state;

    rng_seeded_init(&rng, 8949);
    for (int round = 0; round < 20000; round++) {
        AUTO(buf_done) struct buf b;
        buf_init(&b, 4096);
        put_random(&b, &rng.rng, 0);
        assert_int_equal(cbor_check(buf_span(&b)), OK);
        check_with_libcbor(buf_span(&b));
        b.data[rng_below(&rng.rng, b.len)] ^= (uint8_t)(1u << rng_below(&rng.rng, 8));
        if (cbor_check(buf_span(&b)) == OK) {
            check_with_libcbor(buf_span(&b));
            passed++;
        }
    }
    assert_true(passed > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc_pass),
        cmocka_unit_test(other_encodings_are_refused),
        cmocka_unit_test(keys_are_ordered_by_their_bytes),
        cmocka_unit_test(what_is_put_can_be_read),
        cmocka_unit_test(booleans_are_not_null),
        cmocka_unit_test(libcbor_agrees),
    };
    return cmocka_run_group_tests_name("encode/cbor", tests, NULL, NULL);
}
