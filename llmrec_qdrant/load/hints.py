"""Says which options load a table whose columns have other names; the options work as they are printed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Literal

__all__ = ["options_for"]

OTHER_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "events": {
        "user": (
            "userid", "uid", "reviewerid", "customerid", "visitorid", "memberid", "accountid", "customer", "username", "useruuid",
            "personid", "visitor", "buyerid", "kunde", "kundenid", "kundennummer", "benutzer", "nutzer", "client", "clientid", "cliente", "utilisateur", "usuario", "用户", "用户id", "用户编号", "会员", "会员id", "用户名",
        ),
        "item": (
            "itemid", "movieid", "productid", "asin", "parentasin", "articleid", "bookid", "isbn", "songid", "trackid", "newsid",
            "businessid", "appid", "sku", "product", "movie", "book", "contentid", "videoid", "gameid", "goodsid", "stockcode",
            "artikel", "artikelnummer", "produkt", "produktid", "produit", "producto", "商品", "商品id", "物品", "物品id", "电影", "电影id", "商品编号", "文章id", "物品编号",
        ),
        "type": (
            "eventtype", "event", "action", "behavior", "behaviour", "behaviortype", "interaction", "kind", "activity",
            "行为", "行为类型", "事件", "类型",
        ),
        "value": ("rating", "stars", "score", "overall", "reviewscore", "ratingvalue", "bookrating", "bewertung", "sterne", "note", "评分", "打分", "分数", "星级"),
        "text": ("reviewtext", "review", "comment", "query", "searchterm", "tag", "body", "content", "reviewbody", "评论", "评论内容", "搜索词", "内容"),
        "ts": (
            "timestamp", "time", "date", "datetime", "createdat", "eventtime", "unixreviewtime", "reviewdate", "ratedat", "createtime",
            "eventtimestamp", "invoicedate", "datum", "zeit", "zeitpunkt", "fecha", "时间", "日期", "时间戳", "评论时间", "创建时间",
        ),
        "session": ("sessionid", "visitid", "usersession", "会话", "会话id"),
        "id": ("eventid", "reviewid", "orderid", "ratingid"),
    },
    "items": {
        "id": (
            "itemid", "movieid", "productid", "asin", "parentasin", "articleid", "bookid", "isbn", "songid", "trackid", "newsid",
            "businessid", "appid", "sku", "contentid", "videoid", "gameid", "goodsid", "stockcode", "uuid", "tmdbid", "imdbid",
            "商品id", "物品id", "电影id", "编号", "商品编号", "文章id", "物品编号",
        ),
        "title": ("name", "itemname", "productname", "producttitle", "movietitle", "appname", "headline", "booktitle", "标题", "名称", "片名", "商品名称", "书名", "电影名"),
        "text": ("description", "overview", "plot", "abstract", "summary", "content", "body", "synopsis", "productdescription", "简介", "描述", "内容", "正文", "摘要", "商品描述"),
    },
}  # fmt: skip
"""Field → other names for it, in lower case and without punctuation; the likelier first."""

REQUIRED: dict[str, tuple[str, ...]] = {"items": ("id",), "events": ("user", "type")}


def options_for(kind: Literal["items", "events"], columns: Sequence[str], fields: Iterable[str]) -> str:
    """Return the options that load a table with these columns, of which ``fields`` are known already.

    >>> options_for("events", ("userId", "movieId", "rating", "timestamp"), ())
    '--map userId=user --map movieId=item --map rating=value --map timestamp=ts --set type=rating'
    """
    known, taken = set(fields), dict[str, str]()
    spoken = {column: re.sub(r"[\W_]+", "", column).lower() for column in columns if column not in known}
    for field, others in OTHER_NAMES[kind].items():
        names = (field, *others)
        likely = [(names.index(word), column) for column, word in spoken.items() if word in names]
        free = sorted((rank, column) for rank, column in likely if column not in taken)
        if free and field not in known | set(columns):
            taken[free[0][1]] = field
    missing = [field for field in REQUIRED[kind] if field not in known | set(columns) | set(taken.values())]
    options = [_quoted(f"{column}={field}", "--map") for column, field in taken.items()]
    if "type" in missing:
        options.append(f"--set type={'rating' if 'value' in taken.values() or 'value' in known else 'view'}")
        missing.remove("type")
    options += [f"--map COLUMN={field}" for field in missing]
    if kind == "events" and not missing:  # what is missing may be any of the other columns
        options += [
            _quoted(f"{column}=", "--map")
            for column in spoken
            if column not in taken and column not in OTHER_NAMES["events"]
        ]
    return " ".join(options)


def _quoted(text: str, option: str) -> str:
    return f"{option} {shlex.quote(text)}" if re.search(r"[\s'\"$&|;<>()*?#!`\\]", text) else f"{option} {text}"
