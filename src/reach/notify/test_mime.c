/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ground/base/base.h"
#include "ground/encode/base64.h"
#include "reach/notify/mime.h"

static struct buf out;

static const char *header(struct span value)
{
    buf_done(&out);
    buf_init(&out, 4096);
    mime_put_header(&out, "Subject", value);
    return buf_text(&out);
}

static const char *body(const char *text)
{
    buf_done(&out);
    buf_init(&out, 4096);
    mime_put_body(&out, span_text(text));
    return buf_text(&out);
}

static void plain_headers_stay_plain(void **state)
{
    (void)state;
    assert_string_equal(header(SPAN_LIT("Your tickets: Evening")),
                        "Subject: Your tickets: Evening\r\n");
    assert_string_equal(header(SPAN_LIT("=?utf-8?B?eA==?=")),
                        "Subject: =?utf-8?B?PT91dGYtOD9CP2VBPT0/PQ==?=\r\n");
}

static void no_text_ends_a_header(void **state)
{
    (void)state;
    const char *h = header(SPAN_LIT("Evening\r\nBcc: other@example.org\r\n\r\nBody"));
    assert_string_equal(strstr(h, "\r\n"), "\r\n"); /* one line, at its end */
    assert_null(strstr(h, "Bcc"));
}

static void long_text_is_cut_between_characters(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf back;
    char text[300] = "x"; /* so that the two bytes of a letter would be parted */
    uint8_t word[64];
    size_t n;

    for (int i = 0; i < 100; i++)
        memcpy(text + 1 + 2 * i, "\xC3\xA4", 2);
    const char *h = header(span_text(text));
    buf_init(&back, 1000);
    for (const char *at = h; (at = strstr(at, "=?utf-8?B?")) != NULL;) {
        at += 10;
        const char *end = strstr(at, "?=");
        assert_non_null(end);
        assert_int_equal(base64_decode(span_of(at, (size_t)(end - at)), word, sizeof word, &n), OK);
        assert_true(utf8_valid(span_of(word, n)));
        buf_put(&back, word, n);
    }
    assert_string_equal(buf_text(&back), text);
    for (const char *line = h; *line; line = strstr(line, "\r\n") + 2)
        assert_true(strcspn(line, "\r") <= 76);
}

static void bodies_are_quoted(void **state)
{
    (void)state;
    assert_string_equal(body("Caf\xC3\xA9 = 1\ntwo \n"), "Caf=C3=A9 =3D 1\r\ntwo=20\r\n");
    assert_string_equal(body("a\rb"), "a=0Db");
    char text[200];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (const char *line = body(text); *line; line += strcspn(line, "\r") ? 0 : 2) {
        assert_true(strcspn(line, "\r") <= 76);
        line += strcspn(line, "\r");
        if (!*line)
            break;
    }
}

static void dates_are_right(void **state)
{
    (void)state;
    buf_done(&out);
    buf_init(&out, 100);
    mime_put_date(&out, INT64_C(1790000000000));
    assert_string_equal(buf_text(&out), "Date: Mon, 21 Sep 2026 14:13:20 +0000\r\n");
    buf_reset(&out);
    mime_put_date(&out, 0);
    assert_string_equal(buf_text(&out), "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n");
    buf_done(&out);
}

static void what_was_written_is_read_again(void **state)
{
    static const char *const texts[] = {"Evening",
                                        ("The Winter's Tale \xe2\x80\x93 a play, and a title that "
                                         "is long enough for words \xc3\xa9\xc3\xa9"),
                                        "=?utf-8?B?eA==?=", "two  blanks", "x = y"};
    AUTO(buf_done) struct buf back = {0};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        (void)header(span_text(texts[i]));
        buf_done(&back);
        buf_init(&back, 4096);
        struct span value =
            span_sub(buf_span(&out), strlen("Subject: "), out.len - strlen("Subject: ") - 2);
        mime_read_header(&back, value);
        assert_string_equal(buf_text(&back), i == 3 ? "two blanks" : texts[i]);
        (void)body(texts[i]);
        buf_done(&back);
        buf_init(&back, 4096);
        mime_read_body(&back, buf_span(&out));
        assert_string_equal(buf_text(&back), texts[i]);
    }
}

static void what_is_no_encoding_of_ours_is_copied(void **state)
{
    AUTO(buf_done) struct buf back = {0};
    (void)state;

    buf_init(&back, 4096);
    mime_read_body(&back, SPAN_LIT("100 = all, =zz, =4"));
    assert_string_equal(buf_text(&back), "100 = all, =zz, =4");
    buf_reset(&back);
    mime_read_header(&back, SPAN_LIT("=?utf-8?B?!!!?= and =?utf-8?B?eA"));
    assert_string_equal(buf_text(&back), "=?utf-8?B?!!!?= and =?utf-8?B?eA");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_headers_stay_plain),
        cmocka_unit_test(no_text_ends_a_header),
        cmocka_unit_test(long_text_is_cut_between_characters),
        cmocka_unit_test(bodies_are_quoted),
        cmocka_unit_test(dates_are_right),
        cmocka_unit_test(what_was_written_is_read_again),
        cmocka_unit_test(what_is_no_encoding_of_ours_is_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
