"""Keys of PaddleClas's configs that are accepted and change nothing here: whoever switches one on is told so."""

from ppcls_lite.utils.log import logger

# {section: {key: what happens instead}}
IGNORED = {
    "Global": {
        "use_dali": "NVIDIA DALI is not used, and images are read and transformed on the CPU",
        "enable_profile": "no profile is made; Global.benchmark=True prints the times of each part",
    },
}


def warn_of_ignored(config):
    """Log one warning for each key of `IGNORED` that the config sets to True.

    To be called once, by whoever runs the config, after the log is set up.
    """
    for section, keys in IGNORED.items():
        for key, instead in keys.items():
            if (config.get(section) or {}).get(key) is True:
                logger.warning(f"{section}.{key}=True is ignored: {instead}")
