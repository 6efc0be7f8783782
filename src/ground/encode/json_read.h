/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_ENCODE_JSON_READ_H
#define GROUND_ENCODE_JSON_READ_H

/* json_read - the tree beneath json.h's views. For json.c only. */
#include "ground/encode/json.h"

enum node_type { NODE_NULL, NODE_BOOL, NODE_INT, NODE_REAL, NODE_TEXT, NODE_ARRAY, NODE_OBJECT };

struct json_node {
    enum node_type type;
    uint32_t count;  /* of what is inside */
    struct span key; /* of a member: terminated, free of NUL */
    union {
        bool yes;
        int64_t number;
        double real;
        struct span text;         /* terminated, free of NUL */
        struct json_node *inside; /* elements or members in order, side by side */
    };
};

/* One block: this, its nodes, its texts. */
struct json_doc {
    struct json_node root;
    size_t text_len; /* bytes of texts, which end the block */
    char *texts;
};

#endif
