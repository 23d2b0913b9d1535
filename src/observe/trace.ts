import { tracingChannel } from 'node:diagnostics_channel';

/** What a span can be named and labelled with; no row keys, no values. */
export interface TraceContext {
  readonly system: string;
  /** Decide: source transactions in the batch. Apply: the number in the mark. */
  readonly transactions?: number;
  readonly batch?: number;
}

const CHANNELS = {
  decide: tracingChannel<unknown, TraceContext>('carrick:decide'),
  apply: tracingChannel<unknown, TraceContext>('carrick:apply'),
};

/**
 * Where OpenTelemetry or anything else can listen without a word of ours:
 * `diagnostics_channel.tracingChannel('carrick:decide')` and `('carrick:apply')`
 * (https://nodejs.org/api/diagnostics_channel.html#class-tracingchannel). While nobody does, the
 * work is called as it is. Listeners are told of no result: values are in it.
 */
export async function traced<T>(
  stage: keyof typeof CHANNELS,
  context: TraceContext,
  work: () => Promise<T>,
): Promise<T> {
  const channel = CHANNELS[stage];
  if (!channel.hasSubscribers) return work();
  let result: Promise<T> | undefined;
  await channel.tracePromise(async () => {
    result = work();
    await result;
  }, context);
  return result as Promise<T>;
}
