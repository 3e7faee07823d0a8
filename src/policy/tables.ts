/**
 * The six data documents as lookup tables (sts §6.2, §6.3). Built once for
 * literal documents. A value that does not have its documented shape never
 * widens anything: it grants nothing, confines everything, restricts the zone,
 * or marks its document malformed.
 */
import type { ApprovalTier, CompleteDecision, RiskedScope } from './decision.ts'
import { allow } from './outcome.ts'

export interface Grant {
  /** Binding key of the owning application. */
  readonly application: string
  /** Application id behind the binding key; `undefined` when nothing binds it. */
  readonly owner: string | undefined
  /** Role label → scopes it may hold. */
  readonly roles: ReadonlyMap<string, ReadonlySet<string>>
  /** The allow decisions of this grant without diagnostics, made once. */
  readonly mint: CompleteDecision
  readonly use: CompleteDecision
}

export interface Confinement {
  readonly labelPrefix: string
  readonly scopes: ReadonlySet<string>
}

/** Tier of each classified scope; `null` where entries disagree. */
export type RiskTable = ReadonlyMap<string, string | null>
export type TierTable = ReadonlyMap<string, readonly ApprovalTier[]>

/** What a decision asks. `'malformed'` is a finding of its own (sts §6.4 rows 3, 4, 7, 10). */
export interface Tables {
  restricted(): boolean
  grant(resourceIdentifier: string): Grant | undefined
  confinement(): readonly Confinement[] | 'malformed'
  risk(): RiskTable | 'malformed'
  tiers(): TierTable | 'malformed'
}

/** JSON values of the documents; absent members are missing documents. */
export interface DocumentValues {
  readonly app_ids?: unknown
  readonly grants?: unknown
  readonly confinement?: unknown
  readonly restrict?: unknown
  readonly risk?: unknown
  readonly approval_tiers?: unknown
}

/** Indexes literal documents. */
export function indexDocuments(values: DocumentValues): Tables {
  const restricted = isRestricting(values.restrict)
  const grants = new Map<string, Grant>()
  if (isRecord(values.grants)) {
    for (const [identifier, entry] of Object.entries(values.grants)) {
      const grant = readGrant(entry, (key) => readApplicationId(values.app_ids, key))
      if (grant !== undefined) grants.set(identifier, grant)
    }
  }
  const confinement = readConfinement(values.confinement)
  const risk = readRisk(values.risk)
  const tiers = readTiers(values.approval_tiers)
  return {
    restricted: () => restricted,
    grant: (identifier) => grants.get(identifier),
    confinement: () => confinement,
    risk: () => risk,
    tiers: () => tiers,
  }
}

/** A non-empty collection restricts; so does anything that is defined and no collection. */
export function isRestricting(value: unknown): boolean {
  if (value === undefined) return false
  if (Array.isArray(value)) return value.length > 0
  return isRecord(value) ? Object.keys(value).length > 0 : true
}

export function readApplicationId(appIds: unknown, key: string): string | undefined {
  const id = isRecord(appIds) && Object.hasOwn(appIds, key) ? appIds[key] : undefined
  return typeof id === 'string' && id !== '' ? id : undefined
}

/** `undefined` for anything without an application: nobody can own it. */
export function readGrant(
  entry: unknown,
  applicationId: (key: string) => string | undefined,
): Grant | undefined {
  if (!isRecord(entry) || typeof entry.application !== 'string') return undefined
  const roles = new Map<string, ReadonlySet<string>>()
  if (isRecord(entry.roles)) {
    for (const [label, scopes] of Object.entries(entry.roles)) {
      if (Array.isArray(scopes)) roles.set(label, stringsOf(scopes))
    }
  }
  const { application } = entry
  return {
    application,
    owner: applicationId(application),
    roles,
    mint: allow(`caracal-${application}-mint`),
    use: allow(`caracal-${application}-use`),
  }
}

export function readConfinement(value: unknown): readonly Confinement[] | 'malformed' {
  if (value === undefined) return []
  if (!Array.isArray(value)) return 'malformed'
  const rules: Confinement[] = []
  for (const rule of value) {
    if (!isRecord(rule) || typeof rule.label_prefix !== 'string') return 'malformed'
    const scopes = Array.isArray(rule.scopes) ? stringsOf(rule.scopes) : new Set<string>()
    rules.push({ labelPrefix: rule.label_prefix, scopes })
  }
  return rules
}

export function readRisk(value: unknown): RiskTable | 'malformed' {
  const table = new Map<string, string | null>()
  if (value === undefined) return table
  if (!Array.isArray(value)) return 'malformed'
  for (const entry of value) {
    if (!isRiskedScope(entry)) return 'malformed'
    const earlier = table.get(entry.scope)
    table.set(entry.scope, earlier === undefined || earlier === entry.tier ? entry.tier : null)
  }
  return table
}

function isRiskedScope(entry: unknown): entry is RiskedScope {
  return isRecord(entry) && isNonEmpty(entry.scope) && isNonEmpty(entry.tier)
}

const approvers = new Set<unknown>([undefined, 'operator', 'subject', 'any'])
const privacies = new Set<unknown>([undefined, 'identified', 'pseudonymous', 'anonymous'])

export function readTiers(value: unknown): TierTable | 'malformed' {
  const table = new Map<string, ApprovalTier[]>()
  if (value === undefined) return table
  if (!Array.isArray(value)) return 'malformed'
  const seen = new Set<string>()
  for (const entry of value) {
    if (!isApprovalTier(entry)) return 'malformed'
    const text = JSON.stringify(entry)
    if (seen.has(text)) continue
    seen.add(text)
    const declarations = table.get(entry.tier)
    if (declarations === undefined) table.set(entry.tier, [entry])
    else declarations.push(entry)
  }
  return table
}

function isApprovalTier(entry: unknown): entry is ApprovalTier {
  if (!isRecord(entry) || !isNonEmpty(entry.tier)) return false
  if (!approvers.has(entry.approver) || !privacies.has(entry.privacy)) return false
  const ttl = entry.ttl_seconds
  return ttl === undefined || (typeof ttl === 'number' && Number.isSafeInteger(ttl) && ttl > 0)
}

function stringsOf(values: readonly unknown[]): ReadonlySet<string> {
  return new Set(values.filter((value) => typeof value === 'string'))
}

function isNonEmpty(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Declarations are handed out in decisions, so nobody may change them. */
export function deepFreeze(value: unknown): unknown {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    for (const member of Object.values(value)) deepFreeze(member)
    Object.freeze(value)
  }
  return value
}
