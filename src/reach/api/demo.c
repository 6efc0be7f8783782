/* SPDX-License-Identifier: Apache-2.0 */
/* demo - the mail folder of the demonstration, shown so that nobody needs a mail server to try the product. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reach/api/list.h"
#include "reach/notify/mime.h"

enum { MAILS_MAX = 50, NAMES_MAX = 5000, NAME_BYTES = 128, MAIL_BYTES_MAX = 65536 };

struct mail_names {
    char (*names)[NAME_BYTES];
    size_t count;
};

static int newest_first(const void *a, const void *b)
{
    return strcmp(b, a);
}

/* Names begin with a time, so their order is the order of the mails. */
static enum err list_names(const char *dir, struct mail_names *list)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    ENSURE(d || errno == ENOENT, ERR_IO, "mail_folder", "The mail folder cannot be read.");
    while (d && list->count < NAMES_MAX && (e = readdir(d)) != NULL) {
        size_t n = strlen(e->d_name);
        if (e->d_name[0] != '.' && n > 4 && n < NAME_BYTES &&
            strcmp(e->d_name + n - 4, ".eml") == 0)
            memcpy(list->names[list->count++], e->d_name, n + 1);
    }
    if (d)
        closedir(d);
    qsort(list->names, list->count, sizeof list->names[0], newest_first);
    return OK;
}

/* The value of a header with its folded lines; empty when there is none. */
static struct span header_of(struct span head, const char *name)
{
    size_t n = strlen(name);

    while (head.len > 0) {
        size_t end = span_find(head, '\n');
        if (head.len > n && span_ieq_text(span_sub(head, 0, n), name)) {
            while (end + 1 < head.len && head.data[end + 1] == ' ')
                end += 1 + span_find(span_sub(head, end + 1, head.len), '\n');
            return span_sub(head, n + 1, end > n ? end - n - 1 : 0);
        }
        head = span_sub(head, end + 1, head.len);
    }
    return (struct span){0};
}

static void write_header(struct json_writer *w, const char *key, struct span head, const char *name)
{
    AUTO(buf_done) struct buf value = {0};

    buf_init(&value, MAIL_BYTES_MAX);
    mime_read_header(&value, header_of(head, name));
    while (value.len > 0 && value.data[value.len - 1] == ' ')
        value.len--;
    json_w_kv_text(w, key, buf_span(&value));
}

static void write_text(struct json_writer *w, struct span body)
{
    AUTO(buf_done) struct buf text = {0};

    buf_init(&text, MAIL_BYTES_MAX);
    mime_read_body(&text, body);
    json_w_kv_text(w, "text", buf_span(&text));
}

static enum err write_mail(struct call *c, struct json_writer *w, const struct disk *disk,
                           const char *name)
{
    struct buf content = {0};
    struct span all, head, text;

    buf_init(&content, MAIL_BYTES_MAX);
    enum err e = disk->read(disk->self, name, &content);
    if (e == OK)
        e = arena_copy(c->arena, buf_span(&content), &all);
    buf_done(&content);
    if (e == ERR_LIMIT || e == ERR_NOT_FOUND)
        return OK; /* too large to show, or just removed */
    TRY(e);
    size_t split = 0;
    while (split < all.len && !span_starts(span_sub(all, split, all.len), "\r\n\r\n"))
        split++;
    head = span_sub(all, 0, split);
    text = span_sub(all, split + 4, all.len);
    json_w_object(w);
    write_header(w, "to", head, "To:");
    write_header(w, "subject", head, "Subject:");
    write_header(w, "at", head, "Date:");
    write_text(w, text);
    json_w_end(w);
    return OK;
}

enum err api_demo_mails_get(struct call *c)
{
    struct mail_names list = {0};
    struct json_writer w;
    struct disk disk;

    ENSURE(c->api->config.mail_dir, ERR_NOT_FOUND, "not_found", "There is no such page.");
    list.names = calloc(NAMES_MAX, sizeof *list.names);
    ENSURE(list.names, ERR_NOMEM, "no_memory", "No memory.");
    enum err e = list_names(c->api->config.mail_dir, &list);
    list_begin(c, &w);
    if (e == OK)
        e = disk_open(c->api->config.mail_dir, &disk);
    if (e == OK) {
        for (size_t i = 0; e == OK && i < list.count && i < MAILS_MAX; i++)
            e = write_mail(c, &w, &disk, list.names[i]);
        disk_close(&disk);
    }
    free(list.names);
    TRY(e);
    return list_end(c, &w, false, 0, 0);
}
