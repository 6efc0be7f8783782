/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_HTTP_EXCHANGE_H
#define REACH_HTTP_EXCHANGE_H

/*
 * exchange - one request and the answer to it, in the hands of a handler.
 *
 * The server calls the handler once, on the loop that owns the connection. The handler answers at once by one http_reply_*
 * call, or calls http_defer, hands the exchange to another thread, and that thread replies and calls http_finish, exactly
 * once. Until then the exchange, its request bytes and its arena stay good, whether or not the client is still there; after
 * it they are gone. Between http_defer and http_finish the exchange belongs to the thread it was handed to.
 *
 * Handlers run on the loops: anything that waits or computes for more than a millisecond is deferred.
 *
 * Invariants:
 *   E1  every exchange gets exactly one answer; a handler that gives none, or gives two, answers 500;
 *   E2  no header a handler sets can end its line: CR, LF or NUL in it turns the answer into 500;
 *   E3  every answer carries Request-Id and the standard security headers, and "Cache-Control: no-store" unless set.
 */
#include "ground/base/arena.h"
#include "ground/base/span.h"
#include "reach/http/request.h"

enum {
    HTTP_ARENA_MAX = 256 * 1024,
    HTTP_RESPONSE_FIELDS_MAX = 16 * 1024,
    HTTP_RESPONSE_MAX = 64 * 1024 * 1024,
    HTTP_CHANNEL_NAME_MAX = 80,
};

struct http_conn;
struct http_loop;
struct http_server;

/* Private to this room: what will be sent. */
struct http_response {
    int status;
    bool failed, streams;
    uint32_t set;      /* standard headers the handler chose itself */
    struct buf fields; /* finished lines */
    struct buf body;
    struct span fixed; /* a body that is not ours: it outlives the server, or is held by `owner` */
    void (*release)(void *owner); /* NULL: nothing is held */
    void *owner;
    const char *type; /* static; NULL for none */
    int file;         /* or -1 */
    uint64_t file_at, file_len;
    char channel[HTTP_CHANNEL_NAME_MAX];
};

struct http_exchange {
    struct http_request request; /* to read */
    struct arena arena; /* for whoever holds the exchange; lives until the answer is sent */
    void *user;         /* the handler's own, NULL to begin */

    /* Private to this room from here. */
    struct http_server *server;
    struct http_loop *loop;
    struct http_conn *conn; /* touched by the loop only; NULL once the connection is gone */
    bool deferred, answers_head, hurried;
    bool body_lent; /* its memory is the arena's */
    struct http_response response;
    struct buf body; /* of the request */
    struct buf out;  /* of the response, as sent */
    size_t out_at, rest_at;
    struct span rest;
    struct http_exchange *next;
    void (*complete)(void *context); /* of http_finish_with */
    void *complete_context;
};

/* The answer will come later, by http_finish from any thread. */
void http_defer(struct http_exchange *x);
/* After a reply to a deferred exchange; x is gone when this returns. Safe when the connection is. */
void http_finish(struct http_exchange *x);
/*
 * The same for a thread that should not spend its time on the answer: complete(context) is called once on the loop that owns the
 * exchange, replies there, and is done with the exchange when it returns. Also called when the client is gone.
 */
void http_finish_with(struct http_exchange *x, void (*complete)(void *context), void *context);
/* The same for those of many: set complete and complete_context of each and link them by next; each loop is woken once. */
void http_finish_many(struct http_exchange *first);

/*
 * Somebody waits at a door for what this connection asks: after this answer it goes on in a quick loop, if there is one, for good; but not
 * a trusted proxy's, which carries everybody's requests. To be granted to whom the handler knows.
 */
void http_hurry(struct http_exchange *x);

/*
 * Add a response header; before or after the reply, until the handler returns or finishes. Not for those the server writes
 * (Content-Length, Content-Type, Connection, Date, Request-Id, Transfer-Encoding). Cache-Control, Content-Security-Policy,
 * Referrer-Policy, Cross-Origin-Opener-Policy, Cross-Origin-Resource-Policy and X-Frame-Options replace the standard ones.
 */
void http_header(struct http_exchange *x, const char *name, struct span value);
void http_header_text(struct http_exchange *x, const char *name, const char *value);

/* Content types are static strings. Each of these is the one reply. */
void http_reply_empty(struct http_exchange *x, int status);
/* Takes the content over; body is empty afterwards. A body that failed answers 500. */
void http_reply_buf(struct http_exchange *x, int status, const char *type, struct buf *body);
void http_reply_json(struct http_exchange *x, int status, struct buf *body);
/* Copies. */
void http_reply_copy(struct http_exchange *x, int status, const char *type, struct span body);
/*
 * Memory that outlives the server, not copied. With an etag (strong, quotes included; NULL for none) it is sent as ETag, and
 * answers 304 to a matching If-None-Match.
 */
void http_reply_static(struct http_exchange *x, const char *type, struct span body,
                       const char *etag);
/*
 * The same of memory that is held by an owner: release is called once, on whatever thread, when the server needs the bytes no
 * more, sent or not.
 */
void http_reply_shared(struct http_exchange *x, const char *type, struct span body,
                       const char *etag, void (*release)(void *owner), void *owner);
/* The first len bytes of an open file, which is taken over and closed. */
void http_reply_file(struct http_exchange *x, int status, const char *type, int fd, uint64_t len);
/* Copies; ETag and 304 as above, for answers made per request. */
void http_reply_tagged(struct http_exchange *x, const char *type, struct buf *body,
                       const char *etag);

struct http_problem {
    int status;
    const char *type; /* URI, or a word that is put behind the configured base; NULL: about:blank */
    const char *title;        /* NULL: the status's own words */
    const char *detail;       /* or NULL */
    const char *pointer;      /* JSON pointer fragment of the member at fault, or NULL */
    struct span more_members; /* ready JSON members ("\"a\":1,\"b\":2"), or empty */
};
/* RFC 9457 application/problem+json; instance is the request id. */
void http_reply_problem(struct http_exchange *x, const struct http_problem *problem);
/* The problem an error stands for (errors.def). Of ERR_IO, CORRUPT and NOMEM the detail is kept from the client. */
void http_reply_error(struct http_exchange *x, const struct err_info *info);
/* 405 with Allow; a bit for each method. */
void http_reply_not_allowed(struct http_exchange *x, unsigned methods);
/*
 * Turn the exchange into a stream of server-sent events from the channel (see sse.h); name at most
 * HTTP_CHANNEL_NAME_MAX - 1 bytes.
 */
void http_reply_stream(struct http_exchange *x, struct span channel);

/* Whether the request has a body of this media type (parameters ignored). */
bool http_is_type(const struct http_request *r, const char *type);
/* "Not Found"; "" for a status that is not used here. */
const char *http_status_words(int status);

#endif
