/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <time.h>

#include "trust/ledger/http_files.h"
#include "trust/ledger/test_log.h"

static struct ledger_verify_report report;

static enum err verify(void)
{
    return ledger_verify(&log_disk.real, &signer.vkey, &report);
}

static void restart_ok(void)
{
    sequencer_close(seq);
    seq = NULL;
    assert_int_equal(log_start(false), OK);
}

static void restart_refused(void)
{
    sequencer_close(seq);
    seq = NULL;
    assert_int_equal(log_start(false), ERR_CORRUPT);
}

static void read_log(const char *path, struct buf *out)
{
    buf_init(out, 1000000);
    assert_int_equal(log_disk.real.read(log_disk.real.self, path, out), OK);
}

static bool has(const char *path)
{
    AUTO(buf_done) struct buf b = {0};
    buf_init(&b, 1000000);
    return log_disk.real.read(log_disk.real.self, path, &b) == OK;
}

static void growth_is_published_and_verifies(void **state)
{
    static const uint64_t steps[] = {1, 2, 252, 1, 1, 256, 700};
    uint64_t size = 0;

    (void)state;
    assert_int_equal(verify(), ERR_NOT_FOUND);
    assert_int_equal(log_step(), OK); /* nothing to do */
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        fixture_append(steps[i]);
        size += steps[i];
        assert_int_equal(log_step(), OK);
        assert_true(sequencer_size(seq) == size);
        assert_int_equal(verify(), OK);
        assert_true(report.size == size);
        if (i % 2)
            restart_ok();
    }
    assert_true(signer.calls == COUNT_OF(steps));
    /* Only what published sizes imply, and no partial below a full tile. */
    assert_false(has("tile/0/000.p/1") || has("tile/0/000.p/255") || has("tile/entries/000.p/3"));
    assert_true(has("tile/0/000") && has("tile/entries/003") && has("tile/0/004.p/189"));
    assert_true(has("tile/1/000.p/4") && has("tile/1/000.p/1"));
    assert_false(has("tile/1/000.p/3") || has("tile/0/001.p/0"));
}

static void a_large_log_verifies_quickly(void **state)
{
    struct timespec from, to;

    (void)state;
    fixture_append(66000);
    uint64_t grown;
    assert_int_equal(sequencer_step(seq, f.t.reader, &grown), OK);
    assert_true(grown == SEQUENCER_STEP_MAX);
    assert_int_equal(sequencer_step(seq, f.t.reader, &grown), OK);
    assert_true(grown == 66000 - SEQUENCER_STEP_MAX);
    restart_ok();
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_int_equal(verify(), OK);
    clock_gettime(CLOCK_MONOTONIC, &to);
    print_message("# 66000 entries verified in %d ms\n",
                  (int)((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000));
    assert_true(has("tile/1/000") && has("tile/2/000.p/1"));
}

static void the_read_path_serves_what_is_published_and_nothing_else(void **state)
{
    static const struct {
        const char *path;
        enum err want;
    } rows[] = {
        {"checkpoint", OK},
        {"tile/0/000", OK},
        {"tile/0/001.p/44", OK},
        {"tile/entries/001.p/44", OK},
        {"tile/1/000.p/1", OK},
        {"tile/entries/000", OK},
        {"tile/0/001.p/45", 0x7f},
        {"tile/0/001", 0x7f},
        {"tile/0/001.p/0", 0x7f},
        {"tile/0/002.p/1", 0x7f},
        {"tile/2/000.p/1", 0x7f},
        {"tile/0/000.p/0", 0x7f},
        {"tile/8/0/000", 0x7f},
        {"", 0x7f},
        {"tile/0/../checkpoint", 0x7f},
        {"tile/entries/", 0x7f},
        {"tile/0/001.p/3", 0x7f},
        {"size", 0x7f},
    };
    const char *type;
    bool immutable;

    (void)state;
    fixture_append(300);
    assert_int_equal(log_step(), OK);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(buf_done) struct buf b = {0};
        buf_init(&b, 1000000);
        enum err want = rows[i].want == OK ? OK : ERR_NOT_FOUND;
        if (ledger_http_get(&log_disk.real, span_text(rows[i].path), &b, &type, &immutable) != want)
            fail_msg("%s", rows[i].path);
        if (want == OK)
            assert_int_equal(immutable, i != 0);
    }
    /* A file of an unpublished size lies there after a crash: it is not served. */
    assert_int_equal(
        log_disk.real.create(log_disk.real.self, "tile/0/001.p/45", SPAN_LIT("x"), 0600), OK);
    AUTO(buf_done) struct buf b = {0};
    buf_init(&b, 100);
    assert_int_equal(
        ledger_http_get(&log_disk.real, span_text("tile/0/001.p/45"), &b, &type, &immutable),
        ERR_NOT_FOUND);
}

