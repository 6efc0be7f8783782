/* SPDX-License-Identifier: Apache-2.0 */
/* catalog_routes - organisers, venues, plans, events and prices, for staff. */
#include <stdio.h>
#include <string.h>

#include "reach/api/list.h"

enum { GENERATE_SEATS_MAX = 250000 };

/* Who does it, for the ledger. */
static enum err actor(struct call *c, struct catalog_actor *ret_actor)
{
    struct order_buyer me;

    TRY(store_order_buyer(c->tx, c->session.account_no, &me));
    *ret_actor = (struct catalog_actor){.account = me.account, .person_no = me.person_no};
    return OK;
}

/* --- organisers ------------------------------------------------------------------------------------------------------------------ */

static void write_organiser(struct json_writer *w, const struct organiser_row *o)
{
    json_w_object(w);
    W_ID(w, "id", organiser, o->id);
    json_w_kv_cstr(w, "name", o->name);
    json_w_kv_cstr(w, "slug", o->slug);
    json_w_end(w);
}

enum err api_organisers_get(struct call *c)
{
    int64_t mine[ACCESS_GRANTS_MAX];
    struct organiser_row *rows;
    struct store_page page;
    struct json_writer w;
    size_t mine_count, count;
    bool all;

    TRY(access_organisers(&c->access, mine, COUNT_OF(mine), &mine_count, &all));
    c->permitted = true; /* a list of what the caller may see: filtered, not refused */
    ENSURE(all || mine_count > 0, ERR_DENIED, "not_permitted", "Only staff may see organisers.");
    TRY(call_page(c, &page));
    TRY(store_organiser_list(c->tx, c->arena, &page, &rows, &count));
    list_begin(c, &w);
    for (size_t i = 0; i < count; i++) {
        bool visible = all;
        for (size_t k = 0; k < mine_count && !visible; k++)
            visible = mine[k] == rows[i].no;
        if (visible)
            write_organiser(&w, &rows[i]);
    }
    bool more = count == page.limit;
    return list_end(c, &w, more, 0, more ? rows[count - 1].no : 0);
}

static enum err organiser_write(struct call *c)
{
    struct organiser_request *req = c->args;
    struct organiser_row row;
    struct catalog_actor by;
    struct json_writer w;
    int64_t no;

    TRY(actor(c, &by));
    TRY(organiser_create(c->tx, &c->api->catalog, &by, req, &no));
    TRY(store_organiser_by_no(c->tx, c->arena, no, &row));
    call_begin(c, 201, &w);
    write_organiser(&w, &row);
    return call_end(c, &w);
}

enum err api_organiser_post(struct call *c)
{
    struct organiser_request *req;
    struct json_object root;

    TRY(call_permit(c, 0, 0));
    TRY(call_alloc(c, sizeof *req, &req));
    TRY(call_json(c, &root));
    TRY(JSON_ID(&root, "id", organiser, &req->id));
    TRY(json_need_text(&root, "name", 4 * CATALOG_NAME_MAX, &req->name));
    TRY(json_need_text(&root, "slug", CATALOG_SLUG_MAX, &req->slug));
    TRY(json_object_end(&root));
    return call_write(c, organiser_write, req);
}

/* --- venues ---------------------------------------------------------------------------------------------------------------------- */

struct tenant_args {
    int64_t organiser_no;
    union {
        struct venue_request venue;
        struct plan_request plan;
        struct event_request event;
        struct event_change change;
        struct {
            struct event_id id;
            enum event_status status;
        } status;
    } as;
};

static void write_venue(struct json_writer *w, const struct venue_row *v)
{
    json_w_object(w);
    W_ID(w, "id", venue, v->id);
    json_w_kv_cstr(w, "name", v->name);
    json_w_kv_cstr(w, "address", v->address);
    json_w_kv_cstr(w, "time_zone", v->time_zone);
    json_w_end(w);
}

enum err api_venues_get(struct call *c)
{
    struct organiser_row organiser;
    struct store_page page;
    struct venue_row *rows;
    struct json_writer w;
    size_t count;

