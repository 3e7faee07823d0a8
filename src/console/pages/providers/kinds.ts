/** The kinds of providers and the settings of each, as the form asks for them (gateway §22.2). */
import type { Choice } from '../../ui/form.tsx'
import type { ProviderKind } from '../definitions/shapes.ts'

/** What is chosen in the fields that decide which others there are. */
export type Chosen = Readonly<Record<string, string | undefined>>

export interface Field {
  readonly name: string
  readonly label: string
  readonly type: 'text' | 'url' | 'secret' | 'pem' | 'words' | 'pairs' | 'flag' | 'choice'
  readonly hint?: string
  readonly placeholder?: string
  readonly required?: boolean
  /** Sealed by the server; never comes back. */
  readonly sealed?: boolean
  readonly choices?: (chosen: Chosen) => readonly Choice[]
  /** Asked for only then. */
  readonly when?: (chosen: Chosen) => boolean
  readonly advanced?: boolean
}

interface Kind {
  readonly title: string
  /** What the upstream gets. */
  readonly about: string
  readonly fields: readonly Field[]
}

const hosts: Field = {
  name: 'allowed_token_hosts',
  label: 'Only to these hosts',
  type: 'words',
  hint: 'The credential goes nowhere else. Separate hosts by spaces.',
  placeholder: 'api.example.com',
}
const tokenHosts: Field = {
  ...hosts,
  label: 'Token hosts',
  hint: 'Hosts that may be asked for tokens. Left empty, that of the token endpoint.',
  advanced: true,
}
const identity: Field = {
  name: 'forward_caracal_identity',
  label: 'Tell the upstream which application and session calls',
  type: 'flag',
  advanced: true,
}
const injection: Field = {
  name: 'allow_runtime_injection',
  label: 'Workloads of the launcher may get the credential itself (caracal run)',
  type: 'flag',
  advanced: true,
}
const delivery: readonly Field[] = [
  { name: 'auth_header', label: 'Header', type: 'text', placeholder: 'Authorization', advanced: true },
  { name: 'auth_scheme', label: 'Scheme', type: 'text', placeholder: 'Bearer', advanced: true },
]
const tokenParameters: Field = {
  name: 'token_params',
  label: 'More parameters for the token endpoint',
  type: 'pairs',
  hint: 'One name=value a line.',
  advanced: true,
}
const oauthScopes: Field = {
  name: 'scopes',
  label: 'Scopes at the provider',
  type: 'words',
  hint: 'Not those of Caracal. Separate them by spaces.',
}
const client: readonly Field[] = [
  { name: 'token_endpoint', label: 'Token endpoint', type: 'url', required: true },
  { name: 'client_id', label: 'Client id', type: 'text', required: true },
]

const choice = (value: string, label: string): Choice => ({ value, label })
const basic = choice('client_secret_basic', 'Client secret, in the header')
const post = choice('client_secret_post', 'Client secret, in the body')
const signed = choice('private_key_jwt', 'Assertion signed with a private key')
const nothing = choice('none', 'None')

const usesSecret = ({ client_auth_method }: Chosen) =>
  client_auth_method?.startsWith('client_secret_') === true
const isAssertion = ({ grant_type }: Chosen) => grant_type === 'jwt_bearer'
const usesKey = (chosen: Chosen) => isAssertion(chosen) || chosen.client_auth_method === 'private_key_jwt'
const inHeader = ({ auth_location }: Chosen) => auth_location === 'header'

const clientSecret: Field = {
  name: 'client_secret',
  label: 'Client secret',
  type: 'secret',
  sealed: true,
  required: true,
  when: usesSecret,
}

