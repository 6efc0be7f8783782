/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/encode/json.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "ground/base/arena.h"

enum { MEMORY_PER_BYTE = 256, MEMORY_LEAST = 64 * 1024 };

/* All of it, this struct too, lies in its arena: gone at once, and wiped, since bodies hold passwords. */
struct json_doc {
    struct arena arena;
    json_t *root;
};

/* Of the document that this thread is parsing: jansson's allocator knows no context. */
static _Thread_local struct arena *parsing;

/*
 * Why an invariant: where a token cannot grow, jansson 2.14 goes on behind its end. No document comes near its limit: empty objects take most,
 * some 80 bytes a byte.
 */
static void *take_memory(size_t size)
{
    INVARIANT(parsing, "jansson allocates only while a document is parsed");
    void *memory = arena_alloc(parsing, size);
    INVARIANT(memory, "there is memory for a document");
    return memory;
}

static void leave_memory(void *memory)
{
    (void)memory; /* it goes with the document */
}

static void use_arenas(void)
{
    json_set_alloc_funcs(take_memory, leave_memory);
}

/* Why: jansson recurses once a level and allows 2,048; the depth is bounded here before it sees a byte. */
static enum err check_depth(struct span text)
{
    size_t depth = 0;
    bool in_text = false;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (in_text) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_text = false;
        } else if (c == '"') {
            in_text = true;
        } else if (c == '[' || c == '{') {
            ENSURE(++depth <= JSON_DEPTH_MAX, ERR_INVALID, "too_deep",
                   "JSON is nested at most %d levels.", JSON_DEPTH_MAX);
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return OK;
}

enum err json_parse(struct span text, size_t max_bytes, struct json_doc **ret_doc)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    AUTO(arena_done) struct arena arena = {0};
    json_error_t why;

    ENSURE(text.len <= max_bytes, ERR_LIMIT, "too_large", "JSON of at most %zu bytes.", max_bytes);
    ENSURE(text.len > 0, ERR_INVALID, "bad_json", "JSON is missing.");
    TRY(check_depth(text));
    arena_init(&arena, text.len * MEMORY_PER_BYTE + MEMORY_LEAST);
    INVARIANT(pthread_once(&once, use_arenas) == 0, "the control is valid");
    struct json_doc *doc = arena_alloc(&arena, sizeof *doc);
    ENSURE(doc, ERR_NOMEM, "no_memory", "No memory for the document.");
    parsing = &arena;
    doc->root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &why);
    parsing = NULL;
    if (!doc->root) {
        /* Why: the parser's own words quote the input; the position is enough. */
        FAIL(ERR_INVALID, "bad_json", "Not valid JSON at line %d, column %d.", why.line,
             why.column);
    }
    doc->arena = arena;
    arena.chunks = NULL;
    *ret_doc = doc;
    return OK;
}

void json_doc_free(struct json_doc **doc)
{
    if (*doc) {
        struct arena arena = (*doc)->arena;
        arena_done(&arena);
    }
    *doc = NULL;
}

/* parent + "/" + key, cut at the end of the room there is; bytes that a pointer cannot hold as they are become %XX. */
static void pointer_add(const char *parent, const char *key, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t at = strnlen(parent, ERR_POINTER_MAX - 1);

    memmove(out, parent, at);
    if (at < ERR_POINTER_MAX - 1)
        out[at++] = '/';
    for (const char *p = key; *p && at + 3 < ERR_POINTER_MAX; p++) {
        uint8_t c = (uint8_t)*p;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '_' || c == '-' || c == '.') {
            out[at++] = (char)c;
        } else if (c == '~' || c == '/') {
            out[at++] = '~';
            out[at++] = c == '~' ? '0' : '1';
        } else {
            out[at++] = '%';
            out[at++] = digits[c >> 4];
            out[at++] = digits[c & 15];
        }
    }
    out[at] = '\0';
}

static void pointer_add_index(const char *parent, size_t index, char *out)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%zu", index);
    pointer_add(parent, digits, out);
}

void json_pointer(const struct json_object *o, const char *key, char *out)
{
    pointer_add(o->pointer, key, out);
}

/* --- one value, wherever it stands --------------------------------------------------------------------------------- */

static enum err as_text(const json_t *v, const char *pointer, size_t bytes_max,
                        struct span *ret_text)
{
    ENSURE_AT(json_is_string(v), pointer, ERR_INVALID, "wrong_type", "A text is expected here.");
    size_t len = json_string_length(v);
    ENSURE_AT(len <= bytes_max, pointer, ERR_INVALID, "out_of_range",
              "The text has at most %zu bytes.", bytes_max);
    *ret_text = span_of(json_string_value(v), len);
    return OK;
}

