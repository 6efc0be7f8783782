/* SPDX-License-Identifier: Apache-2.0 */
/* A picture counts as right when a scanner of other people's making reads it: zbarimg, as a process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ground/encode/qr.h"

static void scan(struct span png, struct buf *out)
{
    char path[] = "/tmp/test_qr_XXXXXX";
    char block[512];
    int pipe_fds[2], status, fd = mkstemp(path);
    ssize_t n;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, png.data, png.len), (ssize_t)png.len);
    close(fd);
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(pipe_fds[1], 1);
        execlp("zbarimg", "zbarimg", "--quiet", "--raw", "--nodbus", path, (char *)NULL);
        _exit(127);
    }
    close(pipe_fds[1]);
    while ((n = read(pipe_fds[0], block, sizeof block)) > 0)
        buf_put(out, block, (size_t)n);
    close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    unlink(path);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void check_scan(const char *text, enum qr_level level, unsigned scale, bool alphanumeric)
{
    static struct qr qr;
    AUTO(buf_done) struct buf png;
    AUTO(buf_done) struct buf seen;

    buf_init(&png, 1 << 20);
    buf_init(&seen, 4096);
    assert_int_equal(qr_encode(span_text(text), level, &qr), OK);
    assert_int_equal(qr.alphanumeric, alphanumeric);
    assert_int_equal(qr_png(&qr, scale, &png), OK);
    scan(buf_span(&png), &seen);
    assert_true(seen.len > 0 && seen.data[seen.len - 1] == '\n');
    assert_true(span_eq_text(span_sub(buf_span(&seen), 0, seen.len - 1), text));
}

static void a_scanner_reads_the_picture(void **state)
{
    char ticket[293];
    (void)state;

    for (size_t i = 0; i + 1 < sizeof ticket; i++)
        ticket[i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ$%*+-./:"[i * 7 % 44];
    ticket[sizeof ticket - 1] = '\0';
    check_scan("GH1:BB8", QR_MEDIUM, 4, true);
    check_scan(ticket, QR_MEDIUM, 3, true);
    check_scan(ticket, QR_LOW, 3, true);
    check_scan(ticket, QR_QUARTILE, 5, true);
    check_scan(ticket, QR_HIGH, 4, true);
    check_scan("otpauth://totp/Gatehouse:ann?secret=JBSWY3DPEHPK3PXP&issuer=Gatehouse", QR_MEDIUM,
               4, false);
}

static void the_svg_is_one_path_on_white(void **state)
{
    static struct qr qr;
    AUTO(buf_done) struct buf svg;
    const char *text;
    size_t dark = 0;
    (void)state;

    buf_init(&svg, 1 << 20);
    assert_int_equal(qr_encode(SPAN_LIT("GH1:BB8"), QR_MEDIUM, &qr), OK);
    assert_int_equal(qr_svg(&qr, SPAN_LIT("Row <3> & \"seat\""), &svg), OK);
    text = buf_text(&svg);
    assert_non_null(strstr(text, "<title>Row &lt;3&gt; &amp; &quot;seat&quot;</title>"));
    assert_non_null(strstr(text, "viewBox=\"0 0 29 29\""));
    assert_non_null(strstr(text, "shape-rendering=\"crispEdges\""));
    assert_non_null(strstr(text, "<rect width=\"29\" height=\"29\" fill=\"#fff\"/>"));
    const char *path = strstr(text, "<path");
    assert_non_null(path);
    assert_null(strstr(path + 1, "<path"));
    /* The rectangles cover exactly the dark modules. */
    for (const char *p = strchr(path, 'M'); p; p = strchr(p + 1, 'M'))
        dark += (size_t)atoi(strchr(p, 'h') + 1);
    for (size_t i = 0; i < qr.size * qr.size; i++)
        dark -= qr.dark[i];
    assert_int_equal(dark, 0);
}

static void too_much_and_nothing_are_refused(void **state)
{
    static struct qr qr;
    static char text[QR_TEXT_MAX + 2];
    AUTO(buf_done) struct buf small;
    (void)state;

    memset(text, 'A', QR_TEXT_MAX + 1);
    assert_int_equal(qr_encode(span_text(text), QR_LOW, &qr), ERR_LIMIT);
    assert_int_equal(qr_encode(span_of(text, QR_TEXT_MAX), QR_HIGH, &qr), OK);
    assert_int_equal(qr_encode(SPAN_LIT(""), QR_LOW, &qr), ERR_INVALID);
    buf_init(&small, 60);
    assert_int_equal(qr_png(&qr, 4, &small), ERR_LIMIT);
    buf_reset(&small);
    assert_int_equal(qr_svg(&qr, SPAN_LIT(""), &small), ERR_LIMIT);
    assert_int_equal(qr_png(&qr, 0, &small), ERR_INVALID);
    assert_int_equal(qr_png(&qr, QR_SCALE_MAX + 1, &small), ERR_INVALID);
    assert_int_equal(qr_svg(&qr, SPAN_LIT("a\xff"), &small), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scanner_reads_the_picture),
        cmocka_unit_test(the_svg_is_one_path_on_white),
        cmocka_unit_test(too_much_and_nothing_are_refused),
    };
    return cmocka_run_group_tests_name("encode/qr", tests, NULL, NULL);
}
