// SPDX-License-Identifier: Apache-2.0
export function encodePlan(plan: Record<string, unknown>, wrong?: { areaFirst?: number }): Uint8Array<ArrayBuffer>;
export function stadium(total?: number): Record<string, unknown>;
export function theatre(): Record<string, unknown>;
export function encodeAvailability(version: number, states: Uint8Array): Uint8Array<ArrayBuffer>;
