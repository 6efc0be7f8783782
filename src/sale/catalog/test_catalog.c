/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "sale/catalog/test_fixture.h"

static void each_creation_has_its_ledger_entry(void **state)
{
    (void)state;
    assert_int_equal(number("SELECT count(*) FROM organiser"), 2);
    assert_int_equal(number("SELECT count(*) FROM entry WHERE kind = 1"), 2);
    assert_int_equal(number("SELECT count(*) FROM entry WHERE kind = 2"), 2);
    assert_int_equal(number("SELECT count(*) FROM entry WHERE kind = 3"), 1);
    struct event_request req = fix_event_request(1, 1);
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    assert_int_equal(number("SELECT count(*) FROM entry WHERE kind = 4"), 1);
    assert_int_equal(number("SELECT count(*) FROM entry WHERE kind = 7"), 2);
    assert_int_equal(number("SELECT count(*) FROM event WHERE status = 'draft' AND capacity = 56 "
                            "AND time_zone = 'Europe/Berlin'"),
                     1);
}

static void the_same_request_again_changes_nothing(void **state)
{
    struct event_request req = fix_event_request(1, 1);
    struct organiser_request o = {ORGANISER_ID(1), SPAN_LIT("One"), SPAN_LIT("one")};
    struct venue_request v = {VENUE_ID(1), SPAN_LIT("House"), SPAN_LIT("Street 1\nTown"),
                              SPAN_LIT("Europe/Berlin")};
    int64_t no;
    (void)state;

    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    int64_t entries = number("SELECT count(*) FROM entry");
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    assert_int_equal(fix_organiser(&o, &no), OK);
    assert_int_equal(no, FIX_ORGANISER);
    assert_int_equal(fix_venue(FIX_ORGANISER, &v), OK);
    fix_store_plan(1, fix_hall());
    assert_int_equal(number("SELECT count(*) FROM entry"), entries);
}

static void a_used_id_is_not_used_for_something_else(void **state)
{
    struct event_request req = fix_event_request(1, 1);
    struct organiser_request o = {ORGANISER_ID(1), SPAN_LIT("Other"), SPAN_LIT("one")};
    struct venue_request v = {VENUE_ID(1), SPAN_LIT("House"), SPAN_LIT(""), SPAN_LIT("UTC")};
    struct plan_ready ready;
    struct plan *p = fix_hall();
    int64_t no;
    (void)state;

    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    req.per_order_max = 7;
    REFUSED(fix_event(FIX_ORGANISER, &req), ERR_CONFLICT, "id_reused");
    req.per_order_max = 8;
    req.category_count = 1;
    REFUSED(fix_event(FIX_ORGANISER, &req), ERR_CONFLICT, "id_reused");
    REFUSED(fix_organiser(&o, &no), ERR_CONFLICT, "id_reused");
    REFUSED(fix_venue(FIX_ORGANISER, &v), ERR_CONFLICT, "id_reused");
    p->seats[0].category = 1;
    assert_int_equal(plan_ready_init(&ready, p, NULL), OK);
    struct plan_request plan = {PLAN_ID(1), VENUE_ID(1), SPAN_LIT("Plan"), &ready};
    REFUSED(fix_plan(FIX_ORGANISER, &plan), ERR_CONFLICT, "id_reused");
    plan_ready_done(&ready);
    plan_free(&p);
    /* another tenant's id: also only "used" */
    v = (struct venue_request){VENUE_ID(1), SPAN_LIT("House"), SPAN_LIT("Street 1\nTown"),
                               SPAN_LIT("Europe/Berlin")};
    REFUSED(fix_venue(FIX_OTHER, &v), ERR_CONFLICT, "id_reused");
}

static void a_tenant_sees_only_its_own(void **state)
{
    struct event_request req = fix_event_request(1, 1);
    const struct span name = SPAN_LIT("Mine");
    struct event_change change = {.id = EVENT_ID(1), .name = &name};
    (void)state;

    REFUSED(fix_event(FIX_OTHER, &req), ERR_NOT_FOUND, "no_venue");
    req.venue = VENUE_ID(2);
    REFUSED(fix_event(FIX_OTHER, &req), ERR_NOT_FOUND, "no_plan");
    REFUSED(fix_event(FIX_ORGANISER, &req), ERR_NOT_FOUND, "no_venue");
    req = fix_event_request(1, 1);
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    REFUSED(fix_change(FIX_OTHER, &change), ERR_NOT_FOUND, "no_event");
    REFUSED(fix_status(FIX_OTHER, EVENT_ID(1), EVENT_ON_SALE), ERR_NOT_FOUND, "no_event");
    REFUSED(fix_status(FIX_ORGANISER, EVENT_ID(9), EVENT_ON_SALE), ERR_NOT_FOUND, "no_event");
}

