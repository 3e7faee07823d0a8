/** The answer that asks a caller to wait for a human (sts §8.3). */
import { CaracalError } from '../../../platform/errors.ts'
import { type Hold, holdInstant } from './hold.ts'

export function interactionRequired(hold: Hold): CaracalError {
  const expiresAt = holdInstant(hold.expires_at)
  return new CaracalError('interaction_required', {
    status: 401,
    message: 'a human must approve this request',
    headers: { 'www-authenticate': 'Bearer error="interaction_required"' },
    body: {
      approval_id: hold.id,
      approval_type: 'human_approval',
      state: hold.state,
      ...(hold.tier === '' ? {} : { tier: hold.tier }),
      binding: hold.binding,
      approval_expires_at: expiresAt,
      // The pre-1.0 names of the same members.
      challenge_id: hold.id,
      challenge_type: 'human_approval',
      challenge_expires_at: expiresAt,
    },
  })
}
