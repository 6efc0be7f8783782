/* SPDX-License-Identifier: Apache-2.0 */
/* The log as it stood, while it goes on growing. */
#include "reach/cli/cmd_audit.h"
#include "trust/ledger/test_log.h"

static struct ledger_verify_report report;

static const char *log_path(const char *name)
{
    static char path[2 * STORE_TESTING_PATH_MAX];

    snprintf(path, sizeof path, "%s/log%s%s", f.t.dir, name[0] ? "/" : "", name);
    return path;
}

static void grow(uint64_t count)
{
    fixture_append(count);
    assert_int_equal(log_step(), OK);
}

static enum err verify_view(const struct log_view *v)
{
    return ledger_verify(&v->disk, &signer.vkey, &report);
}

static void flip(const char *name, long offset)
{
    FILE *file = fopen(log_path(name), "r+e");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    int c = fgetc(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    assert_int_equal(fputc(c ^ 1, file), c ^ 1);
    assert_int_equal(fclose(file), 0);
}

static bool is_there(const char *name)
{
    FILE *file = fopen(log_path(name), "re");
    if (file)
        fclose(file);
    return file != NULL;
}

static void a_view_verifies_after_its_partial_files_are_gone(void **state)
{
    AUTO(log_view_close) struct log_view view;
    (void)state;

    grow(200);
    assert_int_equal(log_view_open(log_path(""), &view), OK);
    assert_true(view.published);
    assert_true(is_there("tile/entries/000.p/200"));
    grow(400);
    grow(700);
    assert_false(is_there("tile/entries/000.p/200"));
    assert_int_equal(verify_view(&view), OK);
    assert_true(report.size == 200);
    assert_int_equal(ledger_verify(&log_disk.real, &signer.vkey, &report), OK);
    assert_true(report.size == 1300);
}

static void what_was_altered_since_is_seen_where_the_view_reaches(void **state)
{
    AUTO(log_view_close) struct log_view view;
    (void)state;

    grow(200);
    assert_int_equal(log_view_open(log_path(""), &view), OK);
    grow(400);
    flip("tile/entries/000", 36 * 230 + 10); /* 2 of length and 34 of leaf each */
    assert_int_equal(verify_view(&view), OK);
    assert_int_equal(ledger_verify(&log_disk.real, &signer.vkey, &report), ERR_CORRUPT);
    flip("tile/entries/000", 36 * 130 + 10);
    assert_int_equal(verify_view(&view), ERR_CORRUPT);
    assert_non_null(strstr(report.sentence, "entry 130"));
}

static void a_file_that_is_gone_is_missing(void **state)
{
    AUTO(log_view_close) struct log_view view;
    (void)state;

    grow(600);
    assert_int_equal(log_view_open(log_path(""), &view), OK);
    assert_int_equal(remove(log_path("tile/entries/001")), 0);
    assert_int_equal(verify_view(&view), ERR_CORRUPT);
    assert_non_null(strstr(report.sentence, "missing"));
}

static void a_log_without_checkpoint_is_not_published(void **state)
{
    AUTO(log_view_close) struct log_view view, none;
    (void)state;

    assert_int_equal(log_view_open(log_path(""), &view), OK);
    assert_false(view.published);
    grow(10);
    assert_int_equal(verify_view(&view), ERR_NOT_FOUND); /* it still is the log of that moment */
    assert_int_equal(log_view_open(log_path("nowhere"), &none), ERR_NOT_FOUND);
    assert_string_equal(err_last()->slug, "no_log");
}

int main(void)
{
#define OVER_LOG(test) cmocka_unit_test_setup_teardown(test, log_open, log_close)
    const struct CMUnitTest tests[] = {
        OVER_LOG(a_view_verifies_after_its_partial_files_are_gone),
        OVER_LOG(what_was_altered_since_is_seen_where_the_view_reaches),
        OVER_LOG(a_file_that_is_gone_is_missing),
        OVER_LOG(a_log_without_checkpoint_is_not_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
