"""Words that people look for in six languages, and the texts that have them."""

from __future__ import annotations

TEXTS = (
    "The astronauts travel through a wormhole", "科幻电影：人类推动地球离开太阳系", "東京タワーで映画を見る。七人の侍", "Café crème à Paris, 2024",
    "ภาพยนตร์วิทยาศาสตร์เกี่ยวกับอวกาศ", "우주를 여행하는 영화", "iPhone15 Pro-Max 512 GB", "ＳＦ film, コーヒーを飲む", "南京市长江大桥",
    "Солнце и Луна", "हिन्दी फिल्म", "",
)  # fmt: skip

FOUND: dict[str, set[int]] = {
    "astronauts": {0}, "WORMHOLE travel": {0}, "astronaut": set(), "astro": set(), "the wormhole": {0}, "a": {0, 3},
    "电影": {1}, "地球": {1}, "太阳系": {1}, "太阳": {1}, "科幻电影": {1}, "电影 地球": {1}, "影人": set(), "长江": {8}, "大桥": {8},
    "東京": {2}, "映画": {2}, "タワー": {2}, "東京タワー": {2}, "見る": {2}, "七人の侍": {2}, "コーヒー": {7}, "ｺｰﾋｰ": {7}, "飲む": {7},
    "ภาพยนตร์": {4}, "อวกาศ": {4}, "วิทยาศาสตร์": {4},
    "우주": {5}, "영화": {5}, "여행": {5}, "우주 영화": {5}, "화여": set(),
    "cafe": {3}, "café": {3}, "CAFÉ": {3}, "creme": {3}, "2024": {3}, "２０２４": {3}, "paris 2025": set(),
    "iphone15": {6}, "iphone": set(), "pro max": {6}, "Pro-Max": {6}, "512": {6}, "sf": {7}, "SF": {7}, "film": {7},
    "солнце": {9}, "фильм": set(), "फिल्म": {10}, "हिन्दी": {10},
}  # fmt: skip
"""Searched text → places of the texts with all its words, by hand."""
