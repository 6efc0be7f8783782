// SPDX-License-Identifier: Apache-2.0
//
// devices - scanners: enrol one by a one-time QR code, see which there are, take one away.
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { del, get, post } from '../shared/api';
import { clock, dateAndTime, hereZone } from '../shared/format';
import { useTitle } from '../shared/router';
import type { Page } from '../shared/types';
import { Button, CopyButton, ErrorSummary, Field, fieldError, Heading, Notice, Pending, Select, SvgImage, useLoad, useSubmit } from '../shared/ui';
import { SITE, useDesk } from './context';
import { useEvents } from './lists';

interface Enrolment {
    token: string;
    url: string;
    qr_svg: string;
    expires_at: string;
}

interface Device {
    id: string;
    name: string;
    gate: string;
    status: string;
    enrolled_at: string;
}

function NewDevice({ event, onMade }: { event: string; onMade: () => void }): JSX.Element {
    const [name, setName] = useState('');
    const [gate, setGate] = useState('');
    // What was typed stays when the events arrive or another is chosen; a code is shown for its own event only.
    const [code, setCode] = useState<{ event: string; enrolment: Enrolment }>();
    const made = code?.event === event ? code.enrolment : undefined;
    const submit = useSubmit(async (key) => {
        const enrolment = await post<Enrolment>(`/api/v1/events/${event}/devices/enrolments`, { name: name.trim(), gate: gate.trim() }, { idempotencyKey: key });
        setCode({ event, enrolment });
        onMade();
    }, JSON.stringify([event, name, gate]));
    return (
        <section class="card" aria-labelledby="enrol">
            <h2 id="enrol">Enrol a scanner</h2>
            <p class="soft">Any phone with a camera, or a computer with a hand scanner. Its key is made on it and never leaves it.</p>
            <form class="stack" noValidate onSubmit={(e) => { e.preventDefault(); submit.run(); }}>
                <ErrorSummary error={submit.error} fields={{ name: 'Name of the device', gate: 'Gate' }} />
                <div class="cols">
                    <Field label="Name of the device" name="name" testid="device-name" value={name} onValue={setName} required error={fieldError(submit.error, 'name')} hint="Such as “Phone 5”." />
                    <Field label="Gate" name="gate" testid="device-gate" value={gate} onValue={setGate} required error={fieldError(submit.error, 'gate')} hint="Where it stands, such as “North 2”." />
                </div>
                <div><Button kind="main" type="submit" busy={submit.busy} disabled={!event} testid="enrolment-submit">Make the code</Button></div>
            </form>
            {made && (
                <div class="enrol" data-testid="enrolment">
                    <SvgImage svg={made.qr_svg} alt="QR code that opens the gate page and enrols the scanner; the same address is written beside it" testid="enrolment-qr" className="qr qr-large" />
                    <div>
                        <Notice kind="good"><p>Open this with the scanner’s camera. It works once, until {clock(made.expires_at, hereZone())}.</p></Notice>
                        <code class="secret" data-testid="enrolment-url">{made.url}</code>
                        <CopyButton text={made.url} label="Copy the address" />
                    </div>
                </div>
            )}
        </section>
    );
}

function DeviceLine({ device, onGone }: { device: Device; onGone: () => void }): JSX.Element {
    const desk = useDesk();
    const revoke = useSubmit(async (key) => {
        await del(`/api/v1/devices/${device.id}`, { idempotencyKey: key });
        onGone();
    });
    return (
        <li data-testid="device">
            <div><strong>{device.name}</strong> <span class={`badge ${device.status === 'active' ? 'badge-good' : 'badge-plain'}`}>{device.status}</span><p class="soft">{device.gate} · since {dateAndTime(device.enrolled_at, hereZone())}</p><ErrorSummary error={revoke.error} /></div>
            {desk.can('organiser') && device.status !== 'revoked' && <Button kind="danger" busy={revoke.busy} onClick={revoke.run} testid="device-revoke">Withdraw<span class="visually-hidden"> {device.name}</span></Button>}
        </li>
    );
}

export function DevicesPage(): JSX.Element {
    const desk = useDesk();
    const loaded = useEvents(desk);
    const events = (loaded ?? []).filter((event) => event.status !== 'draft');
    const [wanted, setWanted] = useState(() => new URLSearchParams(location.search).get('event') ?? '');
    const event = events.find((item) => item.id === wanted)?.id ?? events[0]?.id ?? '';
    useTitle('Scanners', SITE);
    const list = useLoad(event && desk.can('organiser') ? `devices ${event}` : null, (signal) => get<Page<Device>>(`/api/v1/events/${event}/devices?limit=200`, { signal }));
    useEffect(() => {
        if (!event) return;
        const timer = setInterval(list.reload, 10_000); // a scanner being enrolled appears by itself
        return () => clearInterval(timer);
    }, [event]);
    return (
        <>
            <Heading>Scanners</Heading>
            <Select label="Event" name="event" value={event} onValue={setWanted} options={events.length === 0 ? [{ value: '', label: loaded ? 'No event is on sale' : 'Loading…' }] : events.map((item) => ({ value: item.id, label: item.name }))} />
            <NewDevice event={event} onMade={list.reload} />
            {event && desk.can('organiser') && (
                <section class="card" aria-labelledby="devices"><h2 id="devices">Enrolled</h2>
                    {!list.data ? <Pending error={list.error} reload={list.reload} what="scanners" /> : list.data.data.length === 0 ? <p class="soft">None yet.</p>
                        : <ul class="lines">{list.data.data.map((device) => <DeviceLine key={device.id} device={device} onGone={list.reload} />)}</ul>}
                </section>
            )}
        </>
    );
}
