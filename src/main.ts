#!/usr/bin/env -S MALLOC_ARENA_MAX=1 node --max-semi-space-size=8 --no-incremental-marking-task
import { runCommandLine, tell } from './cli/cli.ts';
import type { Context } from './cli/command.ts';
import { EXIT, STOP_SECONDS } from './cli/exit.ts';

/*
 * The first line keeps the nursery of V8's heap small (three spaces of 16 MiB are its default), and
 * leaves it to a thread of V8's own to mark what is alive: tasks of the event loop would do that
 * between ours, and hold up whatever is on its way for 20 to 50 ms each time.
 */
const context: Context = {
  compose: {
    // Loaded when needed: help and mistakes in the command line are told at once.
    load: async (...given) => (await import('./compose.ts')).loadComposition(...given),
    schema: async (of) => (await import('./compose.ts')).jsonSchema(of),
  },
  env: process.env,
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
  terminal: process.stdout.isTTY === true,
  colours: process.stdout.isTTY === true && !process.env.NO_COLOR,
  columns: process.stdout.columns ?? 100,
  now: () => Date.now() * 1_000,
  stopOnSignal,
  onHangup: (act) => void process.on('SIGHUP', act),
};

/** The first signal asks to stop and sets a time for it; the second ends the process. */
function stopOnSignal(): AbortSignal {
  const stop = new AbortController();
  for (const [signal, number] of [['SIGINT', 2] as const, ['SIGTERM', 15] as const]) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(128 + number);
      stop.abort(signal);
      setTimeout(() => process.exit(EXIT.unreachable), STOP_SECONDS * 1_000).unref();
    });
  }
  return stop.signal;
}

process.on('uncaughtException', (error) => {
  tell(error, { json: false }, context);
  process.exit(EXIT.defect);
});
// A pager or `head` that has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});

process.exitCode = await runCommandLine(process.argv.slice(2), context);
