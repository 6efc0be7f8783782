// SPDX-License-Identifier: Apache-2.0
//
// urls - the only two places where an address comes from outside and is followed.

/** A path of our own to come back to; anything that could lead to another site becomes the fallback. */
export function safeNext(next: string | null, fallback: string): string {
    return next && /^\/[A-Za-z0-9_\-/?=.#]*$/.test(next) && !next.startsWith('//') ? next : fallback;
}

/** The provider's page: another origin over HTTPS, or this very machine while trying things out. */
export function checkoutAddress(text: string | null): string | null {
    if (!text) return null;
    try {
        const url = new URL(text);
        const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
        return url.protocol === 'https:' || (url.protocol === 'http:' && loopback) ? url.href : null;
    } catch {
        return null;
    }
}
