"""The plain words that a generated text may use beside those of its evidence.

There are no numbers, negations, names, praise, prices, dates or imperatives among them: with these words alone a text can
say that a user likes a topic, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

from llmrec_qdrant.contracts.answers import Language
from llmrec_qdrant.query.templates import WayKind

__all__ = ["CLAIMS", "FADING", "PLAIN", "RISING"]

_EN = """
a about above across all along also among an and another are as at attention be because been belong belongs beside between beyond both by
care cares chose choice choices comes connects continues draw drawn draws especially enjoy enjoys find fits follow
for from goes hand has have in interest interested interests into is it its itself join joins keep keeps kind
like liked likes look looking looks main mainly matches mostly much next of often on out part picks reach
return returns seem so something stays story stories subject subjects such taken take takes taste tastes that the
their them then theme themes there these this those through to together too took topic topics toward towards turn turns up
way well what when where which while with world you your yours you're you've
"""
_ZH = """
你 您 的 了 和 与 也 是 在 对 还 都 很 最 从 到 这 及 等 你的 您的 以及 此外 其次 同时 另外 因为 所以 由于 例如 比如 像 尤其 特别 喜欢 关注 感兴趣
兴趣 爱看 看过 选过 选了 选择 作品 内容 主题 题材 话题 类 类型 相关 有关 关于 属于 符合 契合 口味 偏好 常常 经常 一直
之处 其中 主要 多 倾向 倾向于 方面 方向 领域 世界 故事 延续 承接 正好 适合 可能 会 为 而 则 并 其 它 它们 这类 这些 这个 那些 之间 有 着 把 让 围绕 集中在 集中 于
"""
RISING: Mapping[Language, frozenset[str]] = {
    "en": frozenset(["growing", "grows", "increasingly", "lately", "more", "rising", "recently", "stronger"]),
    "zh": frozenset(["越来越", "最近", "近来", "增强", "上升", "正在", "更"]),
}
"""Words that are true only of a rising interest."""
FADING: Mapping[Language, frozenset[str]] = {
    "en": frozenset(["fading", "fades", "lately", "less", "recently", "weaker"]),
    "zh": frozenset(["最近", "近来", "减弱", "下降", "正在"]),
}
"""Words that are true only of a fading interest."""
_CLAIMS: Mapping[Language, Mapping[tuple[WayKind, ...], str]] = {
    "en": {
        ("followed",): "other others people after afterwards followed follows",
        ("close",): "close closely closer meaning similar alike resembles",
        ("close", "words"): "share shares shared same common",
        ("words",): "word words",
        ("boosted",): "asked boosted",
    },
    "zh": {
        ("followed",): "别人 他人 其他人 大家 人 人们 接着 之后 后来 随后 后",
        ("close",): "相近 接近 意思 含义 类似 相似",
        ("close", "words"): "同样 共同 一样 共有 都有",
        ("words",): "词 用词 提到",
        ("boosted",): "想 想多看",
    },
}
CLAIMS: Mapping[Language, Mapping[str, frozenset[WayKind]]] = {
    language: {word: frozenset(ways) for ways, words in claims.items() for word in words.split()}
    for language, claims in _CLAIMS.items()
}
"""Word → the ways in which an item was found that it claims; it is true only if one of them is in the evidence."""
PLAIN: Mapping[Language, frozenset[str]] = {"en": frozenset(_EN.split()), "zh": frozenset(_ZH.split())}
"""Words that are true of any interest."""
