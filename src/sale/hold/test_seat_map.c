/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "sale/hold/test_fixture.h"
#include "store/store/writer.h"

static struct hold h;
static struct seat_map *map;

static int open_map(void **state)
{
    (void)open_sale(state);
    assert_int_equal(seat_maps_get(maps, fix.t.reader, 1, &map), OK);
    return 0;
}

static unsigned shown(uint32_t place_no)
{
    struct seat_snapshot *s = NULL;
    assert_int_equal(seat_map_snapshot(map, &s), OK);
    unsigned v = s->bytes.data[16 + place_no / 4] >> (place_no % 4 * 2) & 3;
    seat_snapshot_release(&s);
    return v;
}

static void an_event_that_was_never_on_sale_has_no_map(void **state)
{
    struct event_request req = fix_event_request(2, 1);
    struct seat_map *other;
    (void)state;
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    assert_int_equal(seat_maps_get(maps, fix.t.reader, 2, &other), ERR_NOT_FOUND);
    assert_int_equal(seat_maps_get(maps, fix.t.reader, 99, &other), ERR_NOT_FOUND);
    assert_null(seat_maps_find(maps, 99));
    assert_int_equal(fix_status(FIX_ORGANISER, req.id, EVENT_ON_SALE), OK);
    assert_int_equal(seat_maps_get(maps, fix.t.reader, 2, &other), OK);
    assert_ptr_not_equal(other, map);
    assert_ptr_equal(seat_maps_find(maps, 1), map);
}

static void the_snapshot_is_as_documented(void **state)
{
    struct seat_snapshot *s = NULL, *same = NULL, *later = NULL;
    (void)state;
    assert_int_equal(seat_map_snapshot(map, &s), OK);
    assert_int_equal(s->bytes.len, 16 + 14);
    assert_memory_equal(s->bytes.data, "GHA1", 4);
    assert_true(get_u64be(s->bytes.data + 4) == s->version && s->version == seat_map_version(map));
    assert_int_equal(get_u32be(s->bytes.data + 12), 56);
    assert_int_equal(seat_map_snapshot(map, &same), OK);
    assert_ptr_equal(s, same);
    seat_snapshot_release(&same);
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    assert_int_equal(seat_map_snapshot(map, &later), OK);
    assert_string_not_equal(s->etag, later->etag);
    assert_int_equal(s->bytes.data[17], 0); /* the old one is as it was */
    assert_int_equal(later->bytes.data[17], 1 << 2 | 1 << 4);
    seat_snapshot_release(&s);
    seat_snapshot_release(&later);
    assert_null(s);
}

static void states_are_shown_as_buyers_see_them(void **state)
{
    struct hold_call c = {
        .places = {5, 6}, .count = 2, .order = ORDER_ID(1), .ticket = TICKET_ID(1)};
    struct seat_counts counts;
    (void)state;
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    assert_int_equal(shown(5), SEAT_HELD);
    assert_int_equal(take_for_order(1, 1, 1), OK);
    assert_int_equal(shown(5), SEAT_HELD);
    seat_map_counts(map, &counts);
    assert_int_equal(counts.ordered, 2);
    assert_int_equal(counts.free, 54);
    assert_int_equal(counts.free_by_category[0], 18);
    assert_int_equal(run(sell_, &c), OK);
    assert_int_equal(shown(5), SEAT_TAKEN);
    assert_int_equal(shown(6), SEAT_HELD);
    assert_int_equal(run(return_, &c), OK);
    assert_int_equal(shown(5), SEAT_FREE);
    seat_map_counts(map, &counts);
    assert_int_equal(counts.free_by_category[0], 19);
    assert_int_equal(place(slots(2, 2, 7), &h), OK);
    assert_int_equal(seat_map_free_in_area(map, 0), 23);
    seat_map_counts(map, &counts);
    assert_int_equal(counts.free_by_category[1], 29);
    assert_int_equal(counts.held, 7);
}

