"""Values for the slots of questions and results, drawn from a wide distribution."""

import random
import zlib
from collections.abc import Callable

from recipe.coin import hanzi, pseudo_word, splice

Value = str | int | float | bool

_CITIES_ZH = (
    "北京 上海 广州 深圳 天津 重庆 成都 杭州 南京 武汉 西安 苏州 长沙 郑州 青岛 "
    "大连 厦门 宁波 昆明 沈阳 "
    "哈尔滨 长春 济南 合肥 福州 南昌 贵阳 南宁 海口 兰州 银川 西宁 太原 石家庄 "
    "乌鲁木齐 拉萨 呼和浩特 "
    "三亚 桂林 洛阳 扬州 无锡 温州 珠海 佛山 东莞 烟台 威海 大理 丽江 开封 绍兴 "
    "嘉兴 台州 金华 泉州 "
    "伦敦 巴黎 东京 纽约 柏林 罗马 首尔 曼谷 悉尼 莫斯科 多伦多 香港 澳门 台北 新加坡 维也纳"
).split()
_CITIES_EN = [
    *(
        "London Paris Tokyo Berlin Madrid Rome Vienna Dublin Lisbon Oslo Boston "
        "Chicago Seattle Denver Austin "
        "Sydney Toronto Moscow Beijing Shanghai Hangzhou Cairo Mumbai Seoul Bangkok "
        "Athens Prague Munich "
        "Zurich Geneva Lyon Porto Kyoto Osaka Perth Dallas Miami Houston Phoenix "
        "Naples Milan Turin Leeds "
        "Bristol Nairobi Lagos Lima Quito Bogota Havana Hanoi Jakarta Manila Delhi "
        "Dubai Tehran Ankara"
    ).split(),
    *("New York", "Los Angeles", "Hong Kong", "San Diego", "Cape Town", "Mexico City"),
]
_COUNTRIES = {
    "zh": "中国 日本 法国 德国 英国 美国 印度 巴西 埃及 泰国 越南 韩国 西班牙 意大利 "
    "加拿大 俄罗斯 澳大利亚 "
    "瑞士 瑞典 挪威 芬兰 希腊 土耳其 墨西哥 阿根廷 智利 秘鲁 南非 新西兰 "
    "印度尼西亚 马来西亚".split(),
    "en": "China Japan France Germany Britain India Brazil Egypt Thailand Vietnam "
    "Korea Spain Italy Canada "
    "Russia Australia Sweden Norway Finland Greece Turkey Mexico Argentina Chile "
    "Peru Iceland Kenya "
    "Poland Austria Hungary Ireland Portugal Denmark Belgium".split(),
}
_LANGUAGES = {
    "zh": "中文 英语 法语 德语 日语 韩语 俄语 西班牙语 意大利语 葡萄牙语 阿拉伯语 泰语 "
    "越南语".split(),
    "en": "Chinese English French German Japanese Korean Russian Spanish Italian "
    "Portuguese Arabic Thai "
    "Polish Dutch Greek Hindi Turkish Swedish".split(),
}
_CURRENCIES = {
    "zh": "人民币 美元 欧元 日元 英镑 港币 韩元 卢布 瑞士法郎 加元 澳元 泰铢 CNY USD "
    "EUR JPY GBP".split(),
    "en": "USD EUR CNY JPY GBP HKD KRW RUB CHF CAD AUD THB SEK NOK INR BRL MXN dollars "
    "euros yen".split(),
}
_SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
    "苏卢蒋蔡贾丁魏薛叶"
)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_FIRST_NAMES = (
    "Anna Ben Carl Dora Emma Frank Grace Henry Iris Jack Kate Leo Mary Nick Olga "
    "Paul Rose Sam Tom Uma "
    "Vera Will Zoe Alice Bob David Eva Fred Gina Hugo Ivan Jane Kevin Linda Mark "
    "Nina Oscar Peter Ruth"
).split()
_LAST_NAMES = (
    "Smith Brown Miller Taylor Wilson Moore Clark Hall Young King Wright Hill "
    "Green Baker Adams Carter "
    "Turner Parker Cook Bell Ward Gray Wood Price Long Ross Ford Stone Fox West Lane Hunt"
).split()
_DISHES = {
    "zh": "红烧肉 鱼香肉丝 宫保鸡丁 麻婆豆腐 番茄炒蛋 饺子 面条 米饭 火锅 烤鸭 牛肉面 "
    "炒饭 沙拉 披萨 汉堡 "
    "豆浆 包子 馄饨 苹果 香蕉 酸辣汤 咖喱鸡 寿司 春卷".split(),
    "en": "pizza pasta salad soup curry rice noodles sushi tacos burger pancakes "
    "omelette stew pie toast "
    "dumplings lasagna risotto paella apple banana yogurt".split(),
}
_PLACE_ENDS = (
    "公园 广场 车站 机场 大学 医院 酒店 博物馆 大厦 路 街 湖 山 寺 图书馆 商场 体育馆 中学".split()
)
_PLACE_ENDS_EN = (
    "Park Square Station Airport Hotel Museum Tower Street Lake Library Mall Bridge".split()
)
_COMPANY_ENDS = "公司 科技 集团 银行 证券 电子 汽车 食品".split()
_COMPANY_ENDS_EN = "Inc Bank Motors Foods Labs Systems Energy Group".split()
_ROOMS = {
    "zh": "客厅 卧室 厨房 书房 阳台 餐厅 浴室 车库 主卧 次卧 走廊 儿童房".split(),
    "en": "kitchen bedroom bathroom garage office hallway cellar attic nursery study".split(),
}
_WORDS = (
    "red blue green old new small big quiet early late happy winter summer river "
    "garden window table paper "
    "letter book song train coffee bread milk water music paint doctor school "
    "meeting report budget plan "
    "call buy read write clean fix send check move open close find order visit "
    "walk cook pay water plants "
    "mother father friend team boss client dog cat bike car phone laptop key "
    "ticket box cup lamp door "
    "history physics biology poetry football chess travel health space ocean desert island forest"
).split()
_CHUNKS = (
    "买菜 开会 写报告 打电话 交房租 取快递 看医生 洗衣服 浇花 喂猫 锻炼 背单词 "
    "接孩子 做饭 订机票 修车 还书 "
    "春天 冬天 海边 山里 历史 物理 足球 音乐 电影 旅行 健康 经济 科学 天文 "
    "人工智能 机器学习 环境 教育 艺术 "
    "给妈妈 和同事 去超市 在公司 关于 项目 预算 客户 计划 合同 周报 手机 电脑 杯子 书包 雨伞 台灯"
).split()


