/* SPDX-License-Identifier: Apache-2.0 */
/* door_routes - scanners and scans. A scan has no session: the device signs it. */
#include <stdio.h>
#include <string.h>

#include "ground/encode/base64.h"
#include "ground/encode/hex.h"
#include "ground/encode/qr.h"
#include "reach/api/list.h"

enum { DEVICE_TEXT_MAX = 80, CODE_TEXT_MAX = 1024 };

/* --- enrolment ------------------------------------------------------------------------------------------------------------------- */

struct enrolment_args {
    struct device_enrolment wish;
};

static enum err enrolment_write(struct call *c)
{
    struct enrolment_args *args = c->args;
    AUTO(buf_done) struct buf url = {0};
    AUTO(buf_done) struct buf svg = {0};
    char token[AUTH_TOKEN_TEXT];
    struct json_writer w;
    struct qr *qr;

    TRY(device_enrolment_begin(c->tx, &args->wish, token));
    buf_init(&url, 512);
    buf_printf(&url, "%s/gate/#%s", c->api->config.origin, token);
    TRY(call_alloc(c, sizeof *qr, &qr));
    TRY(qr_encode(buf_span(&url), QR_MEDIUM, qr));
    buf_init(&svg, 262144);
    TRY(qr_svg(qr, SPAN_LIT("Code to enrol a scanner"), &svg));
    call_begin(c, 201, &w);
    json_w_object(&w);
    json_w_kv_cstr(&w, "token", token);
    json_w_kv_text(&w, "url", buf_span(&url));
    json_w_kv_text(&w, "qr_svg", buf_span(&svg));
    json_w_kv_time(&w, "expires_at", store_now_ms(c->tx) + DEVICE_ENROLMENT_MS);
    json_w_end(&w);
    wipe(token, sizeof token);
    c->has_key = false; /* a secret is not kept for a repeat */
    return call_end(c, &w);
}

enum err api_device_enrolment_post(struct call *c)
{
    struct enrolment_args *args;
    struct json_object root;
    struct event_row event;

    TRY(call_event(c, &event));
    TRY(call_alloc(c, sizeof *args, &args));
    TRY(call_json(c, &root));
    TRY(json_need_text(&root, "name", DEVICE_TEXT_MAX, &args->wish.name));
    TRY(json_need_text(&root, "gate", DEVICE_TEXT_MAX, &args->wish.gate));
    TRY(json_object_end(&root));
    args->wish.organiser_no = event.organiser_no;
    args->wish.event_no = event.no;
    args->wish.by_account_no = c->session.account_no;
    return call_write(c, enrolment_write, args);
}

struct enrol_args {
    struct span token;
    struct device_id id;
    uint8_t public_key[ED25519_PUBLIC_BYTES];
};

/* The keys a scanner needs to judge tickets of its event: it can read them, it cannot make one. */
static enum err write_keys(struct call *c, struct json_writer *w, const struct event_row *event)
{
    AUTO(buf_done) struct buf text = {0};
    struct signer_public_key keys[SIGNER_KEYS_MAX];
    struct signer_gate_key gate;
    char kid[9];
    size_t count;

    buf_init(&text, 100);
    TRY(signer_gate_key(c->api->config.signer, (uint32_t)event->no, &gate));
    TRY(signer_public_keys(c->api->config.signer, (uint32_t)event->organiser_no, false, keys,
                           &count));
    (void)snprintf(kid, sizeof kid, "%08x", gate.kid);
    json_w_kv_object(w, "gate_key");
    json_w_kv_cstr(w, "kid", kid);
    base64_put(&text, SPAN_ARRAY(gate.key.b));
    json_w_kv_text(w, "key", buf_span(&text));
    json_w_end(w);
    secret32_wipe(&gate.key);
    json_w_kv_array(w, "issuer_keys");
    for (size_t i = 0; i < count; i++) {
        buf_reset(&text);
        base64_put(&text, SPAN_ARRAY(keys[i].public_key));
        (void)snprintf(kid, sizeof kid, "%08x", keys[i].kid);
        json_w_object(w);
        json_w_kv_cstr(w, "kid", kid);
        json_w_kv_text(w, "public_key", buf_span(&text));
        json_w_end(w);
    }
    json_w_end(w);
    return OK;
}

