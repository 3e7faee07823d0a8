/**
 * Declarative documents (control-api §9.8): what a document names is compared with what the
 * zone has, and made so. Every check that could refuse the whole call comes before the
 * first write; after that one object's failure does not stop the others.
 */

import { canonicalJson } from '../../../platform/canonical-json.ts'
import { isJsonObject } from '../../../platform/json.ts'
import { contentSha256 } from '../../../policy/index.ts'
import { given } from '../create-provider.ts'
import { normalizePublicConfig, type ProviderKind, providerKinds, secretKeys } from '../provider-config.ts'
import { isNoneProvider } from '../store/providers.ts'
import { isPrivilegedTrait } from '../traits.ts'
import { type DeclarativeKind, declarativeKinds, type ManagementInput } from './command.ts'
import { asInvokeError, type Caller, type Dispatcher } from './dispatch.ts'
import { refuse } from './refusal.ts'

type Spec = Readonly<Record<string, unknown>>
type Row = Readonly<Record<string, unknown>>

export interface DocumentObject {
  readonly kind: DeclarativeKind
  readonly identity: string
  readonly spec: Spec
}

export interface Outcome {
  readonly kind: DeclarativeKind
  readonly identity: string
  readonly action: 'create' | 'update' | 'unchanged' | 'prune'
  readonly drift?: readonly string[]
  readonly id?: string
  readonly applied: boolean
  readonly error?: { readonly code: string; readonly reason: string }
}

const MAX_OBJECTS = 500

const kindOf = (name: unknown) => declarativeKinds.find((entry) => entry.kind === name)

/** Kinds whose name and identifier the API trims; a blank one is none. */
const trimmedKinds: ReadonlySet<DeclarativeKind> = new Set(['application', 'identity-provider', 'resource'])

/** A spec with its names as they would be stored. */
function storedNames(kind: DeclarativeKind, spec: Spec): Spec {
  if (!trimmedKinds.has(kind)) return spec
  const stored = { ...spec }
  for (const field of ['name', 'identifier']) {
    const value = stored[field]
    if (typeof value === 'string') stored[field] = given(value)
  }
  return stored
}

/** One object with its identity. Throws `invalid`, `zone_mismatch` or `denied`. */
export function readObject(kindName: unknown, written: unknown, zoneId: string): DocumentObject {
  const kind = kindOf(kindName)
  if (kind === undefined) throw refuse('invalid', 'an object has an unknown kind')
  if (!isJsonObject(written)) throw refuse('invalid', `a ${kind.kind} needs a spec object`)
  const spec = storedNames(kind.kind, written)
  const identity = spec[kind.identityField]
  if (typeof identity !== 'string' || identity === '') {
    throw refuse('invalid', `a ${kind.kind} needs ${kind.identityField}`)
  }
  for (const field of ['zone_id', 'zone']) {
    if (spec[field] !== undefined && spec[field] !== zoneId) {
      throw refuse('zone_mismatch', 'the document is for another zone')
    }
  }
  const traits = spec.traits
  if (
    Array.isArray(traits) &&
    traits.some((trait) => typeof trait === 'string' && isPrivilegedTrait(trait))
  ) {
    throw refuse('denied', 'traits of the control namespace cannot be set here')
  }
  return { kind: kind.kind, identity, spec }
}

/** The objects of a document. Throws before anything is written. */
export function readDocument(document: unknown, zoneId: string): DocumentObject[] {
  if (!isJsonObject(document) || !Array.isArray(document.objects)) {
    throw refuse('invalid', 'a document has a list of objects')
  }
  if (document.objects.length > MAX_OBJECTS) throw refuse('invalid', `at most ${MAX_OBJECTS} objects`)
  const objects = document.objects.map((entry: unknown) => {
    if (!isJsonObject(entry)) throw refuse('invalid', 'an object has kind and spec')
    return readObject(entry.kind, entry.spec, zoneId)
  })
  const seen = new Set<string>()
  for (const { kind, identity } of objects) {
    const key = `${kind} ${identity}`
    if (seen.has(key)) throw refuse('invalid', `the document names ${kind} ${identity.slice(0, 128)} twice`)
    seen.add(key)
  }
  return objects
}

export interface Reconciliation {
  readonly objects: readonly DocumentObject[]
  readonly dryRun: boolean
  readonly prune: boolean
  readonly scopes: readonly string[]
}

/** Read on every touched noun, write unless nothing is written, delete when something may be removed. Throws `denied`. */
function requireScopes({ objects, dryRun, prune, scopes }: Reconciliation): void {
  for (const kind of new Set(objects.map((object) => object.kind))) {
    const noun = kindOf(kind)?.command ?? kind
    const verbs = ['read', ...(dryRun ? [] : ['write']), ...(prune && !dryRun ? ['delete'] : [])]
    for (const verb of verbs) {
      const scope = `control:${noun}:${verb}`
      if (!scopes.includes(scope)) throw refuse('denied', `missing scope ${scope}`)
    }
  }
}

