/** Which resources an application uses, from lists, files and manifests (sdk-cli-console §3.2, §3.3). */
import { readFileSync } from 'node:fs'
import type { ResourceBinding } from '../gateway-route.ts'
import type { Environment } from './directory.ts'

/** `CARACAL_APP_RESOURCES`: a comma list of identifiers. */
export function parseResourceList(text: string | undefined): ResourceBinding[] {
  return commaList(text).map((resourceId) => ({ resourceId }))
}

/** `CARACAL_RESOURCES`: `resource=prefix` pairs. Throws one error that names every bad pair. */
export function parseResourcePairs(text: string | undefined): ResourceBinding[] {
  const problems: string[] = []
  const bindings = commaList(text).flatMap((pair): ResourceBinding[] => {
    const at = pair.indexOf('=')
    const resourceId = pair.slice(0, Math.max(at, 0)).trim()
    const upstreamPrefix = pair.slice(at + 1).trim()
    if (resourceId === '') problems.push(`${JSON.stringify(pair)} is not resource=prefix`)
    else if (!isAbsoluteUrl(upstreamPrefix))
      problems.push(`${resourceId} has a prefix that is not an absolute URL`)
    else return [{ resourceId, upstreamPrefix }]
    return []
  })
  if (problems.length > 0) throw new Error(`CARACAL_RESOURCES: ${problems.join('; ')}`)
  return bindings
}

/** `CARACAL_RESOURCES_FILE`: a list of `{resource_id, upstream_prefix}` or an object of prefixes by id. */
export function readResourcesFile(path: string): ResourceBinding[] {
  const what = 'CARACAL_RESOURCES_FILE'
  const document = readJson(path, what)
  const entries: readonly (readonly [unknown, unknown])[] = Array.isArray(document)
    ? document.map((entry) => {
        const names = isRecord(entry) ? Object.keys(entry).sort().join() : ''
        if (!isRecord(entry) || names !== 'resource_id,upstream_prefix')
          throw new Error(`${what}: every entry has exactly resource_id and upstream_prefix`)
        return [entry.resource_id, entry.upstream_prefix] as const
      })
    : Object.entries(isRecord(document) ? document : {})
  return entries.map(([resourceId, upstreamPrefix]) => {
    if (typeof resourceId !== 'string' || resourceId === '')
      throw new Error(`${what}: a resource_id is missing`)
    if (typeof upstreamPrefix !== 'string' || !isAbsoluteUrl(upstreamPrefix))
      throw new Error(`${what}: ${resourceId} has a prefix that is not an absolute URL`)
    return { resourceId, upstreamPrefix }
  })
}

/** Entries of a credentials manifest: `resource`, and perhaps `upstream_prefix`. */
export function manifestBindings(document: unknown, what: string): ResourceBinding[] {
  const lists = Array.isArray(document)
    ? [document]
    : isRecord(document)
      ? [document.credentials ?? [], document.optional_credentials ?? []]
      : null
  if (lists === null) throw new Error(`${what} is neither a list nor an object`)
  return lists.flatMap((list) => {
    if (!Array.isArray(list)) throw new Error(`${what} holds something other than a list of credentials`)
    return list.map((entry: unknown): ResourceBinding => {
      const { resource, upstream_prefix: prefix } = isRecord(entry) ? entry : {}
      if (typeof resource !== 'string' || resource.trim() === '')
        throw new Error(`${what}: an entry has no resource`)
      if (prefix === undefined || prefix === null) return { resourceId: resource.trim() }
      if (typeof prefix !== 'string' || !isAbsoluteUrl(prefix))
        throw new Error(`${what}: ${resource} has a prefix that is not an absolute URL`)
      return { resourceId: resource.trim(), upstreamPrefix: prefix }
    })
  })
}

/** The manifest that `CARACAL_RUN_CREDENTIALS` or its `_FILE` names; both is an error. */
export function environmentManifest(env: Environment): ResourceBinding[] {
  const { CARACAL_RUN_CREDENTIALS: inline, CARACAL_RUN_CREDENTIALS_FILE: file } = env
  if (inline && file) throw new Error('set CARACAL_RUN_CREDENTIALS or CARACAL_RUN_CREDENTIALS_FILE, not both')
  if (inline) return manifestBindings(parseJson(inline, 'CARACAL_RUN_CREDENTIALS'), 'CARACAL_RUN_CREDENTIALS')
  if (file)
    return manifestBindings(readJson(file, 'CARACAL_RUN_CREDENTIALS_FILE'), 'CARACAL_RUN_CREDENTIALS_FILE')
  return []
}

export function readManifest(path: string): ResourceBinding[] {
  return manifestBindings(readJson(path, 'the credentials manifest'), 'the credentials manifest')
}

/** Later lists win by id; the longest prefix comes first, so that it matches first. */
export function mergeBindings(...lists: readonly (readonly ResourceBinding[])[]): ResourceBinding[] {
  const merged = new Map<string, ResourceBinding>()
  for (const binding of lists.flat()) {
    const known = merged.get(binding.resourceId)
    // A mere name does not take away a prefix that another list gave.
    if (known === undefined || binding.upstreamPrefix !== undefined) merged.set(binding.resourceId, binding)
  }
  return [...merged.values()].sort(
    (a, b) => (b.upstreamPrefix?.length ?? 0) - (a.upstreamPrefix?.length ?? 0),
  )
}

function isAbsoluteUrl(text: string): boolean {
  try {
    return /^https?:$/.test(new URL(text).protocol)
  } catch {
    return false
  }
}

function commaList(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function readJson(path: string, what: string): unknown {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`${what} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`)
  }
  return parseJson(text, what)
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`${what} is not JSON`)
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
