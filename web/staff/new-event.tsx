// SPDX-License-Identifier: Apache-2.0
//
// new-event - from nothing to a draft in three steps on one page: venue, plan, event. Each step is its own request, and what
// was made stays made if a later one fails.
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { get, post } from '../shared/api';
import { hereZone, money, parseMinor, plural, wallClock, zonedToUtc } from '../shared/format';
import { navigate, useTitle } from '../shared/router';
import type { EventInfo, Page } from '../shared/types';
import { Button, ErrorSummary, Field, fieldError, Heading, Notice, Pending, Select, useLoad, useSubmit } from '../shared/ui';
import { type Desk, SITE, under, useDesk } from './context';

const PLAN_FILE_MAX = 16 << 20;

interface Venue {
    id: string;
    name: string;
    address: string;
    time_zone: string;
}

interface PlanCategory {
    category: number;
    name: string;
    color: string;
}

interface PlanInfo {
    id: string;
    venue: string;
    name: string;
    places: number;
    repairs?: { kind: string; pointer: string; was: string; now: string }[];
    categories?: PlanCategory[];
}

const zones = (): string[] => {
    try {
        return Intl.supportedValuesOf('timeZone');
    } catch {
        return [hereZone(), 'UTC'];
    }
};

function VenueStep({ desk, venues, onMade }: { desk: Desk; venues: Venue[]; onMade: (venue: Venue) => void }): JSX.Element {
    const [chosen, setChosen] = useState(venues[0]?.id ?? 'new');
    const [name, setName] = useState('');
    const [address, setAddress] = useState('');
    const [zone, setZone] = useState(hereZone());
    const submit = useSubmit(async (key, id) => {
        const known = venues.find((venue) => venue.id === chosen);
        if (known) {
            onMade(known);
            return;
        }
        const body = { id: id('ven'), name: name.trim(), address: address.trim(), time_zone: zone };
        await post(under(desk, 'venues'), body, { idempotencyKey: key });
        onMade(body);
    }, JSON.stringify([chosen, name, address, zone]));
    return (
        <form class="card" noValidate aria-labelledby="step-venue" onSubmit={(e) => { e.preventDefault(); submit.run(); }}>
            <h2 id="step-venue">1. Where?</h2>
            <ErrorSummary error={submit.error} fields={{ name: 'Name', address: 'Address', time_zone: 'Time zone' }} />
            <Select label="Venue" name="venue" value={chosen} onValue={setChosen} options={[...venues.map((v) => ({ value: v.id, label: v.name })), { value: 'new', label: 'A new venue…' }]} />
            {chosen === 'new' && (
                <div class="cols">
                    <Field label="Name" name="name" testid="venue-name" value={name} onValue={setName} required error={fieldError(submit.error, 'name')} />
                    <Field label="Address" name="address" testid="venue-address" value={address} onValue={setAddress} required error={fieldError(submit.error, 'address')} />
                    <Field label="Time zone" name="time_zone" testid="venue-zone" value={zone} onValue={setZone} list="zones" required error={fieldError(submit.error, 'time_zone')} />
                    <datalist id="zones">{zones().map((z) => <option key={z} value={z} />)}</datalist>
                </div>
            )}
            <div><Button kind="main" type="submit" busy={submit.busy} testid="venue-submit">Continue</Button></div>
        </form>
    );
}

interface AreaDraft {
    name: string;
    slots: string;
    color: string;
}

type Kind = 'stadium' | 'file' | 'areas';
const colors = ['#b5330f', '#1d4e89', '#0f766e', '#6d28d9', '#a16207', '#9d174d'];

/** Each area is a category of its own, numbered in order: it has its own price. */
const areaBody = (areas: AreaDraft[]): { name: string; slots: number; category: number; color: string }[] =>
    areas.map((area, category) => ({ name: area.name.trim(), slots: Number(area.slots) || 0, category, color: area.color }));

function AreaFields({ areas, onAreas }: { areas: AreaDraft[]; onAreas: (areas: AreaDraft[]) => void }): JSX.Element {
    const change = (i: number, part: Partial<AreaDraft>): void => onAreas(areas.map((area, k) => (k === i ? { ...area, ...part } : area)));
    return (
        <>
            {areas.map((area, i) => (
                <fieldset key={i} class="cols"><legend class="visually-hidden">Area {i + 1}</legend>
                    <Field label="Name of the area" name={`area-${i}`} value={area.name} onValue={(v) => change(i, { name: v })} required />
                    <Field label="Places" name={`slots-${i}`} inputMode="numeric" value={area.slots} onValue={(v) => change(i, { slots: v })} required />
                </fieldset>
            ))}
            <div class="row">
                <Button onClick={() => onAreas([...areas, { name: '', slots: '', color: colors[areas.length % colors.length] ?? '#555555' }])}>Add an area</Button>
                {areas.length > 1 && <Button kind="quiet" onClick={() => onAreas(areas.slice(0, -1))}>Remove the last</Button>}
            </div>
        </>
    );
}

