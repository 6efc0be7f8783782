/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/api/pages.h"

#include <string.h>

#include "reach/api/call.h"
#include "trust/ledger/http_files.h"

/* Applications with client-side routes: a path below the prefix that is no file is answered with the application's page. */
static const struct {
    const char *prefix, *page, *csp;
} applications[] = {
    {"/staff", "/staff/index.html", NULL},
    /* Why wasm: the scanner's decoder is WebAssembly; nothing else on that page differs. */
    {"/gate", "/gate/index.html",
     "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' "
     "data: blob:; connect-src 'self'; "
     "font-src 'self'; media-src 'self' blob:; worker-src 'self'; manifest-src 'self'; base-uri "
     "'none'; form-action 'self'; "
     "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"},
    {"/", "/shop/index.html", NULL},
};

static void not_found(struct http_exchange *x)
{
    http_reply_problem(x, &(struct http_problem){.status = 404,
                                                 .type = "not_found",
                                                 .detail = "There is no such page."});
}

static bool below(struct span path, const char *prefix)
{
    size_t n = strlen(prefix);
    return span_starts(path, prefix) && (n == 1 || path.len == n || path.data[n] == '/');
}

/* A last segment with a dot names a file; a page path has none. */
static bool names_file(struct span path)
{
    for (size_t i = path.len; i > 0 && path.data[i - 1] != '/'; i--)
        if (path.data[i - 1] == '.')
            return true;
    return false;
}

static void reply_log(struct api *api, struct http_exchange *x)
{
    AUTO(buf_done) struct buf content = {0};
    struct span name = span_sub(x->request.path, strlen("/log/"), x->request.path.len);
    const char *type;
    bool immutable;

    http_header_text(x, "Access-Control-Allow-Origin", "*");
    if (span_eq_text(name, "vkey")) {
        buf_init(&content, 1024);
        buf_put_text(&content, api->config.log_vkey);
        buf_put_text(&content, "\n");
        http_reply_copy(x, 200, "text/plain; charset=utf-8", buf_span(&content));
        return;
    }
    buf_init(&content, 17 << 20);
    if (ledger_http_get(api->config.log_disk, name, &content, &type, &immutable) != OK) {
        not_found(x);
        return;
    }
    http_header_text(x, "Cache-Control",
                     immutable ? "public, max-age=604800, immutable" : "public, max-age=1");
    http_reply_buf(x, 200, type, &content);
}

static void reply_application(struct api *api, struct http_exchange *x, struct span path)
{
    for (size_t i = 0; i < COUNT_OF(applications); i++)
        if (below(path, applications[i].prefix)) {
            if (applications[i].csp)
                http_header_text(x, "Content-Security-Policy", applications[i].csp);
            if (strcmp(applications[i].prefix, "/gate") == 0)
                http_header_text(x, "Permissions-Policy", "camera=(self)");
            if (!http_files_reply(api->files, x, span_text(applications[i].page)))
                not_found(x);
            return;
        }
}

void pages_reply(struct api *api, struct http_exchange *x)
{
    struct span path = x->request.path;

    if (x->request.method != HTTP_GET && x->request.method != HTTP_HEAD) {
        http_reply_not_allowed(x, 1u << HTTP_GET | 1u << HTTP_HEAD);
        return;
    }
    if (span_starts(path, "/log/")) {
        reply_log(api, x);
    } else if (span_eq_text(path, "/ca.crt") && api->config.ca_pem) {
        http_reply_copy(x, 200, "application/x-x509-ca-cert", span_text(api->config.ca_pem));
    } else if (!api->files) {
        not_found(x);
    } else if (path.len > 1 && path.data[path.len - 1] != '/' &&
               http_files_reply(api->files, x, path)) {
        return;
    } else if (names_file(path) || path.len > 200) {
        not_found(x);
    } else {
        reply_application(api, x, path);
    }
}
