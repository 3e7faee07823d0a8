/** sdk-cli-console §16, checks 56, 57 and 60: the operator's commands against a whole server. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { completeLine, createApiKnowledge } from '../../../src/cli/api/complete.ts'
import { looksSecret } from '../../../src/cli/api/shell.ts'
import { runCaracal, workingDirectory } from '../../cli/process.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { openStage, type Stage } from './stage.ts'

const bin = fileURLToPath(new URL('../../../dist/main.js', import.meta.url))
/** The program that runs another on a terminal of its own, in the form of util-linux. */
const hasTerminal =
  spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true
let stage: Stage
let zoneId: string

beforeAll(async () => {
  stage = await openStage()
  zoneId = String((await stage.admin('POST', '/zones', { name: 'Operators' })).id)
})
afterAll(async () => stage?.[Symbol.asyncDispose]())

const access = () => ({ CARACAL_API_URL: stage.urls.control, CARACAL_ADMIN_TOKEN: stage.adminToken })

function withInput(args: string[], input: string, env: Record<string, string>, cwd = workingDirectory()) {
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    const child = spawn(process.execPath, [bin, ...args], {
      cwd,
      env: { PATH: process.env.PATH, HOME: cwd, ...env },
    })
    const text = { stdout: '', stderr: '' }
    child.stdout.on('data', (chunk) => {
      text.stdout += chunk
    })
    child.stderr.on('data', (chunk) => {
      text.stderr += chunk
    })
    child.on('close', (code) => resolve({ code, ...text }))
    child.stdin.end(input)
  })
}

describe('caracal api', () => {
  it('gives a script the body, and an exit code that tells', async () => {
    const { code, stdout, stderr } = await runCaracal(['api', 'zones'], { env: access() })
    expect(code).toBe(0)
    expect((JSON.parse(stdout) as { items: { id: string }[] }).items.map(({ id }) => id)).toContain(zoneId)
    expect(stderr).toMatch(/^← 200 OK \(\d+ ms\)\n$/)

    const created = await runCaracal(
      ['api', 'POST', `/v1/zones/${zoneId}/applications`, '{"name":"cli","registration_method":"managed"}'],
      { env: access() },
    )
    expect((JSON.parse(created.stdout) as { client_secret: string }).client_secret).toMatch(/^cs_/)
    expect((await runCaracal(['api', 'nope'], { env: access() })).code).toBe(1)
    const away = await runCaracal(['api', 'zones'], {
      env: { ...access(), CARACAL_API_URL: 'http://localhost:1' },
    })
    expect(away).toMatchObject({ code: 2, stdout: '' })
  })

  it('reads a body from stdin or a file, and refuses what is not JSON', async () => {
    const cwd = workingDirectory()
    writeFileSync(join(cwd, 'zone.json'), '{"name":"From a file"}')
    expect((await runCaracal(['api', 'POST', 'zones', '@zone.json'], { env: access(), cwd })).code).toBe(0)
    expect((await withInput(['api', 'POST', 'zones', '-'], '{"name":"From stdin"}', access())).code).toBe(0)
    expect((await runCaracal(['api', 'POST', 'zones', 'nonsense'], { env: access() })).code).toBe(1)
  })

  it('56: sends the token nowhere else', async () => {
    for (const path of ['https://elsewhere.example/', '//elsewhere.example/', 'file:///etc/passwd']) {
      const { code, stderr } = await runCaracal(['api', path], { env: access() })
      expect(code).toBe(1)
      expect(stderr).toContain('another origin')
    }
  })
})