static void changes_tell_what_happened_since_a_version(void **state)
{
    struct seat_change c[8];
    uint64_t start = seat_map_version(map), version;
    size_t count;
    (void)state;
    assert_int_equal(seat_map_changes(map, start, c, 8, &count, &version), OK);
    assert_int_equal(count, 0);
    assert_true(version == start);
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    uint64_t first = seat_map_version(map);
    assert_int_equal(release(1, 1), OK);
    assert_int_equal(seat_map_changes(map, start, c, 8, &count, &version), OK);
    assert_int_equal(count, 4);
    assert_int_equal(c[0].place, 5);
    assert_int_equal(c[0].shown, SEAT_HELD);
    assert_true(c[0].version == first && c[1].version == first);
    assert_int_equal(c[3].shown, SEAT_FREE);
    assert_int_equal(seat_map_changes(map, first, c, 8, &count, &version), OK);
    assert_int_equal(count, 2);
    /* a version is told whole or not at all */
    assert_int_equal(seat_map_changes(map, start, c, 3, &count, &version), OK);
    assert_int_equal(count, 2);
    assert_true(version == first);
    assert_int_equal(seat_map_changes(map, start, c, 1, &count, &version), ERR_EXPIRED);
    /* versions that are not of this run */
    assert_int_equal(seat_map_changes(map, start - 1, c, 8, &count, &version), ERR_EXPIRED);
    assert_string_equal(err_last()->slug, "refresh_needed");
    assert_int_equal(seat_map_changes(map, first + 100, c, 8, &count, &version), ERR_EXPIRED);
    /* later than any version before a restart */
    assert_true(start == (uint64_t)STORE_TESTING_NOW_MS * 1000);
}

static void whoever_is_too_far_behind_fetches_again(void **state)
{
    struct store_note note = {.kind = NOTE_PLACE, .a = 1, .b = 3};
    struct seat_change c[8];
    uint64_t start = seat_map_version(map), version;
    size_t count;
    (void)state;
    for (int i = 0; i < SEAT_CHANGES_KEPT; i++) {
        note.c = i % 2 == 0 ? PLACE_BLOCKED : PLACE_FREE;
        seat_maps_committed(maps, &note, 1);
    }
    assert_int_equal(seat_map_changes(map, start, c, 8, &count, &version), OK);
    assert_int_equal(count, 8);
    note.c = PLACE_BLOCKED;
    seat_maps_committed(maps, &note, 1);
    assert_int_equal(seat_map_changes(map, start, c, 8, &count, &version), ERR_EXPIRED);
    assert_int_equal(seat_map_changes(map, start + 1, c, 8, &count, &version), OK);
    /* nonsense in a note changes nothing */
    version = seat_map_version(map);
    note.b = 56;
    seat_maps_committed(maps, &note, 1);
    note = (struct store_note){.kind = NOTE_PLACE, .a = 1, .b = 3, .c = 9};
    seat_maps_committed(maps, &note, 1);
    assert_true(seat_map_version(map) == version);
}

static void holds_turn_free_by_time(void **state)
{
    uint64_t version;
    (void)state;
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    version = seat_map_version(map);
    assert_false(seat_maps_tick(maps, STORE_TESTING_NOW_MS + 599999));
    assert_int_equal(shown(5), SEAT_HELD);
    assert_true(seat_maps_tick(maps, STORE_TESTING_NOW_MS + 600000));
    assert_int_equal(shown(5), SEAT_FREE);
    assert_true(seat_map_version(map) == version + 1);
    assert_false(seat_maps_tick(maps, STORE_TESTING_NOW_MS + 600000));
    /* the sweep that follows changes nothing any more */
    struct hold_call c = {0};
    at(600000);
    assert_int_equal(run(sweep_, &c), OK);
    assert_true(seat_map_version(map) == version + 1);
}

static void a_refreshed_hold_stays(void **state)
{
    (void)state;
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    at(500000);
    assert_int_equal(refresh(1, 1, &h), OK);
    assert_false(seat_maps_tick(maps, STORE_TESTING_NOW_MS + 1099999));
    assert_true(seat_maps_tick(maps, STORE_TESTING_NOW_MS + 1100000));
}

static void what_was_only_released_is_not_published(void **state)
{
    struct hold_call c = {.req = best(1, 0, 2)};
    (void)state;
    assert_int_equal(store_testing_run(&fix.t, place_, &c), OK);
    seat_maps_released(maps, fix.t.notes, fix.t.note_count);
    assert_int_equal(shown(4), SEAT_FREE);
    seat_maps_committed(maps, fix.t.notes, fix.t.note_count);
    assert_int_equal(shown(4), SEAT_HELD);
}

/* What a restart finds is what was there. */
static void loading_reads_the_rows(void **state)
{
    (void)state;
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    seat_maps_free(maps);
    assert_int_equal(seat_maps_new(fix.t.store, &maps), OK);
    at(1000);
    assert_int_equal(seat_maps_get(maps, fix.t.reader, 1, &map), OK);
    assert_int_equal(shown(5), SEAT_HELD);
    assert_true(seat_map_version(map) == (uint64_t)(STORE_TESTING_NOW_MS + 1000) * 1000);
    assert_true(seat_maps_tick(maps, STORE_TESTING_NOW_MS + 600000));
    assert_int_equal(shown(5), SEAT_FREE);
}

