import { urlOf } from '../observe/http.ts';
import { troubleOf } from '../observe/trouble.ts';
import { type Context, type Global, loadOffline, type Register } from './command.ts';
import { EXIT } from './exit.ts';

const TIMEOUT_MS = 5_000;

export const healthcheck: Register = (cli, act) =>
  cli.command(
    'healthcheck',
    'exit 0 if the daemon is alive and moving, else 1: for a container',
    (options) => options,
    act(async (args, context) => {
      try {
        const { ok, body } = await ask(args, context);
        context.out(body.trimEnd());
        return ok ? EXIT.ok : EXIT.problem;
      } catch (error) {
        // Containers know two answers: whatever keeps us from asking means unhealthy.
        context.err(troubleOf(error).message);
        return EXIT.problem;
      }
    }),
  );

async function ask(args: Global, context: Context): Promise<{ ok: boolean; body: string }> {
  const { config } = await loadOffline(args, context);
  const url = `${urlOf(config.listen)}/healthz`;
  const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  return { ok: response.ok, body: await response.text() };
}
