/** The OpenAPI 3.1 document of a surface, made from the entries that registered it (control-api §13). */

import { idPattern } from '../ids.ts'
import { errorRegistry } from './errors/registry.ts'
import { type Json, jsonSchemaOf, type SchemaComponents } from './json-schema.ts'
import type { OperationEntry } from './operation.ts'

export interface DocumentOptions {
  readonly title: string
  readonly version: string
  readonly servers: readonly string[]
  /** Security schemes the entries name. */
  readonly securitySchemes: Readonly<Record<string, Json>>
  /** JSON Schema of the surface's error body. */
  readonly errorSchema: Json
}

export interface OpenApiDocument {
  readonly openapi: '3.1.0'
  readonly info: { readonly title: string; readonly version: string }
  readonly servers: readonly { readonly url: string }[]
  readonly tags: readonly { readonly name: string }[]
  /** Operations by path and lower-case method. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, Json>>>>
  readonly components: {
    readonly schemas: Readonly<Record<string, Json>>
    readonly securitySchemes: Readonly<Record<string, Json>>
  }
}

/** `{"error","error_description?","requestId?","details?"}` and what a code adds. */
export const errorEnvelopeSchema: Json = {
  type: 'object',
  properties: {
    error: { type: 'string' },
    error_description: { type: 'string' },
    requestId: { type: 'string' },
    details: { type: 'object' },
  },
  required: ['error'],
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', pattern: idPattern.source },
  }))
}

/** A `limit` is text in the query and an integer to whoever reads the document. */
function queryProperty(name: string, property: Json): Json {
  if (name !== 'limit') return property
  const { pattern: _digits, default: fallback, ...rest } = property
  return { ...rest, type: 'integer', ...(fallback === undefined ? {} : { default: Number(fallback) }) }
}

function queryParameters(entry: OperationEntry, components: SchemaComponents): Json[] {
  if (!entry.query) return []
  const { properties = {}, required = [] } = jsonSchemaOf(entry.query, components) as {
    readonly properties?: Readonly<Record<string, Json>>
    readonly required?: readonly string[]
  }
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema: queryProperty(name, property),
  }))
}

function successes(entry: OperationEntry, components: SchemaComponents): Record<string, Json> {
  const extra = Object.fromEntries(
    (entry.alsoAnswers ?? []).map((type) => [type, { schema: { type: 'string' } }]),
  )
  return Object.fromEntries(
    Object.entries(entry.responses).map(([status, schema]) => [
      status,
      schema === null
        ? { description: 'Done' }
        : {
            description: entry.summary,
            content: { 'application/json': { schema: jsonSchemaOf(schema, components) }, ...extra },
          },
    ]),
  )
}

function refusals(entry: OperationEntry): Record<string, Json> {
  const byStatus = new Map<number, Set<string>>()
  for (const code of entry.errors) {
    const status = entry.errorStatus?.[code] ?? errorRegistry[code][0]
    const codes = byStatus.get(status) ?? new Set()
    byStatus.set(status, codes.add(code))
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, codes]) => [
        status,
        {
          description: [...codes].sort().join(', '),
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
        },
      ]),
  )
}

function operationOf(entry: OperationEntry, components: SchemaComponents): Json {
  return {
    operationId: entry.operationId,
    tags: [entry.tag],
    summary: entry.summary,
    security: entry.security.map((scheme) => ({ [scheme]: [] })),
    parameters: [...pathParameters(entry.path), ...queryParameters(entry, components)],
    ...(entry.body
      ? {
          requestBody: {
            required: entry.bodyOptional !== true,
            content: { 'application/json': { schema: jsonSchemaOf(entry.body, components) } },
          },
        }
      : {}),
    responses: { ...successes(entry, components), ...refusals(entry) },
    ...entry.extensions,
  }
}

/** The document. Throws for a schema that cannot be expressed, a scheme that is not declared, or a repeated id. */
export function openApiDocument(
  entries: readonly OperationEntry[],
  options: DocumentOptions,
): OpenApiDocument {
  const components: SchemaComponents = new Map([['Error', options.errorSchema]])
  const paths: Record<string, Record<string, Json>> = {}
  const ids = new Set<string>()
  for (const entry of entries) {
    if (ids.has(entry.operationId)) throw new Error(`operation id ${entry.operationId} is used twice`)
    ids.add(entry.operationId)
    const unknown = entry.security.find((scheme) => !Object.hasOwn(options.securitySchemes, scheme))
    if (unknown !== undefined)
      throw new Error(`${entry.operationId} names an unknown security scheme: ${unknown}`)
    paths[entry.path] = { ...paths[entry.path], [entry.method.toLowerCase()]: operationOf(entry, components) }
  }
  return {
    openapi: '3.1.0',
    info: { title: options.title, version: options.version },
    servers: options.servers.map((url) => ({ url })),
    tags: [...new Set(entries.map((entry) => entry.tag))].map((name) => ({ name })),
    paths,
    components: { schemas: Object.fromEntries(components), securitySchemes: options.securitySchemes },
  }
}
