/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/api/call.h"

#include <stdio.h>
#include <string.h>

#include "ground/encode/base64.h"

enum { JSON_BODY_MAX = 16 << 20 };

enum err call_json(struct call *c, struct json_object *ret_root)
{
    ENSURE(http_is_type(&c->x->request, "application/json"), ERR_INVALID, "bad_content_type",
           "The body must be application/json.");
    if (!c->doc)
        TRY(json_parse(c->x->request.body, JSON_BODY_MAX, &c->doc));
    return json_root(c->doc, ret_root);
}

enum err call_no_members(struct call *c)
{
    struct json_object root;

    if (c->x->request.body.len == 0)
        return OK;
    TRY(call_json(c, &root));
    return json_object_end(&root);
}

enum err call_capture(struct call *c, const char *name, const char *prefix,
                      uint8_t ret_id[ID_BYTES])
{
    if (id_parse(prefix, http_capture(&c->match, name), ret_id) != OK)
        FAIL(ERR_NOT_FOUND, "not_found", "There is no such %s.", name);
    return OK;
}

enum err call_json_id(struct json_object *o, const char *key, const char *prefix,
                      uint8_t ret_id[ID_BYTES])
{
    char pointer[ERR_POINTER_MAX];
    struct span text;

    TRY(json_need_text(o, key, ID_TEXT_MAX, &text));
    json_pointer(o, key, pointer);
    if (id_parse(prefix, text, ret_id) != OK)
        FAIL_AT(pointer, ERR_INVALID, "bad_id", "An id of this kind is %s_ and 26 characters.",
                prefix);
    return OK;
}

enum err call_json_time(struct json_object *o, const char *key, int64_t *ret_ms)
{
    char pointer[ERR_POINTER_MAX];
    struct span text;

    TRY(json_need_text(o, key, TIME_TEXT_MAX, &text));
    json_pointer(o, key, pointer);
    if (time_parse(text, ret_ms) != OK)
        FAIL_AT(pointer, ERR_INVALID, "bad_time", "A time looks like 2026-11-23T19:30:00Z.");
    return OK;
}

enum err call_permit(struct call *c, int64_t organiser_no, int64_t event_no)
{
    TRY(access_check(&c->access, c->route->permission, organiser_no, event_no));
    c->permitted = c->asked = true;
    c->asked_organiser_no = organiser_no;
    c->asked_event_no = event_no;
    return OK;
}

enum err call_organiser(struct call *c, struct organiser_row *ret_row)
{
    struct organiser_id id;

    TRY(CALL_ID(c, organiser, &id));
    enum err e = store_organiser_by_id(c->tx, c->arena, id, ret_row);
    ENSURE(e != ERR_NOT_FOUND, ERR_NOT_FOUND, "not_found", "There is no such organiser.");
    TRY(e);
    return call_permit(c, ret_row->no, 0);
}

enum err call_event(struct call *c, struct event_row *ret_row)
{
    struct event_id id;

    TRY(CALL_ID(c, event, &id));
    enum err e = store_event_by_id(c->tx, c->arena, id, ret_row);
    ENSURE(e != ERR_NOT_FOUND, ERR_NOT_FOUND, "not_found", "There is no such event.");
    TRY(e);
    return call_permit(c, ret_row->organiser_no, ret_row->no);
}

/* A cursor is base64url of two numbers: nothing to forge, as every page is filtered by what the caller may see. */
void call_cursor(int64_t key, int64_t no, char out[64])
{
    AUTO(buf_done) struct buf text = {0};
    uint8_t raw[16];

    put_u64be(raw, (uint64_t)key);
    put_u64be(raw + 8, (uint64_t)no);
    buf_init(&text, 60);
    base64url_put(&text, SPAN_ARRAY(raw));
    (void)snprintf(out, 64, "%s", buf_text(&text));
}

enum err call_page(struct call *c, struct store_page *ret_page)
{
    struct span limit = http_param(&c->x->request, "limit"),
                cursor = http_param(&c->x->request, "cursor");
    struct store_page page = {.limit = 50};
    uint8_t raw[16];
    uint64_t n = 50;
    size_t len;

    if (limit.data) {
        ENSURE(text_to_u64(limit, &n) == OK && n >= 1 && n <= 200, ERR_INVALID, "bad_query",
               "limit is 1 to 200.");
        page.limit = (size_t)n;
    }
    if (cursor.data) {
        ENSURE(base64url_decode(cursor, raw, sizeof raw, &len) == OK && len == sizeof raw,
               ERR_INVALID, "bad_cursor", "The cursor is not one that a list of ours gave.");
        page.after_key = (int64_t)get_u64be(raw);
        page.after_no = (int64_t)get_u64be(raw + 8);
    }
    *ret_page = page;
    return OK;
}

void call_begin(struct call *c, int status, struct json_writer *w)
{
    c->status = status;
    buf_done(&c->body);
    buf_init(&c->body, CALL_BODY_MAX);
    json_w_init(w, &c->body);
}

enum err call_end(struct call *c, struct json_writer *w)
{
    (void)c;
    return json_w_finish(w);
}

void call_empty(struct call *c, int status)
{
    c->status = status;
    buf_reset(&c->body);
}

void call_close_snapshot(struct call *c)
{
    store_read_end(c->tx);
    c->tx = NULL;
}

enum err call_alloc(struct call *c, size_t size, void *ret_pointer)
{
    void *p = arena_alloc(c->arena, size);
    ENSURE(p, ERR_NOMEM, "no_memory", "The request needs more memory than it may have.");
    memcpy(ret_pointer, &p, sizeof p);
    return OK;
}

enum err call_write(struct call *c, enum err (*write)(struct call *c), void *args)
{
    c->write = write;
    c->args = args;
    c->answered_before = c->body.len > 0;
    return OK;
}

enum err call_show(struct call *c, enum err (*show)(struct call *c))
{
    if (c->has_key)
        return show(c);
    c->show = show;
    return OK;
}

void json_id(struct json_writer *w, const char *key, const char *prefix, const uint8_t id[ID_BYTES])
{
    char text[ID_TEXT_MAX];
    id_format(prefix, id, text);
    json_w_kv_cstr(w, key, text);
}

void json_money(struct json_writer *w, const char *key, struct money m)
{
    json_w_kv_object(w, key);
    json_w_kv_i64(w, "amount_minor", m.amount_minor);
    json_w_kv_cstr(w, "currency", m.currency.code);
    json_w_end(w);
}
