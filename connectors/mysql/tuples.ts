import type { Value } from '../../src/model/value.ts';
import { type MysqlColumn, written } from './types.ts';

/** How the values of a column are spelled, where that is simple enough to be done in place. */
const [QUOTED, DIGITS, INSTANT, OTHERWISE] = [0, 1, 2, 3];

function formOf({ kind, dataType }: MysqlColumn): number {
  if (kind === 'timestamp') return INSTANT;
  if (kind === 'integer') return dataType === 'bit' || dataType === 'year' ? OTHERWISE : DIGITS;
  // A `T` between date and time is understood; a decimal goes as text, see `written`.
  const asText = ['string', 'decimal', 'date', 'time', 'datetime', 'uuid', 'json', 'other'];
  return asText.includes(kind) ? QUOTED : OTHERWISE;
}

const INTEGER = /^-?\d+$/;
const SPECIAL = /['\\]/;
const quoted = (text: string): string =>
  SPECIAL.test(text) ? `'${text.replace(/['\\]/g, '\\$&')}'` : `'${text}'`;

/**
 * Spells rows for VALUES: `(1,'x',NULL)`. This is where a bulk load spends its time on our side, so
 * there is one loop and no function per cell.
 */
export function tupleSpeller(columns: readonly MysqlColumn[]): (row: readonly Value[]) => string {
  const forms = columns.map(formOf);
  return (row) => {
    let text = '';
    for (let i = 0; i < forms.length; i++) {
      const value = row[i]!;
      text += i === 0 ? '(' : ',';
      if (value === null) text += 'NULL';
      else if (forms[i] === QUOTED) text += quoted(value);
      else if (forms[i] === DIGITS && INTEGER.test(value)) text += value;
      else if (forms[i] === INSTANT && value.endsWith('Z')) text += quoted(value.slice(0, -1));
      else text += written(columns[i]!, value);
    }
    return `${text})`;
  };
}
