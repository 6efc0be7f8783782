/* SPDX-License-Identifier: Apache-2.0 */
/* buying - holds, orders, tickets of the signed-in fan, and the provider's webhook. */
#include <stdio.h>
#include <string.h>

#include "door/admission/admission.h"
#include "ground/encode/qr.h"
#include "reach/api/list.h"
#include "sale/ticket/code.h"

enum {
    WAIT_S_MAX = 25,
    QR_SCALE = 8,
    HOLD_FRESH_MS = 60 * 1000,
    PAGE_DUE_MS = 5000, /* after this an order's payment page should be known */
};
_Static_assert((int)HOLD_FRESH_MS < (int)HOLD_MS, "a fresh hold is not over");

/* --- holds --------------------------------------------------------------------------------------------------------------------- */

static enum err read_places(struct json_object *root, struct hold_request *req)
{
    struct json_array places;
    int64_t place;

    TRY(json_need_array(root, "places", HOLD_PLACES_MAX, &places));
    req->want = HOLD_NAMED;
    req->place_count = places.count;
    for (size_t i = 0; i < places.count; i++) {
        TRY(json_item_i64(&places, i, 0, PLAN_PLACES_MAX, &place));
        req->places[i] = (uint32_t)place;
    }
    return OK;
}

static enum err read_best(struct json_object *root, struct hold_request *req)
{
    struct json_object best;
    int64_t category, count;

    TRY(json_need_object(root, "best", &best));
    TRY(json_need_i64(&best, "category", 0, 254, &category));
    TRY(json_need_i64(&best, "count", 1, HOLD_PLACES_MAX, &count));
    TRY(json_opt_bool(&best, "split", &req->split));
    req->want = HOLD_BEST;
    req->category = (uint32_t)category;
    req->count = (uint32_t)count;
    return json_object_end(&best);
}

static enum err read_area(struct json_object *root, struct hold_request *req)
{
    struct json_object object;
    int64_t area, count;

    TRY(json_need_object(root, "area", &object));
    TRY(json_need_i64(&object, "area", 0, PLAN_AREAS_MAX, &area));
    TRY(json_need_i64(&object, "count", 1, HOLD_PLACES_MAX, &count));
    req->want = HOLD_AREA;
    req->area = (uint32_t)area;
    req->count = (uint32_t)count;
    return json_object_end(&object);
}

static enum err answer_hold(struct call *c, int status, const struct scene *scene,
                            const struct hold *hold)
{
    struct json_writer w;

    call_begin(c, status, &w);
    shape_hold(&w, scene, hold);
    return call_end(c, &w);
}

struct hold_args {
    struct hold_request request;
    struct hold_id id;
    struct hold hold;
    struct scene scene;
    int status;
};

static void hold_finally(struct call *c)
{
    struct hold_args *args = c->args;

    if (args)
        scene_done(&args->scene);
}

static enum err hold_show(struct call *c)
{
    struct hold_args *args = c->args;
    return answer_hold(c, args->status, &args->scene, &args->hold);
}

static enum err show_hold_later(struct call *c, struct hold_args *args, int status)
{
    args->status = status;
    scene_done(&args->scene); /* of a run before this one */
    TRY(scene_of(c, args->hold.row.event_no, &args->scene));
    return call_show(c, hold_show);
}

static enum err hold_write(struct call *c)
{
    struct hold_args *args = c->args;

    TRY(hold_place(c->tx, c->api->config.maps, &args->request, &args->hold));
    return show_hold_later(c, args, 201);
}

/* For the writer, with what is freed afterwards. */
static enum err hold_args_new(struct call *c, struct hold_args **ret_args)
{
    TRY(call_alloc(c, sizeof **ret_args, ret_args));
    memset(*ret_args, 0, sizeof **ret_args);
    c->args = *ret_args;
    c->finally = hold_finally;
    return OK;
}

/*
 * In a rush most who name a seat come too late: what another hold has for sure is refused here, and the writer never hears of it. A
 * repeated request is not: the map knows its hold again, and the writer answers it as before. An id that is not of these minutes may
 * repeat a hold that is over, whose seats are another's by now: the writer's too.
 */
static enum err refuse_taken(struct call *c, const struct hold_request *req)
{
    struct seat_map *map = seat_maps_find_event(c->api->config.maps, req->event);
    int64_t age_ms = call_now_ms(c) - id_made_ms(req->id.b);

    if (age_ms < -HOLD_FRESH_MS || age_ms > HOLD_FRESH_MS)
        return OK;
    for (size_t i = 0; map && i < req->place_count; i++)
        if (seat_map_taken_by_another(map, req->places[i], req->id))
            return hold_taken(seat_map_plan(map), req->places[i], i);
    return OK;
}

