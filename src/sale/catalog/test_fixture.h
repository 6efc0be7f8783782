/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SALE_CATALOG_TEST_FIXTURE_H
#define SALE_CATALOG_TEST_FIXTURE_H

/* test_fixture - a database with keys and a ledger, two organisers, venues, plans, events and accounts; for the tests of the sale wing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sale/catalog/catalog.h"
#include "store/store/testing.h"

enum { FIX_ORGANISER = 1, FIX_OTHER = 2 };

struct sale_fixture {
    struct store_testing t;
    struct disk disk;
    struct keyring *keyring;
    struct catalog catalog;
    struct catalog_actor by; /* the installation */
};

static struct sale_fixture fix;

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

/* An id whose first byte is what and last is n. */
static inline void fix_id(uint8_t what, uint8_t n, uint8_t ret_id[ID_BYTES])
{
    memset(ret_id, 0, ID_BYTES);
    ret_id[0] = what;
    ret_id[15] = n;
}

#define FIX_ID(kind, what, n)                                                                      \
    ({                                                                                             \
        struct kind##_id id_;                                                                      \
        fix_id((what), (n), id_.b);                                                                \
        id_;                                                                                       \
    })
#define ORGANISER_ID(n) FIX_ID(organiser, 0xa0, n)
#define VENUE_ID(n) FIX_ID(venue, 0xa1, n)
#define PLAN_ID(n) FIX_ID(plan, 0xa2, n)
#define EVENT_ID(n) FIX_ID(event, 0xa3, n)

/* --- commands, each a transaction of its own: OK or the error, which is in err_last() --------------------------------- */

struct fix_call {
    int64_t organiser_no;
    const void *req;
    struct event_id event;
    enum event_status status;
    int64_t no;
};

static inline enum err fix_organiser_(struct store_tx *tx, void *context)
{
    struct fix_call *c = context;
    return organiser_create(tx, &fix.catalog, &fix.by, c->req, &c->no);
}
static inline enum err fix_venue_(struct store_tx *tx, void *context)
{
    struct fix_call *c = context;
    return venue_create(tx, &fix.catalog, &fix.by, c->organiser_no, c->req);
}
static inline enum err fix_plan_(struct store_tx *tx, void *context)
{
    struct fix_call *c = context;
    return plan_create(tx, &fix.catalog, &fix.by, c->organiser_no, c->req);
}
static inline enum err fix_event_(struct store_tx *tx, void *context)
{
    struct fix_call *c = context;
    return event_create(tx, &fix.catalog, &fix.by, c->organiser_no, c->req);
}
static inline enum err fix_change_(struct store_tx *tx, void *context)
{
    struct fix_call *c = context;
    return event_change(tx, &fix.catalog, &fix.by, c->organiser_no, c->req);
}
static inline enum err fix_status_(struct store_tx *tx, void *context)
{
    struct fix_call *c = context;
    return event_set_status(tx, &fix.catalog, &fix.by, c->organiser_no, c->event, c->status);
}

static inline enum err fix_organiser(const struct organiser_request *req, int64_t *ret_no)
{
    struct fix_call c = {.req = req};
    TRY(store_testing_run(&fix.t, fix_organiser_, &c));
    *ret_no = c.no;
    return OK;
}
static inline enum err fix_venue(int64_t organiser_no, const struct venue_request *req)
{
    struct fix_call c = {.organiser_no = organiser_no, .req = req};
    return store_testing_run(&fix.t, fix_venue_, &c);
}
static inline enum err fix_plan(int64_t organiser_no, const struct plan_request *req)
{
    struct fix_call c = {.organiser_no = organiser_no, .req = req};
    return store_testing_run(&fix.t, fix_plan_, &c);
}
static inline enum err fix_event(int64_t organiser_no, const struct event_request *req)
{
    struct fix_call c = {.organiser_no = organiser_no, .req = req};
    return store_testing_run(&fix.t, fix_event_, &c);
}
static inline enum err fix_change(int64_t organiser_no, const struct event_change *change)
{
    struct fix_call c = {.organiser_no = organiser_no, .req = change};
    return store_testing_run(&fix.t, fix_change_, &c);
}
static inline enum err fix_status(int64_t organiser_no, struct event_id event,
                                  enum event_status status)
{
    struct fix_call c = {.organiser_no = organiser_no, .event = event, .status = status};
    return store_testing_run(&fix.t, fix_status_, &c);
}