export const kinds: Readonly<Record<ProviderKind, Kind>> = {
  none: {
    title: 'No credential',
    about: 'The upstream needs none, or is within your own network.',
    fields: [],
  },
  api_key: {
    title: 'API key',
    about: 'The gateway puts a key into a header or the query of every call.',
    fields: [
      {
        name: 'auth_location',
        label: 'Where the key goes',
        type: 'choice',
        choices: () => [choice('header', 'A header'), choice('query', 'The query')],
      },
      {
        name: 'header_name',
        label: 'Header',
        type: 'text',
        placeholder: 'X-Api-Key',
        required: true,
        when: inHeader,
      },
      {
        name: 'auth_scheme',
        label: 'Scheme',
        type: 'text',
        placeholder: 'Bearer',
        hint: 'The word before the key, if the upstream wants one.',
        when: inHeader,
      },
      {
        name: 'query_param_name',
        label: 'Parameter',
        type: 'text',
        placeholder: 'api_key',
        required: true,
        when: (chosen) => !inHeader(chosen),
      },
      { name: 'api_key', label: 'Key', type: 'secret', sealed: true, required: true },
      hosts,
      identity,
      injection,
    ],
  },
  bearer_token: {
    title: 'Bearer token',
    about: 'The gateway sends a fixed token, such as a personal access token.',
    fields: [
      {
        name: 'bearer_token',
        label: 'Token',
        type: 'secret',
        sealed: true,
        required: true,
        hint: 'Without “Bearer”.',
      },
      hosts,
      ...delivery,
      identity,
      injection,
    ],
  },
  caracal_mandate: {
    title: 'Caracal mandate',
    about: 'The upstream gets the mandate itself and verifies it, with caracal/verify for example.',
    fields: [],
  },
  http_basic: {
    title: 'User name and password',
    about: 'The gateway signs in with HTTP Basic.',
    fields: [
      { name: 'username', label: 'User name', type: 'text', required: true },
      { name: 'password', label: 'Password', type: 'secret', sealed: true, required: true },
      hosts,
      identity,
    ],
  },
  oauth2_client_credentials: {
    title: 'OAuth, as a service',
    about: 'The server gets tokens with credentials of its own: client credentials or a signed assertion.',
    fields: [
      {
        name: 'grant_type',
        label: 'Grant',
        type: 'choice',
        choices: () => [
          choice('client_credentials', 'Client credentials'),
          choice('jwt_bearer', 'Signed assertion (JWT bearer)'),
        ],
      },
      ...client,
      {
        name: 'client_auth_method',
        label: 'The client proves itself with',
        type: 'choice',
        choices: (chosen) => (isAssertion(chosen) ? [nothing, basic, post] : [basic, post, signed, nothing]),
      },
      clientSecret,
      {
        name: 'private_key',
        label: 'Private key (PEM)',
        type: 'pem',
        sealed: true,
        required: true,
        when: usesKey,
      },
      { name: 'key_id', label: 'Key id', type: 'text', when: usesKey },
      {
        name: 'certificate',
        label: 'Certificate (PEM)',
        type: 'pem',
        when: ({ client_auth_method }) => client_auth_method === 'private_key_jwt',
      },
      {
        name: 'assertion_subject',
        label: 'Subject of the assertion',
        type: 'text',
        hint: 'Whom the service acts for. Left empty, the client id.',
        when: isAssertion,
      },
      { name: 'assertion_audience', label: 'Audience of the assertion', type: 'text', when: isAssertion },
      oauthScopes,
      { name: 'audience', label: 'Audience', type: 'text', when: (chosen) => !isAssertion(chosen) },
      { name: 'resource', label: 'Resource', type: 'text', when: (chosen) => !isAssertion(chosen) },
      tokenHosts,
      tokenParameters,
      ...delivery,
      identity,
      injection,
    ],
  },
  oauth2_authorization_code: {
    title: 'OAuth, for people',
    about: 'Each person connects an account of theirs once; calls for them use it.',
    fields: [
      { name: 'authorization_endpoint', label: 'Authorization endpoint', type: 'url', required: true },
      ...client,
      {
        name: 'redirect_uri',
        label: 'Redirect address',
        type: 'text',
        required: true,
        hint: 'The address of this very route as the provider can reach it; register it there.',
      },
      {
        name: 'client_auth_method',
        label: 'The client proves itself with',
        type: 'choice',
        choices: () => [basic, post, nothing],
      },
      clientSecret,
      oauthScopes,
      { name: 'revocation_endpoint', label: 'Revocation endpoint', type: 'url' },
      tokenHosts,
      {
        name: 'authorization_params',
        label: 'More parameters for the authorization endpoint',
        type: 'pairs',
        hint: 'One name=value a line, such as access_type=offline.',
        advanced: true,
      },
      tokenParameters,
      ...delivery,
      identity,
    ],
  },
}

export const isOAuth = (kind: ProviderKind): boolean => kind.startsWith('oauth2_')

export const kindChoices: readonly Choice[] = Object.entries(kinds).map(([value, { title }]) => ({
  value,
  label: title,
}))
