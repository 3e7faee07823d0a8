/** The default logger of the clients; an application passes its own. */
export function warn(message: string, error?: unknown): void {
  const reason = error === undefined ? '' : `: ${error instanceof Error ? error.message : String(error)}`
  // biome-ignore lint/suspicious/noConsole: without a logger there is nowhere else to say it.
  console.warn(`caracal: ${message}${reason}`)
}