enum err api_hold_post(struct call *c)
{
    struct hold_args *args;
    struct json_object root;

    TRY(hold_args_new(c, &args));
    struct hold_request *req = &args->request;
    TRY(CALL_ID(c, event, &req->event));
    TRY(call_json(c, &root));
    TRY(JSON_ID(&root, "id", hold, &req->id));
    req->account_no = c->session.account_no;
    int wishes = json_has(&root, "places") + json_has(&root, "best") + json_has(&root, "area");
    ENSURE(wishes == 1, ERR_INVALID, "missing_field",
           "Ask for exactly one of places, best and area.");
    if (json_has(&root, "places"))
        TRY(read_places(&root, req));
    else if (json_has(&root, "best"))
        TRY(read_best(&root, req));
    else
        TRY(read_area(&root, req));
    TRY(json_object_end(&root));
    if (req->want == HOLD_NAMED)
        TRY(refuse_taken(c, req));
    c->refused_at_once = req->want == HOLD_NAMED; /* as refuse_taken does */
    return call_write(c, hold_write, args);
}

enum err api_hold_get_one(struct call *c)
{
    AUTO(scene_done) struct scene scene = {0};
    struct hold_id id;
    struct hold hold;

    TRY(CALL_ID(c, hold, &id));
    TRY(hold_get(c->tx, id, c->session.account_no, &hold));
    TRY(scene_of(c, hold.row.event_no, &scene));
    return answer_hold(c, 200, &scene, &hold);
}

static enum err refresh_write(struct call *c)
{
    struct hold_args *args = c->args;

    TRY(hold_refresh(c->tx, args->id, c->session.account_no, &args->hold));
    return show_hold_later(c, args, 200);
}

static enum err release_write(struct call *c)
{
    struct hold_args *args = c->args;

    TRY(hold_release(c->tx, args->id, c->session.account_no));
    call_empty(c, 204);
    return OK;
}

static enum err write_with_hold(struct call *c, enum err (*write)(struct call *c))
{
    struct hold_args *args;

    TRY(hold_args_new(c, &args));
    TRY(CALL_ID(c, hold, &args->id));
    TRY(call_no_members(c));
    return call_write(c, write, args);
}

enum err api_hold_refresh_post(struct call *c)
{
    return write_with_hold(c, refresh_write);
}

enum err api_hold_delete(struct call *c)
{
    return write_with_hold(c, release_write);
}

/* --- orders -------------------------------------------------------------------------------------------------------------------- */

/* ?wait=<seconds>&version=<seen> */
struct waiting_wish {
    int64_t seen, wait_ms; /* 0: it does not wait */
};

static enum err read_waiting_wish(struct call *c, struct waiting_wish *ret_wish)
{
    struct span wait = http_param(&c->x->request, "wait"),
                version = http_param(&c->x->request, "version");
    uint64_t seconds, seen = 0;

    *ret_wish = (struct waiting_wish){0};
    if (!wait.data)
        return OK;
    ENSURE(text_to_u64(wait, &seconds) == OK && seconds >= 1 && seconds <= 60, ERR_INVALID,
           "bad_query", "wait is 1 to 60 seconds.");
    ENSURE(!version.data || (text_to_u64(version, &seen) == OK && seen <= INT64_MAX), ERR_INVALID,
           "bad_query", "version is the version of the order that was seen.");
    ret_wish->seen = (int64_t)seen;
    ret_wish->wait_ms = (int64_t)(seconds > WAIT_S_MAX ? WAIT_S_MAX : seconds) * 1000;
    return OK;
}

/* Leave it to the dispatcher to hand the call to the ticker. */
static void wait_for(struct call *c, const struct order_row *o, int64_t seen, int64_t wait_ms,
                     int status)
{
    c->waiting = true;
    c->wait_order = o->id;
    c->wait_version = seen;
    c->wait_ms = wait_ms;
    c->waited_status = status;
}

static enum err answer_order(struct call *c, int status, const struct order_row *order)
{
    struct json_writer w;

    call_begin(c, status, &w);
    TRY(shape_order(c, &w, order));
    return call_end(c, &w);
}

struct order_args {
    struct order_request request;
    struct order_placed placed;
    struct scene scene;
    int64_t wait_ms;
};

static void order_finally(struct call *c)
{
    struct order_args *args = c->args;

    if (args)
        scene_done(&args->scene);
}

