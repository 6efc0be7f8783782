/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/signer/keystore.h"

#include <string.h>

#include "trust/credential/credential.h"
#include "trust/signer/master.h"

#define FILE_NAME "keystore"
#define FILE_MARK "GHKS\x01"
#define BOX_CONTEXT SPAN_LIT("gatehouse keystore 1")

enum {
    MARK_BYTES = sizeof FILE_MARK - 1,
    RECORD_BYTES = 4 + 4 + 4 + 8 + 16 + 32 + 32,
    PLAIN_MAX = 2 + KEYSTORE_ORIGIN_MAX + 4 + KEYSTORE_KEYS_MAX * RECORD_BYTES,
    FILE_MAX = MARK_BYTES + SEALED_BOX_OVERHEAD + PLAIN_MAX,
};

struct newest_slot {
    struct table_key key;
    uint8_t id[16];
    int32_t index;
};

/* Webhook ids are spread over two halves of the table's key; a clash of the halves is told apart by the whole id below. */
static struct table_key slot_key(enum keystore_type type, bool test_mode, uint32_t number,
                                 const uint8_t *id)
{
    struct table_key key = {(uint32_t)type << 1 | test_mode, number, 0, 0};
    uint8_t hash[SHA256_BYTES];

    if (id) {
        sha256(span_of(id, 16), hash);
        key.c = get_u32be(hash);
        key.d = get_u32be(hash + 4);
    }
    return key;
}

static const uint8_t *id_of(const struct keystore_key *key)
{
    return key->type == KEY_WEBHOOK ? key->id : NULL;
}

static enum err start(const struct disk *disk, const struct clock *clock,
                      const struct secret32 *master, struct keystore *k)
{
    *k = (struct keystore){.disk = disk, .clock = clock};
    master_derive(master, "keystore", &k->box_key);
    table_init(&k->newest, sizeof(struct newest_slot), KEYSTORE_KEYS_MAX);
    k->cap = 16;
    k->keys = secret_new(k->cap * sizeof *k->keys);
    ENSURE(k->keys, ERR_NOMEM, "no_memory", "No memory for keys.");
    return OK;
}

void keystore_done(struct keystore *k)
{
    secret_free(k->keys);
    k->keys = NULL;
    table_done(&k->newest);
    secret32_wipe(&k->box_key);
}

static enum err make_room(struct keystore *k)
{
    ENSURE(k->count < KEYSTORE_KEYS_MAX, ERR_LIMIT, "too_many_keys", "The keystore is full.");
    if (k->count < k->cap)
        return OK;
    struct keystore_key *bigger = secret_new(2 * k->cap * sizeof *bigger);
    ENSURE(bigger, ERR_NOMEM, "no_memory", "No memory for keys.");
    memcpy(bigger, k->keys, k->count * sizeof *bigger);
    secret_free(k->keys);
    k->keys = bigger;
    k->cap *= 2;
    return OK;
}

/* Append to the arrays; key's generation decides nothing, its place in the file does. */
static enum err remember(struct keystore *k, const struct keystore_key *key)
{
    struct table_key at = slot_key(key->type, key->test_mode, key->number, id_of(key));
    struct newest_slot *slot = table_find(&k->newest, &at);

    TRY(make_room(k));
    struct keystore_key *mine = &k->keys[k->count];
    *mine = *key;
    mine->previous = -1;
    if (slot) {
        ENSURE(memcmp(slot->id, key->id, sizeof slot->id) == 0, ERR_CONFLICT, "key_clash",
               "Two endpoint ids fall on one place of the key table.");
        mine->previous = slot->index;
    } else {
        void *fresh;
        TRY(table_add(&k->newest, &at, &fresh));
        slot = fresh;
        memcpy(slot->id, key->id, sizeof slot->id);
    }
    slot->index = (int32_t)k->count++;
    return OK;
}

static void set_kid(struct keystore_key *key)
{
    uint8_t kid[COSE_KID_BYTES] = {0};

    if (key->type == KEY_GATE)
        credential_gate_kid(key->ed25519.seed, kid);
    else
        credential_issuer_kid(key->ed25519.public_key, kid);
    key->kid = get_u32be(kid);
}

static enum err read_record(struct cursor *c, struct keystore_key *ret_key)
{
    struct keystore_key key = {0};
    uint8_t type, test;
    uint16_t zero;
    uint64_t created;

