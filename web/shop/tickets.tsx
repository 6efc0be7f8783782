// SPDX-License-Identifier: Apache-2.0
//
// tickets - my tickets, and one ticket large enough for a scanner in bad light.
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { get, Problem } from '../shared/api';
import { amount, clock, datePieces, longDate, plural } from '../shared/format';
import { isId } from '../shared/id';
import { Link, useTitle } from '../shared/router';
import type { Page, Ticket } from '../shared/types';
import { CopyButton, Heading, Notice, Pending, useLoad } from '../shared/ui';
import { useSignedIn } from './guard';
import { SITE } from './site';

const venueName = (venue: Ticket['venue']): string => (typeof venue === 'string' ? venue : venue.name);

const statusWords: Record<string, [string, string]> = {
    valid: ['badge-good', 'Valid'],
    refunded: ['badge-plain', 'Refunded'],
    revoked: ['badge-bad', 'Revoked'],
    superseded: ['badge-plain', 'Replaced by a newer one'],
    suspended: ['badge-warn', 'Under review'],
};

function TicketBadge({ ticket }: { ticket: Ticket }): JSX.Element {
    const used = ticket.entries_used >= ticket.entries_max && ticket.entries_max > 0;
    const [look, words] = ticket.status === 'valid' && used ? ['badge-plain', 'Used'] : (statusWords[ticket.status] ?? ['badge-plain', ticket.status]);
    return <span class={`badge ${look}`} data-testid="ticket-status">{words}</span>;
}

export function TicketsPage(): JSX.Element {
    useTitle('My tickets', SITE);
    const { data, error, reload } = useLoad('tickets', (signal) => get<Page<Ticket>>('/api/v1/tickets?limit=200', { signal }));
    useSignedIn(error);
    const events = new Map<string, Ticket[]>();
    for (const ticket of data?.data ?? []) events.set(ticket.event, [...(events.get(ticket.event) ?? []), ticket]);
    const soonest = [...events.values()].sort((a, b) => (a[0]?.starts_at ?? '').localeCompare(b[0]?.starts_at ?? ''));
    return (
        <>
            <Heading>My tickets</Heading>
            {!data ? <Pending error={error} reload={reload} what="your tickets" />
                : soonest.length === 0 ? <div class="empty"><p>No tickets yet.</p><Link class="button" href="/">See all events</Link></div>
                : soonest.map((tickets) => {
                    const [first] = tickets;
                    if (!first) return null;
                    const date = datePieces(first.starts_at, first.time_zone);
                    return (
                        <section key={first.event} class="stack" aria-labelledby={`t-${first.event}`}>
                            <h2 id={`t-${first.event}`}>{first.event_name}</h2>
                            <p class="soft">{longDate(first.starts_at, first.time_zone)} · {venueName(first.venue)} · {plural(tickets.length, 'ticket')}</p>
                            <ul class="plain-list ticket-grid">{tickets.map((ticket) => (
                                <li key={ticket.id}><Link class="stub" href={`/tickets/${ticket.id}`} data-testid="ticket-card">
                                    <div class="stub-main"><h3>{ticket.place.label}</h3><p class="soft">{ticket.category_name}</p><TicketBadge ticket={ticket} /></div>
                                    <div class="stub-side"><strong class="price">{date.day} {date.month}</strong><span class="soft">{clock(ticket.starts_at, ticket.time_zone)}</span></div>
                                </Link></li>
                            ))}</ul>
                        </section>
                    );
                })}
            <p><Link href="/orders">All orders</Link></p>
        </>
    );
}

/** The screen stays on while a ticket is shown, where the browser can do that. */
function useWakeLock(): void {
    useEffect(() => {
        let lock: WakeLockSentinel | undefined;
        let ended = false;
        const ask = (): void => {
            if (document.hidden || !('wakeLock' in navigator)) return;
            navigator.wakeLock.request('screen').then((given) => {
                if (ended) void given.release();
                else lock = given;
            }, () => undefined); // refused when the battery is low: the ticket shows all the same
        };
        ask();
        document.addEventListener('visibilitychange', ask);
        return () => {
            ended = true;
            document.removeEventListener('visibilitychange', ask);
            void lock?.release();
        };
    }, []);
}