function PlanStep({ desk, venue, plans, onMade }: { desk: Desk; venue: Venue; plans: PlanInfo[]; onMade: (plan: PlanInfo) => void }): JSX.Element {
    const here = plans.filter((plan) => plan.venue === venue.id);
    const [chosen, setChosen] = useState(here[0]?.id ?? 'new');
    const [name, setName] = useState(`${venue.name}, standard`);
    const [kind, setKind] = useState<Kind>('areas');
    const [seats, setSeats] = useState('80000');
    const [tiers, setTiers] = useState('3');
    const [sectors, setSectors] = useState('48');
    const [areas, setAreas] = useState<AreaDraft[]>([{ name: 'Admission', slots: '300', color: colors[0] ?? '#555555' }]);
    const [file, setFile] = useState<{ name: string; json: unknown; error?: string }>();
    const readFile = (chosenFile: File | undefined): void => {
        if (!chosenFile) return;
        if (chosenFile.size > PLAN_FILE_MAX) {
            setFile({ name: chosenFile.name, json: null, error: 'The file is larger than 16 MiB.' });
            return;
        }
        chosenFile.text().then((text) => {
            const json: unknown = JSON.parse(text);
            setFile({ name: chosenFile.name, json });
            const title = (json as { name?: unknown } | null)?.name;
            if (typeof title === 'string' && title) setName(title.slice(0, 100));
        }).catch(() => setFile({ name: chosenFile.name, json: null, error: 'The file is not JSON.' }));
    };
    const body = (): object => {
        if (kind === 'stadium') return { generate: { kind: 'stadium', seats: Number(seats), tiers: Number(tiers), sectors: Number(sectors) } };
        return kind === 'file' ? { source: file?.json } : { areas: areaBody(areas) };
    };
    const submit = useSubmit(async (key, id) => {
        const known = here.find((plan) => plan.id === chosen);
        if (known) {
            onMade(known);
            return;
        }
        const planId = id('pln');
        const made = await post<Partial<PlanInfo>>(under(desk, 'plans'), { id: planId, venue: venue.id, name: name.trim(), ...body() }, { idempotencyKey: key, timeoutMs: 120_000 });
        onMade({ places: 0, ...made, id: planId, venue: venue.id, name: name.trim() });
    }, JSON.stringify([chosen, name, kind, seats, tiers, sectors, areas, file?.name]));
    return (
        <form class="card" noValidate aria-labelledby="step-plan" onSubmit={(e) => { e.preventDefault(); submit.run(); }}>
            <h2 id="step-plan">2. Which places?</h2>
            <ErrorSummary error={submit.error} fields={{ name: 'Name of the plan', source: 'Plan file', areas: 'Areas', generate: 'Stadium' }} />
            <Select label="Plan" name="plan" value={chosen} onValue={setChosen} options={[...here.map((p) => ({ value: p.id, label: `${p.name} (${plural(p.places, 'place')})` })), { value: 'new', label: 'A new plan…' }]} />
            {chosen === 'new' && (
                <>
                    <fieldset>
                        <legend>Kind of plan</legend>
                        {([['areas', 'Areas without numbered seats'], ['stadium', 'A generated stadium'], ['file', 'A pretix seating plan (JSON file)']] as [Kind, string][]).map(([value, label]) => (
                            <label key={value} class="check"><input type="radio" name="kind" value={value} checked={kind === value} onChange={() => setKind(value)} data-testid={`plan-${value}`} /> {label}</label>
                        ))}
                    </fieldset>
                    <Field label="Name of the plan" name="name" testid="plan-name" value={name} onValue={setName} required error={fieldError(submit.error, 'name')} />
                    {kind === 'stadium' && (
                        <div class="cols">
                            <Field label="Seats" name="seats" inputMode="numeric" value={seats} onValue={setSeats} />
                            <Field label="Tiers" name="tiers" inputMode="numeric" value={tiers} onValue={setTiers} />
                            <Field label="Sectors" name="sectors" inputMode="numeric" value={sectors} onValue={setSectors} />
                        </div>
                    )}
                    {kind === 'file' && (
                        <div class="field"><label for="f-file">Plan file</label><input type="file" id="f-file" accept=".json,application/json" data-testid="plan-file-input" onChange={(e) => readFile(e.currentTarget.files?.[0])} />
                            {file?.error && <p class="field-error">{file.error}</p>}</div>
                    )}
                    {kind === 'areas' && <AreaFields areas={areas} onAreas={setAreas} />}
                </>
            )}
            <div><Button kind="main" type="submit" busy={submit.busy} disabled={chosen === 'new' && kind === 'file' && !file?.json} testid="plan-submit">Continue</Button></div>
        </form>
    );
}

