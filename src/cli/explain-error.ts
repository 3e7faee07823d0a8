/** What a person reads when a command did not expect what happened: one sentence, and what it is about. */

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'is not ours to use',
  EPERM: 'is not ours to use',
  EROFS: 'cannot be written',
  ENOTDIR: 'is below something that is not a directory',
  EEXIST: 'is in the way',
  EISDIR: 'is a directory',
  ENOSPC: 'has no space left',
}

interface SystemError extends Error {
  readonly code?: unknown
  readonly path?: unknown
  readonly syscall?: unknown
  readonly address?: unknown
  readonly port?: unknown
}

export function explainError(error: unknown): string {
  // One attempt for each address of a host name.
  if (error instanceof AggregateError && error.errors.length > 0) return explainError(error.errors[0])
  if (!(error instanceof Error)) return oneLine(String(error))
  const { code, path, syscall, address, port, message } = error as SystemError
  if (typeof code === 'string' && typeof path === 'string' && syscall !== 'spawn')
    return `${path} ${reasons[code] ?? 'cannot be used'} (${code})`
  if (typeof code === 'string' && typeof address === 'string')
    return `${address}${port === undefined ? '' : `:${port}`} cannot be reached (${code})`
  return oneLine(message || error.name)
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ')
}
