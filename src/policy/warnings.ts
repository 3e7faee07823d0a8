/**
 * Sentences about literal values that load but cannot do what they seem to say:
 * they fail closed when a decision meets them (sts §6.4), so the author should know.
 */
import { isRecord, isRestricting, readConfinement, readRisk, readTiers } from './tables.ts'

/** Warnings for the literal documents of one authority document, in a fixed order. */
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
  if (values.has('restrict') && isRestricting(values.get('restrict'))) {
    warnings.push('restrict is not empty; every exchange of the zone will be denied')
  }
  const risk = readRisk(values.get('risk'))
  if (risk === 'malformed') {
    warnings.push('risk should be an array of {scope, tier}; every mint will be denied')
  } else {
    for (const [scope, tier] of risk) {
      if (tier === null) warnings.push(`risk gives scope ${scope} different tiers; minting it will fail`)
    }
  }
  if (readTiers(values.get('approval_tiers')) === 'malformed') {
    warnings.push(
      'approval_tiers should be an array of {tier, approver?, ttl_seconds?, privacy?}; every mint will be denied',
    )
  }
  return warnings
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