    TRY(call_organiser(c, &organiser));
    TRY(call_page(c, &page));
    TRY(store_venue_list(c->tx, c->arena, organiser.no, &page, &rows, &count));
    list_begin(c, &w);
    for (size_t i = 0; i < count; i++)
        write_venue(&w, &rows[i]);
    bool more = count == page.limit;
    return list_end(c, &w, more, 0, more ? rows[count - 1].no : 0);
}

static enum err venue_write(struct call *c)
{
    struct tenant_args *args = c->args;
    struct catalog_actor by;
    struct venue_row row;
    struct json_writer w;

    TRY(actor(c, &by));
    TRY(venue_create(c->tx, &c->api->catalog, &by, args->organiser_no, &args->as.venue));
    TRY(venue_get(c->tx, c->arena, args->organiser_no, args->as.venue.id, &row));
    call_begin(c, 201, &w);
    write_venue(&w, &row);
    return call_end(c, &w);
}

enum err api_venue_post(struct call *c)
{
    struct organiser_row organiser;
    struct tenant_args *args;
    struct json_object root;

    TRY(call_organiser(c, &organiser));
    TRY(call_alloc(c, sizeof *args, &args));
    args->organiser_no = organiser.no;
    struct venue_request *v = &args->as.venue;
    TRY(call_json(c, &root));
    TRY(JSON_ID(&root, "id", venue, &v->id));
    TRY(json_need_text(&root, "name", 4 * CATALOG_NAME_MAX, &v->name));
    TRY(json_need_text(&root, "address", 4 * CATALOG_ADDRESS_MAX, &v->address));
    TRY(json_need_text(&root, "time_zone", 64, &v->time_zone));
    TRY(json_object_end(&root));
    return call_write(c, venue_write, args);
}

/* --- plans ----------------------------------------------------------------------------------------------------------------------- */

static enum err write_plan_categories(struct call *c, struct json_writer *w, int64_t plan_no)
{
    AUTO(buf_done) struct buf packed = {0};
    AUTO(arena_done) struct arena arena = {0};
    const struct plan_category *categories;
    char color[8];
    size_t count;

    buf_init(&packed, PACKED_MAX);
    arena_init(&arena, LIST_ROWS_MAX);
    TRY(store_plan_packed(c->tx, plan_no, &packed));
    TRY(plan_unpack_categories(buf_span(&packed), &arena, &categories, &count));
    json_w_kv_array(w, "categories");
    for (size_t i = 0; i < count; i++) {
        plan_color_format(categories[i].color, color);
        json_w_object(w);
        json_w_kv_i64(w, "category", (int64_t)i);
        json_w_kv_cstr(w, "name", categories[i].name);
        json_w_kv_cstr(w, "color", color);
        json_w_end(w);
    }
    json_w_end(w);
    return OK;
}

static enum err write_plan(struct call *c, struct json_writer *w, const struct plan_row *p)
{
    json_w_object(w);
    W_ID(w, "id", plan, p->id);
    W_ID(w, "venue", venue, p->venue);
    json_w_kv_cstr(w, "name", p->name);
    json_w_kv_i64(w, "places", p->places);
    json_w_kv_i64(w, "seats", p->seats);
    TRY(write_plan_categories(c, w, p->no));
    json_w_key(w, "repairs");
    json_w_raw(w, span_text(p->repairs));
    json_w_end(w);
    return OK;
}

enum err api_plans_get(struct call *c)
{
    AUTO(arena_done) struct arena arena = {0};
    struct organiser_row organiser;
    struct store_page page;
    struct plan_row *rows;
    struct json_writer w;
    size_t count;

    arena_init(&arena, LIST_ROWS_MAX);
    TRY(call_organiser(c, &organiser));
    TRY(call_page(c, &page));
    TRY(store_plan_list(c->tx, &arena, organiser.no, &page, &rows, &count));
    list_begin(c, &w);
    for (size_t i = 0; i < count; i++)
        TRY(write_plan(c, &w, &rows[i]));
    bool more = count == page.limit;
    return list_end(c, &w, more, 0, more ? rows[count - 1].no : 0);
}

