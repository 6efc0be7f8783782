/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/http/parse.h"

#include <string.h>

#include "ground/base/utf8.h"

enum { IN_LINE, LINE_CR, FIELD_START, IN_FIELD, FIELD_CR, END_CR, ENDED };

/*
 * What a byte may be part of: TOKEN of RFC 9110, PATH and QUERY of RFC 3986 (unencoded), LINE of a request line, FIELD of a field
 * line. Computed once and written down, because every byte of a head is asked about; test_parse.c says what it must be.
 */
enum { TOKEN = 1, PATH = 2, QUERY = 4, HEX = 8, LINE = 16, FIELD = 32 };

/* clang-format off */
static const uint8_t classes[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    48, 55, 48, 49, 55, 49, 55, 55, 54, 54, 55, 55, 54, 55, 55, 52,
    63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 54, 52, 48, 54, 48, 52,
    54, 63, 63, 63, 63, 63, 63, 55, 55, 55, 55, 55, 55, 55, 55, 55,
    55, 55, 55, 55, 55, 55, 55, 55, 55, 55, 55, 48, 48, 48, 49, 55,
    49, 63, 63, 63, 63, 63, 63, 55, 55, 55, 55, 55, 55, 55, 55, 55,
    55, 55, 55, 55, 55, 55, 55, 55, 55, 55, 55, 48, 49, 48, 55, 0,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
};
/* clang-format on */

static uint8_t class_of(uint8_t c)
{
    return classes[c];
}

/* A byte inside the request line or a field line: 0 or a status. */
static int judge_byte(const struct http_scan *scan, uint8_t c)
{
    return class_of(c) & (scan->state == IN_LINE ? LINE : FIELD) ? 0 : 400;
}

static int judge_length(const struct http_scan *scan)
{
    if (scan->state == IN_LINE)
        return scan->line > HTTP_LINE_MAX ? 414 : 0;
    return scan->head > HTTP_FIELD_BYTES_MAX || scan->lines > HTTP_FIELDS_MAX ? 431 : 0;
}

/* One byte; state moves on. 0 or a status. */
static int scan_byte(struct http_scan *scan, uint8_t c)
{
    switch (scan->state) {
    case LINE_CR:
    case FIELD_CR:
        if (c != '\n')
            return 400;
        scan->head += scan->state == FIELD_CR;
        scan->lines++;
        scan->line = 0;
        scan->state = FIELD_START;
        return 0;
    case END_CR:
        scan->state = ENDED;
        return c == '\n' ? 0 : 400;
    case FIELD_START:
        if (c == '\r') {
            scan->state = END_CR;
            return 0;
        }
        if (c == ' ' || c == '\t' || c == ':')
            return 400; /* folding, or a field without a name */
        scan->state = IN_FIELD;
        break;
    default:
        break;
    }
    if (scan->state == IN_FIELD)
        scan->head++;
    if (c == '\r') {
        if (scan->line == 0)
            return 400; /* an empty line before the request line */
        scan->state = scan->state == IN_LINE ? LINE_CR : FIELD_CR;
        return 0;
    }
    scan->line++;
    int status = judge_byte(scan, c);
    return status ? status : judge_length(scan);
}

/* Bytes from here that only count: lawful inside their line, and within what a head may have. */
static size_t plain_bytes(const struct http_scan *scan, struct span bytes)
{
    uint8_t class = scan->state == IN_LINE ? LINE : FIELD;
    size_t left = bytes.len - scan->at, max = 0, n = 0;

    if (scan->state == IN_LINE && scan->line < HTTP_LINE_MAX)
        max = HTTP_LINE_MAX - scan->line;
    else if (scan->state == IN_FIELD && scan->lines <= HTTP_FIELDS_MAX &&
             scan->head < HTTP_FIELD_BYTES_MAX)
        max = HTTP_FIELD_BYTES_MAX - scan->head;
    if (max > left)
        max = left;
    while (n < max && class_of(bytes.data[scan->at + n]) & class)
        n++;
    return n;
}

static void skip_plain(struct http_scan *scan, struct span bytes)
{
    size_t n = plain_bytes(scan, bytes);

    scan->at += n;
    scan->line += n;
    if (scan->state == IN_FIELD)
        scan->head += n;
}

int http_scan(struct http_scan *scan, struct span bytes)
{
    while (scan->at < bytes.len) {
        skip_plain(scan, bytes);
        if (scan->at == bytes.len)
            break;
        int status = scan_byte(scan, bytes.data[scan->at]);
        if (status)
            return status;
        scan->at++;
        if (scan->state == ENDED)
            return HTTP_SCAN_COMPLETE;
    }
    return HTTP_SCAN_MORE;
}

