/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_COURIER_COURIER_H
#define REACH_COURIER_COURIER_H

/*
 * courier - the only process that calls out: to the payment provider over HTTPS, and to the mail server.
 *
 * What it is: courier_main(), the whole of that process, and the client that serve uses. A call names a target and a path,
 * never an address, so that nothing a stranger typed can choose where the program connects to. The answer is one of three:
 * somebody answered (with a status), nothing was sent, or nobody knows (COURIER_UNCERTAIN: the other side may have acted).
 * What it is not: it knows no provider's words and no mail's content, it never repeats a call, and it stores nothing. Whoever
 * asks decides what to do with an uncertain end (reach/settlement, reach/notify).
 *
 * Invariants:
 *   C1  a connection goes only to an origin or mail server of the configuration given at start; redirects are not followed,
 *       proxies of the environment are not used, certificates are always checked;
 *   C2  each call that was taken ends by exactly one `done`, also when the process dies (COURIER_UNCERTAIN);
 *   C3  COURIER_NOT_SENT is said only when no byte of the request left this machine;
 *   C4  secrets come by message at start: they are never in the argument list, the environment, a log line or an answer.
 */
#include "ground/base/base.h"

enum courier_target {
    COURIER_PROVIDER, /* the payment provider */
    COURIER_TARGETS
};

enum {
    COURIER_BODY_MAX = 60 * 1024, /* of a request, a mail or an answer: each fits one message */
    COURIER_HEADERS_MAX = 6,
    COURIER_PATH_MAX = 512,
    COURIER_ACTIVE_MAX = 256,      /* calls on the network at once; the rest waits */
    COURIER_OUTSTANDING_MAX = 512, /* calls taken and not ended; more are refused */
    COURIER_DEADLINE_MAX_MS = 120 * 1000,
    COURIER_BURST_MAX = 16, /* answers handed out without a rest */
    COURIER_ADDRESS_MAX = 254,
    COURIER_WORD_MAX = 64,
};

/* Strings may be NULL where it says so. All is copied to the process by courier_open. */
struct courier_config {
    struct {
        const char *
            origin; /* "https://api.stripe.com"; http only for loopback addresses; NULL: calls are refused */
        const char *key; /* secret, sent as a Bearer token; NULL: none */
    } targets[COURIER_TARGETS];
    const char *ca_file; /* PEM of the authorities to trust; NULL: the system's */

    const char *
        mail_url; /* "smtps://mail.example.org:465", "smtp://mail.example.org:587" (then STARTTLS, always) */
    const char *mail_user;     /* or NULL */
    const char *mail_password; /* secret; or NULL */
    const char *mail_from;     /* envelope sender; needed with mail_url */
    /* The demonstration's transport: each mail becomes <name>.eml in this folder, and nothing is sent. Or NULL. */
    const char *mail_dir;
};

enum courier_outcome {
    COURIER_ANSWERED,  /* status says what */
    COURIER_NOT_SENT,  /* refused connection, no such name, no room; safe to repeat */
    COURIER_UNCERTAIN, /* broken or timed out after something was sent */
};

struct courier_answer {
    enum courier_outcome outcome;
    int status; /* HTTP's, or the mail server's reply code (250: taken); 0 unless answered */
    int64_t retry_after_s; /* 0 when it was not said */
    char request_id
        [COURIER_WORD_MAX];     /* the other side's name for the request, for the log; or empty */
    char why[COURIER_WORD_MAX]; /* one word for the log: "refused", "timeout", ... */
    struct span body;           /* borrowed until done returns */
};

/* On the client's own thread; must not block for long. The answer is borrowed. */
typedef void courier_done(void *context, const struct courier_answer *answer);

struct courier_header {
    const char *name, *value;
};

struct courier_call {
    enum courier_target target;
    const char *method; /* "GET" or "POST" */
    const char *
        path; /* begins with '/'; with its query, percent-encoded; at most COURIER_PATH_MAX bytes */
    struct courier_header headers[COURIER_HEADERS_MAX]; /* Authorization is added by the process */
    size_t header_count;
    struct span body;
    int deadline_ms; /* from now to the end of the answer; 1..COURIER_DEADLINE_MAX_MS */
    courier_done *done;
    void *context;
};

struct courier_mail {
    const char
        *name; /* of the .eml file: letters, digits, '_', '-'; the same name again replaces it */
    const char *to;      /* one address, nothing around it */
    struct span message; /* headers and body, lines ending in CRLF */
    int deadline_ms;
    courier_done *done;
    void *context;
};

/* The process: serves the socket until the other end closes. Returns the exit status. */
int courier_main(int fd);

/* --- The client: any thread may submit ------------------------------------------------------------------------------ */

struct courier_client;

/*
 * Takes the socket (also when it fails) and configures the process behind it. gone (may be NULL) is called once, from the
 * client's thread, when the process has died by itself, after every outstanding call was ended. ERR_INVALID "bad_origin",
 * "bad_mail_settings", ERR_IO "courier_silent".
 */
RESULT courier_open(int fd, const struct courier_config *config, void (*gone)(void *context),
                    void *context, struct courier_client **ret_client);
/*
 * rested is called on the client's thread when it has no more answers to hand out at the moment, and at least after every
 * COURIER_BURST_MAX of them: who hands many answers on can do so at once. NULL: nobody. Once it returns, the one before is not called.
 */
void courier_on_rest(struct courier_client *client, void (*rested)(void *context), void *context);
/* Ends the process's socket; what is outstanding ends COURIER_UNCERTAIN before this returns. NULL is fine. */
void courier_close(struct courier_client *client);

/* Copies everything. ERR_BUSY "courier_full" or "courier_gone": done will not be called. ERR_INVALID "bad_call". */
RESULT courier_submit(struct courier_client *client, const struct courier_call *call);
RESULT courier_submit_mail(struct courier_client *client, const struct courier_mail *mail);

#endif
