/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <time.h>

enum { HOOKS_MAX = 256, ANSWER_MAX = 1 << 22 };

void rig_begin(struct rig *r, const struct rig_wish *wish)
{
    *r = (struct rig){.keep = wish->keep, .wire = wire_new()};
    buf_init(&r->answer, ANSWER_MAX);
    r->provider = provider_new(r->wire, wish->provider_ms);
    world_make(&(struct world_wish){.program = wish->program,
                                    .dir = wish->dir,
                                    .provider_port = provider_port(r->provider)},
               &r->world);
    world_start(&r->world);
    r->pool = wire_pool_new(r->wire, r->world.port, wish->connections);
    provider_aim(r->provider, r->world.port, r->world.webhook_secret,
                 wish->connections < HOOKS_MAX ? wish->connections : HOOKS_MAX);
}

void rig_end(struct rig *r)
{
    wire_pool_free(r->pool);
    provider_free(r->provider);
    wire_free(r->wire);
    buf_done(&r->answer);
    if (r->world.pid)
        world_stop(&r->world);
    if (r->keep)
        say("kept: %s", r->world.dir);
    else
        world_remove(&r->world);
}

struct cost cost_now(struct rig *r)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (struct cost){world_cpu_s(&r->world), (double)t.tv_sec + (double)t.tv_nsec / 1e9};
}

struct cost cost_since(struct rig *r, const struct cost *begin)
{
    struct cost now = cost_now(r);

    return (struct cost){now.server_s - begin->server_s, now.client_s - begin->client_s};
}

void cost_write(const struct cost *c, struct json_writer *w)
{
    write_number(w, "server_cpu_s", c->server_s);
    write_number(w, "client_cpu_s", c->client_s);
}
