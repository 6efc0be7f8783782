/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_API_CALL_H
#define REACH_API_CALL_H

/*
 * call - one request on its way through the API: what handlers read, and how they answer. Private to this room.
 *
 * A handler returns OK after it has set status and body, or after call_write; or an error, which becomes a problem. It runs in a
 * snapshot (c->tx; for MEMORY and COMMAND routes NULL until call_snapshot) on a loop or on the work pool, see routes.def. What it leaves with call_write runs on the writer in the
 * command's transaction (c->tx is then that), fills status and body there, and is answered after the commit.
 */
#include "door/admission/admission.h"
#include "ground/encode/json.h"
#include "reach/api/api.h"
#include "reach/api/recent.h"
#include "reach/http/rate.h"
#include "reach/http/router.h"
#include "sale/catalog/catalog.h"
#include "sale/order/order.h"
#include "store/store/store_core.h"
#include "trust/auth/session_cache.h"
#include "watch/alert/alert.h"

enum api_mode { MODE_MEMORY, MODE_READ, MODE_COMMAND, MODE_WRITE, MODE_WORK, MODE_HASH };
enum api_rate {
#define RATE(name, tokens, window) RATE_##name,
#include "reach/api/rates.def"
#undef RATE
    RATE_COUNT
};

struct call;

struct route {
    enum http_method method;
    const char *pattern, *handler_name;
    enum api_mode mode;
    enum err (*handler)(struct call *c);
    int level;
    enum permission permission;
    enum api_rate rate;
    uint64_t body_max;
    const char *summary;
};

extern const struct route api_routes[];
extern const size_t api_route_count;

#define ROUTE(method, pattern, mode, handler, ...) enum err api_##handler(struct call *c);
#include "reach/api/routes.def"
#undef ROUTE

enum { CALL_BODY_MAX = 8 << 20, CALL_COOKIE_MAX = 256 };

struct call {
    struct command command; /* first: the writer's view of it */
    struct api *api;
    struct http_exchange *x;
    const struct route *route;
    struct http_match match;
    struct store_tx *tx;
    uint64_t seen;               /* the newest commit that a snapshot on the loop may have held */
    bool pooled;                 /* on a thread of a pool */
    struct store_waiter durable; /* until `seen` is */
    struct arena *arena;         /* the exchange's */

    bool signed_in, by_cookie;
    struct session session;
    struct stamp_mark session_mark; /* as of when session and access were read */
    struct access access;
    bool permitted; /* call_permit was asked and agreed */
    bool asked;     /* it was, for these two: asked again where the write runs */
    int64_t asked_organiser_no, asked_event_no;

    struct json_doc *doc; /* the body, once call_json was asked */

    /* The answer. */
    int status;
    const char *type; /* NULL: application/json */
    struct buf body;
    char etag[44]; /* with quotes, or empty */
    char set_cookie[CALL_COOKIE_MAX];
    const char *location; /* in the arena, or NULL */
    bool writing;         /* on the writer thread: tx is the command's */
    bool waiting; /* the ticker answers with waited_status when the order below has changed */
    struct order_id wait_order;
    int64_t wait_version, wait_ms;
    int waited_status;
    bool written; /* committed; `after` is left to do */
    bool replied; /* the handler answered by itself (stream, static memory) */

    /* Left by call_write. */
    enum err (*write)(struct call *c);
    enum writer_lane lane;
    bool refused_at_once; /* struct command */
    bool has_key;
    uint8_t key_hash[32], fingerprint[32];
    struct err_info failure; /* the write's, when `refused` */
    bool refused; /* the write commits, yet the answer is `failure` (a counted failure) */
    void *args;   /* the handler's own, in the arena */
    bool
        answered_before; /* the body was there when the write was left: it records that it was read */
    /* On the writer thread once the change is durable, before a later batch is committed: tells another room. Must not wait; or NULL. */
    void (*committed)(struct call *c);
    /* Fills the answer after the commit, on the loop of the connection, from what the write left in args: no transaction. */
    enum err (*show)(struct call *c);
    void (*finally)(
        struct call *c); /* frees what the arena does not, whatever happened; may be NULL */
    enum err (*after)(
        struct call *
            c); /* WORK routes: finishes the answer on the pool after the commit, in a snapshot; or NULL */
};

