/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/courier/fetch.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "reach/courier/transfer.h"

static void start_curl(void)
{
    /* Why unchecked: every later call fails by itself when this did. */
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void easy_done(CURL **easy)
{
    curl_easy_cleanup(*easy);
}

static void list_done(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

static size_t drop_body(char *data, size_t size, size_t count, void *context)
{
    (void)data;
    (void)context;
    return size * count;
}

static enum err check_url(const char *url)
{
    char origin[256];
    const char *host = strstr(url, "://");
    size_t n = host ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?#") : 0;

    ENSURE(n > 0 && n < sizeof origin, ERR_INVALID, "bad_url", "The address cannot be used.");
    (void)snprintf(origin, sizeof origin, "%.*s", (int)n, url);
    ENSURE(origin_is_allowed(origin), ERR_INVALID, "bad_url",
           "The address begins with https://, or http:// on loopback.");
    return OK;
}

static enum err add_headers(const struct fetch_request *r, struct curl_slist **list)
{
    char line[COURIER_WORD_MAX + 600];

    ENSURE(r->header_count <= COURIER_HEADERS_MAX, ERR_INVALID, "bad_call", "Too many headers.");
    for (size_t i = 0; i <= r->header_count; i++) {
        bool last = i == r->header_count;
        if (!last)
            TRY(wire_check_header(span_text(r->headers[i].name), span_text(r->headers[i].value)));
        (void)snprintf(line, sizeof line, "%s: %s", last ? "Expect" : r->headers[i].name,
                       last ? "" : r->headers[i].value);
        struct curl_slist *more = curl_slist_append(*list, last ? "Expect:" : line);
        ENSURE(more, ERR_NOMEM, "no_memory", "No memory.");
        *list = more;
    }
    return OK;
}

enum err fetch_post(const struct fetch_request *r, int *ret_status)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    AUTO(list_done) struct curl_slist *headers = NULL;
    bool bad = false;
    long status = 0;

    TRY(check_url(r->url));
    pthread_once(&once, start_curl);
    AUTO(easy_done) CURL *easy = curl_easy_init();
    ENSURE(easy, ERR_NOMEM, "no_memory", "No memory for a call.");
    TRY(add_headers(r, &headers));
    CURL_SET(bad, easy, CURLOPT_URL, r->url);
    CURL_SET(bad, easy, CURLOPT_PROTOCOLS_STR, "http,https");
    CURL_SET(bad, easy, CURLOPT_FOLLOWLOCATION, 0L);
    CURL_SET(bad, easy, CURLOPT_PROXY, "");
    CURL_SET(bad, easy, CURLOPT_NOSIGNAL, 1L);
    CURL_SET(bad, easy, CURLOPT_TIMEOUT_MS, (long)r->deadline_ms);
    CURL_SET(bad, easy, CURLOPT_WRITEFUNCTION, drop_body);
    CURL_SET(bad, easy, CURLOPT_HTTPHEADER, headers);
    CURL_SET(bad, easy, CURLOPT_POSTFIELDSIZE, (long)r->body.len);
    CURL_SET(bad, easy, CURLOPT_POSTFIELDS, r->body.len ? (const char *)r->body.data : "");
    if (r->ca_file)
        CURL_SET(bad, easy, CURLOPT_CAINFO, r->ca_file);
    if (r->bearer) {
        CURL_SET(bad, easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        CURL_SET(bad, easy, CURLOPT_XOAUTH2_BEARER, r->bearer);
    }
    ENSURE(!bad, ERR_NOMEM, "no_memory", "No memory for a call.");
    CURLcode code = curl_easy_perform(easy);
    ENSURE(code == CURLE_OK, ERR_UNCERTAIN, "no_answer", "%s", curl_easy_strerror(code));
    ENSURE(curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK, ERR_UNCERTAIN,
           "no_answer", "No status.");
    *ret_status = (int)status;
    return OK;
}
