"""under_fault: a test binary that links //tests/faults, as a test under one of its faults."""

def under_fault(name, fault, binary, gtest_filter = "*", **kwargs):
    """A test.

    Args:
      name: its name.
      fault: what NEARCALL_FAULT is to be.
      binary: the test's binary.
      gtest_filter: which of its tests.
      **kwargs: passed on to sh_test.
    """
    native.sh_test(
        name = name,
        srcs = ["under_fault.sh"],
        args = [fault, "$(rootpath %s)" % binary, "'--gtest_filter=%s'" % gtest_filter],
        data = [binary],
        **kwargs
    )
