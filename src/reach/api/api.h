/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_API_API_H
#define REACH_API_API_H

/*
 * api - the routes: what each door of the HTTP server does.
 *
 * What it is: the route table (routes.def), the dispatcher that checks rate, session, origin and level before any handler runs,
 * the handlers (by area), the OpenAPI document made from the same table, the server-sent streams, and the static pages.
 * What it is not: HTTP itself (reach/http), rules of selling (sale), of admission (door), of who may (trust).
 *
 * Invariants:
 *   P1  no handler of a route with a permission answers without having asked for it (asserted by the dispatcher);
 *   P2  every write goes through the writer as one command, and its answer is stored with it when an Idempotency-Key came;
 *   P3  a thing of another tenant or another fan is answered as if it did not exist.
 */
#include "reach/http/files.h"
#include "reach/http/http.h"
#include "reach/settlement/settlement.h"
#include "sale/hold/seat_map.h"
#include "store/store/writer.h"
#include "trust/auth/auth.h"
#include "trust/signer/signer.h"

struct api;
struct admission_keys;

struct api_config {
    struct store *store;
    struct keyring *keyring;
    struct ledger *ledger;
    struct seat_maps *maps;
    const struct signer_client *signer;
    struct admission_keys *admission_keys;
    const struct disk *log_disk; /* the ledger's public files */
    const char *log_vkey;
    const char *pages_dir; /* built pages; NULL: none are served */
    const char *origin;    /* public origin of the pages, no trailing slash */
    /* Others that are ours too (loopback, this machine's address); NULL where there is none. */
    const char *origins[4];
    struct span webhook_secret; /* of the provider */
    const char *ca_pem;         /* the local certificate authority, or NULL */
    const char *mail_dir;       /* demonstration: the mail folder shown on a page; else NULL */
    bool rates_off;             /* load tests */
    const struct clock *clock;
    const struct rng *rng;
};

/* The writer's configuration must carry the hooks below, with the api as context. */
RESULT api_new(const struct api_config *config, struct api **ret_api);
/* After the server has stopped. */
void api_free(struct api *api);
/*
 * Once writer, settlement and server exist; starts the ticker (streams, waiting readers) and the work pool. The server listens
 * before: until this returns, requests of the API are answered 503.
 */
RESULT api_start(struct api *api, struct writer *writer, struct settlement *settlement,
                 struct http_server *server);
/* Before the server is stopped: who waits is answered, nobody waits any more, new requests of the API are answered 503. */
void api_drain(struct api *api);
/* After server and writer have stopped (both still call this room until then), before the server is closed: threads end. */
void api_stop(struct api *api);

/* http_config callbacks; context is the api. */
void api_handle(void *api, struct http_exchange *x);
void api_head(void *api, struct http_exchange *x, uint64_t *max_body);
void api_replay(void *api, struct span channel, struct span last_event_id, struct buf *out);
extern const char *const api_csp;

/* On the writer thread, when the commands of a batch are done: their answers go to the loops. */
void api_ended(struct api *api);
/* settlement_config.opened and .told: who waited for these pages is answered, all at once. */
void api_order_opened(struct api *api, struct order_id order, const char *url);
void api_orders_told(struct api *api);
/* What the writer committed: wakes streams, waiting readers and settlement. On the writer thread. */
void api_committed(struct api *api, const struct store_note *notes, size_t count);

#endif
