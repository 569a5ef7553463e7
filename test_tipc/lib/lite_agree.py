"""Does a deployed model compute what Paddle computes, and do the .nb files for ARM and x86 hold the same weights?

    python test_tipc/lib/lite_agree.py outputs x86 --expected program/expected.npz --found outputs.npz
    python test_tipc/lib/lite_agree.py weights --arm model_arm.nb --x86 model_x86.nb --params program/model.pdiparams

`outputs`: the largest difference of any number is at most 1e-5 (of the largest number, where one is above 1), or ten
times what moving the last bit of each input makes in Paddle itself; the best classes are the same; and outputs that do
not depend on the image agree with nothing. `weights`: nothing is run; the two files have the same weights, bit by bit.
Exit code: 0 agrees, 1 it does not, or a file cannot be used (one line names image, class and both values).
"""

import argparse
from pathlib import Path

import numpy as np

from agreement.limits import TOP, Spread, is_scores, largest_difference, same_top, scale
from agreement.params import read_tensors
from bundle_rows import Rows, key_of_arrays, write_pair
from lite.nb import read_nb
from lite.samples import read_arrays
from script import UserError, run_main

LIMIT = 1e-5
LAST_BITS = 10  # rounding happens in every one of a hundred layers, and not only to the inputs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    outputs = commands.add_parser("outputs")
    outputs.add_argument("name", help="what the printed line begins with")
    outputs.add_argument("--expected", type=Path, required=True)
    outputs.add_argument("--found", type=Path, required=True, help=".npz, or the scores of a device as float32")
    outputs.add_argument("--save", type=Path, metavar="FOLDER", help="write the outputs of both, row by row, as JSON")
    outputs.add_argument("--inputs", type=Path, metavar="FILE.npz", help="what they were computed of, for --save")
    weights = commands.add_parser("weights")
    for option in ("--arm", "--x86", "--params"):
        weights.add_argument(option, type=Path, required=True)
    args = parser.parse_args()
    if args.command == "outputs":
        expected = read_arrays(args.expected)
        found = read_found(args.found, expected)
        if args.save:
            save_outputs(args, expected, found)
        compare_outputs(args.name, expected, found)
    else:
        compare_weights(args.arm, args.x86, args.params)


def read_found(path, expected):
    """{name: array} of a .npz file; of another file, whose numbers are float32 and have no shape, the only output."""
    if path.suffix == ".npz":
        return read_arrays(path)
    names = [name for name in expected if not name.startswith("~")]
    try:
        found = np.fromfile(path, np.float32)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if len(names) != 1 or found.size != expected[names[0]].size:
        raise UserError(f"{path}: expected {expected[names[0]].size} numbers, found {found.size}")
    return {names[0]: found.reshape(expected[names[0]].shape)}


def save_outputs(args, expected, found):
    """Write the rows of both; the key of a row is the hash of its inputs, or its number where these are not given."""
    names = [key for key in expected if not key.startswith("~")]
    inputs = list(read_arrays(args.inputs).values()) if args.inputs else []
    paddle, other = Rows(names), Rows(names)
    for row in range(len(expected[names[0]])):
        key = key_of_arrays([array[row] for array in inputs]) if inputs else f"image {row}"
        paddle.add(key, [expected[name][row] for name in names])
        other.add(key, [array[row] if row < len(array) else None for array in found.values()])
    first, spread = names[0], Spread()
    for number, row in enumerate(next(iter(found.values()))):
        spread.add(number, row)
    limit = _limit(expected[first], expected[f"~{first}"], spread)[0] / max(1.0, scale(expected[first]))
    write_pair(
        args.save,
        ("strict", "Paddle Inference, no optimisation", None, paddle),
        (args.name, f"Paddle Lite, {args.name}", limit, other),
    )


def compare_outputs(name, expected, found):
    """Print a line for each output; UserError for the first that disagrees."""
    names = [key for key in expected if not key.startswith("~")]
    if len(found) != len(names):
        raise UserError(f"{name}: expected {len(names)} outputs, found {len(found)}")
    same_names = set(found) == set(names)
    constant = []
    for key, other in zip(names, names if same_names else found):
        label = name if len(names) == 1 else f"{name} {key}"
        constant.append(_compare(label, expected[key], found[other], expected[f"~{key}"]))
    judged = [one for one in constant if one is not None]
    if judged and all(judged):
        raise UserError(f"{name}: the outputs do not depend on the image: that they agree says nothing")


