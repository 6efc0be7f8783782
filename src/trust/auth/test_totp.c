/* SPDX-License-Identifier: Apache-2.0 */
/* The codes: against RFC 6238 and against another program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ground/encode/base32.h"
#include "trust/auth/inner.h"

static const uint8_t rfc_secret[TOTP_SECRET_BYTES] = "12345678901234567890"; /* no terminator */

/* RFC 6238 Appendix B, SHA-1: time in seconds, the last six of its eight digits. */
static const struct {
    int64_t at_s;
    const char *code;
} vectors[] = {{59, "287082"},         {1111111109, "081804"}, {1111111111, "050471"},
               {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}};

static bool found(const uint8_t *secret, int64_t at_ms, const char *code, int64_t *ret_step)
{
    bool yes = false;
    assert_int_equal(totp_match(secret, at_ms, span_text(code), &yes, ret_step), OK);
    return yes;
}

static void codes_are_those_of_rfc_6238(void **state)
{
    char code[TOTP_DIGITS + 1];
    int64_t step;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        assert_int_equal(totp_code(rfc_secret, vectors[i].at_s / 30, code), OK);
        assert_string_equal(code, vectors[i].code);
        assert_true(found(rfc_secret, vectors[i].at_s * 1000, vectors[i].code, &step));
        assert_int_equal(step, vectors[i].at_s / 30);
    }
}

static void codes_are_those_of_another_program(void **state)
{
    char command[256], line[32], code[TOTP_DIGITS + 1];
    struct rng_seeded rng;

    (void)state;
    rng_seeded_init(&rng, 7);
    for (int i = 0; i < 20; i++) {
        uint8_t secret[TOTP_SECRET_BYTES];
        struct totp_enrolment shown;
        int64_t at_s = (int64_t)rng_below(&rng.rng, 4000000000u);

        rng_fill(&rng.rng, secret, sizeof secret);
        assert_int_equal(totp_present(secret, "Gatehouse", "a@example.org", &shown), OK);
        (void)snprintf(command, sizeof command, "oathtool --totp -b -N @%lld %s", (long long)at_s,
                       shown.secret);
        FILE *other = popen(command, "r");
        assert_non_null(other);
        char *got = fgets(line, sizeof line, other);
        int status = pclose(other);
        if (status != 0 || !got)
            fail_msg("oathtool does not run");
        assert_int_equal(totp_code(secret, at_s / 30, code), OK);
        assert_int_equal(strlen(line), TOTP_DIGITS + 1);
        assert_memory_equal(line, code, TOTP_DIGITS);
    }
}

static void one_step_of_drift_is_taken_and_two_are_not(void **state)
{
    int64_t at_ms = INT64_C(1111111111) * 1000 / TOTP_STEP_MS * TOTP_STEP_MS, step;

    (void)state;
    assert_true(found(rfc_secret, at_ms, "050471", &step));
    assert_true(found(rfc_secret, at_ms - 1, "050471", &step));
    assert_true(found(rfc_secret, at_ms - TOTP_STEP_MS, "050471", &step));
    assert_false(found(rfc_secret, at_ms - TOTP_STEP_MS - 1, "050471", &step));
    assert_true(found(rfc_secret, at_ms + 2 * TOTP_STEP_MS - 1, "050471", &step));
    assert_int_equal(step, at_ms / TOTP_STEP_MS);
    assert_false(found(rfc_secret, at_ms + 2 * TOTP_STEP_MS, "050471", &step));
    /* The first steps of all. */
    char code[TOTP_DIGITS + 1];
    assert_int_equal(totp_code(rfc_secret, 0, code), OK);
    assert_true(found(rfc_secret, 0, code, &step));
    assert_int_equal(step, 0);
}

static void only_six_right_digits_are_a_code(void **state)
{
    static const char *const bad[] = {"",        "5",       "05047",   "0504710", "50471",
                                      " 50471",  "050471 ", "+50471",  "050472",  "150471",
                                      "050 471", "o50471",  "0x50471", "14050471"};
    int64_t at_ms = INT64_C(1111111111) * 1000, step;
    bool yes = true;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(found(rfc_secret, at_ms, bad[i], &step));
    assert_int_equal(totp_match(rfc_secret, at_ms, SPAN_LIT("05047\0"), &yes, &step), OK);
    assert_false(yes);
}

/* Two neighbouring steps of one code: only the later one counts, so that it cannot be used for both. */
static void a_code_of_two_steps_is_of_the_later_one(void **state)
{
    char a[TOTP_DIGITS + 1], b[TOTP_DIGITS + 1];
    int64_t step, twin = -1;

    (void)state;
    assert_int_equal(totp_code(rfc_secret, 0, a), OK);
    for (int64_t s = 1; s < 8000000 && twin < 0; s++) {
        assert_int_equal(totp_code(rfc_secret, s, b), OK);
        if (memcmp(a, b, sizeof a) == 0)
            twin = s;
        memcpy(a, b, sizeof a);
    }
    assert_true(twin > 0);
    for (int64_t at = twin - 1; at <= twin; at++) {
        assert_true(found(rfc_secret, at * TOTP_STEP_MS, a, &step));
        assert_int_equal(step, twin);
    }
}

static void the_uri_is_what_apps_read(void **state)
{
    struct totp_enrolment shown;

    (void)state;
    assert_int_equal(totp_present(rfc_secret, "Gate & House", "ada+x@example.org", &shown), OK);
    assert_string_equal(shown.secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    assert_string_equal(shown.uri,
                        "otpauth://totp/Gate%20%26%20House:ada%2Bx%40example.org?"
                        "secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Gate%20%26%20House&"
                        "algorithm=SHA1&digits=6&period=30");
}

static void a_uri_never_overflows_and_never_loses_its_secret(void **state)
{
    struct totp_enrolment shown;
    char mail[AUTH_MAIL_MAX + 1], issuer[400];

    (void)state;
    memset(mail, '+', sizeof mail);
    mail[AUTH_MAIL_MAX] = '\0';
    for (size_t i = 0; i + 3 < sizeof issuer; i += 3)
        memcpy(issuer + i, "\xe2\x82\xac", 4); /* a euro sign is not cut in two */
    assert_int_equal(totp_present(rfc_secret, issuer, mail, &shown), OK);
    assert_true(strlen(shown.uri) < sizeof shown.uri);
    assert_non_null(strstr(shown.uri, "secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&"));
    assert_non_null(strstr(shown.uri, "%E2%82%AC:%2B"));
    assert_non_null(strstr(shown.uri, "&period=30"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_those_of_rfc_6238),
        cmocka_unit_test(codes_are_those_of_another_program),
        cmocka_unit_test(one_step_of_drift_is_taken_and_two_are_not),
        cmocka_unit_test(only_six_right_digits_are_a_code),
        cmocka_unit_test(a_code_of_two_steps_is_of_the_later_one),
        cmocka_unit_test(the_uri_is_what_apps_read),
        cmocka_unit_test(a_uri_never_overflows_and_never_loses_its_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
