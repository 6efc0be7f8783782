/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ground/base/log.h"
#include "ground/base/result.h"

static enum err inner(int n)
{
    ENSURE(n != 1, ERR_CONFLICT, "seat_taken", "Seat %d is held or sold.", n);
    ENSURE_AT(n != 2, "#/seats/0", ERR_INVALID, "bad_seat", "No such seat.");
    return OK;
}

static enum err outer(int n, int *ret_after)
{
    TRY(inner(n));
    *ret_after = 1;
    return OK;
}

static void a_failure_stops_the_body_and_brings_its_path(void **state)
{
    char text[400];
    int after = 0;
    (void)state;
    assert_int_equal(outer(1, &after), ERR_CONFLICT);
    assert_int_equal(after, 0);
    const struct err_info *e = err_last();
    assert_int_equal(e->code, ERR_CONFLICT);
    assert_string_equal(e->slug, "seat_taken");
    assert_string_equal(e->detail, "Seat 1 is held or sold.");
    assert_string_equal(e->pointer, "");
    assert_int_equal(e->frame_count, 2);
    err_describe(e, text, sizeof text);
    assert_non_null(strstr(text, "seat_taken: Seat 1 is held or sold. ("));
    assert_non_null(strstr(text, "test_result.c:"));
    assert_int_equal(outer(0, &after), OK);
    assert_int_equal(after, 1);
    assert_int_equal(outer(2, &after), ERR_INVALID);
    assert_string_equal(err_last()->pointer, "#/seats/0");
}

static void a_description_never_leaves_its_room(void **state)
{
    char text[24];
    int after;
    (void)state;
    assert_int_equal(outer(1, &after), ERR_CONFLICT);
    for (size_t size = 1; size <= sizeof text; size++) {
        memset(text, '#', sizeof text);
        err_describe(err_last(), text, size);
        assert_true(strnlen(text, size) < size);
    }
}

static void *other_thread(void *arg)
{
    struct err_info *saved = arg;
    int after;
    if (err_last()->code == OK && outer(2, &after) == ERR_INVALID)
        err_save(saved);
    return NULL;
}

static void errors_belong_to_their_thread_and_can_be_handed_over(void **state)
{
    struct err_info saved = {0};
    pthread_t thread;
    int after;
    (void)state;
    assert_int_equal(outer(1, &after), ERR_CONFLICT);
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &saved), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(err_last()->slug, "seat_taken");
    assert_int_equal(err_restore(&saved), ERR_INVALID);
    assert_string_equal(err_last()->slug, "bad_seat");
    err_clear();
    assert_int_equal(err_last()->code, OK);
    assert_string_equal(err_last()->slug, "");
}

static enum err deep(int n)
{
    if (n == 0)
        FAIL(ERR_LIMIT, "a_slug_that_is_much_longer_than_any_slug_should_ever_be", "%0300d", 1);
    TRY(deep(n - 1));
    return OK;
}

static void long_words_and_paths_are_cut(void **state)
{
    (void)state;
    assert_int_equal(deep(40), ERR_LIMIT);
    assert_int_equal(err_last()->frame_count, ERR_FRAMES_MAX);
    assert_int_equal(strlen(err_last()->slug), ERR_SLUG_MAX - 1);
    assert_int_equal(strlen(err_last()->detail), ERR_DETAIL_MAX - 1);
}

static void every_code_has_a_name_and_a_status(void **state)
{
    (void)state;
    assert_int_equal(err_http_status(OK), 200);
    for (int i = 1; i < ERR_COUNT; i++) {
        assert_true(strlen(err_name((enum err)i)) > 1);
        assert_in_range(err_http_status((enum err)i), 400, 599);
    }
    assert_int_equal(err_http_status(ERR_NOT_FOUND), 404);
    assert_int_equal(err_http_status(ERR_COUNT), 500);
    assert_non_null(err_name(ERR_COUNT));
}

/* What a child that runs body writes to standard error; its wait status comes back. */
static int capture(void (*body)(void), char *out, size_t size)
{
    int fds[2], status;
    size_t at = 0;
    ssize_t n;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], 2);
        body();
        _exit(0);
    }
    close(fds[1]);
    while (at + 1 < size && (n = read(fds[0], out + at, size - 1 - at)) > 0)
        at += (size_t)n;
    out[at] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void break_one(void)
{
    INVARIANT(1 + 1 == 3, "sums add up");
}

static void a_broken_invariant_aborts_and_says_so(void **state)
{
    char text[4096];
    (void)state;
    int status = capture(break_one, text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "sums add up"));
}

static void forge(void)
{
    log_setup(LOG_INFO, "test");
    log_debug("below the level");
    log_info("one\n{\"level\":\"fatal\"}\x1b[31m \"quoted\" \\");
    log_error("%s", "two");
}

static void a_log_line_cannot_be_forged(void **state)
{
    char text[4096];
    size_t lines = 0;
    (void)state;
    assert_int_equal(capture(forge, text, sizeof text), 0);
    for (const char *p = text; *p; p++) {
        lines += *p == '\n';
        assert_true(*p == '\n' || (unsigned char)*p >= 0x20);
    }
    assert_int_equal(lines, 2);
    assert_null(strstr(text, "below"));
    assert_non_null(
        strstr(text, "one\\u000a{\\\"level\\\":\\\"fatal\\\"}\\u001b[31m \\\"quoted\\\" \\\\\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_stops_the_body_and_brings_its_path),
        cmocka_unit_test(a_description_never_leaves_its_room),
        cmocka_unit_test(errors_belong_to_their_thread_and_can_be_handed_over),
        cmocka_unit_test(long_words_and_paths_are_cut),
        cmocka_unit_test(every_code_has_a_name_and_a_status),
        cmocka_unit_test(a_broken_invariant_aborts_and_says_so),
        cmocka_unit_test(a_log_line_cannot_be_forged),
    };
    return cmocka_run_group_tests_name("base/result", tests, NULL, NULL);
}
