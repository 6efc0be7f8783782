// SPDX-License-Identifier: Apache-2.0
//
// lists - orders, scans and access records: found, filtered by event, read page by page.
import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import { get } from '../shared/api';
import { amount, dateAndSeconds, dateAndTime, hereZone, plural } from '../shared/format';
import { useTitle } from '../shared/router';
import type { EventInfo, Page, StaffOrder } from '../shared/types';
import { Button, Field, Heading, Notice, Pending, Select, useLoad } from '../shared/ui';
import { factText, readable } from './alerts';
import { type Desk, SITE, under, useDesk } from './context';

interface Paged<T> {
    items: T[] | undefined;
    error: unknown;
    reload: () => void;
    more: (() => void) | undefined;
}

function usePaged<T>(path: string | null): Paged<T> {
    const [extra, setExtra] = useState<{ path: string | null; items: T[]; next: string | null }>({ path: '', items: [], next: null });
    const first = useLoad(path, (signal) => get<Page<T>>(path ?? '', { signal }));
    const joined = extra.path === path ? extra : { path, items: [], next: first.data?.next_cursor ?? null };
    const more = (): void => {
        if (!joined.next || !path) return;
        get<Page<T>>(`${path}${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(joined.next)}`).then(
            (page) => setExtra({ path, items: [...joined.items, ...page.data], next: page.next_cursor }),
            () => setExtra({ ...joined }),
        );
    };
    return { items: first.data && [...first.data.data, ...joined.items], error: first.error, reload: () => { setExtra({ path: '', items: [], next: null }); first.reload(); }, more: first.data && joined.next ? more : undefined };
}

/** undefined while they load. */
export function useEvents(desk: Desk): EventInfo[] | undefined {
    return useLoad(`names ${desk.organiser.id}`, (signal) => get<Page<EventInfo>>(under(desk, 'events?limit=200'), { signal })).data?.data;
}

function EventFilter({ value, onValue, events, all }: { value: string; onValue: (value: string) => void; events: EventInfo[] | undefined; all: boolean }): JSX.Element {
    return <Select label="Event" name="event" value={value} onValue={onValue} options={[...(all ? [{ value: '', label: 'All events' }] : []), ...(events ?? []).map((event) => ({ value: event.id, label: event.name }))]} />;
}

function Table({ heads, children, caption }: { heads: string[]; children: ComponentChildren; caption: string }): JSX.Element {
    return (
        <div class="table-box card" tabIndex={0} role="region" aria-label={caption}>
            <table><caption class="visually-hidden">{caption}</caption><thead><tr>{heads.map((head) => <th key={head} scope="col">{head}</th>)}</tr></thead><tbody>{children}</tbody></table>
        </div>
    );
}

function Listing<T>({ list, what, empty, heads, row }: { list: Paged<T>; what: string; empty: string; heads: string[]; row: (item: T, i: number) => JSX.Element }): JSX.Element {
    if (!list.items) return <Pending error={list.error} reload={list.reload} what={what} />;
    if (list.items.length === 0) return <div class="empty"><p>{empty}</p></div>;
    return <><Table heads={heads} caption={what}>{list.items.map(row)}</Table>{list.more && <Button onClick={list.more}>Show more</Button>}</>;
}

const words = ({ order, buyer }: StaffOrder): string => [order.id, buyer?.name, buyer?.mail, order.event_name, order.status, ...order.places.map((p) => `${p.zone ?? ''} ${p.row ?? ''} ${p.seat ?? ''} ${p.area ?? ''}`)].join(' ').toLowerCase();

export function OrdersPage(): JSX.Element {
    const desk = useDesk();
    const events = useEvents(desk)?.filter((item) => item.status !== 'draft');
    const [wanted, setEvent] = useState('');
    const event = wanted || events?.[0]?.id || '';
    const [find, setFind] = useState('');
    useTitle('Orders', SITE);
    const list = usePaged<StaffOrder>(event ? under(desk, `orders?limit=200&event=${event}`) : null);
    const needle = find.trim().toLowerCase();
    const shown = { ...list, items: list.items?.filter((order) => !needle || words(order).includes(needle)) };
    return (
        <>
            <Heading>Orders</Heading>
            <Notice><p>Reading names and addresses is recorded.</p></Notice>
            <div class="cols"><Field label="Find" name="find" type="search" value={find} onValue={setFind} hint="Name, mail, number, seat or state, among the orders loaded." /><EventFilter value={event} onValue={setEvent} events={events} all={false} /></div>
            {events?.length === 0 ? <div class="empty"><p>No event is on sale yet.</p></div> : <Listing list={shown} what="Orders" empty="No order found." heads={['Buyer', 'Event', 'Places', 'Total', 'State', 'Ordered']} row={({ order, buyer }) => (
                <tr key={order.id} data-testid="staff-order">
                    <td>{buyer?.name ?? 'Erased'}<br /><span class="soft">{buyer?.mail}</span></td>
                    <td>{order.event_name}</td><td>{plural(order.places.length, 'place')}</td><td class="num">{amount(order.total)}</td>
                    <td><span class={`badge ${order.status === 'paid' ? 'badge-good' : 'badge-plain'}`}>{readable(order.status)}</span></td>
                    <td>{dateAndTime(order.created_at, hereZone())}</td>
                </tr>
            )} />}
        </>
    );
}

interface ScanLine {
    id: string;
    device: string;
    gate: string;
    ticket: string | null;
    verdict: string;
    reason: string;
    at: string;
}

export function ScansPage(): JSX.Element {
    const desk = useDesk();
    const events = useEvents(desk);
    const [event, setEvent] = useState('');
    useTitle('Scans', SITE);
    const list = usePaged<ScanLine>(under(desk, `scans?limit=100${event ? `&event=${event}` : ''}`));
    return (
        <>
            <div class="row between"><Heading>Scans</Heading><Button onClick={list.reload}>Look again</Button></div>
            <EventFilter value={event} onValue={setEvent} events={events} all />
            <Listing list={list} what="Scans" empty="Nothing scanned yet." heads={['When', 'Verdict', 'Reason', 'Gate', 'Scanner', 'Ticket']} row={(scan) => (
                    <tr key={scan.id} data-testid="staff-scan">
                        <td class="num">{dateAndSeconds(scan.at, hereZone())}</td>
                        <td><span class={`badge ${scan.verdict === 'admitted' ? 'badge-good' : 'badge-bad'}`}>{scan.verdict === 'admitted' ? '✓ Admitted' : '✕ Rejected'}</span></td>
                        <td>{readable(scan.reason)}</td><td>{scan.gate}</td><td>{scan.device}</td><td class="wrap-any soft">{scan.ticket ?? '–'}</td>
                    </tr>
            )} />
        </>
    );
}

export function AccessPage(): JSX.Element {
    const desk = useDesk();
    useTitle('Access records', SITE);
    const list = usePaged<Record<string, unknown>>(under(desk, 'access_records?limit=100'));
    const heads = Object.keys(list.items?.[0] ?? {}).filter((name) => name !== 'id');
    return (
        <>
            <Heading>Access records</Heading>
            <p class="soft">Who read which person, order or ticket.</p>
            <Listing list={list} what="Access records" empty="Nobody has read anything yet." heads={heads.map(readable)} row={(record, i) => (
                <tr key={i}>{heads.map((name) => <td key={name} class="wrap-any">{factText(record[name])}</td>)}</tr>
            )} />
        </>
    );
}
