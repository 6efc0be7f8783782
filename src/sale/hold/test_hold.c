/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/hold/test_fixture.h"

static struct hold h;

static void named_seats_are_held_for_ten_minutes_at_their_price(void **state)
{
    (void)state;
    struct hold_request req = pair(1, 1, 5);
    req.places[0] = 6;
    req.places[1] = 5;
    assert_int_equal(place(req, &h), OK);
    assert_int_equal(h.row.status, HOLD_LIVE);
    assert_int_equal(h.row.place_count, 2);
    assert_int_equal(h.row.places[0], 5); /* ascending, whatever the order asked in */
    assert_int_equal(h.row.places[1], 6);
    assert_int_equal(h.row.created_ms, STORE_TESTING_NOW_MS);
    assert_int_equal(h.row.expires_ms, STORE_TESTING_NOW_MS + 600000);
    assert_int_equal(h.row.latest_ms, STORE_TESTING_NOW_MS + 1800000);
    assert_int_equal(h.prices[0].price_minor, 4000);
    assert_int_equal(h.total.amount_minor, 8500);
    assert_string_equal(h.total.currency.code, "EUR");
    assert_int_equal(number("SELECT count(*) FROM place WHERE state = 1"), 2);
}

static void all_or_none_and_the_taken_seat_is_named(void **state)
{
    (void)state;
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    REFUSED(place(pair(2, 2, 4), &h), ERR_CONFLICT, "seat_taken"); /* 4 and 5 */
    assert_string_equal(err_last()->pointer, "#/places/1");
    assert_non_null(strstr(err_last()->detail, "row 1 seat 6"));
    assert_int_equal(number("SELECT state FROM place WHERE place_no = 4"), 0);
    assert_int_equal(number("SELECT count(*) FROM hold"), 1);
    assert_int_equal(place(pair(2, 2, 3), &h), OK);
}

static void the_same_request_gives_the_same_hold_and_another_does_not(void **state)
{
    (void)state;
    struct hold_request swapped = pair(1, 1, 5);
    swapped.places[0] = 6;
    swapped.places[1] = 5;
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    at(1000);
    assert_int_equal(place(swapped, &h), OK);
    assert_int_equal(h.row.created_ms, STORE_TESTING_NOW_MS);
    assert_int_equal(number("SELECT count(*) FROM hold"), 1);
    REFUSED(place(pair(1, 1, 7), &h), ERR_CONFLICT, "id_reused");
    REFUSED(place(pair(1, 2, 5), &h), ERR_CONFLICT, "id_reused");
    REFUSED(place(best(1, 0, 2), &h), ERR_CONFLICT, "id_reused");
    at(600000);
    assert_int_equal(place(pair(1, 1, 5), &h), OK); /* also after its end: what became of it */
    assert_int_equal(h.row.status, HOLD_EXPIRED);
}

static void bad_requests_are_refused(void **state)
{
    (void)state;
    struct hold_request req = pair(1, 1, 5);
    req.place_count = 0;
    REFUSED(place(req, &h), ERR_INVALID, "no_places");
    req = pair(1, 1, 5);
    req.places[1] = 5;
    REFUSED(place(req, &h), ERR_INVALID, "duplicate_place");
    REFUSED(place(pair(1, 1, 25), &h), ERR_INVALID, "no_place"); /* 26 is a slot */
    assert_string_equal(err_last()->pointer, "#/places/1");
    req = pair(1, 1, 5);
    req.places[0] = UINT32_MAX;
    REFUSED(place(req, &h), ERR_INVALID, "no_place");
    REFUSED(place(best(1, 0, 0), &h), ERR_INVALID, "no_places");
    REFUSED(place(best(1, 0, 9), &h), ERR_INVALID, "too_many_places"); /* the event's limit is 8 */
    REFUSED(place(best(1, 0, 51), &h), ERR_INVALID, "too_many_places");
    REFUSED(place(best(1, 2, 1), &h), ERR_INVALID, "no_category");
    REFUSED(place(best(1, 256, 1), &h), ERR_INVALID, "no_category");
    req = slots(1, 1, 2);
    req.area = 1;
    REFUSED(place(req, &h), ERR_INVALID, "no_area");
    req = pair(1, 1, 5);
    req.event = EVENT_ID(7);
    REFUSED(place(req, &h), ERR_NOT_FOUND, "no_event");
    memset(req.id.b, 0, ID_BYTES);
    REFUSED(place(req, &h), ERR_INVALID, "bad_id");
    assert_int_equal(number("SELECT count(*) FROM place WHERE state <> 0"), 0);
}

