// Drives a server with OpenAI's client for Node; what it prints last is JSON for the test.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "你好" }];
const base = { model: "any", messages, temperature: 0 };
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "查询城市的天气",
    parameters: {
      type: "object",
      properties: { city: { type: "string", description: "城市", maxLength: 8 } },
      required: ["city"],
    },
  },
};

const plain = await client.chat.completions.create(base);

let streamed = "";
const stream = await client.chat.completions.create({
  ...base,
  stream: true,
  stream_options: { include_usage: true },
});
let usage = null;
for await (const chunk of stream) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}

const asked = { ...base, messages: [{ role: "user", content: "北京的天气怎么样？" }] };
const called = await client.chat.completions
  .stream({ ...asked, tools: [weather], tool_choice: "required" })
  .finalChatCompletion();
const call = called.choices[0].message.tool_calls[0];
const answer = await client.chat.completions.create({
  ...asked,
  tools: [weather],
  messages: [
    ...asked.messages,
    called.choices[0].message,
    { role: "tool", tool_call_id: call.id, content: '{"temperature": 22}' },
  ],
});

const embeddings = await client.embeddings.create({ model: "any", input: ["你好", "世界"] });

let refusal = null;
try {
  await client.chat.completions.create({ ...base, temperature: 9 });
} catch (error) {
  refusal = { isBadRequest: error instanceof OpenAI.BadRequestError, param: error.param };
}

const left = await client.chat.completions.create({ ...base, stream: true });
for await (const _chunk of left) break; // leaving early aborts the request

const response = await client.responses.create({ model: "any", input: "你好", temperature: 0 });

console.log(
  JSON.stringify({
    plain: plain.choices[0].message.content,
    streamed,
    usage,
    call: { name: call.function.name, arguments: call.function.arguments },
    finish_reason: called.choices[0].finish_reason,
    answer: answer.choices[0].message.content,
    lengths: embeddings.data.map((item) => item.embedding.length),
    refusal,
    response: response.output_text,
  }),
);
