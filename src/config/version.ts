/** The version of this build, the same from `src` and from `dist`. */
import { readFileSync } from 'node:fs'

export function buildVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