/** Categories of a plan: named by the plan itself, or, where its list does not carry them, read from its export. */
async function planCategories(plan: PlanInfo, signal: AbortSignal): Promise<PlanCategory[]> {
    if (plan.categories) return plan.categories;
    const source = await get<{ categories?: { name: string; color: string }[] }>(`/api/v1/plans/${plan.id}/export`, { signal, timeoutMs: 60_000 });
    return (source.categories ?? []).map((c, category) => ({ category, name: c.name, color: c.color }));
}

const times: [key: string, label: string][] = [
    ['starts_at', 'Starts'], ['ends_at', 'Ends'], ['doors_at', 'Doors open'], ['sale_from', 'Sale from'], ['sale_until', 'Sale until'],
];

const shifted = (local: string, minutes: number): string => {
    const at = Date.parse(`${local}:00Z`);
    return Number.isNaN(at) ? '' : new Date(at + minutes * 60_000).toISOString().slice(0, 16);
};

/** The other times follow the start until somebody sets them. */
function suggestedTime(key: string, starts: string, zone: string): string {
    if (key === 'sale_from') return shifted(wallClock(zone), -5);
    if (!starts) return '';
    return shifted(starts, key === 'ends_at' ? 180 : key === 'doors_at' ? -90 : 0);
}

function EventStep({ desk, venue, plan }: { desk: Desk; venue: Venue; plan: PlanInfo }): JSX.Element {
    const [text, setText] = useState<Record<string, string>>({ name: '', description: '', currency: 'EUR', per_order_max: '8', entries_max: '1' });
    const [prices, setPrices] = useState<Record<number, { price: string; fee: string }>>({});
    const categories = useLoad(`categories ${plan.id}`, (signal) => planCategories(plan, signal));
    const set = (key: string) => (value: string) => setText((old) => ({ ...old, [key]: value }));
    const of = (key: string): string => text[key] ?? '';
    const timeOf = (key: string): string => of(key) || suggestedTime(key, of('starts_at'), venue.time_zone);
    const currency = of('currency').toUpperCase();
    const ready = (categories.data ?? []).map((c) => {
        const given = prices[c.category] ?? { price: '', fee: '0' };
        return { ...c, price_minor: parseMinor(given.price, currency), fee_minor: parseMinor(given.fee || '0', currency) };
    });
    const complete = ready.length > 0 && ready.every((c) => c.price_minor !== null && c.fee_minor !== null) && Boolean(of('name').trim() && of('starts_at'));
    const submit = useSubmit(async (key, id) => {
        const when = Object.fromEntries(times.map(([name]) => [name, zonedToUtc(timeOf(name), venue.time_zone)]));
        const event = await post<EventInfo>(under(desk, 'events'), {
            id: id('evt'), venue: venue.id, plan: plan.id, name: of('name').trim(), description: of('description').trim(), currency, ...when,
            per_order_max: Number(of('per_order_max')), entries_max: Number(of('entries_max')),
            categories: ready.map(({ category, name, color, price_minor, fee_minor }) => ({ category, name, color, price_minor, fee_minor })),
        }, { idempotencyKey: key });
        navigate(`/staff/events/${event.id}`);
    }, JSON.stringify([text, prices]));
    const price = (category: number, part: Partial<{ price: string; fee: string }>): void =>
        setPrices((old) => ({ ...old, [category]: { price: '', fee: '0', ...old[category], ...part } }));
    return (
        <form class="card" noValidate aria-labelledby="step-event" onSubmit={(e) => { e.preventDefault(); submit.run(); }}>
            <h2 id="step-event">3. What, when, how much?</h2>
            {(plan.repairs?.length ?? 0) > 0 && <Notice kind="warn" testid="plan-repairs"><p><strong>The plan file had faults that were repaired:</strong></p><ul>{plan.repairs?.slice(0, 20).map((r, i) => <li key={i}>{r.kind.replace(/_/g, ' ')}: “{r.was}” is now “{r.now}” <span class="soft">({r.pointer})</span></li>)}</ul></Notice>}
            <ErrorSummary error={submit.error} fields={{ name: 'Name', description: 'Description', currency: 'Currency', categories: 'Prices', ...Object.fromEntries(times.map(([k, l]) => [k, l])) }} />
            <Field label="Name" name="name" testid="event-name" value={of('name')} onValue={set('name')} required error={fieldError(submit.error, 'name')} />
            <div class="field"><label for="f-description">Description</label><textarea id="f-description" value={of('description')} data-testid="event-description" onInput={(e) => set('description')(e.currentTarget.value)} /></div>
            <p class="hint">Times are those of the venue: {venue.time_zone}.</p>
            <div class="cols">{times.map(([key, label]) => (
                <Field key={key} label={label} name={key} type="datetime-local" value={timeOf(key)} onValue={set(key)} required error={fieldError(submit.error, key)} />
            ))}</div>
            <div class="cols">
                <Field label="Currency" name="currency" value={of('currency')} onValue={set('currency')} maxLength={3} error={fieldError(submit.error, 'currency')} />
                <Field label="Tickets per order" name="per_order_max" inputMode="numeric" value={of('per_order_max')} onValue={set('per_order_max')} error={fieldError(submit.error, 'per_order_max')} />
                <Field label="Entries per ticket" name="entries_max" inputMode="numeric" value={of('entries_max')} onValue={set('entries_max')} error={fieldError(submit.error, 'entries_max')} />
            </div>
            <h3>Prices</h3>
            {!categories.data ? <Pending error={categories.error} reload={categories.reload} what="the categories of the plan" /> : ready.map((c) => (
                <fieldset key={c.category} class="price-line">
                    <legend><span class="swatch" style={{ backgroundColor: c.color }} aria-hidden="true" /> {c.name}</legend>
                    <Field label="Price" name={`price-${c.category}`} inputMode="decimal" value={prices[c.category]?.price ?? ''} onValue={(v) => price(c.category, { price: v })} required />
                    <Field label="Fee" name={`fee-${c.category}`} inputMode="decimal" value={prices[c.category]?.fee ?? '0'} onValue={(v) => price(c.category, { fee: v })} />
                    <p>Fans pay <strong class="num">{c.price_minor !== null && c.fee_minor !== null ? money(c.price_minor + c.fee_minor, currency) : '–'}</strong></p>
                </fieldset>
            ))}
            <div><Button kind="main" type="submit" busy={submit.busy} disabled={!complete} testid="event-submit">Make the draft</Button></div>
        </form>
    );
}

