#!/usr/bin/env python3
"""Compares `retort forward` with onnxruntime on real nets and prints error and time ratio of each.
Usage: onnx_peer.py RETORT [--threads N] [NET.onnx ...]
Without nets: those of PyPI's rapidocr-onnxruntime (detection, recognition, direction of text) and a BERT that torch exports here
(if torch and transformers are installed). Packages: onnx, onnxruntime, numpy, pillow, safetensors. Exit code 1: an output differs by more
than 1e-4 of its greatest value. With --quantize it also quantizes each net by these inputs and runs the written file in both. With
--answers it quantizes the recogniser by images of text in every way there is and compares what f32 and INT8 read on other images.
"""
import argparse
import importlib.util
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime
from safetensors.numpy import load_file, save_file


WORDS = "Which version of this model should I run on this machine for my task and how do you know 0123456789".split()


def text_image(rng, height, width):
    """[3, height, width]: lines of printed words on paper, as these nets expect them, in -1 … 1."""
    from PIL import Image, ImageDraw, ImageFont
    image = Image.new("L", (width, height), 235)
    draw, size = ImageDraw.Draw(image), 32 if height < 100 else 26
    for top in range(6, height - size, 2 * size):
        draw.text((8, top), " ".join(rng.choice(WORDS, 12)), fill=int(rng.integers(10, 60)), font=ImageFont.load_default(size))
    pixels = np.asarray(image, np.float32) / 255 + rng.normal(0, 0.01, (height, width)).astype(np.float32)
    return np.repeat((pixels[None] - 0.5) / 0.5, 3, axis=0)


def rapidocr_nets():
    """(path, {input: array}) of the three nets, with sizes as an image of text has them."""
    spec = importlib.util.find_spec("rapidocr_onnxruntime")
    if spec is None:
        return
    folder = pathlib.Path(spec.submodule_search_locations[0]) / "models"
    rng = np.random.default_rng(7)
    for pattern, shapes in (("*det*", [(1, 3, 640, 480), (1, 3, 96, 352)]), ("*rec*", [(1, 3, 48, 320), (6, 3, 48, 200)]), ("*cls*", [(1, 3, 48, 192), (6, 3, 48, 192)])):
        for path in sorted(folder.glob(pattern)):
            for shape in shapes:
                yield path, {"x": np.stack([text_image(rng, *shape[2:]) for _ in range(shape[0])])}


