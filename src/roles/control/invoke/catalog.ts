/**
 * What Control can do (control-api §9.7), as data: each command names the management
 * operation it is and how its flags become that operation's input. Zones, tokens, subject
 * withdrawal and approval decisions are deliberately absent.
 */
import type { Command } from './command.ts'
import {
  byId,
  coordinator,
  documentFlags,
  ensure,
  flag,
  get,
  id,
  idPath,
  list,
  manifestOf,
  members,
  nothing,
  providerBody,
  providerFlags,
  remove,
  resourceBody,
  resourceFlags,
  sessionVerb,
  write,
} from './subcommands.ts'

export const catalog: Readonly<Record<string, Command>> = {
  app: {
    summary: 'Applications',
    delegatesScope: false,
    subcommands: {
      list: list('app', 'listApplications'),
      get: get('app', 'getApplication'),
      create: write('app', 'createApplication', [flag('name', 'Name')], (flags) => ({
        body: { name: flags.required('name'), registration_method: 'managed' },
      })),
      patch: {
        ...write('app', 'updateApplication', [id, flag('name', 'Name')], (flags) => ({
          ...byId(flags),
          body: members({ name: flags.text('name') }),
        })),
        sparesControlKeys: true,
      },
      'rotate-secret': { ...write('app', 'rotateApplicationSecret', [id], byId), sparesControlKeys: true },
      delete: { ...remove('app', 'archiveApplication'), sparesControlKeys: true },
      dcr: write(
        'app',
        'registerApplication',
        [flag('name', 'Name'), flag('expires-in', 'Seconds')],
        (flags) => ({
          body: members({ name: flags.required('name'), expires_in: flags.integer('expires-in') }),
        }),
      ),
    },
  },
  resource: {
    summary: 'Resources',
    delegatesScope: false,
    subcommands: {
      list: list('resource', 'listResources'),
      get: get('resource', 'getResource'),
      create: write('resource', 'createResource', resourceFlags, (flags) => ({ body: resourceBody(flags) })),
      patch: write('resource', 'updateResource', [id, ...resourceFlags], (flags) => ({
        ...byId(flags),
        body: resourceBody(flags),
      })),
      delete: remove('resource', 'archiveResource'),
    },
  },
  'identity-provider': {
    summary: 'Credential providers',
    delegatesScope: false,
    subcommands: {
      list: list('identity-provider', 'listProviders'),
      get: get('identity-provider', 'getProvider'),
      create: write('identity-provider', 'createProvider', providerFlags, (flags) => ({
        body: providerBody(flags),
      })),
      patch: write('identity-provider', 'updateProvider', [id, ...providerFlags], (flags) => ({
        ...byId(flags),
        body: providerBody(flags),
      })),
      delete: remove('identity-provider', 'archiveProvider'),
    },
  },
  policy: {
    summary: 'Policies',
    delegatesScope: false,
    subcommands: {
      list: list('policy', 'listPolicies'),
      get: get('policy', 'getPolicy'),
      create: write(
        'policy',
        'createPolicy',
        [flag('name', 'Name'), flag('description', 'Description'), flag('content', 'Policy document')],
        (flags) => ({
          body: members({
            name: flags.required('name'),
            description: flags.text('description'),
            content: flags.required('content'),
          }),
        }),
      ),
      validate: {
        scope: 'control:policy:read',
        flags: [flag('content', 'Policy document')],
        action: {
          kind: 'call',
          operationId: 'validatePolicy',
          input: (flags) => ({ body: { content: flags.required('content') } }),
        },
      },
      version: write('policy', 'addPolicyVersion', [id, flag('content', 'Policy document')], (flags) => ({
        ...byId(flags),
        body: { content: flags.required('content') },
      })),
      delete: remove('policy', 'archivePolicy'),
    },
  },
  'policy-set': {
    summary: 'Policy sets',
    delegatesScope: false,
    subcommands: {
      list: list('policy-set', 'listPolicySets'),
      get: get('policy-set', 'getPolicySet'),
      create: write(
        'policy-set',
        'createPolicySet',
        [flag('name', 'Name'), flag('description', 'Description')],
        (flags) => ({
          body: members({ name: flags.required('name'), description: flags.text('description') }),
        }),
      ),
      version: write(
        'policy-set',
        'addPolicySetVersion',
        [id, flag('policy-versions', 'Comma list of policy versions, in order')],
        (flags) => ({ ...byId(flags), body: { manifest: manifestOf(flags) } }),
      ),
      activate: write(
        'policy-set',
        'activatePolicySet',
        [id, flag('version', 'Version to activate')],
        (flags) => ({
          ...byId(flags),
          body: { version_id: flags.required('version') },
        }),
      ),
      simulate: {
        scope: 'control:policy-set:read',
        flags: [id, flag('version', 'Version to try'), flag('input', 'JSON input')],
        action: {
          kind: 'call',
          operationId: 'simulatePolicySet',
          input: (flags) => ({
            ...byId(flags),
            body: members({ version_id: flags.required('version'), input: flags.json('input') }),
          }),
        },
      },
      delete: remove('policy-set', 'archivePolicySet'),
    },
  },
  workload: {
    summary: 'Workloads',
    delegatesScope: false,
    subcommands: {
      list: list('workload', 'listWorkloads'),
      get: get('workload', 'getWorkload'),
      create: write('workload', 'createWorkload', [flag('name', 'Name')], (flags) => ({
        body: { name: flags.required('name') },
      })),
      patch: write(
        'workload',
        'updateWorkload',
        [id, flag('name', 'Name'), flag('bindings', 'JSON list of bindings')],
        (flags) => ({
          ...byId(flags),
          body: members({ name: flags.text('name'), bindings: flags.json('bindings') }),
        }),
      ),
      'rotate-secret': write('workload', 'rotateWorkloadSecret', [id], byId),
      delete: remove('workload', 'deleteWorkload'),
    },
  },
  grant: {
    summary: 'Grants',
    delegatesScope: false,
    subcommands: {
      list: {
        scope: 'control:grant:read',
        flags: [
          flag('application-id', 'Application'),
          flag('user-id', 'User'),
          flag('resource-id', 'Resource'),
        ],
        action: {
          kind: 'drain',
          operationId: 'listGrants',
          input: (flags) => ({
            query: members({
              application_id: flags.text('application-id'),
              user_id: flags.text('user-id'),
              resource_id: flags.text('resource-id'),
            }),
          }),
        },
      },
      get: get('grant', 'getGrant'),
      create: write(
        'grant',
        'createGrant',
        [
          flag('application-id', 'Application'),
          flag('user-id', 'User'),
          flag('resource-id', 'Resource'),
          flag('scopes', 'Comma list of scopes'),
        ],
        (flags) => ({
          body: {
            application_id: flags.required('application-id'),
            user_id: flags.required('user-id'),
            resource_id: flags.required('resource-id'),
            scopes: flags.list('scopes') ?? [],
          },
        }),
      ),
      revoke: remove('grant', 'revokeGrant'),
    },
  },
  'authority-record': {
    summary: 'Authority records',
    delegatesScope: false,
    subcommands: {
      list: {
        scope: 'control:authority-record:read',
        flags: [flag('subject', 'Subject'), flag('status', 'Status'), flag('limit', 'Rows')],
        action: {
          kind: 'page',
          operationId: 'listAuthorityRecords',
          input: (flags) => ({
            query: members({
              subject_id: flags.text('subject'),
              status: flags.text('status'),
              limit: flags.text('limit'),
            }),
          }),
        },
      },
    },
  },
  approval: {
    summary: 'Approvals',
    delegatesScope: false,
    subcommands: { list: list('approval', 'listApprovals') },
  },
  audit: {
    summary: 'Evidence',
    delegatesScope: false,
    subcommands: {
      tail: {
        scope: 'control:audit:read',
        flags: [
          flag('since', 'From'),
          flag('until', 'To'),
          flag('decision', 'Decision'),
          flag('event-type', 'Event type'),
          flag('request-id', 'Request'),
          flag('limit', 'Rows'),
        ],
        action: {
          kind: 'page',
          operationId: 'listAuditEvents',
          input: (flags) => ({
            query: members({
              since: flags.text('since'),
              until: flags.text('until'),
              decision: flags.text('decision'),
              event_type: flags.text('event-type'),
              request_id: flags.text('request-id'),
              limit: flags.text('limit'),
            }),
          }),
        },
      },
      admin: {
        scope: 'control:audit:read',
        flags: [flag('limit', 'Rows')],
        action: {
          kind: 'page',
          operationId: 'listAdminActions',
          input: (flags) => ({ query: members({ limit: flags.text('limit') }) }),
        },
      },
    },
  },
  explain: {
    summary: 'Why a request was decided as it was',
    delegatesScope: false,
    subcommands: {
      '': {
        scope: 'control:explain:read',
        flags: [flag('request-id', 'Request'), flag('format', 'Display'), flag('flow', 'Display')],
        action: {
          kind: 'call',
          operationId: 'explainRequest',
          input: (flags) => ({ params: { requestId: flags.required('request-id') } }),
        },
      },
    },
  },
  session: {
    summary: 'Sessions',
    delegatesScope: false,
    subcommands: {
      list: {
        scope: 'control:session:read',
        flags: [],
        action: { kind: 'page', operationId: 'listSessions', input: nothing },
      },
      get: coordinator('session:read', [id], {
        method: 'GET',
        path: (flags) => `agents/${idPath(flags)}`,
        shape: 'session',
      }),
      tree: coordinator('session:read', [id], {
        method: 'GET',
        path: (flags) => `agents/${idPath(flags)}/children`,
        shape: 'tree',
      }),
      suspend: sessionVerb('suspend'),
      resume: sessionVerb('resume'),
      terminate: coordinator('session:delete', [id], {
        method: 'DELETE',
        path: (flags) => `agents/${idPath(flags)}`,
        shape: 'none',
      }),
    },
  },
  delegation: {
    summary: 'Delegations',
    delegatesScope: false,
    subcommands: {
      active: coordinator('delegation:read', [], {
        method: 'GET',
        path: () => 'delegations/active',
        shape: 'delegation-page',
      }),
      inbound: coordinator('delegation:read', [flag('session-id', 'Session')], {
        method: 'GET',
        path: (flags) => `delegations/inbound/${idPath(flags, 'session-id')}`,
        shape: 'delegations',
      }),
      outbound: coordinator('delegation:read', [flag('session-id', 'Session')], {
        method: 'GET',
        path: (flags) => `delegations/outbound/${idPath(flags, 'session-id')}`,
        shape: 'delegations',
      }),
      traverse: coordinator('delegation:read', [id], {
        method: 'GET',
        path: (flags) => `delegations/${idPath(flags)}/traverse`,
        shape: 'delegations',
      }),
      revoke: coordinator('delegation:delete', [id], {
        method: 'PATCH',
        path: (flags) => `delegations/${idPath(flags)}/revoke`,
        shape: 'revocation',
      }),
    },
  },
  state: {
    summary: 'Declarative documents',
    delegatesScope: true,
    subcommands: {
      plan: { scope: null, flags: documentFlags, action: { kind: 'state', mode: 'plan' } },
      verify: { scope: null, flags: documentFlags, action: { kind: 'state', mode: 'verify' } },
      apply: {
        scope: null,
        flags: [
          ...documentFlags,
          flag('dry-run', 'Only compare'),
          flag('idempotency-key', 'Recorded in the evidence'),
        ],
        action: { kind: 'state', mode: 'apply' },
      },
    },
  },
  ensure: {
    summary: 'One object as specified',
    delegatesScope: true,
    subcommands: {
      application: ensure('application'),
      'identity-provider': ensure('identity-provider'),
      resource: ensure('resource'),
      policy: ensure('policy'),
      'policy-set': ensure('policy-set'),
    },
  },
  catalog: {
    summary: 'This catalog',
    delegatesScope: true,
    subcommands: { describe: { scope: null, flags: [], action: { kind: 'describe' } } },
  },
}
