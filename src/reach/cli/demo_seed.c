/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/cli/demo_seed.h"

#include <string.h>

#include "door/admission/admission.h"
#include "sale/catalog/catalog.h"
#include "sale/catalog/zone.h"
#include "store/store/writer.h"
#include "trust/signer/signer.h"

enum {
    STADIUM_SEATS = 80000,
    STADIUM_TIERS = 3,
    STADIUM_SECTORS = 48,
    PRICES_MAX = 8,
    EVENTS_LOOKED_AT = 1000,
    SEED_MEMORY_MAX = 16 << 20,
};
#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

/*
 * The ids of our events end in these bytes and the number of the show: how a later start knows them among what visitors have
 * made, whatever they are called now.
 */
static const uint8_t mark[] = {'n', 'o', 'r', 't', 'h', 'l', 'i', 'v', 'e'};
enum { MARK_AT = ID_BYTES - 1 - (int)sizeof mark };

static const char slug[] = "northlight";

struct price {
    int64_t price_minor, fee_minor;
};

/* When, counted from now; local time of day where there is one, else half hours from now. */
struct timing {
    int64_t days, hour, minute; /* hour -1: doors an hour ago, start in an hour */
};

struct show {
    const char *venue, *address, *zone, *plan, *name, *description;
    struct timing timing;
    struct price
        prices[PRICES_MAX]; /* by category of the plan; the last one goes for all after it */
    size_t price_count;
    int64_t per_order_max;
    enum err (*draw)(const struct show *show, struct plan **ret_plan, struct plan_repairs *repairs);
};

static enum err draw_stadium(const struct show *show, struct plan **ret_plan,
                             struct plan_repairs *repairs)
{
    const struct plan_stadium wish = {.name = span_text(show->plan),
                                      .seats = STADIUM_SEATS,
                                      .tiers = STADIUM_TIERS,
                                      .sectors = STADIUM_SECTORS};
    (void)repairs;
    return plan_generate_stadium(&wish, ret_plan);
}

static enum err draw_theatre(const struct show *show, struct plan **ret_plan,
                             struct plan_repairs *repairs)
{
    (void)show;
    for (size_t i = 0; i < demo_files_count; i++)
        if (strcmp(demo_files[i].name, "theatre.pretix.json") == 0)
            return plan_import(span_of(demo_files[i].data, demo_files[i].len), ret_plan, repairs);
    FAIL(ERR_NOT_FOUND, "no_plan", "The theatre's plan is not part of this program.");
}

static enum err draw_club(const struct show *show, struct plan **ret_plan,
                          struct plan_repairs *repairs)
{
    static const struct plan_category_wish categories[] = {
        {SPAN_LIT("Floor"), {0xd8, 0x5c, 0x41}},
        {SPAN_LIT("Balcony"), {0x3f, 0x72, 0xb8}},
    };
    static const struct plan_area_wish areas[] = {
        {SPAN_LIT("Dance floor"), 400, 0},
        {SPAN_LIT("Balcony"), 120, 1},
    };
    (void)repairs;
    return plan_generate_areas(span_text(show->plan), categories, COUNT_OF(categories), areas,
                               COUNT_OF(areas), ret_plan);
}

static const struct show shows[] = {
    {"Northlight Stadium",
     "Harbour Road 1, 20457 Hamburg",
     "Europe/Berlin",
     "Stadium bowl",
     "Polar Day - The Stadium Night",
     "One evening, 80,000 seats, every one of them on the map.",
     {42, 20, 0},
     {{12900, 650}, {8900, 450}, {5900, 300}},
     3,
     8,
     draw_stadium},
    {"The Small Theatre",
     "Lindengasse 12, 1070 Vienna",
     "Europe/Vienna",
     "Small theatre",
     "The Winter's Tale",
     "Shakespeare, in a house whose plan was drawn by hand.",
     {10, 19, 30},
     {{6400, 350}, {4200, 250}, {8800, 450}, {3200, 0}},
     4,
     6,
     draw_theatre},
    {"Cellar Club",
     "Quay Street 7, 20459 Hamburg",
     "Europe/Berlin",
     "Cellar",
     "Night Shift",
     "General admission. The doors are open: tickets can be scanned at once.",
     {0, -1, 0},
     {{2200, 150}, {2900, 150}},
     2,
     6,
     draw_club},
};
enum { SHOW_COUNT = COUNT_OF(shows), CLUB = SHOW_COUNT - 1 };

