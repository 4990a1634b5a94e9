"""Fuzz targets: tests that replay their corpus, and with --config=fuzz programs of libFuzzer's."""

load("@rules_cc//cc:defs.bzl", "cc_test")
load("//tools:copts.bzl", "NEARCALL_INTERNAL_COPTS")

def fuzz_target(name, deps, corpus = None, two_bits = False, size = "small", tags = []):
    """NAME_fuzz.cc, which defines LLVMFuzzerTestOneInput, and the files in corpus/NAME.

    Args:
      name: the target is NAME_fuzz
      deps: of the source file
      corpus: NAME, where another target's corpus serves
      two_bits: the replay flips every two bits of each recorded frame's header, not only every one
      size: of the test
      tags: of the test
    """
    files = native.glob(["corpus/%s/*" % (corpus or name)])
    cc_test(
        name = name + "_fuzz",
        size = size,
        srcs = [name + "_fuzz.cc"],
        args = (["--two"] if two_bits else []) + ["$(location %s)" % file for file in files],
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