static enum err as_i64(const json_t *v, const char *pointer, int64_t min, int64_t max,
                       int64_t *ret_value)
{
    ENSURE_AT(json_is_integer(v), pointer, ERR_INVALID, "wrong_type",
              "A whole number is expected here.");
    int64_t value = json_integer_value(v);
    ENSURE_AT(value >= min && value <= max, pointer, ERR_INVALID, "out_of_range",
              "The number lies between %lld and %lld.", (long long)min, (long long)max);
    *ret_value = value;
    return OK;
}

/* Why doubles here: drawings have fractions. Nothing of them leaves this function. */
static enum err as_scaled(const json_t *v, const char *pointer, int64_t scale, int64_t min,
                          int64_t max, int64_t *ret_value)
{
    ENSURE_AT(json_is_number(v), pointer, ERR_INVALID, "wrong_type", "A number is expected here.");
    double scaled = json_number_value(v) * (double)scale;
    ENSURE_AT(scaled > (double)min - 0.5 && scaled < (double)max + 0.5, pointer, ERR_INVALID,
              "out_of_range", "The number lies between %lld and %lld.", (long long)(min / scale),
              (long long)(max / scale));
    *ret_value = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    return OK;
}

static enum err as_bool(const json_t *v, const char *pointer, bool *ret_value)
{
    ENSURE_AT(json_is_boolean(v), pointer, ERR_INVALID, "wrong_type",
              "true or false is expected here.");
    *ret_value = json_is_true(v);
    return OK;
}

static enum err as_array(const json_t *v, const char *pointer, size_t count_max,
                         struct json_array *ret_array)
{
    ENSURE_AT(json_is_array(v), pointer, ERR_INVALID, "wrong_type", "An array is expected here.");
    size_t count = json_array_size(v);
    ENSURE_AT(count <= count_max, pointer, ERR_INVALID, "out_of_range",
              "The array has at most %zu elements.", count_max);
    ret_array->items = v;
    ret_array->count = count;
    memmove(ret_array->pointer, pointer, strlen(pointer) + 1);
    return OK;
}

static enum err as_object(const json_t *v, const char *pointer, struct json_object *ret_object)
{
    ENSURE_AT(json_is_object(v), pointer, ERR_INVALID, "wrong_type", "An object is expected here.");
    ret_object->members = v;
    ret_object->seen_count = 0;
    memmove(ret_object->pointer, pointer, strlen(pointer) + 1);
    return OK;
}

enum err json_root(const struct json_doc *doc, struct json_object *ret_object)
{
    return as_object(doc->root, "#", ret_object);
}

enum err json_root_array(const struct json_doc *doc, size_t count_max, struct json_array *ret_array)
{
    return as_array(doc->root, "#", count_max, ret_array);
}

/* --- members ------------------------------------------------------------------------------------------------------- */

static void mark_seen(struct json_object *o, const char *key)
{
    for (size_t i = 0; i < o->seen_count; i++)
        if (strcmp(o->seen[i], key) == 0)
            return;
    INVARIANT(o->seen_count < JSON_FIELDS_MAX, "the program asks for few members");
    o->seen[o->seen_count++] = key;
}

/* The member and its pointer; *ret_value is NULL when it is absent, or null and not needed. */
static enum err member(struct json_object *o, const char *key, bool needed, char *ret_pointer,
                       const json_t **ret_value)
{
    const json_t *v = json_object_get((const json_t *)o->members, key);

    pointer_add(o->pointer, key, ret_pointer);
    ENSURE_AT(v || !needed, ret_pointer, ERR_INVALID, "missing_field", "This field is missing.");
    mark_seen(o, key);
    *ret_value = !needed && json_is_null(v) ? NULL : v;
    return OK;
}

#define MEMBER(needed)                                                                             \
    char pointer[ERR_POINTER_MAX];                                                                 \
    const json_t *v;                                                                               \
    TRY(member(o, key, needed, pointer, &v));                                                      \
    if (!v)                                                                                        \
    return OK

enum err json_need_text(struct json_object *o, const char *key, size_t bytes_max,
                        struct span *ret_text)
{
    MEMBER(true);
    return as_text(v, pointer, bytes_max, ret_text);
}

enum err json_opt_text(struct json_object *o, const char *key, size_t bytes_max,
                       struct span *ret_text)
{
    MEMBER(false);
    return as_text(v, pointer, bytes_max, ret_text);
}

enum err json_need_i64(struct json_object *o, const char *key, int64_t min, int64_t max,
                       int64_t *ret_value)
{
    MEMBER(true);
    return as_i64(v, pointer, min, max, ret_value);
}

enum err json_opt_i64(struct json_object *o, const char *key, int64_t min, int64_t max,
                      int64_t *ret_value)
{
    MEMBER(false);
    return as_i64(v, pointer, min, max, ret_value);
}

