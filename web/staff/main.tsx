// SPDX-License-Identifier: Apache-2.0
//
// staff - the console of the people who run events. One page; the paths are in web/README.md.
import '../shared/style.css';
import './staff.css';
import { render, type JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { get, post } from '../shared/api';
import { SignIn } from '../shared/auth';
import { Link, navigate, usePath, useTitle } from '../shared/router';
import { safeNext } from '../shared/urls';
import { signOut, useMe } from '../shared/session';
import { Brand, Shell } from '../shared/shell';
import type { Me, Page } from '../shared/types';
import { Button, ErrorSummary, Field, fieldError, Heading, Notice, Pending, Select, useLoad, useSubmit } from '../shared/ui';
import { AlertsPage } from './alerts';
import { DeskContext, type Desk, type Organiser, SITE } from './context';
import { DevicesPage } from './devices';
import { EventPage, EventsPage } from './events';
import { NewEventPage } from './new-event';
import { AccessPage, OrdersPage, ScansPage } from './lists';
import { useLive } from './live';
import { PeoplePage } from './people';

function SetupPage(): JSX.Element {
    // The token is in the fragment, which no server and no log ever sees; it leaves the address at once.
    const [token] = useState(() => location.hash.slice(1));
    useTitle('Create the owner', SITE);
    useEffect(() => history.replaceState(null, '', '/staff/setup'), []);
    if (!token) return <section class="narrow card"><Heading>Open the owner link again</Heading><Notice kind="warn"><p>This page needs the one-time link that was printed when the server started for the first time. Open that link once more.</p></Notice></section>;
    return <SignIn start="owner" token={token} onDone={() => navigate('/staff/', true)} />;
}

function SignInPage(): JSX.Element {
    const next = safeNext(new URLSearchParams(location.search).get('next'), '/staff/');
    useTitle('Sign in', SITE);
    return <SignIn start="sign-in" onDone={() => navigate(next.startsWith('/staff') ? next : '/staff/', true)} />;
}

function NotFound(): JSX.Element {
    useTitle('Not found', SITE);
    return <section class="empty"><Heading>There is no such page</Heading><Link class="button" href="/staff/">To the events</Link></section>;
}

const rooms: { path: string; name: string; roles: string[] }[] = [
    { path: '', name: 'Events', roles: [] },
    { path: 'orders', name: 'Orders', roles: ['organiser', 'box_office'] },
    { path: 'alerts', name: 'Alerts', roles: ['organiser', 'gate', 'auditor'] },
    { path: 'devices', name: 'Scanners', roles: ['organiser', 'gate'] },
    { path: 'scans', name: 'Scans', roles: ['organiser', 'gate', 'auditor'] },
    { path: 'people', name: 'People', roles: ['organiser'] },
    { path: 'access', name: 'Records', roles: ['organiser', 'auditor'] },
];

function Nav({ desk, path }: { desk: Desk; path: string }): JSX.Element {
    const open = desk.alerts?.filter((alert) => alert.state === 'open').length ?? 0;
    const here = (room: string): boolean => (room === '' ? path === '/staff/' || path.startsWith('/staff/events') : path.startsWith(`/staff/${room}`));
    return (
        <nav class="nav staff-nav" aria-label="Staff" data-testid="staff-nav">
            {rooms.filter((room) => room.roles.length === 0 || desk.can(...room.roles)).map((room) => (
                <Link key={room.path} href={`/staff/${room.path}`} data-testid={`nav-${room.path || 'events'}`} {...(here(room.path) ? { 'aria-current': 'page' as const } : {})}>
                    {room.name}
                    {room.path === 'alerts' && open > 0 && <span class="count" data-testid="alert-count">{open}<span class="visually-hidden"> open</span></span>}
                </Link>
            ))}
        </nav>
    );
}

function Room({ path }: { path: string }): JSX.Element {
    const [, , head = '', id] = path.split('/');
    if (head === '' || (head === 'events' && !id)) return <EventsPage />;
    if (head === 'events' && id === 'new') return <NewEventPage />;
    if (head === 'events' && id) return <EventPage key={id} id={id} />;
    if (head === 'orders') return <OrdersPage />;
    if (head === 'alerts') return <AlertsPage />;
    if (head === 'devices') return <DevicesPage />;
    if (head === 'scans') return <ScansPage />;
    if (head === 'people') return <PeoplePage />;
    if (head === 'access') return <AccessPage />;
    return <NotFound />;
}

function FirstOrganiser({ onMade }: { onMade: () => void }): JSX.Element {
    const [name, setName] = useState('');
    const [slug, setSlug] = useState('');
    useTitle('Your first organiser', SITE);
    const suggested = name.toLowerCase().normalize('NFKD').replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 40);
    const submit = useSubmit(async (key, id) => {
        await post('/api/v1/organisers', { id: id('org'), name: name.trim(), slug: slug || suggested }, { idempotencyKey: key });
        onMade();
    }, JSON.stringify([name, slug]));
    return (
        <form class="card narrow" noValidate onSubmit={(event) => { event.preventDefault(); submit.run(); }}>
            <Heading over="Welcome">Who organises the events?</Heading>
            <ErrorSummary error={submit.error} fields={{ name: 'Name', slug: 'Short name' }} />
            <Field label="Name" name="name" testid="organiser-name" value={name} onValue={setName} required error={fieldError(submit.error, 'name')} hint="As fans know it." />
            <Field label="Short name" name="slug" testid="organiser-slug" value={slug || suggested} onValue={setSlug} error={fieldError(submit.error, 'slug')} hint="Lower-case letters, digits and hyphens." />
            <Button kind="main" type="submit" busy={submit.busy} testid="organiser-submit">Continue</Button>
        </form>
    );
}

