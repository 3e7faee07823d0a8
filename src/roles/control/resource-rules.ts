/** What makes a resource well formed (control-api §7.9, gateway §21): identifier, upstream and operations. */
import { CaracalError } from '../../platform/errors.ts'
import { operationShape } from '../sts/port.ts'

export interface Operation {
  readonly method: string
  readonly path: string
  readonly scope: string
}

const bad = (code: string, message: string) => new CaracalError(code, { status: 400, message })

/** Throws 400 `invalid_resource_identifier` unless `identifier` is an absolute URI without credentials, or the control audience itself. */
export function checkResourceIdentifier(identifier: string, controlAudience: string): void {
  if (identifier === controlAudience) return
  let url: URL
  try {
    url = new URL(identifier)
  } catch {
    throw bad('invalid_resource_identifier', 'the identifier must be an absolute URI')
  }
  if (url.protocol === 'provider:') {
    throw bad('invalid_resource_identifier', 'provider: identifiers name providers, not resources')
  }
  if (url.username !== '' || url.password !== '') {
    throw bad('invalid_resource_identifier', 'the identifier must not contain credentials')
  }
}

/** Refuses at creation what the gateway would refuse at every call (gateway §12.1, §13.3). */
export function isUpstreamUrl(value: string): boolean {
  if (!/^https?:\/\/[^/\\]/i.test(value) || !URL.canParse(value)) return false
  const { username, password, pathname, search } = new URL(value)
  const readable = canDecode(pathname) && canDecode(search) && !search.includes(';')
  return username === '' && password === '' && readable
}

function canDecode(escaped: string): boolean {
  try {
    decodeURIComponent(escaped)
    return true
  } catch {
    return false
  }
}

/** Normalizes operations (upper-case method, trimmed path) and checks them against the declared scopes. */
export function checkOperations(
  operations: readonly Operation[],
  scopes: readonly string[],
): readonly Operation[] {
  const seen = new Set<string>()
  return operations.map((operation) => {
    const method = operation.method.trim().toUpperCase()
    const path = operation.path.trim()
    if (method === '' || path === '') {
      throw bad('operation_method_and_path_required', 'an operation needs a method and a path')
    }
    if (!path.startsWith('/')) throw bad('operation_path_must_be_absolute', 'an operation path starts with /')
    if (!scopes.includes(operation.scope)) {
      throw bad(
        'operation_scope_not_in_resource_scopes',
        'an operation scope must be one of the resource scopes',
      )
    }
    const key = `${method} ${operationShape(path)}`
    if (seen.has(key)) throw bad('operation_duplicate', 'method and path of an operation must be unique')
    seen.add(key)
    return { method, path, scope: operation.scope }
  })
}
