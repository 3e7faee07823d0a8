// An agent that calls an OpenAI-compatible API. The key stays in Caracal: the gateway puts it in.
import { Caracal } from 'caracal/sdk'

const caracal = new Caracal()
// Existing clients take the same function: new OpenAI({ apiKey: 'unused', fetch: openai })
const openai = caracal.applicationTransport('resource://openai', { scopes: ['openai:chat'] })

const { url } = caracal.gatewayRequest('resource://openai', '/v1/chat/completions')
const response = await openai(url, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    model: 'gpt-4o-mini',
    stream: true,
    messages: [{ role: 'user', content: 'Say hello to the caracal.' }],
  }),
})
if (!response.ok) throw new Error(`the model answered ${response.status}`)

let rest = ''
for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + piece).split('\n')
  rest = lines.pop()
  for (const line of lines) {
    if (!line.startsWith('data: ') || line === 'data: [DONE]') continue
    process.stdout.write(JSON.parse(line.slice(6)).choices[0].delta.content ?? '')
  }
}
process.stdout.write('\n')
await caracal.close()
