// SPDX-License-Identifier: Apache-2.0
//
// router - addresses of a page that never reloads: the path, links that change it, and where the reader's focus goes.
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useLayoutEffect, useState } from 'preact/hooks';

const listeners = new Set<() => void>();
let moved = false;
const changed = (): void => {
    moved = true;
    listeners.forEach((listener) => listener());
};

export function navigate(path: string, replace = false): void {
    if (path === location.pathname + location.search + location.hash) {
        changed();
        return;
    }
    if (replace) history.replaceState(null, '', path);
    else history.pushState(null, '', path);
    changed();
    scrollTo(0, 0);
}

addEventListener('popstate', changed);

export function usePath(): string {
    const [path, setPath] = useState(location.pathname);
    useEffect(() => {
        const update = (): void => setPath(location.pathname);
        listeners.add(update);
        update();
        return () => void listeners.delete(update);
    }, []);
    return path;
}

export interface LinkProps {
    href: string;
    class?: string | undefined;
    'aria-current'?: 'page' | undefined;
    'aria-label'?: string | undefined;
    'data-testid'?: string | undefined;
    children?: ComponentChildren;
}

export function Link({ href, ...rest }: LinkProps): JSX.Element {
    const follow = (event: MouseEvent): void => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        navigate(href);
    };
    return <a {...rest} href={href} onClick={follow} />;
}

/**
 * The title of the document. After a change of page the focus goes to its heading, as a new page's would: pages give an empty
 * title while they load, so that the heading is there when the title is.
 */
export function useTitle(title: string, site: string): void {
    useLayoutEffect(() => {
        document.title = title ? `${title} – ${site}` : site;
    }, [title]);
    useEffect(() => {
        if (!moved || !title) return;
        moved = false;
        document.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true });
    }, [title]);
}
