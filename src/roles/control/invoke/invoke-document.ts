/** Control invoke as the OpenAPI document shows it; the handler is `invoke.ts` (control-api §9). */
import { controlScopes } from './scopes.ts'

const controlError = {
  type: 'object',
  required: ['ok', 'error'],
  properties: {
    ok: { const: false },
    error: {
      type: 'object',
      required: ['code', 'reason'],
      properties: {
        code: { type: 'string' },
        reason: { type: 'string' },
        remediation: { type: 'string' },
      },
    },
  },
} as const

const refusals: Readonly<Record<string, string>> = {
  400: 'invalid',
  401: 'unauthorized, token_replay',
  403: 'denied',
  404: 'not_found',
  409: 'conflict, zone_mismatch',
  413: 'payload_too_large',
  429: 'rate_limited',
  500: 'audit_unavailable',
  501: 'unsupported',
  502: 'upstream',
  503: 'control_disabled',
}

export const controlErrorSchema = controlError

/** The operation object of `POST /v1/control/invoke`. */
export const invokeOperation: Readonly<Record<string, unknown>> = {
  operationId: 'invokeControl',
  tags: ['Control'],
  summary: 'Run one command with a single-use STS token',
  security: [{ controlToken: [] }],
  parameters: [],
  requestBody: {
    required: true,
    content: {
      'application/json': {
        schema: {
          type: 'object',
          required: ['command'],
          properties: {
            command: { type: 'string' },
            subcommand: { type: 'string' },
            flags: { type: 'object' },
            authorized_by: { type: 'string', maxLength: 256 },
            co_author_operator: { type: 'boolean' },
          },
        },
      },
    },
  },
  responses: {
    200: {
      description: 'The command ran',
      content: {
        'application/json': {
          schema: { type: 'object', required: ['ok'], properties: { ok: { const: true }, result: {} } },
        },
      },
    },
    ...Object.fromEntries(
      Object.entries(refusals).map(([status, description]) => [
        status,
        {
          description,
          content: { 'application/json': { schema: { $ref: '#/components/schemas/ControlError' } } },
        },
      ]),
    ),
  },
  'x-caracal-capability': 'none',
  'x-caracal-rbac': { api_group: 'control', resource: 'invoke', verb: 'create' },
  'x-caracal-priority': 'P0',
  'x-caracal-control-scopes': controlScopes,
}
