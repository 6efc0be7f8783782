/* SPDX-License-Identifier: Apache-2.0 */
/* client - the side of the courier that lives in serve: a table of outstanding calls and one thread that ends them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reach/courier/wire.h"

enum { SETUP_MS = 20000 };

/* The id of a call tells its slot: SLOT_BITS of it are the slot's place, the rest counts its uses. */
enum { SLOT_BITS = 9 };
_Static_assert(1 << SLOT_BITS == COURIER_OUTSTANDING_MAX, "every slot has its place in an id");

struct slot {
    uint32_t id; /* 0: free */
    uint32_t uses;
    uint32_t next_free; /* while it is free: place + 1; 0: none */
    courier_done *done;
    void *context;
};

struct courier_client {
    int fd;
    pthread_t reader;
    void (*gone)(void *context);
    void *context;
    atomic_bool closing;

    pthread_mutex_t rest_lock; /* held while rested runs */
    void (*rested)(void *context);
    void *rested_context;

    pthread_mutex_t lock; /* what follows */
    bool dead;
    uint32_t first_free; /* as next_free */
    struct slot slots[COURIER_OUTSTANDING_MAX];

    uint8_t room[PROC_FRAME_MAX]; /* the reader's */
};

/* Takes the slot out of the table; its id is 0 when nobody waits. */
static struct slot take(struct courier_client *c, uint32_t id)
{
    uint32_t place = id % COURIER_OUTSTANDING_MAX;
    struct slot *s = &c->slots[place], found = {0};