static enum err plan_write(struct call *c)
{
    struct tenant_args *args = c->args;
    struct catalog_actor by;
    struct plan_row row;
    struct json_writer w;

    TRY(actor(c, &by));
    TRY(plan_create(c->tx, &c->api->catalog, &by, args->organiser_no, &args->as.plan));
    TRY(plan_get(c->tx, c->arena, args->organiser_no, args->as.plan.id, &row));
    call_begin(c, 201, &w);
    TRY(write_plan(c, &w, &row));
    return call_end(c, &w);
}

static void plan_done(struct call *c)
{
    struct tenant_args *args = c->args;
    plan_ready_done((struct plan_ready *)args->as.plan.ready);
}

static enum err generate_stadium(struct json_object *o, struct span name, struct plan **ret_plan)
{
    int64_t seats, tiers = 3, sectors = 48;
    struct span kind;

    TRY(json_need_text(o, "kind", 20, &kind));
    ENSURE_AT(span_eq_text(kind, "stadium"), "#/generate/kind", ERR_INVALID, "out_of_range",
              "The one kind there is to generate is stadium.");
    TRY(json_need_i64(o, "seats", 100, GENERATE_SEATS_MAX, &seats));
    TRY(json_opt_i64(o, "tiers", 1, 6, &tiers));
    TRY(json_opt_i64(o, "sectors", 4, 96, &sectors));
    TRY(json_object_end(o));
    const struct plan_stadium wish = {name, (uint32_t)seats, (uint32_t)tiers, (uint32_t)sectors};
    return plan_generate_stadium(&wish, ret_plan);
}

/* An area names its category by number; a category is called and coloured as the first area in it. */
static enum err read_area_wish(const struct json_array *array, size_t i,
                               struct plan_category_wish *categories, size_t *category_count,
                               struct plan_area_wish *ret_area)
{
    struct json_object o;
    struct span color;
    int64_t slots, category;

    TRY(json_item_object(array, i, &o));
    TRY(json_need_text(&o, "name", 4 * PLAN_NAME_MAX, &ret_area->name));
    TRY(json_need_i64(&o, "slots", 1, PLAN_PLACES_MAX, &slots));
    TRY(json_need_i64(&o, "category", 0, (int64_t)*category_count, &category));
    TRY(json_need_text(&o, "color", 20, &color));
    TRY(json_object_end(&o));
    ENSURE(category < PLAN_CATEGORIES_MAX, ERR_INVALID, "out_of_range", "Too many categories.");
    ret_area->slots = (uint32_t)slots;
    ret_area->category = (uint8_t)category;
    if ((size_t)category == *category_count) {
        categories[category].name = ret_area->name;
        TRY(plan_color_parse(color, "#/areas", &categories[category].color));
        (*category_count)++;
    }
    return OK;
}

static enum err generate_areas(struct call *c, const struct json_array *array, struct span name,
                               struct plan **ret_plan)
{
    struct plan_category_wish *categories;
    struct plan_area_wish *areas;
    size_t category_count = 0;

    ENSURE_AT(array->count > 0, "#/areas", ERR_INVALID, "out_of_range",
              "A plan has at least one area.");
    TRY(call_alloc(c, (PLAN_CATEGORIES_MAX + 1) * sizeof *categories, &categories));
    TRY(call_alloc(c, array->count * sizeof *areas, &areas));
    for (size_t i = 0; i < array->count; i++)
        TRY(read_area_wish(array, i, categories, &category_count, &areas[i]));
    return plan_generate_areas(name, categories, category_count, areas, array->count, ret_plan);
}

/* The three ways a plan comes: a pretix file, a generated stadium, or areas without seats. */
static enum err read_plan(struct call *c, struct json_object *root, struct span name,
                          struct plan_ready *ready)
{
    AUTO(plan_free) struct plan *plan = NULL;
    struct plan_repairs *repairs;