static enum err order_show(struct call *c)
{
    struct order_args *args = c->args;
    struct json_writer w;

    call_begin(c, 201, &w);
    shape_order_placed(&w, &args->scene, &args->placed);
    return call_end(c, &w);
}

/*
 * The provider is asked for a session, and the buyer let in to wait for it, without anybody reading the rows of this order again. When
 * too many wait already, it is asked for when the buyer looks again, who is answered now.
 */
static void order_committed(struct call *c)
{
    const struct order_args *args = c->args;
    const struct order_row *o = &args->placed.order;
    struct recent_order recent = {.row = *o};

    if (!settlement_offer(c->api->settlement, &args->placed.payment, o->event_no)) {
        c->waiting = false;
        return;
    }
    if (args->placed.line_count <= RECENT_LINES_MAX) {
        recent.line_count = args->placed.line_count;
        memcpy(recent.lines, args->placed.lines, recent.line_count * sizeof recent.lines[0]);
    }
    recent_keep(c->api->recent, &recent);
}

/* Who waits is answered from it. Where nobody has looked at the event yet, the ticker would have to load it in the middle of a snapshot. */
static bool map_is_loaded(struct call *c, int64_t event_no)
{
    struct seat_map *map = seat_maps_find(c->api->config.maps, event_no);
    return map && seat_map_version(map) != 0;
}

/* With an Idempotency-Key there is nothing to show later (call_show), and nobody waits: the answer is kept with the change. */
static enum err order_write(struct call *c)
{
    struct order_args *args = c->args;

    TRY(order_place(c->tx, c->api->config.ledger, c->api->config.maps, &args->request,
                    &args->placed));
    if (args->placed.before || args->placed.order.status != ORDER_AWAITING)
        return answer_order(c, 201, &args->placed.order);
    scene_done(&args->scene); /* of a run before this one */
    TRY(scene_of(c, args->placed.order.event_no, &args->scene));
    c->committed = order_committed;
    TRY(call_show(c, order_show));
    if (args->wait_ms > 0 && c->show && map_is_loaded(c, args->placed.order.event_no))
        wait_for(c, &args->placed.order, shape_order_version(&args->placed.order, false),
                 args->wait_ms, 201);
    return OK;
}

enum err api_order_post(struct call *c)
{
    struct waiting_wish wish;
    struct order_args *args;
    struct json_object root;

    TRY(read_waiting_wish(c, &wish));
    TRY(call_alloc(c, sizeof *args, &args));
    memset(args, 0, sizeof *args);
    args->wait_ms = wish.wait_ms;
    c->args = args;
    c->finally = order_finally;
    struct order_request *req = &args->request;
    TRY(call_json(c, &root));
    TRY(JSON_ID(&root, "id", order, &req->id));
    TRY(JSON_ID(&root, "hold", hold, &req->hold));
    TRY(json_object_end(&root));
    req->account_no = c->session.account_no;
    req->return_origin = call_return_origin(c);
    return call_write(c, order_write, args);
}

enum err api_orders_get(struct call *c)
{
    struct store_page page;
    struct order_row *orders;
    struct json_writer w;
    size_t count;

    TRY(call_page(c, &page));
    TRY(call_alloc(c, page.limit * sizeof *orders, &orders));
    TRY(store_orders_of_account(c->tx, c->session.account_no, &page, orders, &count));
    list_begin(c, &w);
    for (size_t i = 0; i < count; i++)
        TRY(shape_order(c, &w, &orders[i]));
    bool more = count == page.limit;
    return list_end(c, &w, more, more ? orders[count - 1].created_ms : 0,
                    more ? list_same_ms(&page, &orders[0].created_ms, sizeof *orders, count) : 0);
}

static enum err own_order(struct call *c, struct order_id id, struct order_row *ret_order)
{
    TRY(store_order_by_id(c->tx, id, ret_order));
    ENSURE(ret_order->account_no == c->session.account_no, ERR_NOT_FOUND, "not_found",
           "There is no such order.");
    return OK;
}

/* Unless there is something to say at once. */
static enum err wait_for_change(struct call *c, const struct order_row *o,
                                const struct waiting_wish *wish)
{
    struct seat_map *map;

    if (wish->wait_ms == 0 || wish->seen < shape_order_version_now(c->api, o))
        return OK;
    TRY(call_map(c, o->event_no, &map)); /* loaded now, so that the ticker finds it */
    wait_for(c, o, wish->seen, wish->wait_ms, 200);
    return OK;
}

/*
 * Where it can be paid is not known after a start, or when too many offers waited: whoever looks has it asked for. False when too many
 * look: nothing will come, and the buyer must look again.
 */
