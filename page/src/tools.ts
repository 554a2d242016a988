/** Tool definitions, as a request's `tools` has them. */

export type ToolsFault =
  | { kind: "json"; detail: string }
  | { kind: "list" }
  | { kind: "type" | "name" | "parameters" | "twice"; index: number };

/** The list that a text holds (empty for none), or what is wrong with it. */
export function parseTools(text: string): unknown[] | ToolsFault {
  if (!text.trim()) return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { kind: "json", detail: error instanceof Error ? error.message : "" };
  }
  if (!Array.isArray(value)) return { kind: "list" };
  const names = new Set<string>();
  for (const [index, tool] of value.entries()) {
    const fault = faultOf(tool, index, names);
    if (fault) return fault;
  }
  return value;
}

function faultOf(tool: unknown, index: number, names: Set<string>): ToolsFault | null {
  const { type, function: body } = (tool ?? {}) as { type?: unknown; function?: unknown };
  if (type === "code_interpreter") return null;
  if (type !== "function") return { kind: "type", index };
  const { name, parameters } = (body ?? {}) as { name?: unknown; parameters?: unknown };
  if (typeof name !== "string" || !/^[^\r\n]{1,128}$/.test(name)) return { kind: "name", index };
  if (names.has(name)) return { kind: "twice", index };
  names.add(name);
  if (parameters === undefined || parameters === null) return null;
  const isObject = typeof parameters === "object" && !Array.isArray(parameters);
  return isObject ? null : { kind: "parameters", index };
}

export const EXAMPLE = JSON.stringify(
  [
    {
      type: "function",
      function: {
        name: "get_weather",
        description: "Get the weather of a city",
        parameters: {
          type: "object",
          properties: { city: { type: "string", description: "The city" } },
          required: ["city"],
        },
      },
    },
  ],
  null,
  2,
);