static void bad_event(struct event_request req, const char *slug, const char *pointer)
{
    REFUSED(fix_event(FIX_ORGANISER, &req), ERR_INVALID, slug);
    assert_string_equal(err_last()->pointer, pointer);
}

static void windows_and_limits_are_checked(void **state)
{
    const struct event_request good = fix_event_request(1, 1);
    struct event_request bad;
    (void)state;

#define BAD_EVENT(slug, pointer, ...)                                                              \
    do {                                                                                           \
        bad = good;                                                                                \
        __VA_ARGS__;                                                                               \
        bad_event(bad, slug, pointer);                                                             \
    } while (0)
    BAD_EVENT("bad_window", "#/doors_at", bad.doors_ms = bad.starts_ms + 1);
    BAD_EVENT("bad_window", "#/ends_at", bad.ends_ms = bad.starts_ms);
    BAD_EVENT("bad_window", "#/sale_until", bad.sale_until_ms = bad.sale_from_ms);
    BAD_EVENT("bad_window", "#/sale_until", bad.sale_until_ms = bad.ends_ms + 1);
    BAD_EVENT("bad_time", "#/doors_at", bad.doors_ms = -5);
    BAD_EVENT("bad_time", "#/ends_at", bad.ends_ms = INT64_MAX);
    BAD_EVENT("out_of_range", "#/per_order_max", bad.per_order_max = 0);
    BAD_EVENT("out_of_range", "#/per_order_max", bad.per_order_max = 51);
    BAD_EVENT("out_of_range", "#/entries_max", bad.entries_max = 0);
    BAD_EVENT("bad_currency", "", bad.currency = SPAN_LIT("XXQ"));
    BAD_EVENT("bad_text", "#/name", bad.name = SPAN_LIT(""));
    BAD_EVENT("bad_text", "#/name",
              bad.name = SPAN_LIT("a\xe2\x80\xae"
                                  "b"));
    BAD_EVENT("bad_id", "#/id", memset(bad.id.b, 0, ID_BYTES));
#undef BAD_EVENT
    bad = good;
    bad.doors_ms = bad.starts_ms;
    assert_int_equal(fix_event(FIX_ORGANISER, &bad), OK);
}

static void prices_are_checked(void **state)
{
    struct category_wish w[2] = {fix_prices[0], fix_prices[1]};
    struct event_request req = fix_event_request(1, 1);
    (void)state;

    req.categories = w;
    w[1].category = 2;
    bad_event(req, "unknown_category", "#/categories/1");
    w[1].category = 0;
    bad_event(req, "duplicate_category", "#/categories");
    w[1] = fix_prices[1];
    w[1].price_minor = -1;
    bad_event(req, "out_of_range", "#/categories/1");
    w[1].price_minor = MONEY_MINOR_MAX + (int64_t)1;
    bad_event(req, "out_of_range", "#/categories/1");
    w[1] = fix_prices[1];
    w[1].color = SPAN_LIT("red");
    bad_event(req, "bad_color", "#/categories/1");
}

static void organisers_and_venues_are_checked(void **state)
{
    struct organiser_request o = {ORGANISER_ID(3), SPAN_LIT("Three"), SPAN_LIT("one")};
    struct venue_request v = {VENUE_ID(3), SPAN_LIT("House"), SPAN_LIT(""),
                              SPAN_LIT("Europe/Atlantis")};
    int64_t no;
    (void)state;

    REFUSED(fix_organiser(&o, &no), ERR_CONFLICT, "slug_taken");
    o.slug = SPAN_LIT("-x");
    REFUSED(fix_organiser(&o, &no), ERR_INVALID, "bad_slug");
    o.slug = SPAN_LIT("Big");
    REFUSED(fix_organiser(&o, &no), ERR_INVALID, "bad_slug");
    o.slug = SPAN_LIT("three-3");
    assert_int_equal(fix_organiser(&o, &no), OK);
    REFUSED(fix_venue(FIX_ORGANISER, &v), ERR_INVALID, "bad_time_zone");
    assert_string_equal(err_last()->pointer, "#/time_zone");
    v.time_zone = SPAN_LIT("../passwd");
    REFUSED(fix_venue(FIX_ORGANISER, &v), ERR_INVALID, "bad_time_zone");
    v.time_zone = SPAN_LIT("UTC");
    assert_int_equal(fix_venue(FIX_ORGANISER, &v), OK);
}

