"""Tools about things that do not exist: a model can only choose them by reading their text."""

import random
from typing import NamedTuple

from recipe.coin import hanzi, identifier, pseudo_word, splice
from recipe.concept import Both, Concept, Param
from recipe.values import draw

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
_TYPED = (
    # names, kind, description, how a question says it
    (("city", "location", "town"), "city", "城市", "city", "在{}", "in {}"),
    (("city", "place"), "city", "城市名称", "name of the city", "{}的", "in {}"),
    (("from_city", "origin"), "city", "出发城市", "city of departure", "从{}出发", "from {}"),
    (("to_city", "destination"), "city", "到达城市", "destination", "到{}去", "to {}"),
    (("date", "day", "when"), "date", "日期", "date", "{}", "on {}"),
    (("date", "on_date"), "date", "哪一天", "which day", "{}的", "for {}"),
    (("time", "at", "clock"), "time", "时间", "time", "{}", "at {}"),
    (("person", "name", "who"), "person", "姓名", "name of the person", "给{}", "for {}"),
    (("author", "owner"), "person", "人名", "person", "{}的", "by {}"),
    (("email", "address", "to"), "email", "邮箱", "email address", "发到{}", "to {}"),
    (("phone", "phone_number", "tel"), "phone", "电话", "phone number", "电话{}", "phone {}"),
    (("url", "link", "page"), "url", "网址", "address of the page", "网页{}", "at {}"),
    (("id", "number", "code"), "code", "编号", "number", "编号{}", "number {}"),
    (("order_id", "order"), "code", "订单号", "order number", "{}", "{}"),
    (("count", "quantity", "amount"), "int:1:99", "数量", "how many", "{}个", "{} pieces"),
    (("days", "num_days"), "int:2:30", "天数", "number of days", "{}天", "for {} days"),
    (("month",), "int:1:12", "月份", "month", "{}月", "in month {}"),
    (("year",), "int:1950:2035", "年份", "year", "{}年", "in {}"),
    (("kilograms", "weight"), "float:1:90", "公斤数", "kilograms", "{}公斤", "{} kg"),
    (("size", "meters"), "float:1:90", "米数", "meters", "{}米", "{} meters"),
    (("country", "nation"), "country", "国家", "country", "{}的", "in {}"),
    (("language", "lang"), "language", "语言", "language", "用{}", "in {}"),
    (("currency", "unit"), "currency", "货币", "currency", "以{}", "in {}"),
    (("title", "heading"), "title", "标题", "title", "标题{}", "titled {}"),
    (("topic", "subject"), "topic", "主题", "topic", "关于{}", "about {}"),
    (("text", "content", "note"), "text", "内容", "text", "内容是{}", "saying {}"),
    (("place", "venue"), "place", "地点", "place", "在{}", "at {}"),
    (("company", "brand"), "company", "公司", "company", "{}的", "from {}"),
    (("product", "item"), "product", "商品", "product", "{}的", "of {}"),
    (("room",), "room", "房间", "room", "{}的", "in the {}"),
    (("dish", "food"), "dish", "菜名", "dish", "{}的", "with {}"),
    (("keyword", "query", "word"), "word", "关键词", "keyword", "{}的", "with {}"),
)
"""Parameters as questions name them: by their place in the sentence and the look of the value."""
_UNITS = (("号", "number"), ("型", "type"), ("级", "class"), ("类", "kind"), ("款", "model"))
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


