import type { Sent } from '../contract/ledger.ts';
import type { RecordState, SystemView } from '../model/record.ts';
import type { Stamp } from '../model/stamp.ts';
import type { Cell, Value } from '../model/value.ts';

/**
 * A record as one compact JSON array. A binary form was measured beside it: a quarter smaller, but
 * slower to write and, where values are not ASCII, three times slower to read; and a sqlite3 shell
 * shows JSON.
 *
 * `[values, stampOf, stamps, views, outbox, deleted, held, flips]`, trailing nulls left out:
 * - `stampOf` has one character a field: `.` for none, else `0` + index of its stamp, because the
 *   fields that one transaction wrote share a stamp;
 * - `stamps` and `deleted` are `[wall, counter, system, …]`, systems by their code;
 * - a view is `[system, key, differences, raw, represents, length]`, key null while unlinked;
 *   `differences` to the record's values are `[ordinal, value, …]` with 0 for `undefined`, null
 *   when there are none; `length` only where it is not the record's;
 * - `outbox` is `[system, seq, …]`, `flips` is `[count, since, was]`.
 */
type Row = [
  values: Value[],
  stampOf: string,
  stamps: number[],
  views: ViewRow[],
  outbox?: number[] | null,
  deleted?: number[] | null,
  held?: Record<string, number> | null,
  flips?: [number, number, Record<number, Value>] | null,
];

type ViewRow = [
  system: number,
  key: string | null,
  differences?: (number | Value)[] | null,
  raw?: Readonly<Record<string, Value>> | null,
  represents?: Readonly<Record<number, Value>> | null,
  length?: number | null,
];

/** How names become codes and back; see `names.ts`. */
export interface Coding {
  code(name: string): number;
  name(code: number): string;
}

const NO_STAMP = '.';
const FIRST_STAMP = 48;

export function encodeRecord(state: RecordState, coding: Coding): string {
  const stamps: number[] = [];
  const seen: Stamp[] = [];
  let stampOf = '';
  for (const stamp of state.stamps) {
    if (stamp === null) {
      stampOf += NO_STAMP;
      continue;
    }
    let at = seen.findIndex((other) => same(other, stamp));
    if (at < 0) {
      at = seen.push(stamp) - 1;
      stamps.push(stamp.wall, stamp.counter, coding.code(stamp.system));
    }
    stampOf += String.fromCharCode(FIRST_STAMP + at);
  }
  const views: ViewRow[] = [];
  for (const system in state.views) {
    views.push(encodeView(coding.code(system), state.views[system]!, state.values));
  }
  const outbox: number[] = [];
  for (const system in state.outbox) outbox.push(coding.code(system), state.outbox[system]!);
  const { deleted, flips } = state;
  const row = [
    state.values,
    stampOf,
    stamps,
    views,
    outbox.length > 0 ? outbox : null,
    deleted && [deleted.wall, deleted.counter, coding.code(deleted.system)],
    state.held,
    flips && [flips.count, flips.since, flips.was],
  ];
  return JSON.stringify(trimmed(row));
}

function same(a: Stamp, b: Stamp): boolean {
  return a === b || (a.wall === b.wall && a.counter === b.counter && a.system === b.system);
}

function encodeView(system: number, view: SystemView, values: readonly Value[]): ViewRow {
  const differences: (number | Value)[] = [];
  for (let i = 0; i < view.values.length; i++) {
    const value = view.values[i];
    if (value === undefined) differences.push(i, 0);
    else if (value !== values[i]) differences.push(i, value);
  }
  return trimmed([
    system,
    view.status === 'linked' ? view.key : null,
    differences.length > 0 ? differences : null,
    view.raw,
    view.represents,
    view.values.length === values.length ? null : view.values.length,
  ]) as ViewRow;
}

function trimmed(row: unknown[]): unknown[] {
  let length = row.length;
  while (length > 0 && row[length - 1] === null) length--;
  row.length = length;
  return row;
}

export function decodeRecord(
  id: number,
  entity: string,
  data: string,
  coding: Coding,
): RecordState {
  const row = JSON.parse(data) as Row;
  const [values, stampOf, triples] = row;
  const known: Stamp[] = [];
  for (let i = 0; i < triples.length; i += 3) known.push(stampAt(triples, i, coding));
  const stamps: (Stamp | null)[] = [];
  for (let i = 0; i < stampOf.length; i++) {
    stamps.push(stampOf[i] === NO_STAMP ? null : known[stampOf.charCodeAt(i) - FIRST_STAMP]!);
  }
  const views: Record<string, SystemView> = {};
  for (const view of row[3] ?? []) views[coding.name(view[0])] = decodeView(view, values);
  const outbox: Record<string, number> = {};
  const pairs = row[4] ?? [];
  for (let i = 0; i < pairs.length; i += 2) outbox[coding.name(pairs[i]!)] = pairs[i + 1]!;
  const deleted = row[5] ?? null;
  const flips = row[7] ?? null;
  return {
    id,
    entity,
    values,
    stamps,
    deleted: deleted && stampAt(deleted, 0, coding),
    views,
    outbox,
    held: row[6] ?? null,
    flips: flips && { count: flips[0], since: flips[1], was: flips[2] },
  };
}

function stampAt(triples: number[], at: number, coding: Coding): Stamp {
  return {
    wall: triples[at]!,
    counter: triples[at + 1]!,
    system: coding.name(triples[at + 2]!),
  };
}

function decodeView(row: ViewRow, record: Value[]): SystemView {
  const key = row[1] ?? null;
  const differences = row[2] ?? null;
  const length = row[5] ?? record.length;
  let values: Cell[] = record;
  if (differences !== null || length !== record.length) {
    values = record.slice(0, length);
    for (let i = 0; differences !== null && i < differences.length; i += 2) {
      const value = differences[i + 1] as Value | 0;
      values[differences[i] as number] = value === 0 ? undefined : value;
    }
  }
  return {
    status: key === null ? 'unlinked' : 'linked',
    key: key ?? '',
    values,
    raw: row[3] ?? null,
    represents: row[4] ?? null,
  };
}

/**
 * `[op, value, …]` with 0 for fields that were not written; behind them, where it is an update,
 * what it was written over, by ordinal.
 */
export function encodeSent(sent: Sent | null): string | null {
  if (sent === null) return null;
  const { op, values, over } = sent;
  const cells = values.map((v) => (v === undefined ? 0 : v));
  return JSON.stringify(over === undefined ? [op, ...cells] : [op, ...cells, over]);
}

export function decodeSent(data: string | null): Sent | null {
  if (data === null) return null;
  const [op, ...rest] = JSON.parse(data) as [Sent['op'], ...(Value | 0 | Sent['over'])[]];
  const last = rest.at(-1);
  const over = typeof last === 'object' && last !== null ? last : undefined;
  const cells = (over === undefined ? rest : rest.slice(0, -1)) as (Value | 0)[];
  const values = cells.map((v) => (v === 0 ? undefined : v));
  return over === undefined ? { op, values } : { op, values, over };
}