static bool ask_provider(struct call *c, const struct order_row *o, bool came_back)
{
    char url[STRIPE_URL_MAX];

    if (o->status != ORDER_AWAITING)
        return true;
    if (came_back)
        return settlement_ask_now(c->api->settlement, o->id);
    return o->cancel_ms != 0 || shape_order_page(c->api, o, url) ||
           settlement_want_page(c->api->settlement, o->id);
}

enum err api_order_get_one(struct call *c)
{
    bool ask = span_eq_text(http_param(&c->x->request, "ask"), "yes");
    struct recent_order recent;
    struct waiting_wish wish;
    struct order_row order;
    struct order_id id;

    TRY(CALL_ID(c, order, &id));
    TRY(read_waiting_wish(c, &wish));
    bool fresh = recent_find(c->api->recent, id, &recent) &&
                 call_now_ms(c) - recent.row.created_ms < PAGE_DUE_MS;
    if (!ask && fresh && recent.row.account_no == c->session.account_no)
        TRY(wait_for_change(c, &recent.row, &wish));
    if (c->waiting)
        return OK;
    TRY(call_snapshot(c));
    TRY(own_order(c, id, &order));
    if ((!ask && fresh) || ask_provider(c, &order, ask))
        TRY(wait_for_change(c, &order, &wish));
    return c->waiting ? OK : answer_order(c, 200, &order);
}

/* Whoever was placed and left waiting in this very batch came after its notes. */
static void cancel_committed(struct call *c)
{
    const struct order_id *id = c->args;

    recent_forget(c->api->recent, *id);
    if (__atomic_load_n(&c->api->open, __ATOMIC_ACQUIRE))
        ticker_order_changed(c->api->ticker, *id);
}

static enum err cancel_write(struct call *c)
{
    struct order_id *id = c->args;
    struct order_row order;

    c->committed = cancel_committed;
    TRY(order_cancel(c->tx, c->api->config.ledger, *id, c->session.account_no, &order));
    return answer_order(c, 202, &order);
}

enum err api_order_cancel_post(struct call *c)
{
    struct order_id *id;

    TRY(call_alloc(c, sizeof *id, &id));
    TRY(CALL_ID(c, order, id));
    TRY(call_no_members(c));
    return call_write(c, cancel_write, id);
}

/* --- tickets ------------------------------------------------------------------------------------------------------------------- */

enum err api_tickets_get(struct call *c)
{
    struct ticket_row *tickets;
    struct store_page page;
    struct json_writer w;
    size_t count;

    TRY(call_page(c, &page));
    TRY(call_alloc(c, page.limit * sizeof *tickets, &tickets));
    TRY(store_tickets_of_account(c->tx, c->session.account_no, &page, tickets, &count));
    list_begin(c, &w);
    for (size_t i = 0; i < count; i++)
        TRY(shape_ticket(c, &w, &tickets[i]));
    bool more = count == page.limit;
    return list_end(c, &w, more, more ? tickets[count - 1].issued_ms : 0,
                    more ? list_same_ms(&page, &tickets[0].issued_ms, sizeof *tickets, count) : 0);
}

static enum err own_ticket(struct call *c, struct ticket_row *ret_ticket)
{
    struct ticket_id id;

    TRY(CALL_ID(c, ticket, &id));
    TRY(store_ticket_by_id(c->tx, id, ret_ticket));
    ENSURE(ret_ticket->account_no == c->session.account_no, ERR_NOT_FOUND, "not_found",
           "There is no such ticket.");
    return OK;
}

enum err api_ticket_get_one(struct call *c)
{
    struct ticket_row ticket;
    struct json_writer w;

    TRY(own_ticket(c, &ticket));
    call_begin(c, 200, &w);
    TRY(shape_ticket(c, &w, &ticket));
    return call_end(c, &w);
}

/* On the pool: the signer answers after its fsync. The snapshot ends before, so that it holds nothing back. */
static enum err code_of_ticket(struct call *c, struct buf *ret_code)
{
    struct ticket_row ticket;
    struct seat_map *map;

    TRY(own_ticket(c, &ticket));
    TRY(call_map(c, ticket.event_no, &map));
    call_close_snapshot(c);
    buf_init(ret_code, CREDENTIAL_TEXT_MAX);
    TRY(ticket_code(c->api->config.signer, &ticket, seat_map_plan(map), ret_code));
    return admission_expect_code(c->api->config.admission_keys, ticket.organiser_no,
                                 ticket.event_no, buf_span(ret_code));
}

