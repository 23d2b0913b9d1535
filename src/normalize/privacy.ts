import { createHmac } from 'node:crypto';
import type { Convert } from './broken.ts';
import type { ColumnType } from './convert.ts';
import type { FieldPlan } from './fields.ts';
import type { PrivacyValue, SystemFieldValue } from './mapping.ts';
import type { Path, Report } from './report.ts';

/**
 * The secret that values are hashed with, the same for as long as hashes are to be comparable;
 * null: none is configured; undefined: not known here, where mappings are only checked.
 */
export type HashKey = Buffer | null | undefined;

const MASKED = '***';

/**
 * What goes to a system in place of a personal value. It is never read back: what stands in the
 * column says nothing about the field. NULL stays NULL. Null, and reported, where it does not fit.
 */
export function privacyConversion(
  { privacy, direction, clean, values, zone }: SystemFieldValue & { privacy: PrivacyValue },
  column: ColumnType | null,
  field: FieldPlan,
  { key, path, report }: { key: HashKey; path: Path; report: Report },
): Convert | null {
  if (direction === 'in' || direction === 'both') {
    const message = 'a value that is changed for privacy is never read back';
    report([...path, 'direction'], message, { expected: '"direction: out", or none' });
    return null;
  }
  for (const [name, given] of Object.entries({ clean, values, zone })) {
    if (given === undefined) continue;
    report([...path, name], `"${name}" goes with values that are read`, { key: true });
    return null;
  }
  if (field.type.kind === 'ref') {
    report([...path, 'privacy'], `${field.name} refers to a record: a changed key refers to none`);
    return null;
  }
  const wanted = privacy === 'hash' ? ['string', 'bytes'] : ['string'];
  if (privacy !== 'drop' && column !== null && !wanted.includes(column.kind)) {
    const message = `a column of kind ${column.kind} cannot hold it`;
    report([...path, 'privacy'], message, { expected: `a column of kind ${wanted.join(' or ')}` });
    return null;
  }
  if (privacy === 'drop') return () => null;
  if (privacy === 'hash') return hashing(field, key, path, report);
  if ('redact' in privacy) return () => privacy.redact;
  return masking(Number(privacy.mask));
}

/** HMAC-SHA256 in hex: equal values have equal hashes, also across entities and systems. */
function hashing(field: FieldPlan, key: HashKey, path: Path, report: Report): Convert | null {
  if (key === null) {
    const message = `${field.name} is hashed, and there is no key for that`;
    report([...path, 'privacy'], message, { expected: 'hash_key in the configuration' });
    return null;
  }
  return (text) =>
    createHmac('sha256', key ?? '')
      .update(text)
      .digest('hex');
}

/** The last characters, and nothing of how long it was; of short values nothing at all. */
function masking(last: number): Convert {
  return (text) => {
    const characters = [...text];
    const shown = last > 0 && characters.length >= 2 * last ? characters.slice(-last) : [];
    return MASKED + shown.join('');
  };
}