const operations: Readonly<
  Record<DeclarativeKind, { list: string; create: string; update: string; remove: string }>
> = {
  application: {
    list: 'listApplications',
    create: 'createApplication',
    update: 'updateApplication',
    remove: 'archiveApplication',
  },
  'identity-provider': {
    list: 'listProviders',
    create: 'createProvider',
    update: 'updateProvider',
    remove: 'archiveProvider',
  },
  resource: {
    list: 'listResources',
    create: 'createResource',
    update: 'updateResource',
    remove: 'archiveResource',
  },
  policy: {
    list: 'listPolicies',
    create: 'createPolicy',
    update: 'addPolicyVersion',
    remove: 'archivePolicy',
  },
  'policy-set': { list: 'listPolicySets', create: 'createPolicySet', update: '', remove: 'archivePolicySet' },
}

const sortedTexts = (value: unknown): unknown => (Array.isArray(value) ? value.map(String).sort() : value)

const same = (a: unknown, b: unknown): boolean => canonicalJson(a ?? null) === canonicalJson(b ?? null)

/** The public part of a spec's provider configuration, with the defaults that storing it would add. */
function publicConfig(spec: Spec, current: Row | null): unknown {
  const kind = (spec.kind ?? current?.kind) as ProviderKind
  const config = isJsonObject(spec.config) ? spec.config : {}
  const open = Object.fromEntries(
    Object.entries(config).filter(([name]) => !(secretKeys as readonly string[]).includes(name)),
  )
  if (!providerKinds.includes(kind)) return open
  return normalizePublicConfig(kind, open) ?? open
}

function normalOperations(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  return value.map((operation) =>
    isJsonObject(operation)
      ? {
          ...operation,
          method: String(operation.method ?? '')
            .trim()
            .toUpperCase(),
          path: typeof operation.path === 'string' ? operation.path.trim() : operation.path,
        }
      : operation,
  )
}

/** Names of the spec's fields that differ from the row; fields the spec does not name never drift. */
function driftOf(object: DocumentObject, row: Row): string[] {
  const { kind, spec } = object
  const differs = (field: string, wanted: unknown, has: unknown): string[] =>
    spec[field] !== undefined && !same(wanted, has) ? [field] : []
  if (kind === 'application') return differs('traits', sortedTexts(spec.traits), sortedTexts(row.traits))
  if (kind === 'identity-provider') {
    return [
      ...differs('name', spec.name, row.name),
      ...differs('kind', spec.kind, row.kind),
      ...differs('config', publicConfig(spec, row), row.config_json),
    ]
  }
  if (kind === 'resource') {
    return [
      ...differs('name', spec.name, row.name),
      ...differs('scopes', sortedTexts(spec.scopes), sortedTexts(row.scopes)),
      ...differs('upstream_url', spec.upstream_url, row.upstream_url),
      ...differs('credential_provider_id', spec.credential_provider_id, row.credential_provider_id),
      ...differs('operations', normalOperations(spec.operations), row.operations),
      ...differs('operation_enforcement', spec.operation_enforcement, row.operation_enforcement),
    ]
  }
  return []
}

function pick(spec: Spec, fields: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    fields.filter((field) => spec[field] !== undefined).map((field) => [field, spec[field]]),
  )
}

const resourceFields = [
  'name',
  'scopes',
  'upstream_url',
  'credential_provider_id',
  'operations',
  'operation_enforcement',
]

function creation({ kind, spec, identity }: DocumentObject): ManagementInput {
  switch (kind) {
    case 'application':
      return { body: { name: identity, registration_method: 'managed', ...pick(spec, ['traits']) } }
    case 'identity-provider':
      return {
        body: { identifier: identity, ...pick(spec, ['name', 'kind']), config_json: spec.config ?? {} },
      }
    case 'resource':
      return { body: { identifier: identity, ...pick(spec, resourceFields) } }
    case 'policy':
      return { body: { name: identity, ...pick(spec, ['content', 'description']) } }
    case 'policy-set':
      return { body: { name: identity, ...pick(spec, ['description']) } }
  }
}

function update({ kind, spec }: DocumentObject, row: Row): ManagementInput {
  const params = { id: String(row.id) }
  switch (kind) {
    case 'application':
      return { params, body: pick(spec, ['traits']) }
    case 'identity-provider': {
      const changesKind = spec.kind !== undefined && spec.kind !== row.kind
      return {
        params,
        body: {
          ...pick(spec, ['name']),
          ...(changesKind ? { kind: spec.kind } : {}),
          ...(changesKind || spec.config !== undefined ? { config_json: spec.config ?? {} } : {}),
        },
      }
    }
    case 'resource':
      return { params, body: pick(spec, resourceFields) }
    case 'policy':
      return { params, body: pick(spec, ['content']) }
    case 'policy-set':
      return { params }
  }
}

