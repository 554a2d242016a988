"""Markdown in Chinese, Japanese and Korean as models write it, and how it is to look.

``<b>``, ``<i>``, ``<s>`` and ``<code>`` mark what is bold, italic, struck or code. Each line that
is seen is a line, without list markers and quote bars. The chat page and the terminal chat are
held against the same rows.
"""

import random
import re
from collections.abc import Iterable
from itertools import groupby

from rich.console import Console
from rich.style import Style
from rich.text import Text

from glm3edge.commands.chat.terminal.markdown import render

ROWS = [
    # Punctuation before the end of bold text, a character after it.
    ("**标题：**内容", "<b>标题：</b>内容"),
    ("**该星号会被识别。**这是下一句", "<b>该星号会被识别。</b>这是下一句"),
    ("我叫小智，**一个助手，**很高兴见到你！", "我叫小智，<b>一个助手，</b>很高兴见到你！"),
    ("**真的吗？**是的。", "<b>真的吗？</b>是的。"),
    ("**小心！**台阶很滑", "<b>小心！</b>台阶很滑"),
    ("**苹果、**香蕉", "<b>苹果、</b>香蕉"),
    ("**光合作用（photosynthesis）**是指", "<b>光合作用（photosynthesis）</b>是指"),
    ("**等等……**然后", "<b>等等……</b>然后"),
    ("历经**十年发展，**2024 年", "历经<b>十年发展，</b>2024 年"),
    ("**试一试。**1", "<b>试一试。</b>1"),
    # Before its beginning.
    ("**“引用”**后面", "<b>“引用”</b>后面"),
    ("它就像医院的**“中央采购系统”**", "它就像医院的<b>“中央采购系统”</b>"),
    ("这是**‘单引号’**的用法", "这是<b>‘单引号’</b>的用法"),
    (
        "这里用**「直角引号」**和**『双直角』**标出",
        "这里用<b>「直角引号」</b>和<b>『双直角』</b>标出",
    ),
    ("（见**《红楼梦》**）的", "（见<b>《红楼梦》</b>）的"),
    ("根据**《劳动法》**第三十六条", "根据<b>《劳动法》</b>第三十六条"),
    ("参见**【附录】**部分", "参见<b>【附录】</b>部分"),
    ("他走了**——再也没有回来——**雨还在下", "他走了<b>——再也没有回来——</b>雨还在下"),
    ("《**西游记**》和《**水浒传**》", "《<b>西游记</b>》和《<b>水浒传</b>》"),
    # Half-width beside full-width.
    ("**Note:**注意", "<b>Note:</b>注意"),
    ("请按**(F5)**键", "请按<b>(F5)</b>键"),
    ("增长了**50%**左右", "增长了<b>50%</b>左右"),
    ("用Python**“装饰器”**实现", "用Python<b>“装饰器”</b>实现"),
    ("GPT**（生成式模型）**is", "GPT<b>（生成式模型）</b>is"),
    ("**ＡＢＣ！**abc", "<b>ＡＢＣ！</b>abc"),
    ("价格：**￥100**起", "价格：<b>￥100</b>起"),
    # Italic and struck text, and all at once.
    ("*注：*以上为示例", "<i>注：</i>以上为示例"),
    ("~~删除。~~然后", "<s>删除。</s>然后"),
    ("原价~~（100元）~~现价", "原价<s>（100元）</s>现价"),
    ("***重要：***请备份", "<b><i>重要：</i></b>请备份"),
    ("**粗*斜：*粗。**完", "<b>粗</b><b><i>斜：</i></b><b>粗。</b>完"),
    ("**加粗~~删除。~~加粗：**完", "<b>加粗</b><b><s>删除。</s></b><b>加粗：</b>完"),
    # Code, emoji, characters beyond the first plane.
    ("运行`**不是粗体：**`命令", "运行<code>**不是粗体：**</code>命令"),
    ("**`print()`：**输出", "<code>print()</code><b>：</b>输出"),
    ("使用**`pip`**安装", "使用<code>pip</code>安装"),
    ("**👍 太好了！**继续", "<b>👍 太好了！</b>继续"),
    ("请看**⚠️（警告）⚠️**这里", "请看<b>⚠️（警告）⚠️</b>这里"),
    ("𠮷**“野家”**𠮷", "𠮷<b>“野家”</b>𠮷"),
    # Japanese and Korean.
    ("これは**「重要」**な点です。", "これは<b>「重要」</b>な点です。"),
    (
        "**日本語の文章（括弧付き）。**この文が続きます。",
        "<b>日本語の文章（括弧付き）。</b>この文が続きます。",
    ),
    ("~~カタカナ、~~ﾊﾝｶｸ**｢ｶｯｺ｣**です", "<s>カタカナ、</s>ﾊﾝｶｸ<b>｢ｶｯｺ｣</b>です"),
    ("**마크다운(Markdown)**은 경량 언어입니다.", "<b>마크다운(Markdown)</b>은 경량 언어입니다."),
    ("**주의:**다음을 읽으세요", "<b>주의:</b>다음을 읽으세요"),
    # Line ends.
    (
        "床前明月光，\n疑是地上霜。\n举头望明月，\n低头思故乡。",
        "床前明月光，\n疑是地上霜。\n举头望明月，\n低头思故乡。",
    ),
    (
        "**《登鹳雀楼》**王之涣\n白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。",
        "<b>《登鹳雀楼》</b>王之涣\n白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。",
    ),
    (
        "甲：“你去哪儿？”\n乙：“回家。”\n甲：“**等等！**我也去。”",
        "甲：“你去哪儿？”\n乙：“回家。”\n甲：“<b>等等！</b>我也去。”",
    ),
    ("古池や\n蛙飛び込む\n水の音", "古池や\n蛙飛び込む\n水の音"),
    ("**第一行，\n第二行。**第三行", "<b>第一行，</b>\n<b>第二行。</b>第三行"),
    (
        "行末两个空格  \n行末反斜杠\\\n普通行末\n最后一行",
        "行末两个空格\n行末反斜杠\n普通行末\n最后一行",
    ),
    ("English line\n中文行\n12345", "English line\n中文行\n12345"),
    ("　　秋天来了。\n　　**天气：**凉了。", "　　秋天来了。\n　　<b>天气：</b>凉了。"),
    ("　　只有一行", "　　只有一行"),
    (
        "前言\n\n　　*其一，*开头\n没有缩进\n　　又有缩进",
        "前言\n　　<i>其一，</i>开头\n没有缩进\n　　又有缩进",
    ),
    ("> 　　引文一\n> 　　引文二", "　　引文一\n　　引文二"),
    ("- 项目\n\n  　　缩进的段落\n  　　第二行", "项目\n　　缩进的段落\n　　第二行"),
    # Lists, quotes and headings.
    (
        "- **症状特点：**患者出现头晕\n- **临床表现：**血红蛋白降低，\n  伴有心悸",
        "<b>症状特点：</b>患者出现头晕\n<b>临床表现：</b>血红蛋白降低，\n伴有心悸",
    ),
    (
        "1. **提高效率：**通过自动化\n2. **降低成本：**减少人工",
        "<b>提高效率：</b>通过自动化\n<b>降低成本：</b>减少人工",
    ),
    (
        "- 春眠不觉晓，\n  处处闻啼鸟。\n\n  夜来风雨声，\n  花落知多少。",
        "春眠不觉晓，\n处处闻啼鸟。\n夜来风雨声，\n花落知多少。",
    ),
    ("> 子曰：\n> **“学而时习之，**不亦说乎？”", "子曰：\n<b>“学而时习之，</b>不亦说乎？”"),
    ("## **《静夜思》**赏析", "<b>《静夜思》</b>赏析"),
    ("标题第一行\n标题第二行\n---", "标题第一行\n标题第二行"),
    # What is not bold.
    ("2 ** 3 ** 4", "2 ** 3 ** 4"),
    ("**未闭合", "**未闭合"),
    ("** 前有空格：**内容", "** 前有空格：**内容"),
    ("**后有空格： **内容", "**后有空格： **内容"),
    (r"\*\*转义：\*\*内容", "**转义：**内容"),
    ('a**"b"**c', 'a**"b"**c'),
    ("变量__init__（）和snake_case_名称", "变量__init__（）和snake_case_名称"),
    ("评分：★★★**", "评分：★★★**"),
]
"""One bold text a paragraph, mostly: two that fail pair up and hide it."""

