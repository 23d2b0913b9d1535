/** A million in 5 MiB, whatever their keys are; memory that was never written takes none. */
const SLOTS = 2 ** 20;
const LARGEST = 2 ** 32 - 1;

/**
 * Which record a link leads to, most likely: every link has one slot, which holds the record of
 * that link or of a later one that has the same. Who asks holds the record against the link.
 */
export interface LinkGuesses {
  get(system: number, entity: number, key: string): number | undefined;
  set(system: number, entity: number, key: string, record: number): void;
  delete(system: number, entity: number, key: string): void;
  clear(): void;
}

export function openLinkGuesses(): LinkGuesses {
  let records = new Uint32Array(SLOTS);
  // Eight more bits of the link's hash: of those that have another's slot few are mistaken for it.
  let tags = new Uint8Array(SLOTS);
  let isEmpty = true;
  return {
    get(system, entity, key) {
      const hash = hashOf(system, entity, key);
      const slot = hash % SLOTS;
      return tags[slot] === hash >>> 24 ? records[slot] || undefined : undefined;
    },
    set(system, entity, key, record) {
      const hash = hashOf(system, entity, key);
      const slot = hash % SLOTS;
      records[slot] = record > LARGEST ? 0 : record;
      tags[slot] = hash >>> 24;
      isEmpty = false;
    },
    delete(system, entity, key) {
      records[hashOf(system, entity, key) % SLOTS] = 0;
    },
    clear() {
      if (isEmpty) return;
      records = new Uint32Array(SLOTS);
      tags = new Uint8Array(SLOTS);
      isEmpty = true;
    },
  };
}

/** FNV-1a over UTF-16 units, mixed as MurmurHash3 does, so that each bit counts everywhere. */
function hashOf(system: number, entity: number, key: string): number {
  let hash = Math.imul(0x811c9dc5 ^ system, 0x01000193);
  hash = Math.imul(hash ^ entity, 0x01000193);
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
