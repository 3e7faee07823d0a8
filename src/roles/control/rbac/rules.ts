/**
 * Role rules and how they match (control-api §12.5). A pure allow list: a
 * permission is held when one rule of one applicable binding names it. There
 * are no deny rules, so adding a rule can only ever widen.
 */
export interface Rule {
  readonly api_groups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
  /** Limits item routes to these ids; a rule with names never grants a collection verb. */
  readonly resource_names?: readonly string[]
}

export interface Binding {
  readonly roleName: string
  /** `null` = every zone. */
  readonly zoneId: string | null
  readonly rules: readonly Rule[]
}

export interface Permission {
  readonly apiGroup: string
  /** `resource` or `resource/sub`. */
  readonly resource: string
  readonly verb: string
}

const holds = (list: readonly string[], value: string) => list.includes('*') || list.includes(value)

/** A sub-resource matches only itself, `resource/*` or `*`, never the bare resource. */
function resourceMatches(resources: readonly string[], resource: string): boolean {
  if (holds(resources, resource)) return true
  const slash = resource.indexOf('/')
  return slash > 0 && resources.includes(`${resource.slice(0, slash)}/*`)
}

/** Whether one rule grants `permission` on the object `name` (`null` = a collection). */
function ruleGrants(rule: Rule, permission: Permission, name: string | null): boolean {
  if (!holds(rule.api_groups, permission.apiGroup)) return false
  if (!resourceMatches(rule.resources, permission.resource)) return false
  if (!holds(rule.verbs, permission.verb)) return false
  if (rule.resource_names === undefined) return true
  return name !== null && holds(rule.resource_names, name)
}

/** Whether any binding that reaches `zoneId` (`null` = deployment-wide) grants `permission`. */
export function bindingsGrant(
  bindings: readonly Binding[],
  permission: Permission,
  zoneId: string | null,
  name: string | null,
): boolean {
  return bindings.some(
    (binding) =>
      (binding.zoneId === null || binding.zoneId === zoneId) &&
      binding.rules.some((rule) => ruleGrants(rule, permission, name)),
  )
}

function covers(held: readonly string[], wanted: readonly string[]): boolean {
  return held.includes('*') || wanted.every((value) => value !== '*' && held.includes(value))
}

function resourcesCover(held: readonly string[], wanted: readonly string[]): boolean {
  if (held.includes('*')) return true
  return wanted.every((value) => value !== '*' && resourceMatches(held, value))
}

/**
 * Whether `held` rules contain everything `wanted` grants. Each wanted rule is split
 * into its single (group, resource, verb) triples; a triple may be covered by any held rule.
 */
export function rulesCover(held: readonly Rule[], wanted: readonly Rule[]): boolean {
  return wanted.every((rule) =>
    rule.api_groups.every((group) =>
      rule.resources.every((resource) =>
        rule.verbs.every((verb) =>
          held.some(
            (own) =>
              covers(own.api_groups, [group]) &&
              resourcesCover(own.resources, [resource]) &&
              covers(own.verbs, [verb]) &&
              (own.resource_names === undefined ||
                (rule.resource_names !== undefined && covers(own.resource_names, rule.resource_names))),
          ),
        ),
      ),
    ),
  )
}

/** Rules of the bindings that reach every place `zoneId` means: a deployment-wide grant needs deployment-wide bindings. */
export function rulesAt(bindings: readonly Binding[], zoneId: string | null): Rule[] {
  return bindings
    .filter((binding) => binding.zoneId === null || binding.zoneId === zoneId)
    .flatMap((binding) => [...binding.rules])
}

/** What an API key holds of its account's bindings; without rules of its own, all (control-api §12.4). */
export function narrowedBindings(
  bindings: readonly Binding[],
  narrowing: readonly Rule[] | null,
): readonly Binding[] {
  return narrowing === null ? bindings : intersectBindings(bindings, narrowing)
}

/** What is granted by both lists. */
export function intersectBindings(bindings: readonly Binding[], narrowing: readonly Rule[]): Binding[] {
  const both = (a: readonly string[], b: readonly string[]): string[] =>
    a.includes('*') ? [...b] : b.includes('*') ? [...a] : a.filter((value) => b.includes(value))
  const resources = (a: readonly string[], b: readonly string[]): string[] => {
    if (a.includes('*')) return [...b]
    if (b.includes('*')) return [...a]
    return [
      ...new Set([
        ...a.filter((value) => resourceMatches(b, value)),
        ...b.filter((value) => resourceMatches(a, value)),
      ]),
    ]
  }
  return bindings.map((binding) => ({
    ...binding,
    rules: binding.rules.flatMap((own) =>
      narrowing.flatMap((rule): Rule[] => {
        const names =
          own.resource_names === undefined
            ? rule.resource_names
            : rule.resource_names === undefined
              ? own.resource_names
              : both(own.resource_names, rule.resource_names)
        const met = {
          api_groups: both(own.api_groups, rule.api_groups),
          resources: resources(own.resources, rule.resources),
          verbs: both(own.verbs, rule.verbs),
          ...(names === undefined ? {} : { resource_names: names }),
        }
        return met.api_groups.length > 0 && met.resources.length > 0 && met.verbs.length > 0 ? [met] : []
      }),
    ),
  }))
}