def _compare(name, expected, found, moved):
    """Print the line; returns whether the output is the same for all images, None where that is not known."""
    if expected.shape != found.shape:
        raise UserError(f"{name}: expected an output {list(expected.shape)}, found {list(found.shape)}")
    spread = Spread()
    for number, row in enumerate(found):
        spread.add(number, row)
    limit, why = _limit(expected, moved, spread)
    apart = largest_difference(expected, found)
    line = f"{name}: largest difference {apart:.3g} (at most {limit:.3g} allowed{why})"
    if apart > limit:
        raise UserError(f"{line}: {_worst(expected, found)}")
    if is_scores(expected.reshape(len(expected), -1)) and expected.ndim == 3:
        for number, (first, second) in enumerate(zip(expected[:, 0], found[:, 0])):
            if not same_top(first, second, limit):
                raise UserError(f"{line}: image {number}: {_classes(first, second)}")
        line += f", {len(found)} of {len(found)} images with the same top-{TOP}"
    print(f"{line}: {'does not depend on the image' if spread.is_constant else 'agrees'}")
    return spread.is_constant if spread.share is not None else None


def _limit(expected, moved, spread):
    """(the difference that is allowed, why it is more than LIMIT): never half of what different images differ by."""
    limit, why = LIMIT * max(1.0, scale(expected)), ""
    last_bits = LAST_BITS * largest_difference(expected, moved)
    if last_bits > limit:
        limit, why = last_bits, f", {LAST_BITS} times what the last bit of the inputs makes in Paddle"
    if spread.largest and spread.largest / 2 < limit:
        limit, why = spread.largest / 2, ", half of what two images differ by"
    return limit, why


def _worst(expected, found):
    apart = np.abs(expected.astype(np.float64) - found)
    apart[~np.isfinite(apart)] = np.inf
    image, *place = np.unravel_index(apart.argmax(), apart.shape)
    first, second = expected[(image, *place)], found[(image, *place)]
    return f"image {image}, class {place[-1] if place else 0}: Paddle {first:.7g}, here {second:.7g}"


def _classes(first, second):
    best = [np.argsort(-row, kind="stable")[:TOP] for row in (first, second)]
    place = int(np.argmax(best[0] != best[1]))
    one, other = best[0][place], best[1][place]
    return (
        f"place {place + 1} is class {other} ({second[other]:.7g}) instead of class {one} ({first[one]:.7g} in Paddle, "
        f"here {second[one]:.7g})"
    )


def compare_weights(arm_file, x86_file, params):
    """Print a line about the weights of the two .nb files; UserError where they are not the same."""
    arm, x86 = read_nb(arm_file), read_nb(x86_file)
    for model, path, target in ((arm, arm_file, "arm"), (x86, x86_file, "x86")):
        if not set(model.targets) <= {target}:
            raise UserError(f"{path}: optimised for {', '.join(model.targets)}, expected {target}")
    for name in arm.weights.keys() ^ x86.weights.keys():
        raise UserError(f"{arm_file}: the weight {name} is only in {arm_file if name in arm.weights else x86_file}")
    for name, array in arm.weights.items():
        other = x86.weights[name]
        if array.dtype != other.dtype or array.shape != other.shape or array.tobytes() != other.tobytes():
            raise UserError(f"{arm_file}: the weight {name} {list(array.shape)} is not that of {x86_file}")
    own = {bytes(data) for _, _, data in read_tensors(params)}
    kept = sum(array.tobytes() in own for array in arm.weights.values())
    targets = [kernel.target for kernel in arm.kernels]
    print(
        f"weights: all {len(arm.weights)} of the ARM model are bit by bit those of the x86 twin, {kept} of them as "
        f"they were exported (opt has merged others); kernels for ARM compute {targets.count('arm')} operators, plain "
        f"C++ {targets.count('host')}. The ARM model was not run for this"
    )


if __name__ == "__main__":
    run_main(main)
