/**
 * The OpenAPI 3.1 document, made from the route declarations that also register the
 * handlers (control-api §13). A schema the converter cannot express fails here, at
 * start and in the tests, instead of becoming an empty schema.
 */
import { toJsonSchema } from '@valibot/to-json-schema'
import type { Hono } from 'hono'
import { errorRegistry, isErrorCode } from '../../platform/http/errors/registry.ts'
import type { GenericSchema } from '../../platform/schema.ts'
import type { Control } from './control.ts'
import { docsPage } from './docs-page.ts'
import { INVOKE_PATH } from './invoke/invoke.ts'
import { controlErrorSchema, invokeOperation } from './invoke/invoke-document.ts'
import type { Route } from './route.ts'

type Json = Readonly<Record<string, unknown>>

/** Actions without a JSON Schema form that only refine or normalise what the schema already says. */
const silent: ReadonlySet<string> = new Set(['trim', 'transform'])

/** Schemas that carried a name, collected while routes are converted. */
type Components = Map<string, Json>

/** Moves every named schema to the components and leaves a reference. */
function hoist(value: unknown, components: Components): unknown {
  if (Array.isArray(value)) return value.map((entry) => hoist(entry, components))
  if (typeof value !== 'object' || value === null) return value
  const { ref, $schema: _, ...rest } = value as Record<string, unknown>
  const schema = Object.fromEntries(
    Object.entries(rest).map(([key, member]) => [key, hoist(member, components)]),
  )
  if (typeof ref !== 'string') return ref === undefined ? schema : { ...schema, ref: hoist(ref, components) }
  components.set(ref, schema)
  return { $ref: `#/components/schemas/${ref}` }
}

function jsonSchemaOf(schema: GenericSchema, components: Components): unknown {
  const converted = toJsonSchema(schema, {
    target: 'draft-2020-12',
    typeMode: 'ignore',
    overrideAction: ({ valibotAction, jsonSchema, errors }) => {
      if (errors === undefined) return null
      if (valibotAction.type !== 'check' && !silent.has(valibotAction.type)) return null
      const { message } = valibotAction as { message?: unknown }
      return typeof message === 'string' ? { ...jsonSchema, 'x-caracal-constraint': message } : jsonSchema
    },
  })
  return hoist(converted, components)
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', pattern: '^[A-Za-z0-9_.\\-:]{1,128}$' },
  }))
}

function queryParameters(schema: GenericSchema | null, components: Components): Json[] {
  if (schema === null) return []
  const { properties = {}, required = [] } = jsonSchemaOf(schema, components) as {
    properties?: Record<string, Json>
    required?: string[]
  }
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema: name === 'limit' ? limitSchema(property) : property,
  }))
}

/** The limit is text in a query string and an integer to everyone who reads about it. */
function limitSchema({ pattern: _, default: fallback, ...schema }: Json): Json {
  return { ...schema, default: Number(fallback) }
}

const errorContent = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } }

/** Codes every operation with a credential may answer. */
const everywhere = ['invalid_params', 'forbidden', 'rate_limited', 'internal_error', 'audit_unavailable']
const credentialCodes = ['invalid_admin_token', 'invalid_token', 'invalid_api_key']
const inputCodes = ['payload_too_large', 'unsupported_media_type', 'invalid_body']

function codesOf(route: Route): string[] {
  const credential = route.access === 'public' ? [] : credentialCodes
  const input = route.body === null ? [] : inputCodes
  return [...new Set([...route.errors, ...credential, ...input, ...everywhere])]
}

function errorResponses(route: Route): Record<string, Json> {
  const byStatus = new Map<number, string[]>()
  for (const code of codesOf(route)) {
    if (!isErrorCode(code))
      throw new Error(`${route.operationId} declares an unregistered error code: ${code}`)
    const [status] = errorRegistry[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, codes]) => [status, { description: codes.sort().join(', '), content: errorContent }]),
  )
}

