"""The post-processing of a recogniser that has a gallery: from features to names."""


class Lookup:
    """The matches in a `Gallery` of the features [N, D] of images.

    `embedding` is the post-processing `Embedding`, `return_k` and `score_thres` are as in `IndexSettings`.
    """

    def __init__(self, embedding, gallery, return_k=5, score_thres=None):
        self.embedding, self.gallery = embedding, gallery
        self.return_k, self.score_thres = return_k, score_thres

    def __call__(self, features):
        """One dict per row: `matches`, as `Gallery.matches` has them."""
        rows = self.embedding.normalized(features)
        return [{"matches": found} for found in self.gallery.matches(rows, self.return_k, self.score_thres)]
