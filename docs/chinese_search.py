"""Search without word lists: Chinese is indexed, and asked for, by pairs of neighbouring characters.

Sphinx would cut the pages into words by jieba, but the browser does not cut what is typed, so that nothing longer than
one word would be found.
"""

import re

from sphinx.search.en import SearchEnglish

CHINESE = "\u3400-\u4dbf\u4e00-\u9fff"
WORDS = re.compile(rf"[{CHINESE}]+|(?:(?![{CHINESE}])\w)+")

SPLITTER = rf"""
var splitQuery = (query) =>
  (query.match(/[{CHINESE}]+|(?:(?![{CHINESE}])[\p{{Letter}}\p{{Number}}_])+/gu) || []).flatMap((word) =>
    /^[{CHINESE}]{{2,}}$/.test(word) ? [...word].slice(1).map((last, place) => word[place] + last) : [word]);
"""


def pieces(text):
    """What a text is searched by: its words, and of Chinese the characters, one and two at a time."""
    for word in WORDS.findall(text):
        if re.match(rf"[{CHINESE}]", word):
            yield from word
            yield from (word[place : place + 2] for place in range(len(word) - 1))
        else:
            yield word


class SearchChinese(SearchEnglish):
    """Sphinx's search of English, which also finds Chinese."""

    lang = "zh"
    language_name = "English"  # of the stemmer, which words in Latin letters go through
    js_splitter_code = SPLITTER

    def split(self, input: str) -> list[str]:
        """The pieces of a text."""
        return list(pieces(input))

    def word_filter(self, word: str) -> bool:
        """Whether a piece is indexed: Chinese of any length."""
        return bool(re.match(rf"[{CHINESE}]", word)) or super().word_filter(word)


def setup(app):
    """Take the place of Sphinx's own search of Chinese."""
    app.add_search_language(SearchChinese)
    return {"version": "1", "parallel_read_safe": True}
