// SPDX-License-Identifier: Apache-2.0
//
// api - the one way the pages talk to the server.
//
// Answers are typed by the caller; every failure is a Problem with a sentence a person can act on. Requests that are safe to
// repeat are repeated by themselves: reads always, writes because each carries an Idempotency-Key, or an id of its own, that stays
// the same over the repetitions, so that a lost answer never means a second order.

export interface FieldError {
    detail: string;
    pointer: string;
}

export class Problem extends Error {
    override name = 'Problem';
    constructor(
        readonly status: number,
        readonly slug: string,
        message: string,
        readonly errors: FieldError[] = [],
        readonly retryAfterMs = 0,
        readonly instance = '',
    ) {
        super(message);
    }
}

// Where the page knows better than the server what the person was doing.
const words: Record<string, string> = {
    network: 'There is no connection to the box office. Check your network and try again.',
    seat_taken: 'Somebody was faster: one of these seats has just been taken. None was held for you; please choose again.',
    none_left: 'There are not that many left together. Try fewer, or another category.',
    not_on_sale: 'This event is not on sale.',
    too_many_holds: 'You are holding as many seats as one person may. Release some, or finish that order first.',
    hold_expired: 'The time to hold these seats is over, and they are free for others again. You can choose anew.',
    sign_in_failed: 'That e-mail address and password do not go together.',
    code_refused: 'That code was not accepted. Each code works once and for about thirty seconds: wait for the next one.',
    no_session: 'Please sign in first.',
    link_used: 'This link was used already, or its time is over. Ask for a new one.',
    queue_full: 'The box office is very busy. Please try again in a moment.',
    rate_limited: 'That was a little too often. Please wait a moment.',
    hold_ended: 'These seats are not held for you any more.',
    bad_device_signature: 'The server does not accept the key of this scanner.',
    account_exists: 'There is an account with this e-mail address already. Sign in instead.',
    cross_origin: 'The request came from another site and was refused.',
};

interface ProblemBody {
    type?: unknown;
    title?: unknown;
    detail?: unknown;
    instance?: unknown;
    errors?: unknown;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function readErrors(value: unknown): FieldError[] {
    if (!Array.isArray(value)) return [];
    return value.slice(0, 50).flatMap((item: unknown) => {
        if (typeof item !== 'object' || item === null) return [];
        const { detail, pointer } = item as Record<string, unknown>;
        return [{ detail: text(detail), pointer: text(pointer) }];
    });
}

export function problemOf(status: number, body: unknown, retryAfter: string | null): Problem {
    const { type, title, detail, instance, errors }: ProblemBody = typeof body === 'object' && body !== null ? body : {};
    const slug = text(type).replace(/^.*\//, '') || `http_${status}`;
    const seconds = Number(retryAfter);
    const fallback =
        status === 429 ? 'That was a little too often. Please wait a moment.'
        : status >= 500 ? 'The box office is very busy. Please try again in a moment.'
        : 'That did not work.';
    return new Problem(status, slug, words[slug] ?? (text(detail) || text(title) || fallback), readErrors(errors),
        Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0, text(instance));
}

export interface CallOptions {
    body?: unknown;
    /** Given by the caller when one intention may be sent by several calls; else made for this one. null: the body's own id does that. */
    idempotencyKey?: string | null;
    ifMatch?: string;
    signal?: AbortSignal | undefined;
    /** How long one attempt may take; long polls need more. */
    timeoutMs?: number;
    attempts?: number;
}

export const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
        if (signal?.aborted) {
            reject(signal.reason as Error);
            return;
        }
        const timer = setTimeout(resolve, ms);
        signal?.addEventListener('abort', () => {
            clearTimeout(timer);
            reject(signal.reason as Error);
        }, { once: true });
    });

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === 'AbortError';

async function attempt(method: string, path: string, headers: Record<string, string>, options: CallOptions): Promise<Response> {
    const limit = AbortSignal.timeout(options.timeoutMs ?? 15_000);
    const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
    const init: RequestInit = { method, headers, signal, credentials: 'same-origin', redirect: 'error', cache: 'no-cache' };
    if (options.body !== undefined) init.body = JSON.stringify(options.body);
    return fetch(path, init);
}

async function failure(response: Response): Promise<Problem> {
    let body: unknown = null;
    if ((response.headers.get('content-type') ?? '').includes('json')) {
        body = await response.json().catch(() => null);
    }
    return problemOf(response.status, body, response.headers.get('retry-after'));
}

async function send(method: string, path: string, accept: string, options: CallOptions): Promise<Response> {
    const headers: Record<string, string> = { Accept: accept };
    if (options.body !== undefined) headers['Content-Type'] = 'application/json';
    if (method !== 'GET' && options.idempotencyKey !== null) headers['Idempotency-Key'] = options.idempotencyKey ?? crypto.randomUUID();
    if (options.ifMatch) headers['If-Match'] = options.ifMatch;
    const attempts = options.attempts ?? 3;
    for (let n = 1; ; n++) {
        let problem: Problem;
        try {
            const response = await attempt(method, path, headers, options);
            if (response.ok) return response;
            problem = await failure(response);
            if (problem.status !== 503 && problem.status !== 502 && problem.status !== 504) throw problem;
        } catch (error) {
            if (error instanceof Problem) throw error;
            if (options.signal?.aborted) throw options.signal.reason;
            problem = new Problem(0, 'network', words.network ?? '');
        }
        if (n >= attempts || problem.retryAfterMs > 5_000) throw problem;
        await sleep(Math.max(problem.retryAfterMs, 250 * 2 ** n * (0.75 + Math.random() / 2)), options.signal);
    }
}

export async function call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const response = await send(method, path, 'application/json', options);
    if (response.status === 204 || response.headers.get('content-length') === '0') return undefined as T;
    return (await response.json()) as T;
}

export const get = <T>(path: string, options: CallOptions = {}): Promise<T> => call<T>('GET', path, options);
export const post = <T>(path: string, body?: unknown, options: CallOptions = {}): Promise<T> =>
    call<T>('POST', path, body === undefined ? options : { ...options, body });
export const del = (path: string, options: CallOptions = {}): Promise<void> => call<void>('DELETE', path, options);

/** A binary body, refused above a limit before it is kept. */
export async function getBytes(path: string, maxBytes: number, options: CallOptions = {}): Promise<Uint8Array> {
    const response = await send('GET', path, 'application/octet-stream', { timeoutMs: 60_000, ...options });
    const reader = response.body?.getReader();
    if (!reader) return new Uint8Array(0);
    const parts: Uint8Array[] = [];
    let size = 0;
    for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        size += value.length;
        if (size > maxBytes) {
            await reader.cancel();
            throw new Problem(0, 'too_large', 'The plan is larger than this page can show.');
        }
        parts.push(value);
    }
    const whole = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
        whole.set(part, at);
        at += part.length;
    }
    return whole;
}

/** One sentence about anything that was thrown. */
export function sentence(error: unknown): string {
    if (error instanceof Problem) return error.message;
    if (error instanceof Error && error.name === 'FormatError') return 'The answer of the server could not be read.';
    return 'Something went wrong on this page. Please load it again.';
}
