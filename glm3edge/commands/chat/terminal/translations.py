"""Texts of the chat's interface, in English and Chinese."""

import locale
import os
import string
from collections.abc import Mapping
from typing import Any

from glm3edge_convert.counts import counted

LANGUAGES = ("en", "zh")

TEXTS: dict[str, tuple[str, str]] = {
    "loading": ("loading {model} ...", "正在加载 {model} ……"),
    "asking": ("asking {url} ...", "正在连接 {url} ……"),
    "demo": ("the built-in demo", "自带的演示模型"),
    "ready": (
        "{model}, {size} tokens of context. /help lists the commands, Ctrl-D exits.",
        "{model}，上下文 {size} 个词元。输入 /help 查看命令，按 Ctrl-D 退出。",
    ),
    "ready_unknown": (
        "{model}. /help lists the commands, Ctrl-D exits.",
        "{model}。输入 /help 查看命令，按 Ctrl-D 退出。",
    ),
    "reading": (
        "reading {count:token|tokens}, {seconds} s",
        "正在处理 {count} 个词元的提示词，已用 {seconds} 秒",
    ),
    "waiting": ("waiting, {seconds} s", "已等待 {seconds} 秒"),
    "error": ("error: {error}", "错误：{error}"),
    "kept": (
        "The conversation is kept; /regenerate sends the last message again.",
        "对话已保留；输入 /regenerate 可重新发送上一条消息。",
    ),
    "stopped": ("(stopped)", "（已停止）"),
    "cut_context": (
        "(cut off: the context of {size} tokens is full; /reset starts a new conversation)",
        "（回复被截断：{size} 个词元的上下文已满；输入 /reset 重新开始）",
    ),
    "cut_limit": (
        "(cut off after {count:token|tokens}, the limit of max_tokens)",
        "（已达到 max_tokens 设置的 {count} 个词元，回复被截断）",
    ),
    "cut": ("(cut off at the token limit)", "（已达到词元上限，回复被截断）"),
    "too_long": (
        (
            "This is too long and was not sent: it makes {count} tokens with the conversation so "
            "far, and the context holds {size}. Shorten it, clear the conversation with /reset, "
            "or leave out its oldest part with /set truncation auto."
        ),
        (
            "内容太长，未发送：连同此前的对话共 {count} 个词元，而上下文只能容纳 {size} 个。"
            "请缩短内容，或用 /reset 清空对话，或用 /set truncation auto 自动略去最早的部分。"
        ),
    ),
    "too_long_reply": (
        (
            "This is too long and was not sent: it has {count} tokens, the reply needs {wanted} "
            "(max_tokens), and the context holds {size}. Shorten it, set a smaller max_tokens, or "
            "clear the conversation with /reset."
        ),
        (
            "内容太长，未发送：提示词有 {count} 个词元，回复要留 {wanted} 个（max_tokens），"
            "而上下文只能容纳 {size} 个。请缩短内容、调小 max_tokens，或用 /reset 清空对话。"
        ),
    ),
    "leave_hint": ("Ctrl-C again or Ctrl-D exits.", "再按一次 Ctrl-C 或按 Ctrl-D 退出。"),
    "unknown_command": (
        (
            "There is no command /{name}{nearest}. /help lists the commands. (A space in front "
            "sends the line as a message.)"
        ),
        "没有 /{name} 这个命令{nearest}。输入 /help 查看全部命令。（行首加空格可作为消息发送。）",
    ),
    "nearest": (" (did you mean /{name}?)", "（是不是 /{name}？）"),
    "needs_argument": ("/{name} needs an argument: {what}", "/{name} 需要参数：{what}"),
    "takes_no_argument": ("/{name} takes no argument", "/{name} 不带参数"),
    "system_is": ("system prompt: {text}", "系统提示词：{text}"),
    "no_system": ("There is no system prompt.", "没有设置系统提示词。"),
    "tools_are": ("tools: {names}", "工具：{names}"),
    "no_tools": ("There are no tools.", "没有工具。"),
    "saved": ("saved {count:message|messages} to {path}", "已保存 {count} 条消息到 {path}"),
    "loaded": ("loaded {count:message|messages} from {path}", "已从 {path} 载入 {count} 条消息"),
    "was_reset": ("The conversation is cleared.", "对话已清空。"),
    "undone": ("removed: {text}", "已撤回：{text}"),
    "nothing_yet": ("Nothing has been said yet.", "对话还没有开始。"),
    "model_is": ("model: {model}", "模型：{model}"),
    "models_are": (
        "There is no model {name}; choose one of {names}",
        "没有模型 {name}，可选：{names}",
    ),
    "set_is": ("{name} = {value}", "{name} = {value}"),
    "set_default": ("{name}: default", "{name}：默认"),
    "none_set": (
        "No option is set. Options: {names}",
        "没有改动任何选项。可设置：{names}",
    ),
    "stats_prompt": (
        "prompt    {count:token|tokens}, {cached} of them from the KV cache",
        "提示词    {count} 个词元，其中 {cached} 个来自 KV 缓存",
    ),
    "stats_prompt_only": ("prompt    {count:token|tokens}", "提示词    {count} 个词元"),
    "stats_reply": ("reply     {count:token|tokens}", "回复      {count} 个词元"),
    "stats_speed": (
        "speed     {speed:.1f} tokens/s, first after {first:.2f} s",
        "速度      {speed:.1f} 词元/秒，首个词元用时 {first:.2f} 秒",
    ),
    "stats_first": ("first     after {first:.2f} s", "首个词元用时 {first:.2f} 秒"),
    "stats_context": (
        "context   {used} of {size} tokens used ({percent} %)",
        "上下文    已用 {used}/{size} 个词元（{percent}%）",
    ),
    "stats_total": (
        (
            "total     {count:reply|replies}, {prompt:prompt token|prompt tokens}, "
            "{completion:reply token|reply tokens}"
        ),
        "累计      {count} 次回复，提示词 {prompt} 个词元，生成 {completion} 个",
    ),
    "call": ("call", "调用"),
    "ask_run": ("run it? [y/N/a(lways)] ", "是否运行？[y 是/N 否/a 总是] "),
    "ask_result": ("result of {name}> ", "{name} 的结果> "),
    "ask_result_help": (
        "The model calls a tool. Type its result; Ctrl-C cancels the call.",
        "模型要调用工具。请输入结果；按 Ctrl-C 取消这次调用。",
    ),
    "call_canceled": ("The call is canceled.", "已取消这次调用。"),
    "running": ("running {name}", "正在运行 {name}"),
    "result": ("result", "结果"),
    "ask_more": (
        "{count:round|rounds} of calls; continue? [y/N] ",
        "已连续调用 {count} 轮；是否继续？[y 是/N 否] ",
    ),
    "help_system": (
        "show or set the system prompt; none removes it",
        "查看或设置系统提示词；none 表示清除",
    ),
    "help_tools": (
        "let the model call the tools of a JSON file; none removes them",
        "载入 JSON 文件中的工具；none 表示清除",
    ),
    "help_save": ("save the conversation", "保存对话"),
    "help_load": ("continue a saved conversation", "载入保存的对话并继续"),
    "help_stats": ("tokens and speed of the last reply", "上一次回复的词元数和速度"),
    "help_reset": (
        "clear the conversation; system prompt and options stay",
        "清空对话，保留系统提示词和选项",
    ),
    "help_model": ("show or choose the model or adapter", "查看或选择模型、适配器"),
    "help_set": (
        "set temperature, max_tokens ...; default resets an option",
        "设置 temperature、max_tokens 等；default 恢复默认",
    ),
    "help_regenerate": ("reply to the last message again", "重新回复上一条消息"),
    "help_undo": ("remove the last message and its reply", "撤回上一条消息及其回复"),
    "help_help": ("this list", "本列表"),
    "help_exit": ("exit", "退出"),
    "help_keys": (
        (
            "Alt-Enter, Ctrl-J or a \\ at the end of a line continues the message on the next "
            'line; a message that begins with """ ends with the next """. Ctrl-C stops a reply or '
            "clears the line. Lines that begin with a space are not saved in the history."
        ),
        (
            "按 Alt-Enter、Ctrl-J，或在行末输入 \\，可换行继续；"
            '以 """ 开头的消息到下一个 """ 为止。'
            "Ctrl-C 停止回复或清空输入行。以空格开头的行不记入历史。"
        ),
    ),
}
"""By key: English and Chinese."""


class Texts:
    """Texts in one language."""

    def __init__(self, language: str) -> None:
        """Use ``language``, one of ``LANGUAGES``."""
        self.language = language
        self._column = LANGUAGES.index(language)

    def __call__(self, key: str, **fields: object) -> str:
        """Text of ``key``, with its fields filled in."""
        return _FORMATTER.vformat(TEXTS[key][self._column], (), fields)


class _Formatter(string.Formatter):
    """Formatter that knows plurals: ``{count:reply|replies}`` is ``1 reply``, ``2 replies``."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """Text of a field."""
        noun, is_count, plural = format_spec.partition("|")
        return (
            counted(value, noun, plural) if is_count else super().format_field(value, format_spec)
        )


_FORMATTER = _Formatter()


def user_language(environment: Mapping[str, str] = os.environ) -> str:
    """Language of the user's locale; English if it is not in ``LANGUAGES``."""
    names = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    name = next(filter(None, names), None) or locale.getlocale()[0] or ""
    return "zh" if name.lower().startswith(("zh", "chinese")) else "en"