static void only_within_the_sale(void **state)
{
    (void)state;
    struct event_request req = fix_event_request(2, 1);
    struct hold_request draft = pair(1, 1, 5);

    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    draft.event = req.id;
    REFUSED(place(draft, &h), ERR_NOT_FOUND, "no_event");
    at(30 * DAY_MS - 1);
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    at(30 * DAY_MS); /* sale_until */
    REFUSED(place(pair(2, 1, 7), &h), ERR_CONFLICT, "not_on_sale");
}

static void a_closed_event_sells_nothing(void **state)
{
    (void)state;
    assert_int_equal(set_status(EVENT_CLOSED), OK);
    REFUSED(place(pair(1, 1, 5), &h), ERR_CONFLICT, "not_on_sale");
    assert_int_equal(set_status(EVENT_ON_SALE), OK);
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
}

static void nothing_before_the_sale_begins(void **state)
{
    struct event_request req = fix_event_request(2, 1);
    struct hold_request early = pair(1, 1, 5);
    (void)state;

    req.sale_from_ms = STORE_TESTING_NOW_MS + 1000;
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    assert_int_equal(fix_status(FIX_ORGANISER, req.id, EVENT_ON_SALE), OK);
    early.event = req.id;
    at(999);
    REFUSED(place(early, &h), ERR_CONFLICT, "not_on_sale");
    at(1000);
    assert_int_equal(place(early, &h), OK);
}

static void a_hold_is_over_at_its_millisecond_without_a_sweep(void **state)
{
    (void)state;
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    at(599999);
    REFUSED(place(pair(2, 2, 5), &h), ERR_CONFLICT, "seat_taken");
    assert_int_equal(status_of(1, 1), HOLD_LIVE);
    at(600000);
    assert_int_equal(status_of(1, 1), HOLD_EXPIRED);
    REFUSED(refresh(1, 1, &h), ERR_EXPIRED, "hold_expired");
    REFUSED(take_for_order(1, 1, 1), ERR_EXPIRED, "hold_expired");
    assert_int_equal(place(pair(2, 2, 5), &h), OK);
    /* the first hold's end must not free what is another's now */
    assert_int_equal(release(1, 1), OK);
    assert_int_equal(number("SELECT count(*) FROM place WHERE state = 1"), 2);
    assert_int_equal(number("SELECT count(*) FROM hold WHERE status = 'expired'"), 1);
}

static void refreshing_gives_ten_minutes_more_but_never_past_thirty(void **state)
{
    (void)state;
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    at(300000);
    assert_int_equal(refresh(1, 1, &h), OK);
    assert_int_equal(h.row.expires_ms, STORE_TESTING_NOW_MS + 900000);
    at(600000); /* its first end: still live */
    REFUSED(place(pair(2, 2, 5), &h), ERR_CONFLICT, "seat_taken");
    at(899999);
    assert_int_equal(refresh(1, 1, &h), OK);
    at(1400000);
    assert_int_equal(refresh(1, 1, &h), OK);
    assert_int_equal(h.row.expires_ms, STORE_TESTING_NOW_MS + 1800000);
    at(1799999);
    assert_int_equal(refresh(1, 1, &h), OK);
    assert_int_equal(h.row.expires_ms, STORE_TESTING_NOW_MS + 1800000);
    at(1800000);
    REFUSED(refresh(1, 1, &h), ERR_EXPIRED, "hold_expired");
    assert_int_equal(place(pair(2, 2, 5), &h), OK);
}

static void released_seats_are_free_at_once(void **state)
{
    (void)state;
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    assert_int_equal(release(1, 1), OK);
    assert_int_equal(release(1, 1), OK);
    assert_int_equal(status_of(1, 1), HOLD_RELEASED);
    assert_int_equal(place(pair(2, 2, 5), &h), OK);
    assert_int_equal(release(1, 1), OK);
    assert_int_equal(number("SELECT count(*) FROM place WHERE state = 1"), 2);
    REFUSED(refresh(1, 1, &h), ERR_CONFLICT, "hold_ended");
    REFUSED(take_for_order(1, 1, 1), ERR_CONFLICT, "hold_ended");
}

static void a_hold_is_its_accounts_only(void **state)
{
    struct hold_call c = call_of(1, 2);
    (void)state;
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    assert_int_equal(store_testing_read(&fix.t, get_, &c), ERR_NOT_FOUND);
    REFUSED(refresh(1, 2, &h), ERR_NOT_FOUND, "no_hold");
    REFUSED(release(1, 2), ERR_NOT_FOUND, "no_hold");
    REFUSED(take_for_order(1, 2, 1), ERR_NOT_FOUND, "no_hold");
    REFUSED(release(9, 1), ERR_NOT_FOUND, "no_hold");
    assert_int_equal(status_of(1, 1), HOLD_LIVE);
}

