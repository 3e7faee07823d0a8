/** Inputs of the IAM collections (control-api §12), with the names other clients use for the same things. */
import * as v from '../../../platform/schema.ts'
import type { Rule } from '../rbac/rules.ts'
import { identifier, text } from './inputs.ts'
import { named } from './shapes.ts'

const words = v.pipe(v.array(text(1, 128)), v.minLength(1), v.maxLength(64))

const snakeRule = v.strictObject({
  api_groups: words,
  resources: words,
  verbs: words,
  resource_names: v.optional(words),
})
const camelRule = v.strictObject({
  apiGroups: words,
  resources: words,
  verbs: words,
  resourceNames: v.optional(words),
})

/** A rule under either spelling. */
export const ruleInput = v.union([snakeRule, camelRule])
export const ruleInputs = v.pipe(v.array(ruleInput), v.minLength(1), v.maxLength(64))

export const ruleShape = named(
  'Rule',
  v.object({
    api_groups: v.array(v.string()),
    resources: v.array(v.string()),
    verbs: v.array(v.string()),
    resource_names: v.optional(v.array(v.string())),
  }),
)

/** The stored spelling. */
export function toRule(input: v.InferOutput<typeof ruleInput>): Rule {
  const names = 'apiGroups' in input ? input.resourceNames : input.resource_names
  return {
    api_groups: 'apiGroups' in input ? input.apiGroups : input.api_groups,
    resources: input.resources,
    verbs: input.verbs,
    ...(names === undefined ? {} : { resource_names: names }),
  }
}

export const accountName = v.pipe(v.string(), v.regex(/^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/))
export const password = text(12, 256)
const zoneName = v.optional(v.nullable(text(1, 128)))
const zoneFilter = v.optional(identifier)

/** `zone_id` and the words other systems use for it. */
export const zoneAliases = {
  zone_id: zoneName,
  organization_id: zoneName,
  namespace: zoneName,
  workspace: zoneName,
}

/** The same in a query. */
export const zoneFilters = {
  zone_id: zoneFilter,
  organization_id: zoneFilter,
  namespace: zoneFilter,
  workspace: zoneFilter,
}

export interface ZoneNames {
  readonly zone_id?: string | null | undefined
  readonly organization_id?: string | null | undefined
  readonly namespace?: string | null | undefined
  readonly workspace?: string | null | undefined
}
