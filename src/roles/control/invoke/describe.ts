/** The catalog as clients read it (control-api §9.7). */
import { catalog } from './catalog.ts'
import { declarativeKinds } from './command.ts'

/** The catalog as `catalog describe` answers it. */
export function describeCatalog() {
  return {
    commands: Object.entries(catalog).map(([command, { summary, delegatesScope, subcommands }]) => ({
      command,
      summary,
      delegatesScope,
      subcommands: Object.entries(subcommands).map(([subcommand, { scope, flags }]) => ({
        subcommand,
        scope,
        flags: flags.map(([name, text]) => ({ name: `--${name}`, summary: text })),
      })),
    })),
    declarative: {
      kinds: declarativeKinds,
      documentSchema: {
        type: 'object',
        required: ['objects'],
        properties: {
          objects: {
            type: 'array',
            items: {
              type: 'object',
              required: ['kind', 'spec'],
              properties: {
                kind: { enum: declarativeKinds.map((entry) => entry.kind) },
                spec: { type: 'object' },
              },
            },
          },
          prune: { type: 'boolean' },
        },
      },
    },
  }
}
