"""The two sides of the first stages: what the trained network's script did with an image, and what infer did."""

from agreement.preprocessing import check_preprocessing


def reference_of(subject):
    """(name of the step, its recording): that of predict, else of evaluate; ("predict", None) without either."""
    for step in ("predict", "evaluate"):
        if step in subject.references and subject.references[step].calls:
            return step, subject.references[step]
    return "predict", subject.references.get("predict")


def pairings_of(subject):
    """(the `Result` of the check of the preprocessing, {name of an engine: Pairing}), of predict or evaluate."""
    return check_preprocessing(subject.exported, reference_of(subject)[1], subject.engines)
