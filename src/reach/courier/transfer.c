/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/courier/transfer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_MS = 10000, URL_MAX = 1024, SECRET_MAX = 512, SETTING_MAX = 1024 };

/* --- Settings -------------------------------------------------------------------------------------------------------- */

static bool is_loopback(const char *host)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        size_t n = strlen(names[i]);
        if (strncmp(host, names[i], n) == 0 && (host[n] == '\0' || host[n] == ':'))
            return true;
    }
    return false;
}

/* scheme://host[:port], and nothing that could change who is meant. */
static const char *host_of(const char *url, const char *scheme)
{
    size_t n = strlen(scheme);

    if (strncmp(url, scheme, n) != 0 || strlen(url) > SETTING_MAX / 4 || url[n] == '\0')
        return NULL;
    for (const char *p = url + n; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr(".-:[]", *p))
            return NULL;
    return url + n;
}

bool origin_is_allowed(const char *origin)
{
    const char *plain = host_of(origin, "http://");

    return host_of(origin, "https://") || (plain && is_loopback(plain));
}

static enum err check_mail(const struct settings *s)
{
    const char *words = "Mail needs smtps:// or smtp://host:port and a sender, or a folder.";

    ENSURE(!s->mail_url || !s->mail_dir, ERR_INVALID, "bad_mail_settings", "%s", words);
    if (!s->mail_url)
        return OK;
    ENSURE(host_of(s->mail_url, "smtps://") || host_of(s->mail_url, "smtp://"), ERR_INVALID,
           "bad_mail_settings", "%s", words);
    ENSURE(s->mail_from && wire_check_address(span_text(s->mail_from)) == OK, ERR_INVALID,
           "bad_mail_settings", "%s", words);
    return OK;
}

enum err settings_read(struct span payload, struct settings *s)
{
    struct cursor c = {payload};

    for (size_t i = 0; i < COURIER_TARGETS; i++) {
        TRY(wire_cstr(&c, SETTING_MAX, &s->targets[i].origin));
        TRY(wire_cstr(&c, SECRET_MAX, &s->targets[i].key));
        const char *origin = s->targets[i].origin;
        ENSURE(!origin || origin_is_allowed(origin), ERR_INVALID, "bad_origin",
               "An origin is https://host[:port], or http:// on loopback.");
    }
    TRY(wire_cstr(&c, SETTING_MAX, &s->ca_file));
    TRY(wire_cstr(&c, SETTING_MAX, &s->mail_url));
    TRY(wire_cstr(&c, SECRET_MAX, &s->mail_user));
    TRY(wire_cstr(&c, SECRET_MAX, &s->mail_password));
    TRY(wire_cstr(&c, SETTING_MAX, &s->mail_from));
    TRY(wire_cstr(&c, SETTING_MAX, &s->mail_dir));
    TRY(check_mail(s));
    if (s->mail_dir && disk_open(s->mail_dir, &s->mails) != OK)
        FAIL(ERR_INVALID, "bad_mail_settings", "The folder for mails cannot be opened.");
    return OK;
}

static void forget(char **text)
{
    if (*text) {
        wipe(*text, strlen(*text));
        free(*text);
    }
    *text = NULL;
}

void settings_done(struct settings *s)
{
    for (size_t i = 0; i < COURIER_TARGETS; i++) {
        forget(&s->targets[i].origin);
        forget(&s->targets[i].key);
    }
    if (s->mails.self)
        disk_close(&s->mails);
    forget(&s->ca_file);
    forget(&s->mail_url);
    forget(&s->mail_user);
    forget(&s->mail_password);
    forget(&s->mail_from);
    forget(&s->mail_dir);
}

/* --- Reading a question ---------------------------------------------------------------------------------------------- */

static enum err add_header(struct transfer *t, struct span name, struct span value)
{
    char line[COURIER_WORD_MAX + 600];

    TRY(wire_check_header(name, value));
    (void)snprintf(line, sizeof line, SPAN_FMT ": " SPAN_FMT, SPAN_ARG(name), SPAN_ARG(value));
    struct curl_slist *more = curl_slist_append(t->headers, line);
    ENSURE(more, ERR_NOMEM, "no_memory", "No memory.");
    t->headers = more;
    return OK;
}

static enum err read_call(struct cursor *c, struct transfer *t, uint32_t *ret_deadline_ms)
{
    uint8_t target, post, count;
    struct span name, value, body;