struct reader {
    struct arena *arena;
    struct http_request *request;
    const char *why;
    bool has_length, has_coding;
    uint32_t seen; /* fields that may come once, by their place in once[] */
};

#define REFUSE(reader, status, words)                                                              \
    do {                                                                                           \
        (reader)->why = (words);                                                                   \
        return (status);                                                                           \
    } while (0)

static const char *const method_names[HTTP_METHOD_COUNT] = {
    [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",      [HTTP_PUT] = "PUT",
    [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS"};

const char *http_method_name(enum http_method method)
{
    return method_names[method];
}

static bool all_of(struct span s, uint8_t class)
{
    for (size_t i = 0; i < s.len; i++)
        if (!(class_of(s.data[i]) & class))
            return false;
    return s.len > 0;
}

static int read_method(struct reader *r, struct span word)
{
    if (!all_of(word, TOKEN))
        REFUSE(r, 400, "The method is not a token.");
    for (size_t i = 0; i < HTTP_METHOD_COUNT; i++) {
        if (span_eq_text(word, method_names[i])) {
            r->request->method = (enum http_method)i;
            return 0;
        }
    }
    if (span_eq_text(word, "TRACE") || span_eq_text(word, "CONNECT"))
        REFUSE(r, 405, "This method is not allowed here.");
    REFUSE(r, 501, "This method is not known.");
}

static unsigned hex_value(uint8_t c)
{
    return c <= '9' ? c - (unsigned)'0' : (c | 0x20u) - 'a' + 10u;
}

/* Decode once into the arena; raw bytes must be of the class, decoded ones must be text without controls. */
static int decode(struct reader *r, struct span raw, uint8_t class, bool plus_is_space,
                  struct span *ret_text)
{
    uint8_t *out = arena_alloc(r->arena, raw.len + 1);
    size_t len = 0;

    if (!out)
        REFUSE(r, 431, "The head is too large to be held.");
    for (size_t i = 0; i < raw.len; i++) {
        uint8_t c = raw.data[i];
        if (c == '%') {
            if (i + 2 >= raw.len || !(class_of(raw.data[i + 1]) & HEX) ||
                !(class_of(raw.data[i + 2]) & HEX))
                REFUSE(r, 400, "A percent sign is not followed by two hex digits.");
            c = (uint8_t)(hex_value(raw.data[i + 1]) << 4 | hex_value(raw.data[i + 2]));
            i += 2;
            if (c < 0x20 || c == 0x7f)
                REFUSE(r, 400, "A control character is encoded in the target.");
            if (class == PATH && strchr("/\\%;", c))
                REFUSE(r, 400, "A delimiter is encoded in the path.");
        } else if (!(class_of(c) & class)) {
            REFUSE(r, 400, "The target holds a byte that must be percent-encoded.");
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        out[len++] = c;
    }
    *ret_text = span_of(out, len);
    if (!utf8_valid(*ret_text))
        REFUSE(r, 400, "The target does not decode to UTF-8.");
    return 0;
}

static int read_segment(struct reader *r, struct span raw, bool last, uint8_t **at)
{
    struct http_request *q = r->request;
    struct span text;
    int status;

    if (raw.len == 0 && !last)
        REFUSE(r, 400, "The path holds an empty segment.");
    if ((status = decode(r, raw, PATH, false, &text)))
        return status;
    if (span_eq_text(text, ".") || span_eq_text(text, ".."))
        REFUSE(r, 400, "The path holds a dot segment.");
    if (q->segment_count == HTTP_SEGMENTS_MAX)
        REFUSE(r, 414, "The path has too many segments.");
    *(*at)++ = '/';
    if (text.len)
        memcpy(*at, text.data, text.len);
    q->segments[q->segment_count++] = span_of(*at, text.len);
    *at += text.len;
    return 0;
}

static int read_path(struct reader *r, struct span raw)
{
    uint8_t *path = arena_alloc(r->arena, raw.len + 1), *at = path;
    if (!path)
        REFUSE(r, 431, "The head is too large to be held.");
    r->request->segment_count = 0;
    if (raw.len == 1) {
        *at++ = '/';
    } else {
        struct span rest = span_sub(raw, 1, raw.len - 1);
        for (;;) {
            size_t slash = span_find(rest, '/');
            int status = read_segment(r, span_sub(rest, 0, slash), slash == rest.len, &at);
            if (status)
                return status;
            if (slash == rest.len)
                break;
            rest = span_sub(rest, slash + 1, rest.len - slash - 1);
        }
    }
    r->request->path = span_of(path, (size_t)(at - path));
    return 0;
}

static int read_param(struct reader *r, struct span raw)
{
    struct http_request *q = r->request;
    size_t equals = span_find(raw, '=');
    struct http_field param = {.value = SPAN_LIT("")};
    int status;

    if (equals == 0)
        REFUSE(r, 400, "A query parameter has no name.");
    if (q->param_count == HTTP_PARAMS_MAX)
        REFUSE(r, 400, "There are too many query parameters.");
    if ((status = decode(r, span_sub(raw, 0, equals), QUERY, true, &param.name)))
        return status;
    if (equals < raw.len && (status = decode(r, span_sub(raw, equals + 1, raw.len - equals - 1),
                                             QUERY, true, &param.value)))
        return status;
    for (size_t i = 0; i < q->param_count; i++)
        if (span_eq(q->params[i].name, param.name))
            REFUSE(r, 400, "A query parameter comes twice.");
    q->params[q->param_count++] = param;
    return 0;
}

static int read_target(struct reader *r, struct span target)
{
    size_t mark = span_find(target, '?');
    int status;

    r->request->target = target;
    r->request->param_count = 0;
    if (target.len == 0 || target.data[0] != '/')
        REFUSE(r, 400, "The target is not a path.");
    if ((status = read_path(r, span_sub(target, 0, mark))))
        return status;
    if (mark == target.len || mark + 1 == target.len)
        return 0;
    struct span rest = span_sub(target, mark + 1, target.len - mark - 1);
    for (;;) {
        size_t amp = span_find(rest, '&');
        if ((status = read_param(r, span_sub(rest, 0, amp))))
            return status;
        if (amp == rest.len)
            return 0;
        rest = span_sub(rest, amp + 1, rest.len - amp - 1);
    }
}

/* Digits only, no leading zero, short enough not to overflow anything. */
static int read_length(struct reader *r, struct span value)
{
    uint64_t n = 0;
    if (value.len == 0 || value.len > 15 || (value.len > 1 && value.data[0] == '0'))
        REFUSE(r, 400, "Content-Length is not a plain number.");
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            REFUSE(r, 400, "Content-Length is not a plain number.");
        n = n * 10 + (value.data[i] - '0');
    }
    r->request->content_length = n;
    r->has_length = true;
    return 0;
}

/* name, "[v6]" or either with ":port". */
static int read_host(struct reader *r, struct span value)
{
    struct span rest = value;
    size_t colon;

    r->request->host = value;
    if (rest.len > 255)
        REFUSE(r, 400, "Host is too long.");
    if (rest.len > 0 && rest.data[0] == '[') {
        size_t end = span_find(rest, ']');
        struct http_address address;
        if (end == rest.len || http_address_parse(span_sub(rest, 1, end - 1), &address) != OK)
            REFUSE(r, 400, "Host is not a host.");
        rest = span_sub(rest, end + 1, rest.len - end - 1);
        colon = 0;
    } else {
        colon = span_find(rest, ':');
        for (size_t i = 0; i < colon; i++)
            if (!(class_of(rest.data[i]) & HEX) &&
                !((rest.data[i] | 0x20) >= 'a' && (rest.data[i] | 0x20) <= 'z') &&
                rest.data[i] != '-' && rest.data[i] != '.')
                REFUSE(r, 400, "Host is not a host.");
        if (colon == 0)
            REFUSE(r, 400, "Host is empty.");
    }
    if (colon == rest.len)
        return 0;
    struct span port = span_sub(rest, colon + 1, rest.len - colon - 1);
    uint64_t number;
    if (rest.data[colon] != ':' || text_to_u64(port, &number) != OK || number > 65535)
        REFUSE(r, 400, "Host has a bad port.");
    return 0;
}

static void read_connection(struct reader *r, struct span value)
{
    while (value.len > 0) {
        size_t comma = span_find(value, ',');
        struct span word = span_sub(value, 0, comma);
        while (word.len > 0 && (word.data[0] == ' ' || word.data[0] == '\t'))
            word = span_sub(word, 1, word.len - 1);
        while (word.len > 0 && (word.data[word.len - 1] == ' ' || word.data[word.len - 1] == '\t'))
            word.len--;
        if (span_ieq_text(word, "close"))
            r->request->keep_alive = false;
        value = span_sub(value, comma + 1, value.len - comma);
    }
}

/* Fields whose second copy would let two readers disagree. The first five have meaning here. */
#define ONCE(name)                                                                                 \
    {                                                                                              \
        name, sizeof(name) - 1                                                                     \
    }
static const struct {
    const char *name;
    size_t len;
} once[] = {ONCE("Host"),           ONCE("Content-Length"), ONCE("Transfer-Encoding"),
            ONCE("Expect"),         ONCE("Content-Type"),   ONCE("Authorization"),
            ONCE("Cookie"),         ONCE("Origin"),         ONCE("Idempotency-Key"),
            ONCE("If-Match"),       ONCE("If-None-Match"),  ONCE("Last-Event-ID"),
            ONCE("Sec-Fetch-Site"), ONCE("X-CSRF-Token"),   ONCE("Content-Encoding"),
            ONCE("Referer"),        ONCE("User-Agent"),     ONCE("X-Forwarded-Proto"),
            ONCE("DPoP"),           ONCE("Range")};
#undef ONCE
enum { F_HOST, F_LENGTH, F_CODING, F_EXPECT };
_Static_assert(COUNT_OF(once) <= 32, "seen is a 32-bit set");

static int read_field(struct reader *r, struct span line)
{
    struct http_request *q = r->request;
    size_t colon = span_find(line, ':');
    struct http_field f = {.name = span_sub(line, 0, colon)};

    if (colon == line.len || !all_of(f.name, TOKEN))
        REFUSE(r, 400, "A field name is not a token followed by a colon.");
    /* Why: proxies turn '_' into '-' or drop it; a name that changes on the way may frame another request. */
    if (memchr(f.name.data, '_', f.name.len))
        REFUSE(r, 400, "Underscores are not taken in field names.");
    f.value = span_sub(line, colon + 1, line.len - colon - 1);
    while (f.value.len > 0 && (f.value.data[0] == ' ' || f.value.data[0] == '\t'))
        f.value = span_sub(f.value, 1, f.value.len - 1);
    while (f.value.len > 0 &&
           (f.value.data[f.value.len - 1] == ' ' || f.value.data[f.value.len - 1] == '\t'))
        f.value.len--;
    q->fields[q->field_count++] = f;
    for (size_t i = 0; i < COUNT_OF(once); i++) {
        if (f.name.len != once[i].len || !span_ieq_text(f.name, once[i].name))
            continue;
        if (r->seen & (1u << i))
            REFUSE(r, 400, "A field that may come once comes twice.");
        r->seen |= 1u << i;
        if (i == F_HOST)
            return read_host(r, f.value);
        if (i == F_LENGTH)
            return read_length(r, f.value);
        r->has_coding |= i == F_CODING;
        return 0;
    }
    if (span_ieq_text(f.name, "Connection"))
        read_connection(r, f.value);
    return 0;
}

static int read_version(struct reader *r, struct span word)
{
    if (word.len != 8 || !span_starts(word, "HTTP/") || word.data[6] != '.')
        REFUSE(r, 400, "The protocol version is not HTTP/1.1.");
    if (span_eq_text(word, "HTTP/1.1")) {
        r->request->keep_alive = true;
        return 0;
    }
    r->request->keep_alive = false;
    if (span_eq_text(word, "HTTP/1.0"))
        return 0;
    REFUSE(r, 505, "Only HTTP/1.1 is spoken here.");
}

static int read_lines(struct reader *r, struct span head)
{
    struct span words[3], line = {.data = head.data};
    int status;

    line.len = span_find(head, '\r');
    struct span rest = span_sub(head, line.len + 2, head.len - line.len - 4);
    for (size_t i = 0; i < 3; i++) {
        size_t end = i < 2 ? span_find(line, ' ') : line.len;
        words[i] = span_sub(line, 0, end);
        if (i < 2 && end == line.len)
            REFUSE(r, 400, "The request line is not method, target and version.");
        line = span_sub(line, end + 1, line.len - end);
    }
    if ((status = read_version(r, words[2])))
        return status;
    while (rest.len > 0) {
        size_t end = span_find(rest, '\r');
        if ((status = read_field(r, span_sub(rest, 0, end))))
            return status;
        rest = span_sub(rest, end + 2, rest.len - end - 2);
    }
    /* What frames the message is judged before what it means. */
    if (r->has_coding && r->has_length)
        REFUSE(r, 400, "Content-Length and Transfer-Encoding come together.");
    if (!(r->seen & 1u << F_HOST))
        REFUSE(r, 400, "There is no Host.");
    if (r->has_coding)
        REFUSE(r, 501, "Transfer-Encoding is not taken; send a Content-Length.");
    if ((status = read_method(r, words[0])))
        return status;
    if ((r->request->method == HTTP_GET || r->request->method == HTTP_HEAD) &&
        r->request->content_length > 0)
        REFUSE(r, 400, "This method has no body.");
    if (r->seen & 1u << F_EXPECT)
        REFUSE(r, 417, "Expect is not taken.");
    return read_target(r, words[1]);
}

int http_parse(struct span head, struct arena *arena, struct http_request *ret_request,
               const char **ret_why)
{
    struct reader r = {.arena = arena, .request = ret_request};
    INVARIANT(head.len >= 4 && head.len <= HTTP_HEAD_MAX, "the head was scanned");
    ret_request->field_count = 0;
    ret_request->content_length = 0;
    int status = read_lines(&r, head);
    *ret_why = r.why;
    return status;
}
