/* SPDX-License-Identifier: Apache-2.0 */
/* The writer and the doors: which lane goes first, short batches of sales beside a scan, scans that are gathered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "store/store/test_writer_rig.h"

static void the_door_goes_first_and_starves_nobody(void **state)
{
    static struct job jobs[90], gate;
    struct rig *rig = *state;
    int door = 0, sale = 0, back = 0;

    start(rig, 100, 16);
    close_gate(rig, &gate);
    for (int i = 0; i < 90; i++) { /* 0..29 back, 30..59 sale, 60..89 door: the worst order */
        jobs[i] = new_job(rig, i, i < 30 ? LANE_BACK : i < 60 ? LANE_SALE : LANE_DOOR);
        assert_int_equal(writer_submit(rig->writer, &jobs[i].command), OK);
    }
    open_gate(rig);
    wait_ended(rig, 91);
    assert_int_equal(rig->order[1], 60);
    for (int i = 1; i <= 16; i++) { /* the first batch of 16 */
        door += rig->order[i] >= 60;
        sale += rig->order[i] >= 30 && rig->order[i] < 60;
        back += rig->order[i] < 30;
    }
    assert_int_equal(door, 12);
    assert_int_equal(sale, 3);
    assert_int_equal(back, 1);
    for (int lane = 0; lane < 3; lane++) /* within a lane: first come, first served */
        for (int i = 1, last = -1; i <= 90; i++) {
            if (rig->order[i] / 30 != lane)
                continue;
            assert_true(rig->order[i] > last);
            last = rig->order[i];
        }
}

enum { SALES = 60, BESIDE_A_SCAN = 16, AFTER_A_SCAN_MS = 300, SLOW_MS = 60 };

/* Sales wait behind a gate, enough of them that its sync is left to the other thread. */
static void submit_sales_behind_a_gate(struct rig *rig, struct job *first, struct job *sales,
                                       int count)
{
    submit_gate(rig, first, 1, false);
    wait_at_gate(rig, first);
    for (int i = 0; i < count; i++)
        submit_job(rig, &sales[i], 1000 + ended_so_far(rig) + i);
}

/* Without a scan all of them are one batch: its last command runs before anything is durable. */
static void expect_one_batch_of_sales(struct rig *rig)
{
    static struct job first, sales[SALES];
    int ended = ended_so_far(rig);

    submit_sales_behind_a_gate(rig, &first, sales, SALES - 1);
    submit_gate_in(rig, &sales[SALES - 1], 2, false, LANE_SALE);
    open_gate(rig);
    wait_at_gate(rig, &sales[SALES - 1]);
    assert_int_equal(ended_so_far(rig), ended);
    open_gate(rig);
    allow_syncs(2);
    wait_ended(rig, ended + 1 + SALES);
}

static void sales_that_wait_for_the_disk_together_are_one_batch(void **state)
{
    struct rig *rig = *state;
    struct writer_figures f;

    start_on_slow_disk(rig);
    expect_one_batch_of_sales(rig);
    writer_figures(rig->writer, &f);
    assert_int_equal(f.largest_batch, SALES);
}

static void while_a_door_scans_batches_of_sales_are_short(void **state)
{
    static struct job first, sales[SALES], scans[2];
    struct rig *rig = *state;
    struct writer_figures f;

    start_on_slow_disk(rig);
    submit_sales_behind_a_gate(rig, &first, sales, SALES);
    submit_gate_in(rig, &scans[0], 2, false, LANE_DOOR);
    open_gate(rig);
    wait_at_gate(rig, &scans[0]);
    open_gate(rig);
    submit_gate_in(rig, &scans[1], 3, false, LANE_DOOR);
    wait_at_gate(rig,
                 &scans[1]); /* into the same batch, whether the sales' part of it is full or not */
    assert_int_equal(ended_so_far(rig), 0);
    open_gate(rig);
    allow_syncs(SALES);
    wait_ended(rig, 1 + SALES + 2);
    writer_figures(rig->writer, &f);
    assert_in_range(f.largest_batch, 2, BESIDE_A_SCAN + 2);
    clock_fixed_set(&rig->t.clock, STORE_TESTING_NOW_MS + AFTER_A_SCAN_MS);
    forbid_syncs();
    expect_one_batch_of_sales(rig);
}

