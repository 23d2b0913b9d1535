/** JSON as `model/value.ts` spells it; null when the text is no JSON. */
export function canonicalJson(text: string): string | null {
  try {
    return spell(JSON.parse(text, keepNumber));
  } catch {
    return null;
  }
}

/** A JSON array of distinct texts, sorted; null when the text is no array of texts. */
export function canonicalSet(text: string): string | null {
  try {
    const items: unknown = JSON.parse(text);
    if (!Array.isArray(items) || !items.every((item) => typeof item === 'string')) return null;
    return spellSet(items as string[]);
  } catch {
    return null;
  }
}

/** The default order of `sort` is by code unit. */
export function spellSet(items: readonly string[]): string {
  return JSON.stringify([...new Set(items)].sort());
}

/** A number as it was spelled, so that no digit passes through a double. */
class Spelled {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

function keepNumber(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source;
  return typeof value === 'number' && source !== undefined ? new Spelled(source) : value;
}

function spell(value: unknown): string {
  if (value instanceof Spelled) return value.source;
  if (Array.isArray(value)) return `[${value.map(spell).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  const members = keys.map(
    (key) => `${JSON.stringify(key)}:${spell((value as Record<string, unknown>)[key])}`,
  );
  return `{${members.join(',')}}`;
}
