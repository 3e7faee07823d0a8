/**
 * The OpenAPI 3.1 document of the management API and of Control invoke, made from the declarations that also
 * register the handlers (control-api §13). What cannot be described fails at start and in the tests.
 */
import type { Hono } from 'hono'
import type { ErrorCode } from '../../platform/http/errors/registry.ts'
import { errorEnvelopeSchema, type OpenApiDocument, openApiDocument } from '../../platform/http/openapi.ts'
import type { OperationEntry } from '../../platform/http/operation.ts'
import type { Control } from './control.ts'
import { docsPage } from './docs-page.ts'
import { INVOKE_PATH } from './invoke/invoke.ts'
import { controlErrorSchema, invokeOperation } from './invoke/invoke-document.ts'
import type { Route } from './route.ts'

/** Codes every operation may answer, those with a credential, and those with a body. */
const everywhere: readonly ErrorCode[] = [
  'invalid_params',
  'forbidden',
  'rate_limited',
  'internal_error',
  'audit_unavailable',
]
const credentialCodes: readonly ErrorCode[] = ['invalid_admin_token', 'invalid_token', 'invalid_api_key']
const inputCodes: readonly ErrorCode[] = ['payload_too_large', 'unsupported_media_type', 'invalid_body']

function codesOf(route: Route): ErrorCode[] {
  const credential = route.access === 'public' ? [] : credentialCodes
  const input = route.body === null ? [] : inputCodes
  return [...new Set([...route.errors, ...credential, ...input, ...everywhere])]
}

function entryOf(route: Route): OperationEntry {
  const { access, permission } = route
  return {
    method: route.method,
    path: route.path,
    operationId: route.operationId,
    tag: route.tag,
    summary: route.summary,
    security: access === 'public' ? [] : ['adminToken', 'serviceAccount', 'apiKey'],
    query: route.query ?? undefined,
    body: route.body ?? undefined,
    bodyOptional: route.bodyOptional === true,
    responses: route.responses,
    alsoAnswers: route.csv === true ? ['text/csv'] : [],
    errors: codesOf(route),
    extensions: {
      'x-caracal-capability': access === 'public' ? 'none' : access,
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
    },
  }
}

const securitySchemes = {
  adminToken: { type: 'http', scheme: 'bearer' },
  serviceAccount: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
  apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
  controlToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
}

interface DocumentInfo {
  readonly version: string
  readonly serverUrl: string
  /** Control invoke is mounted. */
  readonly control?: boolean
}

/** Throws when a route cannot be described. */
export function managementDocument(routes: readonly Route[], info: DocumentInfo): OpenApiDocument {
  const document = openApiDocument(routes.map(entryOf), {
    title: 'Caracal API',
    version: info.version,
    servers: [info.serverUrl],
    securitySchemes,
    errorSchema: errorEnvelopeSchema,
  })
  return info.control === true ? withInvoke(document) : document
}

function withInvoke(document: OpenApiDocument): OpenApiDocument {
  const { tags, paths, components } = document
  return {
    ...document,
    tags: [...tags, { name: 'Control' }],
    paths: { ...paths, [INVOKE_PATH]: { post: invokeOperation } },
    components: { ...components, schemas: { ...components.schemas, ControlError: controlErrorSchema } },
  }
}

/** Serves the document; it holds no secrets and needs no credential. The page is for development unless turned on. */
export function mountDocuments(
  app: Hono,
  routes: readonly Route[],
  { settings }: Pick<Control, 'settings'>,
): void {
  const document = managementDocument(routes, {
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
