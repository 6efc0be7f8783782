-- SPDX-License-Identifier: Apache-2.0
-- Migration 1: the first schema. Types are tokens that each driver spells its own way: @INT@, @TEXT@, @BLOB@, @SERIAL@ (an
-- integer primary key that fills itself), @TABLE@ (ends a table), @CLUSTERED@ (ends a table stored in primary key order).
-- Times are Unix milliseconds, amounts minor units, ids 16 bytes. *_no are small internal numbers and never leave the
-- process as authority. CHECKs say OR where they could say IN: SQLite builds a temporary table for each IN of three words or more,
-- at every write.

CREATE TABLE meta (
    name @TEXT@ NOT NULL PRIMARY KEY,
    value @TEXT@ NOT NULL
) @CLUSTERED@;

-- Answers already given, by (credential, Idempotency-Key); written with the effect, kept 24 hours.
CREATE TABLE idempotency (
    key_hash @BLOB@ NOT NULL PRIMARY KEY CHECK (length(key_hash) = 32),
    fingerprint @BLOB@ NOT NULL CHECK (length(fingerprint) = 32),
    status @INT@ NOT NULL,
    body @BLOB@ NOT NULL,
    expires_ms @INT@ NOT NULL
) @CLUSTERED@;
CREATE INDEX idempotency_expires ON idempotency (expires_ms);

-- ---- keys and people -------------------------------------------------------------------------------------------------
CREATE TABLE person (
    person_no @SERIAL@,
    id @BLOB@ NOT NULL UNIQUE CHECK (length(id) = 16),
    epoch_no @INT@ NOT NULL,
    wrapped_key @BLOB@,                      -- NULL once erased
    created_ms @INT@ NOT NULL,
    erased_ms @INT@,
    CHECK ((wrapped_key IS NULL) = (erased_ms IS NOT NULL))
) @TABLE@;

-- Keys of shows and tenants (K_show, K_tenant, K_site), wrapped under an epoch key.
CREATE TABLE scope_key (
    scope @INT@ NOT NULL,
    subject_no @INT@ NOT NULL,
    epoch_no @INT@ NOT NULL,
    wrapped_key @BLOB@ NOT NULL,
    PRIMARY KEY (scope, subject_no)
) @CLUSTERED@;

-- ---- ledger ----------------------------------------------------------------------------------------------------------
CREATE TABLE entry (
    entry_no @INT@ NOT NULL PRIMARY KEY CHECK (entry_no >= 0), -- leaf index: contiguous, given by the single writer
    id @BLOB@ NOT NULL UNIQUE CHECK (length(id) = 16),
    kind @INT@ NOT NULL,
    organiser_no @INT@ NOT NULL,             -- 0: the installation
    event_no @INT@ NOT NULL,                 -- 0: none
    at_ms @INT@ NOT NULL,
    sealed @BLOB@ NOT NULL,                  -- fields and digests, see trust/ledger/entry.h
    commitment @BLOB@ NOT NULL CHECK (length(commitment) = 32)
) @TABLE@;

-- ---- tenants, people, roles ------------------------------------------------------------------------------------------
CREATE TABLE organiser (
    organiser_no @SERIAL@,
    id @BLOB@ NOT NULL UNIQUE CHECK (length(id) = 16),
    name @TEXT@ NOT NULL,
    slug @TEXT@ NOT NULL UNIQUE,
    created_ms @INT@ NOT NULL
) @TABLE@;

CREATE TABLE account (
    account_no @SERIAL@,
    id @BLOB@ NOT NULL UNIQUE CHECK (length(id) = 16),
    person_no @INT@ NOT NULL REFERENCES person (person_no),
    mail_hash @BLOB@ UNIQUE CHECK (length(mail_hash) = 32), -- NULL once erased
    mail_sealed @BLOB@,
    name_sealed @BLOB@,
    password_hash @TEXT@,                    -- Argon2id string; NULL before the first password
    totp_sealed @BLOB@,                      -- NULL before enrolment
    totp_step @INT@ NOT NULL DEFAULT 0,      -- last step used: grows only
    status @TEXT@ NOT NULL CHECK (status = 'pending' OR status = 'active' OR status = 'suspended' OR status = 'erased'),
    staff @INT@ NOT NULL DEFAULT 0 CHECK (staff IN (0, 1)),
    failures @INT@ NOT NULL DEFAULT 0,
    locked_until_ms @INT@ NOT NULL DEFAULT 0,
    created_ms @INT@ NOT NULL
) @TABLE@;

