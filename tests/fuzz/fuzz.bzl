"""Fuzz targets: tests that replay their corpus, and with --config=fuzz programs of libFuzzer's."""

load("@rules_cc//cc:defs.bzl", "cc_test")
load("//tools:copts.bzl", "NEARCALL_INTERNAL_COPTS")

def fuzz_target(name, deps, corpus = None, flips = 1, size = "small", tags = []):
    """NAME_fuzz.cc, which defines LLVMFuzzerTestOneInput, and the files in corpus/NAME.

    Args:
      name: the target is NAME_fuzz
      deps: of the source file
      corpus: NAME, where another target's corpus serves
      flips: how many bits of each recorded frame's header the replay flips at a time, 0 to 2; with 0 it cuts nothing
        off either
      size: of the test
      tags: of the test
    """
    files = native.glob(["corpus/%s/*" % (corpus or name)])
    cc_test(
        name = name + "_fuzz",
        size = size,
        srcs = [name + "_fuzz.cc"],
        args = ["--flips=%d" % flips] + ["$(location %s)" % file for file in files],
        copts = NEARCALL_INTERNAL_COPTS,
        data = files,
        linkopts = ["-rdynamic"] + select({
            ":libfuzzer": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        tags = tags,
        deps = deps + [":fuzz"] + select({
            ":libfuzzer": [],
            "//conditions:default": [":replay_main"],
        }),
    )
