/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_RIG_H
#define BENCH_RIG_H

/* rig - what every measurement of a running server stands on: the server, the sockets to it, and the payment provider beside it. */
#include "provider.h"

struct rig {
    struct world world;
    struct wire *wire;
    struct wire_pool *pool;
    struct provider *provider;
    struct buf answer; /* the last one that was waited for */
    bool keep;
};

struct rig_wish {
    const char *program, *dir; /* as in struct world_wish */
    unsigned provider_ms;
    size_t connections;
    bool keep; /* leave the data directory where it is */
};
/* The server runs, and nothing is in it. */
void rig_begin(struct rig *r, const struct rig_wish *wish);
/* With the server stopped or not; the directory goes unless it is to be kept. */
void rig_end(struct rig *r);

/* --- what a stretch of time cost -------------------------------------------------------------------------------------------- */

struct cost {
    double server_s, client_s;
};
struct cost cost_now(struct rig *r);
struct cost cost_since(struct rig *r, const struct cost *begin);
void cost_write(const struct cost *c, struct json_writer *w);

#endif
