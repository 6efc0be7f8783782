/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_read - text to tree, in one pass over the bytes and one piece of memory.
 *
 * A first look counts what can be a value at most (the root, what follows an opening bracket, what follows a comma) and how deep it
 * goes, so that everything has its room before it is read: nodes, a stack of the same size on which the elements of open
 * arrays and objects wait until they are complete and are put side by side, and the texts, which never grow when their escapes
 * are read. Each byte is judged by RFC 8259; what that leaves open is refused (J1 in json.h).
 *
 * Why our own: every request, answer of the provider and webhook is read, and a general tree with a table and a reference count for
 * each value cost a quarter of what the loops computed. jansson gives the second opinion in test_json.c and fuzz_json.c.
 */
#include "ground/encode/json_read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ground/base/utf8.h"

enum { FEW_MEMBERS = 48, LINE_MAX = 1 << 30 };

struct reader {
    const uint8_t *at, *end;
    struct json_node *nodes, *stack;
    size_t node_count, stack_count, max;
    char *out; /* where the next text goes */
};

/* --- The first look -------------------------------------------------------------------------------------------------- */

/* At most so many values; ERR_INVALID "too_deep". */
static enum err survey(struct span text, size_t *ret_values)
{
    size_t depth = 0, values = 1;
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
        } else if (c == ',') {
            values++;
        } else if (c == '[' || c == '{') {
            ENSURE(++depth <= JSON_DEPTH_MAX, ERR_INVALID, "too_deep",
                   "JSON is nested at most %d levels.", JSON_DEPTH_MAX);
            values++;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    *ret_values = values;
    return OK;
}

/* --- Texts ----------------------------------------------------------------------------------------------------------- */

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits. */
static bool read_unit(struct reader *r, uint32_t *ret_unit)
{
    uint32_t unit = 0;

    if (r->end - r->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        int v = hex_value(*r->at++);
        if (v < 0)
            return false;
        unit = unit << 4 | (uint32_t)v;
    }
    *ret_unit = unit;
    return true;
}