    pthread_mutex_lock(&c->lock);
    if (id != 0 && s->id == id) {
        found = *s;
        s->id = 0;
        s->next_free = c->first_free;
        c->first_free = place + 1;
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

static void deliver(struct courier_client *c, const struct proc_frame *frame)
{
    struct courier_answer a;
    struct slot s = take(c, frame->id);

    if (!s.id)
        return;
    if (wire_answer(frame->payload, &a) != OK)
        a = (struct courier_answer){.outcome = COURIER_UNCERTAIN, .why = "bad_answer"};
    s.done(s.context, &a);
}

static void end_all(struct courier_client *c)
{
    const struct courier_answer lost = {.outcome = COURIER_UNCERTAIN, .why = "courier_gone"};

    pthread_mutex_lock(&c->lock);
    c->dead = true;
    pthread_mutex_unlock(&c->lock);
    /* Nothing enters the table any more. */
    for (size_t i = 0; i < COUNT_OF(c->slots); i++) {
        pthread_mutex_lock(&c->lock);
        uint32_t id = c->slots[i].id;
        pthread_mutex_unlock(&c->lock);
        struct slot s = take(c, id);
        if (s.id)
            s.done(s.context, &lost);
    }
}

static void rest(struct courier_client *c)
{
    pthread_mutex_lock(&c->rest_lock);
    if (c->rested)
        c->rested(c->rested_context);
    pthread_mutex_unlock(&c->rest_lock);
}

/* The next answer. A rest before it waits for one, when some were handed out since the last. */
static enum err next_answer(struct courier_client *c, size_t *burst, struct proc_frame *ret_frame)
{
    enum err e = ERR_EXPIRED;

    if (*burst > 0 && *burst < COURIER_BURST_MAX)
        e = proc_receive(c->fd, c->room, 0, ret_frame);
    if (e == ERR_EXPIRED) {
        if (*burst > 0)
            rest(c);
        *burst = 0;
        e = proc_receive(c->fd, c->room, -1, ret_frame);
    }
    ++*burst;
    return e;
}

static void *read_answers(void *context)
{
    struct courier_client *c = context;
    struct proc_frame frame;
    size_t burst = 0;
    enum err e;

    while ((e = next_answer(c, &burst, &frame)) == OK || e == ERR_INVALID)
        if (e == OK)
            deliver(c, &frame);
    end_all(c);
    rest(c);
    if (!atomic_load(&c->closing) && c->gone)
        c->gone(c->context);
    return NULL;
}

static enum err set_up(struct courier_client *c, const struct courier_config *config)
{
    AUTO(buf_done) struct buf b;
    const struct proc_frame question = {.type = WIRE_SETUP};
    struct proc_frame answer;
    struct span why;

    buf_init(&b, PROC_PAYLOAD_MAX);
    for (size_t i = 0; i < COURIER_TARGETS; i++) {
        wire_put_cstr(&b, config->targets[i].origin);
        wire_put_cstr(&b, config->targets[i].key);
    }
    wire_put_cstr(&b, config->ca_file);
    wire_put_cstr(&b, config->mail_url);
    wire_put_cstr(&b, config->mail_user);
    wire_put_cstr(&b, config->mail_password);
    wire_put_cstr(&b, config->mail_from);
    wire_put_cstr(&b, config->mail_dir);
    TRY(buf_check(&b));
    TRY(proc_answer(c->fd, &question, buf_span(&b)));
    if (proc_receive(c->fd, c->room, SETUP_MS, &answer) != OK || answer.type != WIRE_SETUP)
        FAIL(ERR_IO, "courier_silent", "The courier did not start.");
    struct cursor in = {answer.payload};
    TRY(wire_text(&in, ERR_SLUG_MAX - 1, &why));
    if (why.len == 0)
        return OK;
    char slug[ERR_SLUG_MAX];
    TRY(span_to_text(why, slug, sizeof slug));
    FAIL(ERR_INVALID, slug, "The courier refuses its settings.");
}

enum err courier_open(int fd, const struct courier_config *config, void (*gone)(void *context),
                      void *context, struct courier_client **ret_client)
{
    struct courier_client *c = calloc(1, sizeof *c);

    if (!c) {
        close(fd);
        FAIL(ERR_NOMEM, "no_memory", "No memory.");
    }
    c->fd = fd;
    c->gone = gone;
    c->context = context;
    for (uint32_t i = 0; i < COURIER_OUTSTANDING_MAX; i++)
        c->slots[i].next_free = i + 1 < COURIER_OUTSTANDING_MAX ? i + 2 : 0;
    c->first_free = 1;
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->rest_lock, NULL);
    enum err e = set_up(c, config);
    if (e == OK)
        e = thread_start(&c->reader, "courier answers", read_answers, c);
    if (e != OK) {
        close(fd);
        pthread_mutex_destroy(&c->rest_lock);
        pthread_mutex_destroy(&c->lock);
        free(c);
        return e;
    }
    *ret_client = c;
    return OK;
}

void courier_on_rest(struct courier_client *c, void (*rested)(void *context), void *context)
{
    pthread_mutex_lock(&c->rest_lock);
    c->rested = rested;
    c->rested_context = context;
    pthread_mutex_unlock(&c->rest_lock);
}

void courier_close(struct courier_client *c)
{
    if (!c)
        return;
    atomic_store(&c->closing, true);
    shutdown(c->fd, SHUT_RDWR);
    pthread_join(c->reader, NULL);
    close(c->fd);
    pthread_mutex_destroy(&c->rest_lock);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static enum err enlist(struct courier_client *c, courier_done *done, void *context,
                       uint32_t *ret_id)
{
    enum err e = OK;

    pthread_mutex_lock(&c->lock);
    bool dead = c->dead, full = c->first_free == 0;
    if (!dead && !full) {
        uint32_t place = c->first_free - 1;
        struct slot *s = &c->slots[place];
        c->first_free = s->next_free;
        do /* 0 means nobody */
            s->id = ++s->uses << SLOT_BITS | place;
        while (s->id == 0);
        s->done = done;
        s->context = context;
        *ret_id = s->id;
    } else {
        e = ERR_BUSY;
    }
    pthread_mutex_unlock(&c->lock);
    ENSURE(!dead, e, "courier_gone", "The courier is not running.");
    ENSURE(!full, e, "courier_full", "The courier has too much to do.");
    return e;
}

/*
 * Why the send cannot wait long: the process reads its socket whatever the network does, and what may be outstanding is
 * bounded on this side.
 */
static enum err send_call(struct courier_client *c, enum wire_type type, const struct buf *payload,
                          courier_done *done, void *context)
{
    struct proc_frame question = {.type = (uint16_t)type};

    ENSURE(buf_check(payload) == OK && payload->len <= PROC_PAYLOAD_MAX, ERR_INVALID, "bad_call",
           "A call is too long.");
    TRY(enlist(c, done, context, &question.id));
    if (proc_answer(c->fd, &question, buf_span(payload)) == OK)
        return OK;
    /* When the reader has ended this call already, its done has said so, and the call was taken. */
    struct slot s = take(c, question.id);
    ENSURE(!s.id, ERR_BUSY, "courier_gone", "The courier is not running.");
    return OK;
}

enum err courier_submit(struct courier_client *c, const struct courier_call *call)
{
    AUTO(buf_done) struct buf b;
    bool post = strcmp(call->method, "POST") == 0;

    buf_init(&b, PROC_PAYLOAD_MAX);
    ENSURE(post || strcmp(call->method, "GET") == 0, ERR_INVALID, "bad_call", "GET or POST.");
    ENSURE(call->target < COURIER_TARGETS && call->header_count <= COURIER_HEADERS_MAX &&
               call->body.len <= COURIER_BODY_MAX && (post || call->body.len == 0) &&
               call->deadline_ms > 0 && call->deadline_ms <= COURIER_DEADLINE_MAX_MS,
           ERR_INVALID, "bad_call", "A call is out of its bounds.");
    TRY(wire_check_path(span_text(call->path)));
    buf_put_u8(&b, (uint8_t)call->target);
    buf_put_u8(&b, post);
    buf_put_u32be(&b, (uint32_t)call->deadline_ms);
    wire_put_cstr(&b, call->path);
    buf_put_u8(&b, (uint8_t)call->header_count);
    for (size_t i = 0; i < call->header_count; i++) {
        const struct courier_header *h = &call->headers[i];
        TRY(wire_check_header(span_text(h->name), span_text(h->value)));
        wire_put_cstr(&b, h->name);
        wire_put_cstr(&b, h->value);
    }
    wire_put_text(&b, call->body);
    return send_call(c, WIRE_CALL, &b, call->done, call->context);
}

enum err courier_submit_mail(struct courier_client *c, const struct courier_mail *mail)
{
    AUTO(buf_done) struct buf b;

    buf_init(&b, PROC_PAYLOAD_MAX);
    ENSURE(mail->message.len > 0 && mail->message.len <= COURIER_BODY_MAX &&
               mail->deadline_ms > 0 && mail->deadline_ms <= COURIER_DEADLINE_MAX_MS,
           ERR_INVALID, "bad_call", "A mail is out of its bounds.");
    TRY(wire_check_name(span_text(mail->name)));
    TRY(wire_check_address(span_text(mail->to)));
    buf_put_u32be(&b, (uint32_t)mail->deadline_ms);
    wire_put_cstr(&b, mail->name);
    wire_put_cstr(&b, mail->to);
    wire_put_text(&b, mail->message);
    return send_call(c, WIRE_MAIL, &b, mail->done, mail->context);
}
