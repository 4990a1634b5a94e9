"""Checks the JSON and the SVG of one run. Usage: compare_test.py ROWS.json PLOT.svg HOW-MANY-ROWS"""

import json
import sys
import xml.etree.ElementTree

FIELDS = {
    "case": str,
    "transport": str,
    "size": int,
    "clients": int,
    "p50_us": float,
    "p99_us": float,
    "p999_us": float,
    "calls_per_s": float,
    "cpu_us_per_call": float,
    "floor_ratio": float,
    "grpc_ratio": float,
}


def main():
    rows_path, plot_path, count = sys.argv[1:]
    with open(rows_path, encoding="utf-8") as file:
        rows = json.load(file)
    assert len(rows) == int(count), f"{len(rows)} rows"
    for row in rows:
        for name, kind in FIELDS.items():
            value = row[name]
            # Not everything has a floor, or is compared with gRPC, or has a latency.
            fits = value is None or isinstance(value, (int, float)) and value > 0 if kind is float else isinstance(value, kind)
            assert fits, f"{name} is {value!r} in {row}"
        assert row["calls_per_s"], row
    of_shm = next(row for row in rows if row["transport"] == "shm")
    assert of_shm["grpc_ratio"], of_shm
    if of_shm["case"].startswith("unary"):
        assert of_shm["floor_ratio"] and of_shm["p50_us"] <= of_shm["p99_us"] <= of_shm["p999_us"], of_shm
    root = xml.etree.ElementTree.parse(plot_path).getroot()
    assert root.tag.endswith("}svg"), root.tag
    if of_shm["case"].startswith("unary"):
        assert len(root.findall(".//{*}path")) > len(rows), "no lines in the plot"


if __name__ == "__main__":
    main()
