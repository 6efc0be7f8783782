/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_PROC_CHANNEL_H
#define GROUND_PROC_CHANNEL_H

/*
 * channel - typed questions and answers between two processes of this program, over one end of a socket pair each.
 *
 * The socket is AF_UNIX SOCK_SEQPACKET: the kernel keeps message borders, so a frame arrives whole or not at all and a send by
 * several threads needs no lock. A frame is
 *
 *     u32 payload length | u16 type | u16 flags (1 = the answer is an error) | u32 request id | payload, at most PROC_PAYLOAD_MAX
 *
 * all big-endian. An answer carries the type and id of its question. What the types mean is the rooms' business (trust/signer,
 * reach/courier). Bytes from the other process are input like any other: bounded, checked, never trusted.
 *
 * The asking side is a struct proc_channel: many threads ask at once, one reader thread hands each answer to its asker. The
 * answering side is a loop of its own with proc_receive and proc_answer.
 *
 * A question that was sent and not answered (deadline, peer gone) is ERR_UNCERTAIN: the other side may have acted on it.
 */
#include "ground/base/span.h"

enum {
    PROC_HEADER_BYTES = 12,
    PROC_PAYLOAD_MAX = 64 * 1024,
    PROC_FRAME_MAX = PROC_HEADER_BYTES + PROC_PAYLOAD_MAX,
};

/* --- The answering side -------------------------------------------------------------------------------------------- */

struct proc_frame {
    uint16_t type;
    uint32_t id;
    struct span payload; /* borrowed from the room given to proc_receive */
};

/*
 * The next question; room holds PROC_FRAME_MAX. timeout_ms 0 does not wait, -1 waits for ever. ERR_EXPIRED "no_frame" when
 * there is none in time, ERR_NOT_FOUND "peer_gone" when the other side has closed, ERR_INVALID "bad_frame" for what is no frame.
 */
RESULT proc_receive(int fd, uint8_t *room, int timeout_ms, struct proc_frame *ret_frame);
/* ERR_LIMIT "answer_too_long" past PROC_PAYLOAD_MAX, ERR_NOT_FOUND "peer_gone". */
RESULT proc_answer(int fd, const struct proc_frame *question, struct span payload);
/* Carries code, slug and sentence; the asker's call fails with the same. */
RESULT proc_answer_error(int fd, const struct proc_frame *question, const struct err_info *why);

/* --- The asking side (any number of threads) ----------------------------------------------------------------------- */

struct proc_channel;

/* Takes the socket; starts the reader thread (all signals blocked). */
RESULT proc_channel_open(int fd, struct proc_channel **ret_channel);
/* No call may be in progress. NULL is fine. */
void proc_channel_close(struct proc_channel *channel);
/* Whether the other side still holds its end. */
bool proc_channel_alive(struct proc_channel *channel);

/*
 * Ask and wait. ret_answer gets the payload appended (its own maximum applies). Fails as the other side did, or with ERR_BUSY
 * "peer_gone" (not sent), ERR_BUSY "peer_busy" (its queue stayed full until the deadline, not sent), ERR_UNCERTAIN "no_answer".
 */
RESULT proc_call(struct proc_channel *channel, uint16_t type, struct span payload, int timeout_ms,
                 struct buf *ret_answer);

/* The same in two steps, so that one thread can have many questions under way. */
struct proc_pending {
    uint32_t id;
    struct buf *answer;
    struct proc_pending *next;
    int state; /* private */
    struct err_info *error;
    void *wake; /* private */
};
/* On OK the call must be ended by exactly one proc_call_end, and pending and ret_answer stay in place until then. */
RESULT proc_call_begin(struct proc_channel *channel, uint16_t type, struct span payload,
                       int timeout_ms, struct buf *ret_answer, struct proc_pending *ret_pending);
RESULT proc_call_end(struct proc_channel *channel, struct proc_pending *pending, int timeout_ms);

#endif