    TRY(cursor_u8(c, &type));
    TRY(cursor_u8(c, &test));
    TRY(cursor_u16be(c, &zero));
    TRY(cursor_u32be(c, &key.number));
    TRY(cursor_u32be(c, &key.generation));
    TRY(cursor_u64be(c, &created));
    TRY(cursor_copy(c, key.id, sizeof key.id));
    TRY(cursor_copy(c, key.ed25519.seed, sizeof key.ed25519.seed));
    TRY(cursor_copy(c, key.ed25519.public_key, sizeof key.ed25519.public_key));
    ENSURE(type >= KEY_TICKET && type <= KEY_WEBHOOK && test <= 1 && zero == 0, ERR_CORRUPT,
           "bad_keystore", "The keystore holds an unknown kind of key.");
    key.type = (enum keystore_type)type;
    key.test_mode = test;
    key.created_ms = (int64_t)created;
    set_kid(&key);
    *ret_key = key;
    wipe(&key, sizeof key);
    return OK;
}

static enum err parse(struct keystore *k, struct span plain)
{
    struct cursor c = {plain};
    struct keystore_key key;
    struct span origin;
    uint16_t origin_len;
    uint32_t count;

    TRY(cursor_u16be(&c, &origin_len));
    TRY(cursor_take(&c, origin_len, &origin));
    TRY(span_to_text(origin, k->origin, sizeof k->origin));
    TRY(cursor_u32be(&c, &count));
    ENSURE(count <= KEYSTORE_KEYS_MAX && c.rest.len == (size_t)count * RECORD_BYTES, ERR_CORRUPT,
           "bad_keystore", "The keystore has the wrong size.");
    for (uint32_t i = 0; i < count; i++) {
        TRY(read_record(&c, &key));
        enum err e = remember(k, &key);
        wipe(&key, sizeof key);
        TRY(e);
    }
    return OK;
}

static enum err load(struct keystore *k)
{
    AUTO(buf_done) struct buf file = {0};
    AUTO(buf_done) struct buf plain = {0};

    buf_init(&file, FILE_MAX);
    buf_init(&plain, PLAIN_MAX);
    TRY(k->disk->read(k->disk->self, FILE_NAME, &file));
    ENSURE(span_starts(buf_span(&file), FILE_MARK) && file.len >= MARK_BYTES + SEALED_BOX_OVERHEAD,
           ERR_CORRUPT, "bad_keystore", "The keystore file is not one.");
    struct span box = span_sub(buf_span(&file), MARK_BYTES, file.len);
    uint8_t *out = buf_grow(&plain, box.len - SEALED_BOX_OVERHEAD);
    ENSURE(out, ERR_NOMEM, "no_memory", "No memory for keys.");
    ENSURE(sealed_box_open(k->box_key.b, BOX_CONTEXT, box, out) == OK, ERR_DENIED,
           "wrong_master_key",
           "The keystore does not open with this master key, or somebody altered it.");
    return parse(k, buf_span(&plain));
}

enum err keystore_open(const struct disk *disk, const struct clock *clock,
                       const struct secret32 *master, struct keystore *ret_store)
{
    TRY(start(disk, clock, master, ret_store));
    return load(ret_store);
}

static void put_record(struct buf *out, const struct keystore_key *key)
{
    buf_put_u8(out, (uint8_t)key->type);
    buf_put_u8(out, key->test_mode);
    buf_put_u16be(out, 0);
    buf_put_u32be(out, key->number);
    buf_put_u32be(out, key->generation);
    buf_put_u64be(out, (uint64_t)key->created_ms);
    buf_put(out, key->id, sizeof key->id);
    buf_put(out, key->ed25519.seed, sizeof key->ed25519.seed);
    buf_put(out, key->ed25519.public_key, sizeof key->ed25519.public_key);
}

static enum err save(const struct keystore *k)
{
    AUTO(buf_done) struct buf plain = {0};
    AUTO(buf_done) struct buf file = {0};

