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

/* The event's number and map, from memory where anybody may see it. */
static enum err visible_map(struct call *c, struct shown_event *ret)
{
    struct event_row event;
    struct event_id id;

    TRY(CALL_ID(c, event, &id));
    if (shown_find(c->api->shown, id, ret))
        return OK;
    /* Why ended: the mark must be older than the snapshot. */
    call_close_snapshot(c);
    struct stamp_mark mark = shown_mark(c->api->shown);
    TRY(call_snapshot(c));
    TRY(visible_event(c, &event));
    *ret = (struct shown_event){.id = id, .event_no = event.no};
    TRY(call_map(c, event.no, &ret->map));
    if (event_is_public(&event))
        shown_keep(c->api->shown, mark, ret);
    return OK;
}

static void release_snapshot(void *owner)
{
    struct seat_snapshot *snapshot = owner;

    seat_snapshot_release(&snapshot);
}

enum err api_event_availability_get(struct call *c)
{
    struct seat_snapshot *snapshot = NULL;
    struct shown_event event;

    TRY(visible_map(c, &event));
    TRY(seat_map_snapshot(event.map, &snapshot));
    http_header_text(c->x, "Cache-Control", "no-cache");
    http_reply_shared(c->x, "application/octet-stream", snapshot->bytes, snapshot->etag,
                      release_snapshot, snapshot);
    c->replied = true;
    return OK;
}

enum err api_event_availability_stream(struct call *c)
{
    struct shown_event event;
    char channel[40];

    TRY(visible_map(c, &event));
    TRY(ticker_watch_event(c->api->ticker, event.event_no, event.map));
    (void)snprintf(channel, sizeof channel, "places/%lld", (long long)event.event_no);
    http_reply_stream(c->x, span_text(channel));
    c->replied = true;
    return OK;
}
