/** Plain lines on the terminal, one a happening. */
import { styleText } from 'node:util';

export interface Speech {
  /** The heading of an act. */
  act(title: string): void;
  line(text: string): void;
  /** A line that was checked. */
  done(text: string): void;
  /** What a conflict was and how it was settled. */
  conflict(text: string): void;
}

type Style = Parameters<typeof styleText>[0];

export function speech(out: NodeJS.WriteStream): Speech {
  // NO_COLOR and pipes are seen to by styleText itself.
  const paint = (style: Style, text: string) => styleText(style, text, { stream: out });
  const print = (text: string) => void out.write(`${text}\n`);
  let acts = 0;
  return {
    act: (title) => print(`\n${paint('bold', `${++acts}. ${title}`)}`),
    line: (text) => print(`   ${text}`),
    done: (text) => print(` ${paint('green', '✓')} ${text}`),
    conflict: (text) => print(` ${paint('yellow', '⇄')} ${text}`),
  };
}

export const seconds = (since: number): string => `${((Date.now() - since) / 1000).toFixed(1)} s`;
