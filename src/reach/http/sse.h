/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_HTTP_SSE_H
#define REACH_HTTP_SSE_H

/*
 * sse - server-sent events (html.spec.whatwg.org, section 9.2) to many listeners, on threads of their own that share them.
 *
 * A channel is a name; it exists while somebody listens to it. A published event is formatted once and shared by all
 * listeners. A listener whose socket takes nothing is given QUEUE_MAX events and is then dropped: it reconnects with
 * Last-Event-ID, and the replay callback tells it what it missed, or to start afresh. An event may arrive twice across that
 * seam, never be missing: ids are versions.
 *
 * Invariants:
 *   V1  a listener costs a few hundred bytes here while it keeps up;
 *   V2  a comment is sent to each at least every PING_MS, and a stream ends after stream_max_ms (so that a right taken away
 *       ends with it: the reconnect is judged anew);
 *   V3  a slow listener never delays another.
 */
#include "ground/base/span.h"

enum {
    HTTP_SSE_QUEUE_MAX = 64,
    HTTP_SSE_PING_MS = 15000,
    HTTP_SSE_EVENT_MAX = 256 * 1024,
    HTTP_SSE_THREADS_MAX = 8
};

struct http_sse;

struct http_sse_config {
    int64_t stream_max_ms; /* default one hour */
    size_t streams_max;
    size_t threads; /* 1 to HTTP_SSE_THREADS_MAX; http_config_init: 2 */
    void *context;
    /*
     * A listener came; last_event_id is what its browser had seen, empty for a new one. Append with http_sse_format what it
     * needs first. Runs on the listener's thread, and on several at once: from memory, quickly. Optional.
     */
    void (*replay)(void *context, struct span channel, struct span last_event_id, struct buf *out);
};

/*
 * Send to everyone who listens to the channel; from any thread, does not wait. id and event may be empty; each line of data
 * becomes a data line. ERR_INVALID when id or event hold a line end or NUL; ERR_LIMIT too large; ERR_BUSY when a thread is
 * too far behind (the event is lost for some or all; they see a gap in the ids) or the server has stopped.
 */
RESULT http_sse_publish(struct http_sse *sse, struct span channel, struct span id,
                        struct span event, struct span data);
/*
 * Have the threads not sent all of what was published yet? Who publishes in steps, and can say the same in one larger step later,
 * leaves one out. Any thread.
 */
bool http_sse_is_behind(struct http_sse *sse);
/* Append one event in wire form; the same failures. */
RESULT http_sse_format(struct buf *out, struct span id, struct span event, struct span data);

#endif
