/* SPDX-License-Identifier: Apache-2.0 */
/* staff - orders, grants, alerts, access records and the stream of an organiser. Reads of people, orders and tickets are recorded. */
#include <stdio.h>
#include <string.h>

#include "reach/api/list.h"
#include "store/store/store_access.h"

/* ?event= of the same organiser, or 0. */
static enum err param_event(struct call *c, int64_t organiser_no, int64_t *ret_event_no)
{
    struct span text = http_param(&c->x->request, "event");
    struct event_row event;
    struct event_id id;

    *ret_event_no = 0;
    if (!text.data)
        return OK;
    ENSURE(event_id_parse(text, &id) == OK, ERR_INVALID, "bad_query", "event is an event's id.");
    enum err e = event_get(c->tx, c->arena, organiser_no, id, &event);
    ENSURE(e != ERR_NOT_FOUND, ERR_NOT_FOUND, "not_found", "There is no such event.");
    TRY(e);
    *ret_event_no = event.no;
    return OK;
}

/* --- a read that leaves a record (A1): the answer is ready, the writer adds the record, then it is given ---------------------- */

struct recorded {
    int64_t organiser_no;
    const char *action;
    char subject[ID_TEXT_MAX + 16];
};

static enum err record_write(struct call *c)
{
    struct recorded *r = c->args;
    return store_access_record_add(c->tx, c->session.account_no, r->organiser_no, r->action,
                                   span_text(r->subject));
}

static enum err answer_recorded(struct call *c, int64_t organiser_no, const char *action,
                                const char *kind, const char *id)
{
    struct recorded *r;

    TRY(call_alloc(c, sizeof *r, &r));
    r->organiser_no = organiser_no;
    r->action = action;
    (void)snprintf(r->subject, sizeof r->subject, "%s:%s", kind, id);
    c->lane = LANE_BACK;
    return call_write(c, record_write, r);
}

static enum err answer_recorded_list(struct call *c, const struct organiser_row *o,
                                     const char *action)
{
    char id[ID_TEXT_MAX];
    struct span event = http_param(&c->x->request, "event");

    if (event.data && span_to_text(event, id, sizeof id) == OK)
        return answer_recorded(c, o->no, action, "event", id);
    organiser_id_format(o->id, id);
    return answer_recorded(c, o->no, action, "organiser", id);
}

/* --- orders ------------------------------------------------------------------------------------------------------------------------ */

/* Whose it is, the account's id under id_key; null once erased. */
static enum err write_account(struct call *c, struct json_writer *w, int64_t account_no,
                              const char *id_key)
{
    struct account account;
    enum err e = auth_account_by_no(c->tx, &c->api->auth, account_no, &account);

    if (e == ERR_EXPIRED) {
        json_w_null(w);
        return OK;
    }
    TRY(e);
    json_w_object(w);
    W_ID(w, id_key, account, account.id);
    json_w_kv_cstr(w, "name", account.name);
    json_w_kv_cstr(w, "mail", account.mail);
    json_w_end(w);
    wipe(&account, sizeof account);
    return OK;
}

static enum err write_staff_order(struct call *c, struct json_writer *w, const struct order_row *o)
{
    json_w_object(w);
    json_w_key(w, "order");
    TRY(shape_order(c, w, o));
    json_w_key(w, "buyer");
    TRY(write_account(c, w, o->account_no, "account"));
    json_w_end(w);
    return OK;
}

enum err api_organiser_orders_get(struct call *c)
{
    struct organiser_row organiser;
    struct store_page page;
    struct order_row *orders;
    struct json_writer w;
    int64_t event_no;
    size_t count;

    TRY(call_organiser(c, &organiser));
    TRY(param_event(c, organiser.no, &event_no));
    ENSURE(event_no, ERR_INVALID, "bad_query", "Name the event: ?event=evt_...");
    TRY(call_page(c, &page));
    TRY(call_alloc(c, page.limit * sizeof *orders, &orders));
    TRY(store_orders_of_event(c->tx, organiser.no, event_no, &page, orders, &count));
    list_begin(c, &w);
    for (size_t i = 0; i < count; i++)
        TRY(write_staff_order(c, &w, &orders[i]));
    bool more = count == page.limit;
    TRY(list_end(c, &w, more, more ? orders[count - 1].created_ms : 0,
                 more ? list_same_ms(&page, &orders[0].created_ms, sizeof *orders, count) : 0));
    return answer_recorded_list(c, &organiser, "orders_read");
}

/* --- scans and alerts -------------------------------------------------------------------------------------------------------------- */

