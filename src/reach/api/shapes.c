/* SPDX-License-Identifier: Apache-2.0 */
/* shapes - the JSON of things, as docs/api.md describes them: written once, used by every route that shows one. */
#include <stdio.h>
#include <string.h>

#include "ground/encode/hex.h"
#include "reach/api/call.h"

/*
 * What one thing needs while it is written: an event's texts, its categories. Why not the request's arena: a list shows 200
 * things.
 */
enum { SCRATCH_MAX = 128 * 1024 };

enum err call_map(struct call *c, int64_t event_no, struct seat_map **ret_map)
{
    struct seat_maps *maps = c->api->config.maps;
    struct store_reader *reader;

    if (c->writing)
        return seat_maps_for_writer(maps, c->tx, event_no, ret_map);
    *ret_map = seat_maps_find(maps, event_no);
    if (*ret_map && seat_map_version(*ret_map) != 0) /* 0: so far only the writer looked at it */
        return OK;
    TRY(api_reader(c->api, &reader));
    store_read_end(c->tx);
    c->tx = NULL;
    TRY(seat_maps_get(maps, reader, event_no, ret_map));
    return store_read_begin(reader, &c->tx);
}

static void write_categories(struct json_writer *w, const struct category_row *rows, size_t count,
                             const struct seat_counts *n)
{
    json_w_kv_array(w, "categories");
    for (size_t i = 0; i < count; i++) {
        json_w_object(w);
        json_w_kv_i64(w, "category", rows[i].no);
        json_w_kv_cstr(w, "name", rows[i].name);
        json_w_kv_cstr(w, "color", rows[i].color);
        json_w_kv_i64(w, "price_minor", rows[i].price_minor);
        json_w_kv_i64(w, "fee_minor", rows[i].fee_minor);
        json_w_kv_i64(w, "total_minor", rows[i].price_minor + rows[i].fee_minor);
        json_w_kv_i64(w, "free", n->free_by_category[rows[i].no]);
        json_w_end(w);
    }
    json_w_end(w);
}

static void write_areas(struct json_writer *w, struct seat_map *map)
{
    const struct packed *plan = map ? seat_map_plan(map) : NULL;

    json_w_kv_array(w, "areas");
    for (uint32_t i = 0; plan && i < plan->area_count; i++) {
        json_w_object(w);
        json_w_kv_i64(w, "area", i);
        json_w_kv_cstr(w, "name", plan->areas[i].name);
        json_w_kv_i64(w, "category", plan->areas[i].category);
        json_w_kv_i64(w, "free", seat_map_free_in_area(map, i));
        json_w_end(w);
    }
    json_w_end(w);
}

static void write_event_head(struct json_writer *w, const struct event_row *e)
{
    char hash[65];

    W_ID(w, "id", event, e->id);
    json_w_kv_object(w, "organiser");
    W_ID(w, "id", organiser, e->organiser);
    json_w_kv_cstr(w, "name", e->organiser_name);
    json_w_end(w);
    json_w_kv_cstr(w, "name", e->name);
    json_w_kv_cstr(w, "description", e->description);
    json_w_kv_object(w, "venue");
    json_w_kv_cstr(w, "name", e->venue_name);
    json_w_kv_cstr(w, "address", e->venue_address);
    json_w_end(w);
    json_w_kv_cstr(w, "time_zone", e->time_zone);
    json_w_kv_time(w, "starts_at", e->starts_ms);
    json_w_kv_time(w, "ends_at", e->ends_ms);
    json_w_kv_time(w, "doors_at", e->doors_ms);
    json_w_kv_time(w, "sale_from", e->sale_from_ms);
    json_w_kv_time(w, "sale_until", e->sale_until_ms);
    json_w_kv_cstr(w, "status", event_status_name(e->status));
    json_w_kv_cstr(w, "currency", e->currency.code);
    json_w_kv_i64(w, "per_order_max", e->per_order_max);
    json_w_kv_i64(w, "entries_max", e->entries_max);
    json_w_kv_i64(w, "capacity", e->capacity);
    json_w_kv_i64(w, "version", e->version);
    hex_format(SPAN_ARRAY(e->plan_hash), hash);
    json_w_kv_cstr(w, "plan_hash", hash);
    json_w_kv_bool(w, "seated", e->seats > 0);
}

