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
}

const INSERT = 0x49;
const UPDATE = 0x55;
const DELETE = 0x44;
const BEGIN = 0x42;
const COMMIT = 0x43;
export const RELATION = 0x52;
const TRUNCATE = 0x54;
/** Type and origin messages hold nothing that we need. */
const IGNORED: ReadonlySet<number> = new Set([0x59, 0x4f]);

const KEY_TUPLE = 0x4b;
const OLD_TUPLE = 0x4f;
const NULL = 0x6e;
const UNCHANGED = 0x75;
const TEXT = 0x74;

/** 2000-01-01T00:00:00Z, PostgreSQL's epoch. */
const EPOCH: Micros = 946_684_800_000_000;

export const readTime = (message: Buffer, at: number): Micros =>
  EPOCH + Number(message.readBigInt64BE(at));

/**
 * Decodes pgoutput as of protocol version 1 (PostgreSQL manual, "Logical Replication Message
 * Formats"). The buffers belong to the driver, which uses them again: all is read before `decode`
 * returns.
 */
export class Decoder {
  readonly #sink: Sink;
  /** By relation OID. */
  readonly #plans = new Map<number, Plan | null>();
  #message: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  decode(message: Buffer): void {
    this.#message = message;
    const tag = message[0]!;
    if (tag === INSERT || tag === UPDATE || tag === DELETE) {
      this.#row(tag);
    } else if (tag === BEGIN) {
      const committedAt = readTime(message, 9);
      this.#sink.begin(message.readBigUInt64BE(1), committedAt, message.readUInt32BE(17));
    } else if (tag === COMMIT) {
      this.#sink.commit(message.readBigUInt64BE(10));
    } else if (tag === RELATION) {
      const relation = readRelation(message);
      this.#plans.set(relation.oid, this.#sink.relation(relation));
    } else if (tag === TRUNCATE) {
      this.#truncate();
    } else if (!IGNORED.has(tag)) {
      throw new Error(`unknown message ${tag} in the log`);
    }
  }

  #row(tag: number): void {
    const message = this.#message;
    const plan = this.#plan(message.readUInt32BE(1));
    if (!this.#sink.row(plan) || plan === null) return;
    const marker = message[5];
    this.#at = 6;
    if (tag === INSERT) {
      this.#sink.change(plan, 'insert', this.#tuple(plan, false), null, message.length);
      return;
    }
    const hasOld = marker === KEY_TUPLE || marker === OLD_TUPLE;
    const old = hasOld ? this.#tuple(plan, marker === KEY_TUPLE) : null;
    if (tag === DELETE) {
      this.#sink.change(plan, 'delete', [], old, message.length);
      return;
    }
    if (old !== null) this.#at++;
    const row = this.#tuple(plan, false);
    if (old !== null) fillFrom(row, old);
    this.#sink.change(plan, 'update', row, old, message.length);
  }

  /** Reads one tuple; `identityOnly`: the other columns are placeholders, not NULLs. */
  #tuple(plan: Plan, identityOnly: boolean): Cell[] {
    const message = this.#message;
    const { cells, codecs, identity } = plan;
    const row = new Array<Cell>(plan.table.columns.length).fill(undefined);
    const columns = message.readUInt16BE(this.#at);
    let at = this.#at + 2;
    for (let column = 0; column < columns; column++) {
      const kind = message[at++];
      if (kind === TEXT) {
        const start = at + 4;
        at = start + message.readUInt32BE(at);
        const codec = codecs[column];
        if (codec == null) continue;
        const text = codec.ascii ? message.latin1Slice(start, at) : message.utf8Slice(start, at);
        row[cells[column]!] = codec.decode === null ? text : codec.decode(text);
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

  #truncate(): void {
    const message = this.#message;
    const count = message.readUInt32BE(1);
    const plans = Array.from({ length: count }, (_, i) =>
      this.#plan(message.readUInt32BE(6 + 4 * i)),
    );
    this.#sink.truncate(plans.filter((plan) => plan !== null));
  }

  #plan(relationOid: number): Plan | null {
    const plan = this.#plans.get(relationOid);
    if (plan === undefined) throw new Error(`a row before its relation ${relationOid} in the log`);
    return plan;
  }
}

/** The old row (REPLICA IDENTITY FULL: all of it) has unchanged values that are not sent again. */
function fillFrom(row: Cell[], old: readonly Cell[]): void {
  for (let cell = 0; cell < row.length; cell++) {
    if (row[cell] === undefined) row[cell] = old[cell];
  }
}

export function readRelation(message: Buffer): Relation {
  let at = 5;
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
  return { oid: message.readUInt32BE(1), schema, name, columns };
}