/* --- the usual world --------------------------------------------------------------------------------------------------- */

static const struct category_wish fix_prices[] = {
    {0, SPAN_LIT("First"), SPAN_LIT("#102030"), 4000, 250},
    {1, SPAN_LIT("Second"), SPAN_LIT("#405060"), 2000, 0},
};

static inline struct event_request fix_event_request(uint8_t n, uint8_t plan)
{
    return (struct event_request){.id = EVENT_ID(n),
                                  .venue = VENUE_ID(1),
                                  .plan = PLAN_ID(plan),
                                  .name = SPAN_LIT("Evening"),
                                  .description = SPAN_LIT("Two lines\nof it"),
                                  .currency = SPAN_LIT("EUR"),
                                  .starts_ms = STORE_TESTING_NOW_MS + 30 * DAY_MS,
                                  .ends_ms = STORE_TESTING_NOW_MS + 30 * DAY_MS + 3 * HOUR_MS,
                                  .doors_ms = STORE_TESTING_NOW_MS + 30 * DAY_MS - HOUR_MS,
                                  .sale_from_ms = STORE_TESTING_NOW_MS,
                                  .sale_until_ms = STORE_TESTING_NOW_MS + 30 * DAY_MS,
                                  .per_order_max = 8,
                                  .entries_max = 1,
                                  .categories = fix_prices,
                                  .category_count = COUNT_OF(fix_prices)};
}

/* Makes the plan ready, stores it as PLAN_ID(n) of organiser 1, and frees it. */
static inline void fix_store_plan(uint8_t n, struct plan *p)
{
    struct plan_ready ready;
    assert_int_equal(plan_ready_init(&ready, p, NULL), OK);
    struct plan_request req = {PLAN_ID(n), VENUE_ID(1), SPAN_LIT("Plan"), &ready};
    assert_int_equal(fix_plan(FIX_ORGANISER, &req), OK);
    plan_ready_done(&ready);
    plan_free(&p);
}

/* Row `row` (1..) of `seats` seats of a category, appended to a pretix file. */
static inline void fix_put_row(struct buf *b, unsigned row, unsigned seats, const char *category)
{
    buf_printf(b, "%s{\"row_number\":\"%u\",\"position\":{\"x\":0,\"y\":%u},\"seats\":[",
               row > 1 ? "," : "", row, row * 30);
    for (unsigned i = 0; i < seats; i++)
        buf_printf(b,
                   "%s{\"seat_guid\":\"%u-%u\",\"seat_number\":\"%u\",\"position\":{\"x\":%u,"
                   "\"y\":0},\"category\":\"%s\"}",
                   i > 0 ? "," : "", row, i + 1, i + 1, i * 25, category);
    buf_put_text(b, "]}");
}

/*
 * The hall, PLAN_ID(1): places 0..9 row 1 and 10..19 row 2 of category 0; 20..25 row 3 of category 1; area 0 of 30 slots
 * (26..55) of category 1.
 */
