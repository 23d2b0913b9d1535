import type { TableSpec } from '../../src/model/change.ts';
import type { Cell, Micros } from '../../src/model/value.ts';
import type { Codec } from './types.ts';

/** What the messages mean to the reader of the log; called in the order of the log. */
export interface Sink {
  /** `xid`: of the transaction, 32 bits. */
  begin(commitLsn: bigint, committedAt: Micros, xid: number): void;
  commit(endLsn: bigint): void;
  /** How to read the rows of a relation from here on; null: not at all. */
  relation(relation: Relation): Plan | null;
  /** One row message; false when its content is not wanted. Called before {@link change}. */
  row(plan: Plan | null): boolean;
  change(
    plan: Plan,
    op: 'insert' | 'update' | 'delete',
    row: readonly Cell[],
    old: readonly Cell[] | null,
    bytes: number,
  ): void;
  /** One truncate message, a row message as {@link row} counts them. */
  truncate(plans: readonly Plan[]): void;
}

export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly RelationColumn[];
}

export interface RelationColumn {
  readonly name: string;
  readonly typeOid: number;
  /** Part of the replica identity: its old value comes with updates that change it and deletes. */
  readonly identity: boolean;
}

/** How the columns of a relation become the cells of a table. */
export interface Plan {
  readonly table: TableSpec;
  /** By column on the wire: the index of its cell, -1 to skip it. */
  readonly cells: readonly number[];
  /** By column on the wire; null where skipped. */
  readonly codecs: readonly (Codec | null)[];
  readonly identity: readonly boolean[];
  /** A row without cells. */
  readonly blank: readonly Cell[];
}

export const INSERT = 0x49;
export const UPDATE = 0x55;
const DELETE = 0x44;
const BEGIN = 0x42;
const COMMIT = 0x43;
export const RELATION = 0x52;
const TRUNCATE = 0x54;
/** Type and origin messages hold nothing that we need. */
const IGNORED: ReadonlySet<number> = new Set([0x59, 0x4f]);

/**
 * In so many bytes of a message no cell's length is spelled with two bytes that are not ASCII, so
 * each of them becomes one character, while every character beyond ASCII takes several bytes: the
 * text is as long as the bytes only where all cells are ASCII. Besides, a cell that is kept keeps
 * the text that it was cut out of.
 */
const SHORT = 2048;

const KEY_TUPLE = 0x4b;
const OLD_TUPLE = 0x4f;
const NULL = 0x6e;
const UNCHANGED = 0x75;
const TEXT = 0x74;

/** 2000-01-01T00:00:00Z, PostgreSQL's epoch. */
export const EPOCH: Micros = 946_684_800_000_000;

/** Exact, as {@link Micros} is. */
export const readTime = (bytes: Buffer, at: number): Micros =>
  EPOCH + bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);

/**
 * Decodes pgoutput as of protocol version 1 (PostgreSQL manual, "Logical Replication Message
 * Formats"). A message is a part of a buffer: all of it is read before `decode` returns.
 */
export class Decoder {
  readonly #sink: Sink;
  /** By relation OID. */
  readonly #plans = new Map<number, Plan | null>();
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  decode(bytes: Buffer, start: number, end: number): void {
    this.#bytes = bytes;
    const tag = bytes[start]!;
    if (tag === INSERT || tag === UPDATE || tag === DELETE) {
      this.#row(tag, start, end);
    } else if (tag === BEGIN) {
      const committedAt = readTime(bytes, start + 9);
      this.#sink.begin(bytes.readBigUInt64BE(start + 1), committedAt, uint32(bytes, start + 17));
    } else if (tag === COMMIT) {
      this.#sink.commit(bytes.readBigUInt64BE(start + 10));
    } else if (tag === RELATION) {
      const relation = readRelation(bytes, start);
      this.#plans.set(relation.oid, this.#sink.relation(relation));
    } else if (tag === TRUNCATE) {
      this.#truncate(start);
    } else if (!IGNORED.has(tag)) {
      throw new Error(`unknown message ${tag} in the log`);
    }
  }