/* --- Tampering ------------------------------------------------------------------------------------------------------------- */

static void altered(const char *path, struct span content, const char *want_file)
{
    assert_int_equal(log_disk.real.replace(log_disk.real.self, path, content, 0600), OK);
    if (verify() != ERR_CORRUPT)
        fail_msg("an altered %s verifies", path);
    if (want_file)
        assert_string_equal(report.file, want_file);
}

static void every_altered_byte_of_a_file_is_found_and_named(void **state)
{
    static const char *const paths[] = {
        "checkpoint",     "tile/0/000",       "tile/0/002.p/188",
        "tile/1/000.p/2", "tile/entries/000", "tile/entries/002.p/188",
    };

    (void)state;
    fixture_append(700);
    assert_int_equal(log_step(), OK);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        AUTO(buf_done) struct buf b = {0};
        read_log(paths[i], &b);
        size_t stride = b.len > 400 ? 61 : 1;
        for (size_t at = 0; at < b.len; at += stride) {
            b.data[at] ^= 0x10;
            altered(paths[i], buf_span(&b), paths[i]);
            if (i == 1)
                assert_true(report.offset == at / 32 * 32);
            b.data[at] ^= 0x10;
        }
        altered(paths[i], span_sub(buf_span(&b), 0, b.len - 1), paths[i]);
        buf_put_u8(&b, 'x');
        altered(paths[i], buf_span(&b), paths[i]);
        assert_int_equal(log_disk.real.remove(log_disk.real.self, paths[i]), OK);
        assert_int_equal(verify(), i == 0 ? ERR_NOT_FOUND : ERR_CORRUPT);
        b.len--;
        assert_int_equal(log_disk.real.replace(log_disk.real.self, paths[i], buf_span(&b), 0600),
                         OK);
        assert_int_equal(verify(), OK);
    }
}

static void a_forged_entry_with_its_tile_made_to_fit_is_found(void **state)
{
    AUTO(buf_done) struct buf bundle = {0};
    AUTO(buf_done) struct buf tile = {0};
    struct merkle_hash hashes[TILE_WIDTH];

    (void)state;
    fixture_append(700);
    assert_int_equal(log_step(), OK);
    read_log("tile/entries/000", &bundle);
    bundle.data[10 * 36 + 20] ^= 1;
    assert_int_equal(bundle_hashes(buf_span(&bundle), 256, hashes), OK);
    assert_int_equal(log_disk.real.replace(log_disk.real.self, "tile/0/000",
                                           span_of(hashes, sizeof hashes), 0600),
                     OK);
    altered("tile/entries/000", buf_span(&bundle), "tile/0/000");
    /* And its parent as well: then only the signature is left to say so. */
    read_log("tile/1/000.p/2", &tile);
    struct merkle_hash fold;
    merkle_fold(hashes, 256, &fold);
    memcpy(tile.data, fold.b, 32);
    altered("tile/1/000.p/2", buf_span(&tile), "checkpoint");
}

static void another_key_or_origin_does_not_verify(void **state)
{
    struct vkey other;

    (void)state;
    fixture_append(3);
    assert_int_equal(log_step(), OK);
    assert_int_equal(
        vkey_make("tickets.example/other", NOTE_ED25519, signer.key.public_key, &other), OK);
    assert_int_equal(ledger_verify(&log_disk.real, &other, &report), ERR_CORRUPT);
    assert_string_equal(report.file, "checkpoint");
}

/* --- Rollbacks and contradictions --------------------------------------------------------------------------------------------- */

static void a_database_rolled_back_is_refused(void **state)
{
    (void)state;
    fixture_append(10);
    assert_int_equal(log_step(), OK);
    store_testing_sql(&f.t, "DELETE FROM entry WHERE entry_no >= 8");
    assert_int_equal(log_step(), ERR_CORRUPT);
    assert_int_equal(log_step(), ERR_CORRUPT);
    assert_string_equal(err_last()->slug, "sequencer_stopped");
    restart_ok();
    assert_int_equal(log_step(), ERR_CORRUPT);
    restart_ok();
    fixture_append(5); /* other entries under the old numbers */
    assert_int_equal(log_step(), ERR_CORRUPT);
    assert_true(sequencer_size(seq) == 10);
}

