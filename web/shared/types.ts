// SPDX-License-Identifier: Apache-2.0
//
// types - the shapes of docs/api.md that the pages read.

export interface Money {
    amount_minor: number;
    currency: string;
}

export interface Page<T> {
    data: T[];
    next_cursor: string | null;
}

export interface EventCategory {
    category: number;
    name: string;
    color: string;
    price_minor: number;
    fee_minor: number;
    total_minor: number;
    free: number;
}

export interface EventArea {
    area: number;
    name: string;
    category: number;
    free: number;
}

export type EventStatus = 'draft' | 'on_sale' | 'closed' | string;

export interface EventInfo {
    id: string;
    organiser: { id: string; name: string };
    name: string;
    description: string;
    venue: { name: string; address: string };
    time_zone: string;
    starts_at: string;
    ends_at: string | null;
    doors_at: string | null;
    sale_from: string | null;
    sale_until: string | null;
    status: EventStatus;
    currency: string;
    per_order_max: number;
    capacity: number;
    plan_hash: string;
    seated: boolean;
    categories: EventCategory[];
    areas: EventArea[];
}

export interface Grant {
    role: string;
    organiser: string | null;
    organiser_name?: string | null;
    event: string | null;
}

export interface Me {
    account: { id: string; name: string; mail: string };
    level: number;
    totp: boolean;
    session: string;
    grants: Grant[];
}

export interface TotpSecret {
    secret: string;
    uri: string;
    qr_svg: string;
}

export interface HeldPlace {
    place: number;
    zone: string | null;
    row: string | null;
    seat: string | null;
    area: string | null;
    category: number;
    price_minor: number;
    fee_minor: number;
    total_minor: number;
}

export interface Hold {
    id: string;
    event: string;
    status: 'live' | 'ordered' | 'released' | 'expired';
    places: HeldPlace[];
    total: Money;
    created_at: string;
    expires_at: string;
    latest_at: string;
}

export type OrderStatus = 'awaiting_payment' | 'paid' | 'cancelled' | 'expired' | 'partly_refunded' | 'refunded';

export interface Order {
    id: string;
    event: string;
    event_name: string;
    status: OrderStatus;
    /** Cancelled by its buyer; the provider has not confirmed yet. */
    cancelling?: boolean;
    version: number;
    places: HeldPlace[];
    total: Money;
    created_at: string;
    pay_until: string | null;
    checkout_url: string | null;
    tickets: string[];
    refunds: { id: string; amount: Money; state: string; reason: string }[];
}

export interface Ticket {
    id: string;
    order: string;
    event: string;
    event_name: string;
    starts_at: string;
    doors_at: string | null;
    time_zone: string;
    venue: string | { name: string; address: string };
    status: string;
    place: { zone: string | null; row: string | null; seat: string | null; area: string | null; label: string };
    category_name: string;
    price: Money;
    form: string;
    generation: number;
    entries_used: number;
    entries_max: number;
}

export interface Scan {
    scan: string;
    verdict: 'admitted' | 'rejected';
    reason: string;
    say: string;
    ticket: null | { id: string; place: string; category_name: string; form: string; entries_used: number; entries_max: number };
    first: null | { gate: string; at: string };
}

export interface Alert {
    id: string;
    kind: string;
    /** 1 note to 4 act now. */
    severity: number | string;
    title?: string;
    todo?: string;
    event: string | null;
    subject: string | null;
    facts: Record<string, unknown> | null;
    state: string;
    at: string;
}

/** An order as the box office sees it; the buyer of an erased account is null. */
export interface StaffOrder {
    order: Order;
    buyer: { name: string; mail: string } | null;
}
