/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ground/crypto/crypto.h"
#include "trust/signer/journal.h"

struct place {
    char dir[64];
    struct disk disk;
};

static int setup(void **state)
{
    static struct place p;
    snprintf(p.dir, sizeof p.dir, "/tmp/gh-journal-XXXXXX");
    assert_non_null(mkdtemp(p.dir));
    assert_int_equal(disk_open(p.dir, &p.disk), OK);
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    char command[128];
    disk_close(&p->disk);
    snprintf(command, sizeof command, "rm -rf %s", p->dir);
    return system(command);
}

static enum err count(void *context, const struct journal_record *r)
{
    uint64_t *n = context;
    assert_int_equal(r->sequence, ++*n);
    assert_int_equal(r->place_no, r->sequence - 1);
    return OK;
}

static void append(struct journal *j, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct journal_record r = {.kind = JOURNAL_MINT, .form = 2, .event_no = 1, .generation = 1};
        r.place_no = (uint32_t)j->head.sequence;
        assert_int_equal(journal_append(j, &r), OK);
    }
}

static void write_some(struct place *p, size_t n)
{
    struct journal j;
    uint64_t seen = 0;
    assert_int_equal(journal_open(&p->disk, count, &seen, &j), OK);
    append(&j, n);
    assert_int_equal(journal_sync(&j), OK);
    journal_close(&j);
}

static uint64_t scan(struct place *p)
{
    uint64_t seen = 0;
    struct journal_head head;
    assert_int_equal(journal_scan(&p->disk, count, &seen, &head), OK);
    assert_int_equal(head.sequence, seen);
    return seen;
}

static void segment_path(struct place *p, int number, char out[128])
{
    snprintf(out, 128, "%s/mint/%08d.journal", p->dir, number);
}

static void flip(struct place *p, int segment, long offset)
{
    char path[128];
    uint8_t b;
    segment_path(p, segment, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &b, 1, offset), 1);
    b ^= 1;
    assert_int_equal(pwrite(fd, &b, 1, offset), 1);
    close(fd);
}

static void what_was_synced_comes_back_in_order(void **state)
{
    assert_int_equal(scan(*state), 0);
    write_some(*state, 5);
    write_some(*state, 7);
    assert_int_equal(scan(*state), 12);
}

static void every_field_survives(void **state)
{
    struct place *p = *state;
    struct journal j;
    struct journal_record r = {.kind = JOURNAL_MINT,
                               .form = 3,
                               .event_no = 7,
                               .place_no = 8,
                               .generation = 9,
                               .time_ms = 1234567890123,
                               .organiser_no = 10,
                               .capacity = 11,
                               .places = 12,
                               .kid = 0xdeadbeef},
                          back;
    AUTO(buf_done) struct buf bytes = {0};

    memset(r.claims_hash, 0xaa, 32);
    memset(r.ticket_id, 0xbb, 16);
    assert_int_equal(journal_open(&p->disk, NULL, NULL, &j), OK);
    assert_int_equal(journal_append(&j, &r), OK);
    buf_init(&bytes, 1024);
    assert_int_equal(journal_read(&j, 1, 5, &bytes), OK);
    assert_int_equal(bytes.len, 0); /* not synced, not shown */
    assert_int_equal(journal_sync(&j), OK);
    assert_int_equal(journal_read(&j, 1, 5, &bytes), OK);
    assert_int_equal(bytes.len, JOURNAL_RECORD_BYTES);
    assert_int_equal(journal_record_decode(bytes.data, &back), OK);
    assert_int_equal(back.sequence, 1);
    assert_int_equal(back.kind, r.kind);
    assert_int_equal(back.form, r.form);
    assert_int_equal(back.event_no, r.event_no);
    assert_int_equal(back.place_no, r.place_no);
    assert_int_equal(back.generation, r.generation);
    assert_memory_equal(back.claims_hash, r.claims_hash, 32);
    assert_memory_equal(back.ticket_id, r.ticket_id, 16);
    assert_int_equal(back.time_ms, r.time_ms);
    assert_int_equal(back.organiser_no, r.organiser_no);
    assert_int_equal(back.capacity, r.capacity);
    assert_int_equal(back.places, r.places);
    assert_int_equal(back.kid, r.kid);
    assert_int_equal(journal_read(&j, 0, 5, &bytes), ERR_INVALID);
    journal_close(&j);
}

