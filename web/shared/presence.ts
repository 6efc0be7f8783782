// SPDX-License-Identifier: Apache-2.0
//
// presence - tells a code that is still being held to the camera from one that is shown again.
//
// A camera sees the same code ten times a second. Only the first sight is a scan; the next one of the same code counts when it
// has been out of view for a while, or when the operator asked for the next scan and gave it time to leave.

const GONE_MS = 1_000;
const REARM_MS = 1_200;

export class Presence {
    private code: string | null = null;
    private lastSeen = 0;
    private ignoreUntil = 0;

    /** A code was read at this time. True when it is a new scan. */
    seen(code: string, nowMs: number): boolean {
        if (code === this.code && nowMs - this.lastSeen < GONE_MS) {
            this.lastSeen = nowMs;
            return false;
        }
        if (nowMs < this.ignoreUntil && code === this.code) return false;
        this.code = code;
        this.lastSeen = nowMs;
        return true;
    }

    /** The operator is ready for the next scan: the same code counts again, a moment from now. */
    rearm(nowMs: number): void {
        this.ignoreUntil = nowMs + REARM_MS;
        this.lastSeen = -Infinity;
    }
}