CREATE TABLE role_grant (
    id @BLOB@ NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_no @INT@ NOT NULL REFERENCES account (account_no),
    organiser_no @INT@ NOT NULL,             -- 0: the installation (owner only)
    event_no @INT@ NOT NULL DEFAULT 0,       -- 0: all events of the organiser
    role @TEXT@ NOT NULL CHECK (role = 'owner' OR role = 'organiser' OR role = 'box_office' OR role = 'gate' OR role = 'auditor'),
    granted_by @INT@ NOT NULL,               -- account_no, 0: the installation itself
    created_ms @INT@ NOT NULL,
    expires_ms @INT@,
    revoked_ms @INT@
) @CLUSTERED@;
CREATE INDEX role_grant_account ON role_grant (account_no);
CREATE INDEX role_grant_organiser ON role_grant (organiser_no);

CREATE TABLE session (
    token_hash @BLOB@ NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    id @BLOB@ NOT NULL UNIQUE CHECK (length(id) = 16),
    account_no @INT@ NOT NULL REFERENCES account (account_no),
    level @INT@ NOT NULL CHECK (level IN (1, 2)), -- 1: password only (may finish the second factor), 2: full
    created_ms @INT@ NOT NULL,
    seen_ms @INT@ NOT NULL,
    stepped_up_ms @INT@ NOT NULL,
    expires_ms @INT@ NOT NULL,
    revoked_ms @INT@
) @CLUSTERED@;
CREATE INDEX session_account ON session (account_no);

-- One-time links and codes: owner link, scanner enrolment, mail confirmation. Used once, hashed at rest.
CREATE TABLE one_time (
    token_hash @BLOB@ NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    kind @TEXT@ NOT NULL CHECK (kind = 'owner' OR kind = 'invite' OR kind = 'device' OR kind = 'reset'),
    subject @BLOB@ NOT NULL,
    created_ms @INT@ NOT NULL,
    expires_ms @INT@ NOT NULL,
    used_ms @INT@
) @CLUSTERED@;

-- Every staff read of a person, order or ticket (promise A1).
CREATE TABLE access_record (
    record_no @SERIAL@,
    at_ms @INT@ NOT NULL,
    account_no @INT@ NOT NULL,
    organiser_no @INT@ NOT NULL,
    action @TEXT@ NOT NULL,
    subject @TEXT@ NOT NULL                  -- an id in text form, or a filter without personal data
) @TABLE@;
CREATE INDEX access_record_organiser ON access_record (organiser_no, record_no);

-- ---- catalog ---------------------------------------------------------------------------------------------------------
CREATE TABLE venue (
    venue_no @SERIAL@,
    id @BLOB@ NOT NULL UNIQUE CHECK (length(id) = 16),
    organiser_no @INT@ NOT NULL REFERENCES organiser (organiser_no),
    name @TEXT@ NOT NULL,
    address @TEXT@ NOT NULL,
    time_zone @TEXT@ NOT NULL,
    created_ms @INT@ NOT NULL
) @TABLE@;

CREATE TABLE plan (
    plan_no @SERIAL@,
    id @BLOB@ NOT NULL UNIQUE CHECK (length(id) = 16),
    organiser_no @INT@ NOT NULL REFERENCES organiser (organiser_no),
    venue_no @INT@ NOT NULL REFERENCES venue (venue_no),
    name @TEXT@ NOT NULL,
    packed_hash @BLOB@ NOT NULL CHECK (length(packed_hash) = 32),
    places @INT@ NOT NULL CHECK (places BETWEEN 1 AND 250000),
    repairs @TEXT@ NOT NULL,                 -- what the import mended, JSON
    created_ms @INT@ NOT NULL,
    packed_head @BLOB@ NOT NULL CHECK (length(packed_head) = 12), -- how packed begins: what is asked with every event
    -- Megabytes, so they stand last: SQLite walks over everything that stands before a column.
    packed @BLOB@ NOT NULL,                  -- sale/catalog/packed.h
    source @BLOB@ NOT NULL                   -- pretix seating-plan JSON after repair
) @TABLE@;

