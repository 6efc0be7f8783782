// SPDX-License-Identifier: Apache-2.0
//
// shop - what a fan sees: events, seats, orders, tickets. One page; the paths are in web/README.md.
import '../shared/style.css';
import './shop.css';
import { render, type JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { SignIn } from '../shared/auth';
import { get } from '../shared/api';
import { Link, navigate, usePath, useTitle } from '../shared/router';
import { safeNext } from '../shared/urls';
import { useMe } from '../shared/session';
import { Brand, Shell } from '../shared/shell';
import { Heading } from '../shared/ui';
import { EventPage } from './event';
import { EventList } from './events';
import { CheckoutPage, OrderPage, OrdersPage } from './order';
import { MailsPage, SecurityPage } from './security';
import { SITE } from './site';
import { TicketPage, TicketsPage } from './tickets';

function AuthPage({ start }: { start: 'sign-in' | 'register' }): JSX.Element {
    const next = safeNext(new URLSearchParams(location.search).get('next'), '/tickets');
    const query = `?next=${encodeURIComponent(next)}`;
    const me = useMe();
    useTitle(start === 'register' ? 'Create your account' : 'Sign in', SITE);
    useEffect(() => {
        if (me) navigate(next, true);
    }, [me]);
    const other = start === 'register'
        ? <p>You have an account? <Link href={`/sign-in${query}`} data-testid="to-sign-in">Sign in</Link></p>
        : <p>New here? <Link href={`/register${query}`} data-testid="to-register">Create an account</Link></p>;
    return <SignIn key={start} start={start} other={other} onDone={() => navigate(next, true)} />;
}

function NotFound(): JSX.Element {
    useTitle('Not found', SITE);
    return (
        <section class="empty">
            <Heading>Nothing is showing here</Heading>
            <p>The address may be old or mistyped.</p>
            <Link class="button" href="/">See all events</Link>
        </section>
    );
}

function Page({ path }: { path: string }): JSX.Element {
    const [, head = '', id] = path.split('/');
    if (path === '/') return <EventList />;
    if (head === 'e' && id) return <EventPage key={id} id={id} />;
    if (head === 'checkout' && id) return <CheckoutPage key={id} id={id} />;
    if (head === 'orders') return id ? <OrderPage key={id} id={id} /> : <OrdersPage />;
    if (head === 'tickets') return id ? <TicketPage key={id} id={id} /> : <TicketsPage />;
    if (head === 'sign-in' || head === 'register') return <AuthPage start={head} />;
    if (head === 'security') return <SecurityPage />;
    if (head === 'mails') return <MailsPage />;
    return <NotFound />;
}

function App(): JSX.Element {
    const path = usePath();
    const me = useMe();
    const [demo, setDemo] = useState(false);
    useEffect(() => {
        get<{ demo: boolean }>('/api/v1/status').then((status) => setDemo(status.demo === true), () => setDemo(false));
    }, []);
    const current = (href: string): { 'aria-current'?: 'page' } => (path === href || (href !== '/' && path.startsWith(`${href}/`)) ? { 'aria-current': 'page' } : {});
    const nav = (
        <nav class="nav" aria-label="Main">
            <Link href="/" {...current('/')}>Events</Link>
            <Link href="/tickets" {...current('/tickets')} data-testid="nav-tickets">My tickets</Link>
            {me ? <Link href="/security" {...current('/security')} data-testid="nav-account">Account</Link>
                : <Link href="/sign-in" {...current('/sign-in')} data-testid="nav-sign-in">Sign in</Link>}
        </nav>
    );
    const footer = (
        <>
            <p>Every price includes all fees. Tickets are signed; the ledger behind them is public.</p>
            <nav aria-label="More" class="row">
                {demo && <Link href="/mails" data-testid="nav-mails">Mails of this demonstration</Link>}
                <a href="/staff/">For staff</a>
            </nav>
        </>
    );
    return <Shell brand={<Brand href="/" />} nav={nav} footer={footer}><Page path={path} /></Shell>;
}

const root = document.getElementById('app');
if (root) render(<App />, root);
