"""Texts: what the chat says, in English and Chinese."""

import locale
import os
from collections.abc import Mapping

LANGUAGES = ("en", "zh")

TEXTS: dict[str, tuple[str, str]] = {
    "loading": ("loading {model} ...", "正在加载 {model} ……"),
    "asking": ("asking {url} ...", "正在连接 {url} ……"),
    "demo": ("the built-in demo", "自带的演示模型"),
    "ready": (
        "{model}, {size} tokens of context. /help shows the commands, Ctrl-D leaves.",
        "{model}，上下文 {size} 个 token。输入 /help 查看命令，按 Ctrl-D 退出。",
    ),
    "ready_unknown": (
        "{model}. /help shows the commands, Ctrl-D leaves.",
        "{model}。输入 /help 查看命令，按 Ctrl-D 退出。",
    ),
    "reading": (
        "reading {count} tokens, {seconds} s",
        "正在读取 {count} 个 token，已用 {seconds} 秒",
    ),
    "waiting": ("waiting, {seconds} s", "等待中，已用 {seconds} 秒"),
    "error": ("error: {error}", "错误：{error}"),
    "kept": (
        "The conversation is kept; /regenerate sends the last message again.",
        "对话已保留；输入 /regenerate 可重新发送上一条消息。",
    ),
    "stopped": ("(stopped)", "（已停止）"),
    "cut_context": (
        "(cut off: the context of {size} tokens is full; /reset starts anew)",
        "（被截断：{size} 个 token 的上下文已满；输入 /reset 重新开始）",
    ),
    "cut_limit": (
        "(cut off after {count} tokens, as max_tokens says)",
        "（已按 max_tokens 的设置在 {count} 个 token 处截断）",
    ),
    "cut": ("(cut off at the limit of tokens)", "（已达到 token 上限，被截断）"),
    "too_long": (
        (
            "Too long, not sent: {count} tokens with the conversation so far, and the "
            "context holds {size}. Send less, forget the conversation with /reset, or let its "
            "oldest part be left out with /set truncation auto."
        ),
        (
            "太长，未发送：连同此前的对话共 {count} 个 token，而上下文只有 {size} 个。请缩短内容，"
            "或用 /reset 清空对话，或用 /set truncation auto 自动略去最早的部分。"
        ),
    ),
    "too_long_reply": (
        (
            "Too long, not sent: {count} tokens and {wanted} for the reply (max_tokens), and the "
            "context holds {size}. Send less, set a smaller max_tokens, or forget the conversation "
            "with /reset."
        ),
        (
            "太长，未发送：提示共 {count} 个 token，回复还要 {wanted} 个（max_tokens），而上下文"
            "只有 {size} 个。请缩短内容，减小 max_tokens，或用 /reset 清空对话。"
        ),
    ),
    "leave_hint": ("Ctrl-C again or Ctrl-D leaves.", "再按一次 Ctrl-C 或按 Ctrl-D 退出。"),
    "unknown_command": (
        (
            "There is no command /{name}{nearest}. /help shows them all. (A space in front sends "
            "the line as it is.)"
        ),
        "没有 /{name} 这个命令{nearest}。输入 /help 查看全部。（行首加空格可原样发送。）",
    ),
    "nearest": (" (is /{name} meant?)", "（是不是 /{name}？）"),
    "needs_argument": ("/{name} needs {what}", "/{name} 后面要写 {what}"),
    "takes_no_argument": ("/{name} takes nothing after it", "/{name} 后面不写内容"),
    "system_is": ("system prompt: {text}", "系统提示：{text}"),
    "no_system": ("There is no system prompt.", "没有系统提示。"),
    "tools_are": ("tools: {names}", "工具：{names}"),
    "no_tools": ("There are no tools.", "没有工具。"),
    "saved": ("saved {count} messages to {path}", "已保存 {count} 条消息到 {path}"),
    "loaded": ("loaded {count} messages from {path}", "已从 {path} 载入 {count} 条消息"),
    "was_reset": ("The conversation is forgotten.", "对话已清空。"),
    "undone": ("taken back: {text}", "已撤回：{text}"),
    "nothing_yet": ("Nothing has been said yet.", "还没有对话。"),
    "model_is": ("model: {model}", "模型：{model}"),
    "models_are": ("There is no model {name} here, but: {names}", "没有模型 {name}，可选：{names}"),
    "set_is": ("{name} = {value}", "{name} = {value}"),
    "set_default": ("{name}: default", "{name}：默认"),
    "none_set": (
        "Nothing is set. Settings: {names}",
        "没有改动任何设置。可设置：{names}",
    ),
    "stats_prompt": (
        "prompt    {count} tokens, {cached} of them in memory already",
        "提示      {count} 个 token，其中 {cached} 个已在内存中",
    ),
    "stats_prompt_only": ("prompt    {count} tokens", "提示      {count} 个 token"),
    "stats_reply": ("reply     {count} tokens", "回复      {count} 个 token"),
    "stats_speed": (
        "speed     {speed:.1f} tokens/s, first after {first:.2f} s",
        "速度      {speed:.1f} token/秒，首个 token 用时 {first:.2f} 秒",
    ),
    "stats_first": ("first     after {first:.2f} s", "首个 token 用时 {first:.2f} 秒"),
    "stats_context": (
        "context   {used} of {size} tokens used ({percent} %)",
        "上下文    已用 {used}/{size} 个 token（{percent}%）",
    ),
    "stats_total": (
        "so far    {count} replies, {prompt} tokens read, {completion} written",
        "累计      {count} 次回复，读取 {prompt} 个 token，写出 {completion} 个",
    ),
    "call": ("call", "调用"),
    "ask_run": ("run it? [y/N/a(lways)] ", "运行吗？[y 是/N 否/a 总是] "),
    "ask_result": ("result of {name}> ", "{name} 的结果> "),
    "ask_result_help": (
        "The model calls a tool. Type its result; Ctrl-C gives up the call.",
        "模型要调用工具。请输入结果；按 Ctrl-C 放弃这次调用。",
    ),
    "given_up": ("The call is given up.", "已放弃这次调用。"),
    "running": ("running {name}", "正在运行 {name}"),
    "result": ("result", "结果"),
    "ask_more": (
        "{count} rounds of calls; go on? [y/N] ",
        "已连续调用 {count} 轮；继续吗？[y 是/N 否] ",
    ),
    "help_system": ("set the system prompt; none takes it away", "设置系统提示；none 取消"),
    "help_tools": (
        "offer the tools of a JSON file; none takes them away",
        "载入 JSON 文件中的工具；none 取消",
    ),
    "help_save": ("save the conversation", "保存对话"),
    "help_load": ("go on with a saved conversation", "载入保存的对话"),
    "help_stats": ("tokens and speed of the last reply", "上一次回复的 token 数和速度"),
    "help_reset": (
        "forget the conversation; system prompt and settings stay",
        "清空对话，保留系统提示和设置",
    ),
    "help_model": ("show or choose the model or adapter", "查看或选择模型、适配器"),
    "help_set": (
        "how to reply: temperature, max_tokens ...; default takes it back",
        "设置 temperature、max_tokens 等；default 恢复默认",
    ),
    "help_regenerate": ("reply to the last message again", "重新回复上一条消息"),
    "help_undo": ("take back the last message and its reply", "撤回上一条消息及其回复"),
    "help_help": ("this list", "本列表"),
    "help_exit": ("leave", "退出"),
    "help_keys": (
        (
            "Alt-Enter, Ctrl-J or a \\ at the end of a line goes on in the next one, and so does a "
            'message that begins with """, up to the next """. Ctrl-C stops a reply or clears the '
            "line. Lines that begin with a space are not kept in the history."
        ),
        (
            '按 Alt-Enter、Ctrl-J，或在行末写 \\ 可换行继续；以 """ 开头的消息到下一个 """ 为止。'
            "Ctrl-C 停止回复或清空输入行。以空格开头的行不记入历史。"
        ),
    ),
}
"""Each text in English and in Chinese."""


class Texts:
    """The texts in one language."""

    def __init__(self, language: str) -> None:
        """In ``language``, one of ``LANGUAGES``."""
        self.language = language
        self._column = LANGUAGES.index(language)

    def __call__(self, key: str, **fields: object) -> str:
        """The text ``key`` with its fields filled in."""
        return TEXTS[key][self._column].format(**fields)


def user_language(environment: Mapping[str, str] = os.environ) -> str:
    """The language of the user's locale; English if it is neither of ours."""
    names = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    name = next(filter(None, names), None) or locale.getlocale()[0] or ""
    return "zh" if name.lower().startswith(("zh", "chinese")) else "en"