static enum err enrol_write(struct call *c)
{
    struct enrol_args *args = c->args;
    struct device_row device;

    TRY(device_enrol(c->tx, c->arena, c->api->config.ledger, args->token, args->id,
                     args->public_key, &device));
    /* The keys come from the signer, which the writer does not wait for: the answer is finished in `after`. */
    c->status = 201;
    args->id = device.id;
    return OK;
}

static enum err enrol_after(struct call *c)
{
    struct enrol_args *args = c->args;
    struct device_row device;
    struct event_row event;
    struct json_writer w;

    TRY(store_device_by_id(c->tx, c->arena, args->id, &device));
    TRY(store_event_by_no(c->tx, c->arena, device.event_no, &event));
    TRY(admission_keys_load(c->api->config.admission_keys, event.organiser_no, event.no, false));
    call_begin(c, 201, &w);
    json_w_object(&w);
    W_ID(&w, "device", device, device.id);
    json_w_kv_cstr(&w, "name", device.name);
    json_w_kv_cstr(&w, "gate", device.gate);
    json_w_key(&w, "event");
    TRY(shape_event(c, &w, &event));
    TRY(write_keys(c, &w, &event));
    json_w_end(&w);
    return call_end(c, &w);
}

enum err api_device_enrol_post(struct call *c)
{
    struct enrol_args *args;
    struct json_object root;
    struct span key;
    size_t len;

    TRY(call_alloc(c, sizeof *args, &args));
    TRY(call_json(c, &root));
    TRY(JSON_ID(&root, "id", device, &args->id));
    TRY(json_need_text(&root, "token", 100, &args->token));
    TRY(json_need_text(&root, "public_key", 60, &key));
    TRY(json_object_end(&root));
    ENSURE_AT(base64_decode(key, args->public_key, sizeof args->public_key, &len) == OK &&
                  len == sizeof args->public_key,
              "#/public_key", ERR_INVALID, "bad_public_key", "A public key is 32 bytes in base64.");
    c->has_key = false; /* the one-time code is the guard against repeats */
    c->after = enrol_after;
    return call_write(c, enrol_write, args);
}

/* --- devices --------------------------------------------------------------------------------------------------------------------- */

enum err api_devices_get(struct call *c)
{
    struct device_row *rows;
    struct store_page page;
    struct event_row event;
    struct json_writer w;
    size_t count;

    TRY(call_event(c, &event));
    TRY(call_page(c, &page));
    TRY(store_device_list(c->tx, c->arena, event.no, &page, &rows, &count));
    list_begin(c, &w);
    for (size_t i = 0; i < count; i++) {
        json_w_object(&w);
        W_ID(&w, "id", device, rows[i].id);
        json_w_kv_cstr(&w, "name", rows[i].name);
        json_w_kv_cstr(&w, "gate", rows[i].gate);
        json_w_kv_cstr(&w, "status", rows[i].active ? "active" : "revoked");
        json_w_kv_time(&w, "enrolled_at", rows[i].enrolled_ms);
        json_w_end(&w);
    }
    bool more = count == page.limit;
    return list_end(c, &w, more, 0, more ? rows[count - 1].no : 0);
}

static enum err device_delete_write(struct call *c)
{
    struct device_id *id = c->args;

    TRY(device_revoke(c->tx, c->api->config.ledger, *id, c->session.account_no));
    call_empty(c, 204);
    return OK;
}

enum err api_device_delete(struct call *c)
{
    struct device_row row;
    struct device_id *id;

    TRY(call_alloc(c, sizeof *id, &id));
    TRY(CALL_ID(c, device, id));
    enum err e = store_device_by_id(c->tx, c->arena, *id, &row);
    ENSURE(e != ERR_NOT_FOUND, ERR_NOT_FOUND, "not_found", "There is no such scanner.");
    TRY(e);
    TRY(call_permit(c, row.organiser_no, row.event_no));
    return call_write(c, device_delete_write, id);
}

/* --- scans ----------------------------------------------------------------------------------------------------------------------- */

struct scan_args {
    struct scan_request request;
    struct scan_judged judged;
    struct scan_result result;
};

