// An MCP server behind mandates of `resource://notes`: reading and writing are different scopes.
import { serve } from '@hono/node-server'
import { createMcpHandler, McpServer, OAuthError, requireBearerAuth } from '@modelcontextprotocol/server'
import { caracalTokenVerifier, requireToolScopes } from 'caracal/mcp'
import { InMemoryRevocationStore } from 'caracal/verify'

const notes = ['the caracal hunts at night']
const text = (value) => ({ content: [{ type: 'text', text: value }] })

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'notes', version: '1.0.0' })
  server.registerTool(
    'read_notes',
    { description: 'Reads all notes' },
    requireToolScopes(['notes:read'], () => text(notes.join('\n'))),
  )
  server.registerTool(
    'clear_notes',
    { description: 'Removes all notes' },
    requireToolScopes(['notes:write'], () => {
      notes.length = 0
      return text('done')
    }),
  )
  return server
})

const gate = requireBearerAuth({
  verifier: caracalTokenVerifier({
    issuer: process.env.CARACAL_STS_URL,
    audience: 'resource://notes',
    zoneId: process.env.CARACAL_ZONE_ID,
    revocations: new InMemoryRevocationStore(),
    toError: (error) => new OAuthError(error.errorCode, error.message),
  }),
})

serve(
  {
    port: Number(process.env.PORT ?? 7003),
    hostname: '127.0.0.1',
    async fetch(request) {
      const authInfo = await gate(request)
      return authInfo instanceof Response ? authInfo : handler.fetch(request, { authInfo })
    },
  },
  ({ port }) => console.log(`listening on ${port}`),
)
