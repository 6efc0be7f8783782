/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "prog/sandbox/sandbox.h"

enum { EXPIRE_BATCH = 100 };

static const char *const fault_names[FAULT_KINDS] = {
    [FAULT_slow] = "slow",
    [FAULT_timeout_after_charge] = "timeout_after_charge",
    [FAULT_duplicate_webhook] = "duplicate_webhook",
    [FAULT_reorder] = "reorder",
    [FAULT_error_500_once] = "error_500_once",
    [FAULT_proxy_404_once] = "proxy_404_once",
    [FAULT_no_webhook] = "no_webhook",
    [FAULT_wrong_amount] = "wrong_amount",
};

enum err state_open(struct sandbox *sb, const char *path)
{
    AUTO(buf_done) struct buf b;

    TRY(kv_open(path, &sb->kv));
    buf_init(&b, 64);
    enum err e = kv_get(sb->kv, "meta", "clock_offset_ms", &b);
    if (e == ERR_NOT_FOUND)
        return OK;
    TRY(e);
    return text_to_i64(buf_span(&b), &sb->clock_offset_ms);
}

int64_t state_now_ms(const struct sandbox *sb)
{
    return clock_now_ms(clock_system()) + sb->clock_offset_ms;
}

enum err state_set_now(struct sandbox *sb, int64_t now_ms)
{
    AUTO(buf_done) struct buf b;
    int64_t offset_ms = now_ms - clock_now_ms(clock_system());

    buf_init(&b, 64);
    buf_put_i64_text(&b, offset_ms);
    TRY(kv_put(sb->kv, "meta", "clock_offset_ms", buf_span(&b)));
    sb->clock_offset_ms = offset_ms;
    return OK;
}

/* Why a clock of its own: two ids of one millisecond would sort by chance, and lists are in the order of ids. */
void state_new_id(struct sandbox *sb, const char *prefix, char *out)
{
    int64_t now_ms = clock_now_ms(clock_system());
    struct clock_fixed clock;
    uint8_t id[ID_BYTES];
    char text[ID_TEXT_MAX];

    sb->last_id_ms = now_ms > sb->last_id_ms ? now_ms : sb->last_id_ms + 1;
    clock_fixed_init(&clock, sb->last_id_ms);
    id_make(&clock.clock, rng_system(), id);
    id_format("any", id, text);
    (void)snprintf(out, OBJECT_ID_MAX, "%s%s", prefix, text + 4);
}

bool state_fault(struct sandbox *sb, enum fault_kind kind, struct span path, int64_t *ret_delay_ms)
{
    struct fault *f = &sb->faults[kind];

    if (f->times <= 0 || (f->path[0] && !span_starts(path, f->path)))
        return false;
    f->times--;
    if (ret_delay_ms)
        *ret_delay_ms = f->delay_ms;
    return true;
}

const char *state_fault_name(enum fault_kind kind)
{
    return fault_names[kind];
}

/* Read or write an object by its bucket. */
#define OBJECT(kind, bucket)                                                                       \
    enum err state_##kind(struct sandbox *sb, const char *id, struct kind *ret)                    \
    {                                                                                              \
        AUTO(buf_done) struct buf b;                                                               \
        buf_init(&b, OBJECT_JSON_MAX);                                                             \
        TRY(kv_get(sb->kv, bucket, id, &b));                                                       \
        return kind##_read(buf_span(&b), ret);                                                     \
    }                                                                                              \
    enum err state_##kind##_put(struct sandbox *sb, const struct kind *o)                          \
    {                                                                                              \
        AUTO(buf_done) struct buf b;                                                               \
        buf_init(&b, OBJECT_JSON_MAX);                                                             \
        TRY(kind##_write(o, &b));                                                                  \
        return kv_put(sb->kv, bucket, o->id, buf_span(&b));                                        \
    }
OBJECT(session, "session")
OBJECT(intent, "intent")
OBJECT(refund, "refund")

enum err state_session_expire(struct sandbox *sb, struct session *s)
{
    AUTO(buf_done) struct buf b;

    (void)snprintf(s->status, sizeof s->status, "expired");
    TRY(state_session_put(sb, s));
    TRY(kv_delete(sb->kv, "open", s->id));
    buf_init(&b, OBJECT_JSON_MAX);
    TRY(session_write(s, &b));
    return hooks_emit(sb, "checkout.session.expired", buf_span(&b));
}

struct due {
    int64_t now_s;
    char ids[EXPIRE_BATCH][OBJECT_ID_MAX];
    size_t count;
};

/* The bucket "open" holds the time of each open session, as text. */
static enum err gather_due(void *context, const char *key, struct span value)
{
    struct due *d = context;
    int64_t expires_s;

    TRY(text_to_i64(value, &expires_s));
    if (expires_s <= d->now_s && d->count < EXPIRE_BATCH)
        (void)snprintf(d->ids[d->count++], OBJECT_ID_MAX, "%s", key);
    return OK;
}

static enum err expire_one(struct sandbox *sb, const char *id)
{
    struct session s;

    TRY(state_session(sb, id, &s));
    return state_session_expire(sb, &s);
}

enum err state_expire_due(struct sandbox *sb)
{
    struct due d = {.now_s = state_now_ms(sb) / 1000};
    const struct kv_scan scan = {.bucket = "open", .rows_max = 100000};

    TRY(kv_scan(sb->kv, &scan, gather_due, &d));
    for (size_t i = 0; i < d.count; i++) {
        TRY(kv_begin(sb->kv));
        enum err e = expire_one(sb, d.ids[i]);
        if (e == OK)
            e = kv_commit(sb->kv);
        if (e != OK) {
            kv_rollback(sb->kv);
            return e;
        }
    }
    return OK;
}
