// SPDX-License-Identifier: Apache-2.0
//
// lists - orders, scans and access records: found, filtered by event, read page by page.
import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import { get } from '../shared/api';
import { amount, clockSeconds, dateAndTime, hereZone, plural } from '../shared/format';
import { useTitle } from '../shared/router';
import type { EventInfo, Order, Page } from '../shared/types';
import { Button, Field, Heading, Notice, Pending, Select, useLoad } from '../shared/ui';
import { factText, readable } from './alerts';
import { type Desk, SITE, under, useDesk } from './context';

interface Paged<T> {
    items: T[] | undefined;
    error: unknown;
    reload: () => void;
    more: (() => void) | undefined;
}

function usePaged<T>(path: string): Paged<T> {
    const [extra, setExtra] = useState<{ path: string; items: T[]; next: string | null }>({ path: '', items: [], next: null });
    const first = useLoad(path, (signal) => get<Page<T>>(path, { signal }));
    const joined = extra.path === path ? extra : { path, items: [], next: first.data?.next_cursor ?? null };
    const more = (): void => {
        if (!joined.next) return;
        get<Page<T>>(`${path}${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(joined.next)}`).then(
            (page) => setExtra({ path, items: [...joined.items, ...page.data], next: page.next_cursor }),
            () => setExtra({ ...joined }),
        );
    };
    return { items: first.data && [...first.data.data, ...joined.items], error: first.error, reload: () => { setExtra({ path: '', items: [], next: null }); first.reload(); }, more: first.data && joined.next ? more : undefined };
}

export function useEvents(desk: Desk): EventInfo[] {
    return useLoad(`names ${desk.organiser.id}`, (signal) => get<Page<EventInfo>>(under(desk, 'events?limit=200'), { signal })).data?.data ?? [];
}

function EventFilter({ value, onValue }: { value: string; onValue: (value: string) => void }): JSX.Element {
    const events = useEvents(useDesk());
    return <Select label="Event" name="event" value={value} onValue={onValue} options={[{ value: '', label: 'All events' }, ...events.map((event) => ({ value: event.id, label: event.name }))]} />;
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

const words = (order: Order): string => [order.id, order.buyer?.name, order.buyer?.mail, order.event_name, order.status, ...order.places.map((p) => `${p.zone ?? ''} ${p.row ?? ''} ${p.seat ?? ''} ${p.area ?? ''}`)].join(' ').toLowerCase();

export function OrdersPage(): JSX.Element {
    const desk = useDesk();
    const [event, setEvent] = useState('');
    const [find, setFind] = useState('');
    useTitle('Orders', SITE);
    const list = usePaged<Order>(under(desk, `orders?limit=200${event ? `&event=${event}` : ''}`));
    const needle = find.trim().toLowerCase();
    const shown = { ...list, items: list.items?.filter((order) => !needle || words(order).includes(needle)) };
    return (
        <>
            <Heading>Orders</Heading>
            <Notice><p>Reading names and addresses is recorded.</p></Notice>
            <div class="cols"><Field label="Find" name="find" type="search" value={find} onValue={setFind} hint="Name, mail, number, seat or state, among the orders loaded." /><EventFilter value={event} onValue={setEvent} /></div>
            <Listing list={shown} what="Orders" empty="No order found." heads={['Buyer', 'Event', 'Places', 'Total', 'State', 'Ordered']} row={(order) => (
                <tr key={order.id} data-testid="staff-order">
                    <td>{order.buyer?.name ?? '–'}<br /><span class="soft">{order.buyer?.mail}</span></td>
                    <td>{order.event_name}</td><td>{plural(order.places.length, 'place')}</td><td class="num">{amount(order.total)}</td>
                    <td><span class={`badge ${order.status === 'paid' ? 'badge-good' : 'badge-plain'}`}>{readable(order.status)}</span></td>
                    <td>{dateAndTime(order.created_at, hereZone())}</td>
                </tr>
            )} />
        </>
    );
}

interface ScanLine {
    id?: string;
    scan?: string;
    gate?: string | null;
    device_name?: string | null;
    device?: string;
    verdict: string;
    reason: string;
    place?: string | null;
    ticket?: string | { place?: string } | null;
    at?: string;
    scanned_at?: string;
}

export function ScansPage(): JSX.Element {
    const desk = useDesk();
    const [event, setEvent] = useState('');
    useTitle('Scans', SITE);
    const list = usePaged<ScanLine>(under(desk, `scans?limit=100${event ? `&event=${event}` : ''}`));
    const place = (scan: ScanLine): string => scan.place ?? (typeof scan.ticket === 'object' ? scan.ticket?.place : scan.ticket) ?? '–';
    return (
        <>
            <div class="row between"><Heading>Scans</Heading><Button onClick={list.reload}>Look again</Button></div>
            <EventFilter value={event} onValue={setEvent} />
            <Listing list={list} what="Scans" empty="Nothing scanned yet." heads={['When', 'Verdict', 'Reason', 'Place', 'Gate']} row={(scan, i) => {
                const at = scan.at ?? scan.scanned_at ?? '';
                return (
                    <tr key={scan.scan ?? scan.id ?? i} data-testid="staff-scan">
                        <td class="num">{dateAndTime(at, hereZone())} <span class="soft">{clockSeconds(at, hereZone())}</span></td>
                        <td><span class={`badge ${scan.verdict === 'admitted' ? 'badge-good' : 'badge-bad'}`}>{scan.verdict === 'admitted' ? '✓ Admitted' : '✕ Rejected'}</span></td>
                        <td>{readable(scan.reason)}</td><td class="wrap-any">{place(scan)}</td><td>{scan.gate ?? scan.device_name ?? scan.device ?? '–'}</td>
                    </tr>
                );
            }} />
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
