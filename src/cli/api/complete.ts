/** What Tab offers in the shell: commands, methods, paths of the server's own document, zones. */
import { jsonObject, readText } from '../../sdk/read-body.ts'
import type { Access } from './login-file.ts'
import { httpMethods } from './request.ts'

const shellCommands = ['/api', '/help', '/login', '/logout', '/quit', '/status', '/whoami', '/zone']

export interface ApiKnowledge {
  /** Paths of the OpenAPI document. */
  paths(): Promise<readonly string[]>
  zones(): Promise<readonly { readonly id: string; readonly slug: string; readonly name: string }[]>
  forget(): void
}

/** Fetched when first asked for and kept for the session; nothing when the server does not answer. */
export function createApiKnowledge(access: () => Access | null): ApiKnowledge {
  let paths: Promise<readonly string[]> | null = null
  const read = async (path: string): Promise<Readonly<Record<string, unknown>> | null> => {
    const current = access()
    if (current === null) return null
    try {
      const response = await fetch(`${current.server}${path}`, {
        headers: { authorization: `Bearer ${current.token}` },
        redirect: 'manual',
        signal: AbortSignal.timeout(3000),
      })
      const text = await readText(response, 16 * 1024 * 1024)
      return response.ok ? jsonObject(text) : null
    } catch {
      return null
    }
  }
  return {
    paths() {
      paths ??= read('/v1/openapi.json').then((document) => {
        const found = document?.paths
        if (typeof found === 'object' && found !== null) return Object.keys(found)
        paths = null
        return []
      })
      return paths
    },
    async zones() {
      const items = (await read('/v1/zones'))?.items
      if (!Array.isArray(items)) return []
      return items.map((zone: Record<string, unknown>) => ({
        id: String(zone.id),
        slug: String(zone.slug ?? ''),
        name: String(zone.name ?? ''),
      }))
    },
    forget() {
      paths = null
    },
  }
}

/** Candidates for the word under the cursor, and that word, as readline wants them. */
export async function completeLine(line: string, known: ApiKnowledge): Promise<[string[], string]> {
  const words = line.trimStart().split(/\s+/)
  const last = words.at(-1) ?? ''
  if (words.length <= 1) return [shellCommands.filter((command) => command.startsWith(last)), last]
  if (words[0] === '/zone') {
    const names = (await known.zones()).flatMap(({ id, slug }) => (slug === '' ? [id] : [slug, id]))
    return [names.filter((name) => name.startsWith(last)), last]
  }
  if (words[0] !== '/api') return [[], last]
  const methodGiven = httpMethods.includes((words[1] ?? '').toUpperCase())
  if (words.length > (methodGiven ? 3 : 2)) return [[], last]
  const methods =
    words.length === 2 ? httpMethods.filter((method) => method.startsWith(last.toUpperCase())) : []
  return [
    [...(last === '' || /^[A-Za-z]/.test(last) ? methods : []), ...pathCandidates(last, await known.paths())],
    last,
  ]
}

/** The next segment of every known path that goes on from `typed`; `{names}` match what was typed for them. */
function pathCandidates(typed: string, paths: readonly string[]): string[] {
  const relative = !typed.startsWith('/')
  const absolute = relative ? `/v1/${typed}` : typed
  const given = absolute.split('/')
  const open = given.pop() ?? ''
  const found = new Set<string>()
  for (const path of paths) {
    const segments = path.split('/')
    const fits = given.every((segment, at) => {
      const known = segments[at] ?? ''
      return known === segment || (known.startsWith('{') && segment !== '' && segments.length > at)
    })
    const next = segments[given.length]
    if (!fits || next === undefined || !next.startsWith(open)) continue
    const more = segments.length > given.length + 1
    const whole = [...given, next === '{zoneId}' ? '{zone}' : next].join('/')
    const shown = relative ? whole.slice('/v1/'.length) : whole
    found.add(
      more && !paths.includes([...segments.slice(0, given.length), next].join('/')) ? `${shown}/` : shown,
    )
  }
  return [...found].sort()
}