static void a_torn_end_is_dropped_wherever_it_is_cut(void **state)
{
    struct place *p = *state;
    char path[128];

    for (long cut = 1; cut < 3 * JOURNAL_RECORD_BYTES; cut += 37) {
        uint64_t before = scan(p);
        write_some(p, 4);
        segment_path(p, 1, path);
        assert_int_equal(truncate(path, (long)(before + 4) * JOURNAL_RECORD_BYTES - cut), 0);
        uint64_t left =
            before + 4 - (uint64_t)((cut + JOURNAL_RECORD_BYTES - 1) / JOURNAL_RECORD_BYTES);
        assert_int_equal(scan(p), left);
        write_some(p, 1); /* goes on from there */
        assert_int_equal(scan(p), left + 1);
    }
}

static void an_altered_last_batch_is_dropped_and_not_repaired(void **state)
{
    struct place *p = *state;
    write_some(p, 10);
    flip(p, 1, 8 * JOURNAL_RECORD_BYTES + 5);
    assert_int_equal(scan(p), 8);
}

static void an_alteration_further_back_stops_the_start(void **state)
{
    struct place *p = *state;
    struct journal j;

    write_some(p, JOURNAL_BATCH_MAX);
    write_some(p, 10);
    flip(p, 1, 3 * JOURNAL_RECORD_BYTES + 5);
    assert_int_equal(journal_open(&p->disk, NULL, NULL, &j), ERR_CORRUPT);
    assert_int_equal(journal_scan(&p->disk, NULL, NULL, NULL), ERR_CORRUPT);
    flip(p, 1, 3 * JOURNAL_RECORD_BYTES + 5);
    assert_int_equal(scan(p), JOURNAL_BATCH_MAX + 10);
}

static void segments_chain_and_none_may_be_missing(void **state)
{
    struct place *p = *state;
    struct journal j;
    uint64_t seen = 0;
    char first[128], aside[160];
    AUTO(buf_done) struct buf bytes = {0};

    assert_int_equal(journal_open(&p->disk, NULL, NULL, &j), OK);
    for (int i = 0; i < 17; i++) {
        append(&j, i == 16 ? 100 : JOURNAL_BATCH_MAX - 1); /* batches that cross the border */
        assert_int_equal(journal_sync(&j), OK);
    }
    uint64_t total = j.head.sequence;
    append(&j, 300);
    assert_int_equal(journal_sync(&j), OK);
    total += 300;
    buf_init(&bytes, 1 << 20);
    assert_int_equal(journal_read(&j, JOURNAL_SEGMENT_RECORDS, 10, &bytes), OK);
    assert_int_equal(bytes.len, JOURNAL_RECORD_BYTES); /* to the end of its segment */
    buf_reset(&bytes);
    assert_int_equal(journal_read(&j, JOURNAL_SEGMENT_RECORDS + 1, 10, &bytes), OK);
    assert_int_equal(bytes.len, 10 * JOURNAL_RECORD_BYTES);
    journal_close(&j);
    assert_int_equal(scan(p), total);
    assert_true(total > JOURNAL_SEGMENT_RECORDS);
    assert_int_equal(journal_open(&p->disk, count, &seen, &j), OK);
    assert_int_equal(j.segment, 2);
    journal_close(&j);

    flip(p, 1,
         (JOURNAL_SEGMENT_RECORDS - 1) * JOURNAL_RECORD_BYTES + 50); /* the last of a full one */
    assert_int_equal(journal_scan(&p->disk, NULL, NULL, NULL), ERR_CORRUPT);
    flip(p, 1, (JOURNAL_SEGMENT_RECORDS - 1) * JOURNAL_RECORD_BYTES + 50);
    segment_path(p, 1, first);
    snprintf(aside, sizeof aside, "%s.aside", first);
    assert_int_equal(rename(first, aside), 0);
    assert_int_equal(journal_scan(&p->disk, NULL, NULL, NULL), ERR_CORRUPT);
}

static void a_batch_has_a_hard_maximum(void **state)
{
    struct place *p = *state;
    struct journal j;
    struct journal_record r = {.kind = JOURNAL_MINT};

    assert_int_equal(journal_open(&p->disk, NULL, NULL, &j), OK);
    append(&j, JOURNAL_BATCH_MAX);
    assert_int_equal(journal_append(&j, &r), ERR_BUSY);
    assert_int_equal(journal_sync(&j), OK);
    assert_int_equal(journal_append(&j, &r), OK);
    journal_close(&j);
}

int main(void)
{
#define JOURNAL_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(what_was_synced_comes_back_in_order),
        JOURNAL_TEST(every_field_survives),
        JOURNAL_TEST(a_torn_end_is_dropped_wherever_it_is_cut),
        JOURNAL_TEST(an_altered_last_batch_is_dropped_and_not_repaired),
        JOURNAL_TEST(an_alteration_further_back_stops_the_start),
        JOURNAL_TEST(segments_chain_and_none_may_be_missing),
        JOURNAL_TEST(a_batch_has_a_hard_maximum),
    };
    return crypto_init() == OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
