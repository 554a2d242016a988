// Drives a server with the AI SDK over one of its APIs; what it prints last is JSON for the test.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, isStepCount, Output, streamText, tool } from "ai";
import { z } from "zod";

const [, , baseURL, api] = process.argv;
const openai = createOpenAI({ baseURL, apiKey: "none" });
const compatible = createOpenAICompatible({
  name: "glm3edge",
  baseURL,
  apiKey: "none",
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const model = {
  compatible: compatible("chatglm3-6b"),
  chat: openai.chat("chatglm3-6b"),
  responses: openai.responses("chatglm3-6b"),
}[api];

const asked = [];
const getWeather = tool({
  description: "查询城市的天气",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    asked.push(city);
    return { temperature: 22 };
  },
});
const bookTrip = tool({
  description: "预订旅行",
  inputSchema: z.object({
    城市: z.enum(["北京", "上海"]),
    days: z.number().int().min(1).max(9),
    by: z.enum(["火车", "飞机"]).nullable(),
  }),
});

const base = { model, temperature: 0, maxRetries: 0 };
const hello = { ...base, prompt: "你好" };
const weather = {
  ...base,
  tools: { getWeather },
  stopWhen: isStepCount(4),
};
const question = { role: "user", content: "北京的天气怎么样？" };
const trip = {
  ...base,
  prompt: "去北京玩几天？",
  output: Output.object({ schema: bookTrip.inputSchema }),
};

// Errors in a stream are told to `onError` only.
async function streamed(options) {
  let failure;
  const stream = streamText({ ...options, onError: ({ error }) => (failure = error) });
  await stream.consumeStream();
  if (failure) throw failure;
  return stream;
}

const plain = await generateText(hello);
const stream = await streamed(hello);

const loop = await generateText({ ...weather, messages: [question] });
const next = await generateText({
  ...weather,
  messages: [question, ...loop.responseMessages, { role: "user", content: "谢谢" }],
});
const streamedLoop = await streamed({ ...weather, messages: [question] });

const call = await generateText({
  ...base,
  prompt: "去北京玩几天？",
  tools: { bookTrip },
  toolChoice: "required",
});

const structured = await generateText(trip);
const streamedStructured = await streamed(trip);

console.log(
  JSON.stringify({
    plain: plain.text,
    streamed: await stream.text,
    usage: await stream.usage,
    asked,
    answers: [loop.text, await streamedLoop.text],
    next: next.text,
    call: { isInvalid: call.toolCalls[0].invalid ?? false, input: call.toolCalls[0].input },
    structured: structured.output,
    streamedStructured: await streamedStructured.output,
  }),
);
