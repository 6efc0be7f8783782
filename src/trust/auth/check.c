/* SPDX-License-Identifier: Apache-2.0 */
/* check - which mail addresses and passwords are taken. No account is needed to ask. */
#include "trust/auth/inner.h"

#include <string.h>

enum { MAIL_LOCAL_MAX = 64, LABEL_MAX = 63 };

static bool is_alpha_num(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* RFC 5322 dot-atom; quoted local parts and non-ASCII ones are not taken. */
static bool local_part_ok(struct span s)
{
    if (s.len == 0 || s.len > MAIL_LOCAL_MAX || s.data[0] == '.' || s.data[s.len - 1] == '.')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (c == '.' ? s.data[i - 1] == '.'
                     : !is_alpha_num(c) && (c == 0 || !strchr("!#$%&'*+-/=?^_`{|}~", c)))
            return false;
    }
    return true;
}

static bool label_ok(struct span s)
{
    if (s.len == 0 || s.len > LABEL_MAX || s.data[0] == '-' || s.data[s.len - 1] == '-')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_alpha_num(s.data[i]) && s.data[i] != '-')
            return false;
    return true;
}

static bool domain_ok(struct span s)
{
    size_t labels = 0;
    bool letter = false;

    for (;;) {
        size_t dot = span_find(s, '.');
        struct span label = span_sub(s, 0, dot);

        if (!label_ok(label))
            return false;
        labels++;
        letter = false; /* of the last label: an IPv4 address is no host name */
        for (size_t i = 0; i < label.len; i++)
            letter = letter || label.data[i] > '9';
        if (dot >= s.len)
            break;
        s = span_sub(s, dot + 1, s.len);
    }
    return labels >= 2 && letter;
}

enum err auth_mail_check(struct span mail, char ret_mail[AUTH_MAIL_MAX + 1])
{
    size_t at = span_find(mail, '@');

    if (mail.len > AUTH_MAIL_MAX || at >= mail.len || !local_part_ok(span_sub(mail, 0, at)) ||
        !domain_ok(span_sub(mail, at + 1, mail.len)))
        FAIL_AT("#/mail", ERR_INVALID, "bad_mail", "A mail address looks like name@example.org.");
    for (size_t i = 0; i < mail.len; i++)
        ret_mail[i] = (char)lower(mail.data[i]);
    ret_mail[mail.len] = '\0';
    return OK;
}

/* ASCII case does not count. */
static bool same_words(struct span a, struct span b)
{
    if (a.len != b.len || a.len == 0)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

static bool is_common(struct span password)
{
    for (size_t t = 0; t < auth_texts_count; t++) {
        struct span rest = span_of(auth_texts[t].data, auth_texts[t].len);

        while (rest.len > 0) {
            size_t end = span_find(rest, '\n');
            if (rest.data[0] != '#' && same_words(span_sub(rest, 0, end), password))
                return true;
            rest = span_sub(rest, end + 1, rest.len);
        }
    }
    return false;
}

#define ENSURE_PASSWORD(condition, ...)                                                            \
    ENSURE_AT(condition, "#/password", ERR_INVALID, "bad_password", __VA_ARGS__)

enum err auth_password_check(struct span password, struct span mail, struct span name, bool staff)
{
    size_t least = staff ? AUTH_PASSWORD_STAFF_MIN : AUTH_PASSWORD_MIN;
    size_t at = span_find(mail, '@');

    ENSURE_PASSWORD(password.len <= AUTH_PASSWORD_MAX, "A password has at most %d bytes.",
                    AUTH_PASSWORD_MAX);
    ENSURE_PASSWORD(utf8_valid(password), "The password is not text (UTF-8).");
    ENSURE_PASSWORD(utf8_count(password) >= least, "A password has at least %zu characters.",
                    least);
    ENSURE_PASSWORD(!same_words(password, mail) && !same_words(password, span_sub(mail, 0, at)) &&
                        !same_words(password, span_sub(mail, at + 1, mail.len)),
                    "The password is the mail address or a part of it.");
    ENSURE_PASSWORD(!same_words(password, name), "The password is the name.");
    ENSURE_PASSWORD(!is_common(password),
                    "This password is one of those that are guessed first, as many people use it.");
    return OK;
}

enum err auth_password_hash(struct span password, bool staff, char ret_hash[PASSWORD_HASH_MAX])
{
    ENSURE_PASSWORD(password.len <= AUTH_PASSWORD_MAX, "A password has at most %d bytes.",
                    AUTH_PASSWORD_MAX);
    return password_hash(password, staff ? CRYPTO_PASSWORD_STAFF : CRYPTO_PASSWORD_FAN, ret_hash);
}