static void a_missing_entry_is_refused(void **state)
{
    (void)state;
    fixture_append(10);
    store_testing_sql(&f.t, "DELETE FROM entry WHERE entry_no = 4");
    assert_int_equal(log_step(), ERR_CORRUPT);
    assert_int_equal(verify(), ERR_NOT_FOUND);
}

static void files_rolled_back_are_refused(void **state)
{
    AUTO(buf_done) struct buf old = {0};

    (void)state;
    fixture_append(10);
    assert_int_equal(log_step(), OK);
    read_log("checkpoint", &old);
    fixture_append(10);
    assert_int_equal(log_step(), OK);
    /* An old checkpoint alone is brought up again, to the same root. */
    assert_int_equal(log_disk.real.replace(log_disk.real.self, "checkpoint", buf_span(&old), 0600),
                     OK);
    restart_ok();
    assert_true(sequencer_size(seq) == 20);
    assert_int_equal(verify(), OK);
    /* With the tiles gone as well there is nothing to bring up. */
    assert_int_equal(log_disk.real.replace(log_disk.real.self, "checkpoint", buf_span(&old), 0600),
                     OK);
    assert_int_equal(log_disk.real.remove(log_disk.real.self, "tile/0/000.p/20"), OK);
    sequencer_close(seq);
    seq = NULL;
    assert_int_not_equal(log_start(false), OK);
}

static void a_state_rolled_back_or_lost_is_refused(void **state)
{
    AUTO(buf_done) struct buf old = {0};

    (void)state;
    buf_init(&old, 1000);
    fixture_append(10);
    assert_int_equal(log_step(), OK);
    assert_int_equal(state_disk.real.read(state_disk.real.self, "size", &old), OK);
    fixture_append(10);
    assert_int_equal(log_step(), OK);
    assert_int_equal(state_disk.real.replace(state_disk.real.self, "size", buf_span(&old), 0600),
                     OK);
    restart_refused();
    assert_int_equal(state_disk.real.remove(state_disk.real.self, "size"), OK);
    restart_refused();
    assert_int_equal(log_start(true), ERR_CORRUPT); /* not a new log either */
}

static void a_state_moved_by_somebody_else_is_refused(void **state)
{
    struct merkle_hash root = {{1}};
    AUTO(buf_done) struct buf b = {0};

    (void)state;
    fixture_append(10);
    assert_int_equal(log_step(), OK);
    buf_init(&b, 1000);
    checkpoint_format(&b, signer.vkey.name, 11, &root);
    assert_int_equal(state_disk.real.replace(state_disk.real.self, "size", buf_span(&b), 0600), OK);
    fixture_append(1);
    assert_int_equal(log_step(), ERR_CORRUPT);
    assert_true(signer.size == 10);
}

static void an_altered_right_edge_is_refused_at_start(void **state)
{
    static const char *const paths[] = {"tile/0/002.p/188", "tile/1/000.p/2",
                                        "tile/entries/002.p/188", "tile/0/001", "checkpoint"};

    (void)state;
    fixture_append(700);
    assert_int_equal(log_step(), OK);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        AUTO(buf_done) struct buf b = {0};
        read_log(paths[i], &b);
        b.data[40] ^= 1;
        assert_int_equal(log_disk.real.replace(log_disk.real.self, paths[i], buf_span(&b), 0600),
                         OK);
        sequencer_close(seq);
        seq = NULL;
        if (log_start(false) == OK)
            fail_msg("started with an altered %s", paths[i]);
        b.data[40] ^= 1;
        assert_int_equal(log_disk.real.replace(log_disk.real.self, paths[i], buf_span(&b), 0600),
                         OK);
    }
    assert_int_equal(log_start(false), OK);
}

/* --- Crashes --------------------------------------------------------------------------------------------------------------------- */

/* The schedule; on a failure the process "restarts" with sound disks. Returns whether there was one. */
static bool run_schedule(void)
{
    static const uint64_t steps[] = {3, 300, 209, 5};
    bool failed = false;

    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        fixture_append(steps[i]);
        if (log_step() == OK)
            continue;
        assert_false(failed);
        failed = true;
        calls_left = -1;
        restart_ok();
        assert_int_equal(log_step(), OK);
    }
    return failed;
}

