import { halt } from '../../../src/errors.ts';
import type { Cell } from '../../../src/model/value.ts';
import { inflateEvent } from './compressed.ts';
import { type Cursor, cursorOver, lenenc, take, u16 } from './cursor.ts';
import { type BinlogEvent, EVENT } from './event.ts';
import { jsonText, readBinaryJson } from './json.ts';
import { applyDiffs, partialValue } from './json-diff.ts';
import type { Plan } from './plan.ts';

export type RowOp = 'insert' | 'update' | 'delete';

/** Receives the rows of an event one by one. */
export interface RowVisitor {
  /** Counts a row; false: pass over it. */
  wants(plan: Plan): boolean;
  /** A row that was wanted, and its size in the log. */
  row(plan: Plan, op: RowOp, row: readonly Cell[], old: readonly Cell[] | null, size: number): void;
}

interface RowsType {
  readonly op: RowOp;
  readonly extra: boolean;
  readonly compressed: boolean;
}

const type = (op: RowOp, extra: boolean, compressed: boolean): RowsType => ({
  op,
  extra,
  compressed,
});

const TYPES = new Map<number, RowsType>([
  [EVENT.WRITE_ROWS_V1, type('insert', false, false)],
  [EVENT.UPDATE_ROWS_V1, type('update', false, false)],
  [EVENT.DELETE_ROWS_V1, type('delete', false, false)],
  [EVENT.WRITE_ROWS, type('insert', true, false)],
  [EVENT.UPDATE_ROWS, type('update', true, false)],
  [EVENT.DELETE_ROWS, type('delete', true, false)],
  [EVENT.PARTIAL_UPDATE_ROWS, type('update', true, false)],
  [EVENT.WRITE_ROWS_COMPRESSED_V1, type('insert', false, true)],
  [EVENT.UPDATE_ROWS_COMPRESSED_V1, type('update', false, true)],
  [EVENT.DELETE_ROWS_COMPRESSED_V1, type('delete', false, true)],
  [EVENT.WRITE_ROWS_COMPRESSED, type('insert', true, true)],
  [EVENT.UPDATE_ROWS_COMPRESSED, type('update', true, true)],
  [EVENT.DELETE_ROWS_COMPRESSED, type('delete', true, true)],
]);

export const isRows = (eventType: number): boolean => TYPES.has(eventType);

/** Which columns an image has. */
interface Image {
  readonly present: Buffer;
  readonly count: number;
  readonly complete: boolean;
}

const VALUE_OPTION_PARTIAL_JSON = 1;

/**
 * Rows of one table (MySQL source documentation, `Rows_event`): table id 6, flags 2, extra data
 * in version 2, the number of columns, the columns in the image (for updates: in both), then for
 * each row its NULLs and its values. The table id was read by the caller to find the plan.
 */
export function readRows(event: BinlogEvent, plan: Plan, visitor: RowVisitor): void {
  const { op, extra, compressed } = TYPES.get(event.type)!;
  let c = event.body;
  take(c, 8);
  if (extra) take(c, u16(c) - 2);
  const columns = lenenc(c);
  if (columns !== plan.skips.length) throw new RangeError('rows and their table map disagree');
  const first = readBitmap(c, columns);
  const second = op === 'update' ? readBitmap(c, columns) : first;
  if (compressed) c = cursorOver(inflateEvent(c));
  const partial = event.type === EVENT.PARTIAL_UPDATE_ROWS;
  while (c.pos < c.end) {
    const start = c.pos;
    if (!visitor.wants(plan)) {
      skipImage(c, plan, first);
      if (partial) skipPartialImage(c, plan, second);
      else if (op === 'update') skipImage(c, plan, second);
    } else if (op === 'insert') {
      const row = readImage(c, plan, first, plan.reads);
      if (isCurrent(plan, row)) visitor.row(plan, op, row, null, c.pos - start);
    } else if (op === 'delete') {
      const old = readImage(c, plan, first, plan.reads);
      requireKey(plan, old);
      if (isCurrent(plan, old)) visitor.row(plan, op, [], old, c.pos - start);
    } else {
      const old = readImage(c, plan, first, plan.keyReads);
      const before = start;
      const row = partial
        ? readPartialImage(c, plan, second, cursorOver(c.buf, before, c.end), first)
        : readImage(c, plan, second, plan.reads);
      // What becomes history was deleted; and history itself may be changed as well.
      if (!isCurrent(plan, old)) continue;
      if (isCurrent(plan, row)) {
        visitor.row(plan, op, row, changedKey(plan, row, old), c.pos - start);
      } else {
        requireKey(plan, old);
        visitor.row(plan, 'delete', [], old, c.pos - start);
      }
    }
  }
}

/** ROW END of what has not ended: the last instant of a TIMESTAMP, a later one from 11.5 on. */
const ENDLESS: ReadonlySet<Cell> = new Set([
  '2038-01-19T03:14:07.999999Z',
  '2106-02-07T06:28:15.999999Z',
]);

/**
 * Whether an image is of a row that users see. A system-versioned table of MariaDB logs its history
 * as rows beside the current ones: an update inserts one, a delete makes one. Takes the ROW END
 * off where nobody asked for it; an after-image without it is as current as it was.
 */
