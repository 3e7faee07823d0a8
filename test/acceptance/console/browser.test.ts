/**
 * The console as a person uses it: a real browser, the built server, the program that guided setup hands out
 * (sdk-cli-console §16, checks 61 and 66 to 68). Left out where there is no Chromium.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { startUpstream } from '../../../src/cli/demo/upstream.ts'
import { startCaracal, workingDirectory } from '../../cli/process.ts'
import { launchChromium, noChromium } from '../../fixtures/chromium.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { allPorts } from '../../server/store.ts'
import { activate, type Stage } from '../clients/stage.ts'

vi.setConfig({ testTimeout: 180_000 })

const here = fileURLToPath(new URL('../../../', import.meta.url))

describe.skipIf(noChromium !== null)(noChromium ?? 'in a browser', () => {
  let browser: Browser
  const programs: ChildProcess[] = []
  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterEach(() => {
    for (const program of programs.splice(0)) program.kill('SIGKILL')
  })
  afterAll(() => browser?.close())

  /** Runs `program` in the environment that a page showed; answers what it has printed so far. */
  function run(environment: string, program: string): { output(): string; ended: Promise<unknown> } {
    const child = spawn('sh', ['-c', `${environment}\nexec node --input-type=module -e "$PROGRAM"`], {
      cwd: here,
      env: { PATH: process.env.PATH, CARACAL_CONFIG_HOME: '/nonexistent', PROGRAM: program },
    })
    programs.push(child)
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString()
      })
    return { output: () => output, ended: new Promise((resolve) => child.once('close', resolve)) }
  }

  /** A server of its own, a page on its console, and what went wrong in that page. */
  async function open() {
    const cwd = workingDirectory()
    const { ports, env } = await allPorts()
    const server = startCaracal(['serve'], {
      cwd,
      env: { ...env, CARACAL_PRIVATE_EGRESS_HOSTS: '127.0.0.1' },
    })
    await server.line('ready')
    const context = await browser.newContext()
    const page = await context.newPage()
    page.setDefaultTimeout(15_000)
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('console', (message) => {
      // A refusal is an answer that the pages show; the browser calls it an error.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
        complaints.push(message.text())
    })
    const url = `http://localhost:${ports.console}`
    await page.goto(url)
    const token = readFileSync(join(cwd, '.caracal/secrets/caracalAdminToken'), 'utf8').trim()
    const admin: Stage['admin'] = async (method, path, body) => {
      const answer = await fetch(`http://127.0.0.1:${ports.control}/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      return (await answer.json()) as Record<string, unknown>
    }
    return { server, page, url, token, complaints, admin }
  }

  const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
  /** An entry of the navigation. */
  const place = (page: Page, name: string) =>
    page.getByRole('navigation').getByRole('link', { name, exact: true })
  const heading = (page: Page, name: string | RegExp) => page.getByRole('heading', { name }).first()

  const zoneOf = (page: Page) => new URL(page.url()).pathname.split('/')[3] ?? ''

  async function signIn(page: Page, token: string): Promise<void> {
    await page.getByLabel('Administrator token').fill(token)
    await button(page, 'Sign in').click()
  }

  /** Follows guided setup to its end, as a newcomer does. Answers what it hands out. */
  async function setUp(page: Page, upstream: string) {
    await page.getByLabel('Name your first zone').fill('Payments')
    await button(page, 'Create zone').click()
    await heading(page, 'Guided setup').waitFor()

    await button(page, 'Applications').click()
    await button(page, 'New application').first().click()
    await page.getByLabel('Name').fill('stock-agent')
    await button(page, 'Create').click()
    const secret = await page.locator('.notice pre').innerText()
    await button(page, 'Done').click()

    await place(page, 'Providers').click()
    await button(page, 'New provider').first().click()
    const provider = page.getByRole('dialog')
    await provider.getByLabel('Name', { exact: true }).fill('Stock key')
    await provider.getByLabel('Key', { exact: true }).fill('the-real-key')
    await provider.getByLabel('Header', { exact: true }).fill('X-Api-Key')
    await button(page, 'Create').click()
    await provider.waitFor({ state: 'hidden' })

    await place(page, 'Resources').click()
    await button(page, 'New resource').first().click()
    const resource = page.getByRole('dialog')
    await resource.getByLabel('Name', { exact: true }).fill('Stock')
    await resource.getByLabel('Upstream URL').fill(upstream)
    await resource.getByLabel('Scopes').fill('stock:read')
    await button(page, 'Add an operation').click()
    await resource.getByLabel('Path of operation 1').fill('/items')
    await button(page, 'Create').click()
    await resource.waitFor({ state: 'hidden' })

    await place(page, 'Guided setup').click()
    await page.getByText('A policy that allows it').click()
    const policy = await page.locator('details pre').innerText()
    const [, program = ''] = await page.locator('.snippet pre').allInnerTexts()
    await place(page, 'Policies').click()
    await button(page, 'New policy').first().click()
    await page.getByLabel('Name').fill('stock')
    await page.getByLabel('Document').fill(policy)
    await button(page, 'Create policy').click()
    await heading(page, 'stock').waitFor()
    await activateSet(page)

    await place(page, 'Guided setup').click()
    await button(page, 'Reveal secret').click()
    const environment = page.locator('.snippet pre').first()
    await eventually(async () => (await environment.innerText()).includes(secret))
    return { environment: await environment.innerText(), program, policy }
  }

  async function activateSet(page: Page): Promise<void> {
    await place(page, 'Policies').click()
    await page.getByRole('tab', { name: 'Policy sets' }).click()
    await button(page, 'New policy set').first().click()
    await page.getByRole('dialog').getByLabel('Name').fill('default')
    await button(page, 'Create policy set').click()
    await button(page, 'Choose policies').first().click()
    await button(page, 'Store version').click()
    await button(page, 'Activate').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Activate' }).click()
    await page.getByText('enforcing', { exact: false }).first().waitFor()
  }

  it('checks 66 to 68: from an empty server to the first call, its trace, the end of a session and an approval', async () => {
    await using upstream = await startUpstream('the-real-key')
    const { server, page, url, token, complaints, admin } = await open()
    await signIn(page, 'not the token')
    await page.getByRole('alert').waitFor()
    await signIn(page, token)
    const { environment, program, policy } = await setUp(page, upstream.url)
    for (const name of ['ZONE_ID', 'APPLICATION_ID', 'APP_CLIENT_SECRET', 'APP_RESOURCES'])
      expect(environment).toContain(`export CARACAL_${name}=`)

    const first = run(environment, program)
    await first.ended
    expect(first.output()).toContain('200')
    expect(upstream.received.at(-1)?.headers['x-api-key']).toBe('the-real-key')
    await page.getByText('All done: this zone governs real calls.').waitFor()

    await place(page, 'Audit').click()
    await button(page, 'Group by request').click()
    await page.locator('tbody tr', { hasText: 'Mandate presented → Call through the gateway' }).click()
    const trace = page.getByRole('dialog')
    for (const part of ['Mandate presented', 'Call through the gateway', 'default, version 1', 'stock:read'])
      await trace.getByText(part).first().waitFor()
    await page.goto(`${url}/console`)
    await heading(page, 'Dashboard').waitFor()
    await page.keyboard.press('Control+k')
    await page.keyboard.type('prof')
    await page.keyboard.press('Enter')
    await heading(page, 'Profile').waitFor()

    const looping = run(
      environment,
      `import { Authority, Caracal } from 'caracal/sdk'
      const caracal = new Caracal()
      const work = async () => {
        for (let told = '200'; told === '200'; await new Promise((resolve) => setTimeout(resolve, 100))) {
          told = await caracal.fetch('resource://stock', '/items', { scopes: ['stock:read'] })
            .then(({ status }) => String(status), (error) => 'refused: ' + error.message)
          console.log(told)
        }
      }
      const authority = Authority.narrow('stock:read', { resourceId: 'resource://stock', ttlSeconds: 300 })
      const labels = [process.env.CARACAL_APPLICATION_ID]
      await caracal.session(() => caracal.session(work, { authority, labels }), { labels })
        .catch((error) => console.log('ended: ' + error.message))
      process.exit(0)`,
    )
    await eventually(() => expect(looping.output()).toContain('200') ?? true, { timeoutMs: 15_000 })
    await place(page, 'Sessions').click()
    await page.locator('tbody tr').first().click()
    await button(page, 'Terminate').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Terminate' }).click()
    const clicked = performance.now()
    await looping.ended
    expect(performance.now() - clicked).toBeLessThan(10_000)
    expect(looping.output()).toMatch(/refused|401|403|ended/)

    await activate(
      { admin },
      zoneOf(page),
      `${policy}
risk := [{"scope": "stock:read", "tier": "people"}]
approval_tiers := [{"tier": "people", "approver": "operator", "ttl_seconds": 600, "privacy": "identified"}]
`,
    )
    const waiting = run(
      environment,
      `import { Caracal } from 'caracal/sdk'
      const caracal = new Caracal()
      const answer = await caracal.withApproval((approvalId) =>
        caracal.applicationTransport('resource://stock', { scopes: ['stock:read'], approvalId })(
          caracal.gatewayRequest('resource://stock', '/items').url), { timeoutMs: 60_000 })
      console.log('approved: ' + answer.status)
      await caracal.close()`,
    )
    await place(page, 'Approvals').click()
    await button(page, 'Approve').click()
    await page.getByRole('dialog').getByLabel('Reason (optional)').fill('for the stocktaking')
    await page.getByRole('dialog').getByRole('button', { name: 'Approve' }).click()
    await waiting.ended
    expect(waiting.output()).toContain('approved: 200')

    await button(page, 'Sign out').click()
    await page.getByLabel('Administrator token').waitFor()
    await page.goto(`${url}/console/policies/anything`)
    await page.getByLabel('Administrator token').waitFor()
    expect(complaints).toEqual([])
    for (const secret of [token, 'the-real-key']) expect(JSON.stringify(server.lines())).not.toContain(secret)
  })
})
