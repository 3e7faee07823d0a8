/** The control API, and the coordinator's operator routes, for automation (sdk-cli-console §10.1). */
import { type Api, type ApiOptions, createApi, pathOf, type Query } from './http.ts'

/** A document of the API as it is on the wire. */
export type Row = Readonly<Record<string, unknown>> & { readonly id: string }
/** A governed session in the list of the control API. */
export type SessionRow = Readonly<Record<string, unknown>> & { readonly session_id: string }
/** An authority record in the list of the control API. */
export type AuthorityRecordRow = Readonly<Record<string, unknown>> & { readonly authority_record_id: string }
type Body = Readonly<Record<string, unknown>>

export interface AdminClientOptions extends Omit<ApiOptions, 'baseUrl' | 'token'> {
  readonly apiUrl: string
  readonly adminToken: string
  /** For sessions and delegations. */
  readonly coordinatorUrl?: string | undefined
  readonly coordinatorToken?: string | undefined
}

type Groups = ReturnType<typeof createGroups>

/** Members are groups of routes; every call names its zone first. Throws `AdminApiError`. */
export class AdminClient {
  readonly zones: Groups['zones']
  readonly applications: Groups['applications']
  readonly resources: Groups['resources']
  readonly providers: Groups['providers']
  readonly policies: Groups['policies']
  readonly policyTemplates: Groups['policyTemplates']
  readonly policySets: Groups['policySets']
  readonly grants: Groups['grants']
  readonly subjectIssuers: Groups['subjectIssuers']
  readonly providerConnections: Groups['providerConnections']
  readonly workloads: Groups['workloads']
  readonly authorityRecords: Groups['authorityRecords']
  readonly adminAudit: Groups['adminAudit']
  readonly approvals: Groups['approvals']
  readonly subjects: Groups['subjects']
  readonly audit: Groups['audit']
  readonly sessions: Groups['sessions']
  readonly delegations: Groups['delegations']

  constructor(options: AdminClientOptions) {
    const groups = createGroups(options)
    this.zones = groups.zones
    this.applications = groups.applications
    this.resources = groups.resources
    this.providers = groups.providers
    this.policies = groups.policies
    this.policyTemplates = groups.policyTemplates
    this.policySets = groups.policySets
    this.grants = groups.grants
    this.subjectIssuers = groups.subjectIssuers
    this.providerConnections = groups.providerConnections
    this.workloads = groups.workloads
    this.authorityRecords = groups.authorityRecords
    this.adminAudit = groups.adminAudit
    this.approvals = groups.approvals
    this.subjects = groups.subjects
    this.audit = groups.audit
    this.sessions = groups.sessions
    this.delegations = groups.delegations
  }
}