static void write_scan(struct json_writer *w, const struct scan_row *s)
{
    json_w_object(w);
    W_ID(w, "id", scan, s->id);
    json_w_kv_cstr(w, "device", s->device_name);
    json_w_kv_cstr(w, "gate", s->gate);
    json_w_key(w, "ticket");
    if (id_is_zero(s->ticket.b)) {
        json_w_null(w);
    } else {
        char id[ID_TEXT_MAX];
        ticket_id_format(s->ticket, id);
        json_w_cstr(w, id);
    }
    json_w_kv_cstr(w, "verdict", s->admitted ? "admitted" : "rejected");
    json_w_kv_cstr(w, "reason", s->reason);
    json_w_kv_i64(w, "sequence", s->sequence);
    json_w_kv_time(w, "at", s->received_ms);
    json_w_end(w);
}

enum err api_organiser_scans_get(struct call *c)
{
    struct organiser_row organiser;
    struct store_page page;
    struct scan_row *rows;
    struct json_writer w;
    int64_t event_no;
    size_t count;

    TRY(call_organiser(c, &organiser));
    TRY(param_event(c, organiser.no, &event_no));
    TRY(call_page(c, &page));
    TRY(store_scan_list(c->tx, c->arena, organiser.no, event_no, &page, &rows, &count));
    list_begin(c, &w);
    for (size_t i = 0; i < count; i++)
        write_scan(&w, &rows[i]);
    bool more = count == page.limit;
    TRY(list_end(c, &w, more, 0, more ? rows[count - 1].scan_no : 0));
    return answer_recorded_list(c, &organiser, "scans_read");
}

enum err api_organiser_alerts_get(struct call *c)
{
    struct organiser_row organiser;
    struct store_page page;
    struct alert_row *rows;
    struct json_writer w;
    size_t count;

    TRY(call_organiser(c, &organiser));
    TRY(call_page(c, &page));
    TRY(store_alert_list(c->tx, c->arena, organiser.no, &page, &rows, &count));
    list_begin(c, &w);
    for (size_t i = 0; i < count; i++)
        api_shape_alert(&w, &rows[i]);
    bool more = count == page.limit;
    return list_end(c, &w, more, 0, more ? rows[count - 1].alert_no : 0);
}

static enum err acknowledge_write(struct call *c)
{
    struct alert_id *id = c->args;
    struct alert_row row;
    struct json_writer w;

    TRY(alert_acknowledge(c->tx, *id, c->session.account_no));
    TRY(store_alert_by_id(c->tx, c->arena, *id, &row));
    call_begin(c, 200, &w);
    api_shape_alert(&w, &row);
    return call_end(c, &w);
}

enum err api_alert_acknowledge_post(struct call *c)
{
    struct alert_row row;
    struct alert_id *id;

    TRY(call_alloc(c, sizeof *id, &id));
    TRY(CALL_ID(c, alert, id));
    enum err e = store_alert_by_id(c->tx, c->arena, *id, &row);
    ENSURE(e != ERR_NOT_FOUND, ERR_NOT_FOUND, "not_found", "There is no such alert.");
    TRY(e);
    TRY(call_permit(c, row.organiser_no, row.event_no));
    TRY(call_no_members(c));
    return call_write(c, acknowledge_write, id);
}

enum err api_organiser_stream(struct call *c)
{
    struct organiser_row organiser;
    char channel[40];

    TRY(call_organiser(c, &organiser));
    TRY(ticker_watch_organiser(c->api->ticker, organiser.no));
    /* Two channels: box office may see figures, not alerts. */
    bool alerts = access_check(&c->access, PERMISSION_alerts_read, organiser.no, 0) == OK;
    (void)snprintf(channel, sizeof channel, "%s/%lld", alerts ? "staff" : "figures",
                   (long long)organiser.no);
    http_reply_stream(c->x, span_text(channel));
    c->replied = true;
    return OK;
}

/* --- grants ------------------------------------------------------------------------------------------------------------------------ */

static enum err write_grant(struct call *c, struct json_writer *w, const struct access_grant *g)
{
    struct event_row event;

    json_w_object(w);
    W_ID(w, "id", grant, g->id);
    json_w_kv_cstr(w, "role", role_name(g->role));
    json_w_key(w, "account");
    TRY(write_account(c, w, g->account_no, "id"));
    json_w_key(w, "event");
    if (g->event_no) {
        char id[ID_TEXT_MAX];
        TRY(store_event_by_no(c->tx, c->arena, g->event_no, &event));
        event_id_format(event.id, id);
        json_w_cstr(w, id);
    } else {
        json_w_null(w);
    }
    json_w_kv_time(w, "created_at", g->created_ms);
    json_w_key(w, "expires_at");
    if (g->expires_ms) {
        char at[TIME_TEXT_MAX];
        time_format(g->expires_ms, at);
        json_w_cstr(w, at);
    } else {
        json_w_null(w);
    }
    json_w_end(w);
    return OK;
}