def nonce_concept(rng: random.Random, *, bare: bool = False, enums: float = 0.0) -> Concept:
    """A tool about a coined thing, with zero to three parameters; with none if it is ``bare``.

    Half of the tools have parameters that a question names by their labels, which say nothing of
    the kind of value; those of the other half have to be told by the kind. Of the latter a share of
    ``enums`` takes one of a few options, which only the definition tells.
    """
    verb, aspect = rng.choice(_VERBS), rng.choice(_ASPECTS)
    word = pseudo_word(rng, 2, 3) if rng.random() < 0.4 else splice(rng)
    zh, en = hanzi(rng, 2, 3) + aspect[1], f"{word} {aspect[2]}".strip()
    stem = "_".join(part for part in (verb[0], word, aspect[0]) if part)
    tail = f"{word}_{aspect[0] or verb[0]}"
    names = (stem, tail, word + verb[0].capitalize(), stem)
    count = 0 if bare else rng.choice((0, 1, 1, 2, 2, 3))
    is_typed = rng.random() < 0.5
    slots = _typed_slots(rng, count, enums) if is_typed else _labelled_slots(rng, count)
    num_required = rng.randint(0, count) if count > 1 else count
    asks_zh, asks_en = [], []
    for _ in range(3):
        chosen = [s for i, s in enumerate(slots) if i < num_required or rng.random() < 0.6]
        rng.shuffle(chosen)
        head_zh = rng.choice(_ASKS_ZH).format(verb=verb[1], thing=zh)
        head_en = rng.choice(_ASKS_EN).format(verb=verb[2].lower(), thing=en)
        zh_parts, en_parts = [slot.zh for slot in chosen], [slot.en for slot in chosen]
        if is_typed:
            cut = rng.choice((0, len(zh_parts), len(zh_parts)))
            asks_zh.append("".join([*zh_parts[:cut], head_zh, *zh_parts[cut:]]))
            asks_en.append(" ".join([head_en, *en_parts]))
        else:
            asks_zh.append("，".join([head_zh, *zh_parts]))
            asks_en.append(", ".join([head_en, *en_parts]))
    result = {
        (label[0] if rng.random() < 0.6 else label[1]): rng.choice(_KINDS)
        for label in rng.sample(_LABELS, 1 if bare else rng.randint(1, 3))
    }
    return Concept(
        names=names,
        descriptions=(Both(f"{verb[1]}{zh}", f"{verb[2]} the {en}"),),
        params=tuple(slot.param for slot in slots),
        asks_zh=tuple(asks_zh),
        asks_en=tuple(asks_en),
        results=(result,),
        is_coined=True,
    )


class _Slot(NamedTuple):
    """A parameter, and the part of a question that says it."""

    param: Param
    zh: str
    en: str


def _labelled_slots(rng: random.Random, count: int) -> list[_Slot]:
    """Parameters of any kind: only the label says where the value is."""
    slots = []
    for label in rng.sample(_LABELS, count):
        param = _param(rng, label)
        place = f"{{{param.names[0]}}}"
        zh = rng.choice(_SLOTS_ZH).format(label=param.description.zh, slot=place)
        en = rng.choice(_SLOTS_EN).format(label=param.description.en, slot=place)
        slots.append(_Slot(param, zh, en))
    return slots


def _typed_slots(rng: random.Random, count: int, enums: float) -> list[_Slot]:
    """Parameters of different kinds: the look of the value says where it is."""
    slots: list[_Slot] = []
    for names, kind, about_zh, about_en, zh, en in rng.sample(_TYPED, len(_TYPED)):
        if len(slots) == count:
            break
        name = rng.choice(names)
        if any(name == slot.param.names[0] for slot in slots):
            continue
        if rng.random() < enums:
            slot = _enum_slot(rng)
            if not any(slot.param.names == other.param.names for other in slots):
                slots.append(slot)
            continue
        place = f"{{{name}}}"
        param = Param((name,), kind, Both(about_zh, about_en))
        slots.append(_Slot(param, zh.format(place), en.format(place)))
    return slots


def _enum_slot(rng: random.Random) -> _Slot:
    """A coined parameter that a question names by one of its options alone."""
    name = rng.choice((identifier(rng), rng.choice(_LABELS)[0]))
    kind = rng.choice(("word", "word", "letter", "number", "title", "city"))
    options: list[str] = []
    for index in range(rng.randint(2, 5)):
        if kind == "letter":
            options.append("ABCDE"[index])
        elif kind == "number":
            options.append(str(rng.randint(1, 99)))
        else:
            options.append(str(draw(rng, kind, rng.choice(("zh", "en")))))
    unit_zh, unit_en = rng.choice(_UNITS)
    has_unit = rng.random() < 0.5
    said: dict[str | bool, Both] = {
        text: Both(f"{text}{unit_zh}", f"{unit_en} {text}") if has_unit else Both(text, text)
        for text in options
    }
    place = f"{{{name}}}"
    about = Both(hanzi(rng, 2, 3), splice(rng))
    return _Slot(
        Param((name,), "enum", about, said),
        rng.choice(("{}的", "用{}", "{}", "在{}", "要{}")).format(place),
        rng.choice(("in {}", "with {}", "for {}", "on {}", "{}")).format(place),
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
