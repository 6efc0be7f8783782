// SPDX-License-Identifier: Apache-2.0
//
// auth - signing in and registering: password, then the second factor, in one place for shop and staff.
//
// Every session must reach level 2 before it is of use, so a new account sets up its authenticator as the last step of
// registering. Passwords and codes may be pasted and filled in by a manager (WCAG 3.3.8).
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { get, post } from './api';
import { setMe } from './session';
import type { Me, TotpSecret } from './types';
import { Button, CopyButton, ErrorSummary, Field, fieldError, Heading, Pending, SvgImage, useSubmit } from './ui';

export type Start = 'sign-in' | 'register' | 'owner';
type Step = 'password' | 'code' | 'enrol';

const labels = { mail: 'E-mail address', name: 'Your name', password: 'Password', code: 'Code', token: 'Link' };

function CodeForm({ onDone, path, action }: { onDone: (me: Me) => void; path: string; action: string }): JSX.Element {
    const [code, setCode] = useState('');
    const submit = useSubmit(async (key) => {
        onDone(await post<Me>(path, { code: code.replace(/\D/g, '') }, { idempotencyKey: key }));
    }, code);
    return (
        <form class="stack" noValidate onSubmit={(event) => { event.preventDefault(); submit.run(); }}>
            <ErrorSummary error={submit.error} fields={labels} />
            <Field label="Six-digit code" name="code" testid="totp-code" value={code} onValue={setCode} inputMode="numeric" autoComplete="one-time-code"
                maxLength={12} spellcheck={false} required error={fieldError(submit.error, 'code')} class="code-input" />
            <Button kind="main" type="submit" busy={submit.busy} testid="totp-submit" wide>{action}</Button>
        </form>
    );
}

function Enrol({ onDone }: { onDone: (me: Me) => void }): JSX.Element {
    const [secret, setSecret] = useState<TotpSecret>();
    const submit = useSubmit(async (key) => setSecret(await post<TotpSecret>('/api/v1/account/totp', undefined, { idempotencyKey: key })));
    useEffect(submit.run, []);
    return (
        <>
            <Heading over="Step 2 of 2" testid="totp-heading">Add your second factor</Heading>
            <p>Your tickets are worth money, so a password alone does not open them. Scan this with an authenticator app, then type the code it shows.</p>
            {!secret ? <Pending error={submit.error} reload={submit.run} what="your secret" /> : (
                <>
                    <div class="enrol">
                        <SvgImage svg={secret.qr_svg} alt="QR code for your authenticator app; the same secret is written beside it" testid="totp-qr" />
                        <div>
                            <p>No camera at hand? Type this secret into the app:</p>
                            <code class="secret" data-testid="totp-secret">{secret.secret}</code>
                            <div class="row">
                                <CopyButton text={secret.secret} label="Copy secret" />
                                <a class="button button-quiet" href={secret.uri} data-testid="totp-uri">Open in an app on this device</a>
                            </div>
                        </div>
                    </div>
                    <CodeForm onDone={onDone} path="/api/v1/account/totp/confirm" action="Finish" />
                </>
            )}
        </>
    );
}

interface PasswordProps {
    start: Start;
    token: string;
    onMe: (me: Me) => void;
    other?: JSX.Element;
}

const titles: Record<Start, string> = { 'sign-in': 'Sign in', register: 'Create your account', owner: 'Create the owner' };

function PasswordForm({ start, token, onMe, other }: PasswordProps): JSX.Element {
    const [mail, setMail] = useState('');
    const [name, setName] = useState('');
    const [password, setPassword] = useState('');
    const [shown, setShown] = useState(false);
    const fresh = start !== 'sign-in';
    const submit = useSubmit(async (key, newId) => {
        const options = { idempotencyKey: key };
        const id = newId('acc');
        const who = { mail: mail.trim(), password };
        if (start === 'sign-in') onMe(await post<Me>('/api/v1/sessions', who, options));
        else if (start === 'register') onMe(await post<Me>('/api/v1/accounts', { id, name: name.trim(), ...who }, options));
        else onMe(await post<Me>('/api/v1/setup/owner', { token, id, name: name.trim(), ...who }, options));
    }, JSON.stringify([mail, name, password]));
    return (
        <>
            <Heading over={fresh ? 'Step 1 of 2' : undefined}>{titles[start]}</Heading>
            <form class="stack" noValidate onSubmit={(event) => { event.preventDefault(); submit.run(); }}>
                <ErrorSummary error={submit.error} fields={labels} />
                {fresh && <Field label="Your name" name="name" value={name} onValue={setName} autoComplete="name" required error={fieldError(submit.error, 'name')} />}
                <Field label="E-mail address" name="mail" type="email" inputMode="email" value={mail} onValue={setMail} autoComplete="username" required
                    hint={fresh && start === 'register' ? 'Your tickets are announced there.' : undefined} error={fieldError(submit.error, 'mail')} />
                <Field label="Password" name="password" type={shown ? 'text' : 'password'} value={password} onValue={setPassword} required
                    autoComplete={fresh ? 'new-password' : 'current-password'} error={fieldError(submit.error, 'password')}
                    hint={fresh ? `At least ${start === 'owner' ? 15 : 8} characters. Long is what counts: a few words you remember, or one from your password manager.` : undefined} />
                <label class="check"><input type="checkbox" checked={shown} onChange={(event) => setShown(event.currentTarget.checked)} /> Show the password</label>
                <Button kind="main" type="submit" busy={submit.busy} testid="password-submit" wide>{fresh ? 'Continue' : 'Sign in'}</Button>
            </form>
            {other}
        </>
    );
}

/** The whole way in. `other` is shown under the first form: the link to the other way. */
export function SignIn({ start, token = '', other, onDone }:
    { start: Start; token?: string; other?: JSX.Element; onDone: (me: Me) => void }): JSX.Element {
    const [step, setStep] = useState<Step>('password');
    const done = (me: Me): void => {
        setMe(me);
        onDone(me);
    };
    const onMe = (me: Me): void => {
        if (me.level >= 2) done(me);
        else setStep(me.totp ? 'code' : 'enrol');
    };
    // A sign-in that was left after the password (a reload, another tab for the authenticator) goes on where it stopped.
    useEffect(() => {
        if (start === 'owner') return;
        get<Me>('/api/v1/account').then((me) => me.level < 2 && onMe(me), () => undefined);
    }, []);
    return (
        <section class="narrow card" data-testid={`auth-${step}`}>
            {step === 'password' && <PasswordForm start={start} token={token} onMe={onMe} {...(other ? { other } : {})} />}
            {step === 'code' && (
                <>
                    <Heading>One more thing</Heading>
                    <p>Type the code that your authenticator app shows now.</p>
                    <CodeForm onDone={done} path="/api/v1/sessions/totp" action="Sign in" />
                </>
            )}
            {step === 'enrol' && <Enrol onDone={done} />}
        </section>
    );
}
