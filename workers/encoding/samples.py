"""Sample texts, typical of spaces, on which the ways of running a model are compared."""

from __future__ import annotations

__all__ = ["SAMPLES"]


SAMPLES = [
    "space opera",
    "heist",
    "A young widow inherits a failing bakery in a small coastal town and, with the help of a stubborn neighbour, "
    "learns that her late husband kept more than one secret. Drama, Romance. slow, touching, seaside",
    "Stainless Steel Hose Clamp, 5/8 in. to 1-1/4 in., Pack of 10, 3M 6200 Half Facepiece Respirator, Medium",
    "The central bank left its key rate unchanged on Tuesday, saying inflation would return to target by next year.",
    "Great moisturizer!! My skin feels soft and it doesn't smell. Bought it twice already, 5 stars",
    "一部关于宇航员穿越虫洞寻找新家园的科幻电影，画面震撼，配乐动人。",
    "Война и мир: роман о русском обществе в эпоху войн против Наполеона",
    "Two detectives, one about to retire, hunt a killer who stages his murders after the seven deadly sins. Crime, "
    "Mystery, Thriller. dark ending, serial killer, rain, noir",
    "how to fix a leaking kitchen tap without calling a plumber",
    "USB-C to HDMI adapter 4K@60Hz, compatible with MacBook Pro 2021, Dell XPS 13, Samsung Galaxy S22 (grey)",
    "The striker scored twice in the second half as the visitors came from behind to win 3-2 and go top of the table.",
    "手机壳 iPhone 15 Pro 防摔 透明 磁吸",
    "Ein Roboter lernt, was Freundschaft bedeutet, und rettet am Ende die Stadt, die ihn verstoßen hat.",
    "do not buy, broke after two days and the seller never answered",
    "Rosemary mint shampoo with biotin for thinning hair, sulfate free, 16 fl oz",
    "Researchers report a catalyst that splits water at room temperature, cutting the energy needed for hydrogen by a "
    "third; the material is made of cheap, abundant nickel and iron and kept its activity for a thousand hours.",
    "El chef visita mercados de todo el mundo en busca de recetas olvidadas.",
    "😀🎬🍿 best movie night ever!!!",
    "M3 x 10mm Socket Head Cap Screws, Grade 12.9 Alloy Steel, Black Oxide, Metric, Fully Threaded, 100 pcs",
    "Une enquête sur la disparition d'un tableau célèbre mène une jeune conservatrice jusqu'à Venise.",
    "Children's animated adventure about a lost penguin who crosses an ocean to find his family. Animation, Comedy, "
    "Musical. cute, sing along, friendship",
    "東京の小さなラーメン屋を舞台にした心温まる物語",
    "Beginner's guide to watercolor painting: brushes, paper, colour mixing and twenty projects, step by step",
    "A documentary about the builders of the first transatlantic cable, told through letters, drawings and the "
    "memories of their descendants. Documentary, History. engineering, sea, 19th century, narrated",
    "قصة عن صبي يبحث عن والده في المدينة الكبيرة",
    "waterproof hiking boots men wide size 11",
    "The new processor has eight cores, a base clock of 3.2 GHz and support for PCIe 5.0; reviewers praised its "
    "efficiency but criticised the price of 449 dollars.",
    "Anti-aging serum with vitamin C, hyaluronic acid and retinol for face and neck, day and night, 1 oz",
    "한국의 전통 음식과 그 역사를 소개하는 책",
    "Alien invaders, a washed-up pilot, one last flight. Action, Sci-Fi. explosions, fun, 1990s",
    "https://example.com/item?id=12345 v2.0.1 (build 7781) — see README.md, section 4.2",
]
"""Films, products, news, reviews and searches in several scripts; about a thousand tokens for an English model."""