static void a_draft_changes_and_what_is_on_sale_hardly(void **state)
{
    struct event_request req = fix_event_request(1, 1);
    const struct span name = SPAN_LIT("Night");
    const int64_t max = 4, doors = req.starts_ms + 1;
    struct category_wish w = fix_prices[1];
    struct event_change change = {.id = req.id, .version = 1, .name = &name, .per_order_max = &max};
    (void)state;

    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    w.price_minor = 9900;
    change.categories = &w;
    change.category_count = 1;
    assert_int_equal(fix_change(FIX_ORGANISER, &change), OK);
    assert_int_equal(number("SELECT per_order_max FROM event WHERE name = 'Night' AND version = 2"),
                     4);
    assert_int_equal(number("SELECT price_minor FROM category WHERE category_no = 1"), 9900);
    assert_int_equal(number("SELECT count(*) FROM entry WHERE kind = 7"), 3);
    REFUSED(fix_change(FIX_ORGANISER, &change), ERR_CONFLICT, "version_changed");
    change = (struct event_change){.id = req.id, .doors_ms = &doors};
    REFUSED(fix_change(FIX_ORGANISER, &change), ERR_INVALID, "bad_window");
    assert_int_equal(fix_status(FIX_ORGANISER, req.id, EVENT_ON_SALE), OK);
    change = (struct event_change){.id = req.id, .per_order_max = &max};
    REFUSED(fix_change(FIX_ORGANISER, &change), ERR_CONFLICT, "event_not_draft");
    change = (struct event_change){.id = req.id, .categories = &w, .category_count = 1};
    REFUSED(fix_change(FIX_ORGANISER, &change), ERR_CONFLICT, "event_not_draft");
    change = (struct event_change){.id = req.id, .description = &name};
    assert_int_equal(fix_change(FIX_ORGANISER, &change), OK);
}

static void going_on_sale_makes_every_place_once(void **state)
{
    struct event_request req = fix_event_request(1, 1);
    (void)state;

    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    assert_int_equal(number("SELECT count(*) FROM place"), 0);
    assert_int_equal(fix_status(FIX_ORGANISER, req.id, EVENT_ON_SALE), OK);
    assert_int_equal(number("SELECT count(*) FROM place WHERE event_no = 1 AND state = 0"), 56);
    assert_int_equal(number("SELECT count(*) FROM place WHERE category_no = 0 AND place_no < 20"),
                     20);
    assert_int_equal(number("SELECT count(*) FROM place WHERE category_no = 1"), 36);
    assert_int_equal(fix_status(FIX_ORGANISER, req.id, EVENT_ON_SALE), OK);
    assert_int_equal(fix_status(FIX_ORGANISER, req.id, EVENT_CLOSED), OK);
    assert_int_equal(fix_status(FIX_ORGANISER, req.id, EVENT_ON_SALE), OK);
    assert_int_equal(number("SELECT count(*) FROM place"), 56);
    assert_int_equal(number("SELECT count(*) FROM entry WHERE kind = 6"), 3);
    REFUSED(fix_status(FIX_ORGANISER, req.id, EVENT_DRAFT), ERR_CONFLICT, "bad_transition");
    REFUSED(fix_status(FIX_ORGANISER, req.id, EVENT_CANCELLED), ERR_CONFLICT, "bad_transition");
}

static void nothing_is_sold_without_a_price_or_after_the_end(void **state)
{
    struct event_request req = fix_event_request(1, 1);
    (void)state;

    req.category_count = 1;
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    REFUSED(fix_status(FIX_ORGANISER, req.id, EVENT_ON_SALE), ERR_CONFLICT, "no_price");
    assert_int_equal(number("SELECT count(*) FROM place"), 0);
    REFUSED(fix_status(FIX_ORGANISER, req.id, EVENT_CLOSED), ERR_CONFLICT, "bad_transition");
    req = fix_event_request(2, 1);
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    clock_fixed_set(&fix.t.clock, req.ends_ms);
    REFUSED(fix_status(FIX_ORGANISER, req.id, EVENT_ON_SALE), ERR_CONFLICT, "event_over");
}

static void eighty_thousand_places_in_half_a_second(void **state)
{
    static const struct category_wish prices[] = {{0, SPAN_LIT("L"), SPAN_LIT("#102030"), 9000, 0},
                                                  {1, SPAN_LIT("M"), SPAN_LIT("#102030"), 6000, 0},
                                                  {2, SPAN_LIT("U"), SPAN_LIT("#102030"), 3000, 0}};
    struct plan_stadium s = {SPAN_LIT("Arena"), 80000, 3, 48};
    struct event_request req = fix_event_request(1, 2);
    struct timespec from, to;
    struct plan *p = NULL;
    (void)state;

    assert_int_equal(plan_generate_stadium(&s, &p), OK);
    fix_store_plan(2, p);
    req.categories = prices;
    req.category_count = 3;
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    assert_int_equal(fix_status(FIX_ORGANISER, req.id, EVENT_ON_SALE), OK);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    double took = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    print_message("# 80,000 places in %.3f s\n", took);
    assert_int_equal(number("SELECT count(*) FROM place"), 80000);
    /* Generous: sanitizers and busy machines; the number above is the measure. */
    assert_true(took < 5);
}