enum err api_grants_get(struct call *c)
{
    struct access_grant grants[ACCESS_GRANTS_MAX];
    struct organiser_row organiser;
    struct json_writer w;
    size_t count;

    TRY(call_organiser(c, &organiser));
    TRY(access_grants_of(c->tx, organiser.no, grants, COUNT_OF(grants), &count));
    list_begin(c, &w);
    for (size_t i = 0; i < count; i++)
        TRY(write_grant(c, &w, &grants[i]));
    TRY(list_end(c, &w, false, 0, 0));
    return answer_recorded_list(c, &organiser, "grants_read");
}

static enum err grant_give_write(struct call *c)
{
    struct grant_request *req = c->args;
    struct grant_row row;
    struct json_writer w;

    TRY(access_grant_give(c->tx, c->api->config.ledger, &c->access, req));
    TRY(store_grant_by_id(c->tx, req->id, &row)); /* may be there since an earlier request */
    const struct access_grant g = {.id = req->id,
                                   .account_no = req->account_no,
                                   .organiser_no = req->organiser_no,
                                   .event_no = req->event_no,
                                   .role = req->role,
                                   .created_ms = row.created_ms,
                                   .expires_ms = req->expires_ms};
    call_begin(c, 201, &w);
    TRY(write_grant(c, &w, &g));
    return call_end(c, &w);
}

enum err api_grant_post(struct call *c)
{
    struct organiser_row organiser;
    struct grant_request *req;
    struct account account;
    struct json_object root;
    struct span mail, role;

    TRY(call_organiser(c, &organiser));
    TRY(call_alloc(c, sizeof *req, &req));
    TRY(call_json(c, &root));
    TRY(JSON_ID(&root, "id", grant, &req->id));
    TRY(json_need_text(&root, "mail", AUTH_MAIL_MAX, &mail));
    TRY(json_need_text(&root, "role", 20, &role));
    TRY(role_parse(role, &req->role));
    if (json_has(&root, "event")) {
        struct event_row event;
        struct event_id id;
        TRY(JSON_ID(&root, "event", event, &id));
        TRY(event_get(c->tx, c->arena, organiser.no, id, &event));
        req->event_no = event.no;
    }
    if (json_has(&root, "expires_at"))
        TRY(call_json_time(&root, "expires_at", &req->expires_ms));
    struct span none;
    TRY(json_opt_text(&root, "event", ID_TEXT_MAX, &none)); /* null counts as read */
    TRY(json_opt_text(&root, "expires_at", TIME_TEXT_MAX, &none));
    TRY(json_object_end(&root));
    enum err e = auth_account_by_mail(c->tx, &c->api->auth, mail, &account);
    if (e == ERR_NOT_FOUND)
        FAIL_AT("#/mail", ERR_CONFLICT, "no_account", "Nobody has an account with this address.");
    TRY(e);
    req->account_no = account.no;
    req->organiser_no = req->role == ROLE_OWNER ? 0 : organiser.no;
    wipe(&account, sizeof account);
    return call_write(c, grant_give_write, req);
}

static enum err grant_revoke_write(struct call *c)
{
    struct grant_id *id = c->args;

    TRY(access_grant_revoke(c->tx, c->api->config.ledger, &c->access, *id));
    call_empty(c, 204);
    return OK;
}

enum err api_grant_delete(struct call *c)
{
    struct grant_id *id;

    TRY(call_alloc(c, sizeof *id, &id));
    TRY(CALL_ID(c, grant, id));
    c->permitted = true; /* the command checks the tenant of the grant itself (access.h) */
    return call_write(c, grant_revoke_write, id);
}

/* --- who read what --------------------------------------------------------------------------------------------------------------- */

enum err api_access_records_get(struct call *c)
{
    struct organiser_row organiser;
    struct access_record_row *rows;
    struct store_page page;
    struct json_writer w;
    size_t count;

    TRY(call_organiser(c, &organiser));
    TRY(call_page(c, &page));
    TRY(store_access_record_list(c->tx, c->arena, organiser.no,
                                 page.after_no ? page.after_no : INT64_MAX, page.limit, &rows,
                                 &count));
    list_begin(c, &w);
    for (size_t i = 0; i < count; i++) {
        char id[ID_TEXT_MAX];
        account_id_format(rows[i].account, id);
        json_w_object(&w);
        json_w_kv_time(&w, "at", rows[i].at_ms);
        json_w_kv_cstr(&w, "account", id);
        json_w_kv_cstr(&w, "action", rows[i].action);
        json_w_kv_cstr(&w, "subject", rows[i].subject);
        json_w_end(&w);
    }
    bool more = count == page.limit;
    return list_end(c, &w, more, 0, more ? rows[count - 1].record_no : 0);
}
