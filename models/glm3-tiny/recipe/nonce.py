"""Tools about things that do not exist: a model can only choose them by reading their text."""

import random

from recipe.coin import hanzi, identifier, pseudo_word, splice
from recipe.concept import Both, Concept, Param

_KINDS = (
    "city", "person", "date", "time", "code", "title", "place", "company", "product", "text",
    "topic", "word", "word", "int:1:999", "int:1:20", "float:1:100", "email", "country",
)  # fmt: skip
_VERBS = (
    ("get", "查询", "Get"), ("find", "查找", "Find"), ("set", "设置", "Set"),
    ("create", "创建", "Create"), ("send", "发送", "Send"), ("check", "检查", "Check"),
    ("book", "预订", "Book"), ("list", "列出", "List"), ("update", "更新", "Update"),
    ("start", "启动", "Start"), ("order", "订购", "Order"), ("count", "统计", "Count"),
)  # fmt: skip
_ASPECTS = (
    ("status", "状态", "status"), ("price", "价格", "price"), ("report", "报告", "report"),
    ("record", "记录", "record"), ("plan", "计划", "plan"), ("info", "信息", "information"),
    ("order", "订单", "order"), ("level", "等级", "level"), ("", "", ""), ("", "", ""),
)  # fmt: skip
_LABELS = (
    ("name", "名称", "name"), ("type", "类型", "type"), ("number", "编号", "number"),
    ("place", "地点", "place"), ("owner", "负责人", "owner"), ("size", "大小", "size"),
    ("count", "数量", "count"), ("color", "颜色", "color"), ("start", "开始", "start"),
    ("end", "结束", "end"), ("target", "目标", "target"), ("source", "来源", "source"),
    ("mode", "模式", "mode"), ("note", "备注", "note"), ("limit", "上限", "limit"),
    ("weight", "重量", "weight"), ("user", "用户", "user"), ("group", "分组", "group"),
)  # fmt: skip
_ASKS_ZH = (
    "{verb}{thing}", "请{verb}{thing}", "我想{verb}{thing}", "帮我{verb}{thing}",
    "能不能{verb}{thing}", "麻烦{verb}一下{thing}", "需要{verb}{thing}",
)  # fmt: skip
_ASKS_EN = (
    "{verb} the {thing}", "Please {verb} the {thing}", "I want to {verb} the {thing}",
    "Can you {verb} the {thing}", "{verb} {thing}", "I need to {verb} a {thing}",
)  # fmt: skip
_SLOTS_ZH = (
    "{label}是{slot}",
    "{label}为{slot}",
    "{label}{slot}",
    "{label}：{slot}",
    "{label}用{slot}",
)
_SLOTS_EN = ("{label} {slot}", "the {label} is {slot}", "with {label} {slot}", "{label}: {slot}")


def nonce_concept(rng: random.Random) -> Concept:
    """A tool about a coined thing, with zero to three parameters, coined or plain."""
    verb, aspect = rng.choice(_VERBS), rng.choice(_ASPECTS)
    word = pseudo_word(rng, 2, 3) if rng.random() < 0.4 else splice(rng)
    zh, en = hanzi(rng, 2, 3) + aspect[1], f"{word} {aspect[2]}".strip()
    stem = "_".join(part for part in (verb[0], word, aspect[0]) if part)
    tail = f"{word}_{aspect[0] or verb[0]}"
    names = (stem, tail, word + verb[0].capitalize(), stem)
    labels = rng.sample(_LABELS, rng.choice((0, 1, 1, 2, 2, 3)))
    params = tuple(_param(rng, label) for label in labels)
    required = params[: rng.randint(0, len(params))] if len(params) > 1 else params
    asks_zh, asks_en = [], []
    for _ in range(3):
        chosen = list(required) + [p for p in params[len(required) :] if rng.random() < 0.6]
        rng.shuffle(chosen)
        heads = rng.choice(_ASKS_ZH), rng.choice(_ASKS_EN)
        slots = [(p, rng.choice(_SLOTS_ZH), rng.choice(_SLOTS_EN)) for p in chosen]
        zh_parts = [z.format(label=p.description.zh, slot=f"{{{p.names[0]}}}") for p, z, _ in slots]
        en_parts = [e.format(label=p.description.en, slot=f"{{{p.names[0]}}}") for p, _, e in slots]
        asks_zh.append("，".join([heads[0].format(verb=verb[1], thing=zh), *zh_parts]))
        asks_en.append(", ".join([heads[1].format(verb=verb[2].lower(), thing=en), *en_parts]))
    result = {
        (label[0] if rng.random() < 0.6 else label[1]): rng.choice(_KINDS)
        for label in rng.sample(_LABELS, rng.randint(1, 3))
    }
    return Concept(
        names=names,
        descriptions=(Both(f"{verb[1]}{zh}", f"{verb[2]} the {en}"),),
        params=params,
        asks_zh=tuple(asks_zh),
        asks_en=tuple(asks_en),
        results=(result,),
    )


def _param(rng: random.Random, label: tuple[str, str, str]) -> Param:
    """A parameter; a coined label shows in its name and its description."""
    if rng.random() < 0.4:
        name = identifier(rng)
        label = (name, hanzi(rng, 2, 2), name.replace("_", " "))
    if rng.random() < 0.15:
        options = [
            pseudo_word(rng) if rng.random() < 0.5 else rng.choice("ABCDE") + str(i)
            for i in range(3)
        ]
        return Param(
            (label[0],), "enum", Both(*label[1:]), {text: Both(text, text) for text in options}
        )
    return Param((label[0],), rng.choice(_KINDS), Both(*label[1:]))
