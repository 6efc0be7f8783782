// SPDX-License-Identifier: Apache-2.0
//
// ui - the parts every page is made of: fields, buttons, notices, live messages, asking and waiting.
import type { ComponentChildren, JSX } from 'preact';
import { useCallback, useEffect, useId, useRef, useState } from 'preact/hooks';
import { isAbort, Problem, sentence } from './api';
import { type IdKind, makeId } from './id';

// ---- asking the server ----

export interface Loaded<T> {
    data: T | undefined;
    error: unknown;
    reload: () => void;
    set: (data: T) => void;
}

/** Load when the key changes; a newer request ends an older one. A null key loads nothing. */
export function useLoad<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
    const [state, setState] = useState<{ key: string | null; data: T | undefined; error: unknown }>({ key, data: undefined, error: undefined });
    const [round, setRound] = useState(0);
    useEffect(() => {
        if (key === null) return;
        const abort = new AbortController();
        load(abort.signal).then(
            (data) => abort.signal.aborted || setState({ key, data, error: undefined }),
            (error: unknown) => abort.signal.aborted || isAbort(error) || setState((old) => ({ key, data: old.key === key ? old.data : undefined, error })),
        );
        return () => abort.abort();
    }, [key, round]);
    const fresh = state.key === key;
    return {
        data: fresh ? state.data : undefined,
        error: fresh ? state.error : undefined,
        reload: useCallback(() => setRound((n) => n + 1), []),
        set: (data) => setState({ key, data, error: undefined }),
    };
}

export interface Submit {
    busy: boolean;
    error: unknown;
    run: () => void;
    clear: () => void;
}

interface Intent {
    key: string;
    content: string;
    ids: Map<IdKind, string>;
}

/**
 * One intention at a time. Its Idempotency-Key, and the ids it gives to new things, stay the same while the person tries the
 * same content again after a lost answer, and are new after the server has answered: a second click is never a second order.
 */
export function useSubmit(work: (key: string, id: (kind: IdKind) => string) => Promise<void>, content = ''): Submit {
    const [busy, setBusy] = useState(false);
    const [error, setError] = useState<unknown>(undefined);
    const running = useRef(false);
    const intent = useRef<Intent | null>(null);
    const run = (): void => {
        if (running.current) return;
        running.current = true;
        setBusy(true);
        setError(undefined);
        if (intent.current?.content !== content) intent.current = { key: crypto.randomUUID(), content, ids: new Map() };
        const { key, ids } = intent.current as Intent;
        const id = (kind: IdKind): string => {
            const made = ids.get(kind) ?? makeId(kind);
            ids.set(kind, made);
            return made;
        };
        work(key, id)
            .then(() => (intent.current = null), (failure: unknown) => {
                if (!(failure instanceof Problem && (failure.status === 0 || failure.status >= 500))) intent.current = null;
                if (!isAbort(failure)) setError(failure);
            })
            .finally(() => {
                running.current = false;
                setBusy(false);
            });
    };
    return { busy, error, run, clear: () => setError(undefined) };
}

/** The time, told again every second while somebody wants to know. */
export function useNow(active = true): number {
    const [now, setNow] = useState(Date.now());
    useEffect(() => {
        if (!active) return;
        const timer = setInterval(() => setNow(Date.now()), 1000);
        return () => clearInterval(timer);
    }, [active]);
    return now;
}

// ---- forms ----

/** What the server said about one member of the request ("#/password"). */
export function fieldError(error: unknown, name: string): string | undefined {
    if (!(error instanceof Problem)) return undefined;
    return error.errors.find((item) => item.pointer === `#/${name}` || item.pointer.startsWith(`#/${name}/`))?.detail;
}

export interface FieldProps {
    type?: 'text' | 'email' | 'password' | 'search' | 'number' | 'datetime-local';
    inputMode?: 'text' | 'email' | 'numeric' | 'decimal' | 'search';
    autoComplete?: string;
    maxLength?: number;
    spellcheck?: boolean;
    required?: boolean;
    list?: string;
    class?: string;
    label: string;
    name: string;
    value: string;
    onValue: (value: string) => void;
    hint?: ComponentChildren;
    error?: string | undefined;
    testid?: string;
}

export function Field({ label, name, value, onValue, hint, error, testid, type = 'text', ...rest }: FieldProps): JSX.Element {
    const id = `f-${name}`;
    const about = [hint ? `${id}-hint` : '', error ? `${id}-error` : ''].filter(Boolean).join(' ');
    return (
        <div class={error ? 'field field-bad' : 'field'}>
            <label for={id}>{label}</label>
            {hint && <p class="hint" id={`${id}-hint`}>{hint}</p>}
            {error && <p class="field-error" id={`${id}-error`}>{error}</p>}
            <input {...rest} type={type as 'text'} id={id} name={name} value={value} data-testid={testid ?? name}
                aria-describedby={about || undefined} aria-invalid={error ? 'true' : undefined}
                onInput={(event) => onValue(event.currentTarget.value)} />
        </div>
    );
}

export interface SelectProps {
    label: string;
    name: string;
    value: string;
    onValue: (value: string) => void;
    options: { value: string; label: string; disabled?: boolean }[];
    hint?: string;
    testid?: string;
}

export function Select({ label, name, value, onValue, options, hint, testid }: SelectProps): JSX.Element {
    const id = `f-${name}`;
    return (
        <div class="field">
            <label for={id}>{label}</label>
            {hint && <p class="hint" id={`${id}-hint`}>{hint}</p>}
            <select id={id} name={name} value={value} data-testid={testid ?? name} aria-describedby={hint ? `${id}-hint` : undefined}
                onChange={(event) => onValue(event.currentTarget.value)}>
                {options.map((option) => <option key={option.value} value={option.value} disabled={option.disabled}>{option.label}</option>)}
            </select>
        </div>
    );
}

