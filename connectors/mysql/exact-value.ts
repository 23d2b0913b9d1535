import { type MysqlColumn, shortestFloat32 } from './types.ts';

/**
 * Whether a column keeps a value as it is. What is silently cut, rounded or folded would make one
 * key of two; what does not fit at all the server refuses by itself.
 */
export function keeps(column: MysqlColumn): (value: string) => boolean {
  const { kind, dataType, nativeType, length } = column;
  const scale = Number(/\((?:\d+,)?(\d+)\)/.exec(nativeType)?.[1] ?? 0);
  switch (kind) {
    case 'string':
      if (dataType === 'enum') return among(nativeType);
      if (dataType === 'char') return (value) => !value.endsWith(' ');
      return (value) => !value.endsWith(' ') || value.length <= (length ?? value.length);
    case 'integer':
      return (value) => /^(?:0|-?[1-9]\d*)$/.test(value);
    case 'decimal':
      return (value) => fractionOf(value) <= scale;
    case 'float':
      return (value) => dataType !== 'float' || shortestFloat32(Number(value)) === value;
    case 'time':
    case 'datetime':
    case 'timestamp':
      return (value) => fractionOf(value.replace(/Z$/, '')) <= scale;
    case 'uuid':
      return (value) => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value);
    case 'bytes':
      return (value) =>
        !/[A-F]/.test(value) && (dataType !== 'binary' || value.length === 2 * (length ?? 0));
    default:
      return () => true;
  }
}

/** Digits behind the point that say something. */
const fractionOf = (value: string): number => (/\.(\d*?)0*$/.exec(value)?.[1] ?? '').length;

/** An ENUM takes what its collation calls equal to one of its labels. */
function among(nativeType: string): (value: string) => boolean {
  const spelled = [...nativeType.matchAll(/'((?:[^']|'')*)'/g)];
  const labels = new Set(spelled.map(([, label]) => label!.replaceAll("''", "'")));
  return (value) => labels.has(value);
}
