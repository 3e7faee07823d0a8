/**
 * Compact JWS with ES256, parsed strictly (RFC 7515 §3.1, RFC 7518 §3.4): exactly three
 * canonical base64url parts, `alg` exactly ES256, a `kid`, a 64-byte signature, no
 * `crit`. One spelling per token, so a replay marker or a cache keyed by the text
 * cannot be walked around.
 */

import { type KeyObject, sign, verify } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { isJsonObject } from '../json.ts'

/** Longest bearer accepted anywhere, in characters. */
export const maxTokenLength = 8192

export type Claims = Readonly<Record<string, unknown>>

export interface JwsHeader {
  readonly alg: 'ES256'
  readonly kid: string
  readonly typ?: string
}

/** A well-formed token whose signature has NOT been checked. */
export interface ParsedJws {
  readonly header: JwsHeader
  readonly claims: Claims
  /** Bytes the signature covers. */
  readonly signingInput: Buffer
  readonly signature: Buffer
}

const signatureBytes = 64
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Bytes of a canonical base64url text (no padding, no stray bits, no foreign characters), else null. */
export function decodeBase64url(text: string): Buffer | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return null
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : null
}

function decodeObject(part: string): Record<string, unknown> | null {
  const bytes = decodeBase64url(part)
  if (bytes === null) return null
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes))
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}

function decodeHeader(part: string): JwsHeader | null {
  const header = decodeObject(part)
  if (header === null || header.alg !== 'ES256' || 'crit' in header || 'b64' in header) return null
  const { kid, typ } = header
  if (typeof kid !== 'string' || kid === '') return null
  if (typ === undefined) return { alg: 'ES256', kid }
  return typeof typ === 'string' ? { alg: 'ES256', kid, typ } : null
}

/** Tokens of one key share one header text; a handful of keys sign nearly everything. */
const headers = new LRUCache<string, JwsHeader>({ max: 1024 })
const longestCachedHeader = 256

function headerOf(part: string): JwsHeader | null {
  const known = headers.get(part)
  if (known) return known
  const header = decodeHeader(part)
  if (header !== null && part.length <= longestCachedHeader) headers.set(part, header)
  return header
}

/** The token's parts, or `null` for anything that is not a strict ES256 compact JWS over a JSON object. */
export function parseCompact(token: string): ParsedJws | null {
  if (token.length > maxTokenLength) return null
  const firstDot = token.indexOf('.')
  const lastDot = token.lastIndexOf('.')
  if (firstDot <= 0 || lastDot === firstDot || token.indexOf('.', firstDot + 1) !== lastDot) return null
  const header = headerOf(token.slice(0, firstDot))
  if (header === null) return null
  const signature = decodeBase64url(token.slice(lastDot + 1))
  if (signature === null || signature.length !== signatureBytes) return null
  const claims = decodeObject(token.slice(firstDot + 1, lastDot))
  if (claims === null) return null
  return { header, claims, signature, signingInput: Buffer.from(token.slice(0, lastDot), 'latin1') }
}

/** True when `publicKey` (P-256) made the signature. Synchronous, about 70 µs. */
export function verifySignature(jws: ParsedJws, publicKey: KeyObject): boolean {
  return verify('sha256', jws.signingInput, { key: publicKey, dsaEncoding: 'ieee-p1363' }, jws.signature)
}

/** An opened private key together with everything of the header that never changes. */
export interface Signer {
  readonly kid: string
  /** Compact ES256 JWS over `claims` as `JSON.stringify` writes them. Synchronous, about 30 µs. */
  sign(claims: Claims): string
}

/** A signer for one key; `typ` is the JOSE header type, `JWT` unless told otherwise. */
export function createSigner(kid: string, privateKey: KeyObject, typ = 'JWT'): Signer {
  const header = Buffer.from(JSON.stringify({ alg: 'ES256', kid, typ }), 'utf8').toString('base64url')
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const
  return {
    kid,
    sign(claims) {
      const input = `${header}.${Buffer.from(JSON.stringify(claims), 'utf8').toString('base64url')}`
      return `${input}.${sign('sha256', Buffer.from(input, 'latin1'), key).toString('base64url')}`
    },
  }
}