struct seeding {
    struct app *app;
    void (*say)(const char *words);
    struct catalog catalog;
    int64_t now_ms;
    struct arena arena;
    /* What was found. */
    bool empty, ours; /* no organiser at all; one of them is ours */
    struct organiser_row organiser;
    struct event_row *events;
    size_t event_count;
};

static void tell(const struct seeding *s, const char *words)
{
    if (s->say)
        s->say(words);
}

/* --- When -------------------------------------------------------------------------------------------------------------------- */

static const int64_t HALF_HOUR_MS = 30 * MINUTE_MS;

/* The instant on or after the day that is `days` ahead when the wall clock of the zone shows the time. */
static enum err wall_time(const char *zone_name, int64_t now_ms, const struct timing *t,
                          int64_t *ret_ms)
{
    AUTO(zone_free) struct zone *zone = NULL;
    struct zone_time local;
    int64_t at = now_ms + t->days * DAY_MS;

    TRY(zone_open(NULL, span_text(zone_name), &zone));
    at -= at % MINUTE_MS;
    /* Twice: the step may cross a change of the clocks. */
    for (int i = 0; i < 2; i++) {
        zone_local(zone, at, &local);
        at += (t->hour - local.hour) * HOUR_MS + (t->minute - local.minute) * MINUTE_MS;
    }
    *ret_ms = at;
    return OK;
}

static enum err set_times(const struct show *show, int64_t now_ms, struct event_request *req)
{
    if (show->timing.hour < 0) {
        int64_t base = now_ms - now_ms % HALF_HOUR_MS;
        req->doors_ms = base - HOUR_MS;
        req->starts_ms = base + HOUR_MS;
        req->ends_ms = base + 8 * HOUR_MS;
        req->sale_until_ms = req->ends_ms;
    } else {
        TRY(wall_time(show->zone, now_ms, &show->timing, &req->starts_ms));
        req->doors_ms = req->starts_ms - 2 * HOUR_MS;
        req->ends_ms = req->starts_ms + 3 * HOUR_MS;
        req->sale_until_ms = req->starts_ms;
    }
    req->sale_from_ms = now_ms;
    return OK;
}

/* --- Writing ----------------------------------------------------------------------------------------------------------------- */

/* What one command makes: the parts that are new, in the order they need each other. */
struct making {
    struct seeding *s;
    const struct show *show;
    int64_t organiser_no;
    struct organiser_request *organiser; /* NULL: there already */
    struct venue_request *venue;
    struct plan_request *plan;
    struct event_request event;
    struct category_wish categories[PLAN_CATEGORIES_MAX];
};

static enum err make(struct store_tx *tx, void *context)
{
    static const struct catalog_actor installation;
    struct making *m = context;
    const struct catalog *c = &m->s->catalog;

    if (m->organiser)
        TRY(organiser_create(tx, c, &installation, m->organiser, &m->organiser_no));
    if (m->venue)
        TRY(venue_create(tx, c, &installation, m->organiser_no, m->venue));
    if (m->plan)
        TRY(plan_create(tx, c, &installation, m->organiser_no, m->plan));
    return event_create(tx, c, &installation, m->organiser_no, &m->event);
}

static void new_id(const struct seeding *s, uint8_t ret_id[ID_BYTES])
{
    id_make(app_clock(s->app), rng_system(), ret_id);
}

static enum err fill_event(struct making *m, size_t nth, struct venue_id venue, struct plan_id plan)
{
    const struct show *show = m->show;
    struct event_request *e = &m->event;

    *e = (struct event_request){.venue = venue,
                                .plan = plan,
                                .name = span_text(show->name),
                                .description = span_text(show->description),
                                .currency = SPAN_LIT("EUR"),
                                .per_order_max = show->per_order_max,
                                .entries_max = 1,
                                .categories = m->categories,
                                .category_count = m->event.category_count};
    put_u64be(e->id.b, ((uint64_t)m->s->now_ms + nth) << 16);
    memcpy(e->id.b + MARK_AT, mark, sizeof mark);
    e->id.b[ID_BYTES - 1] = (uint8_t)nth;
    return set_times(show, m->s->now_ms, e);
}