def is_held_out(text: str) -> bool:
    """Whether ``text`` is one of the sixth of all values that only the evaluation uses."""
    return zlib.crc32(text.encode()) % 6 == 0


def draw(rng: random.Random, kind: str, language: str, *, held_out: bool = False) -> Value:
    """A value of ``kind`` (see ``concept.KINDS``, without bool and enum)."""
    if kind.startswith(("int:", "float:")):
        return _number(rng, kind, held_out=held_out)
    while True:
        value = _MAKERS[kind](rng, language == "zh")
        if is_held_out(value) == held_out or kind in _CLOSED:
            return value


_CLOSED = ("country", "language", "currency", "room")
"""Kinds with so few values that the model must know them all."""


def _number(rng: random.Random, kind: str, *, held_out: bool) -> int | float:
    name, low, high = kind.split(":")
    value: int | float
    for _ in range(50):
        if name == "int":
            value = rng.randint(int(low), int(high))
        else:
            value = round(rng.uniform(int(low), int(high)), rng.choice((1, 1, 2)))
        if is_held_out(str(value)) == held_out:
            break
    return value


def _city(rng: random.Random, zh: bool) -> str:
    if rng.random() < 0.35:
        return hanzi(rng, 1, 2) + rng.choice("州城山江阳海安县市") if zh else _name(rng)
    return rng.choice(_CITIES_EN if not zh or rng.random() < 0.1 else _CITIES_ZH)


def _person(rng: random.Random, zh: bool) -> str:
    if zh and rng.random() < 0.9:
        return rng.choice(_SURNAMES) + hanzi(rng, 1, 2)
    first = rng.choice(_FIRST_NAMES) if rng.random() < 0.6 else _name(rng)
    return first if rng.random() < 0.5 else f"{first} {rng.choice(_LAST_NAMES)}"


def _date(rng: random.Random, zh: bool) -> str:
    year, month, day = rng.randint(1950, 2035), rng.randint(1, 12), rng.randint(1, 28)
    iso = f"{year}-{month:02}-{day:02}"
    if zh:
        return rng.choice(
            (iso, f"{month}月{day}日", f"{month}月{day}日", f"{year}年{month}月{day}日")
        )
    name = _MONTHS[month - 1]
    return rng.choice((iso, f"{name} {day}", f"{day} {name}", f"{name} {day}, {year}"))


def _time(rng: random.Random, zh: bool) -> str:
    hour, minute = rng.randint(0, 23), rng.randint(0, 59)
    clock = f"{hour}:{minute:02}"
    if zh:
        part = rng.choice(("早上", "上午", "下午", "晚上", ""))
        return rng.choice((clock, f"{part}{hour % 12 + 1}点", f"{part}{hour % 12 + 1}点半"))
    half = rng.choice((" am", " pm", "am", "pm"))
    return rng.choice((clock, f"{hour % 12 + 1}{half}", f"{hour % 12 + 1}:{minute:02}{half}"))


