/** How the live show looks: a screen that is drawn over on a terminal, lines elsewhere. */
import { stripVTControlCharacters, styleText } from 'node:util';

export interface Scene {
  readonly seconds: number;
  readonly entities: readonly string[];
  readonly systems: readonly SystemScene[];
  /** Records in which the systems differ at this moment. */
  readonly apart: number;
  readonly open: number;
  readonly parked: number;
  /** What people did, oldest first. */
  readonly work: readonly string[];
  readonly policies: string;
  /** Conflicts, newest first. */
  readonly conflicts: readonly string[];
}

export interface SystemScene {
  readonly name: string;
  /** In the order of `entities`. */
  readonly rows: readonly number[];
  readonly edits: number;
  readonly read: number;
  readonly written: number;
  readonly waiting: number;
  readonly lagSeconds: number | null;
  readonly state: string;
}

export interface View {
  show(scene: Scene): void;
  close(): void;
}

// ECMA-48 and xterm control sequences.
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const END_OF_LINE = '\x1b[K\r\n';
const END_OF_SCREEN = '\x1b[J';

/** Uses the terminal's other screen: what was there before comes back at the end. */
export function screenView(out: NodeJS.WriteStream): View {
  out.write(ENTER);
  // However the process ends, the terminal is left as it was.
  const leave = () => void out.write(LEAVE);
  process.on('exit', leave);
  return {
    show(scene) {
      const lines = draw(scene, out.rows - 1).map((text) => cut(text, out.columns));
      out.write(HOME + lines.join(END_OF_LINE) + END_OF_SCREEN);
    },
    close() {
      process.off('exit', leave);
      leave();
    },
  };
}

/** Only what is new, as lines; the figures every ten seconds. */
export function plainView(out: NodeJS.WriteStream): View {
  const seen = new Set<string>();
  let figures = -10;
  return {
    show(scene) {
      const current = [...scene.work, ...scene.conflicts.toReversed()];
      for (const text of current) {
        if (!seen.has(text)) out.write(`${text}\n`);
      }
      seen.clear();
      for (const text of current) seen.add(text);
      if (scene.seconds - figures < 10) return;
      figures = scene.seconds;
      for (const text of [...table(scene), summary(scene)]) out.write(`${text}\n`);
    },
    close: () => {},
  };
}

function draw(scene: Scene, height: number): string[] {
  const minutes = String(Math.floor(scene.seconds / 60)).padStart(2, '0');
  const time = `${minutes}:${String(scene.seconds % 60).padStart(2, '0')}`;
  const [head = '', ...rows] = table(scene);
  const top = [
    `${styleText('bold', 'Carrick')}  CRM ⇄ ERP  ${time}  Ctrl-C ends`,
    '',
    styleText('dim', head),
    ...rows,
    '',
    scene.apart === 0 ? styleText('green', summary(scene)) : summary(scene),
    '',
  ];
  const room = Math.max(2, Math.floor((height - top.length - 3) / 2));
  return [
    ...top,
    styleText('bold', 'People'),
    ...scene.work.slice(-room).toReversed(),
    '',
    `${styleText('bold', 'Conflicts')}  ${scene.policies}`,
    ...scene.conflicts.slice(0, room),
  ];
}

function table({ entities, systems }: Scene): string[] {
  const heads = [...entities, 'edits', 'read', 'written', 'waiting', 'lag'];
  const widths = heads.map((head) => Math.max(head.length, 7) + 2);
  const cells = (texts: readonly string[]) =>
    texts.map((text, i) => text.padStart(widths[i]!)).join('');
  return [
    `     ${cells(heads)}  log, writes`,
    ...systems.map(({ name, rows, edits, read, written, waiting, lagSeconds, state }) => {
      const lag = lagSeconds === null ? '–' : `${lagSeconds.toFixed(1)} s`;
      const numbers = [...rows, edits, read, written, waiting].map(String);
      return `${name.toUpperCase().padEnd(5)}${cells([...numbers, lag])}  ${state}`;
    }),
  ];
}

function summary({ apart, open, parked }: Scene): string {
  const now = apart === 0 ? 'both hold the same' : `${apart} records are on their way or held`;
  return `${now} · for a person to decide: conflicts ${open}, parked ${parked}`;
}

/** Cuts a line to the terminal's width; a line that has to be cut loses its colours. */
function cut(text: string, columns: number): string {
  const bare = stripVTControlCharacters(text);
  return bare.length <= columns ? text : `${bare.slice(0, columns - 1)}…`;
}
