/**
 * Application traits (control-api §7.5): free labels plus the `control:`
 * namespace that turns an application into a Control key. Every violation is 403.
 */
import { CaracalError } from '../../platform/errors.ts'
import { controlScopes } from './invoke/scopes.ts'

const MAX_TRAITS = 64
const traitPattern = /^[A-Za-z][A-Za-z0-9._:-]*$/
const known: ReadonlySet<string> = new Set(controlScopes)

function refused(code: string, message: string): CaracalError {
  return new CaracalError(code, { status: 403, message })
}

function inNamespace(trait: string, namespace: string): boolean {
  const lower = trait.toLowerCase()
  return (
    lower === namespace ||
    lower.startsWith(`${namespace}:`) ||
    lower.startsWith(`${namespace}.`) ||
    lower.startsWith(`${namespace}/`)
  )
}

/** True for traits only a global actor may write. */
export function isPrivilegedTrait(trait: string): boolean {
  return inNamespace(trait, 'control') || inNamespace(trait, 'caracal.sys')
}

function isControlTrait(trait: string): boolean {
  if (trait === 'control:invoke') return true
  if (trait.startsWith('control:scope:')) return known.has(trait.slice('control:scope:'.length))
  if (trait.startsWith('control:max-ttl:')) {
    const text = trait.slice('control:max-ttl:'.length)
    const seconds = Number(text)
    return /^\d{1,4}$/.test(text) && seconds >= 60 && seconds <= 900
  }
  if (trait.startsWith('control:expires:')) {
    return Number.isFinite(Date.parse(trait.slice('control:expires:'.length)))
  }
  return false
}

/** Checks a whole trait list as `mayPrivileged` may write it; throws 403 with the first violation. */
export function checkTraits(traits: readonly string[], mayPrivileged: boolean): void {
  if (traits.length > MAX_TRAITS) throw refused('trait_count_exceeded', `at most ${MAX_TRAITS} traits`)
  const seen = new Set<string>()
  for (const trait of traits) {
    if (trait.length < 1 || trait.length > 128 || !traitPattern.test(trait)) {
      throw refused('trait_invalid', 'a trait starts with a letter and has 1 to 128 of A-Z a-z 0-9 . _ : -')
    }
    if (seen.has(trait)) throw refused('trait_duplicate', 'a trait may appear once')
    seen.add(trait)
    if (!isPrivilegedTrait(trait)) continue
    if (!mayPrivileged) throw refused('trait_forbidden', 'this trait namespace needs a global actor')
    if (inNamespace(trait, 'control') && !isControlTrait(trait)) {
      throw refused('trait_invalid', 'unknown trait in the control namespace')
    }
  }
  for (const prefix of ['control:max-ttl:', 'control:expires:']) {
    if (traits.filter((trait) => trait.startsWith(prefix)).length > 1) {
      throw refused('trait_invalid', `at most one ${prefix} trait`)
    }
  }
}
