/**
 * Which `sub` of an external token may become a subject here (sts §5.6 step 5).
 * Compared byte for byte and never normalised: what looks the same must be the same.
 */
const maxBytes = 512

/** Why the value is no subject, or `null` when it is one. */
export function subjectProblem(sub: unknown): string | null {
  if (typeof sub !== 'string' || sub === '') return 'subject_missing'
  if (Buffer.byteLength(sub, 'utf8') > maxBytes) return 'subject_too_long'
  if (sub.startsWith('caracal:')) return 'subject_reserved'
  if (/\p{Surrogate}/u.test(sub)) return 'subject_not_unicode'
  if (sub.trim() !== sub) return 'subject_has_outer_whitespace'
  if (/[\p{Cc}\ufffd\u202a-\u202e\u2066-\u2069]/u.test(sub)) return 'subject_has_forbidden_characters'
  return null
}