export function NewEventPage(): JSX.Element {
    const desk = useDesk();
    const [venue, setVenue] = useState<Venue>();
    const [plan, setPlan] = useState<PlanInfo>();
    useTitle('New event', SITE);
    const known = useLoad(`makings ${desk.organiser.id}`, (signal) => Promise.all([
        get<Page<Venue>>(under(desk, 'venues?limit=200'), { signal }), get<Page<PlanInfo>>(under(desk, 'plans?limit=200'), { signal }),
    ]));
    useEffect(() => {
        if (venue) document.querySelector<HTMLElement>(plan ? '#step-event' : '#step-plan')?.scrollIntoView({ block: 'start' });
    }, [venue, plan]);
    if (!known.data) return <Pending error={known.error} reload={known.reload} what="venues and plans" />;
    const [venues, plans] = known.data;
    return (
        <>
            <Heading>New event</Heading>
            {venue ? <p class="done-step" data-testid="venue-done"><strong>Venue:</strong> {venue.name} <Button kind="quiet" onClick={() => { setVenue(undefined); setPlan(undefined); }}>Change</Button></p>
                : <VenueStep desk={desk} venues={venues.data} onMade={setVenue} />}
            {venue && (plan ? <p class="done-step" data-testid="plan-done"><strong>Plan:</strong> {plan.name}{plan.places ? ` (${plural(plan.places, 'place')})` : ''} <Button kind="quiet" onClick={() => setPlan(undefined)}>Change</Button></p>
                : <PlanStep desk={desk} venue={venue} plans={plans.data} onMade={setPlan} />)}
            {venue && plan && <EventStep desk={desk} venue={venue} plan={plan} />}
        </>
    );
}
