/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_ENCODE_JSON_H
#define GROUND_ENCODE_JSON_H

/*
 * json - reading JSON that strangers sent, and writing JSON of our own (RFC 8259).
 *
 * Reading: json_parse makes a document, json_root an object view of it, and one typed getter per expected member takes it
 * out. Errors name the member at fault by its JSON pointer ("#/seats/0"), with the slugs missing_field, wrong_type,
 * out_of_range and unknown_field, all ERR_INVALID. Calling json_object_end on every object of a request body refuses
 * members that nobody read; leave it out only where the sender is known to add fields (a payment provider).
 *
 * Writing goes straight onto a buf, without a tree. What it is not: a pretty printer, a schema language, a place for
 * floating point (there is none in this program).
 *
 * Invariants:
 *   J1  a document was at most max_bytes long, nested at most JSON_DEPTH_MAX, valid UTF-8, without NUL, without duplicate
 *       members, and without numbers that overflow. The memory it takes is at most 256 times its length and 64 kB; it is wiped.
 *   J2  written text never holds <, >, &, U+2028 or U+2029 unescaped, so that it may stand inside a script element.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ground/base/span.h"

enum { JSON_DEPTH_MAX = 32, JSON_FIELDS_MAX = 64 };

/* --- Reading ------------------------------------------------------------------------------------------------------- */

struct json_doc;

/*
 * Parse text, which must be one object or array and nothing else. ERR_LIMIT "too_large" past max_bytes; ERR_INVALID
 * "bad_json" or "too_deep". Free with AUTO(json_doc_free) or by hand; spans taken from it live as long.
 */
RESULT json_parse(struct span text, size_t max_bytes, struct json_doc **ret_doc);
void json_doc_free(struct json_doc **doc); /* NULL inside is fine */

/* A view; copy it freely, but call json_object_end on the copy that did the reading. */
struct json_object {
    const void *members;
    const char *seen[JSON_FIELDS_MAX];
    size_t seen_count;
    char pointer[ERR_POINTER_MAX];
};

struct json_array {
    const void *items;
    size_t count;
    char pointer[ERR_POINTER_MAX];
};

RESULT json_root(const struct json_doc *doc, struct json_object *ret_object);
RESULT json_root_array(const struct json_doc *doc, size_t count_max, struct json_array *ret_array);

/*
 * json_need_*: the member must be there. json_opt_*: when it is absent or null, OK and *ret_value is left as it was, so set
 * the default first. Texts are 0..bytes_max bytes, terminated, free of NUL. An object may be asked for at most
 * JSON_FIELDS_MAX different members.
 */
RESULT json_need_text(struct json_object *o, const char *key, size_t bytes_max,
                      struct span *ret_text);
RESULT json_opt_text(struct json_object *o, const char *key, size_t bytes_max,
                     struct span *ret_text);
RESULT json_need_i64(struct json_object *o, const char *key, int64_t min, int64_t max,
                     int64_t *ret_value);
RESULT json_opt_i64(struct json_object *o, const char *key, int64_t min, int64_t max,
                    int64_t *ret_value);
/* Any number, times scale, rounded to a whole one: 12.25 at scale 4 is 49. */
RESULT json_need_scaled(struct json_object *o, const char *key, int64_t scale, int64_t min,
                        int64_t max, int64_t *ret_value);
RESULT json_opt_scaled(struct json_object *o, const char *key, int64_t scale, int64_t min,
                       int64_t max, int64_t *ret_value);
RESULT json_need_bool(struct json_object *o, const char *key, bool *ret_value);
RESULT json_opt_bool(struct json_object *o, const char *key, bool *ret_value);
RESULT json_need_array(struct json_object *o, const char *key, size_t count_max,
                       struct json_array *ret_array);
RESULT json_opt_array(struct json_object *o, const char *key, size_t count_max,
                      struct json_array *ret_array);
RESULT json_need_object(struct json_object *o, const char *key, struct json_object *ret_object);
RESULT json_opt_object(struct json_object *o, const char *key, struct json_object *ret_object);
/* Is it there and not null? Does not count as reading it. */
bool json_has(const struct json_object *o, const char *key);
/* "#/a/key": the pointer for an error of the caller's own; out holds ERR_POINTER_MAX. */
void json_pointer(const struct json_object *o, const char *key, char *out);
/* Calls visit for each member that is a text (others are wrong_type) and marks all as read: for maps with free keys. */
RESULT json_each_text(struct json_object *o, size_t count_max, size_t bytes_max,
                      enum err (*visit)(void *context, struct span key, struct span value),
                      void *context);
/* ERR_INVALID "unknown_field" when a member was never read: nobody assigns what was not offered. */
RESULT json_object_end(const struct json_object *o);

/* Elements; index < count is the caller's duty (asserted). */
RESULT json_item_text(const struct json_array *a, size_t index, size_t bytes_max,
                      struct span *ret_text);
RESULT json_item_i64(const struct json_array *a, size_t index, int64_t min, int64_t max,
                     int64_t *ret_value);
RESULT json_item_object(const struct json_array *a, size_t index, struct json_object *ret_object);
RESULT json_item_array(const struct json_array *a, size_t index, size_t count_max,
                       struct json_array *ret_array);

/* --- Writing ------------------------------------------------------------------------------------------------------- */

enum { JSON_WRITE_DEPTH_MAX = 32 };

/* Sticky, like the buf beneath: write freely, check once with json_w_finish. Allocates nothing but what the buf does. */
struct json_writer {
    struct buf *out;
    uint32_t arrays;   /* bit d: level d is an array */
    uint32_t nonempty; /* bit d: level d has a value already */
    uint8_t depth;
    bool after_key, done, failed;
};

void json_w_init(struct json_writer *w, struct buf *out);
/* ERR_INVALID "bad_text" when a text was not UTF-8 or the calls did not make one whole value; ERR_LIMIT from the buf. */
RESULT json_w_finish(const struct json_writer *w);
void json_w_object(struct json_writer *w);
void json_w_array(struct json_writer *w);
void json_w_end(struct json_writer *w); /* closes the innermost object or array */
void json_w_key(struct json_writer *w, const char *key);
void json_w_text(struct json_writer *w, struct span text);
void json_w_cstr(struct json_writer *w, const char *text); /* NULL writes null */
void json_w_i64(struct json_writer *w, int64_t value);
void json_w_bool(struct json_writer *w, bool value);
void json_w_null(struct json_writer *w);
/* Bytes that are already one JSON value. */
void json_w_raw(struct json_writer *w, struct span json);

/* Key and value in one call. */
void json_w_kv_text(struct json_writer *w, const char *key, struct span text);
void json_w_kv_cstr(struct json_writer *w, const char *key, const char *text);
void json_w_kv_i64(struct json_writer *w, const char *key, int64_t value);
void json_w_kv_bool(struct json_writer *w, const char *key, bool value);
void json_w_kv_time(struct json_writer *w, const char *key, int64_t at_ms); /* RFC 3339 text */
void json_w_kv_object(struct json_writer *w, const char *key);
void json_w_kv_array(struct json_writer *w, const char *key);

#endif