enum err shape_event(struct call *c, struct json_writer *w, const struct event_row *e)
{
    AUTO(arena_done) struct arena scratch = {0};
    struct seat_counts counts = {0};
    struct category_row *categories;
    struct seat_map *map = NULL;
    size_t count;

    arena_init(&scratch, SCRATCH_MAX);
    if (e->status != EVENT_DRAFT) {
        TRY(call_map(c, e->no, &map));
        seat_map_counts(map, &counts);
    }
    TRY(store_category_list(c->tx, &scratch, e->no, &categories, &count));
    json_w_object(w);
    write_event_head(w, e);
    write_categories(w, categories, count, &counts);
    write_areas(w, map);
    json_w_end(w);
    return OK;
}

static void write_place_names(struct json_writer *w, const struct packed *plan, uint32_t place)
{
    struct place_names names;

    place_names(plan, place, &names);
    json_w_kv_cstr(w, "zone", names.zone);
    json_w_kv_cstr(w, "row", names.row);
    json_w_kv_cstr(w, "seat", names.seat);
    json_w_kv_cstr(w, "area", names.area);
}

static void write_line(struct json_writer *w, const struct packed *plan, uint32_t place,
                       int64_t category, int64_t price, int64_t fee)
{
    json_w_object(w);
    json_w_kv_i64(w, "place", place);
    write_place_names(w, plan, place);
    json_w_kv_i64(w, "category", category);
    json_w_kv_i64(w, "price_minor", price);
    json_w_kv_i64(w, "fee_minor", fee);
    json_w_kv_i64(w, "total_minor", price + fee);
    json_w_end(w);
}

/* --- holds, orders, tickets ---------------------------------------------------------------------------------------------- */

enum err scene_of(struct call *c, int64_t event_no, struct scene *ret_scene)
{
    struct event_facts *facts;
    struct seat_map *map;

    TRY(call_map(c, event_no, &map));
    if (c->writing) {
        TRY(seat_map_working_facts(map, c->tx, &facts));
        event_facts_keep(facts);
    } else {
        TRY(seat_map_facts(map, c->tx, &facts));
    }
    *ret_scene = (struct scene){seat_map_plan(map), facts};
    return OK;
}

bool scene_in_memory(struct api *api, int64_t event_no, struct scene *ret_scene)
{
    struct seat_map *map = seat_maps_find(api->config.maps, event_no);
    struct event_facts *facts = map ? seat_map_facts_kept(map) : NULL;

    if (facts)
        *ret_scene = (struct scene){seat_map_plan(map), facts};
    return facts != NULL;
}

void scene_done(struct scene *s)
{
    event_facts_release(&s->facts);
}

void shape_hold(struct json_writer *w, const struct scene *s, const struct hold *h)
{
    json_w_object(w);
    W_ID(w, "id", hold, h->row.id);
    W_ID(w, "event", event, s->facts->row.id);
    json_w_kv_cstr(w, "status", hold_status_name(h->row.status));
    json_w_kv_array(w, "places");
    for (size_t i = 0; i < h->row.place_count; i++)
        write_line(w, s->plan, h->row.places[i], h->prices[i].category, h->prices[i].price_minor,
                   h->prices[i].fee_minor);
    json_w_end(w);
    json_money(w, "total", h->total);
    json_w_kv_time(w, "created_at", h->row.created_ms);
    json_w_kv_time(w, "expires_at", h->row.expires_ms);
    json_w_kv_time(w, "latest_at", h->row.latest_ms);
    json_w_end(w);
}

/* What an order's answer shows beside its row and lines. */
struct order_extras {
    char url[STRIPE_URL_MAX]; /* of the payment page while the order can be paid there, or empty */
    struct ticket_row tickets[ORDER_LINES_MAX];
    struct refund_row refunds[8];
    size_t ticket_count, refund_count;
};

bool shape_order_page(struct api *api, const struct order_row *o, char ret_url[STRIPE_URL_MAX])
{
    return o->status == ORDER_AWAITING && o->cancel_ms == 0 &&
           settlement_page(api->settlement, o->id, ret_url);
}

/* While it awaits its money an order has neither tickets nor refunds (O3, O4), and afterwards no page. */
static enum err load_extras(struct call *c, const struct order_row *o, struct order_extras *x)
{
    x->ticket_count = x->refund_count = 0;
    if (!shape_order_page(c->api, o, x->url))
        x->url[0] = '\0';
    if (o->status == ORDER_AWAITING)
        return OK;
    TRY(store_tickets_of_order(c->tx, o->id, x->tickets, ORDER_LINES_MAX, &x->ticket_count));
    return store_refunds_of_order(c->tx, o->id, x->refunds, COUNT_OF(x->refunds), &x->refund_count);
}

