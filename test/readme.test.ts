/**
 * README.md and the code say the same. `UPDATE_README=1 npx vitest run test/readme.test.ts`
 * rewrites the generated part.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { commands } from '../src/cli/commands.ts'
import { documentVariables } from '../src/config/env.ts'

const path = new URL('../README.md', import.meta.url)
const begin = '<!-- settings:begin -->'
const end = '<!-- settings:end -->'

function settingsTable(): string {
  const rows = documentVariables().map(({ name, secret, default: initial, roles, doc }) => {
    const notes = [secret ? '*secret*' : '', roles.includes('all') ? '' : roles.join(', ')].filter(Boolean)
    const text = notes.length === 0 ? doc : `${doc} (${notes.join('; ')})`
    return `| \`${name}\` | ${cell(initial)} | ${cell(text)} |`
  })
  return [
    begin,
    '<details><summary>All variables</summary>',
    '',
    '| Variable | Default | What it does |',
    '| --- | --- | --- |',
    ...rows,
    '',
    '</details>',
    end,
  ].join('\n')
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

describe('README', () => {
  it('lists every variable as the server declares it', async () => {
    const readme = await readFile(path, 'utf8')
    const [before, rest = ''] = readme.split(begin)
    const after = rest.split(end)[1] ?? ''
    const wanted = `${before}${settingsTable()}${after}`
    if (process.env.UPDATE_README === '1') await writeFile(path, wanted)
    else expect(readme).toBe(wanted)
  })

  it('names every command', async () => {
    const readme = await readFile(path, 'utf8')
    for (const { name } of commands) expect(readme).toContain(`caracal ${name}`)
  })

  it('has commands that survive being pasted: an interactive bash misreads a backquote in a substitution', async () => {
    const readme = await readFile(path, 'utf8')
    const blocks = [...readme.matchAll(/```sh\n(.*?)```/gs)].map((match) => match[1])
    expect(blocks.length).toBeGreaterThan(5)
    for (const block of blocks) expect(block).not.toContain('`')
  })

  it('and docs have commands that mean the same in zsh: no comment behind one, no expansion that is to be split', async () => {
    const docs = new URL('../docs/', import.meta.url)
    const names = (await readdir(docs)).filter((name) => name.endsWith('.md'))
    for (const file of [path, ...names.map((name) => new URL(name, docs))]) {
      const text = await readFile(file, 'utf8')
      for (const [, block = ''] of text.matchAll(/```sh\n(.*?)```/gs)) {
        expect(block).not.toMatch(/ #/)
        for (const [expansion] of block.matchAll(/\$\{[^{}]*\}/g)) expect(expansion).not.toContain(' ')
      }
    }
  })

  it('has a page for operators whose commands exist', async () => {
    const page = await readFile(new URL('../docs/operations.md', import.meta.url), 'utf8')
    expect(await readFile(path, 'utf8')).toContain('(docs/operations.md)')
    const called = [...page.matchAll(/(?:^|`)caracal ([a-z]+)/gm)].map((match) => match[1])
    expect(called.length).toBeGreaterThan(10)
    const names = commands.map((command) => command.name)
    for (const name of called) expect(names).toContain(name)
    const variables = documentVariables().flatMap(({ name }) => [name, `${name}_FILE`])
    for (const [, name = ''] of page.matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`/g)) {
      if (!name.startsWith('NAME_')) expect(variables).toContain(name)
    }
  })
})