/* What a scan waits for on a slow disk is the sync, and not the sales that go with it. */
static void the_slower_the_disk_the_longer_they_may_be(void **state)
{
    static struct job slow, first, sales[SALES], scan;
    struct rig *rig = *state;
    struct writer_figures f;

    start_on_slow_disk(rig);
    submit_job(rig, &slow, 1);
    wait_sync_begun(1);
    clock_fixed_set(&rig->t.clock, STORE_TESTING_NOW_MS + SLOW_MS);
    allow_syncs(1);
    wait_ended(rig, 1);
    submit_sales_behind_a_gate(rig, &first, sales, SALES - 1);
    scan = new_job(rig, 2, LANE_DOOR);
    assert_int_equal(writer_submit(rig->writer, &scan.command), OK);
    submit_gate_in(rig, &sales[SALES - 1], 3, false, LANE_SALE);
    open_gate(rig);
    wait_at_gate(rig, &sales[SALES - 1]);
    assert_int_equal(ended_so_far(rig), 1);
    open_gate(rig);
    allow_syncs(2);
    wait_ended(rig, 1 + 1 + SALES + 1);
    writer_figures(rig->writer, &f);
    assert_int_equal(f.largest_batch, SALES + 1);
}

/* --- scans that are gathered --- */

enum { LONG_US = 60000000, THICK = 4, GATHERED = 8 };

static void submit_scan(struct rig *rig, struct job *scan)
{
    *scan = new_job(rig, 2000, LANE_DOOR);
    scan->fail_with = ERR_CONFLICT; /* so that a number may come twice */
    scan->fail_first = true;
    assert_int_equal(writer_submit(rig->writer, &scan->command), OK);
}

/* A gate, and behind it scans that are a batch of their own. When they are THICK, the next scans are waited for. */
static void scan_at_once(struct rig *rig, int count)
{
    static struct job gate, scans[THICK];

    start(rig, 100, 64);
    submit_gate_in(rig, &gate, 1, false, LANE_DOOR);
    wait_at_gate(rig, &gate);
    for (int i = 0; i < count; i++)
        submit_scan(rig, &scans[i]);
    open_gate(rig);
    wait_ended(rig, 1 + count);
}

static void scans_that_come_thickly_share_a_commit(void **state)
{
    static struct job scans[GATHERED];
    struct rig *rig = *state;
    struct writer_figures before, after;

    rig->gather_us = LONG_US;
    scan_at_once(rig, THICK);
    writer_figures(rig->writer, &before);
    for (int i = 0; i < GATHERED; i++)
        submit_scan(rig, &scans[i]);
    wait_ended(rig, 1 + THICK + GATHERED);
    writer_figures(rig->writer, &after);
    assert_int_equal(after.batches, before.batches + 1);
}

static void too_few_scans_wait_no_longer_than_told(void **state)
{
    static struct job scans[GATHERED - 1];
    struct rig *rig = *state;

    rig->gather_us = 1000;
    scan_at_once(rig, THICK);
    for (int i = 0; i < GATHERED - 1; i++)
        submit_scan(rig, &scans[i]);
    wait_ended(rig, 1 + THICK + GATHERED - 1);
}

static void where_few_scan_nobody_waits(void **state)
{
    static struct job scan;
    struct rig *rig = *state;

    rig->gather_us = LONG_US;
    scan_at_once(rig, THICK - 1);
    submit_scan(rig, &scan);
    wait_ended(rig, 1 + THICK);
}

static void a_sale_does_not_wait_for_scans(void **state)
{
    static struct job scan, sale;
    struct rig *rig = *state;

    rig->gather_us = LONG_US;
    scan_at_once(rig, THICK);
    submit_scan(rig, &scan);
    submit_job(rig, &sale, 1);
    wait_ended(rig, 1 + THICK + 2);
}

static void a_stop_does_not_wait_for_scans(void **state)
{
    static struct job scan;
    struct rig *rig = *state;

    rig->gather_us = LONG_US;
    scan_at_once(rig, THICK);
    submit_scan(rig, &scan);
    writer_stop(rig->writer);
    rig->writer = NULL;
    assert_int_equal(rig->ended, 1 + THICK + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_door_goes_first_and_starves_nobody),
        CASE(sales_that_wait_for_the_disk_together_are_one_batch),
        CASE(while_a_door_scans_batches_of_sales_are_short),
        CASE(the_slower_the_disk_the_longer_they_may_be),
        CASE(scans_that_come_thickly_share_a_commit),
        CASE(too_few_scans_wait_no_longer_than_told),
        CASE(where_few_scan_nobody_waits),
        CASE(a_sale_does_not_wait_for_scans),
        CASE(a_stop_does_not_wait_for_scans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
