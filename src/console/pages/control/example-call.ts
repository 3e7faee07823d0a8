/** The first call to try with a key: something that only reads. */
import { partsOf } from './key.ts'

interface ExampleCall {
  readonly command: string
  readonly subcommand: string
  /** What its token holds. */
  readonly scope: string
}

/** How that which cannot be listed is looked at without naming one. */
const looks: Readonly<Record<string, string>> = { audit: 'tail', delegation: 'active' }

export function exampleCall(scopes: readonly string[]): ExampleCall {
  for (const scope of scopes) {
    const [command, verb] = partsOf(scope)
    if (verb === 'read' && command !== 'explain')
      return { command, subcommand: looks[command] ?? 'list', scope }
  }
  return { command: 'catalog', subcommand: 'describe', scope: scopes[0] ?? '' }
}
