/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/api/openapi.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "ground/encode/hex.h"
#include "reach/api/call.h"

enum { OPENAPI_MAX = 1 << 20, PARAMETERS_MAX = 8 };

static const struct {
    const char *slug, *title;
} problems[] = {
#define PROBLEM(slug, title) {#slug, title},
#include "reach/api/problems.def"
#undef PROBLEM
};

static const struct {
    const char *kind, *prefix;
} id_kinds[] = {
#define ID(kind, prefix) {#kind, prefix},
#include "ground/base/ids.def"
#undef ID
};

static void write_reference(struct json_writer *w, const char *to)
{
    json_w_object(w);
    json_w_kv_cstr(w, "$ref", to);
    json_w_end(w);
}

static void write_parameter(struct json_writer *w, struct span name)
{
    json_w_object(w);
    json_w_kv_text(w, "name", name);
    json_w_kv_cstr(w, "in", "path");
    json_w_kv_bool(w, "required", true);
    json_w_kv_object(w, "schema");
    json_w_kv_cstr(w, "type", "string");
    for (size_t i = 0; i < COUNT_OF(id_kinds); i++)
        if (span_eq_text(name, id_kinds[i].kind)) {
            char pattern[48];
            (void)snprintf(pattern, sizeof pattern, "^%s_[0-9a-hjkmnp-tv-z]{26}$",
                           id_kinds[i].prefix);
            json_w_kv_cstr(w, "pattern", pattern);
        }
    json_w_end(w);
    json_w_end(w);
}

static void write_parameters(struct json_writer *w, const char *pattern)
{
    json_w_kv_array(w, "parameters");
    for (const char *open = strchr(pattern, '{'); open; open = strchr(open + 1, '{')) {
        const char *close = strchr(open, '}');
        write_parameter(w, span_of(open + 1, (size_t)(close - open - 1)));
    }
    json_w_end(w);
}

static void write_security(struct json_writer *w, const struct route *r)
{
    json_w_kv_array(w, "security");
    if (r->level == 1 || r->level == 2)
        for (int i = 0; i < 2; i++) {
            json_w_object(w);
            json_w_kv_array(w, i ? "token" : "cookie");
            json_w_end(w);
            json_w_end(w);
        }
    json_w_end(w);
}

static void write_response(struct json_writer *w, const char *status, const char *type,
                           const char *schema)
{
    json_w_kv_object(w, status);
    json_w_kv_cstr(w, "description",
                   strcmp(status, "default") == 0 ? "A problem (RFC 9457)" : "Done");
    json_w_kv_object(w, "content");
    json_w_kv_object(w, type);
    json_w_key(w, "schema");
    write_reference(w, schema);
    json_w_end(w);
    json_w_end(w);
    json_w_end(w);
}

static void write_operation(struct json_writer *w, const struct route *r)
{
    char method[8], text[16];
    size_t n = 0;

    for (const char *m = http_method_name(r->method); m[n]; n++)
        method[n] = (char)tolower((unsigned char)m[n]);
    method[n] = '\0';
    json_w_kv_object(w, method);
    json_w_kv_cstr(w, "operationId", r->handler_name);
    json_w_kv_cstr(w, "summary", r->summary);
    json_w_kv_cstr(w, "x-permission",
                   r->permission == PERMISSION_none ? "none" : permission_name(r->permission));
    (void)snprintf(text, sizeof text, "%d", r->level);
    json_w_kv_cstr(w, "x-level", text);
    write_parameters(w, r->pattern);
    write_security(w, r);
    if (r->body_max) {
        json_w_kv_object(w, "requestBody");
        json_w_kv_bool(w, "required", true);
        json_w_kv_object(w, "content");
        json_w_kv_object(w, "application/json");
        json_w_key(w, "schema");
        write_reference(w, "#/components/schemas/Object");
        json_w_end(w);
        json_w_end(w);
        json_w_end(w);
    }
    json_w_kv_object(w, "responses");
    write_response(w, "2XX", "application/json", "#/components/schemas/Object");
    write_response(w, "default", "application/problem+json", "#/components/schemas/Problem");
    json_w_end(w);
    json_w_end(w);
}

/* All methods of a path stand together; the table may list them apart. */
static void write_paths(struct json_writer *w)
{
    json_w_kv_object(w, "paths");
    for (size_t i = 0; i < api_route_count; i++) {
        bool first = true;
        for (size_t k = 0; k < i; k++)
            first &= strcmp(api_routes[k].pattern, api_routes[i].pattern) != 0;
        if (!first)
            continue;
        json_w_kv_object(w, api_routes[i].pattern);
        for (size_t k = i; k < api_route_count; k++)
            if (strcmp(api_routes[k].pattern, api_routes[i].pattern) == 0)
                write_operation(w, &api_routes[k]);
        json_w_end(w);
    }
    json_w_end(w);
}

static void write_problem_schema(struct json_writer *w)
{
    static const char *const members[] = {"type", "title", "detail", "instance"};

    json_w_kv_object(w, "Problem");
    json_w_kv_cstr(w, "type", "object");
    json_w_kv_object(w, "properties");
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        json_w_kv_object(w, members[i]);
        json_w_kv_cstr(w, "type", "string");
        json_w_end(w);
    }
    json_w_kv_object(w, "status");
    json_w_kv_cstr(w, "type", "integer");
    json_w_end(w);
    json_w_end(w);
    json_w_kv_object(w, "x-problems");
    for (size_t i = 0; i < COUNT_OF(problems); i++)
        json_w_kv_cstr(w, problems[i].slug, problems[i].title);
    json_w_end(w);
    json_w_end(w);
}

static void write_components(struct json_writer *w)
{
    json_w_kv_object(w, "components");
    json_w_kv_object(w, "schemas");
    json_w_kv_object(w, "Object");
    json_w_kv_cstr(w, "type", "object");
    json_w_kv_cstr(w, "description", "Shapes are described in docs/api.md");
    json_w_end(w);
    write_problem_schema(w);
    json_w_end(w);
    json_w_kv_object(w, "securitySchemes");
    json_w_kv_object(w, "cookie");
    json_w_kv_cstr(w, "type", "apiKey");
    json_w_kv_cstr(w, "in", "cookie");
    json_w_kv_cstr(w, "name", "__Host-gatehouse");
    json_w_end(w);
    json_w_kv_object(w, "token");
    json_w_kv_cstr(w, "type", "http");
    json_w_kv_cstr(w, "scheme", "bearer");
    json_w_end(w);
    json_w_end(w);
    json_w_end(w);
}

enum err openapi_write(struct api *api)
{
    struct json_writer w;
    uint8_t hash[SHA256_BYTES];
    char hex[65];

    buf_init(&api->openapi, OPENAPI_MAX);
    json_w_init(&w, &api->openapi);
    json_w_object(&w);
    json_w_kv_cstr(&w, "openapi", "3.1.1");
    json_w_kv_object(&w, "info");
    json_w_kv_cstr(&w, "title", "Gatehouse");
    json_w_kv_cstr(&w, "version", GATEHOUSE_VERSION);
    json_w_end(&w);
    json_w_kv_array(&w, "servers");
    json_w_object(&w);
    json_w_kv_cstr(&w, "url", api->config.origin);
    json_w_end(&w);
    json_w_end(&w);
    write_paths(&w);
    write_components(&w);
    json_w_end(&w);
    TRY(json_w_finish(&w));
    sha256(buf_span(&api->openapi), hash);
    hex_format(span_of(hash, 16), hex);
    (void)snprintf(api->openapi_etag, sizeof api->openapi_etag, "\"%.32s\"", hex);
    return OK;
}