struct reads {
    struct arena a;
    enum err code;
};

static enum err read_all(struct store_tx *tx, void *context)
{
    struct reads *r = context;
    struct event_row e, *events;
    struct category_row *categories;
    struct organiser_row *organisers;
    struct packed *packed = NULL;
    struct store_page page = {.limit = 1};
    size_t count;

    TRY(event_get_public(tx, &r->a, EVENT_ID(1), &e));
    assert_string_equal(e.name, "Evening");
    assert_string_equal(e.organiser_name, "One");
    assert_string_equal(e.venue_name, "House");
    assert_int_equal(e.seats, 26);
    assert_int_equal(e.capacity, 56);
    TRY(store_category_list(tx, &r->a, e.no, &categories, &count));
    assert_int_equal(count, 2);
    assert_int_equal(categories[0].price_minor, 4000);
    assert_string_equal(categories[1].color, "#405060");
    TRY(store_event_list_public(tx, &r->a, store_now_ms(tx), &page, &events, &count));
    assert_int_equal(count, 1);
    assert_true(event_id_eq(events[0].id, EVENT_ID(2))); /* sooner */
    page = (struct store_page){events[0].starts_ms, events[0].no, 10};
    TRY(store_event_list_public(tx, &r->a, store_now_ms(tx), &page, &events, &count));
    assert_int_equal(count, 1);
    assert_true(event_id_eq(events[0].id, EVENT_ID(1)));
    page = (struct store_page){.limit = 10};
    TRY(store_event_list(tx, &r->a, FIX_ORGANISER, &page, &events, &count));
    assert_int_equal(count, 3);
    assert_true(event_id_eq(events[2].id, EVENT_ID(2)));
    TRY(store_event_list(tx, &r->a, FIX_OTHER, &page, &events, &count));
    assert_int_equal(count, 0);
    TRY(store_organiser_list(tx, &r->a, &page, &organisers, &count));
    assert_int_equal(count, 2);
    TRY(plan_of_event(tx, e.no, &packed));
    assert_int_equal(packed->places, 56);
    packed_free(&packed);
    r->code = event_get_public(tx, &r->a, EVENT_ID(3), &e);
    return OK;
}

static void the_public_sees_what_is_on_sale(void **state)
{
    struct event_request req = fix_event_request(1, 1);
    struct reads r = {0};
    (void)state;

    arena_init(&r.a, 1 << 20);
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    req = fix_event_request(2, 1);
    req.starts_ms -= DAY_MS;
    req.doors_ms -= DAY_MS;
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    req = fix_event_request(3, 1);
    assert_int_equal(fix_event(FIX_ORGANISER, &req), OK);
    assert_int_equal(fix_status(FIX_ORGANISER, EVENT_ID(1), EVENT_ON_SALE), OK);
    assert_int_equal(fix_status(FIX_ORGANISER, EVENT_ID(2), EVENT_ON_SALE), OK);
    assert_int_equal(store_testing_read(&fix.t, read_all, &r), OK);
    assert_int_equal(r.code, ERR_NOT_FOUND); /* a draft */
    arena_done(&r.a);
}

static enum err export_plan(struct store_tx *tx, void *context)
{
    return plan_export_stored(tx, 1, context);
}

static void a_stored_plan_goes_out_again(void **state)
{
    AUTO(buf_done) struct buf out;
    struct plan *p = NULL;
    struct plan_repairs repairs;
    (void)state;

    buf_init(&out, PLAN_SOURCE_MAX);
    assert_int_equal(store_testing_read(&fix.t, export_plan, &out), OK);
    assert_int_equal(plan_import(buf_span(&out), &p, &repairs), OK);
    assert_int_equal(p->seat_count, 26);
    assert_int_equal(p->area_count, 0);
    plan_free(&p);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fix_open, fix_close)
    const struct CMUnitTest tests[] = {
        TEST(each_creation_has_its_ledger_entry),
        TEST(the_same_request_again_changes_nothing),
        TEST(a_used_id_is_not_used_for_something_else),
        TEST(a_tenant_sees_only_its_own),
        TEST(windows_and_limits_are_checked),
        TEST(prices_are_checked),
        TEST(organisers_and_venues_are_checked),
        TEST(a_draft_changes_and_what_is_on_sale_hardly),
        TEST(going_on_sale_makes_every_place_once),
        TEST(nothing_is_sold_without_a_price_or_after_the_end),
        TEST(eighty_thousand_places_in_half_a_second),
        TEST(the_public_sees_what_is_on_sale),
        TEST(a_stored_plan_goes_out_again),
    };
    return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