CREATE TABLE event (
    event_no @SERIAL@,
    id @BLOB@ NOT NULL UNIQUE CHECK (length(id) = 16),
    organiser_no @INT@ NOT NULL REFERENCES organiser (organiser_no),
    venue_no @INT@ NOT NULL REFERENCES venue (venue_no),
    plan_no @INT@ NOT NULL REFERENCES plan (plan_no),
    name @TEXT@ NOT NULL,
    description @TEXT@ NOT NULL,
    time_zone @TEXT@ NOT NULL,
    currency @TEXT@ NOT NULL CHECK (length(currency) = 3),
    starts_ms @INT@ NOT NULL,
    ends_ms @INT@ NOT NULL CHECK (ends_ms > starts_ms),
    doors_ms @INT@ NOT NULL CHECK (doors_ms <= starts_ms),
    sale_from_ms @INT@ NOT NULL,
    sale_until_ms @INT@ NOT NULL CHECK (sale_until_ms > sale_from_ms),
    status @TEXT@ NOT NULL CHECK (status = 'draft' OR status = 'on_sale' OR status = 'closed' OR status = 'cancelled'),
    per_order_max @INT@ NOT NULL CHECK (per_order_max BETWEEN 1 AND 50),
    entries_max @INT@ NOT NULL CHECK (entries_max BETWEEN 1 AND 100), -- entry rule: how often a ticket admits
    capacity @INT@ NOT NULL CHECK (capacity BETWEEN 1 AND 250000),
    version @INT@ NOT NULL DEFAULT 1,
    created_ms @INT@ NOT NULL
) @TABLE@;
CREATE INDEX event_organiser ON event (organiser_no, starts_ms);

-- Price categories of an event, by the index that the packed plan gives each place. price + fee is what is shown and paid.
CREATE TABLE category (
    event_no @INT@ NOT NULL REFERENCES event (event_no),
    category_no @INT@ NOT NULL CHECK (category_no BETWEEN 0 AND 254),
    id @BLOB@ NOT NULL UNIQUE CHECK (length(id) = 16), -- names the row in the ledger
    name @TEXT@ NOT NULL,
    color @TEXT@ NOT NULL,
    price_minor @INT@ NOT NULL CHECK (price_minor BETWEEN 0 AND 1000000000),
    fee_minor @INT@ NOT NULL CHECK (fee_minor BETWEEN 0 AND 1000000000),
    PRIMARY KEY (event_no, category_no)
) @CLUSTERED@;

-- ---- places: the heart of S1 -----------------------------------------------------------------------------------------
-- One row for every seat and every general-admission slot of an event, made when it goes on sale. A place is in one state,
-- so it cannot be held and sold, or held twice; general admission cannot exceed its rows.
CREATE TABLE place (
    event_no @INT@ NOT NULL REFERENCES event (event_no),
    place_no @INT@ NOT NULL CHECK (place_no >= 0),
    category_no @INT@ NOT NULL,
    state @INT@ NOT NULL CHECK (state BETWEEN 0 AND 4),
    generation @INT@ NOT NULL DEFAULT 0,     -- of the newest ticket minted for this place; grows only
    until_ms @INT@ NOT NULL DEFAULT 0,       -- held until
    hold_id @BLOB@,
    order_id @BLOB@,
    ticket_id @BLOB@,
    PRIMARY KEY (event_no, place_no),
    CHECK (state <> 0 OR (hold_id IS NULL AND order_id IS NULL AND ticket_id IS NULL AND until_ms = 0)),
    CHECK (state <> 1 OR (hold_id IS NOT NULL AND until_ms > 0 AND order_id IS NULL AND ticket_id IS NULL)),
    CHECK (state <> 2 OR (order_id IS NOT NULL AND hold_id IS NULL AND ticket_id IS NULL AND until_ms = 0)),
    CHECK (state <> 3 OR (ticket_id IS NOT NULL AND hold_id IS NULL AND order_id IS NULL AND until_ms = 0)),
    CHECK (state <> 4 OR (hold_id IS NULL AND order_id IS NULL AND ticket_id IS NULL AND until_ms = 0))
) @CLUSTERED@;

