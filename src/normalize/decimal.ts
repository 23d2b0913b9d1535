import type { Environment } from '@marcbachmann/cel-js';
import Big from 'big.js';

/** A decimal number in an expression: exact, unlike CEL's double. */
export class Decimal {
  readonly big: Big;
  constructor(big: Big) {
    this.big = big;
  }
}

type Operand = Decimal | bigint | number;

/** A double counts as the shortest decimal that spells it: `2.5` is two and a half. */
const big = (value: Operand): Big =>
  value instanceof Decimal ? value.big : new Big(String(value));

const comparisons: Readonly<Record<string, (a: Big, b: Big) => boolean>> = {
  '<': (a, b) => a.lt(b),
  '<=': (a, b) => a.lte(b),
  '>': (a, b) => a.gt(b),
  '>=': (a, b) => a.gte(b),
};
const arithmetic: Readonly<Record<string, (a: Big, b: Big) => Big>> = {
  '+': (a, b) => a.plus(b),
  '-': (a, b) => a.minus(b),
  '*': (a, b) => a.times(b),
  // To 20 fraction digits, as big.js divides.
  '/': (a, b) => a.div(b),
};

/** Decimals compare and compute with decimals, integers and doubles, on either side. */
export function registerDecimal(environment: Environment): void {
  environment.registerType('Decimal', { ctor: Decimal, fields: {} });
  const mixed = [
    ['Decimal', 'Decimal'],
    ...['int', 'double'].flatMap((other) => [
      ['Decimal', other],
      [other, 'Decimal'],
    ]),
  ];
  for (const [left, right] of mixed) {
    for (const [operator, compare] of Object.entries(comparisons)) {
      environment.registerOperator(`${left} ${operator} ${right}: bool`, (a: Operand, b: Operand) =>
        compare(big(a), big(b)),
      );
    }
    for (const [operator, compute] of Object.entries(arithmetic)) {
      environment.registerOperator(
        `${left} ${operator} ${right}: Decimal`,
        (a: Operand, b: Operand) => new Decimal(compute(big(a), big(b))),
      );
    }
    // The library derives the mirrored overload of an equality itself.
    if (left === 'Decimal') {
      environment.registerOperator(`${left} == ${right}: bool`, (a: Operand, b: Operand) =>
        big(a).eq(big(b)),
      );
    }
  }
  const decimal = (value: string | Operand): Decimal =>
    new Decimal(typeof value === 'string' ? new Big(value) : big(value));
  for (const type of ['string', 'int', 'double']) {
    environment.registerFunction(`decimal(${type}): Decimal`, decimal, { async: false });
  }
  const round = ({ big }: Decimal, digits: bigint): Decimal =>
    new Decimal(big.round(Number(digits), Big.roundHalfUp));
  environment.registerFunction('round(Decimal, int): Decimal', round, { async: false });
  environment.registerFunction('string(Decimal): string', ({ big }: Decimal) => big.toFixed(), {
    async: false,
  });
}
