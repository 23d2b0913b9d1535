import type { Value } from '../model/value.ts';
import type { CleanStep } from './mapping.ts';

/**
 * The clean steps of a column as one function, in this order however they are listed, so that
 * cleaning what is clean changes nothing. `round` is not among them: it belongs to the conversion.
 * Null when there is nothing to do.
 */
export function cleaner(steps: readonly CleanStep[]): ((text: string) => Value) | null {
  const wanted = ORDER.filter(([step]) => steps.includes(step)).map(([, change]) => change);
  if (wanted.length === 0) return null;
  return (text) => {
    let value: Value = text;
    for (const change of wanted) {
      value = change(value);
      if (value === null) return null;
    }
    return value;
  };
}

const ORDER: readonly (readonly [CleanStep, (text: string) => Value])[] = [
  ['lower', (text) => text.toLowerCase()],
  ['upper', (text) => text.toUpperCase()],
  ['nfc', (text) => text.normalize('NFC')],
  ['digits', (text) => text.replace(/\D/g, '')],
  ['collapse_spaces', (text) => text.replace(/\s+/g, ' ')],
  ['trim', (text) => text.trim()],
  ['empty_to_null', (text) => (text === '' ? null : text)],
  ['zero_date_to_null', (text) => (text.startsWith('0000-00-00') ? null : text)],
];