static void restart_prepared(void)
{
    seat_maps_free(maps);
    assert_int_equal(seat_maps_new(fix.t.store, &maps), OK);
    assert_int_equal(seat_maps_get(maps, fix.t.reader, 1, &map), OK);
    assert_int_equal(seat_map_prepare(map), OK);
}

static void a_prepared_map_serves_the_writer_at_once(void **state)
{
    uint32_t picked[2];
    (void)state;
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    restart_prepared();
    assert_int_equal(shown(5), SEAT_HELD);
    assert_false(seat_map_working_free(map, STORE_TESTING_NOW_MS, 5));
    assert_true(seat_map_working_free(map, STORE_TESTING_NOW_MS, 4));
    assert_int_equal(seat_map_pick(map, STORE_TESTING_NOW_MS, 0, 2, false, picked), OK);
    assert_true(picked[0] != 5 && picked[0] != 6 && picked[1] != 5 && picked[1] != 6);
    /* what the hold's end does to one view, it does to the other */
    assert_true(seat_map_working_free(map, STORE_TESTING_NOW_MS + 600000, 5));
    assert_int_equal(shown(5), SEAT_HELD);
    assert_true(seat_maps_tick(maps, STORE_TESTING_NOW_MS + 600000));
    assert_int_equal(shown(5), SEAT_FREE);
}

static void a_prepared_map_hears_what_the_writer_does(void **state)
{
    (void)state;
    restart_prepared();
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    assert_int_equal(shown(5), SEAT_HELD);
    assert_false(seat_map_working_free(map, STORE_TESTING_NOW_MS, 5));
    /* and reads the rows itself once a batch was lost: this change it was not told of */
    assert_int_equal(
        store_testing_run(&fix.t, release_, &(struct hold_call){.id = HOLD_ID(1), .account_no = 1}),
        OK);
    assert_false(seat_map_working_free(map, STORE_TESTING_NOW_MS, 5));
    seat_maps_lost(maps);
    assert_int_equal(place(pair(2, 1, 7), &h), OK);
    assert_true(seat_map_working_free(map, STORE_TESTING_NOW_MS, 5));
}

/* --- with the real writer, and readers that load while it writes ------------------------------------------------------- */

enum { WRITES = 300, LOADERS = 2 };

struct seller {
    struct writer *writer;
    struct hold_call call;
};

static void *sell(void *context)
{
    struct seller *s = context;
    for (int i = 0; i < WRITES; i++) {
        s->call.id = s->call.req.id = HOLD_ID((uint8_t)i);
        s->call.req.id.b[1] = (uint8_t)(i / 256);
        s->call.id = s->call.req.id;
        s->call.req.want = HOLD_BEST;
        s->call.req.count = 1 + (uint32_t)i % 3;
        if (writer_call(s->writer, LANE_SALE, place_, &s->call) == OK && i % 4 != 0)
            assert_int_equal(writer_call(s->writer, LANE_SALE, release_, &s->call), OK);
    }
    return NULL;
}

static void *load(void *context)
{
    struct store_reader *reader = NULL;
    struct seat_map *mine;
    (void)context;
    assert_int_equal(store_reader_open(fix.t.store, &reader), OK);
    for (int i = 0; i < WRITES; i++) {
        struct seat_snapshot *s = NULL;
        assert_int_equal(seat_maps_get(maps, reader, 1, &mine), OK);
        assert_int_equal(seat_map_snapshot(mine, &s), OK);
        seat_snapshot_release(&s);
    }
    store_reader_close(reader);
    return NULL;
}

static void what_is_published_is_what_the_rows_say(void **state)
{
    struct writer_config config = {.queue_max = 64,
                                   .batch_max = 8,
                                   .released = seat_maps_released,
                                   .committed = seat_maps_committed,
                                   .lost = seat_maps_lost,
                                   .context = maps};
    struct seller s = {.call = {.account_no = 1}};
    pthread_t seller, loaders[LOADERS];
    char sql[100];
    (void)state;

    s.call.req = (struct hold_request){.event = EVENT_ID(1), .account_no = 1};
    assert_int_equal(writer_start(fix.t.store, &config, &s.writer), OK);
    assert_int_equal(pthread_create(&seller, NULL, sell, &s), 0);
    for (int i = 0; i < LOADERS; i++)
        assert_int_equal(pthread_create(&loaders[i], NULL, load, NULL), 0);
    (void)pthread_join(seller, NULL);
    for (int i = 0; i < LOADERS; i++)
        (void)pthread_join(loaders[i], NULL);
    writer_stop(s.writer);
    assert_int_equal(seat_maps_get(maps, fix.t.reader, 1, &map), OK);
    assert_true(number("SELECT count(*) FROM place WHERE state = 1") > 0);
    for (uint32_t i = 0; i < 56; i++) {
        (void)snprintf(sql, sizeof sql,
                       "SELECT state FROM place WHERE event_no = 1 AND place_no = %u", i);
        assert_int_equal(shown(i), number(sql));
    }
}