describe('57: caracal auth', () => {
  it('saves a good token for its owner only, and a bad one not at all', async () => {
    const cwd = workingDirectory()
    const env = { CARACAL_CONFIG_HOME: join(cwd, 'config'), CARACAL_API_URL: stage.urls.control }
    const file = join(cwd, 'config', 'auth.json')
    const bad = await withInput(['auth', 'login', '--token', '-'], 'wrong\n', env, cwd)
    expect(bad.code).toBe(1)
    expect(existsSync(file)).toBe(false)
    const missing = await withInput(['auth', 'status'], '', env, cwd)
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('not logged in') })

    const good = await withInput(['auth', 'login', '--token', '-'], stage.adminToken, env, cwd)
    expect(good.stderr + good.code).toBe('0')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect((await withInput(['auth', 'status'], '', env, cwd)).code).toBe(0)
    expect((await withInput(['api', 'zones'], '', env, cwd)).code).toBe(0)

    // The saved token is for its server: another one does not get it.
    const other = { ...env, CARACAL_API_URL: 'http://localhost:1' }
    expect((await withInput(['auth', 'status'], '', other, cwd)).stderr).toContain('not logged in')
    const down = await withInput(['auth', 'status'], '', { ...other, CARACAL_ADMIN_TOKEN: 'x' }, cwd)
    expect(down).toMatchObject({ code: 1, stderr: expect.stringContaining('cannot be reached') })
    const invalid = await withInput(['auth', 'status'], '', { ...env, CARACAL_ADMIN_TOKEN: 'x' }, cwd)
    expect(invalid).toMatchObject({ code: 1, stderr: expect.stringContaining('does not accept') })
    const json = await withInput(['auth', 'status', '--json'], '', env, cwd)
    expect(JSON.parse(json.stdout)).toMatchObject({ status: 'valid', server: stage.urls.control })
    expect((await withInput(['auth', 'logout'], '', env, cwd)).code).toBe(0)
    expect(existsSync(file)).toBe(false)
  })
})

