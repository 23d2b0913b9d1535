/** The harness' own log: what every user did and what came of it, and every fault. */
import { appendFileSync, readFileSync } from 'node:fs';
import type { SystemName } from './shapes.ts';

export interface Attempt {
  readonly tx: string;
  readonly system: SystemName;
  readonly what: string;
  /** SQL, parameters, and what came back. */
  readonly statements: readonly unknown[];
  /** Rows written. */
  readonly rows: number;
  /** `unknown`: the connection was lost in the commit; the audit tells. */
  readonly outcome: 'committed' | 'rolled back' | 'failed' | 'unknown';
}

export interface Diary {
  /** Outcome and rows of every user's transaction, by name. */
  readonly attempts: Map<string, Pick<Attempt, 'system' | 'outcome' | 'rows'>>;
  /** Faults by kind. */
  readonly faults: Map<string, number>;
  attempt(one: Attempt): void;
  fault(kind: string, detail?: string): void;
  note(text: string): void;
  /** All lines that mention one of the texts, in order. */
  linesWith(texts: readonly string[]): string[];
}

export function openDiary(file: string): Diary {
  const attempts: Diary['attempts'] = new Map();
  const faults = new Map<string, number>();
  const started = performance.now();
  const write = (entry: object): void => {
    const s = Number(((performance.now() - started) / 1000).toFixed(3));
    appendFileSync(file, `${JSON.stringify({ s, ...entry })}\n`);
  };
  return {
    attempts,
    faults,
    attempt(one) {
      const { tx, system, outcome, rows } = one;
      attempts.set(tx, { system, outcome, rows });
      write(one);
    },
    fault(kind, detail = '') {
      faults.set(kind, (faults.get(kind) ?? 0) + 1);
      write({ fault: kind, detail });
    },
    note: (text) => write({ note: text }),
    linesWith(texts) {
      const lines = readFileSync(file, 'utf8').split('\n');
      return lines.filter((line) => texts.some((text) => line.includes(text)));
    },
  };
}