/** What pruning must never touch: Control keys, self-registered applications, the control resource, the built-in provider. */
function isSpared(kind: DeclarativeKind, row: Row, controlAudience: string): boolean {
  if (kind === 'application') {
    const traits = Array.isArray(row.traits) ? row.traits : []
    return traits.includes('control:invoke') || row.registration_method !== 'managed'
  }
  if (kind === 'resource') return row.identifier === controlAudience
  return kind === 'identity-provider' && isNoneProvider(row.id)
}

/** Compares a document with the zone and, unless it is a dry run, makes the zone match. */
export function createReconciler(dispatcher: Dispatcher, controlAudience: string) {
  async function policyDrift(caller: Caller, object: DocumentObject, row: Row): Promise<string[]> {
    if (typeof object.spec.content !== 'string') return []
    const policy = (await dispatcher.call(caller, 'getPolicy', { params: { id: String(row.id) } })) as {
      versions: readonly { readonly content_sha256: string }[]
    }
    return policy.versions[0]?.content_sha256 === contentSha256(object.spec.content) ? [] : ['content']
  }

  function failed(object: Pick<DocumentObject, 'kind' | 'identity'>, error: unknown): Outcome {
    const told = asInvokeError(error)
    const { kind, identity } = object
    return {
      kind,
      identity,
      action: 'unchanged',
      applied: false,
      error: { code: told.code, reason: told.message },
    }
  }

  async function settle(
    caller: Caller,
    object: DocumentObject,
    row: Row | null,
    dryRun: boolean,
  ): Promise<Outcome> {
    const { kind, identity } = object
    try {
      if (row === null) {
        if (dryRun) return { kind, identity, action: 'create', applied: false }
        const made = await dispatcher.call(caller, operations[kind].create, creation(object))
        return { kind, identity, action: 'create', id: String((made as Row).id), applied: true }
      }
      const id = String(row.id)
      const drift = kind === 'policy' ? await policyDrift(caller, object, row) : driftOf(object, row)
      if (drift.length === 0) return { kind, identity, action: 'unchanged', id, applied: false }
      if (dryRun) return { kind, identity, action: 'update', drift, id, applied: false }
      await dispatcher.call(caller, operations[kind].update, update(object, row))
      return { kind, identity, action: 'update', drift, id, applied: true }
    } catch (error) {
      return failed(object, error)
    }
  }

  async function prune(
    caller: Caller,
    kind: DeclarativeKind,
    rows: readonly Row[],
    dryRun: boolean,
  ): Promise<Outcome[]> {
    const field = kindOf(kind)?.identityField ?? 'name'
    const outcomes: Outcome[] = []
    for (const row of rows) {
      const identity = String(row[field])
      const id = String(row.id)
      try {
        if (!dryRun) await dispatcher.call(caller, operations[kind].remove, { params: { id } })
        outcomes.push({ kind, identity, action: 'prune', id, applied: !dryRun })
      } catch (error) {
        outcomes.push(failed({ kind, identity }, error))
      }
    }
    return outcomes
  }

  return async (caller: Caller, plan: Reconciliation) => {
    requireScopes(plan)
    const outcomes: Outcome[] = []
    for (const { kind, identityField } of declarativeKinds) {
      const objects = plan.objects.filter((object) => object.kind === kind)
      if (objects.length === 0) continue
      const rows = (await dispatcher.drain(caller, operations[kind].list, {})) as Row[]
      for (const object of objects) {
        const row = rows.find((candidate) => candidate[identityField] === object.identity) ?? null
        outcomes.push(await settle(caller, object, row, plan.dryRun))
      }
      if (!plan.prune) continue
      const named = new Set(objects.map((object) => object.identity))
      const unnamed = rows.filter(
        (row) => !named.has(String(row[identityField])) && !isSpared(kind, row, controlAudience),
      )
      outcomes.push(...(await prune(caller, kind, unnamed, plan.dryRun)))
    }
    return report(caller.zoneId, plan, outcomes)
  }
}

function report(zoneId: string, plan: Reconciliation, outcomes: readonly Outcome[]) {
  const count = (action: Outcome['action']) => outcomes.filter((outcome) => outcome.action === action).length
  const failures = outcomes.filter((outcome) => outcome.error !== undefined).length
  const summary = {
    created: count('create'),
    updated: count('update'),
    unchanged: count('unchanged'),
    pruned: count('prune'),
    failed: failures,
  }
  return {
    ok: failures === 0,
    dryRun: plan.dryRun,
    prune: plan.prune,
    zoneId,
    outcomes,
    summary,
    drift: summary.created + summary.updated + summary.pruned > 0,
  }
}
