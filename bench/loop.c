/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_MAX = 65536 };

struct loop_slot {
    struct loop *loop;
    unsigned number;
};

static void slot_answered(void *context, const struct wire_answer *answer);

static void slot_ask(struct loop_slot *s)
{
    struct loop *l = s->loop;

    buf_reset(&l->request);
    if (now_us() >= l->until_us || !l->ask(l->context, s->number, &l->request)) {
        l->busy--;
        return;
    }
    must(buf_check(&l->request), "request");
    wire_send(l->pool, buf_span(&l->request), slot_answered, s);
}

static void slot_answered(void *context, const struct wire_answer *answer)
{
    struct loop_slot *s = context;
    struct loop *l = s->loop;

    if (answer->status == 0)
        die("the server broke a connection");
    samples_add(&l->times, answer->took_us);
    l->answers++;
    l->last_us = now_us();
    l->answered(l->context, s->number, answer);
    slot_ask(s);
}

void loop_begin(struct loop *l)
{
    l->slot_list = calloc(l->slots, sizeof *l->slot_list);
    if (!l->slot_list)
        die("no memory");
    buf_init(&l->request, REQUEST_MAX);
    l->began_us = l->last_us = now_us();
    l->busy = l->slots;
    for (unsigned i = 0; i < l->slots; i++) {
        l->slot_list[i] = (struct loop_slot){l, i};
        slot_ask(&l->slot_list[i]);
    }
}

bool loop_is_over(const struct loop *l)
{
    return l->busy == 0;
}

void loop_run(struct loop *l)
{
    loop_begin(l);
    while (!loop_is_over(l)) {
        wire_turn(l->wire, 1000);
        (void)sched_yield();
    }
}

double loop_rate(const struct loop *l)
{
    int64_t us = l->last_us - l->began_us;

    return us > 0 ? (double)l->answers * 1e6 / (double)us : 0;
}

void loop_done(struct loop *l)
{
    free(l->slot_list);
    l->slot_list = NULL;
    buf_done(&l->request);
    samples_done(&l->times);
}

struct span answer_field(const struct wire_answer *answer, const char *name)
{
    char start[64];
    int n = snprintf(start, sizeof start, "\r\n%s: ", name);
    const uint8_t *at = memmem(answer->head.data, answer->head.len, start, (size_t)n);

    if (!at)
        return (struct span){0};
    at += n;
    struct span rest = span_of(at, (size_t)(answer->head.data + answer->head.len - at));
    return span_sub(rest, 0, span_find(rest, '\r'));
}

void wire_turn_until(struct wire *w, int64_t until_us)
{
    for (int64_t now = now_us(); now < until_us; now = now_us())
        wire_turn(w, (int)((until_us - now + 999) / 1000));
}
