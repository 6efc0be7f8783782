/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_ENCODE_JSON_ORACLE_H
#define GROUND_ENCODE_JSON_ORACLE_H

/* json_oracle - what jansson makes of the same bytes; for the tests of this room. */
#include <jansson.h>
#include <string.h>

#include "ground/encode/json_read.h"

static inline bool json_same(const struct json_node *a, const json_t *b)
{
    size_t i = 0;

    switch (a->type) {
    case NODE_NULL:
        return json_is_null(b);
    case NODE_BOOL:
        return json_is_boolean(b) && json_is_true(b) == a->yes;
    case NODE_INT:
        return json_is_integer(b) && json_integer_value(b) == a->number;
    case NODE_REAL:
        return json_is_real(b) &&
               memcmp(&(double){json_real_value(b)}, &a->real, sizeof a->real) == 0;
    case NODE_TEXT:
        return json_is_string(b) && a->text.data[a->text.len] == 0 &&
               span_eq(a->text, span_of(json_string_value(b), json_string_length(b)));
    case NODE_ARRAY:
        if (!json_is_array(b) || json_array_size(b) != a->count)
            return false;
        for (; i < a->count; i++)
            if (!json_same(&a->inside[i], json_array_get(b, i)))
                return false;
        return true;
    case NODE_OBJECT:
        if (!json_is_object(b) || json_object_size(b) != a->count)
            return false;
        for (void *at = json_object_iter((json_t *)(uintptr_t)b); at;
             at = json_object_iter_next((json_t *)(uintptr_t)b, at), i++)
            if (!span_eq_text(a->inside[i].key, json_object_iter_key(at)) ||
                !json_same(&a->inside[i], json_object_iter_value(at)))
                return false;
        return true;
    }
    return false;
}

/*
 * Both read the same, or both refuse. How deep it goes is our own limit. A NUL is nowhere lawful; why jansson is not asked: it passes
 * over one behind a number.
 */
static inline bool json_oracle_agrees(struct span text)
{
    struct json_doc *doc = NULL;
    enum err code = json_parse(text, SIZE_MAX, &doc);
    bool too_deep = code != OK && strcmp(err_last()->slug, "too_deep") == 0;

    if (span_find(text, 0) < text.len) {
        json_doc_free(&doc);
        return code != OK;
    }
    json_t *theirs = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    bool same = too_deep || (doc && theirs ? json_same(&doc->root, theirs) : !doc && !theirs);

    json_decref(theirs);
    json_doc_free(&doc);
    return same;
}

#endif
