/** A seeded stream of choices: equal seeds and names give equal streams, whatever others draw. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** In 0 … n − 1. */
  int(n: number): number;
  chance(p: number): boolean;
  pick<T>(from: readonly T[]): T;
  /** An independent stream, so that one part's draws never move another's. */
  fork(name: string): Random;
}

/** Mulberry32 (Tommy Ettinger, 2017) over a mixed seed. */
export function seeded(seed: number, name = ''): Random {
  let state = mix(seed, name);
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const int = (n: number): number => Math.floor(next() * n);
  return {
    next,
    int,
    chance: (p) => next() < p,
    pick: (from) => {
      const picked = from[int(from.length)];
      if (picked === undefined) throw new Error('nothing to pick from');
      return picked;
    },
    fork: (part) => seeded(seed, `${name}/${part}`),
  };
}

/** FNV-1a over the name, then over the seed's bytes. */
function mix(seed: number, name: string): number {
  let hash = 0x811c9dc5;
  for (const char of `${seed}:${name}`) {
    hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  }
  return hash | 0;
}
