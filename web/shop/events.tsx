// SPDX-License-Identifier: Apache-2.0
//
// events - what is on sale, soonest first, each with its lowest all-in price.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { get } from '../shared/api';
import { clock, datePieces, dateAndTime, money } from '../shared/format';
import { Link, useTitle } from '../shared/router';
import type { EventInfo, Page } from '../shared/types';
import { Button, Heading, Pending, useLoad } from '../shared/ui';
import { SITE } from './site';

export function lowestPrice(event: EventInfo): number | null {
    const open = event.categories.filter((c) => c.free > 0);
    const prices = (open.length > 0 ? open : event.categories).map((c) => c.total_minor);
    return prices.length > 0 ? Math.min(...prices) : null;
}

function EventCard({ event }: { event: EventInfo }): JSX.Element {
    const date = datePieces(event.starts_at, event.time_zone);
    const from = lowestPrice(event);
    const gone = event.categories.length > 0 && event.categories.every((c) => c.free === 0);
    return (
        <li>
            <Link class="stub event-card" href={`/e/${event.id}`} data-testid="event-card">
                <div class="event-date" aria-hidden="true">
                    <span>{date.weekday}</span>
                    <strong>{date.day}</strong>
                    <span>{date.month} {date.year}</span>
                </div>
                <div class="stub-main">
                    <h2>{event.name}</h2>
                    <p class="visually-hidden">{dateAndTime(event.starts_at, event.time_zone)}</p>
                    <p class="soft">{event.venue.name} · <span aria-hidden="true">{clock(event.starts_at, event.time_zone)}</span></p>
                </div>
                <div class="stub-side">
                    {gone ? <span class="badge badge-plain">Sold out</span> : from !== null && (
                        <><span class="soft">from</span><span class="price">{money(from, event.currency)}</span></>
                    )}
                </div>
            </Link>
        </li>
    );
}

export function EventList(): JSX.Element {
    useTitle('Events', SITE);
    const [more, setMore] = useState<EventInfo[]>([]);
    const [cursor, setCursor] = useState<string | null | undefined>(undefined);
    const first = useLoad('events', (signal) => get<Page<EventInfo>>('/api/v1/events', { signal }));
    const next = cursor === undefined ? first.data?.next_cursor : cursor;
    const loadMore = (): void => {
        if (!next) return;
        get<Page<EventInfo>>(`/api/v1/events?cursor=${encodeURIComponent(next)}`).then((page) => {
            setMore([...more, ...page.data]);
            setCursor(page.next_cursor);
        }, () => setCursor(next));
    };
    const events = first.data ? [...first.data.data, ...more] : undefined;
    return (
        <>
            <Heading over="Now on sale">Be there.</Heading>
            <p class="lead soft">The price you see is the price you pay. Pick your seats, pay, and walk in with the code on your phone.</p>
            {!events ? <Pending error={first.error} reload={first.reload} what="events" />
                : events.length === 0 ? <div class="empty"><h2>No event is on sale right now</h2><p>Come back soon.</p></div>
                : <ul class="plain-list event-list">{events.map((event) => <EventCard key={event.id} event={event} />)}</ul>}
            {events && next && <Button onClick={loadMore}>Show more events</Button>}
        </>
    );
}
