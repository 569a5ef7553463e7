"""Recall@1 of a recogniser: how often chance finds the identity, and what the embeddings of a bundle find."""

import re
from collections import Counter

from embedding import unit
from figures import find_figure

RECALL = "recall1"
_LEFT_OUT = re.compile(r"\bqueries: (\d+) of (\d+)\b")
_TIE = 1e-6  # of two cosines


def numbers_of_queries(lines):
    """(number of queries, number of those that were judged) in the lines of a log, as `queries: 415`, or `queries: 3 of
    72` where those without a match are left out; None for what is not said."""
    found = [match for line in lines for match in _LEFT_OUT.finditer(line)]
    return (int(found[-1][2]), int(found[-1][1])) if found else (find_figure(lines, "queries"), None)


def pair_of(lists, queries, gallery):
    """((path, {image: label}) of the queries, that of the gallery) of `lists_of`, by their numbers; None for none.

    Where the numbers are equal, and lists are named so, those with `query` and `gallery` in their names.
    """
    if not queries:
        return None
    asked = _named([one for one in lists if len(one[1]) == int(queries)], "query")
    others = _named([one for one in lists if len(one[1]) == int(gallery or queries)], "gallery")
    return (asked[0], others[0]) if asked and others else None


def _named(lists, word):
    return [one for one in lists if word in one[0].rpartition("/")[2]] or lists


def random_share(lists, queries, gallery, judged=None):
    """(number of queries, the share that a random image of the gallery would find, where that is from).

    `judged` is the number of queries that have a match, where the others do not count.

    Queries have other chances each; a binomial test with their mean is the stricter one (Hoeffding 1956).
    """
    pair = pair_of(lists, queries, gallery)
    if pair is None:
        return int(judged or queries or 0), None, ""
    (name, asked), (other, listed) = pair
    own = name == other  # an image does not find itself
    counts = Counter(listed.values())
    shares = [(counts[label] - own) / (len(listed) - own) for label in asked.values()]
    shares = [share for share in shares if share > 0]
    source = f"a random image of {other}"
    count = judged or len(asked)
    return count, sum(shares) / count if shares else None, source


def right_queries(found, lists, queries, gallery, judged=None):
    """(least, most) number of queries whose nearest image has their identity: both differ by ties only.

    `found` is {image: `Prediction`} of embeddings. None where not all images are there, or other than `judged` queries
    (None for all of them) have a match.
    """
    pair = pair_of(lists, queries, gallery)
    if pair is None:
        return None
    rows = {name: unit(list(map(float, one.rows))) for name, one in found.items()}
    asked, listed = (_rows_of(rows, labels) for _, labels in pair)
    if asked is None or listed is None:
        return None
    least = most = matched = 0
    for own, vector, label in asked:
        cosines = [
            (sum(a * b for a, b in zip(vector, other)), known == label) for name, other, known in listed if name != own
        ]
        matches = [cosine for cosine, same in cosines if same]
        if not matches:
            continue
        matched += 1
        others = max((cosine for cosine, same in cosines if not same), default=-1.0)
        least += max(matches) > others + _TIE
        most += max(matches) >= others - _TIE
    return (least, most) if matched == (judged or len(asked)) else None


def _rows_of(rows, labels):
    """[(name, vector, label)] of a list's images; None where one of them has no embedding, or several."""
    found = []
    for listed, label in labels.items():
        names = [name for name in rows if f"/{listed}".endswith(f"/{name}")]
        if len(names) != 1:
            return None
        found.append((names[0], rows[names[0]], label))
    return found
