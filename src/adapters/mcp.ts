/**
 * `caracal/mcp`: mandates as the access tokens of an MCP server. Depends on no MCP package:
 * what it gives has the shape that their bearer middleware asks for.
 */
import type { AuthError, AuthErrorCode } from '../verify/auth-error.ts'
import { httpStatusForAuthError } from '../verify/auth-error.ts'
import type { Claims, Requirements } from '../verify/claims.ts'
import { type VerifierSource, verifierOf } from '../verify/fetch-standard.ts'
import type { MandateVerifier } from '../verify/mandate-verifier.ts'

/** `AuthInfo` of the MCP SDK. */
export interface McpAuthInfo {
  readonly token: string
  readonly clientId: string
  readonly scopes: string[]
  /** Epoch seconds. */
  readonly expiresAt: number
  readonly extra: { readonly caracal: Claims }
}

export interface CaracalTokenVerifier {
  /** Throws `McpAuthError`, or what `toError` makes of it. */
  verifyAccessToken(token: string): Promise<McpAuthInfo>
}

/** The mandate is not acceptable; `errorCode` is the OAuth error that MCP middleware understands. */
export class McpAuthError extends Error {
  override readonly name: string = 'McpAuthError'
  readonly code: AuthErrorCode
  readonly hint: string | undefined
  readonly status: 401 | 403
  readonly errorCode: 'invalid_token' | 'insufficient_scope'

  constructor({ code, description, hint, cause }: AuthError) {
    super(description, cause === undefined ? undefined : { cause })
    this.code = code
    this.hint = hint
    this.status = httpStatusForAuthError(code)
    this.errorCode = this.status === 403 ? 'insufficient_scope' : 'invalid_token'
  }
}

export interface TokenVerifierOptions {
  /** The error to throw, such as `(e) => new OAuthError(e.errorCode, e.message)` of the MCP package in use. */
  readonly toError?: ((error: McpAuthError) => Error) | undefined
}

/** For the bearer middleware of an MCP server: `requireBearerAuth({ verifier: caracalTokenVerifier(…) })`. */
export function caracalTokenVerifier(
  source: VerifierSource & TokenVerifierOptions,
  route?: Requirements,
): CaracalTokenVerifier {
  const verifier = verifierOf(source)
  return {
    async verifyAccessToken(token) {
      const result = await verifier.authenticate(token, route)
      if (!result.ok) {
        const error = new McpAuthError(result.error)
        throw source.toError?.(error) ?? error
      }
      const claims = result.principal
      return {
        token,
        clientId: claims.clientId,
        scopes: claims.scope.split(' ').filter((scope) => scope !== ''),
        expiresAt: claims.expiresAt,
        extra: { caracal: claims },
      }
    },
  }
}

type ToolArguments = readonly unknown[]

/**
 * A tool's callback that only runs with all `scopes`; otherwise the tool (not the request)
 * fails, in MCP's own shape for a failed tool.
 */
export function requireToolScopes<A extends ToolArguments, R>(
  scopes: readonly string[],
  callback: (...args: A) => R | Promise<R>,
): (...args: A) => Promise<R | ToolRefusal> {
  return async (...args) => {
    const held = new Set(authInfoOf(args)?.scopes ?? [])
    const missing = scopes.find((scope) => !held.has(scope))
    if (missing === undefined) return callback(...args)
    const text = `insufficient_scope: this tool needs the scope ${missing}`
    return { isError: true, content: [{ type: 'text', text }] }
  }
}

/** A type and no interface: the results of MCP tools are open, and no interface is assignable to that. */
export type ToolRefusal = {
  isError: true
  content: { type: 'text'; text: string }[]
}

/** The last argument of a tool callback is its context; where it keeps the caller's token differs by version. */
function authInfoOf(args: ToolArguments): { readonly scopes?: readonly string[] } | undefined {
  const context = args.at(-1) as
    | {
        readonly authInfo?: { scopes?: string[] }
        readonly http?: { readonly authInfo?: { scopes?: string[] } }
      }
    | undefined
  return context?.authInfo ?? context?.http?.authInfo
}

export class FastMcpAuthError extends McpAuthError {
  override readonly name = 'FastMcpAuthError'
}

/** For FastMCP's `authenticate`. Throws `FastMcpAuthError`. */
export async function verifyFastMcpToken(
  token: string,
  source: VerifierSource | MandateVerifier,
  route?: Requirements,
): Promise<{ readonly sub: string; readonly zoneId: string; readonly scope: string }> {
  const verifier = 'authenticate' in source ? source : verifierOf(source)
  const result = await verifier.authenticate(token, route)
  if (!result.ok) throw new FastMcpAuthError(result.error)
  const { sub, zoneId, scope } = result.principal
  return { sub, zoneId, scope }
}

/** RFC 9728: what an MCP client reads at `/.well-known/oauth-protected-resource`. */
export function protectedResourceMetadata(options: {
  readonly resource: string
  readonly issuer: string
  readonly scopes?: readonly string[] | undefined
  readonly name?: string | undefined
}): Readonly<Record<string, unknown>> {
  return {
    resource: options.resource,
    authorization_servers: [options.issuer],
    bearer_methods_supported: ['header'],
    ...(options.scopes === undefined ? {} : { scopes_supported: options.scopes }),
    ...(options.name === undefined ? {} : { resource_name: options.name }),
  }
}