_MARKERS = re.compile(r"(?:▌ | • | \d+ |   )*")


def random_markdown(seed: int) -> str:
    """A line in which anything may stand beside anything."""
    numbers = random.Random(seed)
    characters = [*"中文字，。：“”（）《》—…、！が한𠮷ａ％ab1 .()", *["**"] * 6, *["*", "~~"] * 2]
    return "文" + "".join(numbers.choices(characters, k=numbers.randint(4, 14))) + "字"


def marked(runs: Iterable[tuple[str, Iterable[str]]]) -> str:
    """A line's texts with their tags, as in ``ROWS``."""
    characters = [(char, _ordered(tags)) for text, tags in runs for char in text]
    parts = []
    for tags, group in groupby(characters, lambda item: item[1]):
        text = "".join(char for char, _ in group)
        for tag in reversed(tags):
            text = f"<{tag}>{text}</{tag}>"
        parts.append(text)
    return "".join(parts)


def _ordered(tags: Iterable[str]) -> tuple[str, ...]:
    """Code is just code: on a terminal all of it is bold."""
    return ("code",) if "code" in tags else tuple(tag for tag in ("b", "i", "s") if tag in tags)


def in_terminal(markdown: str) -> str:
    """The lines that ``markdown`` is in a terminal, as in ``ROWS``."""
    console = Console(force_terminal=True, width=100, color_system="standard")
    lines = [Text.from_ansi(line) for line in render(markdown, console)]
    return "\n".join(_terminal_line(line, console) for line in lines if line.plain.strip())


def _terminal_line(line: Text, console: Console) -> str:
    match = _MARKERS.match(line.plain)
    start = match.end() if match else 0
    return marked(
        (char, _tags(line.get_style_at_offset(console, offset)))
        for offset, char in enumerate(line.plain)
        if offset >= start
    )


def _tags(style: Style) -> list[str]:
    if style.bgcolor is not None:  # in code
        return ["code"]
    looks = {"b": style.bold, "i": style.italic, "s": style.strike}
    return [tag for tag, is_on in looks.items() if is_on]