    TRY(call_alloc(c, sizeof *repairs, &repairs));
    int ways = json_has(root, "source") + json_has(root, "generate") + json_has(root, "areas");
    ENSURE(ways == 1, ERR_INVALID, "missing_field",
           "Give exactly one of source, generate and areas.");
    if (json_has(root, "source")) {
        struct json_object source;
        TRY(json_need_object(root, "source", &source));
        TRY(plan_import_object(&source, &plan, repairs));
    } else if (json_has(root, "generate")) {
        struct json_object generate;
        TRY(json_need_object(root, "generate", &generate));
        TRY(generate_stadium(&generate, name, &plan));
    } else {
        struct json_array areas;
        TRY(json_need_array(root, "areas", PLAN_AREAS_MAX, &areas));
        TRY(generate_areas(c, &areas, name, &plan));
    }
    TRY(json_object_end(root));
    return plan_ready_init(ready, plan, json_has(root, "source") ? repairs : NULL);
}

enum err api_plan_post(struct call *c)
{
    struct organiser_row organiser;
    struct tenant_args *args;
    struct plan_ready *ready;
    struct json_object root;

    TRY(call_organiser(c, &organiser));
    TRY(call_alloc(c, sizeof *args, &args));
    TRY(call_alloc(c, sizeof *ready, &ready));
    args->organiser_no = organiser.no;
    struct plan_request *p = &args->as.plan;
    TRY(call_json(c, &root));
    TRY(JSON_ID(&root, "id", plan, &p->id));
    TRY(JSON_ID(&root, "venue", venue, &p->venue));
    TRY(json_need_text(&root, "name", 4 * CATALOG_NAME_MAX, &p->name));
    call_close_snapshot(c); /* importing takes a while */
    c->finally = plan_done;
    p->ready = ready;
    c->args = args;
    TRY(read_plan(c, &root, p->name, ready));
    return call_write(c, plan_write, args);
}

enum err api_plan_export_get(struct call *c)
{
    struct plan_row row;
    struct plan_id id;

    TRY(CALL_ID(c, plan, &id));
    enum err e = store_plan_by_id(c->tx, c->arena, id, &row);
    ENSURE(e != ERR_NOT_FOUND, ERR_NOT_FOUND, "not_found", "There is no such plan.");
    TRY(e);
    TRY(call_permit(c, row.organiser_no, 0));
    buf_init(&c->body, PLAN_SOURCE_MAX);
    http_header_text(c->x, "Content-Disposition", "attachment; filename=\"plan.json\"");
    return plan_export_stored(c->tx, row.no, &c->body);
}

/* --- events ---------------------------------------------------------------------------------------------------------------------- */

enum err api_organiser_events_get(struct call *c)
{
    AUTO(arena_done) struct arena arena = {0};
    struct organiser_row organiser;
    struct store_page page;
    struct event_row *rows;
    struct json_writer w;
    size_t count;

    arena_init(&arena, LIST_ROWS_MAX);
    TRY(call_organiser(c, &organiser));
    TRY(call_page(c, &page));
    TRY(store_event_list(c->tx, &arena, organiser.no, &page, &rows, &count));
    list_begin(c, &w);
    for (size_t i = 0; i < count; i++)
        TRY(shape_event(c, &w, &rows[i]));
    bool more = count == page.limit;
    return list_end(c, &w, more, more ? rows[count - 1].starts_ms : 0,
                    more ? rows[count - 1].no : 0);
}

static enum err answer_event(struct call *c, int status, int64_t organiser_no, struct event_id id)
{
    struct event_row row;
    struct json_writer w;

    TRY(event_get(c->tx, c->arena, organiser_no, id, &row));
    call_begin(c, status, &w);
    TRY(shape_event(c, &w, &row));
    return call_end(c, &w);
}

static enum err read_category(const struct json_array *array, size_t i,
                              struct category_wish *ret_wish)
{
    struct json_object o;

    TRY(json_item_object(array, i, &o));
    TRY(json_need_i64(&o, "category", 0, 254, &ret_wish->category));
    TRY(json_need_text(&o, "name", 4 * CATALOG_NAME_MAX, &ret_wish->name));
    TRY(json_need_text(&o, "color", 7, &ret_wish->color));
    TRY(json_need_i64(&o, "price_minor", 0, MONEY_MINOR_MAX, &ret_wish->price_minor));
    TRY(json_need_i64(&o, "fee_minor", 0, MONEY_MINOR_MAX, &ret_wish->fee_minor));
    return json_object_end(&o);
}