/* --- who has a place ------------------------------------------------------------------------------------------------------ */

static bool taken_from(uint32_t place_no, uint8_t hold)
{
    return seat_map_taken_by_another(map, place_no, HOLD_ID(hold));
}

/* Ids as people make them end in random bytes: HOLD_ID's last bits tell them apart but for the lowest. */
static void a_place_is_known_to_be_anothers(void **state)
{
    (void)state;
    assert_false(taken_from(5, 4));
    assert_false(taken_from(99, 4));
    assert_int_equal(place(pair(2, 1, 5), &h), OK);
    assert_true(taken_from(5, 4) && taken_from(6, 4));
    assert_false(taken_from(5, 2) || taken_from(7, 4));
    assert_int_equal(take_for_order(2, 1, 1), OK); /* and stays so when the hold becomes an order */
    assert_true(taken_from(5, 4));
    assert_false(taken_from(5, 2));
}

static void a_place_that_was_given_back_is_nobodys(void **state)
{
    (void)state;
    assert_int_equal(place(pair(2, 1, 5), &h), OK);
    assert_int_equal(release(2, 1), OK);
    assert_false(taken_from(5, 4));
    assert_int_equal(place(pair(4, 1, 5), &h), OK);
    assert_true(taken_from(5, 2));
    assert_false(taken_from(5, 4));
}

static struct store_note place_note(uint32_t place_no, enum place_state state, uint8_t hold)
{
    int64_t tag = state == PLACE_HELD ? (int64_t)HOLD_TAG(HOLD_ID(hold)) << 32 : 0;

    return (struct store_note){.kind = NOTE_PLACE,
                               .a = 1,
                               .b = place_no,
                               .c = (int64_t)state | tag,
                               .d = STORE_TESTING_NOW_MS + 60000};
}

static void a_place_is_anothers_from_when_the_writer_gave_it(void **state)
{
    const struct store_note held = place_note(5, PLACE_HELD, 2),
                            again = place_note(5, PLACE_HELD, 4),
                            back = place_note(5, PLACE_FREE, 2);
    (void)state;
    seat_maps_released(maps, &held, 1);
    assert_true(taken_from(5, 4));
    assert_false(taken_from(5, 2) || taken_from(6, 4));
    assert_int_equal(shown(5), SEAT_FREE); /* nobody else is told yet */
    seat_maps_lost(maps);
    assert_false(taken_from(5, 4));
    seat_maps_released(maps, &held, 1);
    seat_maps_released(maps, &back, 1);
    assert_false(taken_from(5, 4));
    /* Given back and taken anew in the next batch, while the first one is published. */
    seat_maps_released(maps, &held, 1);
    seat_maps_released(maps, &back, 1);
    seat_maps_released(maps, &again, 1);
    seat_maps_committed(maps, &held, 1);
    seat_maps_committed(maps, &back, 1);
    assert_true(taken_from(5, 2));
    assert_false(taken_from(5, 4));
    seat_maps_committed(maps, &again, 1);
    assert_true(taken_from(5, 2));
    assert_true(seat_maps_tick(maps, STORE_TESTING_NOW_MS + 60001));
    assert_false(taken_from(5, 2)); /* a hold that is over leaves no claim */
}

/* --- what is known of the event ---------------------------------------------------------------------------------------- */

struct facts_call {
    struct event_facts *facts;
    enum event_status working;
};

static enum err facts_(struct store_tx *tx, void *context)
{
    struct facts_call *c = context;
    return seat_map_facts(map, tx, &c->facts);
}

static enum err working_facts_(struct store_tx *tx, void *context)
{
    struct facts_call *c = context;
    struct event_facts *facts;

    TRY(seat_map_working_facts(map, tx, &facts));
    c->working = facts->row.status;
    return OK;
}

static enum event_status working_status(void)
{
    struct facts_call c = {0};
    assert_int_equal(run(working_facts_, &c), OK);
    return c.working;
}

