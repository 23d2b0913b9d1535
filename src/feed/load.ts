import type { CopyWrite } from '../contract/copier.ts';
import type { Cell, Value } from '../model/value.ts';
import { type CopiedRow, passesDeletes, type RemovedRow } from './copy.ts';
import type { FeedRoute } from './plan.ts';

/** What becomes of one row of the target: the sum of what the log said of it. */
export interface Work {
  readonly route: FeedRoute;
  /** The key that the target's row has now; null: the one that `cells` tell. */
  readonly key: readonly Value[] | null;
  /** The source's row, for its key. */
  readonly image: readonly Cell[];
  /** By column of the target's table; `undefined` where the log told nothing. Null: it goes. */
  readonly cells: readonly Cell[] | null;
  readonly whole: boolean;
  readonly fresh: boolean;
}

/** A write, and what each of its rows is; see `CopyWrite`. */
export interface Writing {
  readonly write: CopyWrite;
  readonly works: readonly Work[];
}

/** Works that do not depend on each other's order, at most one for a key. */
type Section = Map<FeedRoute, Map<string, Work>>;

/**
 * What the log says of many rows, in its order, as few writes: of several images of one row the
 * last stands. A row whose key moves ends a section, because it is one row before it and another
 * one behind it.
 */
export interface Load {
  add(route: FeedRoute, copy: CopiedRow | RemovedRow): void;
  /** One list for each section, to be carried out one after the other. */
  sections(): Writing[][];
  readonly size: number;
  /** The rows that were written, each once. */
  works(): Iterable<Work>;
}

export function openLoad(): Load {
  const sections: Writing[][] = [];
  let section: Section = new Map();
  let size = 0;
  const close = (): void => {
    if (section.size > 0) sections.push(writingsOf([...section.values()].flatMap(valuesOf)));
    section = new Map();
  };
  const worksOf = (route: FeedRoute): Map<string, Work> => {
    const known = section.get(route);
    if (known !== undefined) return known;
    const works = new Map<string, Work>();
    section.set(route, works);
    return works;
  };
  return {
    get size() {
      return size;
    },
    add(route, copy) {
      size += 1;
      if (copy.kind === 'row' && copy.oldValues !== null) {
        close();
        sections.push([renaming(route, copy, copy.oldValues)]);
        return;
      }
      // What is told of a part of a row is not of the one that is gone.
      if (copy.kind === 'row' && !copy.whole && worksOf(route).get(copy.key)?.cells === null)
        close();
      const works = worksOf(route);
      works.set(copy.key, merged(route, works.get(copy.key), copy));
    },
    sections() {
      close();
      return sections;
    },
    *works() {
      for (const writing of sections.flat()) yield* writing.works;
    },
  };
}

const valuesOf = (works: Map<string, Work>): Work[] => [...works.values()];

function merged(route: FeedRoute, before: Work | undefined, copy: CopiedRow | RemovedRow): Work {
  const { image } = copy;
  if (copy.kind === 'gone') {
    return { route, key: copy.values, image, cells: null, whole: false, fresh: false };
  }
  const { cells, whole, fresh } = copy;
  const isNew = fresh && before === undefined;
  if (whole || before?.cells == null) {
    return { route, key: null, image, cells, whole, fresh: isNew };
  }
  const both = before.cells.map((cell, i) => (cells[i] === undefined ? cell : cells[i]));
  const known = route.columns.every((i) => both[i] !== undefined);
  return { route, key: null, image, cells: both, whole: known, fresh: before.fresh };
}

/**
 * The same row under another key. Where that is refused another row has the key, one that is gone
 * in the source: see `replacing`.
 */
function renaming(
  route: FeedRoute,
  { image, cells, whole }: CopiedRow,
  before: readonly Value[],
): Writing {
  const work: Work = { route, key: before, image, cells, whole, fresh: false };
  return patching(
    route,
    route.columns.filter((i) => cells[i] !== undefined),
    [work],
  );
}

/** Instead of renamings: the rows that had the old keys go, so that others can be put. */
export function replacing(works: readonly Work[]): Writing[] {
  return [...Map.groupBy(works.filter(isRenaming), ({ route }) => route)].flatMap(
    ([route, some]) => (passesDeletes(route) ? [removing(route, some)] : []),
  );
}

/** Its row has another key before. */
export const isRenaming = ({ key, cells }: Work): boolean => cells !== null && key !== null;

/** Rows that are put first, then what goes: so a child has left before its parent goes. */
export function writingsOf(works: readonly Work[]): Writing[] {
  const puts: Writing[] = [];
  const removes: Writing[] = [];
  for (const [route, some] of Map.groupBy(works, (work) => work.route)) {
    const kindOf = ({ cells, whole, fresh }: Work): string =>
      cells === null ? 'gone' : !whole ? toldOf(route, cells) : fresh ? 'fresh' : 'put';
    for (const [kind, alike] of Map.groupBy(some, kindOf)) {
      if (kind === 'gone') removes.push(removing(route, alike));
      else if (kind === 'fresh' || kind === 'put')
        puts.push(putting(route, alike, kind === 'fresh'));
      else puts.push(patching(route, told(route, alike[0]!.cells!), alike));
    }
  }
  return [...puts, ...removes];
}

const told = ({ columns }: FeedRoute, cells: readonly Cell[]): number[] =>
  columns.filter((i) => cells[i] !== undefined);

const toldOf = (route: FeedRoute, cells: readonly Cell[]): string => told(route, cells).join(',');

function baseOf({ target: { table }, key }: FeedRoute, columns: readonly number[]) {
  const names = (at: readonly number[]): string[] => at.map((i) => table.columns[i]!);
  return { table: table.name, key: names(key), columns: names(columns) };
}

/** Of the columns that are written none is `undefined` in any of the rows. */
function valuesIn(
  { target: { table } }: FeedRoute,
  columns: readonly number[],
  works: readonly Work[],
): (readonly Value[])[] {
  // The columns are in order: as many as there are, they are all of them.
  if (columns.length === table.columns.length) return works.map(({ cells }) => cells as Value[]);
  return works.map(({ cells }) => columns.map((i) => cells![i] ?? null));
}

/** The key that the target's row has before the work is done. */
export const keyOf = ({ route, key, cells }: Work): readonly Value[] => key ?? keyIn(route, cells!);

/** The key that it has behind it, or had. */
export const keyBehind = ({ route, key, cells }: Work): readonly Value[] =>
  cells === null ? key! : keyIn(route, cells);

const keyIn = ({ key }: FeedRoute, cells: readonly Cell[]): readonly Value[] =>
  key.map((i) => cells[i] ?? null);

function putting(route: FeedRoute, works: readonly Work[], fresh: boolean): Writing {
  const { columns } = route;
  const rows = valuesIn(route, columns, works);
  return { works, write: { op: 'put', ...baseOf(route, columns), keys: [], rows, fresh } };
}

function patching(route: FeedRoute, columns: readonly number[], works: readonly Work[]): Writing {
  const rows = valuesIn(route, columns, works);
  const keys = works.map(keyOf);
  return { works, write: { op: 'patch', ...baseOf(route, columns), keys, rows, fresh: false } };
}

function removing(route: FeedRoute, works: readonly Work[]): Writing {
  const keys = works.map(keyOf);
  const { deletion } = route.target;
  if (deletion.kind === 'soft') {
    const rows = works.map(() => [deletion.value]);
    const base = baseOf(route, [deletion.column]);
    return { works, write: { op: 'patch', ...base, keys, rows, fresh: false } };
  }
  return { works, write: { op: 'remove', ...baseOf(route, []), keys, rows: [], fresh: false } };
}
