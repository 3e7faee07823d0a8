/** A Control key: an application whose traits say what it may do (control-api §9.2). */
import type { Tone } from '../../ui/basics.tsx'
import { ago } from '../../ui/format.ts'
import type { Application } from '../definitions/shapes.ts'

const invokeTrait = 'control:invoke'
const scopePrefix = 'control:scope:'
const maxTtlPrefix = 'control:max-ttl:'
const expiresPrefix = 'control:expires:'

export interface KeyRights {
  readonly scopes: readonly string[]
  /** Seconds that a token of it lives at most; `null`: as long as the server lets one. */
  readonly maxTtl: number | null
  /** After this instant it gets no more tokens. */
  readonly expires: string | null
}

export const isKey = ({ traits }: Pick<Application, 'traits'>): boolean =>
  traits?.includes(invokeTrait) === true

const after = (prefix: string, traits: readonly string[]): string[] =>
  traits.flatMap((trait) => (trait.startsWith(prefix) ? [trait.slice(prefix.length)] : []))

export function rightsOf({ traits = [] }: Pick<Application, 'traits'>): KeyRights {
  const maxTtl = after(maxTtlPrefix, traits)[0]
  return {
    scopes: after(scopePrefix, traits),
    maxTtl: maxTtl === undefined ? null : Number(maxTtl),
    expires: after(expiresPrefix, traits)[0] ?? null,
  }
}

/** The traits of a key with these rights; what else it carries stays. */
export function traitsFor({ scopes, maxTtl, expires }: KeyRights, before: readonly string[] = []): string[] {
  const own = [scopePrefix, maxTtlPrefix, expiresPrefix]
  const others = before.filter(
    (trait) => trait !== invokeTrait && !own.some((prefix) => trait.startsWith(prefix)),
  )
  return [
    ...others,
    invokeTrait,
    ...scopes.map((scope) => scopePrefix + scope),
    ...(maxTtl === null ? [] : [`${maxTtlPrefix}${maxTtl}`]),
    ...(expires === null ? [] : [`${expiresPrefix}${expires}`]),
  ]
}

/** Whether it still gets tokens. */
export function stateOf({ scopes, expires }: KeyRights): { readonly tone: Tone; readonly text: string } {
  if (scopes.length === 0) return { tone: 'bad', text: 'no scope' }
  if (expires === null) return { tone: 'ok', text: 'valid' }
  return Date.parse(expires) <= Date.now()
    ? { tone: 'bad', text: 'expired' }
    : { tone: 'warn', text: `expires ${ago(expires)}` }
}

/** Noun and verb of `control:<noun>:<verb>`. */
export function partsOf(scope: string): readonly [noun: string, verb: string] {
  const [, noun = scope, verb = ''] = scope.split(':')
  return [noun, verb]
}

/** Scopes by what they are about, in the order they come. */
export function byNoun(scopes: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>()
  for (const scope of scopes) {
    const [noun] = partsOf(scope)
    const group = groups.get(noun)
    if (group === undefined) groups.set(noun, [scope])
    else group.push(scope)
  }
  return groups
}