struct api {
    struct api_config config;
    struct auth auth;
    struct catalog catalog;
    struct writer *writer;
    struct settlement *settlement;
    struct http_server *server;
    struct http_router *router;
    struct http_rate *rates;
    struct http_files *files;
    struct buf openapi;
    char openapi_etag[44];
    struct readers *readers;
    struct session_cache *sessions;
    struct recent *recent;
    struct pool *pool, *hashers;
    struct ticker *ticker;
    struct http_exchange
        *ended, /* of the batch whose commands are being done; the writer thread's */
        *opened; /* whose payment pages are known since the last api_orders_told; the thread's that tells of them */
    bool open; /* atomic: pool, ticker and writer are there */
};

/* A reader of this thread. */
RESULT api_reader(struct api *api, struct store_reader **ret_reader);

/* --- what handlers use --- */
RESULT call_json(struct call *c, struct json_object *ret_root);
/* For routes without members: no body, or {}. */
RESULT call_no_members(struct call *c);
/* Capture of the pattern as an id: CALL_ID(c, order, &id). ERR_NOT_FOUND when it is not well formed. */
RESULT call_capture(struct call *c, const char *name, const char *prefix, uint8_t ret_id[ID_BYTES]);
#define CALL_ID(c, kind, ret) call_capture((c), #kind, kind##_id_prefix, (ret)->b)
/* An id member of the body: JSON_ID(&root, "id", order, &id). */
RESULT call_json_id(struct json_object *o, const char *key, const char *prefix,
                    uint8_t ret_id[ID_BYTES]);
#define JSON_ID(o, key, kind, ret) call_json_id((o), (key), kind##_id_prefix, (ret)->b)
RESULT call_json_time(struct json_object *o, const char *key, int64_t *ret_ms);
/* Which of our origins the request's Origin names: 0 the public one, i + 1 for origins[i]; -1 for none of them. */
int call_origin_no(const struct call *c);
/* The origin of the page that asks, when it is one of ours, else the public one. */
const char *call_return_origin(const struct call *c);
/* ERR_NOT_FOUND, ERR_DENIED as access_check. */
RESULT call_permit(struct call *c, int64_t organiser_no, int64_t event_no);
/* The organiser or event of the path, permitted for this route; texts in the request's arena. ERR_NOT_FOUND, ERR_DENIED. */
RESULT call_organiser(struct call *c, struct organiser_row *ret_row);
RESULT call_event(struct call *c, struct event_row *ret_row);
/* ?limit= and ?cursor= (an opaque pair of numbers). */
RESULT call_page(struct call *c, struct store_page *ret_page);
void call_cursor(int64_t key, int64_t no, char out[64]);
/* Begin and end the JSON answer. */
void call_begin(struct call *c, int status, struct json_writer *w);
RESULT call_end(struct call *c, struct json_writer *w);
void call_empty(struct call *c, int status);
/*
 * Begin the call's snapshot when there is none. ERR_UNAUTHENTICATED when the session that was remembered has ended meanwhile.
 */
RESULT call_snapshot(struct call *c);
/* The snapshot's time, or what it would be. */
int64_t call_now_ms(const struct call *c);
/* End a handler's snapshot early, before something that takes long: a long snapshot holds back checkpoints. */
void call_close_snapshot(struct call *c);
/*
 * Was this Idempotency-Key answered before? Then the answer is in the call. The dispatcher asks before every write; a handler
 * asks itself when it does something outside the store first.
 */
RESULT call_answered(struct call *c, bool *ret_answered);
/* Memory of the request; ERR_NOMEM. */
RESULT call_alloc(struct call *c, size_t size, void *ret_pointer);
/* Leave the write for the writer. */
RESULT call_write(struct call *c, enum err (*write)(struct call *c), void *args);
/*
 * In a write: the answer is filled by show once the change is durable, so that the writer goes on to the next command. With an
 * Idempotency-Key it is filled at once, because the answer is kept with the change.
 */
RESULT call_show(struct call *c, enum err (*show)(struct call *c));

#define ID(kind, prefix) static const char kind##_id_prefix[] __attribute__((unused)) = prefix;
#include "ground/base/ids.def"
#undef ID

void json_id(struct json_writer *w, const char *key, const char *prefix,
             const uint8_t id[ID_BYTES]);
#define W_ID(w, key, kind, id) json_id((w), (key), kind##_id_prefix, (id).b)
void json_money(struct json_writer *w, const char *key, struct money m);

