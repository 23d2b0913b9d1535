import type { Level } from './events.ts';

const COLOURS: Readonly<Record<Level, number>> = { debug: 90, info: 32, warn: 33, error: 31 };

/** Turns the log's JSON lines into lines for a terminal: time, level, message, `name=value` … */
export function prettyLines(
  write: (text: string) => void,
  colours: boolean,
): { write(line: string): void } {
  const paint = (code: number, text: string) => (colours ? `\x1b[${code}m${text}\x1b[0m` : text);
  return {
    write(line) {
      const {
        level,
        time,
        msg,
        event: _,
        ...fields
      } = JSON.parse(line) as {
        level: Level;
        time: string;
        msg: string;
        event: string;
      } & Record<string, unknown>;
      const clock = paint(90, time.slice(11, 23));
      const head = `${clock} ${paint(COLOURS[level], level.padEnd(5))} ${msg}`;
      const tail = Object.entries(fields).map(([name, value]) => {
        const text = String(value);
        return `${paint(90, `${name}=`)}${/[\s"]/.test(text) ? JSON.stringify(text) : text}`;
      });
      write(`${[head, ...tail].join(' ')}\n`);
    },
  };
}