export function TicketPage({ id }: { id: string }): JSX.Element {
    const known = isId('tkt', id);
    const { data: ticket, error, reload } = useLoad(known ? `ticket ${id}` : null, (signal) => get<Ticket>(`/api/v1/tickets/${id}`, { signal }));
    const code = useLoad(known && ticket ? `code ${id}` : null, (signal) => get<{ code: string }>(`/api/v1/tickets/${id}/code`, { signal }));
    useTitle(ticket ? `Ticket: ${ticket.event_name}` : '', SITE);
    useSignedIn(error);
    useWakeLock();
    if (!ticket) return <Pending error={known ? error : new Problem(404, 'not_found', 'There is no such ticket.')} reload={reload} what="your ticket" />;
    const shown = ticket.status === 'valid';
    return (
        <article class="ticket" data-testid="ticket">
            <div class="ticket-top">
                <p class="over">{ticket.category_name}</p>
                <h1 tabIndex={-1}>{ticket.event_name}</h1>
                <p>{longDate(ticket.starts_at, ticket.time_zone)}</p>
                <dl class="ticket-facts">
                    {ticket.doors_at && <div><dt>Doors</dt><dd>{clock(ticket.doors_at, ticket.time_zone)}</dd></div>}
                    <div><dt>Starts</dt><dd>{clock(ticket.starts_at, ticket.time_zone)}</dd></div>
                    {ticket.place.zone && <div><dt>Section</dt><dd>{ticket.place.zone}</dd></div>}
                    {ticket.place.row && <div><dt>Row</dt><dd>{ticket.place.row}</dd></div>}
                    {ticket.place.seat && <div><dt>Seat</dt><dd>{ticket.place.seat}</dd></div>}
                    {ticket.place.area && <div><dt>Area</dt><dd>{ticket.place.area}</dd></div>}
                </dl>
                <p class="soft">{venueName(ticket.venue)}</p>
            </div>
            <div class="ticket-code">
                {shown ? (
                    <>
                        <img class="ticket-qr" src={`/api/v1/tickets/${id}/code.svg`} alt={`QR code of the ticket for ${ticket.place.label}`} data-testid="ticket-qr" width="320" height="320" />
                        <p class="ticket-hint">Turn your screen up to full brightness at the gate.</p>
                    </>
                ) : <Notice kind="warn"><p>This ticket does not open the gate: {(statusWords[ticket.status]?.[1] ?? ticket.status).toLowerCase()}.</p></Notice>}
                <p><TicketBadge ticket={ticket} /></p>
            </div>
            <details class="ticket-more">
                <summary>The code as text, and details</summary>
                {code.data ? (
                    <>
                        <p>If a scanner fails, staff can type or paste this:</p>
                        <code class="secret pre-wrap" data-testid="ticket-code-text">{code.data.code}</code>
                        <CopyButton text={code.data.code} label="Copy the code" />
                    </>
                ) : shown && <Pending error={code.error} reload={code.reload} what="the code" />}
                <dl class="facts">
                    <dt>Price</dt><dd>{amount(ticket.price)}</dd>
                    <dt>Entries</dt><dd>{ticket.entries_used} of {ticket.entries_max} used</dd>
                    <dt>Edition</dt><dd>{ticket.generation} ({ticket.form})</dd>
                    <dt>Number</dt><dd>{ticket.id}</dd>
                </dl>
                <p class="row"><Link href={`/orders/${ticket.order}`}>The order</Link><a href={`/api/v1/tickets/${id}/code.png`} download={`${id}.png`}>Save as a picture</a></p>
            </details>
        </article>
    );
}
