/** What went wrong below `fetch`, without an address of ours or a secret. */
export function failureOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  const { cause } = error
  if (error.name === 'TimeoutError') return 'timeout'
  return cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : error.message
}