static void five_live_holds_an_account_and_event(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < 5; i++)
        assert_int_equal(place(pair((uint8_t)(i + 1), 1, i * 2u), &h), OK);
    REFUSED(place(pair(6, 1, 10), &h), ERR_LIMIT, "too_many_holds");
    assert_int_equal(place(pair(7, 2, 10), &h), OK); /* somebody else */
    assert_int_equal(release(1, 1), OK);
    assert_int_equal(place(pair(6, 1, 0), &h), OK);
    REFUSED(place(pair(8, 1, 14), &h), ERR_LIMIT, "too_many_holds");
    at(600000); /* over ones do not count, swept or not */
    assert_int_equal(place(pair(8, 1, 14), &h), OK);
}

static void a_sweep_ends_what_is_over_and_nothing_else(void **state)
{
    struct hold_call c = {0};
    (void)state;
    assert_int_equal(place(pair(1, 1, 0), &h), OK);
    at(1000);
    assert_int_equal(place(pair(2, 1, 2), &h), OK);
    at(600999);
    assert_int_equal(run(sweep_, &c), OK);
    assert_int_equal(c.count, 1);
    assert_int_equal(number("SELECT count(*) FROM place WHERE state = 1"), 2);
    assert_int_equal(number("SELECT count(*) FROM hold WHERE status = 'expired'"), 1);
    at(601000);
    assert_int_equal(run(sweep_, &c), OK);
    assert_int_equal(c.count, 1);
    assert_int_equal(run(sweep_, &c), OK);
    assert_int_equal(c.count, 0);
    assert_int_equal(number("SELECT count(*) FROM place WHERE state <> 0"), 0);
}

static void a_sweep_leaves_what_another_holds(void **state)
{
    struct hold_call c = {0};
    (void)state;
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    at(600000);
    assert_int_equal(place(pair(2, 2, 6), &h), OK); /* takes seat 6 of the one that is over */
    assert_int_equal(run(sweep_, &c), OK);
    assert_int_equal(c.count, 1);
    assert_int_equal(number("SELECT state FROM place WHERE place_no = 5"), 0);
    assert_int_equal(number("SELECT count(*) FROM place WHERE state = 1 AND place_no IN (6, 7)"),
                     2);
}

static void the_best_seats_go_first_and_together(void **state)
{
    (void)state;
    assert_int_equal(place(best(1, 0, 2), &h), OK);
    assert_int_equal(h.row.places[0], 4);
    assert_int_equal(place(best(2, 0, 2), &h), OK);
    assert_int_equal(h.row.places[0], 2);
    assert_int_equal(place(best(3, 1, 4), &h), OK);
    assert_int_equal(h.row.places[0], 20);
    at(600000); /* all over: the middle again */
    assert_int_equal(place(best(4, 0, 2), &h), OK);
    assert_int_equal(h.row.places[0], 4);
    REFUSED(place(best(5, 1, 7), &h), ERR_CONFLICT, "none_left");
}

static void split_rows_only_when_the_caller_allows(void **state)
{
    (void)state;
    struct hold_request req = best(3, 0, 8);
    assert_int_equal(place(pair(1, 1, 4), &h), OK);
    assert_int_equal(place(pair(2, 1, 14), &h), OK); /* four a side in both rows */
    REFUSED(place(req, &h), ERR_CONFLICT, "none_left");
    req.split = true;
    assert_int_equal(place(req, &h), OK);
    assert_int_equal(h.row.place_count, 8);
}

static void rows_decide_when_the_map_is_wrong(void **state)
{
    struct hold_request req = best(1, 0, 2);
    (void)state;
    assert_int_equal(place(best(9, 0, 1), &h), OK); /* loads the map */
    assert_int_equal(h.row.places[0], 4);
    /* behind the map's back: only 18 and 19 are left */
    store_testing_sql(&fix.t, "UPDATE place SET state = 4 WHERE place_no < 18 AND state = 0");
    assert_int_equal(place(req, &h), OK);
    assert_int_equal(h.row.places[0], 18);
    assert_int_equal(number("SELECT count(*) FROM place WHERE state = 1"), 3);
    req.id = HOLD_ID(2);
    REFUSED(place(req, &h), ERR_CONFLICT, "none_left");
    /* and seats that came back without a note are found after the next reload */
    store_testing_sql(&fix.t, "UPDATE place SET state = 0 WHERE place_no < 2");
    seat_maps_lost(maps);
    assert_int_equal(place(req, &h), OK);
    assert_int_equal(h.row.places[0], 0);
}