    TRY(cursor_u8(c, &target));
    TRY(cursor_u8(c, &post));
    TRY(cursor_u32be(c, ret_deadline_ms));
    TRY(wire_cstr(c, COURIER_PATH_MAX, &t->path));
    TRY(wire_check_path(span_text(t->path)));
    TRY(cursor_u8(c, &count));
    ENSURE(target < COURIER_TARGETS && count <= COURIER_HEADERS_MAX, ERR_INVALID, "bad_call",
           "A call is out of its bounds.");
    for (uint8_t i = 0; i < count; i++) {
        TRY(wire_text(c, COURIER_WORD_MAX, &name));
        TRY(wire_text(c, 512, &value));
        TRY(add_header(t, name, value));
    }
    TRY(wire_text(c, COURIER_BODY_MAX, &body));
    t->target = (enum courier_target)target;
    t->post = post != 0;
    buf_put_span(&t->out, body);
    return buf_check(&t->out);
}

static enum err read_mail(struct cursor *c, struct transfer *t, uint32_t *ret_deadline_ms)
{
    struct span message;

    TRY(cursor_u32be(c, ret_deadline_ms));
    TRY(wire_cstr(c, COURIER_WORD_MAX, &t->name));
    TRY(wire_cstr(c, COURIER_ADDRESS_MAX, &t->to));
    TRY(wire_check_name(span_text(t->name)));
    TRY(wire_check_address(span_text(t->to)));
    TRY(wire_text(c, COURIER_BODY_MAX, &message));
    buf_put_span(&t->out, message);
    return buf_check(&t->out);
}

static enum err read_question(const struct proc_frame *q, int64_t now_ms, struct transfer *t)
{
    struct cursor c = {q->payload};
    uint32_t deadline_ms = 0;

    ENSURE(q->type == WIRE_CALL || q->type == WIRE_MAIL, ERR_INVALID, "bad_call",
           "Nobody knows this kind of call.");
    TRY(q->type == WIRE_CALL ? read_call(&c, t, &deadline_ms) : read_mail(&c, t, &deadline_ms));
    ENSURE(c.rest.len == 0 && deadline_ms > 0 && deadline_ms <= COURIER_DEADLINE_MAX_MS,
           ERR_INVALID, "bad_call", "A call is out of its bounds.");
    t->deadline_ms = now_ms + deadline_ms;
    return OK;
}

enum err transfer_new(const struct proc_frame *q, int64_t now_ms, struct transfer **ret)
{
    struct transfer *t = calloc(1, sizeof *t);

    ENSURE(t, ERR_NOMEM, "no_memory", "No memory.");
    t->type = q->type;
    t->id = q->id;
    buf_init(&t->out, COURIER_BODY_MAX);
    buf_init(&t->in, COURIER_BODY_MAX);
    enum err e = read_question(q, now_ms, t);
    if (e != OK) {
        transfer_free(t, NULL);
        return e;
    }
    *ret = t;
    return OK;
}

void spare_handles_done(struct spare_handles *spares)
{
    while (spares->count > 0)
        curl_easy_cleanup(spares->easy[--spares->count]);
}

/* What the call lent its handle is taken back. */
static bool keep_handle(struct transfer *t, struct spare_handles *spares)
{
    bool bad = false;

    if (!t->easy || !spares || t->type != WIRE_CALL || spares->count == COUNT_OF(spares->easy))
        return false;
    CURL_SET(bad, t->easy, CURLOPT_HTTPHEADER, NULL);
    CURL_SET(bad, t->easy, CURLOPT_POSTFIELDS, NULL);
    CURL_SET(bad, t->easy, CURLOPT_WRITEDATA, NULL);
    CURL_SET(bad, t->easy, CURLOPT_PRIVATE, NULL);
    if (!bad)
        spares->easy[spares->count++] = t->easy;
    return !bad;
}

void transfer_free(struct transfer *t, struct spare_handles *spares)
{
    if (!t)
        return;
    if (!keep_handle(t, spares))
        curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->recipients);
    buf_done(&t->out);
    buf_done(&t->in);
    free(t->path);
    free(t->name);
    free(t->to);
    free(t);
}

/* --- Making the call ------------------------------------------------------------------------------------------------- */

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    size_t len = size * count;

    buf_put(&t->in, data, len);
    t->overflow = t->in.failed;
    return t->overflow ? 0 : len;
}

