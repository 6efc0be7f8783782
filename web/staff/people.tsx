// SPDX-License-Identifier: Apache-2.0
//
// people - who may do what here: give a role to an account, take it back.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { del, get, post } from '../shared/api';
import { dateAndTime, hereZone, zonedToUtc } from '../shared/format';
import { useTitle } from '../shared/router';
import type { Page } from '../shared/types';
import { Button, ErrorSummary, Field, fieldError, Heading, Pending, Select, useLoad, useSubmit } from '../shared/ui';
import { readable } from './alerts';
import { SITE, under, useDesk } from './context';
import { useEvents } from './lists';

interface GrantLine {
    id: string;
    role: string;
    event: string | null;
    created_at: string;
    expires_at: string | null;
    account: { id: string; name: string; mail: string };
}

const roles: [string, string][] = [
    ['gate', 'Gate: scans, scanners and alerts'],
    ['box_office', 'Box office: orders'],
    ['auditor', 'Auditor: reads scans, alerts and access records'],
    ['organiser', 'Organiser: everything of this organiser'],
    ['owner', 'Owner: everything in the installation'],
];

function NewGrant({ onMade }: { onMade: () => void }): JSX.Element {
    const desk = useDesk();
    const events = useEvents(desk) ?? [];
    const [mail, setMail] = useState('');
    const [role, setRole] = useState('gate');
    const [event, setEvent] = useState('');
    const [until, setUntil] = useState('');
    const submit = useSubmit(async (key, id) => {
        const body = { id: id('grt'), mail: mail.trim(), role, event: event || null, expires_at: until ? zonedToUtc(until, hereZone()) : null };
        await post(under(desk, 'grants'), body, { idempotencyKey: key });
        setMail('');
        onMade();
    }, JSON.stringify([mail, role, event, until]));
    const offered = roles.filter(([name]) => desk.owner || (name !== 'owner' && name !== 'organiser'));
    return (
        <form class="card" noValidate aria-labelledby="give" onSubmit={(e) => { e.preventDefault(); submit.run(); }}>
            <h2 id="give">Give a role</h2>
            <p class="soft">The person needs an account with a second factor first: they register in the shop.</p>
            <ErrorSummary error={submit.error} fields={{ mail: 'E-mail address', role: 'Role', event: 'Event', expires_at: 'Until' }} />
            <div class="cols">
                <Field label="E-mail address" name="mail" testid="grant-mail" type="email" value={mail} onValue={setMail} required error={fieldError(submit.error, 'mail')} autoComplete="off" />
                <Select label="Role" name="role" testid="grant-role" value={role} onValue={setRole} options={offered.map(([value, label]) => ({ value, label }))} />
                <Select label="For" name="event" testid="grant-event" value={event} onValue={setEvent} options={[{ value: '', label: 'All events' }, ...events.map((item) => ({ value: item.id, label: item.name }))]} />
                <Field label="Until (optional)" name="expires_at" type="datetime-local" value={until} onValue={setUntil} error={fieldError(submit.error, 'expires_at')} />
            </div>
            <div><Button kind="main" type="submit" busy={submit.busy} testid="grant-submit">Give the role</Button></div>
        </form>
    );
}

function Line({ grant, onGone }: { grant: GrantLine; onGone: () => void }): JSX.Element {
    const { name, mail } = grant.account;
    const take = useSubmit(async (key) => {
        await del(`/api/v1/grants/${grant.id}`, { idempotencyKey: key });
        onGone();
    });
    return (
        <li data-testid="grant">
            <div><strong>{name}</strong> <span class="badge">{readable(grant.role)}</span><p class="soft">{mail}{grant.event ? ' · one event' : ''}{grant.expires_at ? ` · until ${dateAndTime(grant.expires_at, hereZone())}` : ''}</p><ErrorSummary error={take.error} /></div>
            <Button kind="danger" busy={take.busy} onClick={take.run} testid="grant-revoke">Take back<span class="visually-hidden"> the role {readable(grant.role)} from {name}</span></Button>
        </li>
    );
}

export function PeoplePage(): JSX.Element {
    const desk = useDesk();
    useTitle('People', SITE);
    const list = useLoad(`grants ${desk.organiser.id}`, (signal) => get<Page<GrantLine>>(under(desk, 'grants?limit=200'), { signal }));
    return (
        <>
            <Heading>People and roles</Heading>
            <NewGrant onMade={list.reload} />
            <section class="card" aria-labelledby="who"><h2 id="who">Roles given</h2>
                {!list.data ? <Pending error={list.error} reload={list.reload} what="roles" /> : <ul class="lines">{list.data.data.map((grant) => <Line key={grant.id} grant={grant} onGone={list.reload} />)}</ul>}
            </section>
        </>
    );
}
