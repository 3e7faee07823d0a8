/** How the commands of the catalog are written: the flags they share, and the input made of them. */
import type { Action, ManagementInput, Subcommand } from './command.ts'
import type { Flags } from './flags.ts'
import { refuse } from './refusal.ts'

export const id = ['id', 'Identifier'] as const
export const flag = (name: string, summary: string) => [name, summary] as const

/** Members without a value are left out, so that they are absent and not invalid. */
export function members(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}

export const byId = (flags: Flags): ManagementInput => ({ params: { id: flags.required('id') } })
export const nothing = (): ManagementInput => ({})

export const list = (scope: string, operationId: string): Subcommand => ({
  scope: `control:${scope}:read`,
  flags: [],
  action: { kind: 'drain', operationId, input: nothing },
})
export const get = (scope: string, operationId: string): Subcommand => ({
  scope: `control:${scope}:read`,
  flags: [id],
  action: { kind: 'call', operationId, input: byId },
})
export const remove = (scope: string, operationId: string): Subcommand => ({
  scope: `control:${scope}:delete`,
  flags: [id],
  action: { kind: 'call', operationId, input: byId },
})
export const write = (
  scope: string,
  operationId: string,
  flags: Subcommand['flags'],
  input: (flags: Flags) => ManagementInput,
): Subcommand => ({ scope: `control:${scope}:write`, flags, action: { kind: 'call', operationId, input } })

export const resourceFlags = [
  flag('name', 'Name'),
  flag('identifier', 'Absolute URI'),
  flag('scopes', 'Comma list of scopes'),
  flag('upstream-url', 'Where traffic goes'),
  flag('credential-provider-id', 'Provider of the upstream credential'),
  flag('operations', 'JSON list of method, path and scope'),
  flag('operation-enforcement', 'enforced or transport_uniform'),
] as const

export const resourceBody = (flags: Flags) =>
  members({
    name: flags.text('name'),
    identifier: flags.text('identifier'),
    scopes: flags.list('scopes'),
    upstream_url: flags.nullable('upstream-url'),
    credential_provider_id: flags.nullable('credential-provider-id'),
    operations: flags.json('operations'),
    operation_enforcement: flags.text('operation-enforcement'),
  })

export const providerFlags = [
  flag('name', 'Name'),
  flag('identifier', 'provider:// identifier'),
  flag('kind', 'Provider kind'),
  flag('config', 'JSON configuration'),
] as const

export const providerBody = (flags: Flags) =>
  members({
    name: flags.text('name'),
    identifier: flags.text('identifier'),
    kind: flags.text('kind'),
    config_json: flags.json('config'),
  })

export const manifestOf = (flags: Flags) =>
  (flags.list('policy-versions') ?? []).map((policy_version_id) => ({ policy_version_id }))

/** An identifier as one segment of a path. Throws `invalid` for the two that a URL would take for a way up. */
export function idPath(flags: Flags, name = 'id'): string {
  const given = flags.required(name)
  if (given === '.' || given === '..') throw refuse('invalid', `flag ${name} must be an identifier`)
  return encodeURIComponent(given)
}

export const coordinator = (
  scope: string,
  flags: Subcommand['flags'],
  action: Omit<Extract<Action, { kind: 'coordinator' }>, 'kind'>,
): Subcommand => ({ scope: `control:${scope}`, flags, action: { kind: 'coordinator', ...action } })

export const sessionVerb = (verb: 'suspend' | 'resume'): Subcommand =>
  coordinator('session:write', [id], {
    method: 'PATCH',
    path: (flags) => `agents/${idPath(flags)}/${verb}`,
    shape: 'session',
  })

export const ensure = (object: string): Subcommand => ({
  scope: null,
  flags: [
    flag('spec', 'JSON specification'),
    flag('dry-run', 'Only compare'),
    flag('idempotency-key', 'Recorded in the evidence'),
  ],
  action: { kind: 'ensure', object },
})

export const documentFlags = [
  flag('document', 'JSON document of objects'),
  flag('prune', 'Also remove what is not named'),
]
