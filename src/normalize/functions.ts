import { Environment } from '@marcbachmann/cel-js';
import { Decimal, registerDecimal } from './decimal.ts';

/**
 * The CEL environment that every expression starts from. NULL counts as '' where text is joined or
 * taken apart, is less than and greater than nothing, and equals NULL alone.
 */
export function baseEnvironment(): Environment {
  const environment = new Environment({ unlistedVariablesAreDyn: false });
  registerDecimal(environment);
  registerNull(environment);
  for (const [signature, handler] of TEXT_FUNCTIONS) {
    register(environment, signature, handler);
    const overNull = signature.replace(/^(\w+)\(string/, '$1(null');
    register(environment, overNull, (_: null, ...rest: string[]) => handler('', ...rest));
  }
  register(environment, 'join(list<string>, string): string', (texts: string[], between: string) =>
    texts.map((text) => text ?? '').join(between),
  );
  for (const count of [2, 3, 4]) {
    const dyns = Array(count).fill('dyn').join(', ');
    register(environment, `coalesce(${dyns}): dyn`, (...values: unknown[]) =>
      values.reduce((found, value) => found ?? value, null),
    );
    register(environment, `concat(${dyns}): string`, (...values: unknown[]) =>
      values.map(spell).join(''),
    );
  }
  return environment;
}

const TEXT_FUNCTIONS: readonly (readonly [string, (text: string, ...rest: string[]) => unknown])[] =
  [
    ['before(string, string): string', (text, mark) => around(text, mark!)[0]],
    ['after(string, string): string', (text, mark) => around(text, mark!)[1]],
    ['trim(string): string', (text) => text.trim()],
    ['lower(string): string', (text) => text.toLowerCase()],
    ['upper(string): string', (text) => text.toUpperCase()],
    [
      'replace(string, string, string): string',
      (text, old, by) => text.replaceAll(old!, () => by!),
    ],
    ['split(string, string): list<string>', (text, mark) => text.split(mark!)],
  ];

/** What stands before and after the first `mark`; all of the text and nothing without one. */
function around(text: string, mark: string): readonly [string, string] {
  const at = mark === '' ? -1 : text.indexOf(mark);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + mark.length)];
}

/** The text of any value, as CEL's `string()` spells it; NULL is ''. */
function spell(value: unknown): string {
  if (value === null) return '';
  return value instanceof Decimal ? value.big.toFixed() : String(value);
}

function registerNull(environment: Environment): void {
  const types = ['string', 'int', 'double', 'bool', 'list', 'Decimal'];
  for (const type of types) {
    environment.registerOperator(`${type} == null: bool`, () => false);
    for (const operator of ['<', '<=', '>', '>=']) {
      environment.registerOperator(`${type} ${operator} null: bool`, () => false);
      environment.registerOperator(`null ${operator} ${type}: bool`, () => false);
    }
  }
  environment.registerOperator('null + string: string', (_: null, text: string) => text);
  environment.registerOperator('string + null: string', (text: string) => text);
  environment.registerOperator('null + null: string', () => '');
  // Systems without a boolean type keep 0 and 1.
  environment.registerOperator('int == bool: bool', (a: bigint, b: boolean) => a === (b ? 1n : 0n));
}

function register(
  environment: Environment,
  signature: string,
  handler: (...args: never[]) => unknown,
): void {
  environment.registerFunction(signature, handler as (...args: unknown[]) => unknown, {
    async: false,
  });
}
