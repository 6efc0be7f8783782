// SPDX-License-Identifier: Apache-2.0
//
// events - what this organiser plays, how it sells, and the switch that puts it on sale.
import type { JSX } from 'preact';
import { get, post } from '../shared/api';
import { count, dateAndTime, money } from '../shared/format';
import { Link, useTitle } from '../shared/router';
import type { EventInfo, Page } from '../shared/types';
import { Button, ErrorSummary, Heading, Notice, Pending, useLoad, useSubmit } from '../shared/ui';
import { type Figures, SITE, under, useDesk } from './context';

const looks: Record<string, [string, string]> = { draft: ['badge-plain', 'Draft'], on_sale: ['badge-good', 'On sale'], closed: ['badge-warn', 'Closed'] };

export function EventBadge({ status }: { status: string }): JSX.Element {
    const [look, words] = looks[status] ?? ['badge-plain', status];
    return <span class={`badge ${look}`} data-testid="event-status" data-status={status}>{words}</span>;
}

function FiguresBar({ figures, capacity }: { figures: Figures | undefined; capacity: number }): JSX.Element | null {
    if (!figures) return null;
    const items: [string, number][] = [['Sold', figures.sold], ['Held', figures.held], ['Free', figures.free], ['Admitted', figures.admitted]];
    return (
        <div class="figures">
            <meter min={0} max={Math.max(1, capacity)} value={figures.sold} aria-label="Sold of capacity">{figures.sold}</meter>
            <dl>{items.map(([name, value]) => <div key={name}><dt>{name}</dt><dd class="num" data-testid={`figure-${name.toLowerCase()}`}>{count(value)}</dd></div>)}</dl>
        </div>
    );
}

export function EventsPage(): JSX.Element {
    const desk = useDesk();
    useTitle('Events', SITE);
    const { data, error, reload } = useLoad(`events ${desk.organiser.id}`, (signal) => get<Page<EventInfo>>(under(desk, 'events?limit=200'), { signal }));
    return (
        <>
            <div class="row between">
                <Heading>Events</Heading>
                {desk.can('organiser') && <Link class="button button-main" href="/staff/events/new" data-testid="new-event">New event</Link>}
            </div>
            {!data ? <Pending error={error} reload={reload} what="events" />
                : data.data.length === 0 ? <div class="empty"><p>No event yet.</p></div>
                : <ul class="plain-list">{data.data.map((event) => (
                    <li key={event.id} class="card event-line" data-testid="staff-event">
                        <div class="row between">
                            <h2><Link href={`/staff/events/${event.id}`}>{event.name}</Link></h2>
                            <EventBadge status={event.status} />
                        </div>
                        <p class="soft">{dateAndTime(event.starts_at, event.time_zone)} · {event.venue.name} · capacity {count(event.capacity)}</p>
                        <FiguresBar figures={desk.figures.get(event.id)} capacity={event.capacity} />
                    </li>
                ))}</ul>}
        </>
    );
}

/** The public event, or, while it is a draft nobody may see, the one from the organiser's list. */
async function findEvent(path: string, id: string, signal: AbortSignal): Promise<EventInfo> {
    const page = await get<Page<EventInfo>>(path, { signal });
    return page.data.find((event) => event.id === id) ?? (await get<EventInfo>(`/api/v1/events/${id}`, { signal }));
}

export function EventPage({ id }: { id: string }): JSX.Element {
    const desk = useDesk();
    const { data: event, error, reload, set } = useLoad(`event ${id}`, (signal) => findEvent(under(desk, 'events?limit=200'), id, signal));
    useTitle(event?.name ?? '', SITE);
    const status = event?.status === 'on_sale' ? 'closed' : 'on_sale';
    const change = useSubmit(async (key) => set(await post<EventInfo>(`/api/v1/events/${id}/status`, { status }, { idempotencyKey: key, timeoutMs: 60_000 })), status);
    if (!event) return <Pending error={error} reload={reload} what="the event" />;
    return (
        <>
            <Heading over={dateAndTime(event.starts_at, event.time_zone)}>{event.name}</Heading>
            <div class="row"><EventBadge status={event.status} />{event.status !== 'draft' && <a href={`/e/${event.id}`}>Its page in the shop</a>}</div>
            <ErrorSummary error={change.error} />
            {event.status === 'draft' && <Notice><p>A draft is seen by nobody. Going on sale opens its places, {count(event.capacity)} of them, at the signer: it will not sign more than that.</p></Notice>}
            <FiguresBar figures={desk.figures.get(event.id)} capacity={event.capacity} />
            {desk.can('organiser') && (
                <div class="row">
                    <Button kind={status === 'on_sale' ? 'main' : 'danger'} busy={change.busy} onClick={change.run} testid={status === 'on_sale' ? 'put-on-sale' : 'close-sale'}>
                        {status === 'on_sale' ? (event.status === 'closed' ? 'Open the sale again' : 'Put on sale') : 'Close the sale'}
                    </Button>
                    <Link class="button" href={`/staff/devices?event=${event.id}`}>Enrol a scanner</Link>
                </div>
            )}
            <section class="card" aria-labelledby="prices">
                <h2 id="prices">Prices</h2>
                <div class="table-box" tabIndex={0} role="group" aria-labelledby="prices"><table>
                    <thead><tr><th scope="col">Category</th><th scope="col" class="right">Price</th><th scope="col" class="right">Fee</th><th scope="col" class="right">Fans pay</th><th scope="col" class="right">Free</th></tr></thead>
                    <tbody>{event.categories.map((c) => (
                        <tr key={c.category}><th scope="row"><span class="swatch" style={{ backgroundColor: c.color }} aria-hidden="true" /> {c.name}</th>
                            <td class="right num">{money(c.price_minor, event.currency)}</td><td class="right num">{money(c.fee_minor, event.currency)}</td><td class="right num"><strong>{money(c.total_minor, event.currency)}</strong></td><td class="right num">{count(c.free)}</td></tr>
                    ))}</tbody>
                </table></div>
            </section>
            <section class="card" aria-labelledby="facts">
                <h2 id="facts">Facts</h2>
                <dl class="facts">
                    <dt>Venue</dt><dd>{event.venue.name}, {event.venue.address}</dd>
                    {event.doors_at && <><dt>Doors</dt><dd>{dateAndTime(event.doors_at, event.time_zone)}</dd></>}
                    {event.ends_at && <><dt>Ends</dt><dd>{dateAndTime(event.ends_at, event.time_zone)}</dd></>}
                    {event.sale_from && <><dt>Sale from</dt><dd>{dateAndTime(event.sale_from, event.time_zone)}</dd></>}
                    {event.sale_until && <><dt>Sale until</dt><dd>{dateAndTime(event.sale_until, event.time_zone)}</dd></>}
                    <dt>Per order</dt><dd>at most {event.per_order_max}</dd>
                    <dt>Number</dt><dd>{event.id}</dd>
                </dl>
            </section>
        </>
    );
}