function Account({ me, organisers, organiser, onOrganiser }:
    { me: Me; organisers: Organiser[]; organiser: Organiser | undefined; onOrganiser: (id: string) => void }): JSX.Element {
    const out = useSubmit(async () => {
        await signOut();
        navigate('/staff/sign-in');
    });
    return (
        <div class="row staff-account">
            {organisers.length > 1 && organiser && (
                <Select label="Organiser" name="organiser" value={organiser.id} onValue={onOrganiser} options={organisers.map((o) => ({ value: o.id, label: o.name }))} />
            )}
            <span class="soft">{me.account.name}</span>
            <Button kind="quiet" busy={out.busy} onClick={out.run} testid="sign-out">Sign out</Button>
        </div>
    );
}

function Inside({ me, organiser, path }: { me: Me; organiser: Organiser; path: string }): JSX.Element {
    const owner = me.grants.some((grant) => grant.role === 'owner');
    const can = (...roles: string[]): boolean => owner || me.grants.some((grant) => roles.includes(grant.role) && grant.organiser === organiser.id);
    const live = useLive(organiser.id, can('organiser', 'gate', 'auditor', 'box_office'), can('organiser', 'gate', 'auditor'));
    const desk: Desk = { me, organiser, owner, can, ...live };
    return (
        <DeskContext.Provider value={desk}>
            <Nav desk={desk} path={path} />
            <NewAlert desk={desk} path={path} />
            <Room path={path} />
        </DeskContext.Provider>
    );
}

/** An alert that came while somebody was elsewhere in the console. */
function NewAlert({ desk, path }: { desk: Desk; path: string }): JSX.Element {
    const { fresh } = useFresh(desk);
    return (
        <div role="status" aria-live="assertive">
            {fresh && path !== '/staff/alerts' && (
                <p class="notice notice-bad" data-testid="alert-toast"><strong>New alert: {fresh}</strong> <Link href="/staff/alerts">Look at it</Link></p>
            )}
        </div>
    );
}

function useFresh(desk: Desk): { fresh: string | null } {
    const newest = desk.alerts?.[0];
    const [first, setFirst] = useState<string | null | undefined>(undefined);
    useEffect(() => {
        if (first === undefined && desk.alerts) setFirst(newest?.id ?? null);
    }, [desk.alerts]);
    const fresh = first !== undefined && newest && newest.id !== first && newest.state === 'open';
    return { fresh: fresh ? (newest.title ?? newest.kind.replace(/_/g, ' ')) : null };
}

function App(): JSX.Element {
    const path = usePath();
    const me = useMe();
    const list = useLoad(me ? 'organisers' : null, (signal) => get<Page<Organiser>>('/api/v1/organisers?limit=200', { signal }));
    const [chosen, setChosen] = useState(localStorage.getItem('organiser') ?? '');
    const organisers = list.data?.data ?? [];
    const organiser = organisers.find((o) => o.id === chosen) ?? organisers[0];
    const outside = path.startsWith('/staff/setup') || path.startsWith('/staff/sign-in');
    useEffect(() => {
        if (me === null && !outside) navigate(`/staff/sign-in?next=${encodeURIComponent(path)}`, true);
    }, [me, outside]);
    const choose = (id: string): void => {
        localStorage.setItem('organiser', id);
        setChosen(id);
    };
    let page: JSX.Element;
    if (path.startsWith('/staff/setup')) page = <SetupPage />;
    else if (path.startsWith('/staff/sign-in')) page = <SignInPage />;
    else if (!me) page = <Pending error={undefined} what="the console" />;
    else if (!list.data) page = <Pending error={list.error} reload={list.reload} what="your organisers" />;
    else if (!organiser) {
        page = me.grants.some((grant) => grant.role === 'owner') ? <FirstOrganiser onMade={list.reload} />
            : <section class="empty"><Heading>No role here yet</Heading><p>Ask the owner or an organiser to give your account ({me.account.mail}) a role.</p></section>;
    } else page = <Inside key={organiser.id} me={me} organiser={organiser} path={path} />;
    const account = me && !outside ? <Account me={me} organisers={organisers} organiser={organiser} onOrganiser={choose} /> : undefined;
    return <Shell brand={<Brand href="/staff/" sub={organiser && me && !outside ? organiser.name : 'staff'} />} nav={account} footer={<a href="/">The shop</a>}>{page}</Shell>;
}

const root = document.getElementById('app');
if (root) render(<App />, root);