static void general_admission_never_goes_above_its_slots(void **state)
{
    int64_t sold = 0;
    (void)state;
    for (uint8_t i = 0; i < 5; i++) {
        if (place(slots((uint8_t)(i + 1), 1, 8), &h) == OK)
            sold += 8;
        else
            assert_string_equal(err_last()->slug, "none_left");
    }
    assert_int_equal(sold, 24);
    assert_int_equal(place(slots(6, 2, 6), &h), OK);
    REFUSED(place(slots(7, 2, 1), &h), ERR_CONFLICT, "none_left");
    assert_int_equal(number("SELECT count(*) FROM place WHERE state = 1 AND place_no >= 26"), 30);
    assert_int_equal(release(6, 2), OK);
    assert_int_equal(place(slots(7, 2, 1), &h), OK);
}

static void best_of_a_standing_category_are_slots(void **state)
{
    static const struct category_wish prices[] = {{0, SPAN_LIT("S"), SPAN_LIT("#102030"), 1500, 0}};
    const struct plan_category_wish category = {SPAN_LIT("S"), {1, 2, 3}};
    const struct plan_area_wish areas[] = {{SPAN_LIT("Front"), 3, 0}, {SPAN_LIT("Back"), 5, 0}};
    struct event_request event = fix_event_request(2, 2);
    struct hold_request req = best(1, 0, 4);
    struct plan *p = NULL;
    (void)state;

    assert_int_equal(plan_generate_areas(SPAN_LIT("Club"), &category, 1, areas, 2, &p), OK);
    fix_store_plan(2, p);
    event.categories = prices;
    event.category_count = 1;
    assert_int_equal(fix_event(FIX_ORGANISER, &event), OK);
    assert_int_equal(fix_status(FIX_ORGANISER, event.id, EVENT_ON_SALE), OK);
    req.event = event.id;
    assert_int_equal(place(req, &h), OK);
    assert_int_equal(h.row.places[0], 3); /* the front has not so many */
    req.id = HOLD_ID(2);
    REFUSED(place(req, &h), ERR_CONFLICT, "none_left");
}

/* Two hundred buyers, one seat: whoever comes first, and nobody else. */
static void the_last_seat_goes_to_one(void **state)
{
    int won = 0, lost = 0;
    (void)state;
    store_testing_sql(&fix.t, "UPDATE place SET state = 4 WHERE place_no <> 7");
    for (uint8_t i = 1; i <= 200; i++) {
        struct hold_request req = pair(i, 1 + i % 2, 7);
        req.place_count = 1;
        if (i % 3 == 0)
            req = best(i, 0, 1);
        if (place(req, &h) == OK)
            won++;
        else if (strcmp(err_last()->slug, "seat_taken") == 0 ||
                 strcmp(err_last()->slug, "none_left") == 0)
            lost++;
    }
    assert_int_equal(won, 1);
    assert_int_equal(lost, 199);
}

/* What a buyer does in one command must not be seen by anybody when it fails. */
static enum err place_and_fail(struct store_tx *tx, void *context)
{
    struct hold_call *c = context;
    TRY(hold_place(tx, maps, &c->req, &c->hold));
    FAIL(ERR_BUSY, "later", "After the hold.");
}

static void a_command_that_fails_leaves_no_hold(void **state)
{
    struct hold_call c = {.req = best(1, 0, 2)};
    (void)state;
    assert_int_equal(run(place_and_fail, &c), ERR_BUSY);
    assert_int_equal(number("SELECT count(*) FROM hold"), 0);
    assert_int_equal(place(best(2, 0, 2), &h), OK);
    assert_int_equal(h.row.places[0], 4);
}

static void an_order_takes_the_places_and_gives_them_back(void **state)
{
    struct hold_call c = {.places = {5, 6}, .count = 2, .order = ORDER_ID(1)};
    (void)state;
    assert_int_equal(place(pair(1, 1, 5), &h), OK);
    at(599999);
    assert_int_equal(take_for_order(1, 1, 1), OK);
    assert_int_equal(status_of(1, 1), HOLD_ORDERED);
    REFUSED(take_for_order(1, 1, 2), ERR_CONFLICT, "hold_ordered");
    REFUSED(release(1, 1), ERR_CONFLICT, "hold_ordered");
    REFUSED(refresh(1, 1, &h), ERR_CONFLICT, "hold_ordered");
    at(7200000); /* ordered places do not end by time */
    REFUSED(place(pair(2, 2, 5), &h), ERR_CONFLICT, "seat_taken");
    c.order = ORDER_ID(2);
    REFUSED(run(free_, &c), ERR_CONFLICT, "place_not_ordered");
    c.order = ORDER_ID(1);
    assert_int_equal(run(free_, &c), OK);
    assert_int_equal(number("SELECT count(*) FROM place WHERE state <> 0"), 0);
}

