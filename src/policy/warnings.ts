/**
 * Sentences about values that load but do not do what they seem to say: most fail closed when a decision meets them
 * (sts §6.4), and a misspelled approval is not asked for. The author should know.
 */
import { isRecord, isRestricting, type RiskTable, readConfinement, readRisk, readTiers } from './tables.ts'

/** Warnings for what one authority document says without a condition, in a fixed order. */
export function documentWarnings(values: ReadonlyMap<string, unknown>): readonly string[] {
  const warnings: string[] = []
  const appIds = values.get('app_ids')
  if (appIds !== undefined && !(isRecord(appIds) && Object.values(appIds).every(isNonEmpty))) {
    warnings.push('app_ids should be an object of binding key to application id; other entries bind nothing')
  }
  warnings.push(...grantWarnings(values.get('grants')))
  if (readConfinement(values.get('confinement')) === 'malformed') {
    warnings.push(
      'confinement should be an array of {label_prefix, scopes}; every delegated mint will be denied',
    )
  }
  warnings.push(...strangers('confinement', values.get('confinement'), ['label_prefix', 'scopes']))
  warnings.push(...restrictionWarnings(values.get('restrict')))
  const risk = readRisk(values.get('risk'))
  if (risk === 'malformed') {
    warnings.push('risk should be an array of {scope, tier}; every mint will be denied')
  } else {
    for (const [scope, tier] of risk) {
      if (tier === null) warnings.push(`risk gives scope ${scope} different tiers; minting it will fail`)
    }
  }
  warnings.push(...approvalWarnings(values.get('approval_tiers'), risk))
  return warnings
}

function restrictionWarnings(restrict: unknown): string[] {
  if (!isRestricting(restrict)) return []
  if (typeof restrict === 'object' && restrict !== null)
    return ['restrict is not empty; every exchange of the zone will be denied']
  return [
    `restrict should be a collection of reasons; ${JSON.stringify(restrict)} denies every exchange of the zone, as any other value does`,
  ]
}

/** Tiers of other documents are not known here, so only a document that declares tiers is compared with its risks. */
function approvalWarnings(declared: unknown, risk: RiskTable | 'malformed'): string[] {
  const tiers = readTiers(declared)
  if (tiers === 'malformed') {
    return [
      'approval_tiers should be an array of {tier, approver?, ttl_seconds?, privacy?}; every mint will be denied',
    ]
  }
  const warnings = strangers('approval_tiers', declared, ['tier', 'approver', 'ttl_seconds', 'privacy'])
  if (declared === undefined || risk === 'malformed') return warnings
  for (const tier of new Set(risk.values())) {
    if (tier !== null && !tiers.has(tier))
      warnings.push(`approval_tiers does not declare tier ${tier} of risk; nobody is asked to approve it`)
  }
  return warnings
}

/** Members that nothing reads, which is what a misspelled one is. */
function strangers(document: string, entries: unknown, known: readonly string[]): string[] {
  if (!Array.isArray(entries)) return []
  const names = new Set(entries.flatMap((entry) => (isRecord(entry) ? Object.keys(entry) : [])))
  return [...names]
    .filter((name) => !known.includes(name))
    .map((name) => `${document} has entries with ${name}, which means nothing there`)
}

function grantWarnings(grants: unknown): string[] {
  if (grants === undefined) return []
  if (!isRecord(grants)) return ['grants should be an object of resource identifier to {application, roles}']
  const warnings: string[] = []
  for (const [identifier, grant] of Object.entries(grants)) {
    if (!isRecord(grant) || !isNonEmpty(grant.application)) {
      warnings.push(`grants of ${identifier} name no application; nobody owns the resource`)
    } else if (!isRecord(grant.roles)) {
      warnings.push(`grants of ${identifier} have no roles; nothing can be minted for the resource`)
    } else if (!Object.values(grant.roles).every(Array.isArray)) {
      warnings.push(`grants of ${identifier} have a role whose scopes are not an array`)
    }
  }
  return warnings
}

function isNonEmpty(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}
