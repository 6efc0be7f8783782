// SPDX-License-Identifier: Apache-2.0
//
// security - the account: who I am, where I am signed in, the way out; and, in a demonstration only, the mails it sent.
import type { JSX } from 'preact';
import { del, get } from '../shared/api';
import { dateAndTime, hereZone } from '../shared/format';
import { Link, navigate, useTitle } from '../shared/router';
import { signOut, useMe } from '../shared/session';
import type { Me, Page } from '../shared/types';
import { Button, ErrorSummary, Heading, Pending, useLoad, useSubmit } from '../shared/ui';
import { useSignedIn } from './guard';
import { SITE } from './site';

interface OwnSession {
    id: string;
    level?: number;
    created_at?: string;
    seen_at?: string;
    current?: boolean;
}

function SessionLine({ session, mine, onEnded }: { session: OwnSession; mine: boolean; onEnded: () => void }): JSX.Element {
    const end = useSubmit(async (key) => {
        await del(`/api/v1/account/sessions/${session.id}`, { idempotencyKey: key });
        onEnded();
    });
    return (
        <li>
            <div>
                <strong>{mine ? 'This device' : 'Another device'}</strong>
                {session.created_at && <p class="soft">Since {dateAndTime(session.created_at, hereZone())}{session.seen_at && `, last seen ${dateAndTime(session.seen_at, hereZone())}`}</p>}
                <ErrorSummary error={end.error} />
            </div>
            {!mine && <Button kind="danger" busy={end.busy} onClick={end.run} testid="end-session">End it</Button>}
        </li>
    );
}

export function SecurityPage(): JSX.Element {
    useTitle('Account and security', SITE);
    const known = useMe();
    const { data: me, error, reload } = useLoad('me', (signal) => get<Me>('/api/v1/account', { signal }));
    const sessions = useLoad(me ? 'sessions' : null, (signal) => get<Page<OwnSession>>('/api/v1/account/sessions', { signal }));
    const out = useSubmit(async () => {
        await signOut();
        navigate('/');
    });
    useSignedIn(error);
    if (!me) return <Pending error={error} reload={reload} what="your account" />;
    const staff = (known ?? me).grants.length > 0;
    return (
        <>
            <Heading>Account and security</Heading>
            <section class="card" aria-labelledby="who">
                <h2 id="who">You</h2>
                <dl class="facts">
                    <dt>Name</dt><dd data-testid="account-name">{me.account.name}</dd>
                    <dt>E-mail</dt><dd>{me.account.mail}</dd>
                    <dt>Second factor</dt><dd>{me.totp ? 'Authenticator app' : 'None yet'}</dd>
                </dl>
                <ErrorSummary error={out.error} />
                <div class="row">
                    <Button busy={out.busy} onClick={out.run} testid="sign-out">Sign out</Button>
                    {staff && <a class="button button-quiet" href="/staff/">Staff console</a>}
                    <Link class="button button-quiet" href="/orders">Your orders</Link>
                </div>
            </section>
            <section class="card" aria-labelledby="where">
                <h2 id="where">Where you are signed in</h2>
                {!sessions.data ? <Pending error={sessions.error} reload={sessions.reload} what="your sessions" />
                    : <ul class="lines">{sessions.data.data.map((session) => (
                        <SessionLine key={session.id} session={session} mine={session.current ?? session.id === me.session} onEnded={sessions.reload} />
                    ))}</ul>}
            </section>
        </>
    );
}

interface DemoMail {
    to: string;
    subject: string;
    text: string;
    at: string;
}

/** Text of a mail with its addresses of this site made into links. */
function MailText({ text }: { text: string }): JSX.Element {
    const parts = text.trim().split(/(https?:\/\/\S+)/);
    return <p class="pre wrap-any">{parts.map((part, i) => (i % 2 === 1 && part.startsWith(`${location.origin}/`) ? <a key={i} href={part}>{part}</a> : part))}</p>;
}

export function MailsPage(): JSX.Element {
    useTitle('Mails of this demonstration', SITE);
    const { data, error, reload } = useLoad('mails', (signal) => get<{ data: DemoMail[] }>('/api/v1/demo/mails', { signal }));
    return (
        <>
            <Heading over="Demonstration only">Mails that were sent</Heading>
            {!data ? <Pending error={error} reload={reload} what="the mails" />
                : data.data.length === 0 ? <div class="empty"><p>No mail yet. Buy a ticket, and its confirmation appears here.</p></div>
                : <ul class="plain-list">{data.data.map((mail, i) => (
                    <li key={`${mail.at} ${i}`} class="card" data-testid="mail">
                        <h2>{mail.subject}</h2>
                        <p class="soft">To {mail.to} · {dateAndTime(mail.at, hereZone())}</p>
                        <MailText text={mail.text} />
                    </li>
                ))}</ul>}
            <Button onClick={reload}>Look again</Button>
        </>
    );
}
