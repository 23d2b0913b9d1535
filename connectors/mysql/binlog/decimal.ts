import { type Cursor, take } from './cursor.ts';

const DIGITS_PER_WORD = 9;
/** Bytes that hold 0 to 9 decimal digits. */
const BYTES_FOR = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;

export function decimalLength(precision: number, scale: number): number {
  return partLength(precision - scale) + partLength(scale);
}

function partLength(digits: number): number {
  return Math.trunc(digits / DIGITS_PER_WORD) * 4 + BYTES_FOR[digits % DIGITS_PER_WORD]!;
}

/**
 * The binary DECIMAL (MySQL source, `decimal2bin`): nine digits in each four-byte big-endian word,
 * the odd digits in as few bytes as they need, first in the integer and last in the fraction. The
 * first bit is flipped, and every bit of a negative number is.
 */
export function decimalReader(precision: number, scale: number): (c: Cursor) => string {
  const length = decimalLength(precision, scale);
  const headDigits = (precision - scale) % DIGITS_PER_WORD;
  const words = Math.trunc((precision - scale) / DIGITS_PER_WORD);
  const fractionWords = Math.trunc(scale / DIGITS_PER_WORD);
  const tailDigits = scale % DIGITS_PER_WORD;
  return (c) => {
    const { buf } = c;
    let at = take(c, length);
    const negative = (buf[at]! & 0x80) === 0;
    const mask = negative ? 0xff : 0;
    let first = 0x80;
    const part = (size: number): number => {
      let value = 0;
      for (let i = 0; i < size; i++) {
        value = value * 256 + (buf[at++]! ^ mask ^ first);
        first = 0;
      }
      return value;
    };
    let nonzero = 0;
    let integer = headDigits > 0 ? part(BYTES_FOR[headDigits]!) : 0;
    let text = integer === 0 ? '' : String(integer);
    nonzero |= integer;
    for (let i = 0; i < words; i++) {
      integer = part(4);
      nonzero |= integer;
      if (text !== '') text += padded(integer, DIGITS_PER_WORD);
      else if (integer !== 0) text = String(integer);
    }
    if (text === '') text = '0';
    if (scale > 0) {
      text += '.';
      for (let i = 0; i < fractionWords; i++) {
        const word = part(4);
        nonzero |= word;
        text += padded(word, DIGITS_PER_WORD);
      }
      if (tailDigits > 0) {
        const tail = part(BYTES_FOR[tailDigits]!);
        nonzero |= tail;
        text += padded(tail, tailDigits);
      }
    }
    return negative && nonzero !== 0 ? `-${text}` : text;
  };
}

const ZEROS = '000000000';

function padded(value: number, digits: number): string {
  const text = String(value);
  return text.length === digits ? text : ZEROS.slice(0, digits - text.length) + text;
}