def _email(rng: random.Random, zh: bool) -> str:
    tail = rng.choice(("", str(rng.randint(1, 99)), "." + pseudo_word(rng, 1)))
    host = f"{pseudo_word(rng)}.{rng.choice(('com', 'cn', 'org', 'net'))}"
    return f"{pseudo_word(rng)}{tail}@{host}"


def _phone(rng: random.Random, zh: bool) -> str:
    return rng.choice(("13", "15", "18", "555", "020")) + _digits(rng, 6, 9)


def _url(rng: random.Random, zh: bool) -> str:
    word = pseudo_word(rng)
    path = rng.choice(("", f"/{word}", f"/{word}/{rng.randint(1, 999)}"))
    return f"https://{pseudo_word(rng)}.{rng.choice(('com', 'org', 'cn', 'io'))}{path}"


def _code(rng: random.Random, zh: bool) -> str:
    return _letters(rng, 1, 3) + rng.choice(("", "", "-")) + _digits(rng, 2, 6)


def _ticker(rng: random.Random, zh: bool) -> str:
    return _letters(rng, 2, 4) if rng.random() < 0.7 else _digits(rng, 6, 6)


def _dish(rng: random.Random, zh: bool) -> str:
    if rng.random() < 0.3:
        return hanzi(rng, 2, 3) if zh else pseudo_word(rng)
    return rng.choice(_DISHES[_key(zh)])


def _place(rng: random.Random, zh: bool) -> str:
    if zh:
        return hanzi(rng, 2, 3) + rng.choice(_PLACE_ENDS)
    return f"{_name(rng)} {rng.choice(_PLACE_ENDS_EN)}"


def _company(rng: random.Random, zh: bool) -> str:
    if zh:
        return hanzi(rng, 2, 3) + rng.choice(_COMPANY_ENDS)
    return rng.choice((_name(rng), f"{_name(rng)} {rng.choice(_COMPANY_ENDS_EN)}"))


def _product(rng: random.Random, zh: bool) -> str:
    if rng.random() < 0.3:
        return f"{_name(rng)} {rng.randint(2, 99)}"
    return _phrase(rng, zh, 1, 2)


def _title(rng: random.Random, zh: bool) -> str:
    return hanzi(rng, 2, 5) if zh else " ".join(word.capitalize() for word in _words(rng, 1, 3))


def _word(rng: random.Random, zh: bool) -> str:
    if zh and rng.random() < 0.7:
        return rng.choice(_CHUNKS) if rng.random() < 0.4 else hanzi(rng, 2, 4)
    return rng.choice((rng.choice(_WORDS), pseudo_word(rng), splice(rng)))


def _expression(rng: random.Random, zh: bool) -> str:
    space = rng.choice(("", " "))
    numbers = [rng.randint(1, 10 ** rng.randint(1, 4)) for _ in range(rng.randint(2, 4))]
    text = str(numbers[0])
    for number in numbers[1:]:
        text += f"{space}{rng.choice('+-*/')}{space}{number}"
    return f"({text})*{rng.randint(2, 99)}" if rng.random() < 0.15 else text


_MAKERS: dict[str, Callable[[random.Random, bool], str]] = {
    "city": _city,
    "country": lambda rng, zh: rng.choice(_COUNTRIES[_key(zh)]),
    "person": _person,
    "date": _date,
    "time": _time,
    "email": _email,
    "phone": _phone,
    "url": _url,
    "code": _code,
    "ticker": _ticker,
    "language": lambda rng, zh: rng.choice(_LANGUAGES[_key(zh)]),
    "currency": lambda rng, zh: rng.choice(_CURRENCIES[_key(zh)]),
    "title": _title,
    "dish": _dish,
    "place": _place,
    "company": _company,
    "product": _product,
    "text": lambda rng, zh: _phrase(rng, zh, 2, 4),
    "topic": lambda rng, zh: _phrase(rng, zh, 1, 2),
    "word": _word,
    "room": lambda rng, zh: rng.choice(_ROOMS[_key(zh)]),
    "expression": _expression,
}


def _key(zh: bool) -> str:
    return "zh" if zh else "en"


def _name(rng: random.Random) -> str:
    return (pseudo_word(rng, 2, 3) if rng.random() < 0.5 else splice(rng)).capitalize()


def _digits(rng: random.Random, low: int, high: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(rng.randint(low, high)))


def _letters(rng: random.Random, low: int, high: int) -> str:
    return "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(rng.randint(low, high)))


def _words(rng: random.Random, low: int, high: int) -> list[str]:
    count = rng.randint(low, high)
    return [rng.choice(_WORDS) if rng.random() < 0.7 else splice(rng) for _ in range(count)]


def _phrase(rng: random.Random, zh: bool, low: int, high: int) -> str:
    if not zh:
        return " ".join(_words(rng, low, high))
    parts = range(rng.randint(low, high))
    return "".join(rng.choice(_CHUNKS) if rng.random() < 0.6 else hanzi(rng, 1, 3) for _ in parts)