  #row(tag: number, start: number, end: number): void {
    const plan = this.#plan(uint32(this.#bytes, start + 1));
    if (!this.#sink.row(plan) || plan === null) return;
    const marker = this.#bytes[start + 5];
    this.#at = start + 6;
    if (tag === INSERT) {
      this.#sink.change(plan, 'insert', this.#tuple(plan, end, false), null, end - start);
      return;
    }
    const hasOld = marker === KEY_TUPLE || marker === OLD_TUPLE;
    const old = hasOld ? this.#tuple(plan, end, marker === KEY_TUPLE) : null;
    if (tag === DELETE) {
      this.#sink.change(plan, 'delete', [], old, end - start);
      return;
    }
    if (old !== null) this.#at++;
    const row = this.#tuple(plan, end, false);
    if (old !== null) fillFrom(row, old);
    this.#sink.change(plan, 'update', row, old, end - start);
  }

  /**
   * Reads one tuple; `identityOnly`: the other columns are placeholders, not NULLs. Cells of a
   * short message that is all ASCII are cut out of one text, which is several times as fast.
   */
  #tuple(plan: Plan, end: number, identityOnly: boolean): Cell[] {
    const bytes = this.#bytes;
    const { cells, codecs, identity } = plan;
    const row = plan.blank.slice();
    const from = this.#at;
    const text = end - from <= SHORT ? bytes.utf8Slice(from, end) : '';
    const plain = text.length === end - from;
    const columns = bytes.readUInt16BE(from);
    let at = from + 2;
    for (let column = 0; column < columns; column++) {
      const kind = bytes[at++];
      if (kind === TEXT) {
        const start = at + 4;
        at = start + uint32(bytes, at);
        const codec = codecs[column];
        if (codec == null) continue;
        const cell = plain
          ? text.slice(start - from, at - from)
          : codec.ascii
            ? bytes.latin1Slice(start, at)
            : bytes.utf8Slice(start, at);
        row[cells[column]!] = codec.decode === null ? cell : codec.decode(cell);
      } else if (kind === NULL) {
        const cell = cells[column]!;
        if (cell >= 0 && !(identityOnly && !identity[column])) row[cell] = null;
      } else if (kind !== UNCHANGED) {
        throw new Error(`unknown column format ${kind} in the log`);
      }
    }
    this.#at = at;
    return row;
  }

  #truncate(start: number): void {
    const count = uint32(this.#bytes, start + 1);
    const plans = Array.from({ length: count }, (_, i) =>
      this.#plan(uint32(this.#bytes, start + 6 + 4 * i)),
    );
    this.#sink.truncate(plans.filter((plan) => plan !== null));
  }

  #plan(relationOid: number): Plan | null {
    const plan = this.#plans.get(relationOid);
    if (plan === undefined) throw new Error(`a row before its relation ${relationOid} in the log`);
    return plan;
  }
}

/** Without the checks of Buffer's methods. */
const uint32 = (bytes: Buffer, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;

/** The old row (REPLICA IDENTITY FULL: all of it) has unchanged values that are not sent again. */
function fillFrom(row: Cell[], old: readonly Cell[]): void {
  for (let cell = 0; cell < row.length; cell++) {
    if (row[cell] === undefined) row[cell] = old[cell];
  }
}

export function readRelation(message: Buffer, from: number): Relation {
  let at = from + 5;
  const text = (): string => {
    const start = at;
    at = message.indexOf(0, start) + 1;
    return message.utf8Slice(start, at - 1);
  };
  const schema = text() || 'pg_catalog';
  const name = text();
  const count = message.readUInt16BE(at + 1);
  at += 3;
  const columns = Array.from({ length: count }, () => {
    const identity = (message[at++]! & 1) === 1;
    const column = { name: text(), typeOid: message.readUInt32BE(at), identity };
    at += 8;
    return column;
  });
  return { oid: message.readUInt32BE(from + 1), schema, name, columns };
}
