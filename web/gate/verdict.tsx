// SPDX-License-Identifier: Apache-2.0
//
// verdict - the whole screen says one thing: colour, symbol, word, and what to tell the visitor.
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { clockSeconds, dateAndTime } from '../shared/format';
import type { Scan } from '../shared/types';

export type Shown =
    | { kind: 'checking' }
    | { kind: 'scan'; scan: Scan }
    | { kind: 'uncertain'; code: string; why: string }
    | { kind: 'refused'; why: string };

const reasons: Record<string, string> = {
    ok: 'Valid ticket',
    malformed: 'Not one of our tickets',
    unknown_key: 'Signed by an unknown key',
    forged: 'Forged ticket',
    wrong_event: 'For another event',
    too_early: 'Too early',
    too_late: 'Too late',
    stale_code: 'An old picture of a live code',
    superseded: 'Replaced by a newer ticket',
    revoked: 'Revoked',
    refunded: 'Refunded',
    suspended: 'Under review',
    already_admitted: 'Already admitted',
    wrong_gate: 'Wrong gate',
    static_not_honoured: 'Printed codes are not accepted here',
    rule: 'Not allowed by the entry rule',
};

const reasonWords = (reason: string): string => reasons[reason] ?? reason.replace(/_/g, ' ');

function First({ scan, zone }: { scan: Scan; zone: string }): JSX.Element | null {
    if (!scan.first) return null;
    const today = new Date(scan.first.at).toDateString() === new Date().toDateString();
    return <p class="verdict-first" data-testid="gate-first">First admitted {today ? `at ${clockSeconds(scan.first.at, zone)}` : dateAndTime(scan.first.at, zone)}, gate <strong>{scan.first.gate}</strong></p>;
}

export function Verdict({ shown, zone, onNext, onAgain }: { shown: Shown; zone: string; onNext: () => void; onAgain: () => void }): JSX.Element {
    const next = useRef<HTMLButtonElement>(null);
    useEffect(() => next.current?.focus(), [shown]);
    if (shown.kind === 'checking') return <div class="verdict verdict-checking" data-testid="gate-checking"><p class="verdict-word"><span class="spinner" aria-hidden="true" /> Checking…</p></div>;
    const scan = shown.kind === 'scan' ? shown.scan : null;
    const admitted = scan?.verdict === 'admitted';
    const look = admitted ? 'admitted' : shown.kind === 'uncertain' ? 'uncertain' : 'rejected';
    return (
        <section class={`verdict verdict-${look}`} data-testid="gate-verdict" data-verdict={look} data-reason={scan?.reason ?? shown.kind} aria-labelledby="verdict-word">
            <div role="alert" class="verdict-in">
                <p class="verdict-symbol" aria-hidden="true">{admitted ? '✓' : look === 'uncertain' ? '?' : '✕'}</p>
                <h2 class="verdict-word" id="verdict-word">{admitted ? 'Admit' : look === 'uncertain' ? 'No answer' : 'Stop'}</h2>
                <p class="verdict-reason" data-testid="gate-reason">{scan ? reasonWords(scan.reason) : shown.kind === 'uncertain' ? 'The box office cannot be reached' : 'This scanner was refused'}</p>
                <p class="verdict-say" data-testid="gate-say">{scan ? scan.say : 'why' in shown ? shown.why : ''}</p>
                {scan && <First scan={scan} zone={zone} />}
                {scan?.ticket && (
                    <dl class="verdict-ticket">
                        <div><dt>Place</dt><dd data-testid="gate-place">{scan.ticket.place}</dd></div>
                        <div><dt>Category</dt><dd>{scan.ticket.category_name}</dd></div>
                        {scan.ticket.entries_max > 1 && <div><dt>Entries</dt><dd>{scan.ticket.entries_used} of {scan.ticket.entries_max}</dd></div>}
                        <div><dt>Form</dt><dd>{scan.ticket.form}</dd></div>
                    </dl>
                )}
            </div>
            <div class="verdict-do">
                {look === 'uncertain' && <button type="button" class="verdict-button" onClick={onAgain} data-testid="gate-again">Ask again</button>}
                <button type="button" class="verdict-button" ref={next} onClick={onNext} data-testid="gate-next">Next</button>
            </div>
        </section>
    );
}
