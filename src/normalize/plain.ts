import type { ColumnKind } from '../model/value.ts';
import { Broken, type Convert } from './broken.ts';
import { cleaner } from './clean.ts';
import { type ColumnType, type Conversion, conversion, fittingKinds } from './convert.ts';
import type { FieldType } from './field-type.ts';
import type { FieldPlan } from './fields.ts';
import type { SystemFieldValue } from './mapping.ts';
import type { Path, Report } from './report.ts';
import { isZone } from './zone.ts';

/**
 * The conversion between one column and one field: clean, then codes, then the change of kind.
 * `column` is null without a schema; then the column is taken to be of the field's own kind.
 */
export function plainConversion(
  value: SystemFieldValue,
  column: ColumnType | null,
  field: FieldPlan,
  path: Path,
  report: Report,
): Conversion | null {
  const zone = checkedZone(value.zone, [...path, 'zone'], report);
  const steps = value.clean ?? [];
  const round = steps.includes('round');
  if (round && field.type.kind !== 'decimal') {
    report(
      [...path, 'clean'],
      `"round" is for decimal fields; ${field.name} is ${field.type.kind}`,
    );
  }
  const assumed = value.values === undefined ? naturalKind(field.type, zone) : 'string';
  const from = column ?? { kind: assumed, scale: null };
  const base =
    value.values === undefined
      ? conversion(from, field.type, { zone, round })
      : codes(value, from, field, path, report);
  if (base === null) {
    report(path, misfit(from.kind, field, zone), { expected: expectedFor(from.kind, field, zone) });
    return null;
  }
  const clean = cleaner(steps);
  if (clean === null) return base;
  const read: Convert = (text) => {
    const cleaned = clean(text);
    return cleaned === null ? null : base.read(cleaned);
  };
  return { read, write: base.write, exact: false };
}

function checkedZone(zone: string | undefined, path: Path, report: Report): string | null {
  if (zone === undefined) return null;
  if (isZone(zone)) return zone;
  report(path, `unknown time zone "${zone}"`, {
    expected: 'an IANA name such as Europe/Madrid',
    near: [zone, Intl.supportedValuesOf('timeZone')],
  });
  return 'UTC';
}

function naturalKind({ kind }: FieldType, zone: string | null): ColumnKind {
  if (zone !== null && kind === 'timestamp') return 'datetime';
  if (zone !== null && kind === 'datetime') return 'timestamp';
  return kind === 'enum' || kind === 'ref' ? 'string' : kind;
}

/** The first code of a value is the one that is written. */
function codes(
  { values = {} }: SystemFieldValue,
  column: ColumnType,
  field: FieldPlan,
  path: Path,
  report: Report,
): Conversion {
  const reads = new Map<string, string>();
  const writes = new Map<string, string>();
  const known = { ...field.type };
  for (const [code, written] of Object.entries(values)) {
    const label = String(written);
    const at = [...path, 'values', code];
    const spelled = spelling(label, known);
    if (spelled instanceof Broken) {
      const labels = field.type.kind === 'boolean' ? ['true', 'false'] : field.type.labels;
      report(at, `${field.name} cannot be "${label}"`, {
        expected:
          labels.length > 0 ? `one of ${labels.join(', ')}` : `a value of ${field.type.kind}`,
        near: [label, labels],
      });
      continue;
    }
    if (!canHold(column.kind, code)) {
      report(at, `a column of kind ${column.kind} never holds "${code}"`, { key: true });
    }
    reads.set(code, spelled);
    if (!writes.has(spelled)) writes.set(spelled, code);
  }
  const unknown = new Broken('a code that the mapping does not list');
  const uncoded = new Broken('a value that has no code in this system');
  return {
    read: (text) => reads.get(text) ?? unknown,
    write: (text) => writes.get(text) ?? uncoded,
    exact: reads.size === writes.size,
  };
}

/** Labels and codes must be spelled as values of their kinds are. */
function spelling(label: string, type: FieldType): string | Broken {
  const kind = naturalKind(type, null);
  const checked = conversion({ kind, scale: null }, type, { zone: null, round: false })?.read(
    label,
  );
  return typeof checked === 'string' ? checked : new Broken('misspelled');
}

function canHold(kind: ColumnKind, code: string): boolean {
  if (kind === 'boolean') return code === 'true' || code === 'false';
  return kind !== 'integer' || /^(?:0|-?[1-9]\d*)$/.test(code);
}

function misfit(kind: ColumnKind, { name, type }: FieldPlan, zone: string | null): string {
  const time =
    zone === null && [kind, type.kind].every((k) => k === 'datetime' || k === 'timestamp');
  return time
    ? `${name}: a ${kind} column and a ${type.kind} field need a zone`
    : `${name}: a column of kind ${kind} does not fit a field of type ${type.kind}`;
}

function expectedFor(kind: ColumnKind, { type }: FieldPlan, zone: string | null): string {
  if (zone === null && kind === 'datetime' && type.kind === 'timestamp') return '"zone: …"';
  if (zone === null && kind === 'timestamp' && type.kind === 'datetime') return '"zone: …"';
  if (type.kind === 'boolean') return 'values: {CODE: true, CODE: false}';
  if (type.kind === 'enum') return 'values: {CODE: value, …}';
  return `a column of kind ${fittingKinds(type.kind).join(', ')}`;
}