static enum err read_categories(struct call *c, struct json_object *root,
                                const struct category_wish **ret_wishes, size_t *ret_count)
{
    struct category_wish *wishes;
    struct json_array array;

    TRY(json_need_array(root, "categories", PLAN_CATEGORIES_MAX, &array));
    TRY(call_alloc(c, (array.count + 1) * sizeof *wishes, &wishes));
    for (size_t i = 0; i < array.count; i++)
        TRY(read_category(&array, i, &wishes[i]));
    *ret_wishes = wishes;
    *ret_count = array.count;
    return OK;
}

static enum err event_write(struct call *c)
{
    struct tenant_args *args = c->args;
    struct catalog_actor by;

    TRY(actor(c, &by));
    TRY(event_create(c->tx, &c->api->catalog, &by, args->organiser_no, &args->as.event));
    return answer_event(c, 201, args->organiser_no, args->as.event.id);
}

enum err api_event_post(struct call *c)
{
    struct organiser_row organiser;
    struct tenant_args *args;
    struct json_object root;

    TRY(call_organiser(c, &organiser));
    TRY(call_alloc(c, sizeof *args, &args));
    args->organiser_no = organiser.no;
    struct event_request *e = &args->as.event;
    TRY(call_json(c, &root));
    TRY(JSON_ID(&root, "id", event, &e->id));
    TRY(JSON_ID(&root, "venue", venue, &e->venue));
    TRY(JSON_ID(&root, "plan", plan, &e->plan));
    TRY(json_need_text(&root, "name", 4 * CATALOG_NAME_MAX, &e->name));
    TRY(json_need_text(&root, "description", 4 * CATALOG_DESCRIPTION_MAX, &e->description));
    TRY(json_need_text(&root, "currency", 3, &e->currency));
    TRY(call_json_time(&root, "starts_at", &e->starts_ms));
    TRY(call_json_time(&root, "ends_at", &e->ends_ms));
    TRY(call_json_time(&root, "doors_at", &e->doors_ms));
    TRY(call_json_time(&root, "sale_from", &e->sale_from_ms));
    TRY(call_json_time(&root, "sale_until", &e->sale_until_ms));
    TRY(json_need_i64(&root, "per_order_max", 1, CATALOG_PER_ORDER_MAX, &e->per_order_max));
    e->entries_max = 1;
    TRY(json_opt_i64(&root, "entries_max", 1, CATALOG_ENTRIES_MAX, &e->entries_max));
    TRY(read_categories(c, &root, &e->categories, &e->category_count));
    TRY(json_object_end(&root));
    return call_write(c, event_write, args);
}

static enum err opt_text(struct call *c, struct json_object *root, const char *key, size_t max,
                         const struct span **ret)
{
    struct span *text;

    if (!json_has(root, key))
        return OK;
    TRY(call_alloc(c, sizeof *text, &text));
    TRY(json_need_text(root, key, max, text));
    *ret = text;
    return OK;
}

static enum err opt_time(struct call *c, struct json_object *root, const char *key,
                         const int64_t **ret)
{
    int64_t *ms;

    if (!json_has(root, key))
        return OK;
    TRY(call_alloc(c, sizeof *ms, &ms));
    TRY(call_json_time(root, key, ms));
    *ret = ms;
    return OK;
}

static enum err opt_number(struct call *c, struct json_object *root, const char *key, int64_t max,
                           const int64_t **ret)
{
    int64_t *number;

    if (!json_has(root, key))
        return OK;
    TRY(call_alloc(c, sizeof *number, &number));
    TRY(json_need_i64(root, key, 1, max, number));
    *ret = number;
    return OK;
}

/* If-Match: "v<version>", as the event's ETag. Absent is 428. */
static enum err read_if_match(struct call *c, int64_t *ret_version)
{
    struct span tag = http_field(&c->x->request, "If-Match");