static struct price price_of(const struct show *show, size_t category)
{
    return show->prices[category < show->price_count ? category : show->price_count - 1];
}

/* Categories as the plan has them. colors holds 8 bytes each. */
static void price_plan(struct making *m, const struct plan *plan, char (*colors)[8])
{
    for (uint32_t i = 0; i < plan->category_count; i++) {
        struct price p = price_of(m->show, i);
        plan_color_format(plan->categories[i].color, colors[i]);
        m->categories[i] = (struct category_wish){.category = i,
                                                  .name = span_text(plan->categories[i].name),
                                                  .color = span_of(colors[i], 7),
                                                  .price_minor = p.price_minor,
                                                  .fee_minor = p.fee_minor};
    }
    m->event.category_count = plan->category_count;
}

/* A venue, its plan and the first event there; the first show brings the organiser along. */
static enum err make_show(struct seeding *s, size_t nth, int64_t *organiser_no)
{
    const struct show *show = &shows[nth];
    AUTO(plan_free) struct plan *plan = NULL;
    AUTO(plan_ready_done) struct plan_ready ready = {0};
    struct plan_repairs repairs = {0};
    char colors[PLAN_CATEGORIES_MAX][8];
    struct organiser_request organiser = {.name = SPAN_LIT("Northlight Live"),
                                          .slug = span_text(slug)};
    struct venue_request venue = {.name = span_text(show->venue),
                                  .address = span_text(show->address),
                                  .time_zone = span_text(show->zone)};
    struct plan_request wish = {.name = span_text(show->plan), .ready = &ready};
    struct making m = {
        .s = s, .show = show, .organiser_no = *organiser_no, .venue = &venue, .plan = &wish};

    TRY(show->draw(show, &plan, &repairs));
    TRY(plan_ready_init(&ready, plan, repairs.count > 0 ? &repairs : NULL));
    new_id(s, organiser.id.b);
    new_id(s, venue.id.b);
    new_id(s, wish.id.b);
    wish.venue = venue.id;
    if (*organiser_no == 0)
        m.organiser = &organiser;
    price_plan(&m, plan, colors);
    TRY(fill_event(&m, nth, venue.id, wish.id));
    TRY(writer_call(app_writer(s->app), LANE_BACK, make, &m));
    *organiser_no = m.organiser_no;
    return OK;
}

/* --- Going on sale ----------------------------------------------------------------------------------------------------------- */

struct opening {
    struct seeding *s;
    const struct event_row *event;
};

static enum err put_on_sale(struct store_tx *tx, void *context)
{
    static const struct catalog_actor installation;
    struct opening *o = context;

    return event_set_status(tx, &o->s->catalog, &installation, o->event->organiser_no, o->event->id,
                            EVENT_ON_SALE);
}

static bool is_ours(const struct event_row *e)
{
    return memcmp(e->id.b + MARK_AT, mark, sizeof mark) == 0;
}

/* The signer first, so that no ticket is sold that could not be minted. Blocks, so not in the writer. */
static enum err open_drafts(struct seeding *s)
{
    for (size_t i = 0; i < s->event_count; i++) {
        const struct event_row *e = &s->events[i];
        const struct signer_event wish = {.organiser_no = (uint32_t)e->organiser_no,
                                          .event_no = (uint32_t)e->no,
                                          .places = (uint32_t)e->capacity,
                                          .capacity = (uint32_t)e->capacity};
        struct opening o = {s, e};
        if (!is_ours(e) || e->status != EVENT_DRAFT || e->ends_ms <= s->now_ms)
            continue;
        TRY(signer_event_open(app_signer(s->app), &wish));
        TRY(writer_call(app_writer(s->app), LANE_BACK, put_on_sale, &o));
    }
    return OK;
}

/* --- Looking ----------------------------------------------------------------------------------------------------------------- */

static enum err look_in(struct seeding *s, struct store_tx *tx)
{
    static const struct store_page first = {.limit = EVENTS_LOOKED_AT};
    struct organiser_row *organisers;
    size_t count;

