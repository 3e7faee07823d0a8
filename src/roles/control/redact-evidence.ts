/** Hides members of stored evidence on read (audit-and-events §7.3): whole names, any depth, any case. */
const hidden: ReadonlySet<string> = new Set([
  'password',
  'passwd',
  'secret',
  'token',
  'access_token',
  'refresh_token',
  'id_token',
  'api_key',
  'apikey',
  'authorization',
  'cookie',
  'set_cookie',
  'client_secret',
  'private_key',
  'session',
  'session_id',
  'assertion',
])

export function redactEvidence(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redactEvidence)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      hidden.has(name.toLowerCase()) ? '[redacted]' : redactEvidence(member),
    ]),
  )
}
