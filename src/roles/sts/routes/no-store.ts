/**
 * What answers here is a credential, is about one, or changes from one question to the next:
 * nobody on the way keeps it, refusals included (RFC 6749 §5.1, RFC 7662 §4).
 */
const paths = /^\/(?:oauth\/2|v1\/run|approvals|step-up)\//
const headers = { 'cache-control': 'no-store', pragma: 'no-cache' }

export function keptByNobody(path: string): Readonly<Record<string, string>> | null {
  return paths.test(path) ? headers : null
}
