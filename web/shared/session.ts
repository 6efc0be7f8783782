// SPDX-License-Identifier: Apache-2.0
//
// session - who is signed in, known once per page and told to every part of it that asks.
import { useEffect, useState } from 'preact/hooks';
import { del, get, Problem } from './api';
import type { Me } from './types';

/** undefined: not asked yet; null: nobody, or a sign-in that is not finished. */
let me: Me | null | undefined;
const listeners = new Set<() => void>();

export function setMe(next: Me | null): void {
    me = next && next.level >= 2 ? next : null;
    listeners.forEach((listener) => listener());
}

let asking: Promise<void> | undefined;

export function loadMe(): Promise<void> {
    asking ??= get<Me>('/api/v1/account')
        .then(setMe, (error: unknown) => {
            if (error instanceof Problem && error.status === 401) setMe(null);
            else throw error;
        })
        .finally(() => (asking = undefined));
    return asking;
}

export function useMe(): Me | null | undefined {
    const [, redraw] = useState(0);
    useEffect(() => {
        const update = (): void => redraw((n) => n + 1);
        listeners.add(update);
        if (me === undefined) loadMe().catch(() => setMe(null));
        return () => void listeners.delete(update);
    }, []);
    return me;
}

export async function signOut(): Promise<void> {
    await del('/api/v1/sessions/current').catch((error: unknown) => {
        if (!(error instanceof Problem && error.status === 401)) throw error;
    });
    sessionStorage.clear();
    setMe(null);
}
