// SPDX-License-Identifier: Apache-2.0
//
// alerts - what somebody must look at, live, newest first, each with its facts and who has taken it on.
import type { JSX } from 'preact';
import { post } from '../shared/api';
import { dateAndSeconds, hereZone } from '../shared/format';
import { useTitle } from '../shared/router';
import type { Alert } from '../shared/types';
import { Button, ErrorSummary, Heading, Pending, useSubmit } from '../shared/ui';
import { SITE, useDesk } from './context';

export const readable = (word: string): string => {
    const text = word.replace(/[_.]/g, ' ');
    return text.charAt(0).toUpperCase() + text.slice(1);
};

/** Any value of a fact as text; it is shown as text only. */
export function factText(value: unknown): string {
    if (value === null || value === undefined) return '–';
    if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)) return dateAndSeconds(value, hereZone());
    return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number | boolean);
}

function severity(value: number | string): [look: string, words: string] {
    if (typeof value === 'string') return ['badge-warn', readable(value)];
    const levels: [string, string][] = [['badge-plain', 'Note'], ['badge-warn', 'Look at it'], ['badge-bad', 'Serious'], ['badge-bad', 'Act now']];
    return levels[Math.min(4, Math.max(1, value)) - 1] ?? ['badge-warn', 'Look at it'];
}

function AlertCard({ alert }: { alert: Alert }): JSX.Element {
    const desk = useDesk();
    const take = useSubmit(async (key) => {
        const answer = await post<Partial<Alert> | undefined>(`/api/v1/alerts/${alert.id}/acknowledge`, undefined, { idempotencyKey: key });
        desk.setAlert({ ...alert, state: 'acknowledged', ...answer });
    });
    const open = alert.state === 'open';
    const [look, severe] = severity(alert.severity);
    const facts = Object.entries(alert.facts ?? {});
    return (
        <li class={open ? 'card alert alert-open' : 'card alert'} data-testid="alert" data-kind={alert.kind} data-state={alert.state}>
            <div class="row between">
                <h2>{alert.title ?? readable(alert.kind)}</h2>
                <span class={`badge ${look}`}>{severe}</span>
            </div>
            <p class="soft"><time dateTime={alert.at}>{dateAndSeconds(alert.at, hereZone())}</time></p>
            {alert.todo && <p data-testid="alert-todo">{alert.todo}</p>}
            <dl class="facts">
                {facts.map(([name, value]) => <div key={name} class="fact"><dt>{readable(name)}</dt><dd>{factText(value)}</dd></div>)}
                {alert.subject && <div class="fact"><dt>Subject</dt><dd>{alert.subject}</dd></div>}
            </dl>
            <ErrorSummary error={take.error} />
            {open ? desk.can('organiser', 'gate') && <Button busy={take.busy} onClick={take.run} testid="acknowledge">Acknowledge</Button> : <p class="soft">{readable(alert.state)}</p>}
        </li>
    );
}

export function AlertsPage(): JSX.Element {
    const desk = useDesk();
    useTitle('Alerts', SITE);
    return (
        <>
            <div class="row between"><Heading>Alerts</Heading><span class={desk.live ? 'badge badge-good' : 'badge badge-plain'} data-testid="live">{desk.live ? 'Live' : 'Connecting…'}</span></div>
            {!desk.alerts ? <Pending error={desk.alertsError} what="alerts" /> : (
                <ul class="plain-list" aria-live="polite" aria-relevant="additions" aria-label="Alerts, newest first" data-testid="alerts">
                    {desk.alerts.map((alert) => <AlertCard key={alert.id} alert={alert} />)}
                </ul>
            )}
            {desk.alerts?.length === 0 && <div class="empty"><p>Nothing to worry about.</p></div>}
        </>
    );
}
