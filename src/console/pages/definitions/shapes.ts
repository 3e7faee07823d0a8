/** What the management API answers about the things a zone defines (control-api §7.5–7.9). */

interface Defined {
  readonly id: string
  readonly name: string
  readonly created_at: string
  readonly updated_at: string | null
}

export interface Application extends Defined {
  readonly registration_method: 'managed' | 'dcr'
  /** Only for operators of the whole server. */
  readonly traits?: readonly string[]
  readonly expires_at: string | null
  readonly archived_at: string | null
}

export type ProviderKind =
  | 'none'
  | 'api_key'
  | 'bearer_token'
  | 'caracal_mandate'
  | 'http_basic'
  | 'oauth2_client_credentials'
  | 'oauth2_authorization_code'

export interface Provider extends Defined {
  readonly identifier: string
  readonly kind: ProviderKind
  /** The public settings; secrets never come back. */
  readonly config_json: Readonly<Record<string, unknown>>
  readonly secret_config_keys: readonly string[]
  /** Set as well when the connection of an OAuth provider was never tried. */
  readonly connectivity_failed_at: string | null
  readonly archived_at: string | null
}

export interface Operation {
  readonly method: string
  readonly path: string
  readonly scope: string
}

export interface Resource extends Defined {
  readonly identifier: string
  readonly upstream_url: string | null
  readonly scopes: readonly string[]
  readonly credential_provider_id: string
  readonly operations: readonly Operation[]
  readonly operation_enforcement: 'enforced' | 'transport_uniform'
  readonly archived_at: string | null
}

export interface Binding {
  readonly env: string
  readonly resource: string
  readonly scopes?: readonly string[]
  readonly optional?: boolean
  readonly on_failure?: 'warn' | 'error'
}

export interface Workload extends Defined {
  readonly bindings: readonly Binding[]
}

/** What a try of an upstream or of a token endpoint found. */
export interface Check<S extends string> {
  readonly status: S
  readonly detail: string
  readonly checked_at: string
}
