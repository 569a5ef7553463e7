"""Recall@1 of a recogniser: how often chance finds the identity, and what the embeddings of a bundle find."""

from collections import Counter

from embedding import unit

RECALL = "recall1"
_TIE = 1e-6  # of two cosines


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


def random_share(lists, queries, gallery):
    """(number of queries, the share that a random image of the gallery would find, where that is from).

    Queries have other chances each; a binomial test with their mean is the stricter one (Hoeffding 1956).
    """
    pair = pair_of(lists, queries, gallery)
    if pair is None:
        return int(queries or 0), None, ""
    (name, asked), (other, listed) = pair
    own = name == other  # an image does not find itself
    counts = Counter(listed.values())
    shares = [(counts[label] - own) / (len(listed) - own) for label in asked.values()]
    shares = [share for share in shares if share > 0]
    source = f"a random image of {other}"
    return len(asked), sum(shares) / len(asked) if shares else None, source


def right_queries(found, lists, queries, gallery):
    """(least, most) number of queries whose nearest image has their identity: both differ by ties only.

    `found` is {image: `Prediction`} of embeddings; None where not all images are there, or a query has no match.
    """
    pair = pair_of(lists, queries, gallery)
    if pair is None:
        return None
    rows = {name: unit(list(map(float, one.rows))) for name, one in found.items()}
    asked, listed = (_rows_of(rows, labels) for _, labels in pair)
    if asked is None or listed is None:
        return None
    least = most = 0
    for own, vector, label in asked:
        cosines = [
            (sum(a * b for a, b in zip(vector, other)), known == label) for name, other, known in listed if name != own
        ]
        matches = [cosine for cosine, same in cosines if same]
        if not matches:
            return None
        others = max((cosine for cosine, same in cosines if not same), default=-1.0)
        least += max(matches) > others + _TIE
        most += max(matches) >= others - _TIE
    return least, most


def _rows_of(rows, labels):
    """[(name, vector, label)] of a list's images; None where one of them has no embedding, or several."""
    found = []
    for listed, label in labels.items():
        names = [name for name in rows if f"/{listed}".endswith(f"/{name}")]
        if len(names) != 1:
            return None
        found.append((names[0], rows[names[0]], label))
    return found
