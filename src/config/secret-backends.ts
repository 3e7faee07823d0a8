/** Where sealed secrets can be kept (storage-and-operations §8.4). */
export const secretBackends = [
  'builtin',
  'vault',
  'infisical',
  'azurekeyvault',
  'awssecretsmanager',
  'gcpsecretmanager',
  'custom',
] as const

export type SecretBackend = (typeof secretBackends)[number]

/** A backend that the settings know and this release cannot use. */
export function missingBackend(kind: SecretBackend): string {
  return `CARACAL_SECRET_BACKEND ${kind} is not part of this release: use builtin`
}
