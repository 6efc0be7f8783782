// SPDX-License-Identifier: Apache-2.0
//
// reader - a cursor over bytes from the network that cannot run past their end.

export class FormatError extends Error {
    override name = 'FormatError';
}

export class ByteReader {
    private readonly view: DataView;
    private at = 0;
    private static readonly utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

    constructor(private readonly bytes: Uint8Array) {
        this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }

    private take(count: number): number {
        const from = this.at;
        if (count > this.bytes.length - from) throw new FormatError('the data ends too early');
        this.at = from + count;
        return from;
    }

    get left(): number {
        return this.bytes.length - this.at;
    }

    u8(): number {
        return this.view.getUint8(this.take(1));
    }
    i8(): number {
        return this.view.getInt8(this.take(1));
    }
    u16(): number {
        return this.view.getUint16(this.take(2));
    }
    i16(): number {
        return this.view.getInt16(this.take(2));
    }
    u32(): number {
        return this.view.getUint32(this.take(4));
    }
    i32(): number {
        return this.view.getInt32(this.take(4));
    }
    /** A version number; beyond 2^53 it could not be counted exactly, and no honest server gets there. */
    u64(): number {
        const value = this.view.getBigUint64(this.take(8));
        if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new FormatError('a number is too large');
        return Number(value);
    }
    slice(count: number): Uint8Array {
        const from = this.take(count);
        return this.bytes.subarray(from, from + count);
    }
    text(): string {
        try {
            return ByteReader.utf8.decode(this.slice(this.u8()));
        } catch (error) {
            if (error instanceof FormatError) throw error;
            throw new FormatError('a text is not UTF-8');
        }
    }
    /** A count that the rest of the format will loop over: refused above its limit, before anything is allocated. */
    count(value: number, limit: number, what: string): number {
        if (value > limit) throw new FormatError(`${value} ${what}, at most ${limit}`);
        return value;
    }
    magic(word: string): void {
        for (let i = 0; i < word.length; i++) {
            if (this.u8() !== word.charCodeAt(i)) throw new FormatError(`not ${word} data`);
        }
    }
    end(): void {
        if (this.left !== 0) throw new FormatError('data after the end');
    }
}
