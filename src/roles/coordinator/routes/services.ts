/** Agent services, under v1's zone-wide paths and the seed's agent-scoped ones (coordinator §6). */
import { errorOf } from '../../../platform/http/errors/registry.ts'
import type { CoordinatorContext } from '../deps.ts'
import { pageRequest, renderPage } from '../list-page.ts'
import { refuse } from '../refusal.ts'
import { changeService, registerForAgent, registerService, serviceHeartbeat } from '../register-service.ts'
import { pageOnly } from '../schemas/parts.ts'
import * as shape from '../schemas/services.ts'
import { serviceView } from '../service-view.ts'
import { listServices } from '../store/services.ts'
import { findSession } from '../store/sessions.ts'
import type { Declare } from '../surface.ts'

const zoneWide = '/zones/{zoneId}/agent-services'
const ofAgent = '/zones/{zoneId}/agents/{agentId}/services'

export function serviceRoutes(declare: Declare, context: CoordinatorContext): void {
  declare({
    methods: ['POST'],
    path: zoneWide,
    operationId: 'registerService',
    summary: 'Register a service of an application',
    body: shape.registerBody,
    responses: { 201: shape.service },
    errors: ['application_ownership_required', 'application_not_found'],
    async handle({ c, caller, requestId, body }) {
      const row = await registerService(context, {
        caller,
        requestId,
        applicationId: body.application_id,
        ...describedBy(body, body.framework),
        metadata: body.metadata,
      })
      c.set('adminAuditFacts', { entityType: 'agent-services', entityId: row.id })
      return c.json(serviceView(row), 201)
    },
  })

  declare({
    methods: ['GET'],
    path: zoneWide,
    operationId: 'listServices',
    summary: 'List services of the zone',
    query: pageOnly,
    responses: { 200: shape.servicePage },
    errors: ['invalid_cursor'],
    async handle({ c, caller, query }) {
      const rows = await listServices(context.db, caller.zoneId, null, pageRequest(query))
      return c.json(renderPage(rows, query.limit, serviceView))
    },
  })

  declare({
    methods: ['POST'],
    path: ofAgent,
    operationId: 'registerAgentService',
    summary: 'Register a service of a session',
    body: shape.registerForAgentBody,
    responses: { 201: shape.service },
    errors: ['session_not_found', 'application_ownership_required', 'session_not_live'],
    async handle({ c, caller, requestId, params, body }) {
      const row = await registerForAgent(context, {
        caller,
        requestId,
        agentId: params.agentId ?? '',
        applicationId: body.application_id ?? null,
        ...describedBy(
          body,
          body.framework ?? { name: body.framework_name, version: body.framework_version },
        ),
        metadata: body.metadata ?? body.metadata_json ?? {},
        health: body.health ?? null,
      })
      if (row === null) {
        const issue = { path: ['application_id'], message: "must be the session's application" }
        throw errorOf('invalid_body', { body: { details: { issues: [issue] } } })
      }
      c.set('adminAuditFacts', { entityType: 'agent-services', entityId: row.id })
      return c.json(serviceView(row), 201)
    },
  })

  declare({
    methods: ['GET'],
    path: ofAgent,
    operationId: 'listAgentServices',
    summary: 'List services of a session',
    query: pageOnly,
    responses: { 200: shape.servicePage },
    errors: ['session_not_found', 'invalid_cursor'],
    async handle({ c, caller, params, query }) {
      const agentId = params.agentId ?? ''
      const [agent, rows] = await Promise.all([
        findSession(context.db, caller.zoneId, agentId),
        listServices(context.db, caller.zoneId, agentId, pageRequest(query)),
      ])
      if (agent === null) throw refuse('session_not_found')
      return c.json(renderPage(rows, query.limit, serviceView))
    },
  })

  declare({
    methods: ['PATCH'],
    path: `${ofAgent}/{serviceId}`,
    operationId: 'changeAgentService',
    summary: 'Change a service of a session',
    body: shape.changeBody,
    responses: { 200: shape.service },
    errors: [
      'session_not_found',
      'application_ownership_required',
      'agent_service_not_found',
      'agent_service_conflict',
    ],
    async handle({ c, caller, requestId, params, body }) {
      const serviceId = params.serviceId ?? ''
      const row = await changeService(context, {
        caller,
        requestId,
        agentId: params.agentId ?? '',
        serviceId,
        change: {
          health: body.health,
          endpointUrl: body.endpoint_url,
          protocolVersions: body.protocol_versions,
          framework: body.framework === null ? { name: null, version: null } : body.framework,
          capabilities: body.capabilities,
          metadata: body.metadata,
        },
      })
      c.set('adminAuditFacts', { entityType: 'agent-services', entityId: serviceId })
      return c.json(serviceView(row))
    },
  })

  declare({
    methods: ['POST'],
    path: `${ofAgent}/{serviceId}/heartbeat`,
    operationId: 'sendAgentServiceHeartbeat',
    summary: 'Report the health of a service',
    body: shape.serviceHeartbeatBody,
    bodyOptional: true,
    responses: { 200: shape.service },
    errors: [
      'session_not_found',
      'application_ownership_required',
      'session_not_live',
      'agent_service_not_found',
      'session_not_service',
      'session_subject_inactive',
      'session_lease_expired',
      'session_lease_fenced',
      'authority_record_required',
    ],
    async handle({ c, caller, requestId, params, body }) {
      const serviceId = params.serviceId ?? ''
      const service = await serviceHeartbeat(context, {
        caller,
        requestId,
        agentId: params.agentId ?? '',
        serviceId,
        health: body.health ?? body.status ?? 'healthy',
        metadata: body.metadata ?? {},
        leaseGeneration: body.lease_generation ?? null,
      })
      c.set('adminAuditFacts', { entityType: 'agent-services', entityId: serviceId })
      return c.json(service)
    },
  })
}

const describedBy = (
  body: {
    readonly endpoint_url: string
    readonly protocol_versions: readonly string[]
    readonly capabilities: readonly string[]
  },
  framework: { readonly name: string | null; readonly version: string | null } | null,
) => ({
  endpointUrl: body.endpoint_url,
  protocolVersions: body.protocol_versions,
  framework: framework ?? { name: null, version: null },
  capabilities: body.capabilities,
})