function isCurrent({ rowEnd, empty }: Plan, cells: Cell[]): boolean {
  if (rowEnd < 0) return true;
  const end = cells[rowEnd];
  if (rowEnd === empty.length) cells.length = empty.length;
  return end === undefined || ENDLESS.has(end);
}

function readBitmap(c: Cursor, columns: number): Image {
  const length = (columns + 7) >> 3;
  const start = take(c, length);
  const present = c.buf.subarray(start, start + length);
  let count = 0;
  for (let i = 0; i < columns; i++) count += (present[i >> 3]! >> (i & 7)) & 1;
  return { present, count, complete: count === columns };
}

/** Reads what `reads` has a reader for and passes over the rest. */
function readImage(c: Cursor, plan: Plan, image: Image, reads: Plan['reads']): Cell[] {
  const { skips, places } = plan;
  const { buf } = c;
  const { present, complete } = image;
  const nulls = take(c, (image.count + 7) >> 3);
  const cells: Cell[] = plan.empty.slice();
  let bit = 0;
  for (let i = 0; i < skips.length; i++) {
    if (!complete && ((present[i >> 3]! >> (i & 7)) & 1) === 0) continue;
    const isNull = (buf[nulls + (bit >> 3)]! >> (bit & 7)) & 1;
    bit++;
    const read = reads[i]!;
    if (read === null) {
      if (isNull === 0) skips[i]!(c);
    } else cells[places[i]!] = isNull === 1 ? null : read(c);
  }
  return cells;
}

function skipImage(c: Cursor, plan: Plan, image: Image): void {
  const { skips } = plan;
  const nulls = take(c, (image.count + 7) >> 3);
  let bit = 0;
  for (let i = 0; i < skips.length; i++) {
    if (!image.complete && ((image.present[i >> 3]! >> (i & 7)) & 1) === 0) continue;
    if (((c.buf[nulls + (bit >> 3)]! >> (bit & 7)) & 1) === 0) skips[i]!(c);
    bit++;
  }
}

/**
 * Fills the key of an after-image, which leaves out what has not changed under MINIMAL images,
 * from the before-image; returns the old key if it is another one.
 */
function changedKey(plan: Plan, row: Cell[], old: readonly Cell[]): readonly Cell[] | null {
  let changed = false;
  for (const key of plan.keys) {
    if (row[key] === undefined) row[key] = old[key];
    else if (old[key] !== undefined && row[key] !== old[key]) changed = true;
  }
  requireKey(plan, row);
  return changed ? old : null;
}

function requireKey(plan: Plan, cells: readonly Cell[]): void {
  if (plan.keys.every((key) => cells[key] !== undefined)) return;
  throw halt(
    'source.unsupported',
    `The log leaves out key columns of ${plan.followed?.spec.name}`,
    'Set binlog_row_image=FULL, or use the primary key as the key in the mapping.',
  );
}

/** Which JSON columns of an after-image are diffs: one bit for each JSON column of the table. */
function readPartialColumns(c: Cursor, plan: Plan): ReadonlySet<number> {
  if ((lenenc(c) & VALUE_OPTION_PARTIAL_JSON) === 0) return new Set();
  const bits = take(c, (plan.json.length + 7) >> 3);
  return new Set(plan.json.filter((_, i) => (c.buf[bits + (i >> 3)]! >> (i & 7)) & 1));
}

/** Passes over a partial after-image: a diff, like a whole value, is behind its length. */
function skipPartialImage(c: Cursor, plan: Plan, image: Image): void {
  readPartialColumns(c, plan);
  skipImage(c, plan, image);
}

/** Reads an after-image with diffs, which apply to the documents of the before-image. */
function readPartialImage(
  c: Cursor,
  plan: Plan,
  image: Image,
  before: Cursor,
  beforeImage: Image,
): Cell[] {
  const partial = readPartialColumns(c, plan);
  if (partial.size === 0) return readImage(c, plan, image, plan.reads);
  const reads = plan.reads.map((read, i) => {
    if (read === null || !partial.has(i)) return read;
    return (at: Cursor): string => {
      const diffs = partialValue(at);
      const document = documentIn({ ...before }, plan, beforeImage, i);
      return jsonText(applyDiffs(document, diffs));
    };
  });
  return readImage(c, plan, image, reads);
}

/** The JSON document of one column in the image at `c`. */
function documentIn(c: Cursor, plan: Plan, image: Image, column: number) {
  const nulls = take(c, (image.count + 7) >> 3);
  let bit = 0;
  for (let i = 0; i < plan.skips.length; i++) {
    if (((image.present[i >> 3]! >> (i & 7)) & 1) === 0) continue;
    const isNull = (c.buf[nulls + (bit >> 3)]! >> (bit & 7)) & 1;
    bit++;
    if (isNull === 1) continue;
    const start = c.pos;
    plan.skips[i]!(c);
    // A JSON value is behind a length of four bytes.
    if (i === column) return readBinaryJson(c.buf, start + 4, c.pos);
  }
  throw halt(
    'source.unsupported',
    `The log has partial JSON values of ${plan.followed?.spec.name} without the whole ones`,
    "Set binlog_row_value_options='' or binlog_row_image=FULL.",
  );
}