function createGroups(options: AdminClientOptions) {
  const { apiUrl, adminToken, coordinatorUrl, coordinatorToken, ...rest } = options
  const api = createApi({ ...rest, baseUrl: apiUrl, token: adminToken })
  const coordinator =
    coordinatorUrl === undefined || coordinatorToken === undefined
      ? null
      : createApi({ ...rest, baseUrl: coordinatorUrl, token: coordinatorToken })

  return {
    zones: {
      list: (query?: Query) => api.list<Row>('/v1/zones', query),
      get: (id: string) => api.get<Row>(pathOf('v1', 'zones', id)),
      create: (body: Body) => api.send<Row>('POST', '/v1/zones', body),
      patch: (id: string, body: Body) => api.send<Row>('PATCH', pathOf('v1', 'zones', id), body),
      delete: (id: string) => api.send<void>('DELETE', pathOf('v1', 'zones', id)),
      dcrStatus: (id: string) => api.get<Body>(pathOf('v1', 'zones', id, 'dcr-status')),
    },
    applications: {
      ...crud(api, 'applications'),
      /** `client_secret` is only in this answer. */
      create: (zone: string, body: Body) =>
        api.send<Row & { readonly client_secret: string }>('POST', inZone(zone, 'applications'), body),
      rotateSecret: (zone: string, id: string) =>
        api.send<Row & { readonly client_secret: string }>(
          'POST',
          inZone(zone, 'applications', id, 'rotate-secret'),
        ),
      clientSecret: (zone: string, id: string) =>
        api.get<{ readonly client_secret: string }>(inZone(zone, 'applications', id, 'client-secret')),
      dcr: (zone: string, body: Body) => api.send<Row>('POST', inZone(zone, 'applications', 'dcr'), body),
    },
    resources: crud(api, 'resources'),
    providers: crud(api, 'providers'),
    policies: {
      ...withoutPatch(crud(api, 'policies')),
      create: (zone: string, body: Body) =>
        api.send<Row & { readonly version_id: string; readonly version: Row & { readonly version: number } }>(
          'POST',
          inZone(zone, 'policies'),
          body,
        ),
      addVersion: (zone: string, id: string, content: string) =>
        api.send<Row & { readonly version_id: string }>('POST', inZone(zone, 'policies', id, 'versions'), {
          content,
        }),
      validate: (content: string) => api.send<Body>('POST', '/v1/policies/validate', { content }),
    },
    policyTemplates: { list: () => api.get<readonly Body[]>('/v1/policy-templates') },
    policySets: {
      ...withoutPatch(crud(api, 'policy-sets')),
      versions: (zone: string, id: string) => api.list<Row>(inZone(zone, 'policy-sets', id, 'versions')),
      addVersion: (zone: string, id: string, policyVersionIds: readonly string[]) =>
        api.send<Row & { readonly version_id: string }>('POST', inZone(zone, 'policy-sets', id, 'versions'), {
          manifest: policyVersionIds.map((policy_version_id) => ({ policy_version_id })),
        }),
      simulate: (zone: string, id: string, versionId: string, input?: Body) =>
        api.send<Body>('POST', inZone(zone, 'policy-sets', id, 'simulate'), {
          version_id: versionId,
          ...(input === undefined ? {} : { input }),
        }),
      activate: (zone: string, id: string, versionId: string) =>
        api.send<{
          readonly activated: boolean
          readonly version_id: string
          readonly outbox_id: string
          readonly status_url: string
        }>('POST', inZone(zone, 'policy-sets', id, 'activate'), { version_id: versionId }),
      activationStatus: (zone: string, id: string, query: { version_id: string; outbox_id?: string }) =>
        api.get<Body & { readonly propagation_status: string }>(
          inZone(zone, 'policy-sets', id, 'activation-status'),
          query,
        ),
    },
    grants: {
      ...withoutPatch(crud(api, 'grants')),
      list: (zone: string, filter: GrantFilter = {}) =>
        api.list<Row>(inZone(zone, 'grants'), {
          user_id: filter.userId,
          application_id: filter.applicationId,
          resource_id: filter.resourceId,
          scopes: filter.scopes?.join(','),
        }),
    },
    subjectIssuers: crud(api, 'subject-issuers'),
    providerConnections: {
      create: (zone: string, body: Body) => api.send<Row>('POST', inZone(zone, 'provider-connections'), body),
      authorize: (zone: string, body: Body) =>
        api.send<Body>('POST', inZone(zone, 'provider-connections', 'oauth', 'authorize'), body),
      revoke: (zone: string, body: Body) =>
        api.send<Body>('POST', inZone(zone, 'provider-connections', 'revoke'), body),
    },
    workloads: {
      ...withoutPatch(crud(api, 'workloads')),
      put: (zone: string, id: string, body: Body) =>
        api.send<Row>('PUT', inZone(zone, 'workloads', id), body),
      rotateSecret: (zone: string, id: string) =>
        api.send<Body>('POST', inZone(zone, 'workloads', id, 'rotate-secret')),
      secret: (zone: string, id: string) => api.get<Body>(inZone(zone, 'workloads', id, 'secret')),
    },
    authorityRecords: {
      list: (zone: string, query?: Query) =>
        api.list<AuthorityRecordRow>(inZone(zone, 'authority-records'), query),
    },
    adminAudit: { list: (zone: string, query?: Query) => api.list<Row>(inZone(zone, 'admin-audit'), query) },
    approvals: {
      list: (zone: string, query?: Query) => api.list<Row>(inZone(zone, 'approvals'), query),
      get: (zone: string, id: string) => api.get<Row>(inZone(zone, 'approvals', id)),
      approve: (zone: string, id: string, reason?: string) =>
        api.send<Row>(
          'POST',
          inZone(zone, 'approvals', id, 'approve'),
          reason === undefined ? {} : { reason },
        ),
      reject: (zone: string, id: string, reason?: string) =>
        api.send<Row>(
          'POST',
          inZone(zone, 'approvals', id, 'reject'),
          reason === undefined ? {} : { reason },
        ),
    },
    subjects: {
      revoke: (zone: string, subjectId: string, reason?: string) =>
        api.send<Body>('POST', inZone(zone, 'subjects', 'revoke'), {
          subject_id: subjectId,
          ...(reason === undefined ? {} : { reason }),
        }),
    },
    audit: {
      /** One page. */
      page: (zone: string, query?: Query) =>
        api.get<{ readonly items: readonly Row[]; readonly next_cursor: string | null }>(
          inZone(zone, 'audit'),
          query,
        ),
      byRequest: (zone: string, requestId: string) =>
        api.get<readonly Row[]>(inZone(zone, 'audit', 'by-request', requestId)),
      explain: (zone: string, requestId: string) =>
        api.get<Body>(inZone(zone, 'audit', 'by-request', requestId, 'explain')),
    },
    sessions: {
      list: (zone: string, query?: Query) => api.list<SessionRow>(inZone(zone, 'sessions'), query),
      get: (zone: string, id: string) => operator(coordinator).get<Row>(atCoordinator(zone, 'agents', id)),
      children: (zone: string, id: string) =>
        operator(coordinator).list<Row>(atCoordinator(zone, 'agents', id, 'children')),
      effectiveAuthority: (zone: string, id: string) =>
        operator(coordinator).get<Body>(atCoordinator(zone, 'agents', id, 'effective-authority')),
      suspend: (zone: string, id: string) =>
        operator(coordinator).send<Body>('PATCH', atCoordinator(zone, 'agents', id, 'suspend')),
      resume: (zone: string, id: string) =>
        operator(coordinator).send<Body>('PATCH', atCoordinator(zone, 'agents', id, 'resume')),
      terminate: (zone: string, id: string) =>
        operator(coordinator).send<void>('DELETE', atCoordinator(zone, 'agents', id)),
    },
    delegations: {
      active: (zone: string) => operator(coordinator).list<Row>(atCoordinator(zone, 'delegations', 'active')),
      inbound: (zone: string, sessionId: string) =>
        operator(coordinator).list<Row>(atCoordinator(zone, 'delegations', 'inbound', sessionId)),
      outbound: (zone: string, sessionId: string) =>
        operator(coordinator).list<Row>(atCoordinator(zone, 'delegations', 'outbound', sessionId)),
      traverse: (zone: string, id: string) =>
        operator(coordinator).get<readonly Row[]>(atCoordinator(zone, 'delegations', id, 'traverse')),
      impact: (zone: string, id: string) =>
        operator(coordinator).get<Body>(atCoordinator(zone, 'delegations', id, 'impact')),
      revoke: (zone: string, id: string) =>
        operator(coordinator).send<Body>('PATCH', atCoordinator(zone, 'delegations', id, 'revoke')),
    },
  }
}