    ENSURE(tag.data, ERR_INVALID, "precondition_required",
           "Send If-Match with the ETag of the event as you saw it.");
    ENSURE(tag.len > 3 && span_starts(tag, "\"v") && tag.data[tag.len - 1] == '"' &&
               text_to_i64(span_sub(tag, 2, tag.len - 3), ret_version) == OK,
           ERR_CONFLICT, "version_changed", "The event was changed since.");
    return OK;
}

static enum err change_write(struct call *c)
{
    struct tenant_args *args = c->args;
    struct catalog_actor by;

    TRY(actor(c, &by));
    TRY(event_change(c->tx, &c->api->catalog, &by, args->organiser_no, &args->as.change));
    return answer_event(c, 200, args->organiser_no, args->as.change.id);
}

enum err api_event_patch(struct call *c)
{
    struct event_row event;
    struct tenant_args *args;
    struct json_object root;

    TRY(call_event(c, &event));
    TRY(call_alloc(c, sizeof *args, &args));
    args->organiser_no = event.organiser_no;
    struct event_change *e = &args->as.change;
    e->id = event.id;
    TRY(read_if_match(c, &e->version));
    TRY(call_json(c, &root));
    TRY(opt_text(c, &root, "name", 4 * CATALOG_NAME_MAX, &e->name));
    TRY(opt_text(c, &root, "description", 4 * CATALOG_DESCRIPTION_MAX, &e->description));
    TRY(opt_time(c, &root, "starts_at", &e->starts_ms));
    TRY(opt_time(c, &root, "ends_at", &e->ends_ms));
    TRY(opt_time(c, &root, "doors_at", &e->doors_ms));
    TRY(opt_time(c, &root, "sale_from", &e->sale_from_ms));
    TRY(opt_time(c, &root, "sale_until", &e->sale_until_ms));
    TRY(opt_number(c, &root, "per_order_max", CATALOG_PER_ORDER_MAX, &e->per_order_max));
    TRY(opt_number(c, &root, "entries_max", CATALOG_ENTRIES_MAX, &e->entries_max));
    if (json_has(&root, "categories"))
        TRY(read_categories(c, &root, &e->categories, &e->category_count));
    TRY(json_object_end(&root));
    return call_write(c, change_write, args);
}

static enum err status_write(struct call *c)
{
    struct tenant_args *args = c->args;
    struct catalog_actor by;

    TRY(actor(c, &by));
    return event_set_status(c->tx, &c->api->catalog, &by, args->organiser_no, args->as.status.id,
                            args->as.status.status);
}

/* With the map of the places that were just made, which a reader loads. */
static enum err status_after(struct call *c)
{
    struct tenant_args *args = c->args;

    return answer_event(c, 200, args->organiser_no, args->as.status.id);
}

/*
 * Going on sale: the signer opens the event with its capacity first, so that no ticket is ever sold that could not be minted.
 * Opening twice is fine.
 */
enum err api_event_status_post(struct call *c)
{
    struct tenant_args *args;
    struct json_object root;
    struct event_row event;
    struct span status;

    TRY(call_event(c, &event));
    TRY(call_alloc(c, sizeof *args, &args));
    TRY(call_json(c, &root));
    TRY(json_need_text(&root, "status", 20, &status));
    TRY(json_object_end(&root));
    TRY(event_status_parse(status, &args->as.status.status));
    args->organiser_no = event.organiser_no;
    args->as.status.id = event.id;
    if (args->as.status.status == EVENT_ON_SALE) {
        struct signer_event opening = {.organiser_no = (uint32_t)event.organiser_no,
                                       .event_no = (uint32_t)event.no,
                                       .places = (uint32_t)event.capacity,
                                       .capacity = (uint32_t)event.capacity};
        call_close_snapshot(c);
        TRY(signer_event_open(c->api->config.signer, &opening));
    }
    c->has_key = false; /* setting a status twice is the same as once */
    c->after = status_after;
    return call_write(c, status_write, args);
}
