/** Longest wait a 429 of this surface asks for, in seconds (control-api §2.1). */
export const LONGEST_WAIT_SECONDS = 30

/** The header that tells when to come again. */
export function retryAfter(waitMs: number): { readonly 'retry-after': string } {
  const seconds = Math.min(LONGEST_WAIT_SECONDS, Math.max(1, Math.ceil(waitMs / 1000)))
  return { 'retry-after': String(seconds) }
}