static void the_facts_of_an_event_are_read_once_and_shared(void **state)
{
    struct facts_call a = {0}, b = {0};
    struct event_facts *kept;
    (void)state;
    assert_null(seat_map_facts_kept(map));
    assert_int_equal(store_testing_read(&fix.t, facts_, &a), OK);
    assert_int_equal(store_testing_read(&fix.t, facts_, &b), OK);
    assert_ptr_equal(a.facts, b.facts);
    kept = seat_map_facts_kept(map);
    assert_ptr_equal(kept, a.facts);
    assert_string_equal(a.facts->row.name, "Evening");
    assert_int_equal(a.facts->categories[0]->price_minor, 4000);
    assert_null(a.facts->categories[2]);
    assert_ptr_equal(seat_maps_find_event(maps, EVENT_ID(1)), map);
    assert_null(seat_maps_find_event(maps, EVENT_ID(9)));
    event_facts_release(&a.facts);
    event_facts_release(&b.facts);
    event_facts_release(&kept);
}

static void a_changed_event_is_read_anew(void **state)
{
    struct facts_call before = {0}, after = {0};
    (void)state;
    assert_int_equal(store_testing_read(&fix.t, facts_, &before), OK);
    assert_int_equal(working_status(), EVENT_ON_SALE);
    assert_int_equal(set_status(EVENT_CLOSED), OK);
    assert_null(seat_map_facts_kept(map));
    assert_int_equal(store_testing_read(&fix.t, facts_, &after), OK);
    assert_int_equal(after.facts->row.status, EVENT_CLOSED);
    assert_int_equal(before.facts->row.status, EVENT_ON_SALE); /* whoever had it keeps it */
    assert_int_equal(working_status(), EVENT_CLOSED);
    event_facts_release(&before.facts);
    event_facts_release(&after.facts);
}

/* A reader whose snapshot began before the change: it sees what its snapshot says, and nobody else is given that. */
static void what_an_old_snapshot_reads_is_not_kept(void **state)
{
    struct facts_call old = {0};
    struct event_facts *kept;
    struct store_tx *tx;
    (void)state;
    assert_int_equal(store_read_begin(fix.t.reader, &tx), OK);
    assert_int_equal(set_status(EVENT_CLOSED), OK);
    assert_int_equal(facts_(tx, &old), OK);
    store_read_end(tx);
    assert_int_equal(old.facts->row.status, EVENT_ON_SALE);
    kept = seat_map_facts_kept(map);
    assert_null(kept);
    event_facts_release(&old.facts);
}

/* A batch that changed the event, was asked for it, and was lost. */
static void what_a_lost_batch_read_is_forgotten(void **state)
{
    (void)state;
    assert_int_equal(fix_status(FIX_ORGANISER, EVENT_ID(1), EVENT_CLOSED), OK);
    seat_maps_released(maps, fix.t.notes, fix.t.note_count);
    assert_int_equal(working_status(), EVENT_CLOSED);
    store_testing_sql(&fix.t, "UPDATE event SET status = 'on_sale' WHERE event_no = 1");
    seat_maps_lost(maps);
    assert_int_equal(working_status(), EVENT_ON_SALE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_map, close_sale)
    const struct CMUnitTest tests[] = {
        TEST(an_event_that_was_never_on_sale_has_no_map),
        TEST(the_snapshot_is_as_documented),
        TEST(states_are_shown_as_buyers_see_them),
        TEST(changes_tell_what_happened_since_a_version),
        TEST(whoever_is_too_far_behind_fetches_again),
        TEST(holds_turn_free_by_time),
        TEST(a_refreshed_hold_stays),
        TEST(what_was_only_released_is_not_published),
        TEST(loading_reads_the_rows),
        TEST(a_prepared_map_serves_the_writer_at_once),
        TEST(a_prepared_map_hears_what_the_writer_does),
        TEST(a_place_is_known_to_be_anothers),
        TEST(a_place_that_was_given_back_is_nobodys),
        TEST(a_place_is_anothers_from_when_the_writer_gave_it),
        TEST(the_facts_of_an_event_are_read_once_and_shared),
        TEST(a_changed_event_is_read_anew),
        TEST(what_an_old_snapshot_reads_is_not_kept),
        TEST(what_a_lost_batch_read_is_forgotten),
        cmocka_unit_test_setup_teardown(what_is_published_is_what_the_rows_say, open_sale,
                                        close_sale),
    };
    return cmocka_run_group_tests_name("seat_map", tests, NULL, NULL);
}