enum err json_need_scaled(struct json_object *o, const char *key, int64_t scale, int64_t min,
                          int64_t max, int64_t *ret_value)
{
    MEMBER(true);
    return as_scaled(v, pointer, scale, min, max, ret_value);
}

enum err json_opt_scaled(struct json_object *o, const char *key, int64_t scale, int64_t min,
                         int64_t max, int64_t *ret_value)
{
    MEMBER(false);
    return as_scaled(v, pointer, scale, min, max, ret_value);
}

enum err json_need_bool(struct json_object *o, const char *key, bool *ret_value)
{
    MEMBER(true);
    return as_bool(v, pointer, ret_value);
}

enum err json_opt_bool(struct json_object *o, const char *key, bool *ret_value)
{
    MEMBER(false);
    return as_bool(v, pointer, ret_value);
}

enum err json_need_array(struct json_object *o, const char *key, size_t count_max,
                         struct json_array *ret_array)
{
    MEMBER(true);
    return as_array(v, pointer, count_max, ret_array);
}

enum err json_opt_array(struct json_object *o, const char *key, size_t count_max,
                        struct json_array *ret_array)
{
    MEMBER(false);
    return as_array(v, pointer, count_max, ret_array);
}

enum err json_need_object(struct json_object *o, const char *key, struct json_object *ret_object)
{
    MEMBER(true);
    return as_object(v, pointer, ret_object);
}

enum err json_opt_object(struct json_object *o, const char *key, struct json_object *ret_object)
{
    MEMBER(false);
    return as_object(v, pointer, ret_object);
}

bool json_has(const struct json_object *o, const char *key)
{
    const json_t *v = json_object_get((const json_t *)o->members, key);
    return v && !json_is_null(v);
}

/* Why the casts: jansson's iterators take a mutable object, and change nothing. */
static void *first_member(const struct json_object *o)
{
    return json_object_iter((json_t *)(uintptr_t)o->members);
}

static void *next_member(const struct json_object *o, void *at)
{
    return json_object_iter_next((json_t *)(uintptr_t)o->members, at);
}

enum err json_each_text(struct json_object *o, size_t count_max, size_t bytes_max,
                        enum err (*visit)(void *context, struct span key, struct span value),
                        void *context)
{
    ENSURE_AT(json_object_size((const json_t *)o->members) <= count_max, o->pointer, ERR_INVALID,
              "out_of_range", "The object has at most %zu members.", count_max);
    for (void *at = first_member(o); at; at = next_member(o, at)) {
        const char *key = json_object_iter_key(at);
        char pointer[ERR_POINTER_MAX];
        struct span value;
        pointer_add(o->pointer, key, pointer);
        TRY(as_text(json_object_iter_value(at), pointer, bytes_max, &value));
        TRY(visit(context, span_text(key), value));
    }
    /* Everything has been read: what is left for json_object_end is nothing. */
    o->members = NULL;
    return OK;
}

enum err json_object_end(const struct json_object *o)
{
    if (!o->members)
        return OK;
    for (void *at = first_member(o); at; at = next_member(o, at)) {
        const char *key = json_object_iter_key(at);
        char pointer[ERR_POINTER_MAX];
        bool seen = false;
        for (size_t i = 0; i < o->seen_count && !seen; i++)
            seen = strcmp(o->seen[i], key) == 0;
        pointer_add(o->pointer, key, pointer);
        ENSURE_AT(seen, pointer, ERR_INVALID, "unknown_field", "There is no such field here.");
    }
    return OK;
}

/* --- elements ------------------------------------------------------------------------------------------------------ */

static const json_t *element(const struct json_array *a, size_t index, char *ret_pointer)
{
    INVARIANT(index < a->count, "elements are asked for within the array");
    pointer_add_index(a->pointer, index, ret_pointer);
    return json_array_get((const json_t *)a->items, index);
}

enum err json_item_text(const struct json_array *a, size_t index, size_t bytes_max,
                        struct span *ret_text)
{
    char pointer[ERR_POINTER_MAX];
    return as_text(element(a, index, pointer), pointer, bytes_max, ret_text);
}

enum err json_item_i64(const struct json_array *a, size_t index, int64_t min, int64_t max,
                       int64_t *ret_value)
{
    char pointer[ERR_POINTER_MAX];
    return as_i64(element(a, index, pointer), pointer, min, max, ret_value);
}

enum err json_item_object(const struct json_array *a, size_t index, struct json_object *ret_object)
{
    char pointer[ERR_POINTER_MAX];
    return as_object(element(a, index, pointer), pointer, ret_object);
}

enum err json_item_array(const struct json_array *a, size_t index, size_t count_max,
                         struct json_array *ret_array)
{
    char pointer[ERR_POINTER_MAX];
    return as_array(element(a, index, pointer), pointer, count_max, ret_array);
}