static void write_extras(struct json_writer *w, const struct order_extras *x)
{
    json_w_key(w, "checkout_url");
    json_w_cstr(w, x && x->url[0] ? x->url : NULL);
    json_w_kv_array(w, "tickets");
    for (size_t i = 0; x && i < x->ticket_count; i++) {
        char id[ID_TEXT_MAX];
        ticket_id_format(x->tickets[i].id, id);
        json_w_cstr(w, id);
    }
    json_w_end(w);
    json_w_kv_array(w, "refunds");
    for (size_t i = 0; x && i < x->refund_count; i++) {
        json_w_object(w);
        W_ID(w, "id", refund, x->refunds[i].id);
        json_money(w, "amount", x->refunds[i].amount);
        json_w_kv_cstr(w, "state", refund_state_name(x->refunds[i].state));
        json_w_kv_cstr(w, "reason", x->refunds[i].reason);
        json_w_end(w);
    }
    json_w_end(w);
}

/* Twice, so that the page has a number of its own between two versions of the row. */
int64_t shape_order_version(const struct order_row *o, bool page)
{
    return 2 * o->version + page;
}

int64_t shape_order_version_now(struct api *api, const struct order_row *o)
{
    char url[STRIPE_URL_MAX];
    return shape_order_version(o, shape_order_page(api, o, url));
}

/* x is NULL where there is nothing beside. */
static void write_order(struct json_writer *w, const struct scene *s, const struct order_row *o,
                        const struct order_line *lines, size_t count, const struct order_extras *x)
{
    json_w_object(w);
    W_ID(w, "id", order, o->id);
    W_ID(w, "event", event, s->facts->row.id);
    json_w_kv_cstr(w, "event_name", s->facts->row.name);
    json_w_kv_cstr(w, "status", order_status_name(o->status));
    json_w_kv_bool(w, "cancelling", o->status == ORDER_AWAITING && o->cancel_ms != 0);
    json_w_kv_i64(w, "version", shape_order_version(o, x && x->url[0]));
    json_w_kv_array(w, "places");
    for (size_t i = 0; i < count; i++)
        write_line(w, s->plan, lines[i].place_no, lines[i].category_no, lines[i].price_minor,
                   lines[i].fee_minor);
    json_w_end(w);
    json_money(w, "total", o->amount);
    json_w_kv_time(w, "created_at", o->created_ms);
    json_w_kv_time(w, "pay_until", o->pay_until_ms);
    write_extras(w, x);
    json_w_end(w);
}

void shape_order_placed(struct json_writer *w, const struct scene *s, const struct order_placed *p)
{
    write_order(w, s, &p->order, p->lines, p->line_count, NULL);
}

void shape_order_opened(struct json_writer *w, const struct scene *s, const struct recent_order *o,
                        const char *url)
{
    struct order_extras x;

    x.ticket_count = x.refund_count = 0;
    (void)snprintf(x.url, sizeof x.url, "%s", url);
    write_order(w, s, &o->row, o->lines, o->line_count, &x);
}

enum err shape_order(struct call *c, struct json_writer *w, const struct order_row *o)
{
    AUTO(scene_done) struct scene scene = {0};
    struct order_line lines[ORDER_LINES_MAX];
    struct order_extras extras;
    size_t count;

    TRY(scene_of(c, o->event_no, &scene));
    TRY(store_order_lines(c->tx, o->id, lines, &count));
    TRY(load_extras(c, o, &extras));
    write_order(w, &scene, o, lines, count, &extras);
    return OK;
}

static const char *category_name(const struct event_facts *facts, int64_t category_no)
{
    bool known = category_no >= 0 && category_no < (int64_t)COUNT_OF(facts->categories);
    const struct category_row *row = known ? facts->categories[category_no] : NULL;

    return row ? row->name : "";
}

enum err shape_ticket(struct call *c, struct json_writer *w, const struct ticket_row *t)
{
    AUTO(scene_done) struct scene scene = {0};
    char label[PLACE_LABEL_MAX];
    int64_t used;