enum err api_ticket_code_get(struct call *c)
{
    AUTO(buf_done) struct buf code = {0};
    struct json_writer w;

    TRY(code_of_ticket(c, &code));
    call_begin(c, 200, &w);
    json_w_object(&w);
    json_w_kv_text(&w, "code", buf_span(&code));
    json_w_end(&w);
    return call_end(c, &w);
}

static enum err picture_of_ticket(struct call *c, bool svg)
{
    AUTO(buf_done) struct buf code = {0};
    struct qr *qr;

    TRY(code_of_ticket(c, &code));
    TRY(call_alloc(c, sizeof *qr, &qr));
    TRY(qr_encode(buf_span(&code), QR_MEDIUM, qr));
    buf_init(&c->body, 1 << 20);
    c->type = svg ? "image/svg+xml" : "image/png";
    return svg ? qr_svg(qr, SPAN_LIT("Ticket code"), &c->body) : qr_png(qr, QR_SCALE, &c->body);
}

enum err api_ticket_code_svg_get(struct call *c)
{
    return picture_of_ticket(c, true);
}

enum err api_ticket_code_png_get(struct call *c)
{
    return picture_of_ticket(c, false);
}

/* --- the provider -------------------------------------------------------------------------------------------------------------- */

/* A session or refund that is not ours is acknowledged and forgotten: the provider may serve others with the same account. */
static enum err unless_unknown(enum err e)
{
    return e == ERR_NOT_FOUND ? OK : e;
}

static enum err raise_refund(struct call *c, enum alert_kind kind, struct refund_id id)
{
    struct refund_row refund;
    struct order_row order;
    char subject[ID_TEXT_MAX];

    TRY(store_refund_by_id(c->tx, id, &refund));
    TRY(store_order_by_id(c->tx, refund.order, &order));
    refund_id_format(id, subject);
    const struct alert_cause cause = {.kind = kind,
                                      .organiser_no = order.organiser_no,
                                      .event_no = order.event_no,
                                      .subject = subject};
    return alert_raise(c->tx, &cause, NULL);
}

/* A refund that failed, even after it was done, or that gave another amount back: a person must look. */
static enum err refund_says(struct call *c, const struct stripe_refund *refund)
{
    struct refund_id id;

    if (refund_id_parse(span_text(refund->client_reference), &id) != OK)
        return OK; /* made by somebody else */
    enum err e = order_refund_says(c->tx, c->api->config.ledger, id, refund);
    if (order_wants_person(e))
        return raise_refund(c, ALERT_payment_mismatch, id);
    if (e == OK && refund->failed)
        return raise_refund(c, ALERT_refund_failed, id);
    return unless_unknown(e);
}

/* Another amount than ours changes nothing of the order; a person must look. The provider has said it and need not repeat it. */
static enum err raise_mismatch(struct call *c, const struct stripe_session *session)
{
    struct payment_row payment;
    struct payment_id attempt;
    struct order_row order;
    char id[ID_TEXT_MAX];

    TRY(payment_id_parse(span_text(session->client_reference), &attempt));
    TRY(store_payment_by_id(c->tx, attempt, &payment));
    TRY(store_order_by_id(c->tx, payment.order, &order));
    order_id_format(order.id, id);
    const struct alert_cause cause = {.kind = ALERT_payment_mismatch,
                                      .organiser_no = order.organiser_no,
                                      .event_no = order.event_no,
                                      .subject = id};
    return alert_raise(c->tx, &cause, NULL);
}

static enum err session_says(struct call *c, const struct stripe_event *event)
{
    enum err e = order_session_says(c->tx, c->api->config.ledger, &event->session);

    if (order_wants_person(e))
        return raise_mismatch(c, &event->session);
    return unless_unknown(e);
}

static enum err webhook_write(struct call *c)
{
    const struct stripe_event *event = c->args;

    if (event->kind == STRIPE_EVENT_SESSION_COMPLETED ||
        event->kind == STRIPE_EVENT_SESSION_EXPIRED)
        TRY(session_says(c, event));
    else if (event->kind == STRIPE_EVENT_REFUND)
        TRY(refund_says(c, &event->refund));
    call_empty(c, 204);
    return OK;
}

enum err api_provider_webhook_post(struct call *c)
{
    struct stripe_event *event;

    TRY(call_alloc(c, sizeof *event, &event));
    TRY(stripe_webhook_read(c->api->config.webhook_secret,
                            http_field(&c->x->request, "Stripe-Signature"), c->x->request.body,
                            call_now_ms(c), event));
    return call_write(c, webhook_write, event);
}
