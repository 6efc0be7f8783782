/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/cli/settings.h"

#include <ini.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 65536 };

enum check { CHECK_any, CHECK_address, CHECK_origin, CHECK_number, CHECK_onoff, CHECK_file };

static const struct setting_info {
    const char *section, *key, *value, *comment;
    enum check check;
    size_t offset;
} table[] = {
#define SETTING(section, key, value, check, comment)                                               \
    {#section, #key, value, comment, CHECK_##check, offsetof(struct settings, section##_##key)},
#include "reach/cli/settings.def"
#undef SETTING
};

static char *slot(struct settings *s, const struct setting_info *info)
{
    return (char *)s + info->offset;
}

void settings_defaults(struct settings *s)
{
    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < COUNT_OF(table); i++)
        (void)snprintf(slot(s, &table[i]), SETTING_MAX, "%s", table[i].value);
}

bool setting_on(const char *value)
{
    return strcmp(value, "on") == 0;
}

int64_t setting_number(const char *value)
{
    int64_t n = 0;
    return text_to_i64(span_text(value), &n) == OK ? n : 0;
}

enum err setting_address(const char *value, char *ret_host, size_t host_size, uint16_t *ret_port)
{
    const char *colon = strrchr(value, ':');
    struct span host;
    uint64_t port;

    ENSURE(colon, ERR_INVALID, "bad_address",
           "An address looks like 127.0.0.1:8080 or [::1]:8080.");
    host = span_of(value, (size_t)(colon - value));
    if (host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']')
        host = span_sub(host, 1, host.len - 2);
    ENSURE(host.len > 0 && host.len < host_size && text_to_u64(span_text(colon + 1), &port) == OK &&
               port <= 65535,
           ERR_INVALID, "bad_address", "An address looks like 127.0.0.1:8080 or [::1]:8080.");
    TRY(span_to_text(host, ret_host, host_size));
    *ret_port = (uint16_t)port;
    return OK;
}

static bool origin_ok(const char *v)
{
    const char *rest = strncmp(v, "https://", 8) == 0  ? v + 8
                       : strncmp(v, "http://", 7) == 0 ? v + 7
                                                       : NULL;
    return rest && *rest && !strpbrk(rest, "/?# \t@");
}

static const char *what_is_wrong(enum check check, const char *value)
{
    char host[64];
    uint16_t port;
    int64_t n;

    if (!value[0])
        return NULL;
    switch (check) {
    case CHECK_address:
        return setting_address(value, host, sizeof host, &port) == OK
                   ? NULL
                   : "is not an address such as 127.0.0.1:8080";
    case CHECK_origin:
        return origin_ok(value) ? NULL
                                : "is not an origin such as https://tickets.example.org (no path, "
                                  "no slash at the end)";
    case CHECK_number:
        return text_to_i64(span_text(value), &n) == OK && n >= 0 && n <= 1000000
                   ? NULL
                   : "is not a number";
    case CHECK_onoff:
        return strcmp(value, "on") == 0 || strcmp(value, "off") == 0 ? NULL
                                                                     : "is neither on nor off";
    case CHECK_any:
    case CHECK_file:
        break;
    }
    return NULL;
}

/* What the ini reader carries along: the text, and where it is. */
struct reading {
    struct settings *settings;
    struct span rest;
    int line;
    bool seen[COUNT_OF(table)];
    int bad_line;
    char sentence[200];
};

static int refuse(struct reading *r, const char *name, const char *why)
{
    if (r->bad_line) /* the first mistake is the one to mend */
        return 0;
    r->bad_line = r->line;
    (void)snprintf(r->sentence, sizeof r->sentence, "%s %s", name, why);
    return 0;
}

static char *next_line(char *out, int size, void *stream)
{
    struct reading *r = stream;
    size_t n = span_find(r->rest, '\n');

    if (r->rest.len == 0 || size < 2)
        return NULL;
    size_t take = n < r->rest.len ? n + 1 : n;
    size_t copy = take < (size_t)size - 1 ? take : (size_t)size - 1;
    memcpy(out, r->rest.data, copy);
    out[copy] = '\0';
    r->rest = span_sub(r->rest, take, r->rest.len);
    r->line++;
    /* Never read a part of a value as the whole. What is cut from a comment is no loss. */
    if (copy < take && out[strspn(out, " \t")] != ';' && out[strspn(out, " \t")] != '#')
        (void)refuse(r, "this line", "is too long");
    return out;
}

static int take(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;
    const char *wrong;

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (strcmp(table[i].section, section) != 0 || strcmp(table[i].key, name) != 0)
            continue;
        if (r->seen[i])
            return refuse(r, name, "is given twice");
        if (strlen(value) >= SETTING_MAX)
            return refuse(r, name, "is too long");
        wrong = what_is_wrong(table[i].check, value);
        if (wrong)
            return refuse(r, name, wrong);
        r->seen[i] = true;
        (void)snprintf(slot(r->settings, &table[i]), SETTING_MAX, "%s", value);
        return 1;
    }
    return refuse(r, name, "is not a setting of this section");
}

static enum err read_file(const char *path, struct buf *out)
{
    char block[4096];
    size_t n;
    FILE *f = fopen(path, "re");

    ENSURE(f, ERR_NOT_FOUND, "no_settings", "%s cannot be read. Make it with gatehouse init.",
           path);
    buf_init(out, FILE_MAX);
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        buf_put(out, block, n);
    bool bad = ferror(f) != 0;
    (void)fclose(f);
    ENSURE(!bad, ERR_IO, "disk_failed", "%s cannot be read.", path);
    return buf_check(out);
}

enum err settings_load(const char *path, struct settings *ret_settings)
{
    AUTO(buf_done) struct buf text = {0};
    struct reading r = {.settings = ret_settings};
    const char *base = strrchr(path, '/');

    settings_defaults(ret_settings);
    TRY(read_file(path, &text));
    r.rest = buf_span(&text);
    int at = ini_parse_stream(next_line, &r, take, &r);
    base = base ? base + 1 : path;
    if (r.bad_line)
        FAIL(ERR_INVALID, "bad_setting", "%s:%d: %s.", base, r.bad_line, r.sentence);
    ENSURE(at == 0, ERR_INVALID, "bad_setting",
           "%s:%d: this line is neither [section], key = value nor a comment.", base, at);
    return OK;
}

void settings_write(const struct settings *s, struct buf *out)
{
    const char *section = "";

    buf_put_text(
        out, "; Settings of this Gatehouse. Read at start; a mistake is named with its line.\n");
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (strcmp(section, table[i].section) != 0) {
            section = table[i].section;
            buf_printf(out, "\n[%s]\n", section);
        }
        buf_printf(out, "; %s\n%s = %s\n", table[i].comment, table[i].key,
                   slot((struct settings *)s, &table[i]));
    }
}