CREATE TABLE hold (
    id @BLOB@ NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    event_no @INT@ NOT NULL REFERENCES event (event_no),
    organiser_no @INT@ NOT NULL,
    account_no @INT@ NOT NULL REFERENCES account (account_no),
    status @TEXT@ NOT NULL CHECK (status = 'live' OR status = 'ordered' OR status = 'released' OR status = 'expired'), -- S2: one end
    fingerprint @BLOB@ NOT NULL CHECK (length(fingerprint) = 32), -- of the request, to tell a repeat from a reuse of the id
    places @BLOB@ NOT NULL CHECK (length(places) BETWEEN 4 AND 200), -- u32 big-endian place numbers, ascending
    created_ms @INT@ NOT NULL,
    expires_ms @INT@ NOT NULL,
    latest_ms @INT@ NOT NULL,                -- no refresh goes past this
    CHECK (expires_ms <= latest_ms)
) @CLUSTERED@;
-- Those that are over are found by it too, from its first to its last: an index of their own would be two pages more for each sale.
CREATE INDEX hold_live ON hold (account_no, event_no, expires_ms, status) WHERE status = 'live'; -- status: so that no row is read

-- ---- orders and money ------------------------------------------------------------------------------------------------
CREATE TABLE sale_order (
    id @BLOB@ NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    organiser_no @INT@ NOT NULL REFERENCES organiser (organiser_no),
    event_no @INT@ NOT NULL REFERENCES event (event_no),
    account_no @INT@ NOT NULL REFERENCES account (account_no),
    hold_id @BLOB@ NOT NULL UNIQUE REFERENCES hold (id), -- a hold becomes at most one order
    status @TEXT@ NOT NULL CHECK (status = 'awaiting_payment' OR status = 'paid' OR status = 'cancelled' OR status = 'expired' OR status = 'partly_refunded' OR status = 'refunded'),
    amount_minor @INT@ NOT NULL CHECK (amount_minor BETWEEN 0 AND 1000000000),
    currency @TEXT@ NOT NULL CHECK (length(currency) = 3),
    created_ms @INT@ NOT NULL,
    pay_until_ms @INT@ NOT NULL,             -- then the provider is asked to expire the session
    cancel_ms @INT@,                         -- the fan asked for the end
    ended_ms @INT@,
    version @INT@ NOT NULL DEFAULT 1
) @CLUSTERED@;
CREATE INDEX sale_order_account ON sale_order (account_no, created_ms);
CREATE INDEX sale_order_event ON sale_order (event_no, created_ms);
CREATE INDEX sale_order_waiting ON sale_order (account_no, event_no) WHERE status = 'awaiting_payment';

CREATE TABLE order_line (
    order_id @BLOB@ NOT NULL REFERENCES sale_order (id),
    place_no @INT@ NOT NULL,
    category_no @INT@ NOT NULL,
    price_minor @INT@ NOT NULL CHECK (price_minor >= 0),
    fee_minor @INT@ NOT NULL CHECK (fee_minor >= 0),
    PRIMARY KEY (order_id, place_no)
) @CLUSTERED@;

-- One attempt to be paid by a provider, whose session is made under this id. While it is open only the provider knows the session; captured and refunded are money.
CREATE TABLE payment (
    id @BLOB@ NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    order_id @BLOB@ NOT NULL REFERENCES sale_order (id),
    organiser_no @INT@ NOT NULL,
    attempt @INT@ NOT NULL CHECK (attempt >= 1),
    past_attempt @INT@ NOT NULL DEFAULT 0,   -- 0 while the attempt can bring money or did, of which an order has at most one; else attempt
    state @TEXT@ NOT NULL CHECK (state = 'open' OR state = 'captured' OR state = 'expired' OR state = 'failed'),
    session_ref @TEXT@,                      -- provider's checkout session that brought the money
    intent_ref @TEXT@,                       -- provider's payment intent
    amount_minor @INT@ NOT NULL CHECK (amount_minor > 0),
    currency @TEXT@ NOT NULL,
    title @TEXT@ NOT NULL,                   -- what the provider's page says is paid for, and
    return_origin @TEXT@ NOT NULL,           -- where it sends the fan back to: the words of its question, for ever
    captured_minor @INT@ NOT NULL DEFAULT 0 CHECK (captured_minor BETWEEN 0 AND amount_minor),
    refunded_minor @INT@ NOT NULL DEFAULT 0 CHECK (refunded_minor BETWEEN 0 AND captured_minor),
    tries @INT@ NOT NULL DEFAULT 0,
    next_ms @INT@ NOT NULL,                  -- when settlement looks at it again, while open
    created_ms @INT@ NOT NULL,
    UNIQUE (order_id, past_attempt),
    CHECK ((state = 'open' OR state = 'captured') = (past_attempt = 0)),
    CHECK (past_attempt = 0 OR past_attempt = attempt),
    CHECK ((state = 'captured') = (session_ref IS NOT NULL)),
    CHECK ((state = 'captured') = (intent_ref IS NOT NULL))
) @CLUSTERED@;
-- Apart from the columns, so that what is not there yet takes no place in them.
CREATE UNIQUE INDEX payment_intent ON payment (intent_ref) WHERE intent_ref IS NOT NULL;
CREATE INDEX payment_due ON payment (next_ms) WHERE state = 'open';