    buf_init(&plain, PLAIN_MAX);
    buf_init(&file, FILE_MAX);
    buf_put_u16be(&plain, (uint16_t)strlen(k->origin));
    buf_put_text(&plain, k->origin);
    buf_put_u32be(&plain, (uint32_t)k->count);
    for (size_t i = 0; i < k->count; i++)
        put_record(&plain, &k->keys[i]);
    TRY(buf_check(&plain));
    buf_put(&file, FILE_MARK, MARK_BYTES);
    uint8_t *box = buf_grow(&file, plain.len + SEALED_BOX_OVERHEAD);
    ENSURE(box, ERR_NOMEM, "no_memory", "No memory for keys.");
    sealed_box_seal(k->box_key.b, rng_system(), BOX_CONTEXT, buf_span(&plain), box);
    return k->disk->replace(k->disk->self, FILE_NAME, buf_span(&file), 0600);
}

enum err keystore_create(const struct disk *disk, const struct clock *clock,
                         const struct secret32 *master, const char *origin,
                         struct keystore *ret_store)
{
    const struct keystore_key *log;

    TRY(start(disk, clock, master, ret_store));
    TRY(span_to_text(span_text(origin), ret_store->origin, sizeof ret_store->origin));
    return keystore_add(ret_store, KEY_LOG, false, 0, NULL, &log);
}

const struct keystore_key *keystore_find(const struct keystore *k, enum keystore_type type,
                                         bool test_mode, uint32_t number, const uint8_t *id)
{
    struct table_key at = slot_key(type, test_mode, number, id);
    const struct newest_slot *slot = table_find(&k->newest, &at);

    if (!slot || slot->index < 0 || (id && memcmp(slot->id, id, sizeof slot->id) != 0))
        return NULL;
    return &k->keys[slot->index];
}

const struct keystore_key *keystore_previous(const struct keystore *k,
                                             const struct keystore_key *key)
{
    return key->previous < 0 ? NULL : &k->keys[key->previous];
}

const struct keystore_key *keystore_find_kid(const struct keystore *k, bool test_mode,
                                             uint32_t number, uint32_t kid)
{
    const struct keystore_key *key = keystore_find(k, KEY_TICKET, test_mode, number, NULL);
    while (key && key->kid != kid)
        key = keystore_previous(k, key);
    return key;
}

/* No two ticket keys, and no two gate keys, may answer to the same id. */
static bool kid_is_free(const struct keystore *k, const struct keystore_key *key)
{
    if (key->type != KEY_TICKET && key->type != KEY_GATE)
        return true;
    for (size_t i = 0; i < k->count; i++)
        if (k->keys[i].type == key->type && k->keys[i].kid == key->kid)
            return false;
    return true;
}

static void generate(const struct keystore *k, struct keystore_key *key)
{
    do {
        ed25519_key_random(&key->ed25519);
        if (key->type == KEY_GATE)
            memset(key->ed25519.public_key, 0, sizeof key->ed25519.public_key);
        set_kid(key);
    } while (!kid_is_free(k, key));
}

enum err keystore_add(struct keystore *k, enum keystore_type type, bool test_mode, uint32_t number,
                      const uint8_t *id, const struct keystore_key **ret_key)
{
    const struct keystore_key *before = keystore_find(k, type, test_mode, number, id);
    struct keystore_key key = {.type = type, .test_mode = test_mode, .number = number};

    key.generation = before ? before->generation + 1 : 1;
    ENSURE(key.generation <= KEYSTORE_GENERATIONS_MAX, ERR_LIMIT, "too_many_keys",
           "There are %d generations of this key already.", KEYSTORE_GENERATIONS_MAX);
    if (id)
        memcpy(key.id, id, sizeof key.id);
    key.created_ms = clock_now_ms(k->clock);
    generate(k, &key);
    enum err e = remember(k, &key);
    wipe(&key, sizeof key);
    TRY(e);
    e = save(k);
    if (e != OK) { /* not durable: as if it had never been */
        struct table_key at = slot_key(type, test_mode, number, id);
        struct newest_slot *slot = table_find(&k->newest, &at);
        k->count--;
        slot->index = k->keys[k->count].previous;
        wipe(&k->keys[k->count], sizeof k->keys[0]);
    }
    TRY(e);
    *ret_key = &k->keys[k->count - 1];
    return OK;
}

enum err keystore_need(struct keystore *k, enum keystore_type type, bool test_mode, uint32_t number,
                       const uint8_t *id, const struct keystore_key **ret_key)
{
    const struct keystore_key *key = keystore_find(k, type, test_mode, number, id);

    if (!key)
        return keystore_add(k, type, test_mode, number, id, ret_key);
    *ret_key = key;
    return OK;
}
