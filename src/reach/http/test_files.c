/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/http/test_support.h"

#include <sys/stat.h>

#include "ground/crypto/crypto.h"
#include "reach/http/files.h"

static struct http_server *server;
static struct http_files *files;
static char dir[] = "/tmp/http-files-XXXXXX";

static void handle(void *context, struct http_exchange *x)
{
    (void)context;
    if (!http_files_reply(files, x, x->request.path))
        http_reply_problem(x, &(struct http_problem){.status = 404, .type = "not_found"});
}

static void put(struct disk *disk, const char *path, const char *text)
{
    assert_int_equal(disk->replace(disk->self, path, span_text(text), 0644), OK);
}

static int start(void **state)
{
    struct http_config config;
    struct disk disk;
    char link[64];
    (void)state;
    assert_int_equal(crypto_init(), OK);
    assert_non_null(mkdtemp(dir));
    assert_int_equal(disk_open(dir, &disk), OK);
    put(&disk, "shop/index.html", "<!doctype html>");
    put(&disk, "shop/app-4FQ7K2ZD.js", "let plain;");
    put(&disk, "shop/app-4FQ7K2ZD.js.br", "(brotli)");
    put(&disk, "shop/app-4FQ7K2ZD.js.gz", "(gzip)");
    put(&disk, "only.css.gz", "(gzip without the plain)");
    put(&disk, ".secret", "no");
    disk_close(&disk);
    (void)snprintf(link, sizeof link, "%s/link.txt", dir);
    assert_int_equal(symlink("/etc/hostname", link), 0);
    assert_int_equal(http_files_open(dir, 1 << 20, &files), OK);
    http_config_init(&config);
    config.listeners[config.listener_count++] = (struct http_listener){"127.0.0.1", 0, NULL};
    config.handle = handle;
    return http_server_open(&config, &server) == OK ? 0 : -1;
}

static int stop(void **state)
{
    static const char *const made[] = {"shop/index.html",
                                       "shop/app-4FQ7K2ZD.js",
                                       "shop/app-4FQ7K2ZD.js.br",
                                       "shop/app-4FQ7K2ZD.js.gz",
                                       "only.css.gz",
                                       ".secret",
                                       "link.txt",
                                       "shop",
                                       ""};
    (void)state;
    http_server_close(server);
    http_files_close(files);
    for (size_t i = 0; i < COUNT_OF(made); i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", dir, made[i]);
        (void)remove(path);
    }
    return 0;
}

static void ask(const char *method, const char *path, const char *fields, struct buf *in)
{
    char text[512];
    int fd = dial(http_server_port(server, 0));
    (void)snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n",
                   method, path, fields);
    buf_init(in, 1 << 20);
    assert_true(say(fd, text));
    hear_all(fd, in);
    close(fd);
}

static void a_file_is_served_with_its_type(void **state)
{
    AUTO(buf_done) struct buf in, index;
    (void)state;
    ask("GET", "/shop/app-4FQ7K2ZD.js", "", &in);
    assert_non_null(strstr(text_of(&in), "Content-Type: text/javascript; charset=utf-8\r\n"));
    assert_non_null(strstr(text_of(&in), "Cache-Control: public, max-age=31536000, immutable\r\n"));
    assert_non_null(strstr(text_of(&in), "\r\n\r\nlet plain;"));
    assert_null(strstr(text_of(&in), "Content-Encoding"));
    ask("GET", "/shop/", "", &index);
    assert_non_null(strstr(text_of(&index), "Content-Type: text/html; charset=utf-8\r\n"));
    assert_non_null(strstr(text_of(&index), "Cache-Control: no-cache\r\n"));
    assert_non_null(strstr(text_of(&index), "\r\n\r\n<!doctype html>"));
}

static void a_compressed_form_goes_to_who_accepts_it(void **state)
{
    AUTO(buf_done) struct buf in, gz, none;
    (void)state;
    ask("GET", "/shop/app-4FQ7K2ZD.js", "Accept-Encoding: gzip, deflate, br\r\n", &in);
    assert_non_null(strstr(text_of(&in), "Content-Encoding: br\r\n"));
    assert_non_null(strstr(text_of(&in), "\r\n\r\n(brotli)"));
    assert_non_null(strstr(text_of(&in), "Vary: Accept-Encoding\r\n"));
    ask("GET", "/shop/app-4FQ7K2ZD.js", "Accept-Encoding: br;q=0, gzip;q=0.5\r\n", &gz);
    assert_non_null(strstr(text_of(&gz), "\r\n\r\n(gzip)"));
    ask("GET", "/shop/app-4FQ7K2ZD.js", "Accept-Encoding: brotli\r\n", &none);
    assert_non_null(strstr(text_of(&none), "\r\n\r\nlet plain;"));
}

static void a_known_version_is_not_sent_again(void **state)
{
    AUTO(buf_done) struct buf in, again, head;
    char fields[128];
    (void)state;
    ask("GET", "/shop/", "", &in);
    const char *etag = strstr(text_of(&in), "ETag: \"");
    assert_non_null(etag);
    (void)snprintf(fields, sizeof fields, "If-None-Match: %.34s\r\n", etag + 6);
    ask("GET", "/shop/", fields, &again);
    assert_non_null(strstr(text_of(&again), "HTTP/1.1 304 Not Modified\r\n"));
    assert_null(strstr(text_of(&again), "doctype"));
    ask("HEAD", "/shop/index.html", "", &head);
    assert_non_null(strstr(text_of(&head), "Content-Length: 15\r\n"));
    assert_null(strstr(text_of(&head), "doctype"));
}

static void nothing_else_can_be_reached(void **state)
{
    const char *paths[] = {"/shop",
                           "/shop/app.js",
                           "/.secret",
                           "/link.txt",
                           "/only.css",
                           "/shop/x.css",
                           "/shop/app-4FQ7K2ZD.js.br",
                           "/shop/index.html/"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        AUTO(buf_done) struct buf in;
        ask("GET", paths[i], "", &in);
        assert_non_null(strstr(text_of(&in), "HTTP/1.1 404 "));
    }
    AUTO(buf_done) struct buf in;
    ask("POST", "/shop/", "", &in);
    assert_non_null(strstr(text_of(&in), "HTTP/1.1 404 "));
}

static void too_much_is_refused_at_start(void **state)
{
    struct http_files *none = NULL;
    (void)state;
    assert_int_equal(http_files_open(dir, 20, &none), ERR_LIMIT);
    assert_int_equal(http_files_open("/nonexistent", 20, &none), ERR_NOT_FOUND);
    assert_null(none);
    assert_int_equal(http_files_count(files), 3);
    assert_true(span_eq_text(http_files_get(files, SPAN_LIT("/shop/")), "<!doctype html>"));
    assert_null(http_files_get(files, SPAN_LIT("/no")).data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_served_with_its_type),
        cmocka_unit_test(a_compressed_form_goes_to_who_accepts_it),
        cmocka_unit_test(a_known_version_is_not_sent_again),
        cmocka_unit_test(nothing_else_can_be_reached),
        cmocka_unit_test(too_much_is_refused_at_start),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
