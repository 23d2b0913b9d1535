import type { Fault, Lens, Straight } from '../contract/entity.ts';
import type { Cell } from '../model/value.ts';
import { Broken, type Convert } from './broken.ts';
import { isOwnCheck } from './convert.ts';
import type { FieldPlan } from './fields.ts';
import type { Parts } from './lens-parts.ts';

export interface Parted {
  readonly lens: Lens;
  readonly parts: Parts;
}

interface Step {
  readonly from: number;
  /** Negative: the target has no such field, and only the check is wanted. */
  readonly to: number;
  readonly read: Convert;
  readonly write: Convert | null;
  readonly field: FieldPlan;
}

/**
 * `read` of the source's lens and `write` of the target's in one, without the values in between;
 * null where a field is more than one column, or a row may be none of the entity's.
 */
export function straight(
  source: Parted,
  target: Parted,
  fields: readonly FieldPlan[],
  everyRow: boolean,
): Straight | null {
  const isPlain = ({ parts }: Parted): boolean => parts.gets.length + parts.sets.length === 0;
  if (!everyRow || source.lens.deletion.kind === 'soft') return null;
  if (!isPlain(source) || !isPlain(target)) return null;
  const width = target.lens.table.columns.length;
  const steps = source.parts.plain.map((part): Step => {
    const into = target.parts.plain.find(({ field }) => field === part.field);
    const [from, to] = [part.column, into?.column ?? -1];
    const field = fields[part.field]!;
    // A check need not be made twice: what it has let pass it lets pass again.
    const isMade = (write: Convert) => write === part.read || isOwnCheck(field.type.kind, write);
    const write = into?.write == null || isMade(into.write) ? null : into.write;
    return { from, to, read: part.read!, write, field };
  });
  return (image) => {
    const cells: Cell[] = new Array(width).fill(undefined);
    let faults: Fault[] | null = null;
    for (const { from, to, read, write, field } of steps) {
      const cell = image[from];
      if (cell === undefined) continue;
      const value = cell === null ? null : read(cell);
      const out = typeof value === 'string' && write !== null ? write(value) : value;
      if (out instanceof Broken || (value === null && field.required)) {
        const { message } = out instanceof Broken ? out : REQUIRED;
        faults = [...(faults ?? []), { place: field.name, message }];
      } else if (to >= 0) cells[to] = out;
    }
    return { cells, faults };
  };
}

const REQUIRED = new Broken('is required');