static void late_money_takes_the_places_only_when_all_are_free(void **state)
{
    struct hold_call c = {.places = {5, 6}, .count = 2, .order = ORDER_ID(1)};
    (void)state;
    assert_int_equal(place(pair(1, 2, 6), &h), OK); /* 6 and 7 */
    REFUSED(run(retake_, &c), ERR_CONFLICT, "seat_taken");
    assert_int_equal(number("SELECT state FROM place WHERE place_no = 5"), 0);
    at(600000);
    assert_int_equal(run(retake_, &c), OK);
    assert_int_equal(number("SELECT count(*) FROM place WHERE state = 2"), 2);
}

/* Its caller may go on: what was half taken is given back by hand. */
static enum err retake_and_go_on(struct store_tx *tx, void *context)
{
    struct hold_call *c = context;
    assert_int_equal(hold_retake(tx, 1, c->places, c->count, c->order), ERR_CONFLICT);
    return OK;
}

static void a_failed_retake_leaves_nothing_half_done(void **state)
{
    struct hold_call c = {.places = {4, 5, 6}, .count = 3, .order = ORDER_ID(1)};
    (void)state;
    assert_int_equal(place(pair(1, 2, 6), &h), OK);
    assert_int_equal(run(retake_and_go_on, &c), OK);
    assert_int_equal(number("SELECT count(*) FROM place WHERE state = 2"), 0);
}

static void selling_counts_generations_and_returning_frees(void **state)
{
    struct hold_call c = {
        .places = {5, 6}, .count = 2, .order = ORDER_ID(1), .ticket = TICKET_ID(1)};
    (void)state;
    REFUSED(run(sell_, &c), ERR_CONFLICT, "place_not_ordered");
    assert_int_equal(run(retake_, &c), OK);
    assert_int_equal(run(sell_, &c), OK);
    assert_int_equal(c.generation, 1);
    REFUSED(run(sell_, &c), ERR_CONFLICT, "place_not_ordered");
    REFUSED(place(pair(1, 1, 4), &h), ERR_CONFLICT, "seat_taken");
    c.ticket = TICKET_ID(2);
    REFUSED(run(return_, &c), ERR_CONFLICT, "place_not_sold");
    c.ticket = TICKET_ID(1);
    assert_int_equal(run(return_, &c), OK);
    c.count = 1;
    assert_int_equal(run(retake_, &c), OK);
    c.ticket = TICKET_ID(3);
    assert_int_equal(run(sell_, &c), OK);
    assert_int_equal(c.generation, 2); /* an old ticket of the place is never the newest again */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_sale, close_sale)
    const struct CMUnitTest tests[] = {
        TEST(named_seats_are_held_for_ten_minutes_at_their_price),
        TEST(all_or_none_and_the_taken_seat_is_named),
        TEST(the_same_request_gives_the_same_hold_and_another_does_not),
        TEST(bad_requests_are_refused),
        TEST(only_within_the_sale),
        TEST(a_closed_event_sells_nothing),
        TEST(nothing_before_the_sale_begins),
        TEST(a_hold_is_over_at_its_millisecond_without_a_sweep),
        TEST(refreshing_gives_ten_minutes_more_but_never_past_thirty),
        TEST(released_seats_are_free_at_once),
        TEST(a_hold_is_its_accounts_only),
        TEST(five_live_holds_an_account_and_event),
        TEST(a_sweep_ends_what_is_over_and_nothing_else),
        TEST(a_sweep_leaves_what_another_holds),
        TEST(the_best_seats_go_first_and_together),
        TEST(split_rows_only_when_the_caller_allows),
        TEST(rows_decide_when_the_map_is_wrong),
        TEST(general_admission_never_goes_above_its_slots),
        TEST(best_of_a_standing_category_are_slots),
        TEST(the_last_seat_goes_to_one),
        TEST(a_command_that_fails_leaves_no_hold),
        TEST(an_order_takes_the_places_and_gives_them_back),
        TEST(late_money_takes_the_places_only_when_all_are_free),
        TEST(a_failed_retake_leaves_nothing_half_done),
        TEST(selling_counts_generations_and_returning_frees),
    };
    return cmocka_run_group_tests_name("hold", tests, NULL, NULL);
}