static void a_crash_at_every_step_recovers_to_the_same_log(void **state)
{
    (void)state;
    log_close(NULL);
    for (int after = 0; after < 2; after++) {
        bool failed = true;
        int64_t n = 0;
        for (; failed; n++) {
            log_open(NULL);
            log_disk.after = state_disk.after = after;
            calls_left = n;
            failed = run_schedule();
            calls_left = -1;
            assert_int_equal(log_step(), OK);
            assert_true(sequencer_size(seq) == 517 && signer.size == 517);
            assert_int_equal(verify(), OK);
            assert_memory_equal(&report.root, &signer.root, sizeof report.root);
            restart_ok();
            log_close(NULL);
        }
        assert_true(n > 20); /* the schedule has that many changes of the disks */
    }
    log_open(NULL);
}

static void a_second_crash_during_recovery_recovers_too(void **state)
{
    (void)state;
    log_close(NULL);
    for (int64_t n = 0; n < 24; n++)
        for (int64_t m = 0; m < 3; m++) {
            log_open(NULL);
            fixture_append(300);
            calls_left = n;
            enum err e = log_step();
            for (int tries = 0; e != OK; tries++) {
                assert_true(tries < 5);
                sequencer_close(seq);
                seq = NULL;
                calls_left = tries == 0 ? m : -1;
                if (log_start(false) == OK)
                    e = log_step();
            }
            calls_left = -1;
            assert_int_equal(verify(), OK);
            assert_true(report.size == 300);
            log_close(NULL);
        }
    log_open(NULL);
}

/* --- The thread ---------------------------------------------------------------------------------------------------------------- */

struct watching {
    uint64_t size;
    int failures;
};
static void saw(void *context, uint64_t size)
{
    __atomic_store_n(&((struct watching *)context)->size, size, __ATOMIC_RELEASE);
}
static void saw_failure(void *context, const struct err_info *error)
{
    (void)error;
    __atomic_fetch_add(&((struct watching *)context)->failures, 1, __ATOMIC_RELEASE);
}

static bool wait_until(uint64_t *value, uint64_t want)
{
    struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < 5000 && __atomic_load_n(value, __ATOMIC_ACQUIRE) != want; i++)
        nanosleep(&pause, NULL);
    return __atomic_load_n(value, __ATOMIC_ACQUIRE) == want;
}

static void the_thread_publishes_what_is_committed(void **state)
{
    struct watching w = {0, 0};
    struct sequencer_thread_config c = {seq, f.t.store, 20, saw, saw_failure, &w};
    struct sequencer_thread *t;

    (void)state;
    fixture_append(7);
    assert_int_equal(sequencer_start(&c, &t), OK);
    assert_true(wait_until(&w.size, 7));
    fixture_append(3);
    sequencer_wake(t);
    assert_true(wait_until(&w.size, 10));
    fixture_append(2); /* nobody wakes it */
    assert_true(wait_until(&w.size, 12));
    fixture_append(1);
    sequencer_stop(t);
    assert_true(w.size == 13);
    assert_int_equal(w.failures, 0);
    assert_int_equal(verify(), OK);
}

static void the_thread_reports_a_doubt_once_and_ends(void **state)
{
    struct watching w = {0, 0};
    struct sequencer_thread_config c = {seq, f.t.store, 20, saw, saw_failure, &w};
    struct sequencer_thread *t;

    (void)state;
    fixture_append(7);
    store_testing_sql(&f.t, "DELETE FROM entry WHERE entry_no = 2");
    assert_int_equal(sequencer_start(&c, &t), OK);
    struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < 5000 && __atomic_load_n(&w.failures, __ATOMIC_ACQUIRE) == 0; i++)
        nanosleep(&pause, NULL);
    sequencer_wake(t);
    sequencer_stop(t);
    assert_int_equal(w.failures, 1);
    assert_true(w.size == 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, log_open, log_close)
    const struct CMUnitTest tests[] = {
        TEST(growth_is_published_and_verifies),
        TEST(a_large_log_verifies_quickly),
        TEST(the_read_path_serves_what_is_published_and_nothing_else),
        TEST(every_altered_byte_of_a_file_is_found_and_named),
        TEST(a_forged_entry_with_its_tile_made_to_fit_is_found),
        TEST(another_key_or_origin_does_not_verify),
        TEST(a_database_rolled_back_is_refused),
        TEST(a_missing_entry_is_refused),
        TEST(files_rolled_back_are_refused),
        TEST(a_state_rolled_back_or_lost_is_refused),
        TEST(a_state_moved_by_somebody_else_is_refused),
        TEST(an_altered_right_edge_is_refused_at_start),
        TEST(a_crash_at_every_step_recovers_to_the_same_log),
        TEST(a_second_crash_during_recovery_recovers_too),
        TEST(the_thread_publishes_what_is_committed),
        TEST(the_thread_reports_a_doubt_once_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
