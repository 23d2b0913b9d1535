import { parseYaml } from './yaml.ts';

/** Keys of carrick.yaml that hold no secret; of all others only references stay. */
const OPEN = new Set([
  ...['connector', 'instance', 'ledger', 'listen', 'log_level', 'mappings'],
  ...['keep', 'ledger_limit'],
]);
const REFERENCE = /^(\$\{[A-Za-z_][A-Za-z0-9_]*\}|file:\.?\.?\/.*)$/;

/** What carrick.yaml says, as far as it may be shown: any other text may be a password. */
export function redacted(file: string, text: string): unknown {
  const { yaml } = parseYaml(file, text, { spelling: false, secret: true });
  return withoutSecrets(yaml.value, false);
}

function withoutSecrets(value: unknown, open: boolean): unknown {
  if (typeof value === 'string') return open || REFERENCE.test(value) ? value : '***';
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, open));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, withoutSecrets(inner, OPEN.has(key))]),
  );
}
