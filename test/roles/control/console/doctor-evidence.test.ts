/** sdk-cli-console §13.4: what the report says of policies and evidence, from the metrics of their roles. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { loadSettings } from '../../../../src/config/load.ts'
import { evidenceChecks } from '../../../../src/roles/control/console/doctor-evidence.ts'
import type { Control } from '../../../../src/roles/control/control.ts'
import { testKeys } from '../../../fixtures/settings.ts'

const counted: Readonly<Record<string, number>> = {
  caracal_sts_opa_compile_errors_total: 0,
  caracal_sts_opa_eval_errors_total: 0,
  caracal_audit_tamper_mismatch_total: 0,
  caracal_audit_tamper_chain_breaks_total: 0,
  caracal_audit_hmac_failures_total: 0,
  caracal_audit_tamper_hmac_failures_total: 0,
  caracal_audit_dlq_size: 0,
  caracal_audit_consumer_lag: 0,
  caracal_audit_stream_undelivered: 0,
}
let server: Server
let exposition: string
let status: number

beforeAll(async () => {
  server = createServer((request, response) => {
    const open = request.headers.authorization === 'Bearer right'
    response.writeHead(open ? status : 401).end(exposition)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterAll(() => server.close())
beforeEach(() => {
  status = 200
  exposition = of({})
})

const of = (changed: Readonly<Record<string, number>>) =>
  Object.entries({ ...counted, ...changed })
    .map(([name, value]) => `# TYPE ${name} gauge\n${name}{worker="1"} ${value}\n${name}{worker="2"} 0\n`)
    .join('')

async function report(env: Readonly<Record<string, string>> = {}) {
  const { port } = server.address() as AddressInfo
  const settings = loadSettings(
    { ...testKeys, CARACAL_MODE: 'dev', CARACAL_SINGLE_PORT: String(port), METRICS_BEARER: 'right', ...env },
    { generateSecrets: false },
  )
  return Promise.all(evidenceChecks({ settings } as Pick<Control, 'settings'>))
}

it('is content with what counts nothing', async () => {
  const checks = await report()
  expect(checks.map(({ check, status }) => `${check} ${status}`)).toEqual([
    'policy compilation ok',
    'policy evaluation ok',
    'audit chain ok',
    'audit signatures ok',
    'audit dead letters ok',
    'audit lag ok',
  ])
})

it.each([
  ['caracal_sts_opa_compile_errors_total', 1, 'policy compilation', 'fail'],
  ['caracal_sts_opa_eval_errors_total', 1, 'policy evaluation', 'warn'],
  ['caracal_audit_tamper_mismatch_total', 1, 'audit chain', 'fail'],
  ['caracal_audit_tamper_chain_breaks_total', 1, 'audit chain', 'fail'],
  ['caracal_audit_hmac_failures_total', 1, 'audit signatures', 'warn'],
  ['caracal_audit_tamper_hmac_failures_total', 1, 'audit signatures', 'warn'],
  ['caracal_audit_dlq_size', 1, 'audit dead letters', 'warn'],
  ['caracal_audit_consumer_lag', 1000, 'audit lag', 'ok'],
  ['caracal_audit_consumer_lag', 1001, 'audit lag', 'warn'],
  ['caracal_audit_stream_undelivered', 1001, 'audit lag', 'warn'],
] as const)('%s at %i', async (metric, value, check, found) => {
  exposition = of({ [metric]: value })
  const checks = await report()
  expect(checks.find((one) => one.check === check)).toMatchObject({
    status: found,
    detail: expect.stringMatching(new RegExp(`^${value} `)),
  })
  expect(checks.filter((one) => one.status !== 'ok')).toHaveLength(found === 'ok' ? 0 : 1)
})

it('says of each check that cannot be made why, as a warning', async () => {
  const details = async (env?: Readonly<Record<string, string>>) => {
    const checks = await report(env)
    expect(checks.map(({ status }) => status)).toEqual(Array(6).fill('warn'))
    return [...new Set(checks.map(({ detail }) => detail))]
  }
  expect(await details({ METRICS_BEARER: 'wrong' })).toEqual([
    'it could not be checked: sts: METRICS_BEARER does not open its metrics',
    'it could not be checked: audit: METRICS_BEARER does not open its metrics',
  ])
  expect(await details({ CARACAL_ROLE: 'control', STS_URL: 'http://127.0.0.1:1' })).toEqual([
    'it could not be checked: sts: it does not answer',
    'it could not be checked: audit: its address is not known here',
  ])
  status = 500
  expect((await details())[0]).toContain('it answers 500')
  status = 200
  exposition = '# nothing\n'
  expect((await details())[0]).toContain('it does not count caracal_sts_opa_compile_errors_total')
})
