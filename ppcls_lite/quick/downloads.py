"""What is fetched by its address: where it is kept, and how it comes."""

from ppcls_lite.utils.errors import UserError


def cache(kind):
    """The folder for downloads of this kind, beside that of the official weights."""
    from ppcls_lite.arch.pretrained import cache_folder  # Paddle comes with it, which a wrong option need not wait for

    return cache_folder().parent / kind


def fetched(url, folder, instead):
    """The path in `folder` of the file at `url`, fetched at its first use.

    UserError, which says where to put the file by hand, and `instead`, what else the user can do.
    """
    from ppcls_lite.arch.pretrained import fetch

    try:
        return fetch(url, folder)
    except UserError as error:
        raise UserError(f"{error}, or {instead}") from error