export interface GrantFilter {
  readonly userId?: string | undefined
  readonly applicationId?: string | undefined
  readonly resourceId?: string | undefined
  readonly scopes?: readonly string[] | undefined
}

const inZone = (zone: string, ...rest: readonly string[]) => pathOf('v1', 'zones', zone, ...rest)
const atCoordinator = (zone: string, ...rest: readonly string[]) => pathOf('zones', zone, ...rest)

function crud(api: Api, collection: string) {
  return {
    list: (zone: string, query?: Query) => api.list<Row>(inZone(zone, collection), query),
    get: (zone: string, id: string) => api.get<Row>(inZone(zone, collection, id)),
    create: (zone: string, body: Body) => api.send<Row>('POST', inZone(zone, collection), body),
    patch: (zone: string, id: string, body: Body) =>
      api.send<Row>('PATCH', inZone(zone, collection, id), body),
    delete: (zone: string, id: string) => api.send<void>('DELETE', inZone(zone, collection, id)),
  }
}

function withoutPatch({ list, get, create, delete: remove }: ReturnType<typeof crud>) {
  return { list, get, create, delete: remove }
}

function operator(coordinator: Api | null): Api {
  if (coordinator === null) throw new Error('this call needs coordinatorUrl and coordinatorToken')
  return coordinator
}