def line_image(rng, words):
    """[3, 48, 320] and the text on it."""
    from PIL import Image, ImageDraw, ImageFont
    paper, ink = int(rng.integers(170, 250)), int(rng.integers(5, 80))
    text, size = " ".join(words), int(rng.integers(22, 36))
    image = Image.new("L", (320, 48), paper)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    while draw.textlength(text, font) > 308:
        text = text[:-1].rstrip()
    draw.text((int(rng.integers(2, 10)), (48 - size) // 2 - 2), text, fill=ink, font=font)
    pixels = np.asarray(image, np.float32) / 255 + rng.normal(0, rng.uniform(0, 0.03), (48, 320)).astype(np.float32)
    return np.repeat((pixels[None] - 0.5) / 0.5, 3, axis=0).astype(np.float32), text


def texts_of(probabilities, characters):
    """What a recogniser reads: the likeliest of each step, repeats and the blank (0) left out."""
    texts = []
    for steps in probabilities.argmax(-1):
        kept = [c for i, c in enumerate(steps) if c != 0 and (i == 0 or c != steps[i - 1])]
        texts.append("".join(characters[c] for c in kept))
    return texts


def differing(a, b):
    """Levenshtein's distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def compare_answers(retort, folder, images=48):
    import onnx
    path = next(path for path, _ in rapidocr_nets() if "rec" in path.name)
    metadata = {p.key: p.value for p in onnx.load(path).metadata_props}
    characters = ["", *metadata["character"].splitlines(), " "]
    rng = np.random.default_rng(11)
    words = "Model Retort quantize 2026 3.14 weights, scale: INT8 Straße (accuracy) latency 42% memory; OK? yes/no A4 B12".split() + WORDS
    made = [line_image(rng, rng.choice(words, 6)) for _ in range(images + 24)]
    save_file({f"{i}/x": image[None] for i, (image, _) in enumerate(made[:24])}, folder / "calibration.safetensors")
    shown = np.stack([image for image, _ in made[24:]])
    save_file({"x": shown}, folder / "images.safetensors")

    def read(net):
        subprocess.run([retort, "forward", net, "--input", folder / "images.safetensors", "--output", folder / "read.safetensors"], check=True)
        values = next(iter(load_file(folder / "read.safetensors").values()))
        return values, texts_of(values, characters)

    exact, expected = read(path)
    letters = sum(map(len, expected))
    right = sum(a.replace(" ", "") == b.replace(" ", "") for a, (_, b) in zip(expected, made[24:]))
    print(f"\n{path.name}: {images} images of text, f32 reads {right} as printed (blanks aside); for example {expected[0]!r}")
    printed = [text.replace(" ", "") for _, text in made[24:]]

    def wrong(texts):
        return sum(differing(a.replace(" ", ""), b) for a, b in zip(texts, printed))

    print(f"{'ranges':<12} {'f32 nodes':>9} {'MB':>6} {'rms':>8} {'same text':>10} {'letters that differ':>20} {'wrong letters':>14} {'ms f32':>8} {'ms INT8':>8}")
    for ranges, limit in (("minmax", 0), ("percentile", 0), ("mse", 0), ("minmax", None), ("mse", None)):
        out = folder / "answers.onnx"
        done = subprocess.run([retort, "quantize", path, "--type", "INT8", "--calibration", folder / "calibration.safetensors", "--ranges", ranges, "-o", out, "--json",
                               *([] if limit is None else ["--max-error", str(limit)])], capture_output=True, text=True, check=True)
        report = json.loads(done.stdout)
        values, texts = read(out)
        rms = np.linalg.norm((values - exact).astype(np.float64)) / np.linalg.norm(exact.astype(np.float64))
        apart = sum(differing(a, b) for a, b in zip(expected, texts))
        print(f"{ranges:<12} {report['kept_nodes']:9} {report['bytes'] / 1e6:6.1f} {rms:8.2%} {sum(a == b for a, b in zip(expected, texts)):4} of {images} "
              f"{apart:9} of {letters:6} {wrong(texts):6} ({wrong(expected)}) {1e3 * report['source_run_seconds'] / report['sets']:10.1f} {1e3 * report['run_seconds'] / report['sets']:8.1f}")
    for node in [n for n in report["nodes"] if n["kept"]]:
        print(f"  stays in f32: {node['node']:<44} alone {node['error']:.2%} off")


def export_bert(folder, opset):
    import torch
    import transformers
    torch.manual_seed(5)
    config = transformers.BertConfig(vocab_size=1000, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    model = transformers.BertForSequenceClassification(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.08) if parameter.ndim > 1 else torch.nn.init.uniform_(parameter, 0.2, 1.0)
    ids = torch.randint(1, 1000, (2, 16))
    path = folder / f"bert-opset{opset}.onnx"
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {name: {0: "batch", 1: "length"} for name in names} | {"logits": {0: "batch"}}
    torch.onnx.export(model, (ids, torch.ones_like(ids), torch.zeros_like(ids)), str(path), input_names=names, output_names=["logits"], dynamic_axes=axes,
                      opset_version=opset, dynamo=False)
    return path


def bert_nets(folder):
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        return
    rng = np.random.default_rng(9)
    for opset in (14, 17):
        path = export_bert(folder, opset)
        for batch, length in ((1, 128), (4, 37)):
            mask = np.ones((batch, length), np.int64)
            mask[-1, length * 2 // 3:] = 0
            yield path, {"input_ids": rng.integers(1, 1000, (batch, length)), "attention_mask": mask, "token_type_ids": np.zeros((batch, length), np.int64)}


def own_net(path):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}
    rng = np.random.default_rng(1)
    inputs = {}
    for i in session.get_inputs():
        shape = [d if isinstance(d, int) and d > 0 else 1 if n == 0 else 64 for n, d in enumerate(i.shape)]
        inputs[i.name] = rng.normal(size=shape).astype(np.float32) if kinds[i.type] == np.float32 else np.ones(shape, kinds[i.type])
    return path, inputs


def best_time(run, least=3, seconds=1.0):
    times = []
    while len(times) < least or (sum(times) < seconds and len(times) < 50):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def processor_times(retort, path, inputs, folder):
    """Processor seconds of one run on one thread, of both: what a busy machine can still tell."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def theirs():
        start = time.process_time()
        session.run(None, inputs)
        return time.process_time() - start

    def ours(repeat):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([retort, "forward", path, "--input", folder / "in.safetensors", "--output", folder / "out.safetensors", "--threads", "1", "--repeat", str(repeat)], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    save_file({k: np.ascontiguousarray(v) for k, v in inputs.items()}, folder / "in.safetensors")
    theirs()
    return min((ours(12) - ours(2)) / 10 for _ in range(2)), min(theirs() for _ in range(10))


def compare(retort, path, inputs, threads, folder):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    expected = dict(zip(names, session.run(None, inputs)))
    theirs = best_time(lambda: session.run(None, inputs))
    save_file({k: np.ascontiguousarray(v) for k, v in inputs.items()}, folder / "in.safetensors")
    done = subprocess.run([retort, "forward", path, "--input", folder / "in.safetensors", "--output", folder / "out.safetensors", "--threads", str(threads),
                           "--repeat", "5", "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{path.name:<36} {done.stderr.strip()}")
        return False
    ours = min(json.loads(done.stdout)["seconds"])
    outputs = load_file(folder / "out.safetensors")
    worst = 0.0
    for name, want in expected.items():
        got = outputs[name]
        if got.shape != want.shape:
            print(f"{path.name:<36} {name}: {got.shape} instead of {want.shape}")
            return False
        if want.size:
            worst = max(worst, float(np.abs(got.astype(np.float64) - want).max() / max(np.abs(want).max(), 1e-30)))
    shape = " ".join("×".join(map(str, v.shape)) for v in list(inputs.values())[:1])
    print(f"{path.name:<36} {shape:<14} {worst:10.2e} {ours * 1e3:9.1f} ms {theirs * 1e3:9.1f} ms {ours / theirs:6.2f}")
    return worst <= 1e-4


def compare_quantized(retort, path, inputs, folder):
    """The written file gives in onnxruntime what it gives in Retort, but for values that lie on a step's edge."""
    save_file({k: np.ascontiguousarray(v) for k, v in inputs.items()}, folder / "in.safetensors")
    out = folder / "quantized.onnx"
    done = subprocess.run([retort, "quantize", path, "--type", "INT8", "--calibration", folder / "in.safetensors", "-o", out, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{path.name:<36} {done.stderr.strip()}")
        return False
    report = json.loads(done.stdout)
    subprocess.run([retort, "forward", out, "--input", folder / "in.safetensors", "--output", folder / "out.safetensors"], check=True)
    def theirs(level):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = level
        session = onnxruntime.InferenceSession(str(out), options, providers=["CPUExecutionProvider"])
        return [o.name for o in session.get_outputs()], session.run(None, inputs)

    # Deep nets with rounded activations magnify every rounding: how far onnxruntime's own two ways part says how much.
    levels = onnxruntime.GraphOptimizationLevel
    (names, plain), (_, fused) = theirs(levels.ORT_DISABLE_ALL), theirs(levels.ORT_ENABLE_ALL)
    outputs = load_file(folder / "out.safetensors")

    def apart(a, b):
        return float(np.linalg.norm((a - b).astype(np.float64)) / max(np.linalg.norm(b.astype(np.float64)), 1e-30))

    worst = max(apart(outputs[name], want) for name, want in zip(names, plain))
    own = max(apart(a, b) for a, b in zip(fused, plain))
    effect = report["outputs"][0]
    print(f"{path.name:<36} INT8: {report['source_bytes'] / 1e6:.1f} → {report['bytes'] / 1e6:.1f} MB, rms difference to f32 {effect['relative_rms']:.2%}, "
          f"to onnxruntime on the same file {worst:.2%} (onnxruntime fused to unfused: {own:.2%})")
    return worst <= max(0.3 * effect["relative_rms"], 1.5 * own, 1e-4)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("retort")
    parser.add_argument("nets", nargs="*", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processor", action="store_true", help="processor seconds on one thread instead")
    parser.add_argument("--quantize", action="store_true")
    parser.add_argument("--answers", action="store_true")
    args = parser.parse_args()
    if args.answers:
        with tempfile.TemporaryDirectory() as name:
            return compare_answers(args.retort, pathlib.Path(name))
    print(f"{'net':<36} {'input':<14} {'difference':>10} {'Retort':>12} {'ONNX Runtime':>12} {'ratio':>6}   ({args.threads} threads, best run)")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        cases = [own_net(path) for path in args.nets] if args.nets else [*rapidocr_nets(), *bert_nets(folder)]
        if args.processor:
            for path, inputs in cases:
                ours, theirs = processor_times(args.retort, path, inputs, folder)
                print(f"{path.name:<36} {'×'.join(map(str, list(inputs.values())[0].shape)):<14} processor {ours * 1e3:9.1f} ms {theirs * 1e3:9.1f} ms {ours / theirs:6.2f}")
            return
        good = [compare(args.retort, path, inputs, args.threads, folder) for path, inputs in cases]
        if args.quantize:
            good += [compare_quantized(args.retort, path, inputs, folder) for path, inputs in cases]
    print(f"{sum(good)} of {len(good)} agree within 1e-4 of the greatest value")
    sys.exit(0 if good and all(good) else 1)


main()
