// SPDX-License-Identifier: Apache-2.0
import { useEffect } from 'preact/hooks';
import { Problem } from '../shared/api';
import { navigate } from '../shared/router';
import { setMe } from '../shared/session';

/** A page that needs its person: asked to sign in, and brought back here afterwards. */
export function useSignedIn(error: unknown): void {
    const out = error instanceof Problem && error.status === 401;
    useEffect(() => {
        if (!out) return;
        setMe(null);
        navigate(`/sign-in?next=${encodeURIComponent(location.pathname)}`, true);
    }, [out]);
}
