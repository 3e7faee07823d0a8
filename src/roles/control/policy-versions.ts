/** Authoring policies: every stored version is a validated document whose exact bytes are hashed (control-api §7.10). */
import { CaracalError } from '../../platform/errors.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { contentSha256, POLICY_SCHEMA_VERSION, validateDocument } from '../../policy/index.ts'
import { type Control, writing } from './control.ts'
import { conflict, found } from './not-found.ts'
import { refuseReserved } from './reserved.ts'
import type { Call } from './route.ts'
import {
  findPolicy,
  insertPolicy,
  insertPolicyVersion,
  lockPolicyNumbering,
  type Policy,
  type PolicyVersion,
  touchPolicy,
} from './store/policies.ts'

/** Throws 422 `invalid_rego` with the reason code of sts §16.3 as its description. */
function requireValidDocument(content: string): void {
  const checked = validateDocument(content)
  if (checked.ok) return
  throw new CaracalError('invalid_rego', {
    status: 422,
    message: checked.code,
    body: { details: { reason: checked.detail } },
  })
}

function newVersion(policyId: string, content: string) {
  return {
    id: uuidv7(),
    policyId,
    content,
    contentSha256: contentSha256(content),
    schemaVersion: POLICY_SCHEMA_VERSION,
  }
}

/** Throws 409 `reserved_namespace`, `policy_name_conflict`; 422 `invalid_rego`. */
export async function createPolicy(
  control: Control,
  call: Call<unknown, unknown>,
  input: { readonly name: string; readonly description?: string | undefined; readonly content: string },
): Promise<{ readonly policy: Policy; readonly version: PolicyVersion }> {
  refuseReserved(call.principal, 'policy_name', input.name)
  requireValidDocument(input.content)
  return writing(control, call, async (tx) => {
    const policy = await insertPolicy(
      tx,
      { id: uuidv7(), zoneId: call.zoneId, name: input.name, description: input.description ?? null },
      call.attribution,
    )
    if (policy === null) throw conflict('policy_name_conflict', 'a policy of this zone has this name')
    const version = await insertPolicyVersion(tx, newVersion(policy.id, input.content), call.attribution)
    return { policy, version }
  })
}

/** Appends a version. Throws 404 `policy_not_found`; 422 `invalid_rego`. */
export async function addPolicyVersion(
  control: Control,
  call: Call<unknown, unknown>,
  content: string,
): Promise<PolicyVersion> {
  return writing(control, call, async (tx) => {
    const policy = found(await findPolicy(tx, call.zoneId, call.id), 'policy_not_found')
    requireValidDocument(content)
    await lockPolicyNumbering(tx, policy.id)
    const version = await insertPolicyVersion(tx, newVersion(policy.id, content), call.attribution)
    await touchPolicy(tx, policy.id, call.attribution)
    return version
  })
}
