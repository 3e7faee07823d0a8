/** Where the static operator token counts (coordinator §2.4); anywhere else it is an invalid mandate. */

const id = '[^/]+'
const zone = `/zones/${id}`
const allowed: readonly (readonly [methods: string, path: RegExp])[] = [
  ['GET', new RegExp(`^${zone}/agents(/${id}(/(children|effective-authority|services))?)?$`)],
  ['PATCH POST', new RegExp(`^${zone}/agents/${id}/(suspend|resume)$`)],
  ['DELETE', new RegExp(`^${zone}/agents/${id}$`)],
  [
    'GET',
    new RegExp(
      `^${zone}/delegations(/active|/inbound/${id}(/${id})?|/outbound/${id}|/${id}/(traverse|impact))?$`,
    ),
  ],
  ['PATCH', new RegExp(`^${zone}/delegations/${id}/revoke$`)],
  ['DELETE', new RegExp(`^${zone}/delegations/${id}$`)],
  ['GET', new RegExp(`^${zone}/(agent-services|invocations)$`)],
  ['POST', new RegExp(`^${zone}/outbox/${id}/requeue$`)],
]

export function operatorMay(method: string, path: string): boolean {
  return allowed.some(([methods, pattern]) => methods.split(' ').includes(method) && pattern.test(path))
}
