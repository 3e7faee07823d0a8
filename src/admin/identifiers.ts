/** Identifiers and the grants document (sdk-cli-console §10.1, control-api §11). */

/** `resource://slug` from a name. Throws `TypeError` when nothing usable is left of it. */
export function resourceIdentifier(name: string): string {
  return `resource://${slugOf(name)}`
}

/** `provider://slug` from a name. */
export function providerIdentifier(name: string): string {
  return `provider://${slugOf(name)}`
}

function slugOf(name: string): string {
  const slug = name
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
  if (slug === '') throw new TypeError('the name holds no letter or digit')
  return slug
}

export interface ApplicationGrant {
  readonly resource: string
  readonly applicationId: string
  /** Scopes by role: the label that a session must carry. */
  readonly roles?: Readonly<Record<string, readonly string[]>> | undefined
  /** Scopes of the default role, which is the application's id. */
  readonly scopes?: readonly string[] | undefined
}

/** The grants document in its canonical six lines; the same grants always give the same bytes. */
export function authorGrantsDocument(grants: readonly ApplicationGrant[]): string {
  const appIds: Record<string, string> = {}
  const table: Record<string, unknown> = {}
  for (const grant of grants) {
    if (Object.hasOwn(table, grant.resource)) throw new TypeError(`${grant.resource} is granted twice`)
    const roles = {
      ...grant.roles,
      ...(grant.scopes === undefined ? {} : { [grant.applicationId]: grant.scopes }),
    }
    appIds[grant.applicationId] = grant.applicationId
    table[grant.resource] = {
      application: grant.applicationId,
      roles: Object.fromEntries(
        Object.entries(roles).map(([role, scopes]) => [role, [...new Set(scopes)].sort()]),
      ),
    }
  }
  return [
    '# caracal:data-document',
    'package caracal.authz',
    'import rego.v1',
    `app_ids := ${canonical(appIds)}`,
    `grants := ${canonical(table)}`,
    '',
  ].join('\n')
}

/** Compact JSON with sorted keys. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : member,
  )
}