function successResponses(route: Route, components: Components): Record<string, Json> {
  return Object.fromEntries(
    Object.entries(route.responses).map(([status, schema]) => {
      if (schema === null) return [status, { description: 'Done' }]
      const content: Record<string, Json> = {
        'application/json': { schema: jsonSchemaOf(schema, components) },
        ...(route.csv === true ? { 'text/csv': { schema: { type: 'string' } } } : {}),
      }
      return [status, { description: route.summary, content }]
    }),
  )
}

const bearerSchemes = [{ adminToken: [] }, { serviceAccount: [] }, { apiKey: [] }]

function operationOf(route: Route, components: Components): Json {
  const { permission } = route
  return {
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    security: route.access === 'public' ? [] : bearerSchemes,
    parameters: [...pathParameters(route.path), ...queryParameters(route.query, components)],
    ...(route.body === null
      ? {}
      : {
          requestBody: {
            required: route.bodyOptional !== true,
            content: { 'application/json': { schema: jsonSchemaOf(route.body, components) } },
          },
        }),
    responses: { ...successResponses(route, components), ...errorResponses(route) },
    'x-caracal-capability': route.access === 'public' ? 'none' : route.access,
    ...(permission === null
      ? {}
      : {
          'x-caracal-rbac': {
            api_group: permission.apiGroup,
            resource: permission.resource,
            verb: permission.verb,
          },
        }),
    'x-caracal-priority': route.priority,
  }
}

const errorSchema: Json = {
  type: 'object',
  properties: {
    error: { type: 'string' },
    error_description: { type: 'string' },
    requestId: { type: 'string' },
    details: { type: 'object' },
  },
  required: ['error'],
}

const securitySchemes: Json = {
  adminToken: { type: 'http', scheme: 'bearer' },
  serviceAccount: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
  apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
  controlToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
}

export interface DocumentInfo {
  readonly version: string
  readonly serverUrl: string
  /** Control invoke is mounted. */
  readonly control?: boolean
}

/** Throws when a route cannot be described. */
export function openApiDocument(routes: readonly Route[], info: DocumentInfo): Json {
  const components: Components = new Map<string, Json>([
    ['Error', errorSchema],
    ['ControlError', controlErrorSchema],
  ])
  const paths: Record<string, Record<string, Json>> = {}
  for (const route of routes) {
    const item = paths[route.path] ?? {}
    item[route.method.toLowerCase()] = operationOf(route, components)
    paths[route.path] = item
  }
  if (info.control === true) paths[INVOKE_PATH] = { post: invokeOperation }
  const tags = [...new Set(routes.map((route) => route.tag)), ...(info.control === true ? ['Control'] : [])]
  return {
    openapi: '3.1.0',
    info: { title: 'Caracal API', version: info.version },
    servers: [{ url: info.serverUrl }],
    tags: tags.map((name) => ({ name })),
    paths,
    components: { schemas: Object.fromEntries(components), securitySchemes },
  }
}

/** Serves the document; it holds no secrets and needs no credential. The page is for development unless turned on. */
export function mountDocuments(
  app: Hono,
  routes: readonly Route[],
  { settings }: Pick<Control, 'settings'>,
): void {
  const document = openApiDocument(routes, {
    version: settings.CARACAL_VERSION ?? 'dev',
    serverUrl: '/',
    control: settings.CARACAL_CONTROL_ENABLED,
  })
  for (const path of ['/openapi.json', '/docs/json']) {
    app.get(path, (c) => {
      c.header('cache-control', 'public, max-age=60')
      return c.json(document)
    })
  }
  app.get('/v1/openapi.json', (c) => c.json(document))
  if (!settings.API_ENABLE_DOCS) return
  const page = docsPage(document)
  app.get('/docs', (c) => {
    c.header(
      'content-security-policy',
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    )
    c.header('x-content-type-options', 'nosniff')
    return c.html(page)
  })
}
