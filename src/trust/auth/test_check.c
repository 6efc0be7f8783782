/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "trust/auth/inner.h"

static void mail_addresses_are_taken_in_one_form(void **state)
{
    static const char *const good[][2] = {
        {"ada@example.org", "ada@example.org"},
        {"Ada.Lovelace+tickets@Example.ORG", "ada.lovelace+tickets@example.org"},
        {"o'neil_{x}@a-b.xn--p1ai", "o'neil_{x}@a-b.xn--p1ai"},
        {"1@1.a1", "1@1.a1"},
    };
    char out[AUTH_MAIL_MAX + 1], longest[AUTH_MAIL_MAX + 2];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_int_equal(auth_mail_check(span_text(good[i][0]), out), OK);
        assert_string_equal(out, good[i][1]);
    }
    memset(longest, 'a', sizeof longest);
    longest[64] = '@';
    for (size_t i = 128; i < sizeof longest; i += 63)
        longest[i] = '.';
    assert_int_equal(auth_mail_check(span_of(longest, AUTH_MAIL_MAX), out), OK);
    assert_int_equal(auth_mail_check(span_of(longest, AUTH_MAIL_MAX + 1), out), ERR_INVALID);
}

static void what_is_no_mail_address_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "@",
        "ada",
        "ada@",
        "@example.org",
        "ada@localhost",
        "ada@@example.org",
        "a@b@example.org",
        " ada@example.org",
        "ada@example.org ",
        "a da@example.org",
        "ada@exa mple.org",
        ".ada@example.org",
        "ada.@example.org",
        "a..b@example.org",
        "\"ada\"@example.org",
        "ada@.example.org",
        "ada@example..org",
        "ada@example.org.",
        "ada@-example.org",
        "ada@example-.org",
        "ada@192.168.0.1",
        "ada@[192.168.0.1]",
        "ad\xc3\xa4@example.org",
        "ada@ex\xc3\xa4mple.org",
        "ada@example.org\r\nBcc: eve@example.org",
        "ada\t@example.org",
        "ada,eve@example.org",
        "ada<eve@example.org>",
        "ada@example.o_rg",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.org",
        "a@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org",
    };
    char out[AUTH_MAIL_MAX + 1];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (auth_mail_check(span_text(bad[i]), out) != ERR_INVALID)
            fail_msg("taken: %s", bad[i]);
    assert_string_equal(err_last()->slug, "bad_mail");
    assert_int_equal(auth_mail_check(SPAN_LIT("ad\0a@example.org"), out), ERR_INVALID);
    assert_int_equal(auth_mail_check(SPAN_LIT("ada@exam\0ple.org"), out), ERR_INVALID);
}

static enum err check(struct span password, bool staff)
{
    return auth_password_check(password, SPAN_LIT("Grace.Brewster@cobol-example.org"),
                               SPAN_LIT("Grace Brewster Hopper"), staff);
}

static void refused(const char *password, bool staff, const char *why)
{
    if (check(span_text(password), staff) != ERR_INVALID)
        fail_msg("taken: %s", password);
    assert_string_equal(err_last()->slug, "bad_password");
    if (!strstr(err_last()->detail, why))
        fail_msg("%s: %s", password, err_last()->detail);
    if (strcmp(password, "password") != 0 && strstr(err_last()->detail, password))
        fail_msg("the reason repeats the password");
}