describe('56: caracal shell', () => {
  it('runs lines from a pipe and stops at the first that fails', async () => {
    const good = await withInput(
      ['shell'],
      `/zone ${zoneId}\n/api zones/{zone}/applications\n/quit\n/api nope\n`,
      access(),
    )
    expect(good.code).toBe(0)
    expect(good.stdout).toContain(`→ GET /v1/zones/${zoneId}/applications`)
    expect(good.stdout).toContain('← 200 OK')
    expect(good.stdout).toContain('"items": [')
    expect((await withInput(['shell'], '/api nope\n/api zones\n', access())).code).toBe(1)
    expect((await withInput(['shell'], '/api https://elsewhere.example/\n', access())).code).toBe(1)
  })

  it('keeps a body with spaces whole', async () => {
    const { code, stdout } = await withInput(
      ['shell'],
      '/api POST zones {"name":  "Two  spaces"}\n',
      access(),
    )
    expect(code).toBe(0)
    expect(stdout).toContain('"Two  spaces"')
  })

  it('completes commands, methods, paths of the server and zones', async () => {
    const known = createApiKnowledge(() => ({
      server: stage.urls.control,
      token: stage.adminToken,
      source: 'test',
    }))
    const complete = async (line: string) => (await completeLine(line, known))[0]
    expect(await complete('/a')).toEqual(['/api'])
    expect(await complete('/api GET /v1/zo')).toEqual(['/v1/zones'])
    expect(await complete('/api P')).toEqual(expect.arrayContaining(['POST', 'PUT', 'PATCH']))
    expect(await complete('/api GET zones/{zone}/app')).toEqual([
      'zones/{zone}/applications',
      'zones/{zone}/approvals',
    ])
    expect(await complete(`/zone ${zoneId.slice(0, 20)}`)).toEqual([zoneId])
  })

  /** The shell on a terminal of its own. */
  async function openTerminal(cwd: string, env: Record<string, string>) {
    const shell = spawn('script', ['-qec', `"${process.execPath}" "${bin}" shell`, '/dev/null'], {
      cwd,
      env: { PATH: process.env.PATH, HOME: cwd, TERM: 'xterm', ...env },
    })
    let screen = ''
    shell.stdout.on('data', (chunk) => {
      screen += chunk
    })
    const ended = new Promise((resolve) => shell.once('close', resolve))
    await eventually(() => (screen.includes('caracal> ') ? true : null), { timeoutMs: 10_000 })
    return {
      screen: () => screen,
      /** Types, and waits for what the terminal then shows. */
      async type(keys: string, shown: string) {
        const from = screen.length
        shell.stdin.write(keys)
        await eventually(() => (screen.slice(from).includes(shown) ? true : null), {
          timeoutMs: 10_000,
        }).catch(() => {
          throw new Error(`${JSON.stringify(keys)} did not show ${shown}: ${screen.slice(from)}`)
        })
      },
      /** Ctrl-D; answers the exit code. */
      leave() {
        shell.stdin.write('\x04')
        return ended
      },
    }
  }

  it.skipIf(!hasTerminal)(
    '56: on a terminal Tab completes, Ctrl-C clears the line, Ctrl-D leaves with 0',
    async () => {
      const { type, leave } = await openTerminal(workingDirectory(), access())
      await type('/api zones\r', '← 200 OK')
      await type('/api GET /v1/zo\t', '/v1/zones')
      await type('\x03', '/quit leaves the shell')
      await type('/api https://elsewhere.example/\r', 'the token is not sent to another origin')
      await type('/whoami\r', `at ${stage.urls.control}`)
      expect(await leave()).toBe(0)
    },
  )

  it.skipIf(!hasTerminal)('takes the token of /login without showing or keeping it', async () => {
    const cwd = workingDirectory()
    const config = join(cwd, 'config')
    const { type, leave, screen } = await openTerminal(cwd, { CARACAL_CONFIG_HOME: config })
    const { control } = stage.urls
    await type(`/login --server ${control}\r`, 'Admin token: ')
    await type('\x03', 'nothing was given')
    await type(`/login --server ${control}\r`, 'Admin token: ')
    await type(`${stage.adminToken}\r`, `logged in to ${control}`)
    // In one go, as pasted.
    await type(`/login --server ${control}\r${stage.adminToken}\r`, `logged in to ${control}`)
    await type('\x1b[A', `/login --server ${control}`)
    await type('\x15/whoami\r', `at ${control}`)
    await type(`/login --user bob --server ${control}\r`, 'Password: ')
    await type('wrong-and-hidden\r', 'refuses the login')
    await type('/api zones\r', '← 200 OK')
    expect(await leave()).toBe(0)
    const written = readFileSync(join(config, 'history'), 'utf8')
    expect(written).toContain('/whoami')
    for (const secret of [stage.adminToken, 'wrong-and-hidden'])
      expect(screen() + written).not.toContain(secret)
  })

  it('takes the token of /login from the next line of a pipe', async () => {
    const cwd = workingDirectory()
    const env = { CARACAL_CONFIG_HOME: join(cwd, 'config'), CARACAL_API_URL: stage.urls.control }
    const done = await withInput(['shell'], `/login\n${stage.adminToken}\n/api zones\n`, env, cwd)
    expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('← 200 OK') })
  })

  it('does not write secrets into its history', () => {
    expect(looksSecret('/api POST zones/z/providers {"config_json":{"api_key":"x"}}')).toBe(true)
    expect(looksSecret('/api zones')).toBe(false)
  })
})

it('60: completion scripts are scripts', async () => {
  const { code, stdout } = await runCaracal(['completion', 'bash'])
  expect(code).toBe(0)
  expect(spawnSync('bash', ['-n'], { input: stdout }).status).toBe(0)
  const offered = (...words: string[]) =>
    spawnSync('bash', [
      '-c',
      `${stdout}\nCOMP_WORDS=(caracal ${words.join(' ')} ''); COMP_CWORD=${words.length + 1}; _caracal; echo "\${COMPREPLY[@]}"`,
    ]).stdout.toString()
  expect(offered('serve', '--role')).toContain('gateway')
  expect(offered('status', '--role')).toContain('gateway')
  expect(offered('audit')).toContain('verify verify-receipt')
  for (const shell of ['zsh', 'fish', 'powershell'])
    expect((await runCaracal(['completion', shell])).code).toBe(0)
  expect((await runCaracal(['completion', 'tcsh'])).code).toBe(1)
})
