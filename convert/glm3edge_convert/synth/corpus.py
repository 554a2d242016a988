"""Bilingual sentences, made from templates, to train a small tokenizer on.

They are about running a model at home, in Chinese and English, with some code and JSON, so that a
tokenizer trained on them has pieces for all of that. They have no role tags: pieces such as
"<|user" would let plain text spell a control token, and ``vocab`` refuses such a tokenizer.
"""

from collections.abc import Iterator
from itertools import product


def _parts(text: str) -> list[str]:
    return text.strip().replace("\n", "/").split("/")


CHINESE_SUBJECTS = _parts("""
这台笔记本电脑/本地服务器/转换工具/量化后的模型/分词器/推理引擎/聊天页面/命令行工具
你的助手/显卡/开放源代码的项目/离线运行的程序/每一个请求/系统提示词/工具调用的结果
""")
CHINESE_VERBS = _parts("""
可以读取/会保存/正在检查/需要下载/能够理解/已经完成/不会上传/重新计算
逐行写入/自动选择/支持/限制/返回/释放/比较
""")
CHINESE_OBJECTS = _parts("""
模型的权重。/中文和英文的问题。/前面的对话内容，/内存的大小！/天气预报：晴，气温二十五度。
一段很长的文章。/下一个词语的概率？/键值缓存，/第一层到最后一层的参数。/用户的隐私。
温度、长度和惩罚系数。/北京今天的时间。/函数的名称与参数；/错误信息并说明原因。
所有张量的类型和形状。
""")
ENGLISH_SUBJECTS = _parts("""
The server/A small laptop/This converter/The quantized model/Every request/The tokenizer
A tool result/The chat page/Your assistant/The command line/An offline program/The first layer
""")
ENGLISH_VERBS = _parts("""
reads/writes/keeps/checks/needs/understands/returns/streams/computes/compares/explains/uploads
""")
ENGLISH_OBJECTS = _parts("""
the weights of the model./questions in Chinese and English./what was said before,/its memory!
the weather in Beijing today./a long document about history./the next token?/an answer in JSON.
names and shapes of all tensors./private data on your own disk;/one line at a time./the cache.
""")
NAMES = ("city", "location", "unit", "query", "temperature", "content", "messages", "number")
VALUES = ("beijing", "celsius", "上海", "hello world", "forecast", "10 + 20", "true", "深圳")
SNIPPETS = (
    "def get_current_weather({name}):\n    return {{'{name}': '{value}'}}\n",
    '{{"{name}": "{value}", "role": "user", "stream": false}}',
    "```python\ntool_call({name}='{value}')\n```",
    "for {name} in range(0, 128):\n\tprint({name}, '{value}')\n",
    "问：{name} 是什么？\n答：{name} 的值是“{value}”。",
)


def sentences() -> Iterator[str]:
    """Every combination of the parts: some 5500 sentences, always in the same order."""
    for subject, verb, rest in product(CHINESE_SUBJECTS, CHINESE_VERBS, CHINESE_OBJECTS):
        yield subject + verb + rest
    for words in product(ENGLISH_SUBJECTS, ENGLISH_VERBS, ENGLISH_OBJECTS):
        yield " ".join(words)
    for snippet, name, value in product(SNIPPETS, NAMES, VALUES):
        yield snippet.format(name=name, value=value)
