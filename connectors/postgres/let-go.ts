/**
 * Gives the memory of bytes back that nobody will read again, unless others share it. Hundreds of
 * such blocks would else wait for the collector, which does not see them: a log that is only kept
 * makes next to no objects.
 */
export function letGo({ buffer, byteLength }: Buffer): void {
  if (byteLength === buffer.byteLength) (buffer as ArrayBuffer).transfer(0);
}
