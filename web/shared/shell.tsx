// SPDX-License-Identifier: Apache-2.0
//
// shell - what stands around every page: skip link, brand, navigation, main, footer.
import type { ComponentChildren, JSX } from 'preact';
import { Link } from './router';

export function Brand({ href, sub }: { href: string; sub?: string }): JSX.Element {
    return (
        <Link class="brand" href={href}>
            <svg class="brand-mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
                <path d="M4 7h24v6a3 3 0 0 0 0 6v6H4v-6a3 3 0 0 0 0-6z" fill="currentColor" />
                <path d="M20 9v2m0 3v2m0 3v2" stroke="var(--paper)" stroke-width="2" stroke-linecap="round" />
            </svg>
            <span>Gatehouse{sub && <small> {sub}</small>}</span>
        </Link>
    );
}

export function Shell({ brand, nav, children, footer }:
    { brand: JSX.Element; nav?: ComponentChildren; children: ComponentChildren; footer?: ComponentChildren }): JSX.Element {
    return (
        <>
            <a class="skip" href="#main" onClick={(event) => {
                event.preventDefault();
                document.getElementById('main')?.focus();
            }}>Skip to the content</a>
            <header class="top">
                <div class="top-in">
                    {brand}
                    {nav}
                </div>
            </header>
            <main id="main" tabIndex={-1} class="page">{children}</main>
            {footer && <footer class="foot"><div class="foot-in">{footer}</div></footer>}
        </>
    );
}
