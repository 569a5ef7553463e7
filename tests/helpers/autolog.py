"""Read what AutoLog prints, as those do who read it: by sections, and by the words of PaddleDetection's script."""

import re

LINE = re.compile(r"\[\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\] root INFO: ?(.*)")
TITLE = re.compile(r"(-+) ([A-Za-z, ]+) (-+)")
# what deploy/benchmark/log_parser_excel.py of PaddleDetection looks for: the word behind each of these
WORDS = [
    "runtime_device:",
    "ir_optim:",
    "enable_memory_optim:",
    "enable_tensorrt:",
    "precision:",
    "enable_mkldnn:",
    "cpu_math_library_num_threads:",
    "model_name:",
    "batch_size:",
    "input_shape:",
    "cpu_rss(MB):",
    "gpu_rss(MB):",
    "gpu_util:",
    "inference_time(ms):",
    "postprocess_time(ms):",
]


def sections_of(text):
    """{title with its dashes: [entry]} of the lines that AutoLog's logger prints."""
    sections = {}
    for match in filter(None, map(LINE.fullmatch, text.splitlines())):
        if TITLE.fullmatch(match[1]):
            entries = sections.setdefault(match[1], [])
        elif match[1]:
            assert match[1].startswith(" "), match[1]  # an identifier, which is empty, and a blank
            entries.append(match[1][1:])
    return sections


def keys_of(entries):
    """[[key]] of lines such as `a: 1, b: 2`."""
    return [[part.partition(": ")[0] for part in entry.split(", ")] for entry in entries]


def words_of(text):
    """{key: value} as the official script reads them: a word, and the word behind it without its comma."""
    found = {}
    for line in text.splitlines():
        parts = line.split(" ")
        found.update({word: parts[parts.index(word) + 1].split(",")[0] for word in WORDS if word in parts})
    return found
