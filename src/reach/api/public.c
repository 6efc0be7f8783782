/* SPDX-License-Identifier: Apache-2.0 */
/* public - what anybody may read: events, plans, availability, status. */
#include <stdio.h>
#include <string.h>

#include "ground/encode/hex.h"
#include "reach/api/list.h"

enum err api_status_get(struct call *c)
{
    struct json_writer w;

    call_begin(c, 200, &w);
    json_w_object(&w);
    json_w_kv_cstr(&w, "version", GATEHOUSE_VERSION);
    json_w_kv_bool(&w, "demo", c->api->config.mail_dir != NULL);
    json_w_kv_time(&w, "time", call_now_ms(c));
    json_w_end(&w);
    return call_end(c, &w);
}

enum err api_openapi_get(struct call *c)
{
    http_header_text(c->x, "Cache-Control", "no-cache");
    http_reply_static(c->x, "application/json", buf_span(&c->api->openapi), c->api->openapi_etag);
    c->replied = true;
    return OK;
}

enum err api_events_get(struct call *c)
{
    AUTO(arena_done) struct arena rows = {0};
    struct event_row *events;
    struct store_page page;
    struct json_writer w;
    size_t count;

    arena_init(&rows, LIST_ROWS_MAX);
    TRY(call_page(c, &page));
    TRY(store_event_list_public(c->tx, &rows, store_now_ms(c->tx), &page, &events, &count));
    list_begin(c, &w);
    for (size_t i = 0; i < count; i++)
        TRY(shape_event(c, &w, &events[i]));
    bool more = count == page.limit;
    return list_end(c, &w, more, more ? events[count - 1].starts_ms : 0,
                    more ? events[count - 1].no : 0);
}

/* The event as this caller may see it: staff of the organiser also see drafts. */
static enum err visible_event(struct call *c, struct event_row *ret_event)
{
    struct event_id id;

    TRY(CALL_ID(c, event, &id));
    enum err e = event_get_public(c->tx, c->arena, id, ret_event);
    if (e != ERR_NOT_FOUND || !c->signed_in)
        return e;
    TRY(store_event_by_id(c->tx, c->arena, id, ret_event));
    return access_check(&c->access, PERMISSION_catalog_read, ret_event->organiser_no,
                        ret_event->no);
}

enum err api_event_get_one(struct call *c)
{
    struct event_row event;
    struct json_writer w;

    TRY(visible_event(c, &event));
    call_begin(c, 200, &w);
    TRY(shape_event(c, &w, &event));
    (void)snprintf(c->etag, sizeof c->etag, "\"v%lld\"", (long long)event.version);
    /* Members of `free` change without the version, so only writers may use the tag. */
    http_header_text(c->x, "ETag", c->etag);
    c->etag[0] = '\0';
    return call_end(c, &w);
}

enum err api_event_plan_get(struct call *c)
{
    struct event_row event;
    char hash[65];

    TRY(visible_event(c, &event));
    buf_init(&c->body, CALL_BODY_MAX);
    TRY(store_plan_packed_by_event(c->tx, event.no, &c->body));
    hex_format(SPAN_ARRAY(event.plan_hash), hash);
    bool named = span_eq_text(http_param(&c->x->request, "h"), hash);
    http_header_text(c->x, "Cache-Control",
                     named ? "public, max-age=31536000, immutable" : "no-cache");
    (void)snprintf(c->etag, sizeof c->etag, "\"%.32s\"", hash);
    c->type = "application/octet-stream";
    return OK;
}

/* The map of an event that anybody may see, when it is all in memory; else NULL. */
static struct seat_map *shown_map(struct call *c, struct event_id id)
{
    AUTO(event_facts_release) struct event_facts *facts = NULL;
    struct seat_map *map = seat_maps_find_event(c->api->config.maps, id);

    if (map && seat_map_version(map) != 0) /* 0: so far only the writer looked at it */
        facts = seat_map_facts_kept(map);
    return facts && event_is_public(&facts->row) ? map : NULL;
}

static enum err visible_map(struct call *c, struct seat_map **ret_map)
{
    AUTO(event_facts_release) struct event_facts *facts = NULL;
    struct event_row event;
    struct event_id id;

    TRY(CALL_ID(c, event, &id));
    *ret_map = shown_map(c, id);
    if (*ret_map)
        return OK;
    TRY(call_snapshot(c));
    TRY(visible_event(c, &event));
    TRY(call_map(c, event.no, ret_map));
    return seat_map_facts(*ret_map, c->tx, &facts); /* read, so that the next need not */
}

static void release_snapshot(void *owner)
{
    struct seat_snapshot *snapshot = owner;

    seat_snapshot_release(&snapshot);
}

enum err api_event_availability_get(struct call *c)
{
    struct seat_snapshot *snapshot = NULL;
    struct seat_map *map;

    TRY(visible_map(c, &map));
    TRY(seat_map_snapshot(map, &snapshot));
    http_header_text(c->x, "Cache-Control", "no-cache");
    http_reply_shared(c->x, "application/octet-stream", snapshot->bytes, snapshot->etag,
                      release_snapshot, snapshot);
    c->replied = true;
    return OK;
}

enum err api_event_availability_stream(struct call *c)
{
    struct seat_map *map;
    char channel[40];

    TRY(visible_map(c, &map));
    int64_t event_no = seat_map_event_no(map);
    TRY(ticker_watch_event(c->api->ticker, event_no, map));
    (void)snprintf(channel, sizeof channel, "places/%lld", (long long)event_no);
    http_reply_stream(c->x, span_text(channel));
    c->replied = true;
    return OK;
}
