import type { Fault } from '../contract/entity.ts';
import { CarrickError } from '../errors.ts';
import type { Change } from '../model/change.ts';
import { type Cell, rowKey, type Value } from '../model/value.ts';
import { pick } from '../reconcile/row-event.ts';
import type { FeedRoute } from './plan.ts';

/** What one change comes to in the target. `image` is the source's row, for its key. */
export type Copy = CopiedRow | RemovedRow | InvalidRow;

export interface CopiedRow {
  readonly kind: 'row';
  readonly image: readonly Cell[];
  readonly key: string;
  /** The key that the target's row has before, where the source's moved. */
  readonly oldValues: readonly Value[] | null;
  /** By column of the target's table; of the columns that are written none is `undefined`. */
  readonly cells: readonly Cell[];
  /** The image told everything, and that the row counts. */
  readonly whole: boolean;
  /** It told too little to know what of the row is different now: the row is to be read. */
  readonly unsure: boolean;
  /** The log calls it new. */
  readonly fresh: boolean;
}

export interface RemovedRow {
  readonly kind: 'gone';
  readonly image: readonly Cell[];
  readonly key: string;
  readonly values: readonly Value[];
}

export interface InvalidRow {
  readonly kind: 'invalid';
  readonly image: readonly Cell[];
  readonly faults: readonly Fault[];
  /** See {@link CopiedRow}: by what was not told the row may be none of the entity's. */
  readonly unsure: boolean;
}

const untold = (): Cell => undefined;

/** Null: nothing of it is for the target. Pure. */
export function copyOf(route: FeedRoute, { op, row, old }: Change): Copy | null {
  if (op === 'delete') return passesDeletes(route) ? goneOf(route, old ?? []) : null;
  return rowOf(route, row, op === 'insert' ? null : old, op === 'insert');
}

export const passesDeletes = ({ source, target }: FeedRoute): boolean =>
  passes(source.deletion.kind) && passes(target.deletion.kind);

const passes = (kind: string): boolean => kind === 'propagate' || kind === 'soft';

/** A row as the source has it now, or has read it. */
export function rowOf(
  route: FeedRoute,
  image: readonly Cell[],
  old: readonly Cell[] | null,
  fresh: boolean,
): Copy | null {
  const { target, columns } = route;
  const copied = cellsOf(route, image);
  // What was never here, or has left: removing it once more does no harm.
  if (copied === null) return passesDeletes(route) ? goneOf(route, old ?? image, image) : null;
  const { cells, faults } = copied;
  const unsure = route.straight === null && image.includes(undefined);
  if (faults !== null) return { kind: 'invalid', image, faults, unsure };
  if (target.deletion.kind === 'soft') cells[target.deletion.column] = target.deletion.alive;
  const key = keyText(route, cells);
  const before = old === null || old.length === 0 ? null : targetKey(route, old);
  const moved = before !== null && rowKey(before) !== key;
  return {
    kind: 'row',
    image,
    key,
    oldValues: moved ? before : null,
    cells,
    unsure,
    whole: !unsure && columns.every((i) => cells[i] !== undefined),
    fresh,
  };
}

/** Null: the row is none of the entity's. */
function cellsOf(
  { source, target, straight, pick: by }: FeedRoute,
  image: readonly Cell[],
): { readonly cells: Cell[]; readonly faults: readonly Fault[] | null } | null {
  const row = pick(image, by);
  if (straight !== null) return straight(row);
  const read = source.read(row, untold);
  if (read.kind === 'invalid') return { cells: [], faults: read.faults };
  if (read.kind !== 'row') return null;
  try {
    return { cells: target.write(read.values), faults: null };
  } catch (error) {
    if (!(error instanceof CarrickError) || error.disposition !== 'park') throw error;
    return { cells: [], faults: [{ place: target.system, message: error.message }] };
  }
}

const keyText = ({ key }: FeedRoute, cells: readonly Cell[]): string =>
  rowKey(key.map((i) => cells[i] ?? null));

/** `named`: the image to name the row by, where another one tells the key that it had. */
export function goneOf(
  route: FeedRoute,
  image: readonly Cell[],
  named: readonly Cell[] = image,
): RemovedRow | null {
  const values = targetKey(route, image);
  return values === null ? null : { kind: 'gone', image: named, key: rowKey(values), values };
}

/** The key of the target's row that stands for a row of the source; null: the image has no key. */
function targetKey({ keyOf, pickKey }: FeedRoute, image: readonly Cell[]): Value[] | null {
  const read = keyOf.source.read(pick(image, pickKey), untold);
  if (read.kind !== 'row') return null;
  const cells = keyOf.target.write(read.values);
  const [guard = []] = keyOf.target.guards;
  const values: Value[] = [];
  for (const i of guard) {
    const cell = cells[i];
    if (cell === undefined || cell === null) return null;
    values.push(cell);
  }
  return values;
}

/** The key of the source's row for a row of the target, of which `cells` are the key columns. */
export function sourceKey({ keyOf }: FeedRoute, cells: readonly Cell[]): Value[] | null {
  const read = keyOf.target.read(cells, untold);
  if (read.kind !== 'row') return null;
  const back = keyOf.source.write(read.values);
  const { key, columns } = keyOf.source.table;
  return key.map((name) => back[columns.indexOf(name)] ?? null);
}