CREATE TABLE refund (
    id @BLOB@ NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    payment_id @BLOB@ NOT NULL REFERENCES payment (id),
    order_id @BLOB@ NOT NULL REFERENCES sale_order (id),
    organiser_no @INT@ NOT NULL,
    amount_minor @INT@ NOT NULL CHECK (amount_minor > 0),
    reason @TEXT@ NOT NULL CHECK (reason = 'late_payment' OR reason = 'requested' OR reason = 'event_cancelled'),
    state @TEXT@ NOT NULL CHECK (state = 'asked' OR state = 'done' OR state = 'failed'),
    refund_ref @TEXT@ UNIQUE,
    tries @INT@ NOT NULL DEFAULT 0,
    next_ms @INT@ NOT NULL,                  -- when settlement tries again, while asked
    created_ms @INT@ NOT NULL
) @CLUSTERED@;
CREATE INDEX refund_order ON refund (order_id);
CREATE INDEX refund_due ON refund (next_ms) WHERE state = 'asked';

-- Double entry: lines of one booking sum to zero (asserted on write, checked by audit).
CREATE TABLE posting (
    booking_id @BLOB@ NOT NULL CHECK (length(booking_id) = 16), -- the payment or refund that caused it
    line @INT@ NOT NULL,
    order_id @BLOB@ NOT NULL REFERENCES sale_order (id),
    ledger_account @TEXT@ NOT NULL CHECK (ledger_account = 'provider' OR ledger_account = 'sales' OR ledger_account = 'fees' OR ledger_account = 'late_money'),
    amount_minor @INT@ NOT NULL CHECK (amount_minor <> 0),
    currency @TEXT@ NOT NULL,
    at_ms @INT@ NOT NULL,
    PRIMARY KEY (booking_id, line)
) @CLUSTERED@;

-- Work for the world outside, done by the courier after the commit.
CREATE TABLE job (
    id @BLOB@ NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind @TEXT@ NOT NULL,                    -- see reach/notify
    subject_id @BLOB@ NOT NULL CHECK (length(subject_id) = 16),
    state @TEXT@ NOT NULL CHECK (state = 'waiting' OR state = 'done' OR state = 'dead'),
    attempts @INT@ NOT NULL DEFAULT 0,
    due_ms @INT@ NOT NULL,
    last_error @TEXT@,
    created_ms @INT@ NOT NULL
) @CLUSTERED@;
CREATE INDEX job_due ON job (due_ms) WHERE state = 'waiting';

-- ---- tickets ---------------------------------------------------------------------------------------------------------
CREATE TABLE ticket (
    id @BLOB@ NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    organiser_no @INT@ NOT NULL,
    event_no @INT@ NOT NULL,
    place_no @INT@ NOT NULL,
    generation @INT@ NOT NULL CHECK (generation >= 1),
    past_generation @INT@ NOT NULL DEFAULT 0, -- 0 while valid or suspended, else generation
    order_id @BLOB@ NOT NULL,
    account_no @INT@ NOT NULL REFERENCES account (account_no),
    category_no @INT@ NOT NULL,
    price_minor @INT@ NOT NULL,
    fee_minor @INT@ NOT NULL,
    currency @TEXT@ NOT NULL,
    status @TEXT@ NOT NULL CHECK (status = 'valid' OR status = 'suspended' OR status = 'refunded' OR status = 'revoked' OR status = 'superseded'),
    sequence @INT@ NOT NULL DEFAULT 1,       -- of its ledger entries
    last_entry_id @BLOB@ NOT NULL CHECK (length(last_entry_id) = 16), -- the newest entry about it
    issued_ms @INT@ NOT NULL,
    UNIQUE (event_no, place_no, past_generation), -- S1: one ticket of a place is live
    FOREIGN KEY (event_no, place_no) REFERENCES place (event_no, place_no),
    FOREIGN KEY (order_id, place_no) REFERENCES order_line (order_id, place_no),
    CHECK ((status = 'valid' OR status = 'suspended') = (past_generation = 0)),
    CHECK (past_generation = 0 OR past_generation = generation)
) @CLUSTERED@;
-- Tickets of an order are found by the places of its lines, those of an account by its orders: an index for each would be more pages for
-- each sale than all that the ticket itself takes.