static inline struct plan *fix_hall(void)
{
    AUTO(buf_done) struct buf b;
    struct plan *p = NULL;
    struct plan_repairs repairs;

    buf_init(&b, 1 << 20);
    buf_put_text(&b, "{\"name\":\"Hall\",\"size\":{\"width\":400,\"height\":400},\"categories\":["
                     "{\"name\":\"First\"},{\"name\":\"Second\"}],\"zones\":[{\"name\":\"H\","
                     "\"position\":{\"x\":50,\"y\":50},\"rows\":[");
    fix_put_row(&b, 1, 10, "First");
    fix_put_row(&b, 2, 10, "First");
    fix_put_row(&b, 3, 6, "Second");
    buf_put_text(&b, "]}],\"gatehouse\":{\"areas\":[{\"zone\":0,\"name\":\"Floor\",\"slots\":30,"
                     "\"category\":\"Second\",\"shape\":\"polygon\",\"points\":[]}]}}");
    if (plan_import(buf_span(&b), &p, &repairs) != OK)
        fail_msg("%s at %s", err_last()->slug, err_last()->pointer);
    return p;
}

static inline void fix_tenants(void)
{
    struct organiser_request o = {ORGANISER_ID(1), SPAN_LIT("One"), SPAN_LIT("one")};
    struct venue_request v = {VENUE_ID(1), SPAN_LIT("House"), SPAN_LIT("Street 1\nTown"),
                              SPAN_LIT("Europe/Berlin")};
    int64_t no;

    assert_int_equal(fix_organiser(&o, &no), OK);
    assert_int_equal(no, FIX_ORGANISER);
    o = (struct organiser_request){ORGANISER_ID(2), SPAN_LIT("Two"), SPAN_LIT("two")};
    assert_int_equal(fix_organiser(&o, &no), OK);
    assert_int_equal(no, FIX_OTHER);
    assert_int_equal(fix_venue(FIX_ORGANISER, &v), OK);
    v.id = VENUE_ID(2);
    assert_int_equal(fix_venue(FIX_OTHER, &v), OK);
    fix_store_plan(1, fix_hall());
}

/* Accounts 1 and 2, without anything personal. */
static inline void fix_accounts(void)
{
    store_testing_sql(
        &fix.t, "INSERT INTO person (person_no, id, epoch_no, wrapped_key, created_ms) VALUES "
                "(91, x'91000000000000000000000000000000', 1, x'00', 1)");
    store_testing_sql(&fix.t,
                      "INSERT INTO account (account_no, id, person_no, status, created_ms) VALUES "
                      "(1, x'01000000000000000000000000000001', 91, 'active', 1), "
                      "(2, x'01000000000000000000000000000002', 91, 'active', 1)");
}

static inline int fix_open(void **state)
{
    static const uint8_t master[SECRET_BYTES] = {7};
    struct keyring_config c = {
        .disk = &fix.disk, .path = "keys", .master = master, .may_create = true};

    (void)state;
    memset(&fix, 0, sizeof fix);
    assert_int_equal(crypto_init(), OK);
    store_testing_open(&fix.t);
    assert_int_equal(disk_open(fix.t.dir, &fix.disk), OK);
    c.clock = &fix.t.clock.clock;
    c.rng = &fix.t.rng.rng;
    assert_int_equal(keyring_open(&c, &fix.keyring), OK);
    assert_int_equal(ledger_new(fix.keyring, &fix.catalog.ledger), OK);
    fix_tenants();
    return 0;
}

static inline int fix_close(void **state)
{
    (void)state;
    ledger_free(fix.catalog.ledger);
    keyring_close(fix.keyring);
    disk_close(&fix.disk);
    store_testing_close(&fix.t);
    return 0;
}

static inline int64_t number(const char *sql)
{
    return store_testing_number(&fix.t, sql);
}

/* It fails so, and nothing was written. */
#define REFUSED(expression, code, wanted_slug)                                                     \
    do {                                                                                           \
        int64_t entries_ = number("SELECT count(*) FROM entry");                                   \
        assert_int_equal((expression), (code));                                                    \
        assert_string_equal(err_last()->slug, (wanted_slug));                                      \
        assert_int_equal(number("SELECT count(*) FROM entry"), entries_);                          \
    } while (0)

#endif