static void passwords_are_counted_in_characters(void **state)
{
    (void)state;
    assert_int_equal(check(SPAN_LIT("8 chars!"), false), OK);
    refused("7 chars", false, "at least 8");
    /* Eight characters of two bytes, seven of four. */
    assert_int_equal(
        check(SPAN_LIT("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f"), false),
        OK);
    refused("\xf0\x9f\x90\x88\xf0\x9f\x90\x88\xf0\x9f\x90\x88\xf0\x9f\x90\x88\xf0\x9f\x90\x88\xf0"
            "\x9f\x90\x88\xf0\x9f\x90\x88",
            false, "at least 8");
    assert_int_equal(check(SPAN_LIT("fifteen of them"), true), OK);
    refused("only fourteen.", true, "at least 15");
    assert_int_equal(check(SPAN_LIT("only fourteen."), false), OK);
    refused("not utf-8 \xff\xfe", false, "UTF-8");
    char longest[AUTH_PASSWORD_MAX + 1];
    for (size_t i = 0; i < sizeof longest; i++)
        longest[i] = (char)('a' + i % 23);
    assert_int_equal(check(span_of(longest, AUTH_PASSWORD_MAX), true), OK);
    assert_int_equal(check(span_of(longest, AUTH_PASSWORD_MAX + 1), true), ERR_INVALID);
}

static void passwords_that_are_guessed_first_are_refused(void **state)
{
    (void)state;
    refused("password", false, "guessed first");
    refused("PassWord1", false, "guessed first");
    refused("12345678", false, "guessed first");
    refused("iloveyou", false, "guessed first");
    refused("gatehouse123", false, "guessed first");
    refused("Correct horse battery staple", true, "guessed first");
    refused("qwertyuiopasdfghjklzxcvbnm", true, "guessed first");
    assert_int_equal(check(SPAN_LIT("password!gatehouse"), true), OK);
    assert_int_equal(check(SPAN_LIT("# Permission is hereby granted"), true),
                     OK); /* a comment of the list */
    refused("grace.brewster@cobol-example.org", true, "mail address");
    refused("GRACE.BREWSTER", false, "mail address");
    refused("cobol-example.org", true, "mail address");
    refused("grace brewster hopper", true, "is the name");
}

static void the_list_is_what_the_comment_says(void **state)
{
    size_t words = 0;
    struct span before = SPAN_LIT("");

    (void)state;
    assert_int_equal(auth_texts_count, 1);
    for (struct span rest = span_of(auth_texts[0].data, auth_texts[0].len); rest.len > 0;) {
        size_t end = span_find(rest, '\n');
        struct span line = span_sub(rest, 0, end);
        rest = span_sub(rest, end + 1, rest.len);
        if (line.data[0] == '#')
            continue;
        words++;
        assert_true(line.len >= AUTH_PASSWORD_MIN && line.len <= AUTH_PASSWORD_MAX);
        for (size_t i = 0; i < line.len; i++)
            assert_true(line.data[i] >= ' ' && line.data[i] < 127 &&
                        !(line.data[i] >= 'A' && line.data[i] <= 'Z'));
        int order = memcmp(before.data, line.data, before.len < line.len ? before.len : line.len);
        assert_true(order < 0 || (order == 0 && before.len < line.len));
        before = line;
    }
    assert_true(words >= 3000);
}

static void a_hash_is_of_the_cost_asked_for(void **state)
{
    char fan[PASSWORD_HASH_MAX], staff[PASSWORD_HASH_MAX], longest[AUTH_PASSWORD_MAX + 1];

    (void)state;
    memset(longest, 'x', sizeof longest);
    assert_int_equal(auth_password_hash(SPAN_LIT("a password"), false, fan), OK);
    assert_int_equal(auth_password_hash(SPAN_LIT("a password"), true, staff), OK);
    assert_non_null(strstr(fan, "$argon2id$v=19$m=19456,t=2,p=1$"));
    assert_non_null(strstr(staff, "$argon2id$v=19$m=65536,t=3,p=1$"));
    assert_int_equal(auth_password_hash(SPAN_ARRAY(longest), false, fan), ERR_INVALID);
}

static int start(void **state)
{
    (void)state;
    return crypto_init() == OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_addresses_are_taken_in_one_form),
        cmocka_unit_test(what_is_no_mail_address_is_refused),
        cmocka_unit_test(passwords_are_counted_in_characters),
        cmocka_unit_test(passwords_that_are_guessed_first_are_refused),
        cmocka_unit_test(the_list_is_what_the_comment_says),
        cmocka_unit_test(a_hash_is_of_the_cost_asked_for),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
