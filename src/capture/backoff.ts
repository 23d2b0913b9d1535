/** Seconds before try number `attempt` (from 1): doubling from 0.25 to 10, jittered. */
export function backoffSeconds(attempt: number, chance: number): number {
  const base = Math.min(10, 0.25 * 2 ** Math.min(attempt - 1, 10));
  return base * (0.9 + 0.2 * chance);
}