/* --- pool.c, ticker.c --- */
struct pool_wish {
    const char *name; /* of its threads */
    size_t threads, queue_max;
    bool in_gaps; /* its threads stand back behind all others: thread_in_gaps */
};
RESULT pool_new(const struct pool_wish *wish, struct pool **ret_pool);
void pool_free(struct pool *p);
/* Runs call_run_work(c) on a thread of the pool. ERR_BUSY "queue_full". */
RESULT pool_submit(struct pool *p, struct call *c);
void call_run_work(struct call *c);

RESULT ticker_new(struct api *api, struct ticker **ret_ticker);
/* Answer all who wait, and refuse those who would. NULL is fine. */
void ticker_drain(struct ticker *t);
void ticker_free(struct ticker *t);
void ticker_notes(struct ticker *t, const struct store_note *notes, size_t count);
/* As a note that said so. */
void ticker_order_changed(struct ticker *t, struct order_id id);
/* It can be paid there now; settlement_page says so already. The answers wait for api_orders_told. */
void ticker_order_opened(struct ticker *t, struct order_id id, const char *url);
/* Publish changes of this event's availability from now on. */
RESULT ticker_watch_event(struct ticker *t, int64_t event_no, struct seat_map *map);
/* Publish alerts and figures of this organiser from now on. */
RESULT ticker_watch_organiser(struct ticker *t, int64_t organiser_no);
/* Wait until the order's shown version passes `version`, or until the time, then answer. Takes the exchange (deferred). ERR_BUSY when full. */
RESULT ticker_wait_order(struct ticker *t, struct call *c, struct order_id order, int64_t version,
                         int64_t until_mono_ms);

/* --- shapes, shared by areas (shapes.c) --- */
RESULT shape_event(struct call *c, struct json_writer *w, const struct event_row *event);
/* What the answers about holds, orders and tickets need of their event. */
struct scene {
    const struct packed *plan;
    struct event_facts *facts; /* a reference of the scene's own */
};
RESULT scene_of(struct call *c, int64_t event_no, struct scene *ret_scene);
/* The same without rows, on any thread: false when something of it must be read. */
bool scene_in_memory(struct api *api, int64_t event_no, struct scene *ret_scene);
void scene_done(struct scene *s); /* for AUTO; an empty one is fine */
void shape_hold(struct json_writer *w, const struct scene *s, const struct hold *hold);
/* An order that waits for its payment since just now: nothing of it has to be read. */
void shape_order_placed(struct json_writer *w, const struct scene *s, const struct order_placed *p);
/* Where this order can be paid; false when it cannot, or when that is not known. Any thread. */
bool shape_order_page(struct api *api, const struct order_row *order, char ret_url[STRIPE_URL_MAX]);
/* The version that the API shows: each change of the order is two, and a payment page that is known is one. */
int64_t shape_order_version(const struct order_row *order, bool page);
int64_t shape_order_version_now(struct api *api, const struct order_row *order);
/* One that can be paid at that address since just now. */
void shape_order_opened(struct json_writer *w, const struct scene *s, const struct recent_order *o,
                        const char *url);
RESULT shape_order(struct call *c, struct json_writer *w, const struct order_row *order);
RESULT shape_ticket(struct call *c, struct json_writer *w, const struct ticket_row *ticket);
RESULT shape_me(struct call *c, struct json_writer *w, int64_t account_no,
                const struct session_opened *opened);
/*
 * The event's seat map and plan, loaded when they are not. In a read call the snapshot is begun anew while it loads. ERR_NOT_FOUND
 * "no_places" for an event that never went on sale.
 */
RESULT call_map(struct call *c, int64_t event_no, struct seat_map **ret_map);
void api_shape_alert(struct json_writer *w, const struct alert_row *alert);
/* Answer a call that waited for this order with what was read of it (c->tx is the ticker's snapshot), and finish its exchange. */
void call_answer_waiting(struct call *c, enum err read, const struct order_row *row);
/* The same for an order whose payment page is known since just now, from memory, on the call's loop after api_orders_told. */
RESULT call_answer_opened(struct call *c, const struct recent_order *order, const char *url,
                          const struct scene *scene);
/* The data of an SSE event of availability. */
void changes_write(struct buf *out, uint64_t version, const struct seat_change *changes,
                   size_t count);

#endif