/* After "\u". A pair of surrogates is one code point; half of one is none. */
static bool read_code_point(struct reader *r, uint32_t *ret_point)
{
    uint32_t high, low;

    if (!read_unit(r, &high))
        return false;
    if (high < 0xd800 || high > 0xdfff) {
        *ret_point = high;
        return high != 0; /* texts are free of NUL */
    }
    if (high > 0xdbff || r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u')
        return false;
    r->at += 2;
    if (!read_unit(r, &low) || low < 0xdc00 || low > 0xdfff)
        return false;
    *ret_point = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static void put_code_point(struct reader *r, uint32_t p)
{
    if (p < 0x80) {
        *r->out++ = (char)p;
    } else if (p < 0x800) {
        *r->out++ = (char)(0xc0 | p >> 6);
        *r->out++ = (char)(0x80 | (p & 0x3f));
    } else if (p < 0x10000) {
        *r->out++ = (char)(0xe0 | p >> 12);
        *r->out++ = (char)(0x80 | (p >> 6 & 0x3f));
        *r->out++ = (char)(0x80 | (p & 0x3f));
    } else {
        *r->out++ = (char)(0xf0 | p >> 18);
        *r->out++ = (char)(0x80 | (p >> 12 & 0x3f));
        *r->out++ = (char)(0x80 | (p >> 6 & 0x3f));
        *r->out++ = (char)(0x80 | (p & 0x3f));
    }
}

/* After the backslash. */
static bool read_escape(struct reader *r)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint32_t point;

    if (r->at == r->end)
        return false;
    uint8_t c = *r->at++;
    if (c == 'u') {
        if (!read_code_point(r, &point))
            return false;
        put_code_point(r, point);
        return true;
    }
    const char *known = c ? strchr(from, c) : NULL;
    if (!known)
        return false;
    *r->out++ = to[known - from];
    return true;
}

/* Bytes that stand for themselves; *ret_high: some of them are not ASCII. */
static void copy_plain(struct reader *r, bool *ret_high)
{
    const uint8_t *from = r->at;
    uint8_t all = 0;

    while (r->at < r->end && *r->at >= 0x20 && *r->at != '"' && *r->at != '\\')
        all |= *r->at++;
    memcpy(r->out, from, (size_t)(r->at - from));
    r->out += r->at - from;
    *ret_high |= all >= 0x80;
}

/* At the opening quote. Escapes make whole characters, so the result is UTF-8 when the bytes between them are. */
static bool read_text(struct reader *r, struct span *ret_text)
{
    const char *begin = r->out;
    bool high = false;

    r->at++;
    for (;;) {
        copy_plain(r, &high);
        if (r->at == r->end || *r->at < 0x20)
            return false;
        if (*r->at++ == '"')
            break;
        if (!read_escape(r))
            return false;
    }
    *ret_text = span_of(begin, (size_t)(r->out - begin));
    *r->out++ = '\0';
    return !high || utf8_valid(*ret_text);
}

/* --- Numbers --------------------------------------------------------------------------------------------------------- */

static bool is_digit(const struct reader *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

static bool skip_digits(struct reader *r)
{
    bool some = is_digit(r);

    while (is_digit(r))
        r->at++;
    return some;
}

/* The digits from `from`; false when they are more than 64 bits hold. */
static bool read_whole(const uint8_t *from, const uint8_t *to, bool negative, int64_t *ret_number)
{
    uint64_t n = 0, max = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;

    for (; from < to; from++) {
        unsigned digit = (unsigned)(*from - '0');
        if (n > (max - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *ret_number = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

/* Why strtod: drawings have fractions (json.h), and rounding them rightly is not to be written again. Terminated in what is left for texts. */
static bool read_real(struct reader *r, const uint8_t *from, double *ret_real)
{
    size_t len = (size_t)(r->at - from);

    memcpy(r->out, from, len);
    r->out[len] = '\0';
    *ret_real = strtod(r->out, NULL); /* Why: as above */
    return isfinite(*ret_real);
}

static bool read_number(struct reader *r, struct json_node *v)
{
    const uint8_t *from = r->at;
    bool negative = *r->at == '-', real = false;

    r->at += negative;
    const uint8_t *digits = r->at;
    if (is_digit(r) && *r->at == '0')
        r->at++;
    else if (!skip_digits(r))
        return false;
    const uint8_t *whole_end = r->at;
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        real = true;
        if (!skip_digits(r))
            return false;
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        r->at++;
        real = true;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
            r->at++;
        if (!skip_digits(r))
            return false;
    }
    v->type = real ? NODE_REAL : NODE_INT;
    return real ? read_real(r, from, &v->real)
                : read_whole(digits, whole_end, negative, &v->number);
}

/* --- Arrays and objects ---------------------------------------------------------------------------------------------- */

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

/* Is this the next byte that is no space? Then it is taken. */
static bool take(struct reader *r, uint8_t c)
{
    skip_space(r);
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static int by_key(const void *a, const void *b)
{
    const struct json_node *x = *(const struct json_node *const *)a,
                           *y = *(const struct json_node *const *)b;

    if (x->key.len != y->key.len)
        return x->key.len < y->key.len ? -1 : 1;
    return memcmp(x->key.data, y->key.data, x->key.len);
}

/* Sorted, so that whoever sends a hundred thousand names cannot make us compare each with each. */
static bool has_twins_sorted(const struct json_node *members, size_t count)
{
    const struct json_node **sorted = calloc(count, sizeof(*sorted));
    bool twins = !sorted; /* without memory it is refused */

    for (size_t i = 0; sorted && i < count; i++)
        sorted[i] = &members[i];
    if (sorted)
        qsort(sorted, count, sizeof(*sorted), by_key);
    for (size_t i = 1; i < count && !twins; i++)
        twins = by_key(&sorted[i - 1], &sorted[i]) == 0;
    free(sorted);
    return twins;
}

static bool has_twins(const struct json_node *members, size_t count)
{
    if (count > FEW_MEMBERS)
        return has_twins_sorted(members, count);
    for (size_t i = 1; i < count; i++)
        for (size_t k = 0; k < i; k++)
            if (span_eq(members[i].key, members[k].key))
                return true;
    return false;
}

/* What lies on the stack from `mark` on is inside v. */
static void settle(struct reader *r, struct json_node *v, size_t mark)
{
    size_t count = r->stack_count - mark;

    INVARIANT(r->node_count + count <= r->max, "values were counted before");
    v->inside = r->nodes + r->node_count;
    v->count = (uint32_t)count;
    if (count)
        memcpy(v->inside, r->stack + mark, count * sizeof *v->inside);
    r->node_count += count;
    r->stack_count = mark;
}

static bool read_value(struct reader *r, struct json_node *v);

static bool read_member(struct reader *r, struct json_node *v, bool object)
{
    if (!object)
        return read_value(r, v);
    skip_space(r);
    return r->at < r->end && *r->at == '"' && read_text(r, &v->key) && take(r, ':') &&
           read_value(r, v);
}

/* At the opening bracket. Recursion is as deep as survey let it be. */
static bool read_inside(struct reader *r, struct json_node *v)
{
    bool object = *r->at++ == '{';
    uint8_t close = object ? '}' : ']';
    size_t mark = r->stack_count;

    v->type = object ? NODE_OBJECT : NODE_ARRAY;
    if (!take(r, close)) {
        do {
            struct json_node one = {0};
            if (!read_member(r, &one, object))
                return false;
            INVARIANT(r->stack_count < r->max, "values were counted before");
            r->stack[r->stack_count++] = one;
        } while (take(r, ','));
        if (!take(r, close))
            return false;
    }
    settle(r, v, mark);
    return !object || !has_twins(v->inside, v->count);
}

static bool take_word(struct reader *r, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
        return false;
    r->at += n;
    return true;
}

static bool read_value(struct reader *r, struct json_node *v)
{
    skip_space(r);
    if (r->at == r->end)
        return false;
    switch (*r->at) {
    case '"':
        v->type = NODE_TEXT;
        return read_text(r, &v->text);
    case '{':
    case '[':
        return read_inside(r, v);
    case 't':
    case 'f':
        v->type = NODE_BOOL;
        v->yes = *r->at == 't';
        return take_word(r, v->yes ? "true" : "false");
    case 'n':
        v->type = NODE_NULL;
        return take_word(r, "null");
    default:
        return read_number(r, v);
    }
}

static bool read_root(struct reader *r, struct json_node *root)
{
    skip_space(r);
    if (r->at == r->end || (*r->at != '{' && *r->at != '[') || !read_inside(r, root))
        return false;
    skip_space(r);
    return r->at == r->end;
}

/* --- A document ------------------------------------------------------------------------------------------------------ */

/* Why the position only: the words around it are a stranger's. */
static enum err fail_at(struct span text, const uint8_t *at)
{
    int line = 1, column = 1;

    for (const uint8_t *p = text.data; p < at && line < LINE_MAX && column < LINE_MAX; p++) {
        column = *p == '\n' ? 1 : column + 1;
        line += *p == '\n';
    }
    FAIL(ERR_INVALID, "bad_json", "Not valid JSON at line %d, column %d.", line, column);
}

enum err json_parse(struct span text, size_t max_bytes, struct json_doc **ret_doc)
{
    size_t values, bytes;

    ENSURE(text.len <= max_bytes, ERR_LIMIT, "too_large", "JSON of at most %zu bytes.", max_bytes);
    ENSURE(text.len > 0, ERR_INVALID, "bad_json", "JSON is missing.");
    TRY(survey(text, &values));
    bool fits = !__builtin_mul_overflow(values, 2 * sizeof(struct json_node), &bytes) &&
                !__builtin_add_overflow(bytes, sizeof(struct json_doc) + text.len + 1, &bytes) &&
                values <= UINT32_MAX;
    struct json_doc *doc = fits ? malloc(bytes) : NULL;
    ENSURE(doc, ERR_NOMEM, "no_memory", "No memory for the document.");
    struct json_node *nodes = (struct json_node *)(doc + 1);
    *doc = (struct json_doc){.texts = (char *)(nodes + 2 * values), .text_len = text.len + 1};
    struct reader r = {.at = text.data,
                       .end = text.data + text.len,
                       .nodes = nodes,
                       .stack = nodes + values,
                       .max = values,
                       .out = doc->texts};
    if (!read_root(&r, &doc->root)) {
        doc->text_len = (size_t)(r.out - doc->texts);
        json_doc_free(&doc);
        return fail_at(text, r.at);
    }
    doc->text_len = (size_t)(r.out - doc->texts);
    *ret_doc = doc;
    return OK;
}

void json_doc_free(struct json_doc **doc)
{
    if (*doc)
        wipe((*doc)->texts, (*doc)->text_len); /* passwords pass through here */
    free(*doc);
    *doc = NULL;
}