-- ---- doors -----------------------------------------------------------------------------------------------------------
CREATE TABLE device (
    device_no @SERIAL@,
    id @BLOB@ NOT NULL UNIQUE CHECK (length(id) = 16),
    organiser_no @INT@ NOT NULL REFERENCES organiser (organiser_no),
    event_no @INT@ NOT NULL REFERENCES event (event_no),
    name @TEXT@ NOT NULL,
    gate @TEXT@ NOT NULL,
    public_key @BLOB@ NOT NULL UNIQUE CHECK (length(public_key) = 32),
    status @TEXT@ NOT NULL CHECK (status IN ('active', 'revoked')),
    enrolled_by @INT@ NOT NULL,
    enrolled_ms @INT@ NOT NULL
) @TABLE@;

CREATE TABLE scan (
    scan_no @SERIAL@,
    id @BLOB@ NOT NULL UNIQUE CHECK (length(id) = 16),
    organiser_no @INT@ NOT NULL,
    event_no @INT@ NOT NULL,
    device_no @INT@ NOT NULL REFERENCES device (device_no),
    sequence @INT@ NOT NULL CHECK (sequence >= 1),
    code_hash @BLOB@ NOT NULL CHECK (length(code_hash) = 32),
    ticket_id @BLOB@ REFERENCES ticket (id), -- NULL when the code names none
    admission_no @INT@,                      -- 1, 2, ... of the ticket, where admitted
    admitted @INT@ NOT NULL CHECK (admitted IN (0, 1)),
    conflict @INT@ NOT NULL DEFAULT 0 CHECK (conflict IN (0, 1)), -- admitted at a door, but another was first
    reason @TEXT@ NOT NULL,                  -- 'ok' or one of trust/credential/reasons.def
    scanned_ms @INT@ NOT NULL,               -- the device's clock
    received_ms @INT@ NOT NULL,
    UNIQUE (device_no, sequence),
    CHECK (admitted = 0 OR (ticket_id IS NOT NULL AND admission_no IS NOT NULL))
) @TABLE@;
-- T1: a ticket's n-th admission happens once.
CREATE UNIQUE INDEX scan_admission ON scan (ticket_id, admission_no) WHERE admitted = 1 AND conflict = 0;
CREATE INDEX scan_event ON scan (event_no, scan_no);
CREATE INDEX scan_admitted ON scan (event_no, admitted, conflict) WHERE admitted = 1 AND conflict = 0;
CREATE INDEX scan_organiser ON scan (organiser_no, scan_no);

CREATE TABLE alert (
    alert_no @SERIAL@,
    id @BLOB@ NOT NULL UNIQUE CHECK (length(id) = 16),
    organiser_no @INT@ NOT NULL,
    event_no @INT@ NOT NULL,
    kind @TEXT@ NOT NULL,
    severity @INT@ NOT NULL CHECK (severity BETWEEN 1 AND 4),
    subject @TEXT@ NOT NULL,                 -- what it is about, an id in text form
    facts @TEXT@ NOT NULL,                   -- JSON without personal data
    state @TEXT@ NOT NULL CHECK (state = 'open' OR state = 'acknowledged' OR state = 'resolved'),
    at_ms @INT@ NOT NULL,
    change_no @INT@ NOT NULL UNIQUE,         -- grows with every change of any alert, so that streams find what is new
    handled_by @INT@,
    handled_ms @INT@
) @TABLE@;
CREATE INDEX alert_open ON alert (organiser_no, alert_no);
-- What another of the same would be counted in.
CREATE INDEX alert_like ON alert (organiser_no, kind, subject, alert_no) WHERE state = 'open';