/** What went wrong, first thing in the form, focused when it appears, each field named and linked. */
export function ErrorSummary({ error, fields = {} }: { error: unknown; fields?: Record<string, string> }): JSX.Element | null {
    const box = useRef<HTMLDivElement>(null);
    useEffect(() => {
        if (error) box.current?.focus();
    }, [error]);
    if (!error) return null;
    const items = error instanceof Problem
        ? error.errors.flatMap((item) => {
            const name = item.pointer.replace(/^#\//, '').split('/')[0] ?? '';
            const label = fields[name];
            return label ? [{ name, label, detail: item.detail }] : [];
        }) : [];
    const focusField = (event: MouseEvent, name: string): void => {
        event.preventDefault();
        document.getElementById(`f-${name}`)?.focus();
    };
    return (
        <div class="notice notice-bad" role="alert" tabIndex={-1} ref={box} data-testid="error">
            <p><strong>{sentence(error)}</strong></p>
            {items.length > 0 && (
                <ul>{items.map((item) => (
                    <li key={item.name}><a href={`#f-${item.name}`} onClick={(event) => focusField(event, item.name)}>{item.label}</a>: {item.detail}</li>
                ))}</ul>
            )}
        </div>
    );
}

interface ButtonProps {
    type?: 'button' | 'submit';
    onClick?: (event: MouseEvent) => void;
    'aria-label'?: string;
    'aria-pressed'?: boolean;
    kind?: 'main' | 'plain' | 'quiet' | 'danger';
    busy?: boolean;
    disabled?: boolean;
    testid?: string;
    wide?: boolean;
    children?: ComponentChildren;
}

export function Button({ kind = 'plain', busy = false, disabled = false, testid, wide, children, type = 'button', onClick, ...rest }: ButtonProps): JSX.Element {
    // A busy button keeps its focus: it is not disabled, it only does nothing twice.
    return (
        <button {...rest} type={type} class={`button button-${kind}${wide ? ' button-wide' : ''}`} data-testid={testid}
            disabled={disabled} aria-disabled={busy ? 'true' : undefined} aria-busy={busy ? 'true' : undefined}
            onClick={busy ? (event) => event.preventDefault() : onClick}>
            {busy && <span class="spinner" aria-hidden="true" />}
            {children}
        </button>
    );
}

// ---- showing ----

export function Notice({ kind = 'info', children, testid }: { kind?: 'info' | 'good' | 'bad' | 'warn'; children: ComponentChildren; testid?: string }): JSX.Element {
    return <div class={`notice notice-${kind}`} role={kind === 'bad' ? 'alert' : 'status'} data-testid={testid}>{children}</div>;
}

export function Heading({ children, over, testid }: { children: ComponentChildren; over?: ComponentChildren; testid?: string }): JSX.Element {
    return (
        <header class="heading">
            {over && <p class="over">{over}</p>}
            <h1 tabIndex={-1} data-testid={testid}>{children}</h1>
        </header>
    );
}

/** While something loads, or when it did not. */
export function Pending({ error, reload, what }: { error: unknown; reload?: () => void; what: string }): JSX.Element {
    if (!error) return <p class="waiting" role="status"><span class="spinner" aria-hidden="true" /> Loading {what}…</p>;
    return (
        <div class="notice notice-bad" role="alert" data-testid="error">
            <p>{sentence(error)}</p>
            {reload && <Button onClick={reload}>Try again</Button>}
        </div>
    );
}

/** A polite message for screen readers when its text changes. */
export function Announce({ text }: { text: string }): JSX.Element {
    return <p class="visually-hidden" role="status" aria-live="polite" data-testid="announce">{text}</p>;
}

/** An SVG from our own server as a picture: it cannot run anything there. */
export function SvgImage({ svg, alt, className, testid }: { svg: string; alt: string; className?: string; testid?: string }): JSX.Element {
    return <img class={className ?? 'qr'} alt={alt} data-testid={testid} src={`data:image/svg+xml,${encodeURIComponent(svg)}`} />;
}

/** A number with a button on each side. */
export function Stepper({ label, value, min, max, onValue, testid }:
    { label: string; value: number; min: number; max: number; onValue: (value: number) => void; testid: string }): JSX.Element {
    const id = useId();
    const step = (by: number): void => onValue(Math.min(max, Math.max(min, value + by)));
    return (
        <div class="stepper" role="group" aria-labelledby={id}>
            <span class="stepper-label" id={id}>{label}</span>
            <button type="button" class="step" aria-label="Fewer" disabled={value <= min} onClick={() => step(-1)} data-testid={`${testid}-less`}>−</button>
            <output class="stepper-value" data-testid={testid} aria-live="polite">{value}</output>
            <button type="button" class="step" aria-label="More" disabled={value >= max} onClick={() => step(1)} data-testid={`${testid}-more`}>+</button>
        </div>
    );
}

export function CopyButton({ text, label }: { text: string; label: string }): JSX.Element {
    const [done, setDone] = useState(false);
    const copy = (): void => {
        navigator.clipboard.writeText(text).then(() => setDone(true), () => setDone(false));
    };
    return <Button kind="quiet" onClick={copy}>{done ? 'Copied' : label}<span class="visually-hidden" role="status">{done ? 'Copied' : ''}</span></Button>;
}
