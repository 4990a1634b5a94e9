"""Counts what .ci/run ran, names what failed, and prints "N passed, N failed" as its last line; fails when any did.

The directory named on the command line holds NAME.exit, the exit code of a step, and for `bazel test` NAME.json too,
Bazel's build events. A test that reports its cases in test.xml counts case by case, any other as one.
"""

import collections
import json
import pathlib
import sys
import textwrap
import urllib.parse
import xml.etree.ElementTree as ElementTree


def case_outcome(case):
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    if case.find("skipped") is not None or case.get("status") == "notrun":
        return "skipped"
    return "passed"


def count_test(label, result):
    """Outcomes of one run of one test target, from its testResult event. Prints what failed."""
    passed = result["status"] in ("PASSED", "FLAKY")
    outcomes = collections.Counter()
    for output in result.get("testActionOutput", []):
        if output["name"] == "test.xml":
            try:
                tree = ElementTree.parse(urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path))
            except (OSError, ElementTree.ParseError):  # the test died before it wrote its report
                continue
            for case in tree.iter("testcase"):
                outcome = case_outcome(case)
                outcomes[outcome] += 1
                if outcome == "failed":
                    print(f"{label}: {case.get('classname', '')}.{case.get('name')} failed:")
                    for reason in [*case.iter("failure"), *case.iter("error")]:
                        print(textwrap.indent(reason.get("message", ""), "    "))
    if not passed and not outcomes["failed"]:  # a crash, a time-out, a sanitizer's report at exit
        print(f"{label}: {result['status']}, though no case of it failed")
        outcomes["failed"] = 1
    if not outcomes:
        outcomes["passed"] = 1
    return outcomes


def count_bazel(path):
    runs = {}  # (label, run, shard) -> the last attempt
    unbuilt = set()  # tests that never ran
    for line in path.read_text().splitlines():
        event = json.loads(line)
        if "testSize" in event.get("configured", {}):
            unbuilt.add(event["id"]["targetConfigured"]["label"])
        elif "testResult" in event:
            key = event["id"]["testResult"]
            runs[key["label"], key.get("run"), key.get("shard")] = event["testResult"]
            unbuilt.discard(key["label"])
    for label in unbuilt:
        print(f"{label}: never ran")
    return sum((count_test(key[0], result) for key, result in runs.items()), collections.Counter(failed=len(unbuilt)))


def main():
    total = collections.Counter()
    for exit_file in sorted(pathlib.Path(sys.argv[1]).glob("*.exit")):
        ok = exit_file.read_text().strip() == "0"
        events = exit_file.with_suffix(".json")
        outcomes = count_bazel(events) if events.exists() else collections.Counter(passed=int(ok))
        if not ok and not outcomes["failed"]:  # the step itself, or its build
            outcomes["failed"] = 1
        print(f"{exit_file.stem}:", ", ".join(f"{n} {what}" for what, n in sorted(outcomes.items()) if n))
        total += outcomes
    print(f"{total['passed']} passed, {total['failed']} failed")
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