    TRY(scene_of(c, t->event_no, &scene));
    const struct event_row *event = &scene.facts->row;
    TRY(store_scan_uses(c->tx, t->id, &used));
    place_label(scene.plan, t->place_no, label);
    json_w_object(w);
    W_ID(w, "id", ticket, t->id);
    W_ID(w, "order", order, t->order);
    W_ID(w, "event", event, event->id);
    json_w_kv_cstr(w, "event_name", event->name);
    json_w_kv_time(w, "starts_at", event->starts_ms);
    json_w_kv_time(w, "doors_at", event->doors_ms);
    json_w_kv_cstr(w, "time_zone", event->time_zone);
    json_w_kv_cstr(w, "venue", event->venue_name);
    json_w_kv_cstr(w, "status", ticket_status_name(t->status));
    json_w_kv_object(w, "place");
    write_place_names(w, scene.plan, t->place_no);
    json_w_kv_cstr(w, "label", label);
    json_w_end(w);
    json_w_kv_cstr(w, "category_name", category_name(scene.facts, t->category_no));
    json_money(w, "price", (struct money){t->price_minor + t->fee_minor, t->currency});
    json_w_kv_cstr(w, "form", credential_form_word(CREDENTIAL_PAPER));
    json_w_kv_i64(w, "generation", t->generation);
    json_w_kv_i64(w, "entries_used", used);
    json_w_kv_i64(w, "entries_max", event->entries_max);
    json_w_end(w);
    return OK;
}

static enum err write_grant(struct call *c, struct json_writer *w, const struct access_grant *g)
{
    struct organiser_row organiser;
    struct event_row event;

    json_w_object(w);
    json_w_kv_cstr(w, "role", role_name(g->role));
    if (g->organiser_no) {
        TRY(store_organiser_by_no(c->tx, c->arena, g->organiser_no, &organiser));
        W_ID(w, "organiser", organiser, organiser.id);
        json_w_kv_cstr(w, "organiser_name", organiser.name);
    } else {
        json_w_key(w, "organiser");
        json_w_null(w);
        json_w_kv_cstr(w, "organiser_name", "");
    }
    if (g->event_no) {
        TRY(store_event_by_no(c->tx, c->arena, g->event_no, &event));
        W_ID(w, "event", event, event.id);
    } else {
        json_w_key(w, "event");
        json_w_null(w);
    }
    json_w_end(w);
    return OK;
}

enum err shape_me(struct call *c, struct json_writer *w, int64_t account_no,
                  const struct session_opened *opened)
{
    struct account account;
    struct access access;
    int level = opened ? opened->level : c->session.level;

    TRY(auth_account_by_no(c->tx, &c->api->auth, account_no, &account));
    TRY(access_load(c->tx, account_no, &access));
    json_w_object(w);
    json_w_kv_object(w, "account");
    W_ID(w, "id", account, account.id);
    json_w_kv_cstr(w, "name", account.name);
    json_w_kv_cstr(w, "mail", account.mail);
    json_w_end(w);
    json_w_kv_i64(w, "level", level);
    json_w_kv_bool(w, "totp", account.has_totp);
    W_ID(w, "session", session, opened ? opened->id : c->session.id);
    if (opened && span_eq_text(http_field(&c->x->request, "Gatehouse-Token"), "yes"))
        json_w_kv_cstr(w, "token", opened->token);
    json_w_kv_array(w, "grants");
    for (size_t i = 0; i < access.count; i++)
        TRY(write_grant(c, w, &access.grants[i]));
    json_w_end(w);
    json_w_end(w);
    wipe(&account, sizeof account);
    return OK;
}

void api_shape_alert(struct json_writer *w, const struct alert_row *a)
{
    enum alert_kind kind;

    json_w_object(w);
    W_ID(w, "id", alert, a->id);
    json_w_kv_cstr(w, "kind", a->kind);
    if (alert_kind_parse(span_text(a->kind), &kind) == OK) {
        json_w_kv_cstr(w, "title", alert_title(kind));
        json_w_kv_cstr(w, "todo", alert_todo(kind));
    }
    json_w_kv_i64(w, "severity", a->severity);
    json_w_key(w, "event");
    if (a->event_no) {
        char id[ID_TEXT_MAX];
        event_id_format(a->event, id);
        json_w_cstr(w, id);
    } else {
        json_w_null(w);
    }
    json_w_kv_cstr(w, "subject", a->subject);
    json_w_key(w, "facts");
    json_w_raw(w, span_text(a->facts));
    json_w_kv_cstr(w, "state", a->state);
    json_w_kv_time(w, "at", a->at_ms);
    json_w_end(w);
}