    TRY(store_organiser_list(tx, &s->arena, &first, &organisers, &count));
    s->empty = count == 0;
    s->ours = false;
    s->event_count = 0;
    for (size_t i = 0; i < count && !s->ours; i++)
        if (strcmp(organisers[i].slug, slug) == 0) {
            s->organiser = organisers[i];
            s->ours = true;
        }
    return s->ours ? store_event_list(tx, &s->arena, s->organiser.no, &first, &s->events,
                                      &s->event_count)
                   : OK;
}

static enum err look(struct seeding *s)
{
    struct store_reader *reader;
    struct store_tx *tx;

    arena_reset(&s->arena);
    TRY(store_reader_open(app_store(s->app), &reader));
    enum err e = store_read_begin(reader, &tx);
    if (e == OK) {
        e = look_in(s, tx);
        store_read_end(tx);
    }
    store_reader_close(reader);
    return e;
}

/* The newest of them. */
static const struct event_row *find_show(const struct seeding *s, size_t nth)
{
    for (size_t i = 0; i < s->event_count; i++)
        if (is_ours(&s->events[i]) && s->events[i].id.b[ID_BYTES - 1] == nth)
            return &s->events[i];
    return NULL;
}

/* Another night where the last one was. Its categories are those that draw_club gives. */
static enum err make_club_night(struct seeding *s, const struct event_row *last)
{
    AUTO(plan_free) struct plan *plan = NULL;
    struct plan_repairs repairs = {0};
    char colors[PLAN_CATEGORIES_MAX][8];
    struct making m = {.s = s, .show = &shows[CLUB], .organiser_no = last->organiser_no};

    TRY(draw_club(&shows[CLUB], &plan, &repairs));
    price_plan(&m, plan, colors);
    TRY(fill_event(&m, CLUB, last->venue, last->plan));
    return writer_call(app_writer(s->app), LANE_BACK, make, &m);
}

/* --------------------------------------------------------------------------------------------------------------------------- */

static enum err seed(struct seeding *s)
{
    TRY(look(s));
    if (!s->ours && !s->empty)
        return OK;
    int64_t organiser_no = s->ours ? s->organiser.no : 0;
    for (size_t i = 0; i < SHOW_COUNT; i++)
        if (!find_show(s, i)) {
            tell(s, shows[i].venue);
            TRY(make_show(s, i, &organiser_no));
        }
    TRY(look(s));
    const struct event_row *club = find_show(s, CLUB);
    if (club && club->ends_ms <= s->now_ms) {
        tell(s, "another night at the club");
        TRY(make_club_night(s, club));
        TRY(look(s));
    }
    return open_drafts(s);
}

static void seeding_init(struct seeding *s, struct app *app, void (*say)(const char *words))
{
    *s = (struct seeding){.app = app,
                          .say = say,
                          .catalog = {.ledger = app_ledger(app)},
                          .now_ms = clock_now_ms(app_clock(app))};
    arena_init(&s->arena, SEED_MEMORY_MAX);
}

enum err demo_seed(struct app *app, void (*say)(const char *words))
{
    struct seeding s;

    seeding_init(&s, app, say);
    enum err e = seed(&s);
    arena_done(&s.arena);
    return e;
}

/* --- A scanner --------------------------------------------------------------------------------------------------------------- */

struct enrolling {
    struct device_enrolment wish;
    char *token;
};

static enum err begin_enrolment(struct store_tx *tx, void *context)
{
    struct enrolling *e = context;

    return device_enrolment_begin(tx, &e->wish, e->token);
}

static enum err enrol_at_club(struct seeding *s, char ret_token[AUTH_TOKEN_TEXT])
{
    TRY(look(s));
    const struct event_row *club = find_show(s, CLUB);
    ENSURE(club, ERR_NOT_FOUND, "no_event", "There is no club night.");
    struct enrolling e = {.wish = {.organiser_no = club->organiser_no,
                                   .event_no = club->no,
                                   .name = SPAN_LIT("Demo scanner"),
                                   .gate = SPAN_LIT("Main door")},
                          .token = ret_token};
    return writer_call(app_writer(s->app), LANE_BACK, begin_enrolment, &e);
}

enum err demo_scanner(struct app *app, char ret_token[AUTH_TOKEN_TEXT])
{
    struct seeding s;

    seeding_init(&s, app, NULL);
    enum err e = enrol_at_club(&s, ret_token);
    arena_done(&s.arena);
    return e;
}
