/**
 * An opaque place in one system's change log; only the connector that made it can read it.
 * Text, at most a few kilobytes, safe to store and to print. A position may lie inside a
 * transaction: a connector then resumes the same transaction and leaves out what came before.
 */
export type Position = string & { readonly opaque: 'position' };
