/** Digits in a text, looked at in place: of every number and date of every row. */

export const [ZERO, NINE, MINUS, POINT] = [0x30, 0x39, 0x2d, 0x2e] as const;

export function areDigits(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i);
    if (!(code >= ZERO && code <= NINE)) return false;
  }
  return true;
}

/** Canonical, see `model/value.ts`: no leading zeros, no `-0`. */
export function isInteger(text: string): boolean {
  const start = text.charCodeAt(0) === MINUS ? 1 : 0;
  if (text.length === start || !areDigits(text, start, text.length)) return false;
  return text.charCodeAt(start) !== ZERO || text.length === 1;
}

/** A canonical number of at least one with so many fraction digits, and at most so many before. */
export function isFixed(text: string, most: number, scale: number): boolean {
  const point = text.length - scale - 1;
  if (point < 1 || point > most || text.charCodeAt(point) !== POINT) return false;
  if (text.charCodeAt(0) === ZERO) return false;
  return areDigits(text, 0, point) && areDigits(text, point + 1, text.length);
}
