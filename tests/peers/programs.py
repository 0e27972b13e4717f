"""The programs that the comparisons here run: Retort, and llama.cpp's tools, which may live in a root of their own."""
import json
import os
import pathlib
import subprocess


def output_of(command, **more):
    """What it printed; raises with its last words where it failed."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} failed ({done.returncode}): {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
    return done


class Retort:
    def __init__(self, program, environment=None):
        self.program, self.environment = program, environment

    def __call__(self, *arguments):
        """What a command says with --json."""
        return json.loads(output_of([self.program, *arguments, "--json"], env=self.environment).stdout)


class LlamaCpp:
    """Tools on the path, or in `root` (chroot), which sees the folder A as B where `seen_as` is "A=B"."""

    def __init__(self, root=None, seen_as=None):
        self.root, self.seen_as = root, seen_as

    def inside(self, path):
        path = str(pathlib.Path(path).absolute())
        return path.replace(*self.seen_as.split("="), 1) if self.seen_as else path

    def run(self, tool, *arguments):
        command = (["chroot", self.root] if self.root else []) + [tool, *arguments]
        # Without this, threads that spin for a core another program has make a shared machine crawl.
        done = output_of(command, env={**os.environ, "OMP_WAIT_POLICY": "passive"})
        return done.stdout + done.stderr
