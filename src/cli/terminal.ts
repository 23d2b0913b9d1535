import type { Micros, Value } from '../model/value.ts';

export type Colour = 'red' | 'yellow' | 'green' | 'grey' | 'bold';

/** How to draw: nothing here looks at the process, so that drawing is a pure function. */
export interface Style {
  readonly colours: boolean;
  /** Ages are told from here, µs. */
  readonly now: Micros;
}

export type Drawn = string | { readonly text: string; readonly colour: Colour };

const CODES: Readonly<Record<Colour, number>> = {
  red: 31,
  yellow: 33,
  green: 32,
  grey: 90,
  bold: 1,
};

export function paint(text: string, colour: Colour, style: Style): string {
  return style.colours && text !== '' ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text;
}

/**
 * Text that cannot move the cursor or turn the reading direction: what is shown comes out of
 * databases, where anybody may have written it.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, (character) => {
    if (character === '\n') return '\\n';
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

const WIDE_RANGES = [
  '\\u1100-\\u115f\\u2e80-\\ua4cf\\uac00-\\ud7a3\\uf900-\\ufaff\\ufe30-\\ufe6f',
  '\\uff00-\\uff60\\uffe0-\\uffe6\\u{1f300}-\\u{1faff}\\u{20000}-\\u{3fffd}',
].join('');
const WIDE = new RegExp(`[${WIDE_RANGES}]`, 'u');

/** Cells on a terminal: two for wide characters, none for combining ones. */
export function cellsOf(text: string): number {
  let cells = 0;
  for (const character of text) {
    if (/\p{M}/u.test(character)) continue;
    cells += WIDE.test(character) ? 2 : 1;
  }
  return cells;
}

/** Columns of the same width; a column whose name starts with `>` is aligned right. */
export function table(
  names: readonly string[],
  rows: readonly (readonly Drawn[])[],
  style: Style,
): string {
  const heads = names.map((name) => name.replace(/^>/, ''));
  const texts = rows.map((row) => row.map((cell) => printable(textOf(cell))));
  const widths = heads.map((head, i) =>
    Math.max(cellsOf(head), ...texts.map((row) => cellsOf(row[i] ?? ''))),
  );
  const line = (cells: readonly string[], colourOf: (i: number) => Colour | null) =>
    cells
      .map((cell, i) => {
        const pad = ' '.repeat(Math.max(0, (widths[i] ?? 0) - cellsOf(cell)));
        const colour = colourOf(i);
        const drawn = colour === null ? cell : paint(cell, colour, style);
        return names[i]?.startsWith('>') ? pad + drawn : drawn + pad;
      })
      .join('  ')
      .trimEnd();
  return [
    line(heads, () => 'bold'),
    ...texts.map((row, r) => line(row, (i) => colourOfCell(rows[r]?.[i]))),
  ].join('\n');
}

const textOf = (cell: Drawn): string => (typeof cell === 'string' ? cell : cell.text);
const colourOfCell = (cell: Drawn | undefined): Colour | null =>
  cell === undefined || typeof cell === 'string' ? null : cell.colour;

/** `3m 12s`: the two largest units; `–` when unknown. */
export function age(seconds: number | null): string {
  if (seconds === null) return '–';
  if (seconds < 1) return '<1s';
  const whole = Math.floor(seconds);
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3_600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'm'],
    [whole % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count], i) => i === 0 || count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ');
}

export const ageSince = (at: Micros, style: Style): string =>
  age(Math.max(0, (style.now - at) / 1e6));

/** `2026-11-23 01:02:03Z`. */
export const instant = (at: Micros): string =>
  `${new Date(at / 1_000).toISOString().slice(0, 19).replace('T', ' ')}Z`;

export function bytes(count: number | null): string {
  if (count === null) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let scaled = count;
  let unit = 0;
  while (scaled >= 1_024 && unit < units.length - 1) {
    scaled /= 1_024;
    unit++;
  }
  return `${unit === 0 ? scaled : scaled.toFixed(1)} ${units[unit]}`;
}

export const count = (n: number): string => n.toLocaleString('en-US');

/** A value as people read it; NULL and the empty text are told apart. */
export function valueText(value: Value | undefined, limit = 60): string {
  if (value === undefined) return '';
  if (value === null) return 'NULL';
  if (value === '') return "''";
  const characters = [...value];
  return characters.length > limit ? `${characters.slice(0, limit - 1).join('')}…` : value;
}
