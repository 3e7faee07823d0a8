/**
 * Tables of a zone with documents that are rules: each computed document is
 * evaluated against the input when the decision first asks for it. A decision
 * shares one budget; breaking it, or a conflict, ends the decision without an
 * answer (sts §16.4).
 */
import { CONTRACT_PACKAGE, type DataDocumentName } from './contract.ts'
import type { DecisionInput } from './decision-input.ts'
import { beginEvaluation } from './rego/engine.ts'
import type { EvaluationOptions } from './rego/machine.ts'
import type { Program } from './rego/program.ts'
import { lookup, toJson, type Value } from './rego/value.ts'
import {
  type DocumentValues,
  deepFreeze,
  isRestricting,
  readApplicationId,
  readConfinement,
  readGrant,
  readRisk,
  readTiers,
  type Tables,
} from './tables.ts'

/** `literal` are the documents in JSON form that need no evaluation, `indexed` their tables. */
export function computeTables(
  program: Program,
  literal: DocumentValues,
  indexed: Tables,
  computed: ReadonlySet<DataDocumentName>,
  input: DecisionInput,
  options: EvaluationOptions,
): Tables {
  const evaluate = beginEvaluation(program, input, options)
  const rule = (name: DataDocumentName): Value | undefined => evaluate(`${CONTRACT_PACKAGE}.${name}`)
  const document = (name: DataDocumentName): unknown => {
    const value = rule(name)
    return value === undefined ? undefined : deepFreeze(toJson(value))
  }
  /** One entry of an object document, without converting the others. */
  const entry = (name: 'app_ids' | 'grants', key: string): unknown => {
    if (!computed.has(name)) return readEntry(literal[name], key)
    const value = rule(name)
    const found = value === undefined ? undefined : lookup(value, key)
    return found === undefined ? undefined : toJson(found)
  }
  const applicationId = (key: string): string | undefined =>
    readApplicationId({ [key]: entry('app_ids', key) }, key)
  const isGrantComputed = computed.has('grants') || computed.has('app_ids')
  return {
    restricted: computed.has('restrict') ? () => isRestricting(document('restrict')) : indexed.restricted,
    grant: isGrantComputed
      ? (identifier) => readGrant(entry('grants', identifier), applicationId)
      : indexed.grant,
    confinement: computed.has('confinement')
      ? () => readConfinement(document('confinement'))
      : indexed.confinement,
    risk: computed.has('risk') ? () => readRisk(document('risk')) : indexed.risk,
    tiers: computed.has('approval_tiers') ? () => readTiers(document('approval_tiers')) : indexed.tiers,
  }
}

function readEntry(document: unknown, key: string): unknown {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return undefined
  return Object.hasOwn(document, key) ? (document as Readonly<Record<string, unknown>>)[key] : undefined
}
