"""What `deploy/python/build_gallery.py` does: make a gallery of images, add images to it, or remove some."""

import os
import sys

import numpy as np

from ppcls_lite.infer.deployed import RECOGNITION, Deployed
from ppcls_lite.infer.gallery import Gallery, files
from ppcls_lite.infer.gallery.approximate import FLAT, HNSW, import_faiss
from ppcls_lite.infer.gallery.data_file import read_data_file
from ppcls_lite.infer.gallery.exact import IP
from ppcls_lite.infer.gallery.settings import APPEND, NEW, REMOVE, IndexSettings
from ppcls_lite.infer.rec_config import with_usual_names
from ppcls_lite.infer.results import progress_bar
from ppcls_lite.infer.shared_list import rank_and_world
from ppcls_lite.utils.config import require
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger, setup_logging


def build_gallery(config, config_path, overrides=()):
    """Do what `IndexProcess.index_operation` of a prediction config says, and print one line about the gallery.

    Other processes may search the former gallery meanwhile; the new one takes its place as a whole. UserError, one
    line, for whatever cannot be used: nothing is written then.
    """
    setup_logging(stream=sys.stderr)
    if rank_and_world()[1] > 1:
        raise UserError("build_gallery.py: expected one process, found several: a gallery has one writer")
    config = with_usual_names(config, config_path, overrides)
    settings = IndexSettings.from_config(config, config_path)
    require(config, "IndexProcess.data_file", config_path)
    import_faiss()  # not only after minutes of computing
    lines = read_data_file(settings.data_file, settings.delimiter, named=settings.index_operation != REMOVE)
    if settings.index_operation != REMOVE and not os.path.isdir(settings.image_root):
        raise UserError(f"{settings.image_root}: no such folder (image_root of {settings.data_file})")
    with files.writing(settings.index_dir):
        if settings.index_operation == NEW and files.exists(settings.index_dir):
            _warn_of_replacing(settings.index_dir)
        if settings.index_operation == REMOVE:
            gallery = _removed(settings, lines)
        else:
            gallery = _added(settings, lines, Deployed(config, config_path, overrides, RECOGNITION))
        gallery.save(settings.index_dir)
    print(
        f"{settings.index_dir}: {len(gallery)} images of {len(set(gallery.docs))} names, embedding size "
        f"{gallery.embedding_size}, {gallery.method}, {gallery.dist_type}"
    )


def _warn_of_replacing(folder):
    """What is there may have taken long to collect: to replace it is the default."""
    try:
        found = f"the gallery of {len(Gallery.load(folder))} images there"
    except UserError:  # it is of no use any more
        found = "a gallery that cannot be read"
    logger.warning(f"{folder}: {found} will be replaced; IndexProcess.index_operation append adds to one")


def _removed(settings, lines):
    gallery = Gallery.load(settings.index_dir)
    settings.check_method(gallery)
    names = dict(zip(gallery.paths, gallery.docs))
    for line in lines:
        if line.name and names.get(line.path, line.name) != line.name:
            found = names[line.path]
            raise UserError(f"{settings.data_file}:{line.number}: {line.path} is {found!r} in the gallery")
    known = [line.path for line in lines if line.path in names]
    if gallery.method == HNSW:
        raise UserError(f"{settings.index_dir}: HNSW32 cannot remove: build it again, or use index_method Flat or IVF")
    if not known:
        raise UserError(f"{settings.data_file}: none of its {len(lines)} images is in {settings.index_dir}")
    if len(known) < len(lines):
        missing = next(line.path for line in lines if line.path not in names)
        logger.warning(f"images that are not in the gallery: {len(lines) - len(known)}, e.g. {missing}")
    if len(known) == len(gallery):
        raise UserError(
            f"{settings.index_dir}: nothing would be left in the gallery: {settings.data_file} has all its "
            f"{len(gallery)} images: delete the folder, or build another"
        )
    gallery.remove(known)
    return gallery


def _added(settings, lines, deployed):
    """The gallery with the images of the lines, a new one or the former one."""
    former, model = None, deployed.fingerprint()
    if settings.index_operation == APPEND:
        former = Gallery.load(settings.index_dir, model)
        settings.check_method(former)
        lines = _further(settings, lines, former)
        if not lines:
            return former
    features = _embeddings(settings, lines, deployed)
    docs, paths = [line.name for line in lines], [line.path for line in lines]
    if former:
        former.add(features, docs, paths)
        return former
    method, dist_type = settings.index_method or FLAT, settings.dist_type or IP
    return Gallery.build(features, docs, paths, model, method, dist_type)


def _further(settings, lines, gallery):
    """The lines of images that the gallery does not have yet; UserError for one that has another name there."""
    names = dict(zip(gallery.paths, gallery.docs))
    for line in lines:
        if names.get(line.path, line.name) != line.name:
            raise UserError(
                f"{settings.data_file}:{line.number}: {line.path} is {line.name!r} here, and {names[line.path]!r} in "
                "the gallery: remove it there first"
            )
    there = [line.path for line in lines if line.path in names]
    if there:
        logger.warning(f"images that are in the gallery already, and stay as they are: {len(there)}, e.g. {there[0]}")
    return [line for line in lines if line.path not in names]


def _embeddings(settings, lines, deployed):
    """[N, D] float32, a row for each line; UserError when an image cannot be read, and for another size than stated."""
    paths = [os.path.join(settings.image_root, line.path) for line in lines]
    predictor = deployed.predictor(deployed.postprocess.normalized, settings.batch_size)
    rows = []
    with progress_bar(len(paths)) as advance:
        for batch in predictor.predict_all(paths):
            rows += [row for _, row in batch if not isinstance(row, UserError)]
            size = settings.embedding_size or (len(rows[0]) if rows else 0)
            if rows and len(rows[0]) != size:
                raise UserError(f"IndexProcess.embedding_size: expected {len(rows[0])}, the model's, found {size}")
            advance(len(batch))
    if predictor.failed:
        count = f"{len(predictor.failed)} of {len(paths)}"
        raise UserError(f"images that cannot be read: {count}, e.g. {predictor.failed[0]}: nothing was written")
    return np.stack(rows)