static size_t on_mail(char *out, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    struct span part = span_sub(buf_span(&t->out), t->out_at, size * count);

    if (part.len > 0)
        memcpy(out, part.data, part.len);
    t->out_at += part.len;
    return part.len;
}

/* The same for every call and mail. */
static bool set_common(struct transfer *t, const struct settings *s)
{
    bool bad = false;

    CURL_SET(bad, t->easy, CURLOPT_PROTOCOLS_STR, "http,https,smtp,smtps");
    CURL_SET(bad, t->easy, CURLOPT_FOLLOWLOCATION, 0L);
    CURL_SET(bad, t->easy, CURLOPT_PATH_AS_IS, 1L);
    CURL_SET(bad, t->easy, CURLOPT_PROXY, "");
    CURL_SET(bad, t->easy, CURLOPT_NOSIGNAL, 1L);
    CURL_SET(bad, t->easy, CURLOPT_SSL_VERIFYPEER, 1L);
    CURL_SET(bad, t->easy, CURLOPT_SSL_VERIFYHOST, 2L);
    CURL_SET(bad, t->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    CURL_SET(bad, t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    CURL_SET(bad, t->easy, CURLOPT_WRITEFUNCTION, on_body);
    if (s->ca_file) {
        CURL_SET(bad, t->easy, CURLOPT_CAINFO, s->ca_file);
        CURL_SET(bad, t->easy, CURLOPT_CAPATH, NULL);
    }
    return !bad;
}

/* This one's own. */
static bool set_own(struct transfer *t, const char *url, int64_t left_ms)
{
    bool bad = false;

    CURL_SET(bad, t->easy, CURLOPT_URL, url);
    CURL_SET(bad, t->easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
    CURL_SET(bad, t->easy, CURLOPT_WRITEDATA, (void *)t);
    CURL_SET(bad, t->easy, CURLOPT_PRIVATE, (void *)t);
    return !bad;
}

static bool take_handle(struct transfer *t, const struct settings *s, struct spare_handles *spares)
{
    bool bad = false;

    if (t->type == WIRE_CALL && spares->count > 0) {
        t->easy = spares->easy[--spares->count];
        return true;
    }
    t->easy = curl_easy_init();
    if (!t->easy || !set_common(t, s))
        return false;
    CURL_SET(bad, t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    return !bad;
}

static enum err begin_call(struct transfer *t, const struct settings *s, int64_t left_ms)
{
    const char *origin = s->targets[t->target].origin, *key = s->targets[t->target].key;
    char url[URL_MAX];
    bool bad = false;

    ENSURE(origin, ERR_INVALID, "no_target", "No such target is configured.");
    (void)snprintf(url, sizeof url, "%s%s", origin, t->path);
    bad = !set_own(t, url, left_ms);
    if (t->post) {
        CURL_SET(bad, t->easy, CURLOPT_POST, 1L);
        CURL_SET(bad, t->easy, CURLOPT_POSTFIELDSIZE, (long)t->out.len);
        CURL_SET(bad, t->easy, CURLOPT_POSTFIELDS,
                 (const char *)(t->out.len ? t->out.data : (const uint8_t *)""));
    } else {
        CURL_SET(bad, t->easy, CURLOPT_HTTPGET, 1L);
    }
    /* Why no Expect: it costs a second of silence where the other side does not know it. */
    struct curl_slist *more = curl_slist_append(t->headers, "Expect:");
    bad |= !more;
    t->headers = more ? more : t->headers;
    CURL_SET(bad, t->easy, CURLOPT_HTTPHEADER, t->headers);
    if (key)
        CURL_SET(bad, t->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
    CURL_SET(bad, t->easy, CURLOPT_XOAUTH2_BEARER, key);
    ENSURE(!bad, ERR_NOMEM, "no_memory", "No memory for a call.");
    return OK;
}

static enum err begin_mail(struct transfer *t, const struct settings *s, int64_t left_ms)
{
    ENSURE(s->mail_url, ERR_INVALID, "no_target", "No mail server is configured.");
    bool bad = !set_own(t, s->mail_url, left_ms);
    t->recipients = curl_slist_append(NULL, t->to);
    bad |= !t->recipients;
    CURL_SET(bad, t->easy, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
    CURL_SET(bad, t->easy, CURLOPT_MAIL_FROM, s->mail_from);
    CURL_SET(bad, t->easy, CURLOPT_MAIL_RCPT, t->recipients);
    CURL_SET(bad, t->easy, CURLOPT_UPLOAD, 1L);
    CURL_SET(bad, t->easy, CURLOPT_READFUNCTION, on_mail);
    CURL_SET(bad, t->easy, CURLOPT_READDATA, (void *)t);
    if (s->mail_user)
        CURL_SET(bad, t->easy, CURLOPT_USERNAME, s->mail_user);
    if (s->mail_password)
        CURL_SET(bad, t->easy, CURLOPT_PASSWORD, s->mail_password);
    ENSURE(!bad, ERR_NOMEM, "no_memory", "No memory for a mail.");
    return OK;
}

enum err transfer_begin(struct transfer *t, const struct settings *s, struct spare_handles *spares,
                        int64_t now_ms)
{
    int64_t left_ms = t->deadline_ms - now_ms;

    ENSURE(left_ms > 0, ERR_EXPIRED, "too_late", "The call waited too long.");
    ENSURE(take_handle(t, s, spares), ERR_NOMEM, "no_memory", "No memory for a call.");
    return t->type == WIRE_CALL ? begin_call(t, s, left_ms) : begin_mail(t, s, left_ms);
}

/* --- Its end --------------------------------------------------------------------------------------------------------- */

static const char *word_for(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return "ok";
    case CURLE_COULDNT_RESOLVE_HOST:
        return "no_such_host";
    case CURLE_COULDNT_CONNECT:
        return "refused";
    case CURLE_OPERATION_TIMEDOUT:
        return "timeout";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "certificate";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_USE_SSL_FAILED:
        return "tls";
    case CURLE_WRITE_ERROR:
        return "answer_too_long";
    case CURLE_LOGIN_DENIED:
        return "login_denied";
    default:
        return "broken";
    }
}

/* Whether nothing of the request can have left. */
static bool never_sent(struct transfer *t, CURLcode code)
{
    long sent = 0;

    if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT ||
        code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        return true;
    if (t->type == WIRE_MAIL)
        return t->out_at == 0; /* a mail counts once its text was sent */
    return curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent) == CURLE_OK && sent == 0;
}

static void read_request_id(struct transfer *t, struct courier_answer *a)
{
    struct curl_header *h;

    if (curl_easy_header(t->easy, "Request-Id", 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return;
    for (size_t i = 0; h->value[i] && i + 1 < sizeof a->request_id; i++)
        a->request_id[i] = (char)(isalnum((unsigned char)h->value[i]) ? h->value[i] : '_');
}

void transfer_end(struct transfer *t, CURLcode code, struct courier_answer *a)
{
    long status = 0;
    curl_off_t retry_s = 0;

    memset(a, 0, sizeof *a);
    (void)snprintf(a->why, sizeof a->why, "%s", t->overflow ? "answer_too_long" : word_for(code));
    if (curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK)
        status = 0;
    bool mail_refused = t->type == WIRE_MAIL && code != CURLE_OK && status >= 400 && status < 600;
    if (code == CURLE_OK || mail_refused) {
        a->outcome = COURIER_ANSWERED;
        a->status = (int)(status > 0 && status < 1000 ? status : 0);
        if (t->type == WIRE_MAIL && code == CURLE_OK)
            a->status = 250;
        if (t->type == WIRE_CALL)
            a->body = buf_span(&t->in);
        if (curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_s) == CURLE_OK && retry_s > 0)
            a->retry_after_s = retry_s < 86400 ? retry_s : 86400;
        if (t->type == WIRE_CALL)
            read_request_id(t, a);
        return;
    }
    a->outcome = never_sent(t, code) ? COURIER_NOT_SENT : COURIER_UNCERTAIN;
}

void transfer_to_folder(struct transfer *t, const struct settings *s, struct courier_answer *a)
{
    char file[COURIER_WORD_MAX + 8];

    memset(a, 0, sizeof *a);
    (void)snprintf(file, sizeof file, "%s.eml", t->name);
    if (s->mails.replace(s->mails.self, file, buf_span(&t->out), 0600) == OK) {
        a->outcome = COURIER_ANSWERED;
        a->status = 250;
        (void)snprintf(a->why, sizeof a->why, "ok");
    } else {
        a->outcome = COURIER_NOT_SENT;
        (void)snprintf(a->why, sizeof a->why, "folder");
    }
}
