/** The readable form of the OpenAPI document (control-api §13): one page, no scripts, nothing from elsewhere. */
import type { OpenApiDocument } from '../../platform/http/openapi.ts'
import { escaped } from './html.ts'

type Json = Readonly<Record<string, unknown>>

const anchorOf = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]+/g, '-')

const asObject = (value: unknown): Json =>
  typeof value === 'object' && value !== null ? (value as Json) : {}
const asList = (value: unknown): readonly Json[] => (Array.isArray(value) ? (value as Json[]) : [])

/** A schema in a line: its name where it has one, else its shape. */
function typeOf(schema: Json): string {
  if (typeof schema.$ref === 'string') {
    const name = schema.$ref.split('/').at(-1) ?? ''
    return `<a href="#schema-${escaped(anchorOf(name))}">${escaped(name)}</a>`
  }
  if (schema.const !== undefined) return `<code>${escaped(JSON.stringify(schema.const))}</code>`
  if (Array.isArray(schema.enum)) {
    return schema.enum.map((value) => `<code>${escaped(JSON.stringify(value))}</code>`).join(' | ')
  }
  const choices = schema.anyOf ?? schema.oneOf
  if (Array.isArray(choices)) return choices.map((choice) => typeOf(asObject(choice))).join(' | ')
  if (schema.type === 'array') return `list of ${typeOf(asObject(schema.items))}`
  return escaped(schema.type ?? 'any')
}

function boundsOf(schema: Json): string {
  const bounds = [
    ['minLength', 'at least', 'characters'],
    ['maxLength', 'at most', 'characters'],
    ['minimum', 'from', ''],
    ['maximum', 'to', ''],
    ['minItems', 'at least', 'entries'],
    ['maxItems', 'at most', 'entries'],
  ] as const
  const texts = bounds
    .filter(([key]) => schema[key] !== undefined)
    .map(([key, before, after]) => `${before} ${escaped(schema[key])} ${after}`.trim())
  if (schema.pattern !== undefined) texts.push(`<code>${escaped(schema.pattern)}</code>`)
  if (schema.default !== undefined)
    texts.push(`default <code>${escaped(JSON.stringify(schema.default))}</code>`)
  return texts.join(', ')
}

function membersOf(schema: Json): string {
  const required = new Set((schema.required as readonly string[] | undefined) ?? [])
  const rows = Object.entries(asObject(schema.properties)).map(([name, member]) => {
    const mark = required.has(name) ? '' : ' <small>optional</small>'
    const shape = asObject(member)
    return `<tr><td><code>${escaped(name)}</code>${mark}</td><td>${typeOf(shape)}</td><td>${boundsOf(shape)}</td></tr>`
  })
  return rows.length === 0 ? `<p>${typeOf(schema)}</p>` : `<table>${rows.join('')}</table>`
}

const contentOf = (holder: Json): Json =>
  asObject(asObject(asObject(holder.content)['application/json']).schema)

function parameters(operation: Json): string {
  const rows = asList(operation.parameters).map((parameter) => {
    const schema = asObject(parameter.schema)
    const where = `${escaped(parameter.in)}${parameter.required === true ? '' : ', optional'}`
    return `<tr><td><code>${escaped(parameter.name)}</code> <small>${where}</small></td><td>${typeOf(schema)}</td><td>${boundsOf(schema)}</td></tr>`
  })
  return rows.length === 0 ? '' : `<h4>Parameters</h4><table>${rows.join('')}</table>`
}

function body(operation: Json): string {
  if (operation.requestBody === undefined) return ''
  return `<h4>Body</h4>${membersOf(contentOf(asObject(operation.requestBody)))}`
}

function responses(operation: Json): string {
  const rows = Object.entries(asObject(operation.responses)).map(([status, response]) => {
    const answer = asObject(response)
    const shape = status.startsWith('2') && answer.content !== undefined ? typeOf(contentOf(answer)) : ''
    return `<tr><td>${escaped(status)}</td><td>${shape}</td><td>${status.startsWith('2') ? '' : escaped(answer.description)}</td></tr>`
  })
  return `<h4>Answers</h4><table>${rows.join('')}</table>`
}

function permission(operation: Json): string {
  const rbac = asObject(operation['x-caracal-rbac'])
  const capability = escaped(operation['x-caracal-capability'])
  if (rbac.verb === undefined) return `<p>Capability <code>${capability}</code></p>`
  const name = `${escaped(rbac.api_group)}/${escaped(rbac.resource)} ${escaped(rbac.verb)}`
  return `<p>Capability <code>${capability}</code>, permission <code>${name}</code></p>`
}

function operationSection(method: string, path: string, operation: Json): string {
  return `<details id="${escaped(operation.operationId)}"><summary><b>${escaped(method.toUpperCase())}</b> <code>${escaped(path)}</code> ${escaped(operation.summary)}</summary>${permission(operation)}${parameters(operation)}${body(operation)}${responses(operation)}</details>`
}

const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
@media(prefers-color-scheme:dark){body{color:#e6e9ec;background:#14171a}a{color:#8ab4f8}td,details{border-color:#343a40!important}}
h2{margin-top:2.5rem}details{border-bottom:1px solid #d9dde1;padding:.4rem 0}summary{cursor:pointer}
table{border-collapse:collapse;width:100%}td{border-bottom:1px solid #eceff1;padding:.25rem .6rem .25rem 0;vertical-align:top}
code{font-size:.92em}small{opacity:.7}nav a{margin-right:.8rem}`

/** The page of a document made by `openApiDocument`. */
export function docsPage({ info, tags: named, paths, components }: OpenApiDocument): string {
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ method, path, operation })),
  )
  const tags = named.map(({ name }) => name)
  const sections = tags.map((tag) => {
    const own = operations.filter(({ operation }) => (operation.tags as readonly string[]).includes(tag))
    const entries = own.map(({ method, path, operation }) => operationSection(method, path, operation))
    return `<h2 id="${escaped(anchorOf(tag))}">${escaped(tag)}</h2>${entries.join('')}`
  })
  const schemas = Object.entries(components.schemas).map(
    ([name, schema]) =>
      `<details id="schema-${escaped(anchorOf(name))}"><summary>${escaped(name)}</summary>${membersOf(schema)}</details>`,
  )
  const nav = tags.map((tag) => `<a href="#${escaped(anchorOf(tag))}">${escaped(tag)}</a>`).join('')
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escaped(info.title)}</title><style>${style}</style></head><body>
<h1>${escaped(info.title)} <small>${escaped(info.version)}</small></h1>
<p>The machine-readable form is <a href="/openapi.json">/openapi.json</a>.</p><nav>${nav}</nav>
${sections.join('\n')}
<h2 id="schemas">Schemas</h2>${schemas.join('')}
</body></html>
`
}
