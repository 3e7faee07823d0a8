/** The gateway's TLS listener (gateway §21): TLS as clients meet it, a certificate that is renewed, the end of the process. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { Hono } from 'hono'
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest'
import { readCertificate, renewCertificate } from '../../src/server/certificate.ts'
import { type Listener, openListener } from '../../src/server/listener.ts'
import { jobContext } from '../fixtures/job-context.ts'
import { certificate, certificateKey } from '../fixtures/tls-server.ts'

/** Serves nothing else. */
const renewed = `-----BEGIN CERTIFICATE-----
MIIBejCCASGgAwIBAgIUXUN8beQ8ppt4s9Peug7Vea3MJI4wCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHUmVuZXdlZDAgFw0yNjExMjIyMzQyNDJaGA8yMTI2MTAyOTIz
NDI0MlowEjEQMA4GA1UEAwwHUmVuZXdlZDBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABLcNVaOuSWrTCyPKSiEaPhzd53MAnrsjGZ9JBi71W+RZTRw3etxk7Lw+Uhw4
SbMVt5rCEHqpe8IXPb7CEMQFR/ujUzBRMB0GA1UdDgQWBBS8/ajP1IoaWtLg4bH7
lzjDiFfQVjAfBgNVHSMEGDAWgBS8/ajP1IoaWtLg4bH7lzjDiFfQVjAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIHqnl8ma3EsTmL1+ZzUl/7iLoInW
ciPJI7Eznago05ZPAiBtKREQfbd1103BIu+RbUg8pRYFp9e7lxuzlAH5yNhjXw==
-----END CERTIFICATE-----
`
const renewedKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgWspLFxeTTPPyeRkB
ViDHkv7EFaPwRpLv8KUYCya7VpmhRANCAAS3DVWjrklq0wsjykohGj4c3edzAJ67
IxmfSQYu9VvkWU0cN3rcZOy8PlIcOEmzFbeawhB6qXvCFz2+whDEBUf7
-----END PRIVATE KEY-----
`

const directory = mkdtempSync(join(tmpdir(), 'caracal-certificate-'))
const files = { TLS_CERT_FILE: join(directory, 'cert.pem'), TLS_KEY_FILE: join(directory, 'key.pem') }
let listener: Listener

beforeEach(async () => {
  writeFileSync(files.TLS_CERT_FILE, certificate)
  writeFileSync(files.TLS_KEY_FILE, certificateKey)
  const tls = readCertificate(files)
  if (tls === null) throw new Error('no certificate')
  const app = new Hono()
  app.all('*', (c) => c.text('served'))
  listener = await openListener({
    name: 'gateway',
    app,
    tls,
    limits: { headerBytes: 16_384, headersTimeoutMs: 500, requestTimeoutMs: 500, keepAliveTimeoutMs: 5000 },
    host: '127.0.0.1',
    port: 0,
    portVariable: 'GATEWAY_PORT',
  })
})
afterEach(() => listener.close(0))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function open(options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: listener.port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    socket.once('secureConnect', () => resolve(socket))
    socket.once('error', reject)
  })
}

async function presented(): Promise<string> {
  const socket = await open()
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return String(subject.CN)
}

function answered(socket: TLSSocket, path: string): Promise<string> {
  return new Promise((resolve) => {
    let seen = ''
    socket.on('data', (chunk) => {
      seen += chunk.toString()
    })
    socket.once('close', () => resolve(seen))
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
  })
}

it('uses what the files hold once both were replaced; what is open goes on', async () => {
  const before = await open()
  const job = renewCertificate(
    files,
    { cert: Buffer.from(certificate), key: Buffer.from(certificateKey) },
    (one) => listener.useCertificate(one),
  )
  await job.run(jobContext())
  expect(await presented()).toBe('Test Upstreams')
  writeFileSync(files.TLS_CERT_FILE, renewed)
  await expect(job.run(jobContext())).rejects.toThrow('TLS_KEY_FILE')
  expect(await presented()).toBe('Test Upstreams')
  writeFileSync(files.TLS_KEY_FILE, renewedKey)
  await job.run(jobContext())
  expect(await presented()).toBe('Renewed')
  expect(await answered(before, '/')).toContain('served')
  await expect(open({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).rejects.toThrow()
})

it('refuses new work while the process leaves', async () => {
  listener.drain()
  const after = await open()
  expect(await answered(after, '/work')).toMatch(/^HTTP\/1\.1 503 /)
  expect(await answered(await open(), '/ready')).toMatch(/^HTTP\/1\.1 200 /)
})
