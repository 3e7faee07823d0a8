/** Objects in an S3-compatible store, signed with SigV4, put only when absent (audit-and-events §14.2). */
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { AwsV4Signer } from 'aws4fetch'
import type { Settings } from '../../../config/env.ts'
import type { ArchiveTarget } from './archive-target.ts'

export type S3Settings = Pick<
  Settings,
  | 'AUDIT_EXPORT_S3_BUCKET'
  | 'AUDIT_EXPORT_S3_ENDPOINT'
  | 'AUDIT_EXPORT_S3_REGION'
  | 'AWS_ACCESS_KEY_ID'
  | 'AWS_SECRET_ACCESS_KEY'
  | 'AWS_SESSION_TOKEN'
  | 'AWS_CONTAINER_CREDENTIALS_FULL_URI'
  | 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'
  | 'AWS_CONTAINER_AUTHORIZATION_TOKEN'
>

interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | null
}

const putTimeoutMs = 120_000
const credentialTimeoutMs = 5_000

export function s3Target(settings: S3Settings, bucket: string): ArchiveTarget {
  return {
    async put(key, file, signal) {
      const credentials = await credentialsOf(settings)
      const signer = new AwsV4Signer({
        method: 'PUT',
        url: objectUrl(settings, bucket, key),
        service: 's3',
        region: settings.AUDIT_EXPORT_S3_REGION,
        accessKeyId: credentials.accessKeyId,
        secretAccessKey: credentials.secretAccessKey,
        ...(credentials.sessionToken === null ? {} : { sessionToken: credentials.sessionToken }),
        headers: {
          'content-type': 'application/gzip',
          'if-none-match': '*',
          'x-amz-content-sha256': file.sha256,
        },
      })
      const { method, url, headers } = await signer.sign()
      headers.set('content-length', String(file.bytes))
      const answer = await fetch(url, {
        method,
        headers,
        body: Readable.toWeb(createReadStream(file.path)) as ReadableStream,
        duplex: 'half',
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(putTimeoutMs)]),
      } as RequestInit)
      await answer.body?.cancel()
      if (answer.status === 412) return 'exists'
      if (!answer.ok) throw new Error(`the object store answered ${answer.status}`)
      return 'stored'
    },
  }
}

/** Path style for a store of one's own, virtual host for AWS. */
function objectUrl(settings: S3Settings, bucket: string, key: string): string {
  const { AUDIT_EXPORT_S3_ENDPOINT: endpoint, AUDIT_EXPORT_S3_REGION: region } = settings
  return endpoint === null
    ? `https://${bucket}.s3.${region}.amazonaws.com/${key}`
    : `${endpoint.replace(/\/+$/, '')}/${bucket}/${key}`
}

/** Static keys, else those the container platform hands out. Asked for each file: they expire. */
async function credentialsOf(settings: S3Settings): Promise<Credentials> {
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token } = settings
  if (id !== null && secret !== null) return { accessKeyId: id, secretAccessKey: secret, sessionToken: token }
  const relative = settings.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI
  const uri =
    relative === null ? settings.AWS_CONTAINER_CREDENTIALS_FULL_URI : `http://169.254.170.2${relative}`
  if (uri === null) throw new Error('no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY')
  const bearer = settings.AWS_CONTAINER_AUTHORIZATION_TOKEN
  const answer = await fetch(uri, {
    headers: bearer === null ? {} : { authorization: bearer },
    redirect: 'error',
    signal: AbortSignal.timeout(credentialTimeoutMs),
  })
  if (!answer.ok) throw new Error(`the credentials endpoint answered ${answer.status}`)
  const { AccessKeyId, SecretAccessKey, Token } = (await answer.json()) as Record<string, unknown>
  if (typeof AccessKeyId !== 'string' || typeof SecretAccessKey !== 'string')
    throw new Error('the credentials endpoint answered without keys')
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: typeof Token === 'string' ? Token : null,
  }
}