static void write_verdict(struct json_writer *w, const struct scan_result *r)
{
    json_w_object(w);
    W_ID(w, "scan", scan, r->scan);
    json_w_kv_cstr(w, "verdict", r->admitted ? "admitted" : "rejected");
    json_w_kv_cstr(w, "reason", r->reason);
    json_w_kv_cstr(w, "say", r->say);
    json_w_key(w, "ticket");
    if (id_is_zero(r->ticket.b)) {
        json_w_null(w);
    } else {
        json_w_object(w);
        W_ID(w, "id", ticket, r->ticket);
        json_w_kv_cstr(w, "place", r->place);
        json_w_kv_cstr(w, "category_name", r->category_name);
        json_w_kv_cstr(w, "form", r->form);
        json_w_kv_i64(w, "entries_used", r->entries_used);
        json_w_kv_i64(w, "entries_max", r->entries_max);
        json_w_end(w);
    }
    json_w_key(w, "first");
    if (r->first_ms) {
        json_w_object(w);
        json_w_kv_cstr(w, "gate", r->first_gate);
        json_w_kv_time(w, "at", r->first_ms);
        json_w_end(w);
    } else {
        json_w_null(w);
    }
    json_w_end(w);
}

static enum err scan_show(struct call *c)
{
    struct scan_args *args = c->args;
    struct json_writer w;

    call_begin(c, 200, &w);
    write_verdict(&w, &args->result);
    return call_end(c, &w);
}

static enum err scan_write(struct call *c)
{
    struct scan_args *args = c->args;

    TRY(scan_record(c->tx, c->api->config.ledger, &args->request, &args->judged, &args->result));
    return call_show(c, scan_show);
}

/* Most scans are by scanners that have scanned before, at events whose facts are in memory: no snapshot is taken for them. */
static enum err judge_scan(struct call *c, const struct scan_request *r, struct scan_judged *ret)
{
    AUTO(event_facts_release) struct event_facts *facts = NULL;
    struct admission_keys *keys = c->api->config.admission_keys;
    int64_t event_no = admission_known_event(keys, r->device);
    struct seat_map *map = event_no ? seat_maps_find(c->api->config.maps, event_no) : NULL;
    bool judged = false;

    if (map)
        facts = seat_map_facts_kept(map);
    if (facts)
        TRY(scan_judge_known(facts, call_now_ms(c), c->arena, keys, r, ret, &judged));
    if (judged)
        return OK;
    TRY(call_snapshot(c));
    if (map && !facts)
        TRY(seat_map_facts(map, c->tx, &facts)); /* for the next one */
    return scan_judge(c->tx, c->arena, keys, r, ret);
}

enum err api_scan_post(struct call *c)
{
    struct span signature, ignored = {0};
    struct scan_args *args;
    struct json_object root;
    size_t len;

    TRY(call_alloc(c, sizeof *args, &args));
    struct scan_request *r = &args->request;
    TRY(call_json(c, &root));
    TRY(JSON_ID(&root, "device", device, &r->device));
    TRY(json_need_i64(&root, "sequence", 1, INT64_MAX, &r->sequence));
    TRY(json_need_text(&root, "scanned_at", TIME_TEXT_MAX, &r->scanned_at));
    if (time_parse(r->scanned_at, &r->scanned_ms) != OK)
        FAIL_AT("#/scanned_at", ERR_INVALID, "bad_time", "A time looks like 2026-11-23T19:30:00Z.");
    TRY(json_need_text(&root, "code", CODE_TEXT_MAX, &r->code));
    TRY(json_opt_text(&root, "verdict", 40, &ignored)); /* the scanner's opinion decides nothing */
    TRY(json_need_text(&root, "signature", 100, &signature));
    TRY(json_object_end(&root));
    ENSURE_AT(base64_decode(signature, r->signature, sizeof r->signature, &len) == OK &&
                  len == sizeof r->signature,
              "#/signature", ERR_INVALID, "bad_signature", "A signature is 64 bytes in base64.");
    c->lane = LANE_DOOR;
    TRY(judge_scan(c, r, &args->judged));
    http_hurry(c->x);
    return call_write(c, scan_write, args);
}
