/**
 * The Control page as a person uses it: the switch, a key, what it hands out to programs, and a token
 * (sdk-cli-console §13.4). Left out where there is no Chromium.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startCaracal, workingDirectory } from '../../cli/process.ts'
import { launchChromium, noChromium } from '../../fixtures/chromium.ts'
import { allPorts } from '../../server/store.ts'

vi.setConfig({ testTimeout: 120_000 })

const here = fileURLToPath(new URL('../../../', import.meta.url))

/** What a script prints to the end, as a person who pastes it into a shell sees it. */
function shell(script: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-c', script], { cwd: here, env: { PATH: process.env.PATH, ...env } })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString()
      })
    child.once('error', reject)
    child.once('close', () => resolve(output))
  })
}

describe.skipIf(noChromium !== null)(noChromium ?? 'Control, in a browser', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(() => browser?.close())

  const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
  const inDialog = (page: Page, name: string) =>
    page.getByRole('dialog').getByRole('button', { name, exact: true })

  /** A server with these settings, and a page on its console that has a zone. */
  async function open(settings: Readonly<Record<string, string>>) {
    const cwd = workingDirectory()
    const { ports, env } = await allPorts()
    const server = startCaracal(['serve'], { cwd, env: { ...env, ...settings } })
    await server.line('ready')
    const page = await (await browser.newContext()).newPage()
    page.setDefaultTimeout(15_000)
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(error.message))
    await page.goto(`http://localhost:${ports.console}`)
    const token = readFileSync(join(cwd, '.caracal/secrets/caracalAdminToken'), 'utf8').trim()
    await page.getByLabel('Administrator token').fill(token)
    await button(page, 'Sign in').click()
    await page.getByLabel('Name your first zone').fill('Automated')
    await button(page, 'Create zone').click()
    await page.getByRole('navigation').getByRole('link', { name: 'Control', exact: true }).click()
    return { page, complaints, server }
  }

  it('a key is made, lets programs in while the endpoint is on, and ends', async () => {
    const gate = join(workingDirectory(), 'gate')
    const { page, complaints, server } = await open({
      CARACAL_CONTROL_ENABLED: 'true',
      CONTROL_GATE_FILE: gate,
    })
    await page.getByText('No key yet.').waitFor()
    await button(page, 'New key').first().click()
    const form = page.getByRole('dialog')
    await form.getByLabel('Name', { exact: true }).fill('pipeline')
    await inDialog(page, 'Create').click()
    await form.getByText('Choose at least one scope.').waitFor()
    await inDialog(page, 'Reading only').click()
    await form.getByLabel('control:app:write').check()
    await form.getByLabel('control:audit:read').uncheck()
    await form.getByLabel(/^Longest life/).fill('120')
    await inDialog(page, 'Create').click()
    await page.getByRole('dialog', { name: 'pipeline is ready' }).waitFor()
    const [secret = '', environment = '', call = '', program = ''] = await page
      .getByRole('dialog')
      .locator('.snippet pre')
      .allInnerTexts()
    expect(secret).toMatch(/^cs_/)

    expect(await shell(`${environment}\n${call}`)).toContain('"control_disabled"')
    await inDialog(page, 'Done').click()
    await button(page, 'Turn on').click()
    await inDialog(page, 'Turn on').click()
    await button(page, 'Turn off').waitFor()
    expect(existsSync(gate)).toBe(true)
    expect(await shell(`${environment}\n${call}`)).toMatch(/"ok":true.*"name":"pipeline"/)
    const run = `${environment}\nexec node --input-type=module -e "$PROGRAM"`
    expect(await shell(run, { PROGRAM: program })).toContain("name: 'pipeline'")

    await page.getByRole('tab', { name: 'What keys may do' }).click()
    await page.getByLabel('Search').fill('rotate-secret')
    expect(await page.locator('tbody tr').count()).toBe(2)
    await page.getByRole('tab', { name: 'Keys', exact: true }).click()

    await page.locator('tbody tr', { hasText: 'pipeline' }).click()
    await button(page, 'Issue token').click()
    await inDialog(page, 'Nothing').click()
    await page.getByRole('dialog').getByLabel('control:app:read').check()
    await inDialog(page, 'Issue').click()
    await inDialog(page, 'Another one').waitFor()
    const [variable = '', byHand = ''] = await page
      .getByRole('dialog')
      .locator('.snippet pre')
      .allInnerTexts()
    const used = await shell(`${variable}\n${byHand}\n${byHand}`)
    expect(used).toMatch(/"ok":true.*"token_replay"/s)
    await inDialog(page, 'Done').click()

    await button(page, 'Edit').click()
    await page.getByRole('dialog').getByLabel('control:app:write').uncheck()
    await page.getByRole('dialog').getByLabel('Expires (optional)').fill('2020-01-01T10:00')
    await inDialog(page, 'Save').click()
    await page.getByText('expired', { exact: true }).waitFor()
    await expect.poll(() => page.getByText('control:app:write').count()).toBe(0)
    expect(await page.getByText('control:grant:read').count()).toBe(1)
    await button(page, 'Issue token').click()
    await inDialog(page, 'Issue').click()
    await page.getByText('control_token_refused').waitFor()
    await inDialog(page, 'Cancel').click()

    await button(page, 'Archive').click()
    await inDialog(page, 'Archive').click()
    await page.getByText('No key yet.').waitFor()
    await button(page, 'Turn off').click()
    await inDialog(page, 'Turn off').click()
    await button(page, 'Turn on').waitFor()
    expect(existsSync(gate)).toBe(false)
    expect(complaints).toEqual([])
    const token = variable.slice(variable.indexOf('=') + 1)
    for (const hidden of [secret, token]) expect(JSON.stringify(server.lines())).not.toContain(hidden)
  })

  it('a server without Control says how it gets one', async () => {
    const { page, complaints } = await open({})
    await page.getByText('This server does not serve Control.').waitFor()
    expect(await page.locator('.notice .snippet pre').innerText()).toContain(
      'export CARACAL_CONTROL_ENABLED=true\nexport CONTROL_GATE_FILE=',
    )
    expect(await button(page, 'Turn on').count()).toBe(0)
    expect(complaints).toEqual([])
  })
})
